"""
Rollouts as JSON can say them; `revproxy.admin.operations.rolloutshapes` describes that.
"""

from __future__ import annotations

from typing import Any

from revproxy.config.rolloutpolicy import Step
from revproxy.control.rollout.findings import DifferenceEvidence, FamilyEvidence, PairsSeen, Progress
from revproxy.control.rollout.rollout import Rollout
from revproxy.control.rollout.verdict import Verdict
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.durations import SELF_TIME, quantiles
from revproxy.plan.evidence import ArmCounts

MOST_EXAMPLES = 3
"""Of each difference, so many are shown."""


def viewOf(rollout: Rollout, now: float) -> dict[str, Any]:
    """
    All about one.

    :param now: seconds since the epoch.
    """
    judge = rollout.judge
    running, candidate = (ArmCounts(), ArmCounts()) if judge is None else judge.arms()
    progress = None if judge is None or rollout.step is None else judge.progress(now)
    return {
        **_summary(rollout, progress),
        "families": [] if judge is None else [familyView(each) for each in judge.families()],
        "arms": {"running": armView(running), "candidate": armView(candidate)},
        "pairs": None if judge is None else pairsView(judge.pairs()),
        "differences": [] if judge is None else [differenceView(each) for each in judge.differences()],
        "notes": [{"at": note.at, "text": note.text} for note in rollout.notes],
        "curve": [] if judge is None else [{"at": at, "odds": odds} for at, odds in judge.curve],
        "transitions": [
            {"at": each.at, "from": each.before, "to": each.after, "reason": each.reason, "by": each.by}
            for each in rollout.transitions
        ],
        "can_see": "" if progress is None else progress.canSee,
    }


def _summary(rollout: Rollout, progress: Progress | None) -> dict[str, Any]:
    name, step = rollout.name, rollout.step
    return {
        "plugin": name,
        "plugins": list(rollout.newcomer.candidates),
        "id": rollout.id,
        "state": rollout.state,
        "held": rollout.isHeld,
        "since": rollout.began,
        "ended": rollout.ended,
        "running": versionView(rollout.bases[name]),
        "candidate": versionView(rollout.newcomer.candidates[name]),
        "step": None if step is None else _now(rollout, step, progress),
        "steps": [stepView(each) for each in rollout.steps],
        "verdict": verdictView(rollout.verdict),
        "warnings": list(rollout.warnings),
    }


def _now(rollout: Rollout, step: Step, progress: Progress | None) -> dict[str, Any]:
    return {
        "index": rollout.index + 1,
        "of": len(rollout.steps),
        **stepView(step),
        "since": rollout.since,
        "have": None if progress is None else progress.have,
        "need": None if progress is None else progress.need,
        "left_seconds": None if progress is None else progress.leftSeconds,
    }


def stepView(step: Step) -> dict[str, Any]:
    """A step."""
    until = step.until
    return {
        "kind": step.kind,
        "share": step.share,
        "until": {"pairs": until.pairs, "fault": until.fault, "power": until.power},
        "at_least": step.atLeast,
        "at_most": step.atMost,
    }


def versionView(entry: CatalogEntry) -> dict[str, Any]:
    """Which version it is."""
    return {"version": entry.version.number, "digest": entry.digest or ""}


def verdictView(verdict: Verdict) -> dict[str, Any]:
    """What a judge says."""
    return {"kind": verdict.kind, "reason": verdict.reason, "family": verdict.family, "odds": verdict.odds}


def familyView(each: FamilyEvidence) -> dict[str, Any]:
    """One thing that a candidate can be worse in."""
    return {
        "family": each.family, "odds": each.odds, "threshold": each.threshold, "candidate": each.candidate,
        "running": each.running, "of_candidate": each.ofCandidate, "of_running": each.ofRunning,
    }  # fmt: skip


def armView(counts: ArmCounts) -> dict[str, Any]:
    """What one arm did."""
    p50, p99 = quantiles(counts.times, (0.5, 0.99), SELF_TIME)
    return {
        "requests": counts.requests, "warming": counts.warming, "testers": counts.testers, "faults": counts.faults,
        "interrupts": counts.interrupts, "seconds": counts.seconds, "p50": p50, "p99": p99,
    }  # fmt: skip


def pairsView(seen: PairsSeen | None) -> dict[str, Any] | None:
    """What shadows compared."""
    if seen is None:
        return None
    return {
        "compared": seen.compared,
        "unnamed": seen.unnamed,
        "incomparable": dict(seen.incomparable),
        "dropped": seen.dropped,
        "faults": seen.faults,
        "control_faults": seen.controlFaults,
        "time": {"slower": seen.slower, "faster": seen.faster, "odds": seen.odds},
    }


def differenceView(each: DifferenceEvidence) -> dict[str, Any]:
    """What the versions differ in."""
    return {
        "field": each.field, "kind": each.kind, "candidate": each.candidate, "control": each.control,
        "both": each.both, "odds": each.odds, "expected": each.isExpected, "is_noise": each.isNoise,
        "accepted": each.isAccepted,
        "examples": [
            {"request": request, "real": real, "differs": differs}
            for request, real, differs in each.examples[:MOST_EXAMPLES]
        ],
    }  # fmt: skip


__all__ = ["armView", "differenceView", "familyView", "pairsView", "stepView", "verdictView", "versionView", "viewOf"]
