"""
What a version does with recorded requests, and in what that differs from what was recorded.

It runs against what the recording has of origins and of others; nothing is sent anywhere. The version that runs is
made to do the same, if it is there: what it does differently, too, is noise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from revproxy.guardedmiddleware import guardedMiddleware
from revproxy.hostdoubles import HostDouble
from revproxy.interfaces import IHosted, ILifecycle
from revproxy.loading.loader import LoadedBundle
from revproxy.loading.tracebacks import described
from revproxy.loop.waiting import notLonger
from revproxy.plan.catalog import CatalogEntry
from revproxy.proving.differencegroups import DifferenceGroups
from revproxy.proving.loadproof import NotMade, imported, made, read
from revproxy.proving.orders import Order, Report, Subject
from revproxy.proving.recordedcalls import CallsOfOne, callsOf, watchedCalls
from revproxy.replay.corpus import CorpusError, CorpusReader, linesOf
from revproxy.replay.difference import differences
from revproxy.replay.outcome import Outcome
from revproxy.replay.recordedcall import RecordedCall
from revproxy.replay.remake import Remake

TICK: Final = 0.01
"""Seconds between two looks at what a plugin has set in motion besides: timers, and work for threads."""


def replays(order: Order, recording: int | None) -> Report:
    """
    Make all calls of the recording again.

    :param recording: the descriptor that it is read from.
    """
    from twisted.internet import reactor

    results: list[Any] = []
    loop: Any = reactor

    def over(result: Any) -> None:
        results.append(result)
        loop.stop()

    def begin() -> None:
        Deferred.fromCoroutine(_Replay(order, loop).run(recording)).addBoth(over)

    loop.callWhenRunning(begin)
    loop.run(installSignalHandlers=False)
    (result,) = results
    if isinstance(result, Report):
        return result
    return Report((f"the replay failed: {described(result.value)}",))


class Player:
    """
    A version that plays calls again: an instance for each of its configurations, made when it is needed first.
    """

    def __init__(self, subject: Subject, loop: Any, seconds: float) -> None:
        """
        :raises NotMade: it cannot be loaded.
        """
        self._subject = subject
        self._loop = loop
        self._seconds = seconds
        self._entry: CatalogEntry = read(subject)
        self._loaded: LoadedBundle = imported(subject, self._entry)
        self._remakes: dict[int, Remake] = {}
        self._hosts: list[HostDouble] = []
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = loop

    async def play(self, calls: tuple[RecordedCall, ...]) -> tuple[Outcome, ...]:
        """
        Make the calls of one request again.

        :raises NotMade: there can be no instance.
        """
        number = self._subject.routes.get(calls[0].route, 0)
        remake = self._remakes.get(number)
        if remake is None:
            remake = self._remakes[number] = await self._made(self._subject.configs[number])
        return await remake.again(calls)

    def stop(self) -> None:
        """Nothing is set in motion any more."""
        if self._ticking.running:
            self._ticking.stop()

    async def _made(self, config: Mapping[str, Any]) -> Remake:
        subject, entry = self._subject, self._entry
        middleware = made(self._loaded, entry, config)
        may = subject.may()
        limit = entry.manifest.timeoutMs
        remake = Remake(
            guardedMiddleware(middleware, may), subject.name, self._loop,
            self._seconds if limit is None else min(limit / 1000, self._seconds), folder=subject.directory,
        )  # fmt: skip
        if IHosted.providedBy(middleware):
            host = HostDouble(subject.name, str(entry.manifest.version), permissions=may)
            host.clientDouble = remake.client  # type: ignore[assignment]
            self._hosts.append(host)
            await self._step("attach", middleware.attach, host)
        if ILifecycle.providedBy(middleware):
            if self._hosts and not self._ticking.running:
                self._ticking.start(TICK)
            await self._step("start", middleware.start)
        if self._hosts and not self._ticking.running:
            self._ticking.start(TICK)
        return remake

    async def _step(self, name: str, function: Any, *arguments: Any) -> None:
        try:
            answer = function(*arguments)
            if answer is not None:
                waiting = answer if isinstance(answer, Deferred) else Deferred.fromCoroutine(answer)
                await notLonger(waiting, self._seconds, self._loop)
        except Exception as error:  # foreign code
            raise NotMade(f"{self._subject.directory}/plugin.py: {name} raised {described(error)}; "
                          "in a replay nobody can be reached") from None  # fmt: skip

    def _tick(self) -> None:
        for host in self._hosts:
            host.clock.advance(TICK)
            host.work()


class _Replay:
    """One replay."""

    def __init__(self, order: Order, loop: Any) -> None:
        self._order = order
        self._loop = loop
        self._groups = DifferenceGroups()
        self._incomparable: Counter[str] = Counter()
        self._calls = self._replayed = 0

    async def run(self, recording: int | None) -> Report:
        """All of it."""
        order, players = self._order, []
        assert recording is not None
        try:
            candidate = Player(order.candidate, self._loop, order.callSeconds)
            players.append(candidate)
            control = None
            if order.running is not None:
                control = self._control(order.running)
                players += [control] if control is not None else []
            with open(recording, "rb", closefd=False) as file:
                reader = CorpusReader(order.corpus, self._lines(file))
                for calls in callsOf(order.candidate.name, reader):
                    await self._one(calls, candidate, control)
        except (CorpusError, NotMade) as error:
            return self._report((str(error),))
        except OSError as error:
            return self._report((f"{order.corpus}: cannot be read: {error.strerror or error}",))
        finally:
            for player in players:
                player.stop()
        return self._report((), reader.cut)

    def _lines(self, file: Any) -> Any:
        try:
            yield from linesOf(file)
        except CorpusError as error:
            raise CorpusError(str(error).replace(str(file.name), self._order.corpus, 1)) from None

    def _control(self, running: Subject) -> Player | None:
        """
        That the version that runs cannot be had only means that nothing is known of noise. Where it is one that runs in
        a locked process and the candidate is not, this process is none: it is not run here.
        """
        if running.isolation == "process" and self._order.candidate.isolation != "process":
            return None
        try:
            return Player(running, self._loop, self._order.callSeconds)
        except NotMade:
            return None

    async def _one(self, recorded: CallsOfOne, candidate: Player, control: Player | None) -> None:
        """The calls of one request. What looks at redacted fields is held against the control, or nothing."""
        self._calls += len(recorded.calls)
        seen: dict[str, None] = {}
        calls = watchedCalls(recorded.calls, lambda name: seen.setdefault(name))
        does = await candidate.play(calls)
        did = None if control is None else await control.play(calls)
        before = recorded.outcomes
        why = recorded.incomparable or _whyNot(does)
        if not why and seen:
            if did is None or _whyNot(did):
                why = f"it looks at what was redacted: {', '.join(sorted(seen))}"
            else:
                before, did = did, None
        if why:
            self._incomparable[why] += len(recorded.calls)
            return
        self._replayed += len(recorded.calls)
        noise = () if did is None or _whyNot(did) else differences(before, did)
        self._groups.add(recorded.title, differences(before, does), noise)

    def _report(self, problems: tuple[str, ...], cut: str = "") -> Report:
        return Report(
            problems, 0, self._calls, self._replayed, dict(self._incomparable), self._groups.counts(),
            self._groups.unnamed, cut,
        )  # fmt: skip


def _whyNot(outcomes: tuple[Outcome, ...]) -> str:
    return next((each.incomparable for each in outcomes if each.incomparable), "")


__all__ = ["Player", "replays"]
