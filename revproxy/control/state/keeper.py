"""
What the edge remembers of its plugins: the ledger, the store of versions, and what each version has counted.

Where the state folder cannot be written, all this lasts as long as the process. A disk that fails is an event, and no
reason not to go on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from revproxy.bundles.versionstore import StoreError
from revproxy.config.problems import ConfigErrors
from revproxy.control.planning.folderowners import housed
from revproxy.control.state.directory import StateFolder
from revproxy.control.state.records import Ledger, writeLedger
from revproxy.dataplane.counters import Tally
from revproxy.loop.jobthread import DiskSilent, JobThread
from revproxy.plan.catalog import Catalog, CatalogEntry, storedEntry
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan

MAX_GONE = 100
"""How many plugins that are gone are remembered, with their versions: the last ones."""

FORGOTTEN_AT_ONCE = 20
"""How many are forgotten with one change, which waits for that."""


class Memory:
    """
    One edge's.

    :ivar ledger: what is remembered; assigned by :meth:`record`.
    :ivar tallies: what each version did, by name and digest; of those that run, and those that are remembered.
    :ivar lost: by name, why what ran when the edge ended cannot be had.
    :ivar isWritable: whether the state folder is ours, and can be written.
    :ivar disk: what writes it.
    :ivar onRecorded: called after each :meth:`record`.
    """

    _log = Logger()

    def __init__(
        self,
        state: StateFolder,
        ledger: Ledger,
        events: EventLog,
        clock: Any,
        inThread: Callable[..., Deferred[Any]],
    ) -> None:
        """
        :param clock: provides `IReactorTime`, in seconds since the epoch.
        :param inThread: runs a function, with arguments, in a thread.
        """
        self.ledger = ledger
        self.tallies: dict[tuple[str, str | None], Tally] = {}
        self.lost: dict[str, str] = {}
        self.isWritable = False
        self.disk = JobThread(clock, inThread)
        self.onRecorded: Callable[[], None] = lambda: None
        # Why, for each bundle that runs and is not stored.
        self._unkept: dict[tuple[str, str], str] = {}
        self._notWritten = ""
        self._isTold = False
        self._onDisk = ledger
        self._state = state
        self._events = events
        self._now = clock.seconds

    def stored(self, name: str, digest: str, plugins: Path | None) -> CatalogEntry:
        """
        A version that was kept. Blocks.

        :param plugins: the folder of plugins, for messages: there it would be in its own folder.
        :raises StoreError: it is not there, or damaged.
        :raises ConfigErrors: this version of revproxy does not take its manifest.
        """
        folder = None if plugins is None else plugins / (self.ledger.get(name).folder or name)
        return storedEntry(self._state.store.read(name, digest, folder))

    def ranBefore(self, plugins: Path | None) -> dict[str, CatalogEntry]:
        """What ran when the edge ended. Blocks."""
        found = {}
        for name, record in self.ledger.plugins.items():
            if record.running is not None:
                try:
                    found[name] = self.stored(name, record.running, plugins)
                except (StoreError, ConfigErrors) as error:
                    self._log.warn("plugin {name}: what ran before cannot be had: {error}", name=name, error=error)
                    # If it runs again, it is stored again.
                    self.lost[name] = self._unkept[name, record.running] = str(error)
        return found

    def tallyOf(self, entry: CatalogEntry) -> Tally:
        """Where it is counted what a version does, also when it comes back."""
        return self.tallies.get((entry.manifest.name, entry.digest)) or Tally()

    @property
    def unwritten(self) -> str:
        """Why what is in force would not outlive a restart; empty if it would."""
        if not self.isWritable:
            return "the state folder cannot be written" if self.ledger != self._onDisk else ""
        return "; ".join([*filter(None, (self._notWritten,)), *dict.fromkeys(self._unkept.values())])

    async def keep(self, plan: Plan) -> None:
        """Store every bundle that is about to run, and those that run and could not be stored before."""
        if not self.isWritable:
            return
        for one in plan.selected:
            bundle, name = one.entry.bundle, one.manifest.name
            if bundle is None:
                continue
            known = self._unkept.get((name, bundle.digest))
            if known is None and self.ledger.get(name).running == bundle.digest:
                continue
            try:
                await self.disk.do(self._state.store.keep, name, bundle)
                self._unkept.pop((name, bundle.digest), None)
            except (StoreError, DiskSilent) as error:
                self._unkept[name, bundle.digest] = str(error)
                if known != str(error):
                    self._isTold = True
                    self._events.add("store-failed", str(error), name, one.entry.label)

    async def record(self, ledger: Ledger, plan: Plan, found: Catalog | None = None) -> None:
        """
        Write down what runs, and let go of versions that are not to be kept. What could not be written before is tried
        again, also if nothing has changed.

        :param ledger: what else is to be remembered.
        :param found: what there is besides; None: that was not looked for.
        """
        await self._record(ledger, plan, found)
        if self._isTold and not self.unwritten:
            self._isTold = False
            self._events.add("written", "all that is in force is written down again")
        self.onRecorded()

    async def _record(self, ledger: Ledger, plan: Plan, found: Catalog | None) -> None:
        ledger, begun = self._withRunning(ledger, plan)
        if found is not None:
            ledger = housed(ledger, plan, found)
        isSame = ledger == self.ledger
        self.ledger = ledger
        if self._unkept:
            running = {(one.manifest.name, one.entry.digest) for one in plan.selected}
            self._unkept = {key: text for key, text in self._unkept.items() if key in running}
            await self.keep(plan)
        if isSame and not self._notWritten:
            return
        if self.isWritable:
            for name in begun:
                await self._prune(name, plan.config.plugins.keepVersions)
            if found is not None:
                await self._forget(found)
            await self._write()
        known = {(name, one.digest) for name, record in self.ledger.plugins.items() for one in record.versions}
        for key in [key for key in self.tallies if key[1] is not None and key not in known]:
            del self.tallies[key]

    async def _prune(self, name: str, count: int) -> None:
        # What the file names outlives a restart, so it must be there: the file may stay as it is.
        kept = self.ledger.toKeep(name, count) | self._onDisk.toKeep(name, 0)
        try:
            gone = await self.disk.do(self._state.store.prune, name, kept)
        except (StoreError, DiskSilent) as error:
            self._events.add("store-failed", str(error), name)
        else:
            self.ledger = self.ledger.forgotten(name, gone)

    async def _forget(self, found: Catalog) -> None:
        """Let go of plugins that are gone for good: folders named by release would fill the disk."""
        broken = {Path(one.source).parent.name for one in found.broken}
        housed = {name for name, record in self.ledger.plugins.items() if record.folder in broken}
        here = {*found.entries, *(one.name for one in found.broken), *housed}
        for name in self.ledger.longGone(here, MAX_GONE)[:FORGOTTEN_AT_ONCE]:
            if not self._onDisk.toKeep(name, 0):
                try:
                    await self.disk.do(self._state.store.prune, name, ())
                except (StoreError, DiskSilent) as error:
                    self._log.warn("plugin {name}: cannot be forgotten: {error}", name=name, error=error)
                    break
                self.ledger = self.ledger.without(name)
                self._log.info("plugin {name}: is gone for long, and forgotten", name=name)

    async def _write(self) -> None:
        path, ledger, before = self._state.ledgerPath, self.ledger, self._notWritten
        try:
            await self.disk.do(writeLedger, path, ledger)
        except OSError as error:
            self._notWritten = f"{path}: cannot be written: {error.strerror or error}"
            if self._notWritten != before:
                self._isTold = True
                self._events.add("store-failed", f"what runs cannot be written down: {self._notWritten}")
        else:
            self._notWritten = ""
            self._onDisk = ledger

    def _withRunning(self, ledger: Ledger, plan: Plan) -> tuple[Ledger, set[str]]:
        begun = set()
        running = {one.manifest.name: one.entry for one in plan.selected if one.entry.digest is not None}
        for name, entry in running.items():
            if entry.digest is not None and ledger.get(name).running != entry.digest:
                ledger = ledger.ran(name, entry.digest, str(entry.manifest.version), self._now())
                begun.add(name)
        for name, record in list(ledger.plugins.items()):
            if record.running is not None and name not in running:
                ledger = ledger.stopped(name, self._now())
        return ledger, begun
