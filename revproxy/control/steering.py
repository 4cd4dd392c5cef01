"""
Carries out the commands that a running edge takes: ``revproxy plugins``, ``rollback`` and so on.

Whoever brings them (the control socket, later an HTTP API) adds nothing to them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import asdict
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.config.problems import quoted, suggestion
from revproxy.control.changes import ChangeRefused, ChangeReport, ChangeRequest
from revproxy.control.commands import TEXT_LIMIT, CommandError, NotThere, checkArguments
from revproxy.control.coordinator import Coordinator
from revproxy.control.state.records import Pin, PluginRecord, PluginRecords, VersionRecord
from revproxy.plan.catalog import Catalog, CatalogEntry, Entries
from revproxy.plan.events import Event
from revproxy.plan.refusal import Refusal
from revproxy.plan.versionid import UNKNOWN
from revproxy.plan.words import LastFailure, ThreadFigures, VersionCounters

_CHANGES = frozenset(("loaded", "replaced", "removed", "configured"))
"""The kinds of events that say that something has changed."""

ANSWERED = 0.8
"""Seconds after which a rescue is answered, whatever it waits for."""

_SEARCHED = 100
"""Among so many of the latest events the last change is searched for."""

_RECENT = 10.0
"""Seconds that a change is still told of to whoever asks for it again."""

_ONE_CHANGE = 0.1
"""Seconds between the events of one transaction, at most."""


class Steering:
    """
    The commands of one edge; see :class:`revproxy.control.commands.Commands`.

    The methods behind them have the command's name with an underscore before it, and the command's arguments.
    """

    _log = Logger()

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._calls: dict[str, Callable[..., Awaitable[Any]]] = {
            "plugins": self._plugins,
            "events": self._events,
            "plan": self._plan,
            "configuration": self._configuration,
            "reload": self._reload,
            "rollback": self._rollback,
            "pin": self._pin,
            "unpin": self._unpin,
            "enable": self._enable,
            "disable": self._disable,
        }

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """:raises CommandError: there is no such command or argument, or it cannot be done; the text says why."""
        call = self._calls.get(name)
        if call is None:
            raise CommandError(f"no call named {quoted(name)}{suggestion(name[:TEXT_LIMIT], self._calls)}")
        checkArguments(name, call, arguments)
        return await call(**arguments)

    # What only shows

    async def _plugins(self, name: str | None = None, removed: bool = False) -> list[dict[str, Any]]:
        coordinator = self._coordinator
        names = {*coordinator.catalog.entries, *(failed for failed in coordinator.refused if failed)}
        names |= {known for known, record in coordinator.records.plugins.items() if record.pin or record.running}
        if coordinator.shown is not None:
            names |= {plugin.name for plugin in coordinator.shown.selected}
        known = names | coordinator.records.plugins.keys()
        if removed:
            names = known
        if name is not None and name not in known:
            raise NotThere(f"no plugin named {quoted(name)}{suggestion(name, names)}")
        await coordinator.crew.ask()
        if name is None:
            return [self._status(wanted) for wanted in sorted(names)]
        return [{**self._status(name), "figures": coordinator.keeper.totals.figures.of(name)}]

    def _status(self, name: str) -> dict[str, Any]:
        coordinator = self._coordinator
        record = coordinator.records.get(name)
        plan, totals = coordinator.shown, coordinator.keeper.totals
        runs = plan is not None and plan.find(name) is not None
        entry = None if plan is None else plan.entries.get(name)
        entry = entry or coordinator.catalog.entries.get(name)
        last = record.versions[-1].id if entry is None and record.versions else UNKNOWN
        refusal = coordinator.refused.of(name)
        digest = last.digest if entry is None else entry.digest
        figures = totals.of(name, digest) if runs else VersionCounters(name, UNKNOWN)
        return {
            "name": name,
            "origin": "directory" if entry is None else entry.origin,
            "version": last.number if entry is None else entry.version.number,
            "digest": digest,
            "state": self._stateOf(name, runs, entry, refusal),
            "pinned": _pinned(record),
            "removed_at": record.endedAt if entry is None else None,
            "removed_because": record.endedBecause if entry is None else None,
            "required": plan is not None and name in {*plan.required, *plan.missing},
            "calls": figures.calls,
            "errors": figures.errors,
            "timeouts": figures.timeouts,
            "interrupts": figures.interrupts,
            "stalls": figures.stalls,
            "self_seconds": figures.seconds,
            "generations_alive": runs + totals.retired(name),
            "threads": _threads(totals.threads(name)),
            "failure": None if refusal is None else _failure(coordinator.refused.at(name), refusal),
            "last_failure": _lastFailure(totals.lastFailure(name, digest)),
            "versions": [self._kept(name, kept, runs and kept.digest == digest) for kept in record.versions],
        }

    def _kept(self, name: str, kept: VersionRecord, runs: bool) -> dict[str, Any]:
        """One version of those that the store has of a plugin."""
        totals = self._coordinator.keeper.totals
        counted = totals.of(name, kept.digest)
        return {
            "version": kept.version,
            "digest": kept.digest,
            "ran_at": kept.ranAt,
            "running": runs,
            "quarantined": kept.quarantined,
            "calls": counted.calls,
            "errors": counted.errors,
            "last_failure": _lastFailure(totals.lastFailure(name, kept.digest)),
        }

    def _stateOf(self, name: str, running: bool, entry: CatalogEntry | None, refusal: Refusal | None) -> str:
        if running:
            return "quarantined" if self._coordinator.keeper.totals.isGated(name) else "running"
        if refusal is not None and self._coordinator.records.get(name).enabled is not False:
            return "failed"
        return "removed" if entry is None else "off"

    async def _events(self, count: int = 20) -> list[dict[str, Any]]:
        return [event.asDict() for event in self._coordinator.events.latest(count)]

    async def _configuration(self) -> dict[str, Any]:
        refused = self._coordinator.refused
        refusal = refused.of("")
        failure = None if refusal is None else _failure(refused.at(""), refusal)
        return {"source": self._coordinator.config.source, "failure": failure}

    async def _plan(self) -> dict[str, Any]:
        plan = self._coordinator.shown
        return {} if plan is None else plan.describe()

    # What changes something

    async def _reload(self, without_state: bool = False) -> dict[str, Any]:
        return await self._apply(ChangeRequest(force=True, reads=True, withoutState=without_state))

    async def _rollback(self, name: str, version: str | None = None) -> dict[str, Any]:
        self._directoryPlugin(name)
        self._asked("rollback", name, version)
        making = self._goBack(name, version)
        return await self._told(making, f"{name}: pinned until its folder has something new", name, True)

    async def _goBack(self, name: str, version: str | None) -> ChangeReport:
        target, left = (version, ()) if version is not None else await self._earlierGood(name)
        change = ChangeRequest(name, self._pinning(name, target, "rollback", left), withoutState=True, isRescue=True)
        return await self._coordinator.apply(change)

    async def _pin(self, name: str, version: str | None = None) -> dict[str, Any]:
        self._directoryPlugin(name)
        self._asked("pin", name, version)
        change = ChangeRequest(name, self._pinning(name, version, "user"), isRescue=True)
        return await self._apply(change, f"{name}: pinned")

    async def _unpin(self, name: str) -> dict[str, Any]:
        self._known(name)
        if self._coordinator.records.get(name).pin is None:
            raise CommandError(f"{name} is not pinned")
        change = ChangeRequest(name, lambda records, found: records.unpinned(name), force=True)
        self._asked("unpin", name)
        return await self._apply(change, f"{name}: not pinned any more; it follows its folder")

    async def _enable(self, name: str) -> dict[str, Any]:
        return await self._switch(name, True)

    async def _disable(self, name: str) -> dict[str, Any]:
        return await self._switch(name, False)

    async def _switch(self, name: str, on: bool) -> dict[str, Any]:
        self._known(name)
        coordinator, last = self._coordinator, None
        if on and not self._isThere(name, coordinator.catalog):
            good = coordinator.records.goodBefore(name, "")
            # If none can be had, what is said of the first of them says why.
            last = await coordinator.keeper.firstStored(name, good) or next(iter(good), None)

        def mutate(records: PluginRecords, found: Catalog) -> PluginRecords:
            if on and not self._isThere(name, found):
                records = _broughtBack(records, name, last)
            return records.switched(name, on)

        change = ChangeRequest(name, mutate, force=on, isRescue=not on)
        self._asked("enable" if on else "disable", name)
        return await self._apply(change, f"{name}: switched {'on' if on else 'off'}")

    def _asked(self, command: str, name: str, version: str | None = None) -> None:
        """Add an event: the events show what somebody asked for, and what came from the files."""
        shown = None if version is None else _version(version)
        self._coordinator.events.add("asked", " ".join(filter(None, ("revproxy", command, name, shown))), name)

    async def _earlierGood(self, name: str) -> tuple[str, tuple[str, ...]]:
        """
        The digest of the version that ran before, was not taken out, and is stored; and those that were gone back from.

        :raises CommandError: there is none.
        """
        record = self._coordinator.records.get(name)
        # The versions that rollbacks have gone back from do not count: another rollback goes further back.
        pin, running = record.pin, record.running or ""
        left = (*pin.left, pin.against or "") if pin is not None and pin.by == "rollback" else ()
        candidates = self._coordinator.records.forgotten(name, left).goodBefore(name, running)
        good = await self._coordinator.keeper.firstStored(name, candidates)
        if good is None:
            lost = f", for what ran before is not stored: {', '.join(str(one.id) for one in candidates)}"
            raise CommandError(f"{name} has no earlier version to go back to{lost if candidates else ''}; name one: "
                                f"`revproxy plugins {name}` lists them")
        return good.digest, (*left, running)

    def _pinning(self, name: str, wanted: str | None, by: str, left: tuple[str, ...] = ()) -> Any:
        def mutate(records: PluginRecords, found: Catalog) -> PluginRecords:
            target = _target(records, name, wanted)
            against = _digestIn(found, name, records.get(name))
            if by == "rollback":
                records = records.cleared(name, target.digest)
            return records.pinned(name, Pin(target.digest, by, against, left))  # type: ignore[arg-type]

        return mutate

    async def _apply(self, change: ChangeRequest, done: str = "") -> dict[str, Any]:
        """:param done: what to say when it succeeds, before what it has changed."""
        return await self._told(self._coordinator.apply(change), done, change.plugin, change.isRescue)

    async def _told(
        self, change: Coroutine[Any, Any, ChangeReport], done: str, name: str, isRescue: bool
    ) -> dict[str, Any]:
        """
        Make a change and tell what came of it.

        Refusals that concern other plugins than the change are in the events, and no failure of the command.

        :param name: of the plugin it is about; empty: all.
        """
        subscribers = self._coordinator.events.subscribers
        happened: list[Event] = []
        subscribers.append(hear := happened.append)
        try:
            report = await self._made(change, happened, name if isRescue else "")
        except ChangeRefused as refused:
            return {"text": [], "refused": [_refused(refusal) for refusal in refused.refusals]}
        except CommandError as error:  # of this there is no other event
            self._coordinator.events.add("refused", str(error), name)
            raise
        finally:
            subscribers.remove(hear)
        isDone = done and not (isRescue and any(refusal.stage == "late" for refusal in report.refused))
        text = [done, *report.text] if isDone else list(report.text)
        answers = [_refused(refusal) for refusal in report.refused if name in ("", refusal.plugin)]
        if not name:
            texts = [event.text for event in happened if event.kind == "certificate-refused"]
            answers += [{"plugin": "", "stage": "listen", "message": text} for text in texts]
        if report.unwritten:
            message = f"in force, but not written down: {report.unwritten}; lost with a restart until it can be"
            answers.append({"plugin": "", "stage": "state", "message": message})
        return {"text": text or ([] if answers else [self._nothing()]), "refused": answers}

    def _made(
        self, change: Coroutine[Any, Any, ChangeReport], happened: list[Event], rescued: str
    ) -> Deferred[ChangeReport]:
        """
        Make a change; but whoever asks for a rescue hears after :data:`ANSWERED` how far it is, and it goes on.

        :param happened: events since it was asked for.
        :param rescued: the plugin's name, if it is one.
        """
        making = Deferred.fromCoroutine(change)
        if not rescued:
            return making
        answer: Deferred[ChangeReport] = Deferred()
        late = self._coordinator.callLater(ANSWERED, lambda: answer.callback(_underWay(rescued, happened)))

        def over(result: Any) -> None:
            if late.active():
                late.cancel()
                answer.callback(result)  # a Failure goes on as one
            elif isinstance(result, Failure) and result.check(CommandError):
                self._coordinator.events.add("refused", str(result.value), rescued)
            elif isinstance(result, Failure) and not result.check(ChangeRefused):  # of which there is an event
                self._log.failure("a change that was asked for", result)

        making.addBoth(over)
        return answer

    def _nothing(self) -> str:
        """Say that nothing had to change; and, as files are watched, which change somebody may have just missed."""
        text = "nothing had to change"
        changes = [event for event in self._coordinator.events.latest(_SEARCHED) if event.kind in _CHANGES]
        if not changes or self._coordinator.now() - changes[-1].at > _RECENT:
            return text
        last = [event for event in changes if changes[-1].at - event.at < _ONE_CHANGE]
        at = datetime.fromtimestamp(last[-1].at).strftime("%H:%M:%S")
        told = "; ".join(f"{event.plugin}: {event.text}" if event.plugin else event.text for event in last)
        return f"{text}; the last change was at {at}: {told}"

    def _known(self, name: str) -> CatalogEntry | None:
        """
        The entry of a plugin in the catalog, if it has one.

        :raises CommandError: there is no such plugin.
        """
        coordinator = self._coordinator
        current: Entries = {} if coordinator.shown is None else coordinator.shown.entries
        known = {*current, *coordinator.catalog.entries, *coordinator.records.plugins, *coordinator.refused} - {""}
        if name not in known:
            raise NotThere(f"no plugin named {quoted(name)}{suggestion(name, known)}")
        return current.get(name) or coordinator.catalog.entries.get(name)

    def _isThere(self, name: str, found: Catalog) -> bool:
        """Whether a folder, or what runs, has a version of a plugin, or it is pinned to one."""
        coordinator = self._coordinator
        runs = coordinator.plan is not None and name in coordinator.plan.entries
        isBroken = any(broken.name == name for broken in found.broken)
        return runs or isBroken or name in found.entries or coordinator.records.get(name).pin is not None

    def _directoryPlugin(self, name: str) -> None:
        """:raises CommandError: there is no such plugin, or it has no versions because it is installed with Python."""
        entry = self._known(name)
        if entry is not None and entry.origin != "directory":
            raise CommandError(f"{name} is installed with Python ({entry.source}) and has no versions here; use pip")


def _version(text: str) -> str:
    """A version as it was given, if it can be shown so."""
    return text if text.isprintable() else quoted(text)


def _digestIn(found: Catalog, name: str, record: PluginRecord) -> str | None:
    """
    Of what a plugin's folder has. Where that cannot be read now, of what it had when it could: it must not seem to be
    something new once it is there again.
    """
    present = found.entries.get(name)
    if present is not None:
        return present.digest
    broken = next((plugin for plugin in found.broken if plugin.name == name), None)
    if broken is not None and broken.digest is not None:
        return broken.digest
    pin = record.pin
    return pin.against if pin is not None and pin.by != "user" else record.running


def _target(records: PluginRecords, name: str, wanted: str | None) -> VersionRecord:
    """
    The version that is meant by a number, by the beginning of a digest, or by none.

    :raises CommandError: there is none, or more than one.
    """
    record = records.get(name)
    if wanted is None:
        running = None if record.running is None else record.find(record.running)
        if running is None:
            raise CommandError(f"{name} does not run; say which version")
        return running
    exact = [kept for kept in record.versions if kept.version == wanted]
    prefixed = [kept for kept in record.versions if len(wanted) >= 4 and kept.digest.startswith(wanted)]
    found = exact or prefixed
    if len(found) != 1:
        known = ", ".join(str(kept.id) for kept in record.versions) or "none"
        if len(exact) > 1:
            problem = "several versions have this number, name one by its digest"
        else:
            problem = "several versions begin so" if found else "no such version"
        raise CommandError(f"{name}: {_version(wanted)}: {problem}; kept are: {known}")
    return found[0]


def _broughtBack(records: PluginRecords, name: str, last: VersionRecord | None) -> PluginRecords:
    """
    A plugin without a folder, with what ran last and was well.

    :param last: that, if there is any.
    :raises CommandError: there is nothing of it.
    """
    if last is None:
        raise CommandError(f"{name} has no folder, and no version of it is kept; copy its folder back")
    return records.pinned(name, Pin(last.digest, "rollback"))


def _pinned(record: PluginRecord) -> dict[str, Any] | None:
    if record.pin is None:
        return None
    known = record.find(record.pin.digest)
    return {"version": known.version if known else "", "digest": record.pin.digest, "by": record.pin.by}


def _failure(at: float, refusal: Refusal) -> dict[str, Any]:
    return {
        "at": at,
        "stage": refusal.stage,
        "version": refusal.version.number,
        "digest": refusal.digest,
        "message": refusal.message,
        "traceback": refusal.traceback,
    }


def _threads(figures: ThreadFigures | None) -> dict[str, int] | None:
    if figures is None:
        return None
    names = ("most", "busy", "queued", "rejected", "left")
    return {name: getattr(figures, name) for name in names}


def _lastFailure(failure: LastFailure | None) -> dict[str, Any] | None:
    return None if failure is None else asdict(failure)


def _underWay(name: str, happened: Iterable[Event]) -> ChangeReport:
    """What is told of a change that takes longer."""
    if any(event.plugin == name and event.kind in _CHANGES for event in happened):
        return ChangeReport(unwritten="the disk has not answered yet")
    text = f"not done within {ANSWERED:g} s: it goes on, and `revproxy events` tells how it ends"
    return ChangeReport((), (Refusal(name, "late", text),))


def _refused(refusal: Refusal) -> dict[str, Any]:
    return {"plugin": refusal.plugin, "stage": refusal.stage, "message": refusal.message}


__all__ = ["Steering"]
