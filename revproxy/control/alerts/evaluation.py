"""
Compares figures with what rules say, every few seconds, in slices that hold the loop for half a millisecond. There are
pauses between them: a request needs several turns of the loop, and would wait for a slice in each of them.

Without traffic there is no share of errors and no percentile: that is a verdict of its own, neither true nor false. The
rate is 0 then, and can be compared. It is known when the edge has run for as long as it is taken over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from time import perf_counter
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.config.alertexpression import FIGURES, valueText
from revproxy.config.alertsettings import AlertRule
from revproxy.control.alerts.labels import patternMatches
from revproxy.durations import durationText

INTERVAL = 5.0
"""Seconds between two comparisons."""

SLICE = 0.0005
"""Seconds that the loop is held at most, apart from one comparison."""

PAUSE = 0.005
"""Seconds between two slices, which are the requests'."""

MOST = 0.02
"""The share of the time that comparing may take: with more to compare it is done less often."""

SOON_KNOWN = 10.0
"""Seconds after the start from which on figures of requests are believed."""


class Measures(Protocol):
    """Where figures come from."""

    def names(self, of: str) -> Iterable[str]:
        """Of what there are figures: the routes, upstreams, plugins or listeners that there are; ``edge``: one name."""

    def value(self, figure: str, of: str, name: str, seconds: float) -> float | None:
        """A figure; None: there is none, for there was no traffic, or nothing is known."""


class Verdict(Enum):
    """What a comparison says."""

    HOLDS = "holds"
    NOT = "does not hold"
    SILENT = "no traffic"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What one rule says of one thing.

    :ivar text: the values, for people.
    """

    rule: AlertRule
    name: str
    verdict: Verdict
    text: str


def compare(rule: AlertRule, name: str, measures: Measures) -> Finding:
    """What a rule says of a thing now."""
    texts, isSilent, fails = [], False, False
    for each in rule.when:
        value = measures.value(each.figure, rule.of, name, rule.over)
        if value is None:
            isSilent = isSilent or FIGURES[each.figure].needsTraffic
            fails = fails or not FIGURES[each.figure].needsTraffic
            continue
        over = f" over {durationText(rule.over)}" if FIGURES[each.figure].isOverTime else ""
        texts.append(f"{each.figure} is {valueText(each.figure, value)}{over} (rule: {each})")
        fails = fails or not each.holds(value)
    if isSilent:
        return Finding(rule, name, Verdict.SILENT, "no traffic")
    text = ", ".join(texts)
    return Finding(rule, name, Verdict.NOT if fails else Verdict.HOLDS, text)


class Evaluation:
    """
    Of all rules with a condition.

    :ivar rules: assigned when they change.
    """

    _log = Logger()

    def __init__(
        self,
        measures: Measures,
        clock: Any,
        onFinding: Callable[[Finding], None],
        onRound: Callable[[frozenset[str]], None],
        spent: Callable[[], float] = perf_counter,
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param onFinding: told what each comparison says.
        :param onRound: told the names of all rules that were compared, once they are.
        :param spent: seconds, to measure slices by.
        """
        self.rules: tuple[AlertRule, ...] = ()
        self._measures = measures
        self._clock = clock
        self._onFinding = onFinding
        self._onRound = onRound
        self._spent = spent
        self._later: IDelayedCall | None = None
        self._startedAt = 0.0
        self._took = 0.0
        self._compared: set[str] = set()

    def start(self) -> None:
        """Compare from now on."""
        self._startedAt = self._clock.seconds()
        self._later = self._clock.callLater(INTERVAL, self._begin)

    def stop(self) -> None:
        """No more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _begin(self) -> None:
        self._took = 0.0
        self._compared = set()
        self._continue(self._round())

    def _round(self) -> Iterator[Finding]:
        age = self._clock.seconds() - self._startedAt
        for rule in self.rules:
            if not rule.when or age < self._knownFrom(rule):
                continue
            self._compared.add(rule.name)
            for name in list(self._measures.names(rule.of)):
                if rule.only == "*" or patternMatches(rule.only, name):
                    yield compare(rule, name, self._measures)

    def _knownFrom(self, rule: AlertRule) -> float:
        """A rate is believed when its whole window has passed: before that, an edge that has just begun is idle."""
        if any(each.figure == "rate" and not each.isAbove for each in rule.when):
            return rule.over
        return SOON_KNOWN if rule.of != "listener" else 0.0

    def _continue(self, findings: Iterator[Finding]) -> None:
        self._later = None
        begun = self._spent()
        try:
            for finding in findings:
                self._onFinding(finding)
                if self._spent() >= begun + SLICE:
                    self._took += self._spent() - begun
                    self._later = self._clock.callLater(PAUSE, self._continue, findings)
                    return
            self._onRound(frozenset(self._compared))
        except Exception:  # whatever figures do: the next round is to come
            self._log.failure("comparing figures with alert rules")
        self._took += self._spent() - begun
        self._later = self._clock.callLater(max(INTERVAL, self._took / MOST), self._begin)


