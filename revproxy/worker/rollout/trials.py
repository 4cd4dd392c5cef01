"""
The trials of one worker: what is written down of each, as long as it lives.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from revproxy.context import Context
from revproxy.dataplane.fork import Standings, Tap
from revproxy.plan.plan import Plan
from revproxy.worker.rollout.forkmaker import ForkMaker, strippedIn
from revproxy.worker.rollout.recordings import Recordings
from revproxy.worker.rollout.takendown import TakenDown
from revproxy.worker.rollout.trialbook import TrialBook


class Trials:
    """
    Of one worker.
    """

    def __init__(self, takenDown: TakenDown, recordings: Recordings) -> None:
        """:param recordings: what wants requests taken down besides trials."""
        self._takenDown = takenDown
        self._recordings = recordings
        self._books: dict[str, TrialBook] = {}
        self._recorded: Tap = self._wanted

    def forkMaker(self, plan: Plan) -> ForkMaker | None:
        """What joins the chains of a plan; None: all clients meet the same there, and nothing is taken down."""
        if not (plan.trials or self._recordings.isAny or strippedIn(plan)):
            return None
        for trial in plan.trials:
            self._books.setdefault(trial.id, TrialBook())
        return ForkMaker(plan, self._books, self._takenDown, lambda trial: (), partial(self._recordingTaps, plan))

    def adopt(self, plan: Plan) -> None:
        """A plan is in effect, also if that is the one before, and another was given up."""
        ids = {trial.id for trial in plan.trials}
        self._books = {id: book for id, book in self._books.items() if id in ids}

    def _recordingTaps(self, plan: Plan, group: int) -> Sequence[Tap]:
        config = plan.config
        names = (config.routes[index].name for index in config.routeGroups[group].routes)
        return (self._recorded,) if any(map(self._recordings.isOf, names)) else ()

    def _wanted(self, context: Context, standings: Standings) -> tuple[Any, ...]:
        return self._recordings.takers(context._route.name)
