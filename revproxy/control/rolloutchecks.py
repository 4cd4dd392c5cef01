"""
Pre-flights of rollouts, as they go on: one for each rollout that is in such a step.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from revproxy.control.changes import ChangeRefused
from revproxy.control.coordinator import Coordinator
from revproxy.control.rollout.preflight import Preflighting, PreflightReport
from revproxy.control.rollout.rollout import Rollout


class RolloutChecks:
    """
    Those of one edge.

    :ivar preflight: who finds out whether a version is fit to meet any request.
    """

    def __init__(self, coordinator: Coordinator, preflight: Preflighting) -> None:
        self.preflight = preflight
        self._coordinator = coordinator
        self._underWay: dict[str, Deferred[PreflightReport] | None] = {}

    def isUnderWay(self, id: str) -> bool:
        """Whether a rollout is being looked at."""
        return id in self._underWay

    async def problems(self, rollout: Rollout) -> tuple[str, ...]:
        """
        Why a rollout's candidates are not fit; nothing: they are. What came of each is the rollout's ``report``.

        :raises CancelledError: it was stopped.
        """
        self._underWay[rollout.id] = None
        try:
            return await self._problems(rollout)
        finally:
            del self._underWay[rollout.id]

    async def _problems(self, rollout: Rollout) -> tuple[str, ...]:
        index, policy = rollout.index, rollout.newcomer.policy
        try:
            plan = await self._coordinator.rehearsed(rollout.rehearsalTrial())
        except ChangeRefused as refused:
            return tuple(refusal.message for refusal in refused.refusals)
        if rollout.isOver or rollout.index != index:
            raise CancelledError  # nobody asks any more
        for name in rollout.newcomer.candidates:
            candidate = plan.armOf(rollout.id).find(name)
            if candidate is None:
                return (f"{name} would run on no route",)
            checking = self.preflight.run(candidate, rollout.steps[index], policy.expect, plan.find(name))
            self._underWay[rollout.id] = checking
            rollout.report = await checking
            if not rollout.report.ok:
                return rollout.report.problems
        return ()

    def stop(self, id: str) -> None:
        """A rollout is not to be looked at any more."""
        checking = self._underWay.get(id)
        if checking is not None:
            checking.cancel()

    def stopAll(self) -> None:
        """The edge is about to end."""
        for id in list(self._underWay):
            self.stop(id)


__all__ = ["RolloutChecks"]
