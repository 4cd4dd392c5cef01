"""
What the edge remembers of its plugins: their records, the store of versions, and what each version has counted.

Where the state folder cannot be written, all this lasts as long as the process. A disk that fails is an event, and no
reason not to go on: what is in force and could not be written is tried again with each change, every minute, and once
more at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.bundles.versionstore import StoreError
from revproxy.config.problems import ConfigErrors
from revproxy.control.state.directory import StateFolder
from revproxy.control.state.recordfile import writeRecords
from revproxy.control.state.records import PluginRecords, VersionRecord
from revproxy.control.state.servicetimes import ServiceTimes
from revproxy.control.state.totals import Totals
from revproxy.loop.jobthread import DiskSilent, JobThread
from revproxy.plan.catalog import BrokenPlugin, Catalog, CatalogEntry, entryOf
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan

MAX_GONE = 100
"""How many plugins that are gone are remembered, with their versions: the last ones."""

FORGOTTEN_AT_ONCE = 20
"""How many are forgotten with one change, which waits for that."""

RETRY_INTERVAL = 60.0
"""Seconds between two tries to write what could not be written."""


class StateKeeper:
    """
    What one edge remembers.

    :ivar records: what is remembered; assigned by :meth:`record`.
    :ivar totals: what each version did; of those that run, and those that are remembered.
    :ivar lost: by name, why what ran when the edge ended cannot be had.
    :ivar isWritable: whether the state folder is ours, and can be written.
    :ivar disk: what writes it.
    """

    _log = Logger()

    def __init__(
        self,
        state: StateFolder,
        records: PluginRecords,
        events: EventLog,
        clock: Any,
        inThread: Callable[..., Deferred[Any]],
        inTurn: Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]],
    ) -> None:
        """
        :param clock: provides `IReactorTime`, in seconds since the epoch.
        :param inThread: runs a function, with arguments, in a thread.
        :param inTurn: does something while no change is made.
        """
        self.records = records
        self.totals = Totals()
        self.lost: dict[str, str] = {}
        self.isWritable = False
        self.disk = JobThread(clock, inThread)
        # Of what runs: the tests that were seen last, and are stored.
        self._tests: dict[tuple[str, str], Mapping[str, bytes]] = {}
        # Why, for each bundle that runs and is not stored.
        self._unkept: dict[tuple[str, str], str] = {}
        self._notWritten = ""
        self._isTold = False
        self._onDisk = records
        self._plan: Plan | None = None
        self._retry: IDelayedCall | None = None
        self._ended = False
        self._clock = clock
        self._state = state
        self._events = events
        self._now = clock.seconds
        self._inTurn = inTurn
        self._times = ServiceTimes(clock, self.totals, lambda: inTurn(self._count()))

    def stored(self, name: str, digest: str, plugins: Path | None) -> CatalogEntry:
        """
        A version that was kept. Blocks.

        :param plugins: the folder of plugins, for messages: there it would be in its own folder.
        :raises StoreError: it is not there, or damaged.
        :raises ConfigErrors: this version of revproxy does not take its manifest.
        """
        folder = None if plugins is None else plugins / (self.records.get(name).folder or name)
        bundle = self._state.store.read(name, digest, folder)
        entry = entryOf(bundle, str(bundle.directory / "plugin.json"))
        if isinstance(entry, BrokenPlugin):
            raise ConfigErrors(entry.problems)
        if entry.manifest.name != name:
            raise StoreError(
                f"{entry.source}: what is stored for {name} is {entry.manifest.name}: somebody else has written in the "
                "state folder; take another version"
            )
        return entry

    def ranBefore(self, plugins: Path | None) -> dict[str, CatalogEntry]:
        """What ran when the edge ended. Blocks."""
        found = {}
        for name, record in self.records.plugins.items():
            if record.running is not None:
                try:
                    found[name] = self.stored(name, record.running, plugins)
                except (StoreError, ConfigErrors) as error:
                    self._log.warn("plugin {name}: what ran before cannot be had: {error}", name=name, error=error)
                    # If it runs again, it is stored again.
                    self.lost[name] = self._unkept[name, record.running] = str(error)
        return found

    async def firstStored(
        self,
        name: str,
        versions: Iterable[VersionRecord],
        whyNot: Callable[[CatalogEntry], str] = lambda entry: "",
    ) -> VersionRecord | None:
        """
        The first of these versions that can be had from the store, whole; None if none can.

        :param whyNot: why a version may not run; empty if it may. Asked in a thread, for it reads every byte.
        """
        for version in versions:
            try:
                why = await self.disk.do(self._whyNot, name, version.digest, whyNot)
            except DiskSilent:
                return None
            except (StoreError, ConfigErrors, OSError) as error:
                self._log.warn("plugin {name}: {version} is not gone back to: {error}", name=name, version=version.id,
                               error=error)
            else:
                if not why:
                    return version
                self._log.warn("plugin {name}: {version} is not gone back to: {why}", name=name, version=version.id,
                               why=why)
        return None

    def _whyNot(self, name: str, digest: str, whyNot: Callable[[CatalogEntry], str]) -> str:
        return whyNot(self.stored(name, digest, None))

    @property
    def unwritten(self) -> str:
        """Why what is in force would not outlive a restart; empty if it would."""
        if not self.isWritable:
            return "the state folder cannot be written" if self.records != self._onDisk else ""
        return "; ".join([*filter(None, (self._notWritten,)), *dict.fromkeys(self._unkept.values())])

    async def keep(self, plan: Plan) -> None:
        """Store every bundle that is about to run, and those that run and could not be stored before."""
        for plugin in plan.selected:
            await self._keep(plugin.name, plugin.entry)
        for _, candidate in plan.candidates():
            await self._keep(candidate.name, candidate.entry)

    async def _keep(self, name: str, entry: CatalogEntry) -> None:
        bundle = entry.bundle
        if bundle is None or not self.isWritable:
            return
        known = self._unkept.get((name, bundle.digest))
        if known is None and self._isKept(name, bundle.digest):
            return
        try:
            await self._do(self._state.store.keep, name, bundle)
            self._unkept.pop((name, bundle.digest), None)
        except (StoreError, OSError) as error:
            self._unkept[name, bundle.digest] = str(error)
            if known != str(error):
                self._isTold = True
                self._events.add("store-failed", str(error), name, entry.version)

    def _isKept(self, name: str, digest: str) -> bool:
        """Whether a bundle was stored when it began to run, or to be tried."""
        record = self.records.get(name)
        known = record.find(digest)
        return record.running == digest or (known is not None and _isGoing(known))

    async def keepCandidate(self, name: str, entry: CatalogEntry) -> None:
        """Store a version that is about to be tried, with its tests."""
        await self._keep(name, entry)
        await self._keepTestsOf(name, entry)

    async def _keepTestsOf(self, name: str, entry: CatalogEntry) -> None:
        bundle = entry.bundle
        if bundle is not None and bundle.tests and self.isWritable:
            try:
                await self._do(self._state.store.keepTests, name, bundle.digest, bundle.tests)
            except (StoreError, OSError) as error:
                self._log.warn("plugin {name}: its tests are not kept: {error}", name=name, error=error)

    async def keepSignature(self, name: str, digest: str, signature: Mapping[str, bytes]) -> None:
        """Keep this signature, which was verified, with a version that runs, instead of the one there is."""
        if self.isWritable:
            try:
                await self._do(self._state.store.keepSignature, name, digest, signature)
            except (StoreError, OSError) as error:
                self._log.warn("plugin {name}: its new signature is not kept: {error}", name=name, error=error)

    async def record(self, records: PluginRecords, plan: Plan, found: Catalog | None = None) -> None:
        """
        Write down what runs, and let go of versions that are not to be kept. What could not be written before is tried
        again, also if nothing has changed.

        :param records: what else is to be remembered.
        :param found: what there is besides; None: that was not looked for.
        """
        await self._record(records, plan, found)
        if self._isTold and not self.unwritten:
            self._isTold = False
            self._events.add("written", "all that is in force is written down again")
        self._retryLater()

    async def _record(self, records: PluginRecords, plan: Plan, found: Catalog | None) -> None:
        self._plan = plan
        self._times.begin()
        records, begun = self._withRunning(records, plan)
        if found is not None:
            records = _foundIn(records, plan, found)
        isSame = records == self.records
        self.records = records
        if self._unkept:
            running = _serving(plan, self.records)
            self._unkept = {key: text for key, text in self._unkept.items() if key in running}
            await self.keep(plan)
        if self.isWritable and found is not None:
            await self._keepTests(plan, found)
        if isSame and not self._notWritten:
            return
        if self.isWritable:
            for name in begun:
                await self._prune(name, plan.config.plugins.keepVersions)
            if found is not None:
                await self._forget(found, plan)
            await self._write()
        plugins = self.records.plugins.items()
        self.totals.keepOnly({(name, known.digest) for name, record in plugins for known in record.versions})

    async def _keepTests(self, plan: Plan, found: Catalog) -> None:
        """Those in the folders of what runs, where they are others than before."""
        before, self._tests = self._tests, {}
        for plugin in plan.selected:
            present, name = found.entries.get(plugin.name), plugin.name
            if present is None or present.bundle is None or present.digest != plugin.entry.digest:
                continue
            key, tests = (name, present.bundle.digest), present.bundle.tests
            if before.get(key) is not tests and key not in self._unkept:
                try:
                    await self._do(self._state.store.keepTests, name, present.bundle.digest, tests)
                except (StoreError, OSError) as error:
                    self._log.warn("plugin {name}: its tests are not kept: {error}", name=name, error=error)
                    continue
            self._tests[key] = tests

    async def _prune(self, name: str, count: int) -> None:
        store = self._state.store
        try:
            # What somebody else has removed takes no room from what is there.
            record, stored = self.records.get(name), await self._do(store.digests, name)
            staying = {*stored, record.running, None if record.pin is None else record.pin.digest}
            lost = {version.digest for version in record.versions if version.digest not in staying}
            self.records = self.records.forgotten(name, lost)
            # What the file names outlives a restart, so it must be there: the file may stay as it is.
            kept = self.records.toKeep(name, count) | self._onDisk.toKeep(name, 0)
            gone = await self._do(store.prune, name, kept)
        except (StoreError, OSError) as error:
            self._events.add("store-failed", str(error), name)
        else:
            self.records = self.records.forgotten(name, gone)

    async def _forget(self, found: Catalog, plan: Plan) -> None:
        """Let go of plugins that are gone for good: folders named by release would fill the disk."""
        folders = {Path(broken.source).parent.name for broken in found.broken}
        owners = {name for name, record in self.records.plugins.items() if record.folder in folders}
        here = {*found.entries, *(broken.name for broken in found.broken), *owners}
        here |= plan.config.plugins.config.keys()  # that such a one is off must stay no mistake
        for name in self.records.longGone(here, MAX_GONE)[:FORGOTTEN_AT_ONCE]:
            if not self._onDisk.toKeep(name, 0):
                try:
                    await self._do(self._state.store.prune, name, ())
                    await self._do(self._state.forgetStore, name)
                except (StoreError, OSError) as error:
                    self._log.warn("plugin {name}: cannot be forgotten: {error}", name=name, error=error)
                    break
                self.records = self.records.without(name)
                self._log.info("plugin {name}: is gone for long, and forgotten", name=name)

    async def _write(self) -> None:
        path, records, before = self._state.recordsPath, self.records, self._notWritten
        try:
            await self._do(writeRecords, path, records)
        except OSError as error:
            self._notWritten = f"{path}: cannot be written: {error.strerror or error}"
            if self._notWritten != before:
                self._isTold = True
                self._events.add("store-failed", f"what runs cannot be written down: {self._notWritten}")
        else:
            self._notWritten = ""
            self._onDisk = records

    async def _do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Write in the state folder; as of a `JobThread`. :raises OSError: it is not ours any more."""
        return await self.disk.do(self._state.guarded, function, *arguments)

    def _withRunning(self, records: PluginRecords, plan: Plan) -> tuple[PluginRecords, set[str]]:
        begun = set()
        running = {plugin.name: plugin.entry for plugin in plan.selected if plugin.entry.digest is not None}
        for name, entry in running.items():
            if entry.digest is not None and records.get(name).running != entry.digest:
                records = records.ran(name, entry.digest, str(entry.manifest.version), self._now())
                begun.add(name)
            records = records.requiring(name, name in plan.required)
        for name, record in list(records.plugins.items()):
            if record.running is not None and name not in running:
                records = records.stopped(name, self._now(), _whyEnded(name, plan))
        return records, begun

    # What could not be written

    @property
    def written(self) -> tuple[str, ...]:
        """What has to be in the state folder, as paths below it."""
        if not self._onDisk.plugins:
            return ()
        running = [(name, record.running) for name, record in self._onDisk.plugins.items()]
        running += [(name, known.digest) for name, record in self._onDisk.plugins.items() for known in record.versions
                    if _isGoing(known)]
        versions = [f"versions/{name}/{digest}" for name, digest in running if digest and (name, digest) not in
                    self._unkept]
        return self._state.recordsPath.name, *versions

    async def restore(self) -> None:
        """The state folder was deleted, or a part of it: write all anew that is known. No change is made meanwhile."""
        if self._plan is None:
            return
        running = _serving(self._plan, self.records)
        records = self.records
        for name, record in self.records.plugins.items():
            gone = [known.digest for known in record.versions if not await self._isStored(name, known.digest)]
            lost = [digest for digest in gone if (name, digest) not in running]
            records = records.forgotten(name, lost)
            self._unkept.update({(name, digest): "was deleted" for digest in gone if digest not in lost})
        self._notWritten = f"{self._state.recordsPath}: was deleted"
        self._onDisk = PluginRecords()
        self._tests.clear()
        await self.record(records, self._plan)

    async def _isStored(self, name: str, digest: str) -> bool:
        """What cannot be looked at now is not known to be gone."""
        try:
            return digest in await self.disk.do(self._state.store.digests, name)
        except (StoreError, OSError):
            return True

    async def catchUp(self) -> None:
        """Try once more to write what could not be written. No change is made meanwhile."""
        if self._plan is not None and self.isWritable and self.unwritten:
            await self.record(self.records, self._plan)

    async def _count(self) -> None:
        """Write it down at once when one has proved itself; the rest, with the next change, and at the end."""
        if self._plan is None:
            return
        before, self.records = self.records, self._times.counted(self.records, self._plan)
        if self.isWritable and _provenIn(self.records) != _provenIn(before):
            await self._write()

    async def end(self) -> None:
        """The last try."""
        self._times.end()
        if self.isWritable and self.records != self._onDisk and not self._notWritten:
            await self._write()
        self._ended = True
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        await self.catchUp()

    def _retryLater(self) -> None:
        if self._retry is None and self.isWritable and self.unwritten and not self._ended:
            self._retry = self._clock.callLater(RETRY_INTERVAL, self._tryAgain)

    def _tryAgain(self) -> None:
        self._retry = None
        trying = Deferred.fromCoroutine(self._inTurn(self.catchUp()))
        trying.addErrback(lambda failure: self._log.failure("writing what could not be written", failure))


def _isGoing(known: VersionRecord) -> bool:
    """Whether a version is being tried."""
    return known.trial is not None and known.trial.state == "going"


def _serving(plan: Plan, records: PluginRecords) -> set[tuple[str, str | None]]:
    """Names and digests of what runs, and of what is being tried."""
    running = {(plugin.name, plugin.entry.digest) for plugin in plan.selected if plugin.entry.bundle}
    tried = {(name, known.digest) for name, record in records.plugins.items() for known in record.versions
             if _isGoing(known)}
    return running | tried


def _whyEnded(name: str, plan: Plan) -> str:
    """Why a plugin that ran does not run under a plan."""
    if plan.switches.get(name) is False:
        return f"revproxy disable {name}"
    if name not in plan.entries:
        return "its folder is gone"
    return "off by revproxy.yaml or its plugin.json"


def _foundIn(records: PluginRecords, plan: Plan, found: Catalog) -> PluginRecords:
    """What is remembered, with the folders of what runs."""
    for plugin in plan.selected:
        present = found.entries.get(plugin.name)
        if present is not None and present.bundle is not None and present.digest == plugin.entry.digest:
            records = records.foundIn(plugin.name, present.bundle.directory.name)
    return records


def _provenIn(records: PluginRecords) -> set[tuple[str, str]]:
    return {
        (name, version.digest)
        for name, record in records.plugins.items()
        for version in record.versions
        if version.isProven
    }
