"""
What each version of each plugin has done, added up from what workers tell.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from revproxy.control.state.ownfigures import OwnFigures
from revproxy.plan.counted import ThreadFigures, VersionCounters
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Counters, Failures, LastFailure

_FIGURES = ("calls", "errors", "timeouts", "interrupts", "stalls", "seconds")
_THREADS = ("busy", "queued", "rejected", "left")


class Totals:
    """
    Sums over all workers, of versions that run and of those that are remembered.

    :ivar figures: what plugins count by themselves.
    """

    def __init__(self) -> None:
        self.figures = OwnFigures()
        self._sums: dict[tuple[str, str | None], VersionCounters] = {}
        self._lastFailures: dict[tuple[str, str | None], LastFailure] = {}
        self._last: dict[int, Counters] = {}

    def add(self, worker: int, word: Counters) -> None:
        """
        :param worker: the number of the one that told.
        """
        self._last[worker] = word
        for figure in word.figures:
            self.figures.add(figure)
        for told in word.versions:
            key = told.plugin, told.version.digest
            sums = self._sums.get(key) or VersionCounters(told.plugin, told.version)
            figures = {name: getattr(sums, name) + getattr(told, name) for name in _FIGURES}
            self._sums[key] = msgspec.structs.replace(sums, **figures)

    def of(self, plugin: str, digest: str | None) -> VersionCounters:
        """
        What a version has done; zeros if nothing was told of it.
        """
        return self._sums.get((plugin, digest)) or VersionCounters(plugin, VersionId(digest=digest))

    def failed(self, word: Failures) -> None:
        """
        Of what failed, the last is remembered.
        """
        key = word.plugin, word.version.digest
        known = self._lastFailures.get(key)
        if word.last is not None and (known is None or known.at <= word.last.at):
            self._lastFailures[key] = word.last

    def lastFailure(self, plugin: str, digest: str | None) -> LastFailure | None:
        """
        The last failure of a version while it ran, as far as any is known.
        """
        return self._lastFailures.get((plugin, digest))

    def carryOver(self, plugin: str, before: VersionId, after: VersionId) -> None:
        """
        A version goes on under another digest: only its configuration has changed.
        """
        sums = self._sums.get((plugin, before.digest))
        if sums is not None:
            self._sums[plugin, after.digest] = msgspec.structs.replace(sums, version=after)
        failure = self._lastFailures.get((plugin, before.digest))
        if failure is not None:
            self._lastFailures[plugin, after.digest] = failure

    def retired(self, plugin: str) -> int:
        """
        How many versions of a plugin no longer run and still exist, in the worker that has most.
        """
        return max((word.retired.get(plugin, 0) for word in self._last.values()), default=0)

    def threads(self, plugin: str) -> ThreadFigures | None:
        """
        What is in the threads of a plugin, of all workers together; None if they have nothing to tell.
        """
        told = [each for word in self._last.values() for each in word.threads if each.plugin == plugin]
        if not told:
            return None
        sums = {name: sum(getattr(each, name) for each in told) for name in ("most", *_THREADS)}
        return ThreadFigures(plugin, **sums)

    def isGated(self, plugin: str) -> bool:
        """
        Whether there is a gate before an instance of a plugin, in any worker.
        """
        return any(plugin in word.gated for word in self._last.values())

    def keepOnly(self, known: Collection[tuple[str, str]]) -> None:
        """
        Forget versions that are not remembered, by name and digest. What has no digest is no version of a bundle, and
        stays.
        """
        self._sums = {key: sums for key, sums in self._sums.items() if key[1] is None or key in known}
        self._lastFailures = {
            key: failure for key, failure in self._lastFailures.items() if key[1] is None or key in known
        }
        self.figures.keepOnly({name for name, _ in known} | {name for name, digest in self._sums if digest is None})
