"""The commands about what was changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from revproxy.cli.main import main
from revproxy.control.actor import FILES
from revproxy.control.history.audit import Audit
from revproxy.control.history.auditfiles import AuditFiles
from revproxy.plan.events import EventLog
from tests.cli.test_edgecommands import CommandCase, Status

ANN = {"via": "http", "name": "ann", "token": "t1", "role": "operate", "address": "192.0.2.1"}
CHANGE = {
    "number": 7, "at": 1.0, "actor": ANN, "action": "disable", "plugin": "auth", "reason": "it hangs", "result": "done",
    "text": ["auth: 1.0 runs no more"], "refused": [], "standing": "a" * 64, "config": "b" * 64,
}  # fmt: skip
RECORD = {
    "seq": 9, "prev": "0" * 64, "time": 1.0, "actor": ANN, "action": "drain", "target": "api http://a",
    "before_hash": None, "after_hash": None, "diff": "", "reason": "", "result": "refused", "text": "it is the last",
    "hash": "1" * 64,
}  # fmt: skip


class HistoryCommandTests(CommandCase):
    """``revproxy history``, ``diff``, ``revert``."""

    def test_history(self) -> None:
        """A line for each change, the latest last: who, what, why, what came of it."""
        wrong = {**CHANGE, "number": 8, "action": "files", "plugin": "", "reason": "", "result": "refused", "text": [],
                 "refused": [{"plugin": "", "stage": "files", "message": "r.yaml:1:1: no"}]}  # fmt: skip
        thread = self.edge({"items": [wrong, CHANGE], "next": None})
        first, second = self.run_("history", "-n", "2").stdout.splitlines()[1:]
        self.assertEqual(first.split()[:1] + first.split()[3:7], ["7", "ann", "disable", "auth", "done"])
        self.assertIn("auth: 1.0 runs no more (because: it hangs)", first)
        self.assertIn("configuration: r.yaml:1:1: no", second)
        self.assertEqual(thread.requests[0][:2], ("GET", "history?limit=2"))
        self.assertEqual(json.loads(self.run_("history", "--json").stdout)[1]["number"], 8)

    def test_none(self) -> None:
        """Nothing yet."""
        self.edge({"items": [], "next": None})
        self.assertEqual(self.run_("history").stdout, "nothing was changed yet\n")

    def test_one(self) -> None:
        """All about one change, and how things stood after it."""
        stood = {"config": "b" * 64, "plugins": {"a": {"version": "1.0", "digest": "c" * 64}}, "gates": {"g": True},
                 "pins": {"a": {"digest": "c" * 64, "by": "user"}}, "switches": {"auth": False}}  # fmt: skip
        thread = self.edge({**CHANGE, "stood": stood, "config_text": ""})
        lines = self.run_("history", "7").stdout.splitlines()
        self.assertEqual(lines[1:], [
            "by ann: done", "because: it hangs", "auth: 1.0 runs no more", "a: 1.0 (cccccccccccc) ran",
            "a: pinned by user", "auth: switched off", "g: in quarantine",
        ])
        self.assertEqual(thread.requests[0][1], "history/7")

    def test_diff(self) -> None:
        """What is different, for people."""
        told = {"from": 1, "to": None, "config": "@@ -1 +1 @@\n-a\n+b", "lines": ["x: 1 → 2"], "plugins": [],
                "pins": [], "switches": [], "gates": []}  # fmt: skip
        thread = self.edge(told)
        self.assertEqual(self.run_("diff", "1").stdout, "x: 1 → 2\n@@ -1 +1 @@\n-a\n+b\n")
        self.run_("diff", "1", "5")
        self.assertEqual([request[1] for request in thread.requests], ["diff?from=1", "diff?from=1&to=5"])

    def test_revert(self) -> None:
        """What was done, and the difference; what it is told is passed on."""
        thread = self.edge({"text": ["is as after change 3"], "refused": [], "diff": "-a\n+b", "etag": "e",
                            "dry_run": False})  # fmt: skip
        self.assertEqual(self.run_("revert", "3", "--reason", "bad day").stdout, "is as after change 3\n-a\n+b\n")
        self.run_("revert", "3", "--dry-run")
        self.assertEqual([request[2] for request in thread.requests], [
            {"to": 3, "dry_run": False, "reason": "bad day"}, {"to": 3, "dry_run": True},
        ])

    def test_refused(self) -> None:
        """Status 1, and why."""
        self.edge(Status(409, {"title": "Conflict", "status": 409, "detail": "a 1.0 is not stored any more"}))
        self.assertIn("a 1.0 is not stored any more", self.run_("revert", "3", status=1).stderr)


class AuditCommandTests(CommandCase):
    """``revproxy audit``."""

    def test_list(self) -> None:
        """A line for each record, the latest last."""
        self.edge({"items": [RECORD], "next": None})
        [line] = self.run_("audit").stdout.splitlines()[1:]
        self.assertIn("ann", line)
        self.assertIn("192.0.2.1", line)
        self.assertIn("it is the last", line)

    def test_verify(self) -> None:
        """By the edge; what is wrong is told, and the status is 1."""
        verdict: dict[str, Any] = {"whole": True, "records": 9, "first": 1, "head": "9:" + "1" * 64, "problems": []}
        self.edge(verdict)
        self.assertIn("9 records, from 1 on: all there", self.run_("audit", "verify").stdout)

    def test_wrong(self) -> None:
        """What is wrong is told, and the status is 1; a head that is none is a usage error."""
        head = "9:" + "1" * 64
        problems = ["the end was cut off"]
        thread = self.edge({"whole": False, "records": 8, "first": 1, "head": head, "problems": problems})
        self.assertIn("the end was cut off", self.run_("audit", "verify", "--head", head, status=1).stdout)
        self.assertEqual(thread.requests[0][1], "audit/verify?head=9%3A" + "1" * 64)
        self.assertIn("SEQ:HASH", self.run_("audit", "verify", "--head", "9", status=2).stderr)


class WithoutEdgeTests(CommandCase):
    """``revproxy audit verify`` where no edge runs."""

    def test_files(self) -> None:
        """The files are read; a tail that was cut off is told of, and one that a head knows of."""
        state = Path(self.mktemp()).absolute()
        clock = Clock()
        made = Audit(AuditFiles(state / "audit"), EventLog(clock.seconds), clock, maybeDeferred)
        made.begin()
        for number in range(3):
            made.record(FILES, "files", str(number))
        head = made.head
        self.successResultOf(Deferred.fromCoroutine(made.end()))
        arguments = ["audit", "verify", "--state", str(state), "--head", str(head)]
        done = CliRunner().invoke(main, arguments)
        self.assertEqual((done.exit_code, "3 records, from 1 on: all there" in done.stdout), (0, True), done.output)
        [path] = (state / "audit").glob("*.jsonl")
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
        done = CliRunner().invoke(main, arguments)
        self.assertEqual((done.exit_code, done.stdout.count("the end was cut off")), (1, 2), done.output)

    def test_nothing(self) -> None:
        """Where there is neither an edge nor a folder, the status is 3."""
        done = CliRunner().invoke(main, ["audit", "verify", "--state", str(Path(self.mktemp()).absolute())])
        self.assertEqual(done.exit_code, 3, done.output)
