"""
Tests for `tests.__main__`: the line that CI reads.
"""

from __future__ import annotations

import os
import signal
import sys
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from tests import __main__ as program
from tests.__main__ import closingLine, jobs, main, skipLines, summarize


class SummarizeTests(SynchronousTestCase):
    """
    From trial's summary to numbers.
    """

    def test_passed(self) -> None:
        """
        Successes and skips are told apart.
        """
        self.assertEqual(summarize(["...\n", "PASSED (skips=2, successes=12)\n"]), (12, 0, 2))

    def test_failed(self) -> None:
        """
        Failures, errors and unexpected successes are all failures; expected failures are not successes.
        """
        line = "FAILED (skips=1, expectedFailures=2, failures=3, errors=4, unexpectedSuccesses=5, successes=6)"
        self.assertEqual(summarize([line]), (6, 12, 3))

    def test_lastOne(self) -> None:
        """
        Summaries that tests print themselves do not count; the last one does.
        """
        self.assertEqual(summarize(["FAILED (failures=1)\n", "PASSED (successes=3)\n"]), (3, 0, 0))

    def test_nothing(self) -> None:
        """
        No summary, and a summary of no tests, are a failure.
        """
        self.assertEqual(summarize(["Traceback\n"]), (0, 1, 0))
        self.assertEqual(summarize(["PASSED\n"]), (0, 1, 0))

    def test_closingLine(self) -> None:
        """
        Skipped tests are named only when there are any.
        """
        self.assertEqual(closingLine(3, 0, 0), "3 passed, 0 failed")
        self.assertEqual(closingLine(3, 1, 2), "3 passed, 1 failed, 2 skipped")


class SkippedTests(SynchronousTestCase):
    """
    What did not run.
    """

    def test_lines(self) -> None:
        """
        How many, why, and which; nothing where all have run.
        """
        self.assertEqual(skipLines({}), [])
        curl = ["tests.a.A.test_1", "tests.a.A.test_2"]
        lines = skipLines({"no curl here": curl, "no git here": ["tests.b.B.test_3"]})
        self.assertEqual(lines, [
            "", "SKIPPED: 3 tests did not run here",
            "  no curl here", "    tests.a.A.test_1", "    tests.a.A.test_2",
            "  no git here", "    tests.b.B.test_3", "",
        ])


class RunTests(SynchronousTestCase):
    """
    The command, with lines in the place of trial.
    """

    rule = "=" * 79

    def setUp(self) -> None:
        self.commands: list[list[str]] = []
        self.lines = ["PASSED (successes=3)\n"]
        self.status = 0
        self.realRun = program.run
        self.patch(program, "run", self.run_)
        self.patch(sys, "stdout", StringIO())

    def run_(self, command: list[str], isQuiet: bool) -> tuple[list[str], int]:
        self.commands.append(command)
        return self.lines, self.status

    def last(self) -> str:
        return sys.stdout.getvalue().splitlines()[-1]  # type: ignore[attr-defined]

    def skipOne(self) -> None:
        self.lines = [f"{self.rule}\n", "[SKIPPED]\n", "no curl here\n", "\n", "tests.a.A.test_1\n", "-" * 79 + "\n",
                      "PASSED (skips=1, successes=2)\n"]

    def test_usual(self) -> None:
        """
        In twice as many processes as there are processors, at least four.
        """
        self.assertEqual((main([]), self.last()), (0, "3 passed, 0 failed"))
        self.assertIn(f"-j{jobs()}", self.commands[0])
        self.assertIn("tests.test_main", self.commands[0])
        for usable, wanted in ({0}, 4), (set(range(8)), 16):
            self.patch(os, "sched_getaffinity", lambda _, usable=usable: usable)
            self.assertEqual(jobs(), wanted)

    def test_interrupts(self) -> None:
        """
        Started in the background, where SIGINT is ignored, it does not leave that to its tests.
        """
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.SIG_IGN))
        main([])
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)

    def test_bytecode(self) -> None:
        """
        Trial, and all that it starts, keep what they have compiled.
        """
        self.patch(os, "environ", {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        command = [sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"]
        self.assertEqual(self.realRun(command, isQuiet=True), (["False\n"], 0))

    def test_one(self) -> None:
        """
        One name alone is run in one process, which shows what its tests print.
        """
        main(["tests.test_main"])
        self.assertEqual(self.commands[0][3:], ["--reporter=text", "tests.test_main"])

    def test_skipped(self) -> None:
        """
        A skip is said loudly, and is a failure where all have to run.
        """
        self.skipOne()
        self.assertEqual((main([]), self.last()), (0, "2 passed, 0 failed, 1 skipped"))
        self.assertIn("SKIPPED: 1 tests did not run here\n  no curl here\n    tests.a.A.test_1\n",
                      sys.stdout.getvalue())  # type: ignore[attr-defined]
        self.assertEqual((main(["--all"]), self.last()), (1, "2 passed, 1 failed"))

    def test_statusAlone(self) -> None:
        """
        Trial that ends badly, whatever it has said, has failed.
        """
        self.status = 1
        self.assertEqual((main(["--quick"]), self.last()), (1, "3 passed, 1 failed"))
