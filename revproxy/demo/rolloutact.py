"""
What became of one version in the demonstration of rollouts, and whether it is what should.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from revproxy.demo.rolloutversions import Candidate
from revproxy.demo.visitors import Met

MOST_BROKEN: Final = 8
"""Answers that a version which raises may spoil before it is taken back."""

MOST_SLOW: Final = 400
"""Requests that a slow version may answer: those that are not judged (the first 100, or ten seconds), and some more."""


@dataclass(slots=True)
class Act:
    """
    What became of one version.

    :ivar view: of its rollout, as the edge told it last.
    :ivar met: what visitors met from its first moment to its last.
    :ivar said: commands that somebody said meanwhile, and why it was held.
    """

    candidate: Candidate
    view: Mapping[str, Any] = field(default_factory=dict)
    met: Met = field(default_factory=Met)
    seconds: float = 0.0
    said: list[tuple[str, str]] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """What is not as it should be; empty: all is."""
        candidate, met = self.candidate, self.met
        served = int(self.view.get("arms", {}).get("candidate", {}).get("requests", 0))
        found = []
        if self.view.get("state") != candidate.ends:
            found.append(f"it is {self.view.get('state') or 'nowhere'} and not {candidate.ends}")
        if met.broken > (MOST_BROKEN if candidate.number == "1.1.0" else 0):
            found.append(f"{met.broken} answers were broken")
        found += [f"{count} times {what}" for what, count in met.wrong.items()]
        if candidate.number == "1.2.0" and served > MOST_SLOW:
            found.append(f"it has answered {served} requests, and is slow")
        return found
