"""Tests for :mod:`revproxy.dataplane.upstream.balancing`: policies alone, with targets that nobody connects to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.schema import publishedSchema
from revproxy.dataplane.upstream import balancing
from revproxy.dataplane.upstream.balancing import WeightedRoundRobin
from revproxy.dataplane.upstream.target import Target
from revproxy.dataplane.upstream.upstream import Upstream
from tests.dataplane.origins import Origin


def targets(*weights: int) -> list[Target]:
    """Their URLs are their numbers."""
    return [Origin(Clock(), url=str(at), weight=weight).target for at, weight in enumerate(weights)]


def chosen(among: Sequence[Target], count: int, now: float = 0.0) -> str:
    """The URLs of so many."""
    policy = WeightedRoundRobin()
    return "".join(policy.choose(among, now).url for _ in range(count))


class WeightedRoundRobinTests(SynchronousTestCase):
    """In turn, by weight."""

    def test_turns(self) -> None:
        """Equal ones in the order of the configuration."""
        self.assertEqual(chosen(targets(1, 1, 1), 6), "012012")

    def test_smooth(self) -> None:
        """The order of nginx for 5, 1, 1; and after as many choices as there is weight, it begins anew."""
        self.assertEqual(chosen(targets(5, 1, 1), 14), "0010200" * 2)

    @given(st.lists(st.integers(1, 20), min_size=1, max_size=5))
    def test_shares(self, weights: list[int]) -> None:
        """Each has exactly its share."""
        among = targets(*weights)
        counts = Counter(chosen(among, 2 * sum(weights)))
        self.assertEqual(counts, {str(at): 2 * weight for at, weight in enumerate(weights)})
        self.assertEqual([target.current for target in among], [0] * len(weights))

    def test_down(self) -> None:
        """What is marked down takes no part, neither now nor in what is counted, until its time has come."""
        among = targets(1, 1, 1)
        among[1].downUntil = 5.0
        self.assertEqual(chosen(among, 4, now=4.9), "0202")
        self.assertEqual(among[1].current, 0)
        self.assertEqual(set(chosen(among, 3, now=5.0)), set("012"))

    def test_allDown(self) -> None:
        """Rather the one that may be tried again first than none."""
        among = targets(1, 1, 1)
        for target, until in zip(among, (9.0, 7.0, 8.0), strict=True):
            target.downUntil = until
        self.assertEqual(chosen(among, 2), "11")


class PolicyTests(SynchronousTestCase):
    """Another policy is a class of a few lines."""

    def test_example(self) -> None:
        """The one that the module's docstring shows; an upstream asks it for what is not tried yet."""
        text = (balancing.__doc__ or "").partition("::\n")[2].partition("\n\nThere")[0]
        namespace: dict[str, type] = {}
        exec("if True:\n" + text, namespace)
        among = targets(1, 1)
        upstream = Upstream("app", among, lambda: 0.0, policy=namespace["First"]())
        self.assertEqual([upstream.pick(()) for _ in range(3)], [among[0]] * 3)
        self.assertIs(upstream.pick((among[0],)), among[1])
        self.assertIsNone(upstream.pick(among))
        among[0].downUntil = 1.0
        self.assertIs(upstream.pick(()), among[1])


class NamesTests(SynchronousTestCase):
    """The names that users write."""

    def test_schema(self) -> None:
        """Each policy that a configuration may name is there, and each that is there may be named."""
        upstream = publishedSchema("revproxy")["properties"]["upstreams"]["additionalProperties"]["properties"]
        self.assertEqual(set(upstream["policy"]["enum"]), set(balancing.POLICIES))
