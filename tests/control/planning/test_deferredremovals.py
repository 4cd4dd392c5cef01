"""A plugin that gets another name is a removal and a newcomer: requests do not pass without either."""

from __future__ import annotations

import shutil
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.commands import CommandError
from revproxy.control.planning.deferredremovals import DeferredRemovals
from tests.control.test_coordinator import LifecycleCase


class RenamedCase(LifecycleCase):
    """Plugin a runs; then its folder gets another name."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()

    def rename(self, name: str, **manifest: Any) -> None:
        """a becomes another plugin, in a folder of that name."""
        shutil.move(self.bench.plugins / "a", self.bench.plugins / name)
        self.bench.write(name, **manifest)


class OrderTests(RenamedCase):
    """Newcomers that load, and do not go with the others."""

    def test_requirement(self) -> None:
        """One that requires what is not there holds the removal back, until that has come."""
        self.rename("b", requires={"q": ""})
        report = self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.assertIn("requires q, which is absent", self.bench.failure("b"))
        self.assertIn("it was removed when b came, which was refused", self.bench.failure("a"))
        self.assertEqual(sorted(one.plugin for one in report.refused), ["a", "b"])
        self.bench.write("c")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "c 1.0.0"])
        self.bench.write("q")
        self.apply()
        self.assertEqual(sorted(self.bench.seen()), ["b 1.0.0", "c 1.0.0", "q 1.0.0"])
        self.assertEqual((self.bench.failure("a"), self.bench.failure("b")), ("", ""))

    def test_cycle(self) -> None:
        """So does one that closes a circle."""
        self.rename("b", requires={"c": ""})
        self.bench.write("c", requires={"b": ""})
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.assertIn("it was removed when b and c came", self.bench.failure("a"))
        self.bench.write("c", version="2.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["c 2.0", "b 1.0.0"])

    def test_conflict(self) -> None:
        """So does one that does not go with something that runs."""
        self.bench.write("c")
        self.apply()
        self.rename("b", conflicts={"c": ""})
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "c 1.0.0"])
        self.assertIn("it was removed when b came", self.bench.failure("a"))

    def test_configuration(self) -> None:
        """So does one whose configuration is not what its schema says."""
        schema = {"type": "object", "required": ["rate"], "properties": {"rate": {"type": "integer"}}}
        self.rename("b", config_schema=schema)
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.bench.write("b", config_schema=schema, config={"rate": 3})
        self.apply()
        self.assertEqual(self.bench.seen(), ["b 1.0.0"])

    def test_overRestart(self) -> None:
        """Also while the edge is down, and it is still so after the next change."""
        self.bench.stop()
        self.rename("b", requires={"q": ""})
        self.bench.start()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.bench.write("c")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "c 1.0.0"])

    def test_newcomerGone(self) -> None:
        """Without the newcomer the removal is a removal."""
        self.rename("b", requires={"q": ""})
        self.apply()
        shutil.rmtree(self.bench.plugins / "b")
        self.apply()
        self.assertEqual((self.bench.seen(), self.bench.failure("a")), ([], ""))

    def test_comesBack(self) -> None:
        """With its old name it is the plugin that runs on."""
        self.rename("b", requires={"q": ""})
        self.apply()
        shutil.rmtree(self.bench.plugins / "b")
        self.bench.write("a")
        self.apply()
        self.assertEqual((self.bench.seen(), self.bench.failure("a")), (["a 1.0.0"], ""))

    def test_switchedOff(self) -> None:
        """What runs on can be switched off."""
        self.rename("b", requires={"q": ""})
        self.apply()
        self.call("disable", name="a")
        self.assertEqual(self.bench.seen(), [])


class OthersTests(RenamedCase):
    """Newcomers that have nothing to do with it, or may have."""

    def test_refusedBefore(self) -> None:
        """What was refused before, and is still, holds back nothing that is removed later; nor if it is tried again."""
        self.bench.write("b", requires={"q": ""})
        self.bench.write("c", "1 / 0")
        self.apply()
        shutil.rmtree(self.bench.plugins / "a")
        self.call("reload")
        self.assertEqual(self.bench.seen(), [])

    def test_anyOfThem(self) -> None:
        """Of several newcomers that are refused nobody knows which was the plugin: all are to be mended first."""
        self.rename("d", code="1 / 0")
        self.bench.write("b", "1 / 0")
        self.bench.write("c", requires={"q": ""})
        self.apply()
        self.assertIn("it was removed when b, c and d came", self.bench.failure("a"))
        self.bench.write("b")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "b 1.0.0"])
        self.bench.write("q")
        self.apply()
        self.assertEqual(sorted(self.bench.seen()), ["a 1.0.0", "b 1.0.0", "c 1.0.0", "q 1.0.0"])
        self.assertIn("it was removed when d came", self.bench.failure("a"))
        self.bench.write("d")
        self.apply()
        self.assertEqual(sorted(self.bench.seen()), ["b 1.0.0", "c 1.0.0", "d 1.0.0", "q 1.0.0"])

    def test_laterNewcomer(self) -> None:
        """One that comes later, and is refused, does not prolong it."""
        self.rename("b", requires={"q": ""})
        self.apply()
        self.bench.write("e", "1 / 0")
        self.apply()
        self.bench.write("b")
        self.apply()
        self.assertEqual(self.bench.seen(), ["b 1.0.0"])


class NameTakenTests(RenamedCase):
    """The new name is that of another plugin."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("c")
        self.apply()

    def test_inPlace(self) -> None:
        """The plugin runs on under its old name, and so does the other one under its own."""
        for name, other in (("a", "c"), ("c", "a")):
            self.bench.write(name)
            (self.bench.plugins / name / "plugin.json").write_text(f'{{"name": "{other}", "version": "2.0"}}')
            self.apply()
            self.assertEqual(self.bench.seen(), ["a 1.0.0", "c 1.0.0"])
            self.assertIn(f'"{other}" is also the name of the plugin in', self.bench.failure(name))
            self.bench.write(name)
            self.apply()

    def test_moved(self) -> None:
        """So it does if its folder has got another name as well, until that has a name of its own."""
        self.rename("b", code="1 / 0")
        (self.bench.plugins / "b" / "plugin.json").write_text('{"name": "c", "version": "1.0"}')
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "c 1.0.0"])
        self.assertIn("it was removed when b came, which was refused", self.bench.failure("a"))
        self.bench.write("d")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "c 1.0.0", "d 1.0.0"])
        self.bench.write("b")
        self.apply()
        self.assertEqual(sorted(self.bench.seen()), ["b 1.0.0", "c 1.0.0", "d 1.0.0"])

    def test_copyBefore(self) -> None:
        """A copy that has been there before holds back nothing."""
        shutil.copytree(self.bench.plugins / "c", self.bench.plugins / "c.old")
        self.apply()
        shutil.rmtree(self.bench.plugins / "a")
        self.apply()
        self.assertEqual(self.bench.seen(), ["c 1.0.0"])

    def test_copyBeforeRestart(self) -> None:
        """Nor does one that has been there when the edge was started again."""
        shutil.copytree(self.bench.plugins / "c", self.bench.plugins / "c.old")
        self.restart()
        shutil.rmtree(self.bench.plugins / "a")
        self.apply()
        self.assertEqual(self.bench.seen(), ["c 1.0.0"])

    def test_broken(self) -> None:
        """So it does if the other one is broken at that time."""
        self.bench.write("c", says="c")
        (self.bench.plugins / "c" / "plugin.json").write_text("{")
        (self.bench.plugins / "a" / "plugin.json").write_text('{"name": "c", "version": "2.0"}')
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "c 1.0.0"])
        self.assertIn("is also the name of the plugin in", self.bench.failure("a"))


class NamelessTests(RenamedCase):
    """Folders that do not tell whose they are."""

    def nameless(self, name: str) -> None:
        """A folder whose plugin.json cannot be read."""
        self.bench.write(name)
        (self.bench.plugins / name / "plugin.json").write_text("{")

    def test_renamed(self) -> None:
        """One that comes when a plugin goes may be its folder: the plugin runs on, and that is told."""
        self.rename("b")
        self.nameless("b")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.assertIn("it was removed when b came", self.bench.failure("a"))
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.assertIn("it was removed when b came", self.bench.failure("a"))
        self.bench.write("b")
        self.apply()
        self.assertEqual(self.bench.seen(), ["b 1.0.0"])

    def test_before(self) -> None:
        """One that has been there before holds back nothing."""
        self.nameless("b")
        self.apply()
        shutil.rmtree(self.bench.plugins / "a")
        self.apply()
        self.assertEqual(self.bench.seen(), [])

    def test_refusedBesides(self) -> None:
        """Also not because a change that was asked for could not be made in between; what is held back stays so."""
        self.rename("b")
        self.nameless("b")
        self.assertRaises(CommandError, self.call, "rollback", name="nobody")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])


class ValueTests(SynchronousTestCase):
    """Who waits for whom."""

    def test_within(self) -> None:
        """What goes with a change waits for what is refused in it, at its beginning and in its course."""
        removals = DeferredRemovals().ofNextChange({"a", "b"}, {"x": "1"})
        removals.refused["y"] = None
        self.assertEqual(removals.waiting, {"a": {"x", "y"}, "b": {"x", "y"}})

    def test_nobodyRefused(self) -> None:
        """Where nothing is refused, nothing waits."""
        self.assertEqual(DeferredRemovals().ofNextChange({"a"}, {}).waiting, {})

    def test_refusedBefore(self) -> None:
        """What was refused in the change before is no newcomer, as long as it is the same."""
        before = DeferredRemovals().ofNextChange(set(), {"x": "1", "y": None, "z": "1"})
        removals = before.ofNextChange({"a"}, {"x": "1", "y": None, "z": "2"})
        self.assertEqual(removals.waiting, {"a": {"z"}})

    def test_goesOn(self) -> None:
        """What went earlier waits for the newcomers of that change, and for no later one, until it is back."""
        removals = DeferredRemovals().ofNextChange({"a"}, {"x": "1"}).ofNextChange({"a", "b"}, {"x": "2", "y": "1"})
        self.assertEqual(removals.waiting, {"a": {"x"}, "b": {"x", "y"}})
        self.assertEqual(removals.ofNextChange({"b"}, {}).waiting, {"b": {"x", "y"}})
