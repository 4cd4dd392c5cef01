"""
Removals that wait for newcomers.

A plugin that gets another name is two things in one change: one plugin is gone, another has come. Nobody can tell
whether they belong together. If the newcomer is refused, the one that is gone may have been the same, and requests must
not pass without either: it runs on until no newcomer of that change is refused any more, or those are gone, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

from revproxy.control.planning.choice import Choice
from revproxy.control.planning.resolution import Resolution
from revproxy.plan.catalog import CatalogEntry, Entries
from revproxy.plan.refusal import Refusal
from revproxy.plan.versionid import VersionId


class DeferredRemovals:
    """What runs on without a folder, and the newcomers for whose sake."""

    def __init__(self) -> None:
        self._newcomers: dict[str, set[str]] = {}
        self._new: AbstractSet[str] = frozenset()
        self._known: Mapping[str, str | None] = {}
        self._strangers: Mapping[str, str | None] = {}
        self._refused: set[str] = set()

    def begin(
        self, gone: AbstractSet[str], known: Mapping[str, str | None], strangers: Mapping[str, str | None]
    ) -> None:
        """
        A change begins.

        :param gone: what runs, and is not in the folder of plugins any more.
        :param known: what is there and was refused before, by name; the digest of what was refused, as far as it is
            known.
        :param strangers: where nobody's folders are that cannot be used, each with its digest as far as it is known.
            They do not tell their names, or those of others.
        """
        here = known.keys() | strangers.keys()
        left = {name: self._newcomers[name] & here for name in gone & self._newcomers.keys()}
        self._newcomers = {name: newcomers for name, newcomers in left.items() if newcomers}
        self._new = gone - self._newcomers.keys()
        self._known = {**known, **self._strangers}
        self._strangers = strangers
        self._refused = {*known, *strangers}
        for source, digest in strangers.items():
            self.refuse(source, digest)

    def refuse(self, newcomer: str, digest: str | None) -> None:
        """A newcomer is refused. What was before as well does not come in the place of what is gone only now."""
        self._refused.add(newcomer)
        if newcomer not in self._known or self._known[newcomer] != digest:
            for name in self._new:
                self._newcomers.setdefault(name, set()).add(newcomer)

    def resolve(self, choice: Choice, running: Entries, resolved: Callable[[Choice], Resolution]) -> Resolution:
        """
        What goes together, with what is to run on.

        :param resolved: `revproxy.plan.plan.resolve` of a choice; what it raises comes through.
        """
        refused = self._refused - choice.entries.keys()
        while True:
            held = self._held(refused)
            entries = {**choice.entries, **{name: running[name] for name in held}}
            resolution = resolved(replace(choice, entries=entries))
            # What is needed runs on anyhow, and is not told of twice.
            told = {one.plugin for one in resolution.refusals}
            newcomers = [one for one in resolution.refusals if one.plugin in choice.entries.keys() - running.keys()]
            if all(one.plugin in refused for one in newcomers):
                reasons = (_reason(running[name], held[name]) for name in held.keys() - told)
                return replace(resolution, refusals=(*resolution.refusals, *reasons))
            for one in newcomers:
                self.refuse(one.plugin, one.digest)
                refused.add(one.plugin)

    def _held(self, refused: AbstractSet[str]) -> dict[str, AbstractSet[str]]:
        found = {name: newcomers & refused for name, newcomers in sorted(self._newcomers.items())}
        return {name: newcomers for name, newcomers in found.items() if newcomers}


def _reason(entry: CatalogEntry, newcomers: AbstractSet[str]) -> Refusal:
    """Why a removal is not made."""
    # Plugins by their names, strangers by those of their folders.
    *others, last = sorted(Path(one).parent.name or one for one in newcomers)
    who, was, until = (f"{', '.join(others)} and {last}", "were", "all are") if others else (last, "was", "that is")
    reason = f"it was removed when {who} came, which {was} refused; it runs on until {until} mended"
    return Refusal(entry.manifest.name, "held", reason, VersionId(entry.version.number))
