"""
How much of a loop a version takes.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.loopshare import Load, LoopShare


class LoopShareTests(SynchronousTestCase):
    """
    A sliding window.
    """

    def test_nothing(self) -> None:
        """
        Without long calls it is nothing.
        """
        self.assertEqual(LoopShare().within(30, 5.0), Load(0, 0.0, 1.0, 0.0))

    def test_share(self) -> None:
        """
        The share is that of the whole window, as people want to decide by; rate and time are those since it began.
        """
        share = LoopShare()
        for second in range(1, 7):
            share.add(second, 2, 0.9)
        load = share.within(30, 6.0)
        self.assertEqual((load.calls, round(load.seconds, 6), round(load.share, 6)), (12, 5.4, 0.18))
        self.assertEqual(str(load), "2 calls a second held the event loop for 0.45 s each, 90% of 6 s")

    def test_slides(self) -> None:
        """
        What is older than the window is forgotten, and takes no memory.
        """
        share = LoopShare()
        for tenth in range(10_000):
            share.add(tenth / 10, 1, 0.05)
        load = share.within(30, 1000.0)
        self.assertAlmostEqual(load.share, 0.5, 1)
        self.assertLessEqual(len(share._seconds), 31)
        self.assertEqual(share.within(30, 1031.0).calls, 0)

    def test_never100(self) -> None:
        """
        A call that was longer than the window took all of it.
        """
        share = LoopShare()
        share.add(100.0, 1, 80.0)
        load = share.within(30, 100.0)
        self.assertEqual((load.share, load.span), (1.0, 30))
        self.assertIn("100% of 30 s", str(load))
