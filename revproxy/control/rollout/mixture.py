"""
Evidence that grows with each label, and that may be looked at as often as anybody likes.

Something happens in turn, and each time it is either the candidate's or the running version's. If the candidate is not
worse, the odds that it is the candidate's are known beforehand. How much likelier what came would be if they were
higher is the product of a ratio for each event. Nobody knows how much worse a bad candidate is, so several are weighed
together. Whatever the order and the end, 1 in N equal candidates ever gets to N (Ville's inequality): that is why
looking each second costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, log

TIMES_WORSE = (1.5, 2.0, 4.0, 10.0, 40.0)
"""How much likelier the candidate's label is, of a candidate that is worse."""

HIGHEST = 1e300
"""Odds above this are told as this."""

_LOG_HIGHEST = log(HIGHEST)


class Mixture:
    """
    The products, as logarithms.

    :param timesWorse: what is weighed.
    :param certain: the weight of the alternative that every label is the candidate's; the rest is shared equally.
    :ivar logs: one for each of ``timesWorse``, and that of ``certain`` last.
    """

    __slots__ = ("_odds", "_timesWorse", "_weights", "logs")

    def __init__(self, timesWorse: Sequence[float] = TIMES_WORSE, certain: float = 0.0) -> None:
        self._timesWorse = tuple(timesWorse)
        each = (1.0 - certain) / len(self._timesWorse)
        self._weights = [each] * len(self._timesWorse) + [certain]
        self.logs = [0.0] * len(self._weights)
        self._odds: float | None = None

    def saw(self, isHit: bool, odds: float, count: int = 1) -> None:
        """
        Labels came.

        :param isHit: whether they are of the kind that there are more of, if the candidate is worse.
        :param odds: of that kind, if it is not worse; above 0 and finite.
        :param count: so many of them.
        """
        self._odds = None
        for number, ratio in enumerate(self._ratios(isHit, odds)):
            self.logs[number] += count * ratio

    def _ratios(self, isHit: bool, odds: float) -> Iterable[float]:
        """Logarithms of how much likelier a label is by each of the alternatives."""
        for times in self._timesWorse:
            yield log((1.0 + odds) / (1.0 + odds * times)) + (log(times) if isHit else 0.0)
        yield log((1.0 + odds) / odds) if isHit else -1e9

    def odds(self, further: int = 0, odds: float = 1.0) -> float:
        """
        How much likelier what came is if the candidate is worse.

        :param further: if so many hits came, too, at these ``odds``.
        """
        if further:
            ratios = self._ratios(True, odds)
            return self._mean([had + further * more for had, more in zip(self.logs, ratios, strict=True)])
        if self._odds is None:
            self._odds = self._mean(self.logs)
        return self._odds

    def _mean(self, logs: Sequence[float]) -> float:
        weighted = [(weight, had) for weight, had in zip(self._weights, logs, strict=True) if weight]
        top = max(had for _, had in weighted)
        total = top + log(sum(weight * exp(had - top) for weight, had in weighted))
        return exp(min(total, _LOG_HIGHEST))

    def restore(self, logs: Sequence[float]) -> None:
        """
        Go on from there.

        :raises ValueError: if these are of another mixture.
        """
        if len(logs) != len(self.logs):
            raise ValueError(f"{len(logs)} numbers are kept of a mixture of {len(self.logs)}")
        self.logs, self._odds = list(logs), None
