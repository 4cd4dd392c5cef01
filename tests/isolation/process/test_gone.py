"""
How a locked process has ended, in words.
"""

from __future__ import annotations

from signal import SIGKILL, SIGRTMIN, SIGSEGV, SIGSYS

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.process.gone import Gone


class GoneTests(SynchronousTestCase):
    """Each kind of end."""

    def test_whatTheEdgeSays(self) -> None:
        """What the edge has ended it for is said, and not how."""
        self.assertEqual(Gone(SIGKILL, None, "call 3 took 100 ms of CPU time").text, "call 3 took 100 ms of CPU time")

    def test_forbiddenCall(self) -> None:
        """SIGSYS is the filter's, unless the edge has ended it."""
        gone = Gone(SIGSYS)
        self.assertTrue(gone.isForbiddenCall)
        self.assertEqual(gone.text, "it was killed for a system call that is never allowed (SIGSYS)")
        self.assertFalse(Gone(SIGSYS, None, "the edge ends").isForbiddenCall)

    def test_signals(self) -> None:
        """Others are named, or have a number at least."""
        self.assertEqual(Gone(SIGSEGV).text, "it was ended by SIGSEGV")
        self.assertEqual(Gone(SIGRTMIN + 3).text, f"it was ended by signal {SIGRTMIN + 3}")

    def test_exits(self) -> None:
        """One that has ended by itself."""
        self.assertEqual(Gone(None, 3).text, "it has ended with 3")

    def test_nobodyKnows(self) -> None:
        """Its template has ended before it."""
        self.assertEqual(Gone().text, "it has ended")
