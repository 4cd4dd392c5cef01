"""
What one transaction tries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.attempt import Attempt, switchesOf
from revproxy.control.changes import NOTHING_ASKED, ChangeRefused, ChangeRequest
from revproxy.control.planning.choice import choose
from revproxy.control.planning.deferredremovals import DeferredRemovals
from revproxy.control.snapshot import Snapshot
from revproxy.control.state.records import PluginRecords
from revproxy.plan.catalog import BrokenPlugin, Catalog, CatalogEntry
from revproxy.plan.pemfiles import PemFiles
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal
from tests.control.conversations import makeConfig
from tests.plan.plans import brokenEntry, entry

CONFIG = makeConfig()


def byName(*plugins: CatalogEntry) -> dict[str, CatalogEntry]:
    """Plugins by name."""
    return {each.manifest.name: each for each in plugins}


def refusalOf(plugin: CatalogEntry, stage: str = "import") -> Refusal:
    """As a worker says it."""
    return Refusal(plugin.manifest.name, stage, "it raised", plugin.version)


class AttemptCase(SynchronousTestCase):
    """
    a 1.0 and b 1.0 run.
    """

    def setUp(self) -> None:
        self.running = byName(entry("a", "1.0"), entry("b", "1.0"))
        self.before: Plan | None = None
        self.before = self.attempt(*self.running.values()).resolve()

    def attempt(
        self,
        *found: CatalogEntry | BrokenPlugin,
        request: ChangeRequest = NOTHING_ASKED,
        isNeeded: Callable[[str], bool] = lambda name: False,
        **snapshot: Any,
    ) -> Attempt:
        """
        :param found: what the folder has.
        """
        broken = tuple(each for each in found if isinstance(each, BrokenPlugin))
        catalog = Catalog(byName(*(each for each in found if isinstance(each, CatalogEntry))), broken)
        choice = choose(catalog, self.running, {}, PluginRecords(), self._stored)
        removals = DeferredRemovals().ofNextChange(self.running.keys() - choice.entries.keys(), choice.refusedNewcomers)
        given = Snapshot(**{"config": CONFIG, "catalog": catalog, **snapshot})
        return Attempt(request, given, PluginRecords(), choice, removals, self.running, self.before, isNeeded)

    def _stored(self, name: str, digest: str) -> CatalogEntry:
        raise AssertionError("nothing is pinned")

    def versions(self, attempt: Attempt) -> dict[str, str]:
        """
        What is tried.
        """
        return {each.name: each.entry.version.number for each in attempt.resolve().selected}


class DropTests(AttemptCase):
    """
    Changes that are refused.
    """

    def test_own(self) -> None:
        """
        What runs stays in the place of what failed.
        """
        new = entry("a", "2.0")
        attempt = self.attempt(new, entry("b", "2.0"))
        self.assertTrue(attempt.drop(refusalOf(new)))
        self.assertEqual(self.versions(attempt), {"a": "1.0", "b": "2.0"})
        self.assertEqual(attempt.refusals, [refusalOf(new)])

    def test_notOwn(self) -> None:
        """
        What fails and has not changed fails for another reason: it is not dropped, and neither is what nobody knows.
        """
        attempt = self.attempt(entry("a", "2.0"), entry("b", "1.0"))
        self.assertFalse(attempt.drop(refusalOf(self.running["b"])))
        self.assertFalse(attempt.drop(Refusal("", "listen", "tcp:1 is in use")))
        self.assertEqual(attempt.refusals, [])

    def test_newcomer(self) -> None:
        """
        A newcomer is left out, but for one that the edge does not start without.
        """
        new = entry("c", "1.0")
        attempt = self.attempt(*self.running.values(), new)
        self.assertTrue(attempt.drop(refusalOf(new)))
        self.assertEqual(self.versions(attempt), {"a": "1.0", "b": "1.0"})
        needed = self.attempt(*self.running.values(), new, isNeeded=lambda name: name == "c")
        self.assertFalse(needed.drop(refusalOf(new)))
        self.assertIn("c", self.versions(needed))

    def test_removal(self) -> None:
        """
        What is gone runs on when the newcomer of the same change is dropped, and that is told besides.
        """
        new = entry("c", "1.0")
        attempt = self.attempt(self.running["b"], new)
        self.assertEqual(self.versions(attempt), {"b": "1.0", "c": "1.0"})
        attempt.drop(refusalOf(new))
        self.assertEqual(self.versions(attempt), {"a": "1.0", "b": "1.0"})
        self.assertEqual([(each.plugin, each.stage) for each in attempt.refusals], [("c", "import"), ("a", "held")])

    def test_resolvedAnew(self) -> None:
        """
        What was refused for the sake of a change that is dropped later is not refused any more.
        """
        a, b = entry("a", "2.0", conflicts={"b": ">=2"}), entry("b", "2.0")
        attempt = self.attempt(a, b)
        attempt.resolve()
        self.assertEqual([(each.plugin, each.stage) for each in attempt.refusals], [("a", "order"), ("b", "order")])
        attempt.drop(refusalOf(a))
        self.assertEqual(self.versions(attempt), {"a": "1.0", "b": "2.0"})
        self.assertEqual(attempt.refusals, [refusalOf(a)])

    def test_leaveOut(self) -> None:
        """
        To find all that is wrong, a plugin is left out, once, whether it runs or not.
        """
        attempt = self.attempt(*self.running.values())
        self.assertTrue(attempt.leaveOut("a"))
        self.assertFalse(attempt.leaveOut("a"))
        self.assertEqual(attempt.choice.entries.keys(), {"b"})


class AskedTests(AttemptCase):
    """
    Somebody asked for the change of a plugin.
    """

    def refused(self, *refusals: Refusal) -> tuple[Refusal, ...]:
        """
        What is told of these to who asked for a change of a.
        """
        attempt = self.attempt(*self.running.values(), request=ChangeRequest("a"))
        attempt.refusals += refusals
        return self.assertRaises(ChangeRefused, attempt.refuseAsked).refusals  # type: ignore[no-any-return]

    def test_refused(self) -> None:
        """
        Its refusals are told, and no others.
        """
        own, other = Refusal("a", "start", "no port"), Refusal("b", "start", "no port")
        self.assertEqual(self.refused(other, own), (own,))

    def test_files(self) -> None:
        """
        What its folder holds besides is not what was asked for, nor is that it runs on.
        """
        attempt = self.attempt(*self.running.values(), request=ChangeRequest("a"))
        beside = [Refusal("a", "files", "not JSON"), Refusal("a", "held", "it runs on")]
        attempt.refusals += beside
        attempt.refuseAsked()
        self.assertEqual(attempt.refusals, beside)

    def test_nobody(self) -> None:
        """
        Where nobody asked, nothing is raised.
        """
        attempt = self.attempt(*self.running.values())
        attempt.refusals.append(Refusal("a", "start", "no port"))
        attempt.refuseAsked()


class PlanTests(AttemptCase):
    """
    What is in a plan besides plugins.
    """

    def test_same(self) -> None:
        """
        Where nothing changes, the plan amounts to what runs, under the next number.
        """
        assert self.before is not None
        plan = self.attempt(*self.running.values()).resolve()
        self.assertTrue(plan.isLike(self.before))
        self.assertEqual((self.before.number, plan.number), (1, 2))

    def test_gates(self) -> None:
        """
        A gate has the number of the plan with which it began. It goes with the code, or when it is lifted.
        """
        self.before = self.attempt(*self.running.values(), request=ChangeRequest(gate="a")).resolve()
        self.assertEqual(self.before.gates, {"a": 2})
        a, b = self.running.values()
        self.assertEqual(self.attempt(a, entry("b", "2.0")).resolve().gates, {"a": 2})
        self.assertEqual(self.attempt(a, b, request=ChangeRequest(gate="b")).resolve().gates, {"a": 2, "b": 3})
        self.assertEqual(self.attempt(entry("a", "2.0"), b).resolve().gates, {})
        self.assertEqual(self.attempt(a, b, request=ChangeRequest(lift="a")).resolve().gates, {})
        self.assertEqual(self.attempt(entry("a", "1.0", config={"x": 1}), b).resolve().gates, {"a": 2})

    def test_noGateForOthers(self) -> None:
        """
        What comes in the place of the version that failed, before its gate is there, gets none.
        """
        _, b = self.running.values()
        attempt = self.attempt(entry("a", "2.0"), b, request=ChangeRequest(gate="a"))
        self.assertEqual(attempt.resolve().gates, {})
        other = self.attempt(entry("a", "1.0", config={"x": 1}), b, request=ChangeRequest(gate="a"))
        self.assertEqual(other.resolve().gates, {"a": 2})

    def test_noGate(self) -> None:
        """
        What does not run gets none.
        """
        attempt = self.attempt(*self.running.values(), request=ChangeRequest(gate="nobody"))
        self.assertEqual(attempt.resolve().gates, {})

    def test_certificates(self) -> None:
        """
        They are those that were read, or, when the configuration stays as it was, those of that one.
        """
        assert self.before is not None
        old, new = ({"/c": PemFiles("/c", digest)} for digest in "12")
        self.before = replace(self.before, certificates=old)
        found = tuple(self.running.values())
        self.assertEqual(self.attempt(*found, certificates=new).resolve().certificates, new)
        wrong = makeConfig("plugins: {config: {nobody: true}}\n", "second.yaml")
        attempt = self.attempt(*found, certificates=new, config=wrong)
        self.assertEqual((attempt.resolve().certificates, attempt.resolve().config), (old, CONFIG))
        self.assertEqual([(each.plugin, each.stage) for each in attempt.refusals], [("", "order")])

    def test_broken(self) -> None:
        """
        A plugin that is broken, and runs, runs on as it does.
        """
        attempt = self.attempt(brokenEntry("a"), self.running["b"])
        self.assertEqual(self.versions(attempt), {"a": "1.0", "b": "1.0"})

    def test_switches(self) -> None:
        """
        What commands switched is known from the records; who was not switched is not in it.
        """
        records = PluginRecords().switched("a", False).switched("b", True).foundIn("c", "folder")
        self.assertEqual(switchesOf(records), {"a": False, "b": True})
