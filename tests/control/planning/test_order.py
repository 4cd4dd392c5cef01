"""One order of all plugins."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.manifest import Manifest, manifestFromMapping
from revproxy.config.problems import ConfigErrors
from revproxy.control.planning.order import resolveOrder


def plugin(name: str, version: str = "1", **more: Any) -> Manifest:
    """A manifest."""
    return manifestFromMapping({"name": name, "version": version, **more}, f"{name}/plugin.json")


def names(*manifests: Manifest) -> str:
    """The names in order, joined by spaces."""
    return " ".join(manifest.name for manifest in resolveOrder(manifests))


class OrderTests(SynchronousTestCase):
    """`resolveOrder`."""

    def refused(self, *manifests: Manifest) -> list[str]:
        """The messages with which a set is refused."""
        return [str(problem) for problem in self.assertRaises(ConfigErrors, resolveOrder, manifests).problems]

    def test_priority(self) -> None:
        """Lower priority first, then by name."""
        self.assertEqual(names(plugin("c"), plugin("b", priority=200), plugin("a"), plugin("d", priority=5)), "d a c b")

    def test_none(self) -> None:
        """No plugins, no order."""
        self.assertEqual(resolveOrder([]), ())

    def test_wishes(self) -> None:
        """Before and after go over priority; absent names do not matter."""
        self.assertEqual(names(plugin("a", after=["b", "nobody"]), plugin("b", priority=900)), "b a")
        self.assertEqual(names(plugin("a"), plugin("b", before=["a", "nobody"], priority=900)), "b a")

    def test_provided(self) -> None:
        """What a plugin provides is a name for before, after, requires and conflicts; several may provide it."""
        self.assertEqual(names(plugin("a", after=["auth"]), plugin("x", provides=["auth"]),
                               plugin("y", provides=["auth"])), "x y a")
        self.assertEqual(names(plugin("a", requires={"auth": ">=2"}), plugin("x", "2.1", provides=["auth"])), "x a")
        self.assertEqual(self.refused(plugin("a", conflicts={"auth": ""}), plugin("x", provides=["auth"])),
                         ["a/plugin.json: $.conflicts.auth: a 1 cannot run together with x 1; switch one of them off"])

    def test_providersOfTheSame(self) -> None:
        """A plugin may conflict with all others that provide what it provides."""
        one = plugin("a", provides=["auth"], conflicts={"auth": ""})
        self.assertEqual(names(one), "a")
        self.assertEqual(len(self.refused(one, plugin("b", provides=["auth"], conflicts={"auth": ""}))), 2)

    def test_required(self) -> None:
        """Who is required runs earlier."""
        self.assertEqual(names(plugin("a", requires={"z": ">=2,<3"}), plugin("z", "2.5")), "z a")

    def test_unmet(self) -> None:
        """An absent or unsuited requirement is refused, with what there is."""
        self.assertEqual(self.refused(plugin("a", requires={"auth": ">=2"})),
                         ["a/plugin.json: $.requires.auth: a 1 requires auth >=2, which is absent or switched off"])
        self.assertEqual(self.refused(plugin("a", requires={"auth": ">=2"}), plugin("auth", "1.9")),
                         ["a/plugin.json: $.requires.auth: a 1 requires auth >=2; there is auth 1.9"])
        self.assertIn('did you mean "auth"?', self.refused(plugin("a", requires={"auht": ""}), plugin("auth"))[0])

    def test_prereleases(self) -> None:
        """A pre-release counts by its order: 2.0rc1 is not yet 2, 2.1rc1 is past it."""
        self.assertEqual(names(plugin("a", requires={"b": ">=2"}), plugin("b", "2.1rc1")), "b a")
        self.assertEqual(len(self.refused(plugin("a", requires={"b": ">=2"}), plugin("b", "2.0rc1"))), 1)

    def test_conflictOfVersions(self) -> None:
        """Only the versions named conflict."""
        self.assertEqual(names(plugin("a", conflicts={"b": "<2"}), plugin("b", "2")), "a b")
        self.assertEqual(len(self.refused(plugin("a", conflicts={"b": "<2"}), plugin("b", "1.9"))), 1)

    def test_sameName(self) -> None:
        """A name stands for one plugin."""
        self.assertEqual(self.refused(plugin("a"), plugin("a", "2")),
                         ['a/plugin.json: $.name: "a" is also the name of a/plugin.json'])

    def test_cycle(self) -> None:
        """A cycle is refused with its path; plugins that only wait for it are not in it."""
        message = "the order of plugins has a cycle: a -> b -> c -> a (each must run before the next)"
        found = self.refused(plugin("c", before=["a"]), plugin("b", after=["a"], before=["c"]), plugin("a"),
                             plugin("z", after=["a"]))
        self.assertEqual(found, [f"a/plugin.json: $.name: {message}"])

    def test_shortestCycle(self) -> None:
        """Of several cycles the shortest is shown."""
        found = self.refused(plugin("a", before=["b"]), plugin("b", before=["c"]), plugin("c", before=["a", "d"]),
                             plugin("d", before=["c"]))
        self.assertIn("c -> d -> c", found[0])

    def test_allAtOnce(self) -> None:
        """All unmet requirements and conflicts are reported together."""
        self.assertEqual(len(self.refused(plugin("a", requires={"x": "", "y": ""}, conflicts={"b": ""}),
                                          plugin("b", requires={"z": ""}))), 4)

    def test_long(self) -> None:
        """A long chain of edges takes no recursion."""
        many = [plugin(f"p{n}", after=[f"p{n + 1}"]) for n in range(1500)]
        self.assertEqual(resolveOrder(many)[0].name, "p1499")

    @given(st.data())
    @settings(max_examples=100, deadline=None)
    def test_respectsEdges(self, data: st.DataObject) -> None:
        """Every edge holds, priority too where no edge forbids, in whatever order plugins come; or there is a cycle."""
        known = ["a", "b", "c", "d", "e"]
        some = st.lists(st.sampled_from([*known, "role", "absent"]), unique=True, max_size=2)
        manifests = []
        for name in data.draw(st.lists(st.sampled_from(known), unique=True)):
            before, after = (tuple(one for one in data.draw(some) if one != name) for _ in range(2))
            provides = ("role",) if data.draw(st.booleans()) else ()
            manifests.append(plugin(name, priority=data.draw(st.integers(0, 2)), before=before, after=after,
                                    provides=provides))
        shuffled = random.Random(1).sample(manifests, len(manifests))
        try:
            order = resolveOrder(manifests)
        except ConfigErrors as errors:
            again = self.assertRaises(ConfigErrors, resolveOrder, shuffled)
            self.assertEqual(str(again), str(errors))
            self.assertIn("cycle", str(errors))
            return
        self.assertEqual(resolveOrder(shuffled), order)
        self.assertEqual(sorted(one.name for one in order), sorted(one.name for one in manifests))
        edges = _edges(order)
        for early, late in edges:
            self.assertLess(order.index(early), order.index(late))
        for index, one in enumerate(order[:-1]):
            following = order[index + 1]
            if (one, following) not in edges:
                self.assertLessEqual((one.priority, one.name), (following.priority, following.name))


def _edges(manifests: tuple[Manifest, ...]) -> list[tuple[Manifest, Manifest]]:
    """Every pair of which the first must run earlier, by the definition and not by the code under test."""
    return [
        (one, two) for one in manifests for two in manifests if one is not two
        and ({two.name, *two.provides} & set(one.before) or {one.name, *one.provides} & set(two.after))
    ]
