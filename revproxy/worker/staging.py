"""
The plugins of a worker, and how they become other ones.

`prepare` makes and starts the instances that a plan needs and that do not run yet; `ready` hands over what requests
have left in the meantime; `commit` sees off the instances that are not used any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.destination import Destinations
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Notice, Prepare
from revproxy.store import MemoryStore
from revproxy.worker.guard.culprits import Culprits
from revproxy.worker.lifecycle.instance import Instance, Locked, Version
from revproxy.worker.lifecycle.retirement import AFTER_RESCUE, Retirement
from revproxy.worker.lifecycle.stages import StageFailed, StageLimits
from revproxy.worker.participant import Refused
from revproxy.worker.running import Running
from revproxy.worker.stagedchange import StagedChange

LEAST = 1.0
"""Seconds that plugins have at the end, however little requests have."""


class Staging:
    """
    A worker's plugins; see `Participant`.

    :ivar running: what serves requests; None before the first commit.
    :ivar next: what was prepared; None where nothing is.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        limits: StageLimits,
        retirement: Retirement,
        culprits: Culprits,
        *,
        factoryOf: Callable[[CatalogEntry], Any],
        makeClient: Callable[[], Any],
        tell: Callable[[Notice], None],
        onAdopted: Callable[[Iterable[Version]], None] = lambda versions: None,
        onFailure: Callable[[Instance, Failure], None] = lambda instance, failure: None,
        storeOf: Callable[[str], Any] = lambda name: MemoryStore(),
        destinations: Callable[[], Destinations] | None = None,
        locked: Locked | None = None,
    ) -> None:
        """
        :param factoryOf: the `IMiddlewareFactory` of a drop-in.
        :param makeClient: what plugins send requests of their own with.
        :param tell: takes what people may want to know.
        :param onAdopted: given the versions that run, with each commit.
        :param onFailure: told of each failure of an instance's code outside of requests.
        :param storeOf: what a plugin keeps over restarts, by its name.
        :param destinations: gives the upstreams there are.
        :param locked: makes what runs in locked processes.
        """
        self.running: Running | None = None
        self.next: Running | None = None
        self._reactor = reactor
        self._limits = limits
        self._retirement = retirement
        self._culprits = culprits
        self._factoryOf = factoryOf
        self._makeClient = makeClient
        self._tell = tell
        self._onAdopted = onAdopted
        self._onFailure = onFailure
        self._storeOf = storeOf
        self._destinations = destinations
        self._locked = locked
        self._change: StagedChange | None = None
        self._isHurried = self._isRescue = False

    async def prepare(self, word: Prepare) -> None:
        """Make, hand over to, and start what the plan needs. :raises Refused: naming the plugin."""
        if self._change is None:
            self._change = StagedChange(
                self.running,
                self._limits,
                self._reactor,
                self._makeClient,
                self._tell,
                self._culprits.loading,
                self._factoryOf,
                word.withoutState,
                self._onFailure,
                self._storeOf,
                self._destinations,
                self._locked,
            )
        change = self._change
        self._isRescue = word.isRescue
        await change.undo()  # of a try that was ready, and others have refused
        try:
            if self.running is None:
                made = change.make(word.plan)
            else:
                made = await change.makeWhileServing(word.plan)
            if self._isHurried:
                raise Refused(Refusal("", "stop", "the change was given up"))
            if word.starts:
                await change.begin(made)
        except StageFailed as failed:
            raise Refused(failed.refusal) from None
        self.next = made

    async def ready(self) -> None:
        """Hand over once more, and have configurations taken in place. :raises Refused: naming the plugin."""
        if self._change is not None and self.next is not None:
            try:
                await self._change.finish(self.next)
            except StageFailed as failed:
                raise Refused(failed.refusal) from None

    def commit(self) -> None:
        """From now on the prepared ones run; what nobody needs any more is seen off."""
        before, running, change = self.running, self.next, self._change
        if running is None or change is None:
            return
        self.running, self.next, self._change = running, None, None
        for plugin in running.plan.selected:
            _rebase(running.versions.get(plugin.name), plugin.entry)
        for _, plugin in running.plan.candidates():
            _rebase(running.candidateVersions.get(plugin.name), plugin.entry)
        for instance in running.instances:
            if instance.since is None:
                instance.since = running.plan.number
        self._culprits.adopt(running.instances)
        self._onAdopted(running.allVersions)
        self._discard(change.settle(running), change.versions())
        if before is not None:
            used = set(running.instances)
            leaving = [each for each in before.instances if each not in used]
            self._retirement.retire(leaving, AFTER_RESCUE if self._isRescue else 0.0)

    async def abandon(self) -> None:
        """Close what was made for nothing."""
        change, self._change, self.next = self._change, None, None
        self._isHurried = False
        if change is not None:
            await change.undo()
            self._discard(change.unused(None), change.versions())

    def hurry(self) -> None:
        """Wait for no step of a plugin any more, and begin none."""
        self._isHurried = True
        if self._change is not None:
            self._change.hurry()

    async def end(self) -> None:
        """
        Stop all instances, in the reverse order of their start. Requests are over by now. Together they have as much
        time as one, and as requests had; those whose turn comes later are not waited for.
        """
        running, self.running = self.running, None
        instances = [] if running is None else running.instances
        drain = 0.0 if running is None else running.plan.config.timeouts.drain
        seconds = min(self._limits.stop, max(drain, LEAST))
        await self._retirement.settle(instances, seconds)
        ends = self._reactor.seconds() + seconds
        for instance in reversed(instances):
            instance.retiring = True
            failed = await instance.close(max(0.0, ends - self._reactor.seconds()))
            if failed is not None:
                refusal = failed.refusal
                text = refusal.message
                self._tell(Notice("stop-failed", text, refusal.plugin, refusal.version, refusal.traceback))
        await self._retirement.finish(max(0.0, ends - self._reactor.seconds()))

    def _discard(self, instances: list[Instance], versions: list[Version]) -> Deferred[None]:
        closing = self._retirement.discard(instances, versions)
        return closing.addErrback(lambda failure: self._log.failure("closing what was not used", failure))


def _rebase(version: Version | None, entry: CatalogEntry) -> None:
    """The same code may be of another entry by now."""
    if version is not None and version.entry is not entry:
        version.rebase(entry)
