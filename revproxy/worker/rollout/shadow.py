"""
What the other version would have done: for a sample of requests, after the real answer is on its way.

Both versions of a plugin on trial are loaded anew, each as a *copy*, and do again, in an order by chance, what the
plugin was asked of the request: the one that has served it (so it is known what is noise), and the other one. One pair
is made at a time, of what waits in a short queue, and each part of it has a turn of the loop to itself: who asks
meanwhile waits for no more than that. There is little time for it, and none where the loop has too much to do: then
requests are not even taken down, and are counted as dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from random import random
from time import perf_counter
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from revproxy.context import Context
from revproxy.dataplane.fork import Standings, Tap
from revproxy.plan.catalog import Selected
from revproxy.plan.evidence import TrialPairs
from revproxy.plan.plan import Plan
from revproxy.plan.trial import Trial
from revproxy.replay.capture import Capture
from revproxy.replay.remake import Remake
from revproxy.worker.lifecycle.instance import Instance, Version, configKey
from revproxy.worker.rollout.pairtally import PairTally
from revproxy.worker.rollout.shadowbudget import ShadowBudget
from revproxy.worker.rollout.shadowcopy import CopyParts, ShadowCopy
from revproxy.worker.rollout.takendown import TakenRequest

MOST_WAITING: Final = 64
"""Requests that wait to be tried."""

WAIT: Final = 0.05
"""Seconds until it is looked again whether there is time."""

TAKING: Final = 100e-6
"""Seconds that it takes to take down a request, about."""

MOST_OF_OURS: Final = 0.001
"""Seconds of the edge's own work on a pair."""

OFF_THERE = "the other version is not on this route"
OTHER_VERSION = "it was served by neither of the two versions"

_Keyed = tuple[str, Mapping[str, Any]]
"""A configuration after its `configKey`."""


class _Plugin:
    """
    A plugin on trial.

    :ivar running: a copy of what runs, and ``candidate``: of the other.
    """

    def __init__(self, running: ShadowCopy, candidate: ShadowCopy) -> None:
        self.running = running
        self.candidate = candidate
        self._others: tuple[dict[str, _Keyed], dict[str, _Keyed]] = ({}, {})

    def isOf(self, running: Selected, candidate: Selected) -> bool:
        """Whether these are the versions."""
        return self.running.isOf(running) and self.candidate.isOf(candidate)

    def adopt(self, running: Selected, candidate: Selected, groups: int) -> None:
        """Its configurations on the routes of these many groups."""
        there: dict[str, _Keyed] = {}
        back: dict[str, _Keyed] = {}
        seen: set[tuple[int, int]] = set()
        for group in range(groups):
            mine, its = running.configFor(group), candidate.configFor(group)
            if mine is not None and its is not None and (id(mine), id(its)) not in seen:
                seen.add((id(mine), id(its)))
                key, other = configKey(mine), configKey(its)
                there.setdefault(key, (other, its))
                back.setdefault(other, (key, mine))
        self._others = there, back

    def other(self, key: str, isReversed: bool) -> _Keyed | None:
        """The configuration that the other version has where the one that served has this; None: it is off there."""
        return self._others[isReversed].get(key)

    def end(self) -> None:
        """It is over."""
        self.running.end()
        self.candidate.end()


class _Shadowed:
    """
    A trial with its copies, and what was found.

    :ivar hasFailed: whether the edge has failed at a pair, and said so.
    :ivar turn: the number of its last pair.
    """

    def __init__(self, trial: Trial) -> None:
        self.hasFailed = False
        self.turn = 0
        self.trial = trial
        self.plugins: dict[str, _Plugin] = {}
        self.tallies = PairTally(trial.id), PairTally(trial.id, True)

    def end(self) -> None:
        """It is over."""
        for plugin in self.plugins.values():
            plugin.end()


class _Taker:
    """
    Takes requests of a trial.

    :ivar plugins: whose calls it wants.
    """

    def __init__(self, shadowed: _Shadowed, isReversed: bool, take: Callable[[_Taker, TakenRequest], None]) -> None:
        self.shadowed = shadowed
        self.isReversed = isReversed
        self.tally = shadowed.tallies[isReversed]
        self.plugins = frozenset(shadowed.trial.plugins)
        self._take = take

    def __call__(self, taken: TakenRequest) -> None:
        self._take(self, taken)

    def dropped(self) -> None:
        """There were too many at a time."""
        self.tally.dropped()


class Shadow:
    """
    Of one worker.
    """

    _log = Logger()

    def __init__(
        self,
        parts: CopyParts,
        random: Callable[[], float] = random,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        """
        :param random: from 0 up to 1.
        :param now: the time in seconds, monotonic.
        """
        self._parts = parts
        self._clock = parts.reactor
        self._random = random
        self._now = now
        self._budget = ShadowBudget(now)
        self._trials: dict[str, _Shadowed] = {}
        self._waiting: deque[tuple[_Taker, TakenRequest]] = deque()
        self._turn: Any = None
        self._turns = 0
        self._making: Deferred[None] | None = None
        self._over: list[TrialPairs] = []

    # The plan

    def adopt(self, plan: Plan) -> None:
        """A plan has taken effect: copies that its trials do not need end."""
        before, self._trials = self._trials, {}
        for trial in plan.trials:
            if trial.sampled > 0:
                self._trials[trial.id] = self._shadowed(before.pop(trial.id, None), trial, plan)
        self._end(before)
        self._waiting = deque(each for each in self._waiting if self._isOf(each[0]))

    def _shadowed(self, known: _Shadowed | None, trial: Trial, plan: Plan) -> _Shadowed:
        shadowed = known or _Shadowed(trial)
        shadowed.trial = trial
        groups, arm, before = len(plan.orderPerGroup), plan.armOf(trial.id), shadowed.plugins
        shadowed.plugins = {}
        for name in trial.plugins:
            running, candidate = plan.find(name), arm.find(name)
            if running is None or candidate is None:
                continue
            plugin = before.pop(name, None)
            if plugin is not None and not plugin.isOf(running, candidate):
                plugin.end()
                plugin = None
            if plugin is None:
                plugin = _Plugin(ShadowCopy(running, self._parts), ShadowCopy(candidate, self._parts))
            plugin.adopt(running, candidate, groups)
            shadowed.plugins[name] = plugin
        for plugin in before.values():
            plugin.end()
        return shadowed

    def end(self) -> None:
        """The edge ends."""
        self._waiting.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        trials, self._trials = self._trials, {}
        if self._making is not None:
            self._making.cancel()
        self._end(trials)

    def _end(self, trials: Mapping[str, _Shadowed]) -> None:
        """What was found of them is still to be told."""
        for shadowed in trials.values():
            self._over += [told for tally in shadowed.tallies if (told := tally.take()) is not None]
            shadowed.end()

    # What is sampled

    def tapsOf(self, trial: Trial) -> tuple[Tap, ...]:
        """What wants requests of a trial taken down; nothing where no version is tried."""
        return (self._tapOf(trial),) if trial.sampled > 0 else ()

    def _tapOf(self, trial: Trial) -> Tap:
        id, share, random = trial.id, trial.sampled, self._random
        takers: dict[bool, _Taker] = {}

        def tap(context: Context, standings: Standings) -> tuple[_Taker, ...]:
            standing = standings.get(id)
            if standing is None or standing.isTester or random() >= share:
                return ()
            taker = takers.get(standing.isCandidate)
            if taker is None or self._trials.get(id) is not taker.shadowed:
                shadowed = self._trials.get(id)
                if shadowed is None:
                    return ()
                taker = takers[standing.isCandidate] = _Taker(shadowed, standing.isCandidate, self._take)
            if not self._budget.isOpen or len(self._waiting) >= MOST_WAITING:
                taker.tally.dropped()
                return ()
            return (taker,)

        return tap

    def _take(self, taker: _Taker, taken: TakenRequest) -> None:
        """A request that was sampled is over."""
        if not taken.of(taker.plugins) or not self._isOf(taker):
            return  # none of them was asked; or the trial is over
        self._budget.spent(TAKING)
        if len(self._waiting) >= MOST_WAITING:
            taker.tally.dropped()
            return
        self._waiting.append((taker, taken))
        self._goOn()

    def _isOf(self, taker: _Taker) -> bool:
        """Whether its trial is not over."""
        return self._trials.get(taker.shadowed.trial.id) is taker.shadowed

    # Pairs

    def _goOn(self, after: float = 0.0) -> None:
        if self._turn is None and self._making is None and self._waiting:
            self._turn = self._clock.callLater(after, self._next, self._clock.seconds() + after)

    def _next(self, due: float) -> None:
        self._turn = None
        if self._budget.wasLate(self._clock.seconds() - due):
            while self._waiting:
                self._waiting.popleft()[0].tally.dropped()
            return
        if not self._budget.isOpen:
            self._goOn(WAIT)
            return
        if self._waiting:
            taker, taken = self._nextOne()
            self._making = making = Deferred.fromCoroutine(self._pairs(taker, taken))
            making.addErrback(self._failed, taker)
            making.addBoth(self._made)

    def _nextOne(self) -> tuple[_Taker, TakenRequest]:
        """
        Of what waits, the first of the trial that has been waiting for the longest: where most is dropped, whoever is
        first in the queue would have it all.
        """
        found = min(self._waiting, key=lambda each: each[0].shadowed.turn)
        self._waiting.remove(found)
        self._turns += 1
        found[0].shadowed.turn = self._turns
        return found

    def _failed(self, failure: Any, taker: _Taker) -> None:
        if failure.check(CancelledError):
            return  # nobody waits any more: the edge ends
        taker.tally.notComparable("the edge has failed at it")
        if not taker.shadowed.hasFailed:  # what fails once may fail each time
            taker.shadowed.hasFailed = True
            self._log.failure("while a request was tried again", failure)

    def _made(self, _: None) -> None:
        self._making = None
        self._goOn()

    async def _pairs(self, taker: _Taker, taken: TakenRequest) -> None:
        """Of each plugin of the trial in a request."""
        for instance, captures in taken.of(taker.plugins).items():
            plugin = taker.shadowed.plugins.get(instance.version.name)
            if plugin is not None:
                await self._pair(plugin, instance, captures, taker, taken.status)

    async def _pair(
        self, plugin: _Plugin, instance: Instance, captures: list[Capture], taker: _Taker, status: int
    ) -> None:
        tally, isReversed = taker.tally, taker.isReversed
        began = self._now()
        served, tried = plugin.running, plugin.candidate
        if isReversed:
            served, tried = tried, served
        if not served.selected.entry.isCodeOf(instance.version.entry):
            tally.notComparable(OTHER_VERSION)
            return
        there = plugin.other(instance.key, isReversed)
        if there is None:
            tally.notComparable(OFF_THERE)
            return
        same = await served.remake(instance.key, instance.config)
        other = await tried.remake(*there)
        if not isinstance(same, Remake) or not isinstance(other, Remake):
            tally.notComparable(same if isinstance(same, str) else str(other))
            return
        calls, real = tuple(each.call() for each in captures), tuple(each.outcome() for each in captures)
        isOtherFirst = self._random() >= 0.5
        ours, own, made = self._now() - began, 0.0, []
        for remake in (other, same) if isOtherFirst else (same, other):
            if not await self._isOnAfterOthers(taker):
                return
            began = self._now()
            outcomes = await remake.again(calls, status)
            took = sum(each.seconds for each in outcomes)
            ours, own = ours + self._now() - began - took, own + took
            made.append(outcomes)
        if not await self._isOnAfterOthers(taker):
            return
        began = self._now()
        its, mine = made if isOtherFirst else reversed(made)
        tally.compare(calls, real, mine, its, isOtherFirst)
        # Beside what the plugins have done, some of the time was waited: of that not all is the loop's.
        self._budget.spent(own + min(ours, MOST_OF_OURS) + self._now() - began)

    async def _isOnAfterOthers(self, taker: _Taker) -> bool:
        """Have a turn of the loop pass. :returns: whether the trial goes on."""
        if self._isOn(taker):
            await deferLater(self._clock, 0)
        return self._isOn(taker)

    def _isOn(self, taker: _Taker) -> bool:
        return self._trials.get(taker.shadowed.trial.id) is taker.shadowed

    # What is told

    def held(self, version: Version) -> tuple[str, bool] | None:
        """
        A copy has held the event loop.

        :returns: the trial that it is of, and whether it is one of the candidate; None: of none any more.
        """
        for id, shadowed in self._trials.items():
            for plugin in shadowed.plugins.values():
                for copy in (plugin.running, plugin.candidate):
                    if copy.isVersion(version):
                        copy.held += 1
                        return id, copy is plugin.candidate
        return None

    def told(self) -> tuple[TrialPairs, ...]:
        """What was found since this was called last; for `revproxy.plan.words.Evidence`, each second."""
        over, self._over = self._over, []
        tallies = [tally for shadowed in self._trials.values() for tally in shadowed.tallies]
        return (*over, *(told for tally in tallies if (told := tally.take()) is not None))
