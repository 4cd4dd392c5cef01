"""
What every part of a worker offers to a change: to get ready, to do what comes last, to take effect, or to give up.
"""

from __future__ import annotations

from typing import Protocol

from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Prepare


class Refused(Exception):
    """
    A step that cannot be done. All is as it was before the step.

    :ivar refusals: why; at least one.
    """

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__("\n".join(refusal.message for refusal in refusals))
        self.refusals = refusals


class Participant(Protocol):
    """
    One part of a worker. Steps come in this order, for one transaction at a time::

        prepare  prepare …  ready  commit
                                └─ abandon, instead of whatever would come next

    A ``prepare`` after a ``prepare``, or after a ``ready``, takes the place of the one before. What that one made is
    kept as far as the new one needs it.
    """

    async def prepare(self, word: Prepare) -> None:
        """
        Make ready what requests do not see.

        :raises Refused: it cannot be done. What was prepared before may be used by a next try.
        """

    async def ready(self) -> None:
        """
        Do what comes last: from the end of this on, the commit follows in the same turn of the loop.

        :raises Refused: it cannot be done, and what requests saw of it was taken back.
        """

    def commit(self) -> None:
        """Take effect, at once. Does not fail."""

    async def abandon(self) -> None:
        """Give up what was prepared, and take back what :meth:`ready` did. Does not fail."""
