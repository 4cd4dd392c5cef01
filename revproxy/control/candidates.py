"""
What is remembered of versions on trial: their files are stored as those of what runs, and how their rollouts end is
kept with them.
"""

from __future__ import annotations

from collections.abc import Iterable

from revproxy.control.planning.ongoing import Ongoing, Rolled
from revproxy.control.state.keeper import StateKeeper
from revproxy.control.state.records import OnTrial, PluginRecords
from revproxy.plan.plan import Plan


async def remembered(
    keeper: StateKeeper,
    records: PluginRecords,
    plan: Plan,
    rolled: Rolled,
    ongoing: Iterable[Ongoing],
    now: float,
) -> PluginRecords:
    """
    Store versions that are about to be tried.

    :param rolled: what has become of rollouts by this plan.
    :param ongoing: those that went on until now.
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
            runs = plan.find(name)
            if runs is not None and runs.entry.digest == entry.digest:
                continue  # it is what runs, set otherwise
            await keeper.keepCandidate(name, entry)
            if entry.digest is not None:
                records = records.onTrial(name, entry.digest, str(entry.manifest.version), now)
    return _withoutLost(records, rolled, ongoing, now)


def _withoutLost(records: PluginRecords, rolled: Rolled, ongoing: Iterable[Ongoing], now: float) -> PluginRecords:
    """What is remembered to be on trial, and is not: it could not go on after a restart."""
    trying = {
        (name, entry.digest)
        for candidates in (*(each.candidates for each in ongoing), *(each.candidates for each in rolled.newcomers))
        for name, entry in candidates.items()
    }
    for name, record in records.plugins.items():
        for known in record.versions:
            if known.trial is not None and known.trial.state == "going" and (name, known.digest) not in trying:
                end = OnTrial("aborted", "it could not go on after a restart", now)
                records = records.trialEnded(name, known.digest, end)
    return records


__all__ = ["remembered"]
