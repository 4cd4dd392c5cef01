"""
What a judge says, in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp

from revproxy.control.rollout.findings import THRESHOLD, DifferenceEvidence, FamilyEvidence, PairsSeen
from revproxy.plan.evidence import ArmCounts

_HAPPENED: Mapping[str, str] = {
    "faults": "calls failed (they raised, answered nonsense, came too late or held the loop)",
    "interrupts": "more requests are stopped",
    "interrupts-fewer": "fewer requests are stopped",
    "slow90": "calls took longer than nine tenths of the running version's do",
    "slow99": "calls took longer than 99 % of the running version's do",
    "slow999": "calls took longer than 99.9 % of the running version's do",
}


_DIFFERS: Mapping[str, str] = {
    "raised:added": "raises where the running version does not",
    "raised:removed": "does not raise where the running version does",
    "raised": "raises something else",
    "verdict": "stops other requests, or lets others go on",
    "status": "answers with another status",
}


def oddsText(odds: float) -> str:
    """``3.2 : 1``, and no more than ten thousand: what is more says no more."""
    if odds > 1e4:
        return "over 10,000 : 1"
    return f"{odds:,.0f} : 1" if odds >= 10 else f"{odds:.1f} : 1"


def familyText(family: FamilyEvidence) -> str:
    """Why one decides."""
    decides = f"; weighted odds {oddsText(family.odds)}, and {THRESHOLD:.0f} : 1 decide"
    if family.family == "median":
        return (
            "calls are slower throughout, by more than a tenth: of the candidate's client groups "
            f"{family.candidate} of {family.ofCandidate} are in the slower half of all{decides}"
        )
    return (
        f"{_HAPPENED[family.family]}: in {family.candidate} of {family.ofCandidate} client groups of the candidate's, "
        f"and {family.running} of {family.ofRunning} of the running version's{decides}"
    )


def differenceText(difference: DifferenceEvidence, pairs: int) -> str:
    """Why a difference is worth looking at."""
    return (
        f"{_differs(difference)}: the candidate alone in {difference.candidate} of {pairs:,} pairs, the running "
        f"version beside itself in {difference.control}; if that is meant, name it in expect"
    )


def _differs(difference: DifferenceEvidence) -> str:
    """What differs, as ``expect`` names it; and in words, where that name says little."""
    name = f"{difference.field}:{difference.kind}"
    said = _DIFFERS.get(name) or _DIFFERS.get(difference.field)
    return f"it {said} ({name})" if said else f"{name} differs"


def pairTimeText(pairs: PairsSeen) -> str:
    """Why times of pairs are worth looking at."""
    more = ""
    if pairs.timed:
        more = f"; as a rule it took {exp(min(pairs.logs / pairs.timed, 20.0)):,.2f} times as long"
    return (
        f"the candidate was the slower in {pairs.slower:,} of {pairs.slower + pairs.faster:,} pairs that differ by "
        f"more than a tenth{more}"
    )


def noTrafficText(running: ArmCounts, candidate: ArmCounts) -> str:
    """Why there is nothing to judge by."""
    name, arm = ("candidate", candidate) if not candidate.requests else ("running version", running)
    if arm.warming or arm.testers:
        return (
            f"no request of the {name}'s can be judged: {arm.warming} came while it warmed up, "
            f"{arm.testers} were testers'"
        )
    return f"no request has come to the {name}"


def noPairsText(pairs: PairsSeen) -> str:
    """Why there is nothing to compare."""
    if pairs.incomparable:
        why = ", ".join(f"{reason} ({count})" for reason, count in sorted(pairs.incomparable.items()))
        return f"no pair could be compared: {why}"
    if pairs.dropped:
        return f"no pair was made: the edge had too much to do for each of {pairs.dropped}"
    return "no request has been tried"


def shareText(share: float) -> str:
    """``1 %``, ``0.1 %``."""
    return f"{share * 100:.3g} %"


def faultsSeenText(fault: float, power: float, asked: float) -> str:
    """What a canary can show by now."""
    return (
        f"if {shareText(fault)} of its calls failed, that would have been found by now with a probability of "
        f"{_percent(power)}; {_percent(asked)} is asked for"
    )


def _percent(probability: float) -> str:
    """Rounded down: nothing is said to be certain."""
    return f"{int(probability * 100 + 1e-9)} %"


def pairsSeenText(pairs: int, found: float) -> str:
    """
    What a shadow can show by now.

    :param found: pairs that differ, that decide.
    """
    if not pairs:
        return "nothing yet: no pair has been compared"
    if found > pairs:
        return f"{pairs:,} pair{'' if pairs == 1 else 's'}: shows only what differs in nearly all of them"
    return f"{pairs:,} pairs: shows what the candidate does otherwise in 1 of {max(1, int(pairs / found)):,} calls"


def spanText(seconds: float) -> str:
    """A length of time, as people say it: ``40 s``, ``5.8 min``."""
    size, unit = _unitOf(seconds)
    return f"{_number(max(1.0, seconds) / size)} {unit}"


def rangeText(low: float, high: float) -> str:
    """From one length of time to another: ``5–6 min``."""
    size, unit = _unitOf(low)
    first, second = _number(max(1.0, low) / size), _number(max(1.0, high) / size)
    return f"{first} {unit}" if first == second else f"{first}–{second} {unit}"


def _unitOf(seconds: float) -> tuple[float, str]:
    """That in which a length of time is said, from two of it on."""
    units = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"))
    return next((unit for unit in units if seconds >= 2 * unit[0]), (1.0, "s"))


def _number(figure: float) -> str:
    """Nobody knows it exactly."""
    return f"{figure:.1f}".removesuffix(".0") if figure < 4 else f"{figure:.0f}"
