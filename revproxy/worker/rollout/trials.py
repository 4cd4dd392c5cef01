"""
The trials of one worker: what is written down of each, as long as it lives, and told each second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall

from revproxy.context import Context
from revproxy.dataplane.fork import Standings, Tap
from revproxy.plan.evidence import ArmStall, TrialEvidence, TrialPairs
from revproxy.plan.plan import Plan
from revproxy.plan.trial import Trial
from revproxy.plan.words import Evidence
from revproxy.worker.guard.stallguard import Stall
from revproxy.worker.lifecycle.instance import Instance
from revproxy.worker.rollout.forkmaker import ForkMaker, strippedIn
from revproxy.worker.rollout.recordings import Recordings
from revproxy.worker.rollout.takendown import TakenDown
from revproxy.worker.rollout.trialbook import TrialBook

INTERVAL: Final = 1.0
"""Seconds between two words."""

Serving = Callable[[str, bool], Sequence[Instance]]
"""The instances of a plugin that serve, by its name: those that run, or those on trial."""


class _Arms:
    """Who serves in a trial: what is told apart when a plan has taken effect."""

    def __init__(self, running: frozenset[Instance], candidate: frozenset[Instance]) -> None:
        self.instances = running, candidate
        self.versions = {each.version for each in running}, {each.version for each in candidate}


class Trials:
    """
    Of one worker.
    """

    def __init__(
        self,
        clock: Any,
        tell: Callable[[Evidence], None],
        takenDown: TakenDown,
        recordings: Recordings,
        *,
        monotonic: Callable[[], float],
        tapsOf: Callable[[Trial], Sequence[Tap]] = lambda trial: (),
        pairs: Callable[[], tuple[TrialPairs, ...]] = lambda: (),
        adopted: Callable[[Plan], None] = lambda plan: None,
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param recordings: what wants requests taken down besides trials.
        :param monotonic: the time in seconds, by a clock that nobody sets.
        :param tapsOf: what wants requests of a trial taken down.
        :param pairs: what was found since this was called last where both versions were tried.
        :param adopted: told of each plan that is in effect.
        """
        self._clock = clock
        self._monotonic = monotonic
        self._tell = tell
        self._takenDown = takenDown
        self._recordings = recordings
        self._tapsOf = tapsOf
        self._pairs = pairs
        self._adoptedBy = adopted
        self._books: dict[str, TrialBook] = {}
        self._arms: dict[str, _Arms] = {}
        self._recorded: Tap = self._wanted
        self._later: IDelayedCall | None = None

    # Changes

    def forkMaker(self, plan: Plan) -> ForkMaker | None:
        """What joins the chains of a plan; None: all clients meet the same there, and nothing is taken down."""
        if not (plan.trials or self._recordings.isAny or strippedIn(plan)):
            return None
        for trial in plan.trials:
            if trial.id not in self._books:
                self._books[trial.id] = TrialBook(trial, self._clock.seconds, self._monotonic)
        return ForkMaker(plan, self._books, self._takenDown, self._tapsOf, partial(self._recordingTaps, plan))

    def adopt(self, plan: Plan, serving: Serving) -> None:
        """A plan is in effect, also if that is the one before, and another was given up."""
        self._adoptedBy(plan)
        kept = {trial.id: trial for trial in plan.trials}
        ended = [self._books.pop(id) for id in list(self._books) if id not in kept]
        self._say(tuple(filter(None, [book.take() for book in ended])))
        self._arms = {id: self._adopted(trial, serving) for id, trial in kept.items() if id in self._books}
        if self._books and self._later is None:
            self._later = self._clock.callLater(INTERVAL, self._tick)
        elif not self._books:
            self.stop()

    def _adopted(self, trial: Trial, serving: Serving) -> _Arms:
        book, before = self._books[trial.id], self._arms.get(trial.id)
        begins = trial.stage == "canary" and book.trial.stage != "canary"
        arms = _Arms(
            *(
                frozenset(instance for name in trial.plugins for instance in serving(name, isCandidate))
                for isCandidate in (False, True)
            )
        )
        for isCandidate in (False, True):
            isNew = before is None or before.instances[isCandidate] != arms.instances[isCandidate]
            if isNew or (isCandidate and begins):
                book.cool(isCandidate)
        book.adopt(trial)
        return arms

    def _recordingTaps(self, plan: Plan, group: int) -> Sequence[Tap]:
        config = plan.config
        names = (config.routes[index].name for index in config.routeGroups[group].routes)
        return (self._recorded,) if any(map(self._recordings.isOf, names)) else ()

    def _wanted(self, context: Context, standings: Standings) -> tuple[Any, ...]:
        return self._recordings.takers(context._route.name)

    # What is told

    def stalled(self, stall: Stall) -> None:
        """A call has held the loop: whose version is on trial, that is told at once."""
        for id, arms in self._arms.items():
            for isCandidate in (False, True):
                if stall.key in arms.versions[isCandidate]:
                    self.stalledIn(id, isCandidate, stall)

    def stalledIn(self, id: str, isCandidate: bool, stall: Stall) -> None:
        """It was a call in a trial, of a version that serves or of a copy: requests have waited all the same."""
        book = self._books.get(id)
        if book is not None:
            book.stalled(ArmStall(isCandidate, stall.seconds, stall.cpuSeconds, stall.function, stall.where))
            self.report()

    def report(self) -> None:
        """Tell what is new."""
        self._say(tuple(filter(None, [book.take() for book in self._books.values()])))

    def stop(self) -> None:
        """The edge ends, or nothing is on trial any more: tell what waits, and no more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self.report()

    def _tick(self) -> None:
        self._later = self._clock.callLater(INTERVAL, self._tick)
        self.report()

    def _say(self, evidence: tuple[TrialEvidence, ...]) -> None:
        pairs = self._pairs()
        if evidence or pairs:
            self._tell(Evidence(self._clock.seconds(), evidence, pairs))
