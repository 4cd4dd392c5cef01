"""
The plan as clients meet it whom candidates serve: an arm for each trial, and one for each set of trials in which a
client can be in several at once. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from revproxy.config.problems import ConfigErrors
from revproxy.control.planning.ongoing import Ongoing
from revproxy.control.planning.selection import orderPerGroup
from revproxy.plan.catalog import Entries, Selected
from revproxy.plan.plan import Plan
from revproxy.plan.trial import Arm, Trial

Selecting = Callable[[Entries, Collection[str]], tuple[Selected, ...]]
"""
Who runs where if these are the plugins, and those of these names are candidates. :raises ConfigErrors: that does not go
together.
"""


def withArms(plan: Plan, ongoing: Sequence[Ongoing], select: Selecting) -> tuple[Plan, Mapping[str, ConfigErrors]]:
    """
    A plan with the trials of rollouts, and an arm for each set of them that a client can be in.

    :returns: with why a trial is left out, by id: where two of them do not go together, the later one is.
    """
    refused: dict[str, ConfigErrors] = {}
    kept: list[Ongoing] = []
    arms: tuple[Arm, ...] = ()
    for each in ongoing:
        if each.trial is None:
            continue
        try:
            arms = _Arms(plan, [*kept, each], select).run()
        except ConfigErrors as errors:
            refused[each.id] = errors
        else:
            kept.append(each)
    trials = tuple(each.trial for each in kept if each.trial is not None)
    return (replace(plan, trials=trials, arms=arms) if trials else plan), refused


class _Arms:
    """One run of it."""

    def __init__(self, plan: Plan, ongoing: Sequence[Ongoing], select: Selecting) -> None:
        self.plan = plan
        self.ongoing = {each.id: each for each in ongoing}
        self.select = select
        # A candidate is one object in all arms that have it, so that its instances are shared.
        self.candidates: dict[str, Selected] = {}

    def run(self) -> tuple[Arm, ...]:
        """:raises ConfigErrors: they do not go together."""
        trials = [each.trial for each in self.ongoing.values() if each.trial is not None]
        return tuple(self._arm(ids) for ids in setsOf(trials))

    def _arm(self, ids: tuple[str, ...]) -> Arm:
        entries = dict(self.plan.entries)
        for each in ids:
            entries.update(self.ongoing[each].candidates)
        mine = {name for each in ids for name in self.ongoing[each].candidates}
        selected = tuple(self._shared(each, mine) for each in self.select(entries, mine))
        return Arm(ids, selected, orderPerGroup(selected, self.plan.config))

    def _shared(self, selected: Selected, candidates: set[str]) -> Selected:
        """The very object that the plan has, of what is no candidate; of one, that of the first arm it is in."""
        if selected.name in candidates:
            return self.candidates.setdefault(selected.name, selected)
        return self.plan.find(selected.name) or selected


def setsOf(trials: Sequence[Trial]) -> list[tuple[str, ...]]:
    """The ids of each trial, and of those in the stage ``canary`` all sets of several, in their order."""
    alone = [(trial.id,) for trial in trials]
    canaries = [trial.id for trial in trials if trial.stage == "canary"]
    more = [ids for count in range(2, len(canaries) + 1) for ids in combinations(canaries, count)]
    return [*alone, *more]


__all__ = ["Selecting", "setsOf", "withArms"]
