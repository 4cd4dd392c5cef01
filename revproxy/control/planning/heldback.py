"""
Versions that were tried, and did not come through their steps. They do not come by themselves: not while what ran
before runs, nor when the plugin was off, or its folder away, and nothing of it runs.
"""

from __future__ import annotations

from revproxy.control.state.records import OnTrial, PluginRecords
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.refusal import BY_STEPS, Refusal


def blockOf(entry: CatalogEntry, records: PluginRecords) -> OnTrial | None:
    """What became of a version that does not begin again by itself; None: it may come."""
    known = None if entry.digest is None else records.get(entry.manifest.name).find(entry.digest)
    return None if known is None or known.trial is None or not known.trial.blocks else known.trial


def heldBack(entry: CatalogEntry, trial: OnTrial) -> Refusal:
    """Why a version that was tried does not run, and what to do about it."""
    name, how = entry.manifest.name, trial.state.replace("-", " ")
    text = f"its rollout was {how}: {trial.reason}; `revproxy rollout {name} start` tries it again"
    return Refusal(name, BY_STEPS, text, entry.version)


__all__ = ["blockOf", "heldBack"]
