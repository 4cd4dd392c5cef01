"""
Plans with versions on trial, as changes of a folder make them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from revproxy.config.rolloutpolicy import USUAL
from revproxy.control.planning.arms import withArms
from revproxy.control.planning.ongoing import Newcomer, Ongoing
from revproxy.control.planning.selection import select
from revproxy.control.rollout.draw import canaryOf
from revproxy.plan.catalog import Catalog, CatalogEntry
from revproxy.plan.plan import Plan
from revproxy.plan.trial import BUCKETS, Trial

SALT = bytes(range(16))


def trialOf(*plugins: str, id: str = "r1", share: float = 0.05, **more: Any) -> Trial:
    """A canary of the first so many buckets; or what is said instead."""
    given = {"stage": "canary", "salt": SALT, "canary": canaryOf(range(BUCKETS), share), **more}
    return Trial(id, plugins, **given)


def withTrials(plan: Plan, *trials: tuple[Trial, Mapping[str, CatalogEntry]]) -> Plan:
    """
    A plan with these trials, each with its candidates by name.

    :raises ConfigErrors: they do not go together.
    """
    ongoing = [
        Ongoing(trial.id, Newcomer(candidates, USUAL), {name: plan.entries[name].digest for name in candidates}, trial)
        for trial, candidates in trials
    ]

    def selecting(entries: Mapping[str, CatalogEntry], candidates: Any) -> Any:
        return select(Catalog(dict(sorted(entries.items()))), plan.config, plan.switches)

    found, refused = withArms(replace(plan, number=plan.number + 1), ongoing, selecting)
    for errors in refused.values():
        raise errors
    return found
