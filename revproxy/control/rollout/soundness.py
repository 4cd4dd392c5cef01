"""
Whether what a worker tells can be believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite

from revproxy.plan.evidence import FAMILIES, ArmCounts, TrialEvidence, TrialPairs
from revproxy.plan.trial import BUCKETS


def trouble(evidence: TrialEvidence) -> str:
    """
    :returns: why it cannot be judged by, in words; empty: it can.
    """
    if any(not 0 <= bucket < BUCKETS for bucket in _buckets(evidence)):
        return f"a worker told of a client group that is not there; they are 0 to {BUCKETS - 1}"
    if any(first.family not in FAMILIES for first in evidence.firsts):
        return "a worker told of something that is not known here; are all of one version?"
    return _numbersTrouble(_numbers(evidence), (time.logs for time in evidence.times))


def lossText(evidence: TrialEvidence) -> str:
    """Why nothing that is good can be concluded from it; empty: nothing of it was lost."""
    return f"a worker could not tell {evidence.lost} events, for they were too many" if evidence.lost else ""


def pairsTrouble(pairs: TrialPairs) -> str:
    """The same, of pairs."""
    counts: list[float] = [pairs.compared, pairs.dropped, pairs.unnamed, pairs.faults, pairs.controlFaults]
    counts += [*pairs.slower, *pairs.faster, *pairs.incomparable.values(), pairs.timed]
    for difference in pairs.differences:
        counts += [difference.candidate, difference.control, difference.both]
    return _numbersTrouble(counts, (pairs.logs,))


def _buckets(evidence: TrialEvidence) -> Iterator[int]:
    yield from (first.bucket for first in evidence.firsts)
    yield from (time.bucket for time in evidence.times)
    yield from (fingerprint.bucket for fingerprint in evidence.fingerprints)


def _numbers(evidence: TrialEvidence) -> Iterator[float]:
    """Those that cannot be negative."""
    for arm in (evidence.running, evidence.candidate):
        yield from (arm.requests, arm.warming, arm.testers, arm.faults, arm.interrupts, arm.seconds)
        yield from arm.times.values()
    yield from (first.at for first in evidence.firsts)
    yield from (time.count for time in evidence.times)
    for stall in evidence.stalls:
        yield from (stall.seconds, stall.cpuSeconds or 0.0)
    for thresholds in evidence.thresholds.values():
        yield from thresholds


def _numbersTrouble(numbers: Iterable[float], signed: Iterable[float]) -> str:
    if not all(isfinite(number) and number >= 0 for number in numbers) or not all(map(isfinite, signed)):
        return "a worker told a figure that is not a number, or less than nothing"
    return ""


def added(first: ArmCounts, second: ArmCounts) -> ArmCounts:
    """Both together."""
    times = dict(first.times)
    for number, count in second.times.items():
        times[number] = times.get(number, 0) + count
    return ArmCounts(
        first.requests + second.requests, first.warming + second.warming, first.testers + second.testers,
        first.faults + second.faults, first.interrupts + second.interrupts, first.seconds + second.seconds, times,
    )  # fmt: skip
