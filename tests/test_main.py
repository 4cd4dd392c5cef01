"""
Tests for `tests.__main__`: the line that CI reads.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.__main__ import closingLine, summarize


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
