"""
The link of a plugin of which a version is on trial: what it does is written down for whoever judges that.
"""

from __future__ import annotations

from typing import Any

from revproxy.dataplane.link import Link
from revproxy.worker.rollout.trialbook import TrialBook


class JudgedLink(Link):
    """Of the running version, or of that on trial."""

    __slots__ = ("book", "isCandidate")

    def __init__(self, instance: Any, *, book: TrialBook, isCandidate: bool, **options: Any) -> None:
        """:param book: of the trial."""
        self.book = book
        self.isCandidate = isCandidate
        super().__init__(instance, **options)
