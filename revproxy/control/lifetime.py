"""
Beginning and end of an edge as events: who looks at what happened sees where one process ended and another began.
"""

from __future__ import annotations

import os

from revproxy import __version__
from revproxy.control.coordinator import Coordinator
from revproxy.control.history.standing import hashOfText

_NAMED = 10
"""So many plugins are named, at most."""


class Lifetime:
    """That of one edge."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._hasStarted = False

    def started(self) -> None:
        """It serves: with which version, and what it found."""
        coordinator, plan = self._coordinator, self._coordinator.plan
        if plan is None:
            return
        self._hasStarted = True
        text = coordinator.snapshots.textOf(plan.config)
        records = coordinator.records.plugins.items()
        found = [
            f"revproxy {__version__} serves by {plan.config.source}",
            _listed("running", [f"{each.name} {each.entry.version.number}" for each in plan.selected]),
            _listed("pinned", [name for name, record in records if record.pin is not None]),
            _listed("switched off", [name for name, record in records if record.enabled is False]),
            _listed("refused", [name or "revproxy.yaml" for name in coordinator.refused]),
        ]
        about = {
            "version": __version__, "pid": str(os.getpid()), "plugins": str(len(plan.selected)),
            "config": hashOfText(text),
        }  # fmt: skip
        coordinator.events.add("started", "; ".join(filter(None, found)), about=about)

    def stopping(self) -> None:
        """It takes no new requests any more."""
        if self._hasStarted:
            self._coordinator.events.add("stopping", "no new requests are taken; those that are under way go on")

    def ended(self) -> None:
        """All has been written that was to be."""
        if self._hasStarted:
            self._coordinator.events.add("ended", "all that was under way is over")


def _listed(what: str, names: list[str]) -> str:
    more = len(names) - _NAMED
    return f"{what}: {', '.join(names[:_NAMED])}{f' and {more} more' if more > 0 else ''}" if names else ""


__all__ = ["Lifetime"]
