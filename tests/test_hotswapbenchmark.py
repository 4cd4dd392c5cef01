"""The pure parts of ``benchmarks.hotswap``: judging responses, memory growth, tables; and that bad versions are bad."""

from __future__ import annotations

import io
import re
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.badversions import BAD_VERSIONS, restore, threePlugins
from benchmarks.hotswap import Goal, goalTable, manySection, options
from benchmarks.judge import Judge, Mixed, Wrong, completeLength
from benchmarks.manyswaps import SwapRun
from benchmarks.swapedge import SWAPPED, fivePlugins, writeWhole
from benchmarks.swaptimes import quantile

BODY = b"/plain/1/1"


def answer(*stamps: str, status: str = "200 OK", extra: str = "", body: bytes = BODY) -> bytes:
    """A response with these stamps: name, version now, version on the way in, object."""
    fields = "".join(f"X-Stamp-{stamp}\r\n" for stamp in stamps)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}{extra}\r\n".encode() + body


class JudgeTests(SynchronousTestCase):
    """``Judge``, for two plugins of which the first is watched."""

    def setUp(self) -> None:
        self.judge = Judge(2, b"one")

    def refused(self, expected: type[Wrong], data: bytes, last: int = -1) -> str:
        """Why a response will not do."""
        return str(self.assertRaises(expected, self.judge.look, data, BODY, last))

    def test_right(self) -> None:
        """A response of one generation gives the watched version, and is remembered."""
        self.assertEqual(self.judge.look(answer("one: 3 7 3 7 aa", "two: 3 1 3 1 bb"), BODY, 7), 7)
        self.assertEqual(self.judge.serials, {7})
        self.assertEqual(self.judge.instances, {(b"one", b"aa"), (b"two", b"bb")})

    def test_wayOut(self) -> None:
        """A plugin that is another version on the way out is a mixture."""
        self.assertIn("one was", self.refused(Mixed, answer("one: 3 8 3 7 aa", "two: 3 1 3 1 bb")))
        self.assertIn("two was", self.refused(Mixed, answer("one: 3 8 3 8 aa", "two: 4 1 3 1 bb")))

    def test_twoTransactions(self) -> None:
        """Plugins that changed together must be met together; those that never changed are of any transaction."""
        self.assertIn("two transactions", self.refused(Mixed, answer("one: 3 8 3 8 aa", "two: 2 1 2 1 bb")))
        self.judge.look(answer("one: 3 8 3 8 aa", "two: 0 0 0 0 bb"), BODY, -1)

    def test_missing(self) -> None:
        """A plugin that had no turn is a mixture."""
        self.assertIn("1 plugins of 2", self.refused(Mixed, answer("one: 3 8 3 8 aa")))

    def test_back(self) -> None:
        """On one connection versions do not go back."""
        self.assertIn("earlier", self.refused(Mixed, answer("one: 3 7 3 7 aa", "two: 3 1 3 1 bb"), 8))

    def test_failed(self) -> None:
        """Status, body and the connection's future must be right."""
        stamps = "one: 3 8 3 8 aa", "two: 3 1 3 1 bb"
        self.assertIn("500", self.refused(Wrong, answer(*stamps, status="500 Oh")))
        self.assertIn("body", self.refused(Wrong, answer(*stamps, body=b"/plain/1/2")))
        self.assertIn("closed", self.refused(Wrong, answer(*stamps, extra="Connection: close\r\n")))

    def test_length(self) -> None:
        """How long a response is, is known when its head is complete; without a length it is not ours."""
        whole = answer("one: 3 8 3 8 aa")
        self.assertEqual(completeLength(whole), len(whole))
        self.assertEqual(completeLength(whole[: -len(BODY)]), len(whole))
        self.assertIsNone(completeLength(whole[:30]))
        self.assertRaises(Wrong, completeLength, b"HTTP/1.1 200 OK\r\n\r\n")


class BadVersionTests(SynchronousTestCase):
    """``BAD_VERSIONS``."""

    def test_kinds(self) -> None:
        """There are twenty, all different."""
        self.assertEqual(len({kind.title for kind in BAD_VERSIONS}), 20)

    def test_spoiled(self) -> None:
        """Each changes the folder, and what is good again afterwards is so whatever it was."""
        folder = Path(self.mktemp()) / SWAPPED
        for path, content in threePlugins(0)[SWAPPED].items():
            writeWhole(folder / path, content)
        for kind in BAD_VERSIONS:
            restore(folder, 5)
            good = self.content(folder)
            kind.spoil(folder, 6)
            if "deleted" in kind.title:
                self.readUntilDeleted(folder)
            self.assertNotEqual(self.content(folder), good, kind.title)
            restore(folder, 5)
            self.assertEqual(self.content(folder), good, kind.title)

    def readUntilDeleted(self, folder: Path) -> None:
        """Read as the edge would: plugin.py is deleted meanwhile, by a thread."""
        ends = time.monotonic() + 10
        (folder / "data000.txt").read_bytes()
        while (folder / "plugin.py").exists():
            self.assertLess(time.monotonic(), ends, "nobody deleted it")

    def content(self, folder: Path) -> dict[str, str]:
        """Name to what is in it, links as such."""
        return {
            path.name: f"link to {path.readlink()}" if path.is_symlink() else repr(path.read_bytes()[:4000])
            for path in folder.iterdir()
        }

    def test_explains(self) -> None:
        """A reason must name the file and the cause."""
        syntax = BAD_VERSIONS[0]
        self.assertTrue(syntax.explains("/x/plugin.py:12:4: SyntaxError: invalid syntax (plugin swapped)"))
        self.assertFalse(syntax.explains("SyntaxError: invalid syntax"))
        self.assertFalse(syntax.explains("/x/plugin.py: it does not work"))

    def test_good(self) -> None:
        """What the others are compared with is sound Python."""
        for files in (*fivePlugins().values(), *threePlugins().values()):
            compile(files["plugin.py"], "plugin.py", "exec")


class ReportTests(SynchronousTestCase):
    """Figures and tables."""

    def test_growth(self) -> None:
        """Growth is between the middle and the end, jitter of single readings averaged out; the first half is free."""
        sizes = [10, 20, 30, 39, 41, 40, 45, 44, 46]
        run = SwapRun(swaps=90, resident=[(number * 10 + 10, size) for number, size in enumerate(sizes)])
        self.assertEqual(run.growth, 45 - (41 + 40 + 45) / 3)

    def test_many(self) -> None:
        """Whatever went wrong is told, and its goal missed."""
        run = SwapRun(swaps=4, resident=[(2, 10), (4, 10)], trouble={"status 500": 3}, failed=3, alive=2)
        section = manySection(run)
        self.assertIn("Wrong: 3 × status 500.", str(section))
        self.assertEqual([goal.reached for goal in section.goals], [False, True, False])

    def test_goals(self) -> None:
        """Each goal has its line."""
        text = goalTable([Goal("quick", "3 ms", True), Goal("small", "9 MB", False)])
        self.assertRegex(text, re.compile(r"quick +\| +reached, 3 ms.*small +\| +missed, 9 MB", re.DOTALL))

    def test_quantile(self) -> None:
        """Of fifty values the 95th percentile is the third highest."""
        self.assertEqual(quantile([float(value) for value in range(50)], 0.95), 47.0)

    def test_rows(self) -> None:
        """Rows are chosen by their letters; others are refused."""
        self.assertEqual(options(["--only", "a, c"]).rows, ["a", "c"])
        self.patch(sys, "stderr", io.StringIO())
        self.assertRaises(SystemExit, options, ["--only", "z"])
