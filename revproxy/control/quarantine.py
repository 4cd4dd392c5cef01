"""
Versions that fail while they run, and what is done about them.

A breaker watches each version. When it trips, the version is taken out: the last good one runs in its place, until the
plugin's folder has something new. Where there is none (or the failing one is pinned, which is somebody's wish), a gate
stands before it: its ``on_error`` decides what becomes of requests, until probes succeed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.control.breaker import Breaker
from revproxy.control.changes import Change, ChangeRefused
from revproxy.control.state.records import Ledger, Pin
from revproxy.plan.catalog import Catalog
from revproxy.worker.guard.gate import Gate
from revproxy.worker.lifecycle.instance import Instance, Version

if TYPE_CHECKING:
    from revproxy.control.coordinator import Lifecycle


class Ward:
    """
    Watches the versions that run.

    :param lifecycle: whose they are, and who makes the changes.
    """

    _log = Logger()

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._events = lifecycle.events
        self._now = lifecycle.parts.reactor.seconds
        self._gates: dict[Instance, Gate] = {}
        self._breakers: dict[Version, Breaker] = {}
        self._marked: dict[Version, set[str]] = {}

    def watch(self, versions: Iterable[Version]) -> None:
        """These run now, and no others."""
        running = set(versions)
        for version in self._breakers.keys() - running:
            del self._breakers[version]
            self._marked.pop(version, None)
        for version in running - self._breakers.keys():
            calls = partial(getattr, version.tally, "calls")
            self._breakers[version] = Breaker(calls, self._now, partial(self._tripped, version))

    def middleware(self, instance: Instance) -> Any:
        """What stands in the chain: the gate before an instance, or the instance's object."""
        return self._gates.get(instance) or instance.object

    def discharge(self, instances: Iterable[Instance]) -> None:
        """These are being retired."""
        for instance in instances:
            self._gates.pop(instance, None)

    def isGated(self, name: str) -> bool:
        """Whether a plugin is in quarantine without another version in its place."""
        return any(instance.version.name == name for instance in self._gates)

    def failed(self, version: Version, failure: Failure) -> None:
        """A call of it failed."""
        breaker = self._breakers.get(version)
        if breaker is not None:
            breaker.failed()

    def stalled(self, version: Version) -> None:
        """A call of it held the reactor until it was ended."""
        breaker = self._breakers.get(version)
        if breaker is not None:
            breaker.stalled()

    def _tripped(self, version: Version, reason: str) -> None:
        # In the middle of a request; what follows is long.
        self._lifecycle.parts.reactor.callLater(0, self._soon, self._quarantine(version, reason))

    def _restored(self, instance: Instance) -> None:
        self._soon(self._lift(instance))

    def _soon(self, work: Any) -> None:
        later = Deferred.fromCoroutine(self._lifecycle.exclusively(work))
        later.addErrback(lambda failure: self._log.failure("quarantine of a plugin", failure))

    async def _quarantine(self, version: Version, reason: str) -> None:
        current = self._lifecycle.current
        if current is None or current.versions.get(version.name) is not version:
            return
        if self._isUnderGate(version):
            self._reset(version)
        elif not await self._backToGood(version, reason):
            await self._gate(version, reason)

    def _isUnderGate(self, version: Version) -> bool:
        return all(instance in self._gates for instance in version.instances if not instance.retiring)

    async def _backToGood(self, version: Version, reason: str) -> bool:
        """:returns: whether there was a way back."""
        name, digest = version.name, version.digest
        ledger = self._lifecycle.ledger
        pin = ledger.get(name).pin
        good = None if digest is None else ledger.previousGood(name, digest)
        if digest is None or good is None or (pin is not None and pin.by == "user"):
            return False

        def mutate(ledger: Ledger, found: Catalog) -> Ledger:
            # What its folder has by now, and would not do, is nothing new.
            here, refused = found.entries.get(name), self._lifecycle.failures.get(name)
            isRefused = here is not None and refused is not None and refused[1].digest == here.digest
            against = here.digest if here is not None and isRefused else digest
            return ledger.quarantined(name, digest, reason).pinned(name, Pin(good.digest, "quarantine", against))

        label = str(version)
        try:
            await self._lifecycle.transact(Change(name, mutate, withoutState=True))
        except ChangeRefused as refused:
            self._events.add("refused", f"there is no way back to {good.version}: {refused}", name, label)
            return False
        current = self._lifecycle.current
        if current is not None and current.versions.get(name) is version:
            # The same code with its old configuration: if it fails on, there is nothing to go back to, or an older one.
            self._reset(version)
        ledger, known = self._lifecycle.ledger, self._lifecycle.failures.get(name)
        if current is not None and known is not None and not known[1].isItsOwn:
            # What its folder has waits for other plugins: it is tried with every change, and taken once it goes.
            pin = Pin(good.digest, "quarantine", digest)
            await self._lifecycle.memory.record(ledger.pinned(name, pin), current.plan)
        text = f"{reason}; back to {good.version} ({good.digest[:12]}), until its folder has something new"
        self._events.add("quarantined", text, name, label)
        return True

    async def _gate(self, version: Version, reason: str) -> None:
        isOpen = version.entry.manifest.onError == "open"
        for instance in version.instances:
            if not instance.retiring and instance not in self._gates:
                self._gates[instance] = Gate(
                    instance.object,
                    version.name,
                    isOpen,
                    self._now,
                    tally=version.tally,
                    onEvent=partial(self._says, version),
                    onRestored=partial(self._restored, instance),
                )
        # Another instance of it, with another configuration, may come beside these.
        self._reset(version)
        does = "requests pass without it" if isOpen else "requests it would see are answered 503"
        text = f"{reason}; {self._whyNoOther(version.name)}: {does}, until probes succeed"
        self._events.add("quarantined", text, version.name, str(version))
        if version.digest is not None:
            self._marked.setdefault(version, set()).add(version.digest)
        await self._rebuild(version, lambda ledger, digest: ledger.quarantined(version.name, digest, reason))

    def _whyNoOther(self, name: str) -> str:
        pin = self._lifecycle.ledger.get(name).pin
        if pin is not None and pin.by == "user":
            return f"it is pinned, so no other version takes its place (`revproxy rollback {name}` does that)"
        return "there is no other version"

    def _says(self, version: Version, kind: str, text: str) -> None:
        self._events.add(kind, text, version.name, str(version))

    async def _lift(self, instance: Instance) -> None:
        if instance not in self._gates:
            return
        version = instance.version
        self.discharge([instance])
        self._reset(version)
        if any(one.version is version for one in self._gates):
            await self._rebuild(version, lambda ledger, digest: ledger)
            return
        # It may have been given another configuration, and so another digest, since.
        marked = self._marked.pop(version, set())

        def cleared(ledger: Ledger, digest: str) -> Ledger:
            for each in {*marked, digest}:
                ledger = ledger.cleared(version.name, each)
            return ledger

        await self._rebuild(version, cleared)

    async def _rebuild(self, version: Version, mark: Callable[[Ledger, str], Ledger]) -> None:
        """With or without gates; what was taken out is nothing that others go back to."""
        digest = version.digest
        mutate = None if digest is None else lambda ledger, found: mark(ledger, digest)
        await self._lifecycle.transact(Change(mutate=mutate, rebuild=True))

    def _reset(self, version: Version) -> None:
        breaker = self._breakers.get(version)
        if breaker is not None:
            breaker.reset()
