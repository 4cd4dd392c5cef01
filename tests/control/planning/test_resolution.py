"""
Whether the chosen versions go together.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.problems import ConfigErrors
from revproxy.config.settings import Config
from revproxy.control.planning.choice import Choice
from revproxy.control.planning.resolution import Resolution, groups, resolve
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.plan import Plan
from tests.control.conversations import makeConfig
from tests.plan.plans import entry

CONFIG = makeConfig()


def byName(*plugins: CatalogEntry) -> dict[str, CatalogEntry]:
    """Plugins by name."""
    return {each.manifest.name: each for each in plugins}


class ResolveTests(SynchronousTestCase):
    """
    As many changes as go are made.
    """

    def setUp(self) -> None:
        self.running = byName(entry("a", "1.0"), entry("b", "1.0"), entry("c", "1.0"))
        self.before: Plan | None = None
        self.before = self.resolve(*self.running.values()).plan

    def resolve(
        self, *chosen: CatalogEntry, config: Config = CONFIG, switches: Mapping[str, bool] | None = None
    ) -> Resolution:
        """
        :param chosen: what is meant.
        """
        choice = Choice(byName(*chosen), (), (), (), {})
        return resolve(2, config, choice, self.before, self.running, switches or {})

    def outcome(self, resolution: Resolution) -> tuple[dict[str, str], list[str]]:
        """
        Which version of what runs, and whose changes are refused.
        """
        runs = {each.name: each.entry.version.number for each in resolution.plan.selected}
        return runs, [each.plugin for each in resolution.refusals]

    def test_all(self) -> None:
        """
        What goes together is the plan, with nothing refused.
        """
        resolution = self.resolve(entry("a", "2.0"), entry("b", "2.0"))
        self.assertEqual(self.outcome(resolution), ({"a": "2.0", "b": "2.0"}, []))
        self.assertEqual(resolution.plan.number, 2)

    def test_some(self) -> None:
        """
        What does not is refused with its reason, and leaves the others alone.
        """
        resolution = self.resolve(entry("a", "2.0", requires={"nobody": ""}), entry("b", "2.0"), self.running["c"])
        self.assertEqual(self.outcome(resolution), ({"a": "1.0", "b": "2.0", "c": "1.0"}, ["a"]))
        (refusal,) = resolution.refusals
        self.assertEqual((refusal.stage, refusal.version.number), ("order", "2.0"))
        self.assertIn("requires nobody, which is absent", refusal.message)

    def test_together(self) -> None:
        """
        Changes that depend on each other are made together or not at all.
        """
        a, b = entry("a", "2.0", requires={"b": ">=2"}), entry("b", "2.0", requires={"nobody": ""})
        resolution = self.resolve(a, b, entry("c", "2.0"))
        self.assertEqual(self.outcome(resolution), ({"a": "1.0", "b": "1.0", "c": "2.0"}, ["a", "b"]))

    def test_needed(self) -> None:
        """
        What others require is not removed.
        """
        self.running["b"] = entry("b", "1.0", requires={"a": ""})
        self.before = self.resolve(*self.running.values()).plan
        resolution = self.resolve(self.running["b"], self.running["c"])
        self.assertEqual(self.outcome(resolution), ({"a": "1.0", "b": "1.0", "c": "1.0"}, ["a"]))
        self.assertTrue(resolution.refusals[0].message.startswith("it was deleted, and runs on, because it is needed:"))

    def test_configuration(self) -> None:
        """
        A configuration that does not go with what runs is refused by itself; plugins change under the one before.
        """
        config = makeConfig("plugins: {config: {nobody: true}}\n", "second.yaml")
        resolution = self.resolve(entry("a", "2.0"), self.running["b"], self.running["c"], config=config)
        self.assertEqual(self.outcome(resolution), ({"a": "2.0", "b": "1.0", "c": "1.0"}, [""]))
        self.assertIs(resolution.plan.config, CONFIG)

    def test_configurationWithNewcomer(self) -> None:
        """
        One that names a plugin which has come with it goes, also when something else does not.
        """
        config = makeConfig("plugins: {config: {d: true}}\n", "second.yaml")
        chosen = [*self.running.values(), entry("d", "1.0"), entry("e", "1.0", requires={"nobody": ""})]
        resolution = self.resolve(*chosen, config=config)
        self.assertEqual(self.outcome(resolution), ({"a": "1.0", "b": "1.0", "c": "1.0", "d": "1.0"}, ["e"]))
        self.assertIs(resolution.plan.config, config)

    def test_first(self) -> None:
        """
        Where nothing ran yet, all that is wrong is raised.
        """
        self.running, self.before = {}, None
        error = self.assertRaises(ConfigErrors, self.resolve, entry("a", requires={"nobody": ""}), entry("b"))
        self.assertIn("requires nobody", str(error))

    def test_switches(self) -> None:
        """
        What is switched off is in the plan, and runs nowhere.
        """
        resolution = self.resolve(*self.running.values(), switches={"a": False})
        self.assertEqual(self.outcome(resolution), ({"b": "1.0", "c": "1.0"}, []))
        self.assertEqual(sorted(resolution.plan.entries), ["a", "b", "c"])


class GroupTests(SynchronousTestCase):
    """
    Who may depend on whom.
    """

    def test_named(self) -> None:
        """
        Those that name one another, in whatever way, and so on; the rest is by itself.
        """
        entries = byName(
            entry("a", requires={"b": ""}),
            entry("b"),
            entry("c", after=["b"]),
            entry("d", conflicts={"e": ""}),
            entry("e"),
            entry("f"),
        )
        self.assertEqual(groups(sorted(entries), [entries]), [["a", "b", "c"], ["d", "e"], ["f"]])

    def test_provided(self) -> None:
        """
        A name that another provides is a name of it.
        """
        entries = byName(entry("a", requires={"service": ""}), entry("b", provides=["service"]))
        self.assertEqual(groups(["a", "b"], [entries]), [["a", "b"]])

    def test_sides(self) -> None:
        """
        What was named before the change counts as well; what does not change is in no group.
        """
        before, after = byName(entry("a", before=["b"]), entry("b")), byName(entry("a"), entry("b"), entry("c"))
        self.assertEqual(groups(["a", "b"], [after, before]), [["a", "b"]])
        self.assertEqual(groups(["a"], [after, before]), [["a"]])
