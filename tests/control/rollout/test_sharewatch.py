"""
Whether a canary carries more than its share of requests.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.sharewatch import ShareWatch


class ShareTests(SynchronousTestCase):
    """
    A canary of 5 %.
    """

    def told(self, running: int, candidate: int, seconds: int = 100) -> list[tuple[int, str]]:
        """When something is told, with so many requests each second; a rollout has had some before."""
        watch = ShareWatch(0.05)
        told = [watch.look(500 + n * running, 900 + n * candidate) for n in range(1, seconds + 1)]
        return [(n, text) for n, text in enumerate(told, 1) if text]

    def test_whale(self) -> None:
        """
        It is told once, after half a minute, with how much it is.
        """
        ((second, text),) = self.told(80, 20)
        self.assertEqual(second, 30)
        self.assertIn("20% of the requests", text)

    def test_usual(self) -> None:
        """
        Up to twice the share is chance, and so is what a few requests are.
        """
        self.assertEqual(self.told(95, 5), [])
        self.assertEqual(self.told(90, 10), [])
        self.assertEqual(self.told(0, 1), [])
