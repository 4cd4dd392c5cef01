"""
What is known of plugins, and of the configuration, as JSON can say it.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from revproxy.config.problems import quoted, suggestion
from revproxy.control.chainview import ChainView
from revproxy.control.commands import NotThere
from revproxy.control.coordinator import Coordinator
from revproxy.control.planning.heldback import heldBack
from revproxy.control.state.records import PluginRecord, VersionRecord
from revproxy.control.trustview import TrustView
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.counted import ThreadFigures, VersionCounters
from revproxy.plan.refusal import Refusal
from revproxy.plan.versionid import UNKNOWN, VersionId
from revproxy.plan.words import LastFailure


class PluginView:
    """
    That of one edge.

    :ivar chains: where they stand.
    """

    def __init__(self, coordinator: Coordinator, trust: TrustView) -> None:
        """:param trust: tells whose code it is."""
        self._coordinator = coordinator
        self._trust = trust
        self.chains = ChainView(coordinator)

    async def all(self, removed: bool = False) -> list[dict[str, Any]]:
        """
        Every plugin.

        :param removed: also those that were removed, as far as is remembered.
        """
        names = self._known() if removed else self._present()
        await self._coordinator.crew.ask()
        return [self._status(name) for name in sorted(names)]

    async def one(self, name: str) -> dict[str, Any]:
        """
        All about one.

        :raises NotThere: there is no such plugin.
        """
        self.check(name)
        coordinator = self._coordinator
        await coordinator.crew.ask()
        figures = coordinator.keeper.totals.figures.of(name)
        return {**self._status(name), "figures": figures, **self.chains.of(name)}

    def check(self, name: str) -> None:
        """:raises NotThere: there is no such plugin."""
        if name not in self._known():
            raise NotThere(f"no plugin named {quoted(name)}{suggestion(name, self._present())}")

    def states(self) -> dict[str, str]:
        """By plugin, its state in one word: ``running``, ``quarantined``, ``failed``, ``off`` or ``removed``."""
        coordinator = self._coordinator
        plan, found = coordinator.shown, {}
        for name in self._present():
            entry = None if plan is None else plan.entries.get(name)
            entry = entry or coordinator.catalog.entries.get(name)
            runs = plan is not None and plan.find(name) is not None
            found[name] = self._stateOf(name, runs, entry, coordinator.refused.of(name))
        return found

    def configuration(self) -> dict[str, Any]:
        """Which file is in force, and why it is not what is written there."""
        refused = self._coordinator.refused
        refusal = refused.of("")
        failure = None if refusal is None else _failure(refused.at(""), refusal)
        return {"source": self._coordinator.config.source, "failure": failure}

    def _present(self) -> set[str]:
        coordinator = self._coordinator
        names = {*coordinator.catalog.entries, *(failed for failed in coordinator.refused if failed)}
        names |= {known for known, record in coordinator.records.plugins.items() if record.pin or record.running}
        if coordinator.shown is not None:
            names |= {plugin.name for plugin in coordinator.shown.selected}
        return names

    def _known(self) -> set[str]:
        return self._present() | self._coordinator.records.plugins.keys()

    def _status(self, name: str) -> dict[str, Any]:
        coordinator = self._coordinator
        record = coordinator.records.get(name)
        plan, totals = coordinator.shown, coordinator.keeper.totals
        runs = plan is not None and plan.find(name) is not None
        entry = None if plan is None else plan.entries.get(name)
        entry = entry or coordinator.catalog.entries.get(name)
        last = _lastThatRan(record) if entry is None else UNKNOWN
        refused = self._refused(name)
        refusal = None if refused is None else refused[1]
        digest = last.digest if entry is None else entry.digest
        figures = totals.of(name, digest) if runs else VersionCounters(name, UNKNOWN)
        return {
            "name": name,
            "origin": "directory" if entry is None else entry.origin,
            "version": last.number if entry is None else entry.version.number,
            "digest": digest,
            "state": self._stateOf(name, runs, entry, refusal),
            "pinned": _pinned(record),
            "removed_at": record.endedAt if entry is None else None,
            "removed_because": record.endedBecause if entry is None else None,
            "required": plan is not None and name in {*plan.required, *plan.missing},
            "calls": figures.calls,
            "errors": figures.errors,
            "timeouts": figures.timeouts,
            "interrupts": figures.interrupts,
            "stalls": figures.stalls,
            "self_seconds": figures.seconds,
            "generations_alive": runs + totals.retired(name),
            "threads": _threads(totals.threads(name)),
            "failure": None if refused is None else _failure(*refused),
            "last_failure": _lastFailure(totals.lastFailure(name, digest)),
            "trust": self._trust.of(name),
            "versions": [self._kept(name, kept, runs and kept.digest == digest) for kept in record.versions],
        }

    def _refused(self, name: str) -> tuple[float, Refusal] | None:
        """Why what the folder of a plugin has does not run, and since when; None: it does, or may yet."""
        coordinator = self._coordinator
        known, found = coordinator.refused.of(name), coordinator.catalog.entries.get(name)
        if known is not None:
            return coordinator.refused.at(name), known
        if found is None or found.digest is None:
            return None
        # What has not come through its steps has not been refused by a change: that may come, or not.
        record = coordinator.records.get(name)
        tried = record.find(found.digest)
        if tried is None or tried.trial is None or not tried.trial.blocks or record.running == found.digest:
            return None
        return tried.trial.at, heldBack(found, tried.trial)

    def _kept(self, name: str, kept: VersionRecord, runs: bool) -> dict[str, Any]:
        """One version of those that the store has of a plugin."""
        totals = self._coordinator.keeper.totals
        counted = totals.of(name, kept.digest)
        return {
            "version": kept.version,
            "digest": kept.digest,
            "ran_at": kept.ranAt,
            "running": runs,
            "quarantined": kept.quarantined,
            "trial": None if kept.trial is None else {"state": kept.trial.state, "reason": kept.trial.reason},
            "calls": counted.calls,
            "errors": counted.errors,
            "last_failure": _lastFailure(totals.lastFailure(name, kept.digest)),
        }

    def _stateOf(self, name: str, running: bool, entry: CatalogEntry | None, refusal: Refusal | None) -> str:
        if running:
            return "quarantined" if self._coordinator.keeper.totals.isGated(name) else "running"
        if refusal is not None and self._coordinator.records.get(name).enabled is not False:
            return "failed"
        return "removed" if entry is None else "off"


def _lastThatRan(record: PluginRecord) -> VersionId:
    """Of those that are remembered; one that was on trial only did not."""
    return next((known.id for known in reversed(record.versions) if known.trial is None), UNKNOWN)


def _pinned(record: PluginRecord) -> dict[str, Any] | None:
    if record.pin is None:
        return None
    known = record.find(record.pin.digest)
    return {"version": known.version if known else "", "digest": record.pin.digest, "by": record.pin.by}


def _failure(at: float, refusal: Refusal) -> dict[str, Any]:
    return {
        "at": at,
        "stage": refusal.stage,
        "version": refusal.version.number,
        "digest": refusal.digest,
        "message": refusal.message,
        "traceback": refusal.traceback,
    }


def _threads(figures: ThreadFigures | None) -> dict[str, int] | None:
    if figures is None:
        return None
    names = ("most", "busy", "queued", "rejected", "left")
    return {name: getattr(figures, name) for name in names}


def _lastFailure(failure: LastFailure | None) -> dict[str, Any] | None:
    return None if failure is None else asdict(failure)



__all__ = ["PluginView"]
