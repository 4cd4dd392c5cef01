"""
Versions that were tried, and did not come through their steps. They do not come by themselves: not while what ran
before runs, nor when the plugin was off, or its folder away, and nothing of it runs.
"""

from __future__ import annotations

from revproxy.control.state.records import OnTrial, PluginRecords
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.refusal import BY_STEPS, Refusal


def trialOf(entry: CatalogEntry, records: PluginRecords) -> OnTrial | None:
    """What became of a version on trial; None: it ran for all, or was never tried."""
    known = None if entry.digest is None else records.get(entry.manifest.name).find(entry.digest)
    return None if known is None else known.trial


def blockOf(entry: CatalogEntry, records: PluginRecords) -> OnTrial | None:
    """What became of a version that does not begin again by itself; None: it may come."""
    trial = trialOf(entry, records)
    return None if trial is None or not trial.blocks else trial


def heldBack(entry: CatalogEntry, trial: OnTrial) -> Refusal:
    """Why a version that was tried does not run, and what to do about it."""
    name = entry.manifest.name
    text = f"{notThrough(trial)}: {trial.reason}" if trial.reason else notThrough(trial)
    text = f"{text}; `revproxy rollout {name} start` tries it again"
    return Refusal(name, BY_STEPS, text, entry.version)


def notThrough(trial: OnTrial) -> str:
    """What became of it, in words."""
    return "its rollout has not ended" if trial.state == "going" else f"its rollout was {trial.state.replace('-', ' ')}"


__all__ = ["blockOf", "heldBack", "notThrough", "trialOf"]
