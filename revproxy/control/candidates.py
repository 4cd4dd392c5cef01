"""
What is remembered of versions on trial: their files are stored as those of what runs, and how their rollouts end is
kept with them.
"""

from __future__ import annotations

from revproxy.control.planning.ongoing import Rolled
from revproxy.control.state.keeper import StateKeeper
from revproxy.control.state.records import OnTrial, PluginRecords
from revproxy.plan.plan import Plan


async def remembered(
    keeper: StateKeeper, records: PluginRecords, plan: Plan, rolled: Rolled, now: float
) -> PluginRecords:
    """
    Store versions that are about to be tried.

    :param rolled: what has become of rollouts by this plan.
    :param now: seconds since the epoch.
    :returns: what is to be remembered, with what has become of versions on trial.
    """
    for each, ending in rolled.ended:
        end = OnTrial(ending.state, ending.reason, now, ending.blocks)
        for name, entry in each.candidates.items():
            runs = plan.find(name)
            if entry.digest is not None and (runs is None or runs.entry.digest != entry.digest):
                records = records.trialEnded(name, entry.digest, end)
    for newcomer in rolled.newcomers:
        for name, entry in newcomer.candidates.items():
            await keeper.keepCandidate(name, entry)
            if entry.digest is not None:
                records = records.onTrial(name, entry.digest, str(entry.manifest.version), now)
    return records


__all__ = ["remembered"]
