"""
What the other version would have done: for a sample of requests, after the real answer is on its way.
"""

from __future__ import annotations

from revproxy.plan.evidence import TrialPairs
from revproxy.plan.plan import Plan
from revproxy.worker.rollout.takendown import TakenRequest


class Shadow:
    """
    Of one worker.
    """

    def adopt(self, plan: Plan) -> None:
        """A plan has taken effect: make the instances that its trials need beside those that serve, and end others."""
        raise NotImplementedError

    def take(self, trial: str, taken: TakenRequest, isReversed: bool = False) -> None:
        """
        A request that was sampled for a trial: it is tried soon, or dropped.

        :param isReversed: the candidate has served it.
        """
        raise NotImplementedError

    def told(self) -> tuple[TrialPairs, ...]:
        """What was found since this was called last; for `revproxy.plan.words.Evidence`, each second."""
        raise NotImplementedError
