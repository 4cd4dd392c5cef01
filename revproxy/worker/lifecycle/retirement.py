"""
The end of instances that a new generation does not use: drained, stopped, unloaded, and proved to be gone.

An instance is stopped after the last request that uses it, or when the drain time is over; then what still uses it is
broken off. Requests and streams whose chains did not change are not concerned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any
from weakref import ref

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger

from revproxy.dataplane.chain import Chain
from revproxy.isolation.succession import ENDING
from revproxy.loading.loader import unload
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Notice, Remains
from revproxy.worker.lifecycle.instance import Instance, Version
from revproxy.worker.lifecycle.stages import StageFailed
from revproxy.worker.lifecycle.unloadproof import UnloadProof

BROKEN_OFF_TIMEOUT = 5.0
"""Seconds that requests which were broken off may take to notice."""

AFTER_RESCUE = 0.25
"""Seconds from a swap that rescues to the stops: until then its records are written, and whoever asked was answered."""


class Retirement:
    """
    Ends instances and versions that are used no more.

    Its events are ``broken-off``, ``stop-failed`` and ``remains``; they are told at the end of this class.

    :ivar breakOff: ends what goes through these chains, and says how many requests and streams that were; set by
        whoever has the edge.
    :ivar drainTime: seconds that requests are given to be over by themselves.
    """

    _log = Logger()

    def __init__(self, reactor: Any, tell: Callable[[Notice | Remains], None], drainTime: float) -> None:
        """
        :param tell: takes what people may want to know.
        """
        self.drainTime = drainTime
        self.breakOff: Callable[[Collection[Chain]], int] = lambda chains: 0
        self._reactor = reactor
        self._tell = tell
        self._proof = UnloadProof(reactor, self._unloaded, tell)
        self._discarding: set[Deferred[None]] = set()
        self._leaving: dict[Instance, Deferred[None]] = {}
        self._isOver = False
        self._idling: set[Deferred[Any]] = set()
        self._versions: dict[str, list[Version]] = {}

    def alive(self, plugin: str) -> int:
        """How many versions of a plugin that no longer run still exist."""
        return len(self._versions.get(plugin, ())) + self._proof.alive(plugin)

    def counts(self) -> dict[str, int]:
        """By plugin, how many versions no longer run and still exist; plugins without any are not in it."""
        counts = {plugin: self.alive(plugin) for plugin in {*self._versions, *self._proof.plugins()}}
        return {plugin: count for plugin, count in counts.items() if count}

    def retire(self, instances: Iterable[Instance], after: float = 0.0) -> None:
        """
        End these once the requests that use them are over; they get no new ones any more.

        :param after: seconds that they are left alone before that.
        """
        for instance in instances:
            instance.retiring = True
            version = instance.version
            if all(sibling.retiring for sibling in version.instances):
                known = self._versions.setdefault(version.name, [])
                if version not in known:
                    known.append(version)
            leaving = self._leaving[instance] = Deferred.fromCoroutine(self._retire(instance, after))
            leaving.addErrback(lambda failure: self._log.failure("retiring a plugin", failure))
            leaving.addBoth(self._retired, instance)

    def discard(self, instances: Iterable[Instance], versions: Iterable[Version]) -> Deferred[None]:
        """
        Close instances that never served anybody, and unload what has none then.

        :param versions: to be unloaded with them, if they have no other instances.
        :returns: fires when they are closed.
        """
        unused = list(instances)
        for instance in unused:
            # Stopping takes its time, and the next change must not take it for one that runs.
            instance.retiring = True
        closing = Deferred.fromCoroutine(self._discard(unused, list(versions)))
        self._discarding.add(closing)

        def closed(result: Any) -> Any:
            self._discarding.discard(closing)
            return result

        return closing.addBoth(closed)

    async def settle(self, instances: Collection[Instance], seconds: float) -> None:
        """
        Requests are over: wait for what plugins still do about them (``finished``), those that were replaced as well.

        :param seconds: but not longer, nor for long.
        """
        self._isOver = True
        busy = {chain for instance in (*instances, *self._leaving) for chain in instance.chains if chain.active}
        if busy:
            await self._idle(busy, min(seconds, BROKEN_OFF_TIMEOUT))
        for waiting in list(self._idling):
            waiting.cancel()

    async def finish(self, seconds: float) -> None:
        """Wait for all that are being ended, but not longer; then nothing is watched any more."""
        ending = [*self._leaving.values(), *self._discarding]
        waiting = DeferredList([Deferred.fromCoroutine(_outcome(deferred)) for deferred in ending], consumeErrors=True)
        await self._notLonger(waiting, seconds)
        self._proof.stop()

    async def _discard(self, instances: list[Instance], versions: list[Version]) -> None:
        for instance in instances:
            await self._close(instance)
        theirs = [instance.version for instance in instances]
        retired = [version for version in theirs if version in self._versions.get(version.name, ())]
        for version in dict.fromkeys([*versions, *retired]):
            if not version.instances:
                self._unload(version)

    async def _retire(self, instance: Instance, after: float) -> None:
        if after:
            await deferLater(self._reactor, after)
        busy = {chain for chain in instance.chains if chain.active}
        if busy and not await self._idle(busy, self.drainTime) and not self._isOver:
            busy = {chain for chain in busy if chain.active}
            count = self.breakOff(busy)
            if count:  # none: another that left with it had the same chains, and was first
                self._brokenOff(instance.version, count)
            await self._idle(busy, BROKEN_OFF_TIMEOUT)
        if busy:
            # The last request tells that it is over before it cancels what it waits for; that comes before the stop.
            await deferLater(self._reactor, 0)
        await self._close(instance)
        instance.chains.clear()
        if not instance.version.instances:
            self._unload(instance.version)

    def _retired(self, result: None, instance: Instance) -> None:
        self._leaving.pop(instance, None)

    async def _idle(self, chains: Collection[Chain], seconds: float) -> bool:
        """Wait until nothing goes through these chains. :returns: whether it came to that in time."""
        waiting = DeferredList([chain.whenIdle() for chain in chains], consumeErrors=True)
        self._idling.add(waiting)
        results = await self._notLonger(waiting, seconds)
        self._idling.discard(waiting)
        return all(isIdle for isIdle, _ in results)

    async def _notLonger(self, waiting: Deferred[Any], seconds: float) -> Any:
        """A list that is cancelled fires all the same, with those that were cancelled as failures."""
        late = self._reactor.callLater(seconds, waiting.cancel)
        results = await waiting
        if late.active():
            late.cancel()
        return results

    async def _close(self, instance: Instance) -> None:
        version = instance.version
        if not len(version.ended) & (len(version.ended) - 1):
            # Each time that they have doubled: there may be thousands, one for each group of routes.
            version.ended = [mark for mark in version.ended if mark() is not None]
        try:
            version.ended.append(ref(instance.object))
        except TypeError:
            pass  # a class with __slots__ and without __weakref__; its module is watched all the same
        failed = await instance.close()
        if failed is not None:
            self._stopFailed(version, failed)
        if not instance.isGone:
            self._tell(Remains(version.name, version.id, ENDING, ("process",), ("its locked process was killed",)))

    def _unload(self, version: Version) -> None:
        module, version.module = version.module, None
        if module is not None:
            unload(module)
            ended = [instance for mark in version.ended if (instance := mark()) is not None]
            who = VersionId(version.id.number, module.bundle.digest)
            self._proof.watch(version.name, who, module.sentinel, ended)
        known = self._versions.get(version.name, [])
        if version in known:
            known.remove(version)
        if not known:
            self._versions.pop(version.name, None)

    # What is told

    def _brokenOff(self, version: Version, count: int) -> None:
        who, were = ("request", "was") if count == 1 else ("requests", "were")
        text = f"{count} {who} still used it after {self.drainTime:g} s, and {were} broken off"
        self._tell(Notice("broken-off", text, version.name, version.id))

    def _stopFailed(self, version: Version, failed: StageFailed) -> None:
        refusal = failed.refusal
        self._tell(Notice("stop-failed", refusal.message, version.name, version.id, refusal.traceback))

    def _unloaded(self, plugin: str, version: VersionId) -> None:
        self._log.debug("{plugin} {version} is unloaded", plugin=plugin, version=version)


async def _outcome(deferred: Deferred[None]) -> None:
    """Wait for a Deferred that somebody else has callbacks on."""
    waiting: Deferred[None] = Deferred()

    def fired(result: Any) -> Any:
        waiting.callback(None)
        return result

    deferred.addBoth(fired)
    await waiting
