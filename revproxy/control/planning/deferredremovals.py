"""
Removals that wait for newcomers.

A plugin that gets another name is two things in one change: one plugin is gone, another has come. Nobody can tell
whether they belong together. So within one change, removals wait while any newcomer of that change is refused: what is
gone may have been the same, and requests must not pass without either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path

from revproxy.control.planning.choice import Choice, Newcomers
from revproxy.control.planning.resolution import Resolution
from revproxy.plan.catalog import CatalogEntry, Entries
from revproxy.plan.refusal import Refusal
from revproxy.plan.versionid import VersionId


@dataclass(slots=True)
class DeferredRemovals:
    """
    Those of one change.

    :ivar gone: names of plugins that are gone with this change.
    :ivar stillWaiting: those that went with an earlier change, with the newcomers of that one.
    :ivar refusedBefore: newcomers that were refused before this change, and so did not come with it.
    :ivar refused: newcomers that are refused in this change, until now.
    """

    gone: AbstractSet[str] = frozenset()
    stillWaiting: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    refusedBefore: Newcomers = field(default_factory=dict)
    refused: dict[str, str | None] = field(default_factory=dict)

    @property
    def waiting(self) -> dict[str, AbstractSet[str]]:
        """By name, the newcomers that came when a plugin went. It runs on while any of these is refused."""
        new = {source for source, digest in self.refused.items() if self.refusedBefore.get(source, "") != digest}
        return {**self.stillWaiting, **(dict.fromkeys(self.gone, new) if new else {})}

    def ofNextChange(self, gone: AbstractSet[str], refused: Newcomers) -> DeferredRemovals:
        """
        Those of the change after this one.

        :param gone: what runs, and is not in the folder of plugins any more.
        """
        stillWaiting = {name: newcomers for name, newcomers in self.waiting.items() if name in gone}
        return DeferredRemovals(gone - stillWaiting.keys(), stillWaiting, self.refused, dict(refused))

    def resolve(self, choice: Choice, running: Entries, resolved: Callable[[Choice], Resolution]) -> Resolution:
        """
        What goes together, with what is to run on.

        :param running: what runs, and may run on.
        :param resolved: `resolve` of a choice; what it raises comes through.
        """
        newcomers = {name: entry for name, entry in choice.entries.items() if name not in running}
        refused = self.refused.keys() - {entry.source for entry in newcomers.values()}
        while True:
            gone = sorted((name, came & refused) for name, came in self.waiting.items() if name in running)
            waiting = {name: came for name, came in gone if came}
            staying = {name: running[name] for name in waiting}
            resolution = resolved(replace(choice, entries={**choice.entries, **staying}))
            told = {refusal.plugin for refusal in resolution.refusals}
            more = {newcomers[name].source: newcomers[name].digest for name in told & newcomers.keys()}
            if more.keys() <= refused:
                # What is needed runs on anyhow, and is not told of twice.
                reasons = [_reason(running[name], came) for name, came in waiting.items() if name not in told]
                return replace(resolution, refusals=(*resolution.refusals, *reasons))
            self.refused.update(more)
            refused |= more.keys()


def _reason(entry: CatalogEntry, newcomers: AbstractSet[str]) -> Refusal:
    """Why a removal is not made."""
    *others, last = sorted(Path(source).parent.name or source for source in newcomers)
    who, was, until = (f"{', '.join(others)} and {last}", "were", "all are") if others else (last, "was", "that is")
    reason = f"it was removed when {who} came, which {was} refused; it runs on until {until} mended"
    return Refusal(entry.manifest.name, "held", reason, VersionId(entry.version.number))
