"""
Whether the canary carries far more than its share: a share of clients is no share of requests where one of them sends a
fifth of all.
"""

from __future__ import annotations

from collections import deque

SECONDS = 30
"""For so long it has to be so."""

TIMES = 2.0
"""So many times its share is far more."""

LEAST = 50
"""Requests of the candidate within these seconds: with fewer it is chance."""


class ShareWatch:
    """
    That of one step.

    :ivar hasTold: whether it was so.
    """

    def __init__(self, share: float) -> None:
        """:param share: of clients that are the candidate's."""
        self.hasTold = False
        self._share = share
        self._seconds: deque[tuple[int, int]] = deque(maxlen=SECONDS)
        self._before: tuple[int, int] | None = None

    def look(self, running: int, candidate: int) -> str:
        """
        A second is over.

        :param running: requests until now; ``candidate``: so.
        :returns: what is to be told; empty: nothing.
        """
        before, self._before = self._before or (running, candidate), (running, candidate)
        self._seconds.append((running - before[0], candidate - before[1]))
        mine = sum(each for _, each in self._seconds)
        total = mine + sum(each for each, _ in self._seconds)
        if self.hasTold or len(self._seconds) < SECONDS or mine < LEAST or mine <= TIMES * self._share * total:
            return ""
        self.hasTold = True
        return (
            f"{mine / total:.0%} of the requests of the last {SECONDS} s are the candidate's, which serves "
            f"{self._share:.3%} of the clients: a few of them send most, and would meet its faults as often. A smaller "
            "share, or another `by`, has fewer of those"
        )


__all__ = ["ShareWatch"]
