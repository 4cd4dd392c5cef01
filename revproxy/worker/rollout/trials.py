"""
The trials of one worker: what is written down of each, as long as it lives.
"""

from __future__ import annotations

from revproxy.plan.plan import Plan
from revproxy.worker.rollout.forkmaker import ForkMaker, GroupTaps, strippedIn
from revproxy.worker.rollout.takendown import TakenDown
from revproxy.worker.rollout.trialbook import TrialBook


class Trials:
    """
    Of one worker.
    """

    def __init__(self, takenDown: TakenDown, groupTaps: GroupTaps | None = None) -> None:
        """:param groupTaps: what wants requests taken down besides trials; None: nothing ever does."""
        self._takenDown = takenDown
        self._groupTaps = groupTaps
        self._books: dict[str, TrialBook] = {}
        self._next: dict[str, TrialBook] = {}

    def forkMaker(self, plan: Plan) -> ForkMaker | None:
        """What joins the chains of a plan; None: all clients meet the same there, and nothing is looked for."""
        self._next = {trial.id: self._books.get(trial.id) or TrialBook() for trial in plan.trials}
        if not (plan.trials or strippedIn(plan)):
            return None
        return ForkMaker(plan, self._next, self._takenDown, lambda trial: (), self._groupTaps or (lambda at: ()))

    def adopt(self) -> None:
        """The plan that forks were made for last has taken effect."""
        self._books = self._next

    def abandon(self) -> None:
        """It does not."""
        self._next = self._books
