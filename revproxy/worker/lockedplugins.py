"""
The plugins of a worker that run in locked processes, and these processes.

What they are locked with is settled by the section ``trust`` of the configuration. When that changes, what is loaded
from then on has processes of the new kind; what runs goes on as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.config.trustconfig import TrustConfig
from revproxy.isolation.brokering import AskUpstream
from revproxy.isolation.lockedmiddleware import LockedMiddleware
from revproxy.isolation.remotefailure import RemoteFailure
from revproxy.isolation.tier import Books, Pool, ProcessTier, poolOf
from revproxy.loop.deadlines import Deadlines
from revproxy.permissions import UNASKED
from revproxy.plan.words import Locking, Up
from revproxy.worker.lifecycle.instance import Instance
from revproxy.worker.lifecycle.lockedcode import limitsOf, loadOf, neededBy, refuseThreads

MakePool = Callable[[TrustConfig], Pool]


class LockedPlugins:
    """
    Of one worker. It costs nothing until the first is made.

    :ivar processes: what the next is made with; None: nothing was made yet.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: TrustConfig,
        answers: Deadlines,
        askUpstream: AskUpstream,
        inThread: Callable[..., Deferred[Any]],
        makePool: MakePool | None = None,
        tell: Callable[[Up], None] = lambda word: None,
    ) -> None:
        """
        :param answers: deadlines of calls.
        :param askUpstream: sends their requests.
        :param inThread: runs a function, with arguments, in a thread.
        :param tell: says how well processes can be locked here, once that is known.
        """
        self._tell = tell
        self._told: Locking | None = None
        self._makePool = makePool or (lambda config: poolOf(reactor, config.minimumLevel, config.uids))
        self._config = config
        self._pools: list[Pool] = []
        self._inThread = inThread
        self._reactor = reactor
        self._answers = answers
        self._tier = ProcessTier(reactor, answers, self._take, askUpstream)
        self._isOver = False
        self.processes: Pool | None = None

    def adopt(self, config: TrustConfig) -> None:
        """What is loaded from now on is locked as this configuration says."""
        if _kindOf(config) != _kindOf(self._config):
            self.processes = None
        self._config = config

    def make(self, instance: Instance) -> Deferred[LockedMiddleware]:
        """
        What an instance is in a locked process that is not loaded yet.

        :returns: fails with a `revproxy.loading.contract.PluginError` if what it depends on cannot be had there.
        """
        return Deferred.fromCoroutine(self._make(instance, self._tier))

    def makeCopy(self, instance: Instance, askUpstream: AskUpstream) -> Deferred[LockedMiddleware]:
        """As :meth:`make`, of one whose requests to upstreams are answered by somebody else."""
        tier = ProcessTier(self._reactor, self._answers, self._take, askUpstream)
        return Deferred.fromCoroutine(self._make(instance, tier))

    async def _make(self, instance: Instance, tier: ProcessTier) -> LockedMiddleware:
        version = instance.version
        refuseThreads(version.entry.manifest)
        libraries = await self._inThread(neededBy, version.entry) if version.entry.manifest.dependencies else {}
        permissions = UNASKED if version.permissions is None else version.permissions
        limits = limitsOf(version.entry.manifest, version.limits)
        load = loadOf(version.entry, permissions, instance.config, limits, libraries)
        books = Books(
            version.figures,
            version.counters,
            lambda: instance.host.store,
            partial(_failedOutside, instance),
            version.counters.exceeded,
            not version.isCopy,
        )
        return tier.middleware(load, permissions, limits, books)

    def close(self) -> Deferred[None]:
        """End all processes. Nothing is made after that."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        self._isOver = True
        for pool in self._pools:
            try:
                await pool.close()
            except Exception:
                self._log.failure("ending locked processes")

    def _take(self, version: str, memoryBytes: int) -> Deferred[Any]:
        if self._isOver:
            return fail(RuntimeError("the edge ends"))
        if self.processes is None:
            self.processes = self._makePool(self._config)
            self._pools.append(self.processes)
        taking = self.processes.take(version, memoryBytes)
        taking.addBoth(self._taken, self.processes)
        return taking

    def _taken(self, result: Any, pool: Pool) -> Any:
        """By now it is known how well processes can be locked here, whether one could be had or not."""
        level, layers = pool.level, {name: _whyNot(said) for name, said in pool.layers.items()}
        word = Locking(level if level in ("A", "B", "C") else None, layers)  # type: ignore[arg-type]
        if layers and word != self._told:
            self._told = word
            self._tell(word)
        return result


def _failedOutside(instance: Instance, error: BaseException) -> None:
    """Its code has failed in no call, or its process has ended."""
    if not isinstance(error, RemoteFailure):  # those were logged with where they come from
        instance.host.log.error("version {version}: {error}", version=instance.version.id.number, error=error)
    instance.failedOutside(Failure(error))


def _whyNot(said: str) -> str:
    """Why a layer is not there; empty: it is."""
    return "" if said == "enforced" else said


def _kindOf(config: TrustConfig) -> tuple[Any, ...]:
    return config.minimumLevel, config.uids
