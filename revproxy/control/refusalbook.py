"""
What was refused last, and still stands: of each plugin, and (under an empty name) of the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from revproxy.plan.catalog import Catalog, CatalogEntry
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import BY_STEPS, HELD_BY_MOUNT, HELD_BY_REQUIREMENT, REVOKED, UNGRANTED, UNTRUSTED, Refusal


class RefusalBook:
    """
    Refusals by the name of the plugin, with their time in seconds since the epoch.
    """

    def __init__(self, events: EventLog, now: Callable[[], float]) -> None:
        self._events = events
        self._now = now
        self._known: dict[str, tuple[float, Refusal]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def of(self, name: str) -> Refusal | None:
        """The refusal of a plugin, or (``""``) of the configuration."""
        return self._known.get(name, (0.0, None))[1]

    def at(self, name: str) -> float:
        """When it was refused; 0 if it was not."""
        return self._known.get(name, (0.0, None))[0]

    def hasFailed(self, entry: CatalogEntry) -> bool:
        """Whether this very version failed by itself, and would again."""
        refusal = self.of(entry.manifest.name)
        if refusal is None or entry.digest is None:
            return False
        return refusal.digest == entry.digest and refusal.isItsOwn

    def note(
        self, refusals: Iterable[Refusal], plan: Plan, catalog: Catalog, only: str | None = None
    ) -> tuple[Refusal, ...]:
        """
        A transaction is over: tell of what is newly refused, and forget what holds no more.

        :param plan: what is in force.
        :param catalog: what there is.
        :param only: where not all of that was tried: the plugin that was, if any. What was refused of others stands,
            unless it runs now.
        :returns: those that were not known before.
        """
        now = {refusal.plugin: refusal for refusal in refusals}
        for name, (_, known) in list(self._known.items()):
            entry = plan.entries.get(name)
            here = catalog.entries.get(name)
            # It stands while the folder still has what failed, and that does not run.
            runs = entry is not None and entry.digest == known.digest
            isTried = only is None or (name != "" and name == only)
            isGone = isTried and (here is None or here is entry or here.digest != known.digest)
            if name not in now and (runs or isGone):
                del self._known[name]
        mounts, news = [], []
        for name, refusal in now.items():
            if self.of(name) == refusal:
                continue
            self._known[name] = self._now(), refusal
            news.append(refusal)
            if refusal.stage == HELD_BY_MOUNT:
                mounts.append(refusal)
            elif refusal.stage == BY_STEPS:
                continue  # how a rollout ends is told where it does
            elif refusal.stage == HELD_BY_REQUIREMENT:
                self._events.add("required-folder-gone", refusal.message, name, refusal.version)
            elif refusal.stage == UNTRUSTED:
                self._events.add("untrusted", refusal.message, name, refusal.version)
            elif refusal.stage == REVOKED:
                self._events.add("revoked", refusal.message, name, refusal.version)
            elif refusal.stage == UNGRANTED:
                self._events.add("held", refusal.message, name, refusal.version)
            else:
                self._events.add("refused", refusal.message, name, refusal.version, refusal.traceback)
        if mounts:
            names = ", ".join(refusal.plugin for refusal in mounts)
            self._events.add("plugins-gone", f"{mounts[0].message} ({names})")
        return tuple(news)
