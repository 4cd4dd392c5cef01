"""What is printed about a running edge."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from io import StringIO
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.operations.rolloutshapes import goingOn
from revproxy.cli.report import Report, printable, refusal
from tests.admin.rolloutviews import canary

DIGEST = "0123456789abcdef" * 4


def terminalEnvironment() -> dict[str, str]:
    """Ours, without what tells rich how to print, and with a terminal that has colours."""
    telling = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    return {name: value for name, value in os.environ.items() if name not in telling} | {"TERM": "xterm"}


def plugin(name: str, **facts: Any) -> dict[str, Any]:
    """One that runs."""
    return {
        "name": name, "origin": "directory", "version": "1.2.0", "digest": DIGEST, "state": "running", "pinned": None,
        "calls": 0, "errors": 0, "timeouts": 0, "interrupts": 0, "stalls": 0, "self_seconds": 0.0,
        "generations_alive": 1, "threads": None, "failure": None, "last_failure": None, "versions": [], **facts,
    }  # fmt: skip


def lastFailure(**facts: Any) -> dict[str, Any]:
    """Of a version at work."""
    return {"at": 60.0, "message": "KeyError: 'k'", "function": "Main.handle", "where": "plugin.py:9",
            "traceback": "Traceback (most recent call last):\n  here\x1b\n", **facts}  # fmt: skip


def failure(**facts: Any) -> dict[str, Any]:
    """Of a version."""
    return {"at": 90.0, "stage": "import", "version": "1.3.0", "digest": "f" * 64, "message": "p.py:3:1: SyntaxError",
            "traceback": "", **facts}  # fmt: skip


class ReportCase(SynchronousTestCase):
    """Output is kept."""

    def setUp(self) -> None:
        self.addCleanup(self.setEnvironment, dict(os.environ))
        self.setEnvironment(terminalEnvironment() | {"TZ": "UTC"})

    def setEnvironment(self, variables: Mapping[str, str]) -> None:
        """In place: rich keeps the mapping, and the time zone is the C library's business."""
        os.environ.clear()
        os.environ.update(variables)
        time.tzset()

    def printed(self, what: Callable[[Report], None], terminal: bool = False, width: int | None = None) -> str:
        output = StringIO()
        self.patch(sys, "stdout", output)
        what(Report(terminal, width))
        return output.getvalue()


class PluginsTests(ReportCase):
    """The table of all."""

    def test_columns(self) -> None:
        """Lines of equal columns, numbers to the right, nothing that is not there; no line is ever folded."""
        plugins = [
            plugin("hello", calls=2000, errors=3, timeouts=2, interrupts=1, self_seconds=0.25, generations_alive=2),
            plugin("a-very-long-name-that-somebody-has-given-to-a-plugin-of-theirs-to-see-what-happens", state="off"),
            plugin("old", pinned={"version": "1.2.0", "digest": DIGEST, "by": "rollback"}, version=""),
        ]
        lines = self.printed(lambda report: report.plugins(plugins), width=60).splitlines()
        self.assertEqual([len(line.split()) for line in lines], [11, 10, 10, 10])
        self.assertEqual(lines[1].split(), ["hello", "1.2.0", "running", "-", "2000", *"321", "0.125", "2"])
        self.assertEqual(lines[3].split()[:4], ["old", "-", "running", "1.2.0"])
        self.assertEqual(lines[2].split()[-2:], ["-", "1"])
        self.assertEqual({len(line) for line in lines}, {len(lines[0])})

    def test_failures(self) -> None:
        """Below, with the whole reason."""
        plugins = [plugin("a"), plugin("b", state="failed", failure=failure(message="first\nsecond"))]
        lines = self.printed(lambda report: report.plugins(plugins)).splitlines()
        self.assertEqual(lines[-3:], ["", "b: 1.3.0 (ffffffffffff) failed at import: first", "second"])

    def test_rollouts(self) -> None:
        """Below the table those that go on, once each; and why what a folder has does not run."""
        [brief] = goingOn([canary("a", plugins=["a", "b"])])
        back = failure(stage="rollout", message="its rollout was rolled back: 210 : 1; `revproxy rollout c start` …")
        plugins = [plugin("a", rollout=brief), plugin("b", rollout=brief), plugin("c", failure=back)]
        lines = self.printed(lambda report: report.plugins(plugins)).splitlines()
        self.assertEqual(sum(line.startswith("rollout: a: 1.3.0 in place of 1.2.0: canary 5 %") for line in lines), 1)
        self.assertTrue(lines[-1].startswith("c: 1.3.0 (ffffffffffff) does not run: its rollout was rolled back"))
        one = self.printed(lambda report: report.plugin(plugins[1]))
        self.assertIn("  rollout   a: 1.3.0 in place of 1.2.0", one)

    def test_none(self) -> None:
        """Says so."""
        self.assertEqual(self.printed(lambda report: report.plugins([])), "no plugins\n")

    def test_terminal(self) -> None:
        """A terminal of the usual width gets colours and a table; a plugin's text gets nothing."""
        plugins = [plugin("hello-world", calls=1000000, self_seconds=99.0), plugin("[red]x")]
        said = self.printed(lambda report: report.plugins(plugins), True, 80)
        self.assertIn("\x1b[32mrunning", said)
        self.assertIn("[red]x", said)
        lines = re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()
        self.assertEqual(len(lines), 4)
        self.assertTrue(max(map(len, lines)) <= 80)
        self.assertEqual(lines[2].split(), ["hello-world", "1.2.0", "running", "1000000", *"000", "0.099", "1"])

    def test_narrowTerminal(self) -> None:
        """One that is too narrow for a table gets columns."""
        plugins = [plugin("hello")]
        narrow = self.printed(lambda report: report.plugins(plugins), True, 60)
        self.assertEqual(narrow, self.printed(lambda report: report.plugins(plugins)))


class PluginTests(ReportCase):
    """All about one."""

    def test_all(self) -> None:
        """Counters, versions with their notes, the last failure with its traceback."""
        one = plugin(
            "hello",
            pinned={"version": "1.1.0", "digest": "a" * 64, "by": "user"},
            calls=1,
            errors=2,
            self_seconds=0.5,
            versions=[
                {"version": "1.2.0", "digest": DIGEST, "ran_at": 60.0, "running": True, "quarantined": None,
                 "last_failure": None},
                {"version": "1.1.0", "digest": "a" * 64, "ran_at": 0.0, "running": False, "quarantined": "5 errors",
                 "last_failure": lastFailure()},
                {"version": "1.3.0", "digest": "b" * 64, "ran_at": 0.0, "running": False, "quarantined": None,
                 "trial": {"state": "rolled-back", "reason": "it was worse"}, "last_failure": None},
            ],
            failure=failure(traceback="Traceback:\n  boom\n"),
        )
        self.assertEqual(self.printed(lambda report: report.plugin(one)).splitlines(), [
            "hello 1.2.0 (0123456789ab): running",
            "  origin    directory",
            "  pinned    to 1.1.0 (aaaaaaaaaaaa), by user",
            "  counted   1 call, 2 errors, 0 time-outs, 0 interrupts, 0 stalls",
            "  self time 500.000 ms per call, 0.500 s in total",
            "  alive     1",
            "",
            "version  digest        ran at               note",
            "1.2.0    0123456789ab  1970-01-01 00:01:00  running",
            "1.1.0    aaaaaaaaaaaa  -                    quarantined: 5 errors",
            "1.3.0    bbbbbbbbbbbb  -                    rolled back: it was worse",
            "",
            "1970-01-01 00:01:00: 1.1.0 (aaaaaaaaaaaa) failed in Main.handle at plugin.py:9: KeyError: 'k'",
            "",
            "Traceback (most recent call last):",
            "  here\\x1b",
            "",
            "1970-01-01 00:01:30: 1.3.0 (ffffffffffff) failed at import: p.py:3:1: SyntaxError",
            "",
            "Traceback:",
            "  boom",
        ])

    def test_dropIn(self) -> None:
        """A drop-in has no versions, and fails all the same; where no line of it is to blame, none is named."""
        one = plugin("hello", digest=None, last_failure=lastFailure(function="", where="", traceback=""))
        lines = self.printed(lambda report: report.plugin(one)).splitlines()
        self.assertEqual(lines[-1], "1970-01-01 00:01:00: 1.2.0 failed: KeyError: 'k'")

    def test_required(self) -> None:
        """One that is required, and whose folder is gone, runs on."""
        one = plugin("x", required=True, failure=failure(stage="required", digest=None, message="its folder is gone"))
        lines = self.printed(lambda report: report.plugin(one)).splitlines()
        self.assertIn("  required  runs until `disable` or revproxy.yaml says otherwise", lines)
        self.assertEqual(lines[-1], "1970-01-01 00:01:30: 1.3.0 runs on: its folder is gone")

    def test_figures(self) -> None:
        """What it counts by itself; not more lines than a screen has, for --json has all."""
        series = [{"labels": {"kind": f"k{number}", "x": 'y"\x1b'}, "value": 1234567.0} for number in range(60)]
        histogram = {"labels": {}, "count": 4, "sum": 2.0, "buckets": {"1": 4}}
        figures = [
            {"name": "took", "kind": "histogram", "description": "", "series": [histogram]},
            {"name": "sold", "kind": "counter", "description": "", "series": series},
        ]
        lines = self.printed(lambda report: report.plugin(plugin("x", figures=figures))).splitlines()
        rows = [line.split(None, 1) for line in lines]
        self.assertIn(["took", "4, 0.5 on average"], rows)
        self.assertIn(['sold{kind="k0",', 'x="y"\\x1b"}   1234567'], rows)
        self.assertEqual(lines[-1], "… 21 more: --json has all")

    def test_removed(self) -> None:
        """Those that are gone have a table of their own."""
        gone = plugin("x", state="removed", removed_at=90.0, removed_because="its folder is gone",
                      versions=[{}, {}])  # fmt: skip
        lines = self.printed(lambda report: report.plugins([plugin("y"), gone])).splitlines()
        self.assertEqual(len(lines), 6)
        self.assertEqual(lines[3:5], [
            "name  version  removed              note                kept",
            "x     1.2.0    1970-01-01 00:01:30  its folder is gone     2",
        ])
        self.assertIn("revproxy rollback NAME", lines[5])

    def test_threads(self) -> None:
        """What is in its threads, if there is anything to tell."""
        threads = {"most": 8, "busy": 8, "queued": 256, "rejected": 3, "left": 0}
        lines = self.printed(lambda report: report.plugin(plugin("x", threads=threads))).splitlines()
        self.assertIn("  threads   8 of 8 busy, 256 waiting, 3 rejected", lines)
        left = {**threads, "busy": 0, "left": 2}
        printed = self.printed(lambda report: report.plugin(plugin("x", threads=left)))
        self.assertIn("3 rejected; 2 left behind by versions that ended\n", printed)

    def test_little(self) -> None:
        """One that never ran."""
        one = plugin("x", version="", digest=None, state="failed", generations_alive=0,
                     failure=failure(version="", digest=None))  # fmt: skip
        lines = self.printed(lambda report: report.plugin(one)).splitlines()
        self.assertEqual(lines[0], "x: failed")
        self.assertIn("  self time - ms per call, 0.000 s in total", lines)
        self.assertEqual(lines[-1], "1970-01-01 00:01:30: failed at import: p.py:3:1: SyntaxError")


class EventsTests(ReportCase):
    """What happened."""

    def test_lines(self) -> None:
        """One line each, whatever is in the text."""
        events = [
            {"at": 1.0, "kind": "loaded", "plugin": "a", "version": "1 (0f)", "text": "it runs"},
            {"at": 2.0, "kind": "refused", "plugin": "", "version": "", "text": "two\nlines \x1b[2J"},
        ]
        self.assertEqual(self.printed(lambda report: report.events(events)).splitlines(), [
            "time                 what     plugin    text",
            "1970-01-01 00:00:01  loaded   a 1 (0f)  it runs",
            "1970-01-01 00:00:02  refused  -         two lines \\x1b[2J",
        ])
        self.assertEqual(self.printed(lambda report: report.events([])), "nothing has happened\n")

    def test_terminal(self) -> None:
        """Long texts are folded in their column."""
        event = {"at": 1.0, "kind": "loaded", "plugin": "a", "version": "1 (0f)", "text": "word " * 30}
        said = re.sub(r"\x1b\[[0-9;]*m", "", self.printed(lambda report: report.events([event]), True, 80))
        lines = said.splitlines()
        self.assertTrue(len(lines) > 3 and max(map(len, lines)) <= 80, said)
        self.assertEqual(lines[2].strip().replace("word", "").strip(), "")


class TextTests(ReportCase):
    """Texts of plugins."""

    def test_printable(self) -> None:
        """Nothing drives the terminal; letters of any language are letters."""
        self.assertEqual(printable("é\n\x1b[2J\r\x9b\u202e"), "é\n\\x1b[2J\\r\\x9b\\u202e")

    def test_refusal(self) -> None:
        """Whose, at which step, why; the configuration file has no name."""
        one = {"plugin": "a", "stage": "start", "message": "no\x07"}
        self.assertEqual(refusal(one), "refused: a: start: no\\x07")
        self.assertEqual(refusal({**one, "plugin": ""}), "refused: start: no\\x07")
