"""
Which of several targets is next: the policies.

A policy is an object with one method, :meth:`Policy.choose`, that compares what targets say of themselves
(:class:`~revproxy.dataplane.upstream.target.Target`: ``isHealthy``, ``isFull``, ``isAvailable``, ``weight``) and does
nothing else: it waits for nothing, knows no request, and connects nowhere::

    class First:
        def choose(self, targets, now):
            return next((target for target in targets if target.isAvailable(now)), targets[0])

There is one, :class:`WeightedRoundRobin`. :data:`POLICIES` has them by the names that users write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from revproxy.dataplane.upstream.target import Target


class Policy(Protocol):
    """Chooses among targets."""

    def choose(self, targets: Sequence[Target], now: float) -> Target:
        """
        The target for one more request.

        :param targets: those that have not been tried for it, in the order of the configuration; one at least.
        :param now: the time, as ``isHealthy`` wants it.
        """


class WeightedRoundRobin:
    """
    In turn by weight, and smoothly, as in nginx: of weights 5, 1 and 1 the first is not chosen five times in a row.

    Each turn, every target's ``current`` grows by its weight; the one with the most is chosen, and gives back what all
    have got. Targets that are marked down take no part; where all are, it is the one that may be tried again first.
    Full ones do take part: they refuse at once, and the request goes to another.
    """

    def choose(self, targets: Sequence[Target], now: float) -> Target:
        """As :meth:`Policy.choose`."""
        chosen: Target | None = None
        total = most = 0
        for target in targets:
            if target.isHealthy(now):
                total += target.weight
                target.current += target.weight
                if chosen is None or target.current > most:
                    chosen, most = target, target.current
        if chosen is None:
            return min(targets, key=lambda target: target.downUntil)
        chosen.current -= total
        return chosen


POLICIES: Mapping[str, Callable[[], Policy]] = {"round_robin": WeightedRoundRobin}
"""By the value of ``upstreams.NAME.policy``, what makes the policy of one upstream."""
