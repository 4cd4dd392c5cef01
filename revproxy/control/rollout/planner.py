"""
How long a rollout will take, and what it cannot show: said beforehand, by the traffic there was.

It reckons as the judge does, with averages in place of what comes by chance. That clients are uneven, some sending much
and most little, makes it take longer than the average says; so does an instance that warms up. A simulation holds it
to ±30 % (``make bench-judge``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from revproxy.config.rolloutpolicy import Step
from revproxy.control.rollout.detection import LONGEST, UNEVEN, fewerNeeded, secondsUntilFound, secondsUntilShown
from revproxy.control.rollout.differencegroup import pairsNeeded
from revproxy.control.rollout.reasons import rangeText, shareText, spanText

NOBODY = "no request has come to it in the last hour: nothing can be shown"

FAULT = 0.01
"""The share of errors that is spoken of where a step does not say one."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """
    What reaches the plugins that are rolled out.

    :ivar rate: requests in a second.
    :ivar faults: the share of them in which the running version fails; ``interrupts``: that it stops.
    """

    rate: float
    faults: float = 0.0
    interrupts: float = 0.0


@dataclass(frozen=True, slots=True)
class StepForecast:
    """
    One step.

    :ivar seconds: how long it takes, if the candidate is as good; None: nobody can say.
    :ivar text: what is awaited.
    :ivar cannot: what it cannot show, in words.
    """

    step: Step
    seconds: float | None
    text: str
    cannot: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """
    All of them.

    :ivar seconds: together, pre-flights left out; None: nobody can say.
    :ivar cannot: what none of them can show, in words.
    """

    steps: tuple[StepForecast, ...]
    seconds: float | None
    cannot: tuple[str, ...]


def forecast(steps: Sequence[Step], traffic: Traffic, interrupts: bool = True) -> Forecast:
    """
    Say it.

    :param interrupts: whether it is judged how often requests are stopped.
    """
    told = tuple(_STEPS[step.kind](step, traffic) for step in steps)
    total = 0.0
    for each in told:
        if each.step.kind != "preflight":
            total += inf if each.seconds is None else each.seconds
    return Forecast(told, None if total == inf else total, tuple(_never(steps, traffic, interrupts)))


def _preflight(step: Step, traffic: Traffic) -> StepForecast:
    what = "all that a load checks, and the plugin's own tests"
    if step.replay is not None:
        what += f", and what was recorded in {step.replay.name}"
    return StepForecast(step, None, what)


def _shadow(step: Step, traffic: Traffic) -> StepForecast:
    rate = traffic.rate * step.share
    pairs = step.until.pairs
    if pairs is None:
        return StepForecast(step, step.atMost, "no number of pairs ends it")
    seconds = pairs / rate if rate else inf
    found = pairsNeeded()
    text = f"{pairs:,} pairs: shows what the candidate does otherwise in 1 of {max(1, pairs // found):,} calls"
    cannot = [] if rate else [NOBODY]
    if rate and step.atMost is not None and seconds > step.atMost:
        made = int(rate * step.atMost)
        cannot.append(
            f"{shareText(step.share)} of {_rateText(traffic)} make {made:,} pairs in {spanText(step.atMost)}, "
            f"not {pairs:,}"
        )
    return StepForecast(step, _bounded(step, seconds), text, tuple(cannot))


def _canary(step: Step, traffic: Traffic) -> StepForecast:
    fault, power = step.until.fault, step.until.power
    cannot = list(_notBefore(step, traffic, fault or FAULT))
    if fault is None:
        return StepForecast(step, step.atMost, "no share of faults ends it", tuple(cannot))
    seconds = secondsUntilShown(traffic.rate, step.share, fault, power, traffic.faults)
    text = f"faults in {shareText(fault)} of calls would be found with a probability of {shareText(power)}"
    if traffic.rate and step.atMost is not None and seconds > step.atMost:
        cannot.append(
            f"{shareText(step.share)} of {_rateText(traffic)} cannot show {shareText(fault)} errors with probability "
            f"{power:g} within {spanText(step.atMost)}{_takes(seconds)}"
        )
    return StepForecast(step, _bounded(step, seconds), text, tuple(cannot))


_STEPS = {"preflight": _preflight, "shadow": _shadow, "canary": _canary}


def _bounded(step: Step, seconds: float) -> float | None:
    """With what the clock says."""
    seconds = max(seconds, step.atLeast)
    if step.atMost is not None:
        seconds = min(seconds, step.atMost)
    return None if seconds >= LONGEST else round(seconds, 1)


def _takes(seconds: float) -> str:
    return "" if seconds >= LONGEST else f"; that takes about {spanText(seconds)}"


def _notBefore(step: Step, traffic: Traffic, fault: float) -> Iterator[str]:
    """How long a bad candidate serves before anybody can know."""
    if not traffic.rate:
        yield NOBODY
    elif step.share < 1:
        what = f"{shareText(step.share)} of {_rateText(traffic)} cannot show {shareText(fault)} errors"
        ends = [secondsUntilFound(traffic.rate, step.share, fault, traffic.faults, uneven) for uneven in (1, UNEVEN)]
        yield what if ends[0] >= LONGEST else f"{what} before {rangeText(*ends)}"
    else:
        yield "with all clients the candidate's, nothing is left to compare with: only hard limits and quarantine act"


def _never(steps: Sequence[Step], traffic: Traffic, interrupts: bool) -> Iterator[str]:
    canaries = [step for step in steps if step.kind == "canary"]
    shares = [step.share for step in canaries]
    compares = any(step.kind == "shadow" or step.shadow > 0 for step in steps)
    if not compares:
        yield "wrong headers, bodies or routes: only a shadow compares what versions do"
    if not canaries:
        yield "what clients meet: no step has the candidate serve any"
        return
    if not compares:
        yield "20 % more at p99: that is not a job for a canary; a shadow shows it after about 2,800 pairs"
    if max(shares) < 0.5 and not compares:
        yield "that all calls take less than half as long again: that takes a shadow, or half of the clients"
    yield "errors that meet a few clients only (2 % of them), before thousands have come"
    if not interrupts:
        yield "that it stops more or fewer requests: its two versions count apart, so this is not judged"
    elif traffic.interrupts > 0:
        yield from _guards(max(shares), traffic)


def _guards(share: float, traffic: Traffic) -> Iterator[str]:
    if share >= 1:
        return
    needed = fewerNeeded(share)
    rate = traffic.rate * (1 - share) * traffic.interrupts
    if needed is None or needed / rate > LONGEST:
        yield f"that it lets all through: {shareText(share)} of clients are too few to tell"
    else:
        yield f"that it lets all through, before {spanText(needed / rate)} at the earliest"


def _rateText(traffic: Traffic) -> str:
    return f"{traffic.rate:.3g} requests/s"
