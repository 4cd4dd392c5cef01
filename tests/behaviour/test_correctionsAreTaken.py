"""What was wrong and is mended: it is tried again when it may go, it holds then, and nothing is told of it any more."""

from __future__ import annotations

import shutil

from revproxy.control.changes import ChangeRequest
from revproxy.worker.guard.timelimit import noLongerThan
from tests.control.test_coordinator import COUNTING, code
from tests.witnesses import WitnessCase, witnessed

PICKY = """
    def __init__(self, config):
        self.config = dict(config)
        if config.get("rate") == "bad":
            raise ValueError("rate is bad")
"""
"""A plugin that is not made with one configuration."""

DEMANDING = """
    def __init__(self, config):
        self.config = {"rate": config["rate"]}
"""
"""A plugin that is not made without one."""


class ConfigurationFileTests(WitnessCase):
    """revproxy.yaml is mended, or what it names."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()

    def test_givesAPluginWhatItNeeds(self) -> None:
        """A version that failed for want of configuration is tried again when it is given one."""
        self.bench.write("a", code("two", DEMANDING), version="2.0")
        self.apply()
        self.assertIn("KeyError", self.bench.failure("a"))
        self.configurePlugins("{a: {rate: 1}}")
        self.apply()
        self.assertEqual((self.bench.seen(), self.bench.failure("a")), (["two"], ""))

    def test_valueOfANewPlugin(self) -> None:
        """A new plugin that came with a wrong value runs with the right one."""
        self.bench.write("c", code("c", PICKY))
        self.configurePlugins("{c: {rate: bad}}")
        self.apply()
        self.assertIn("rate is bad", self.bench.failure("c"))
        self.configurePlugins("{c: {rate: good}}")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "c"])
        self.assertEqual((self.bench.failure(""), self.bench.failure("c")), ("", ""))

    def test_missingFolder(self) -> None:
        """A folder that it names and that comes later."""
        self.bench.configure("[{path: /s/, static: pub}]")
        self.apply()
        self.assertIn("pub", self.bench.failure(""))
        (self.bench.root / "pub").mkdir()
        self.apply()
        self.assertEqual(self.bench.failure(""), "")
        self.assertIsNotNone(self.bench.edge.generation.find(b"h", b"/s/"))

    def test_folderOfPlugins(self) -> None:
        """The folder of plugins goes and comes back."""
        shutil.move(self.bench.plugins, self.bench.root / "away")
        self.apply()
        self.assertTrue(self.bench.failure(""))
        shutil.move(self.bench.root / "away", self.bench.plugins)
        self.apply()
        self.assertEqual((self.bench.failure(""), self.bench.seen()), ("", ["a 1.0.0"]))

    def test_notAgainAndAgain(self) -> None:
        """A file that a running plugin has refused is not tried on it with every change of another plugin."""
        self.bench.write("b", witnessed("""
    def validateConfig(self, config): pass
    def updateConfig(self, config):
        self.witness.log.append(config.get("value"))
        if config.get("value") == "bad":
            raise ValueError("bad is bad")
""", "IConfigurable"))
        self.apply()
        self.configurePlugins("{b: {value: bad}}")
        self.apply()
        self.assertEqual(self.witness.log, ["bad", None])  # tried, and taken back
        for version in ("2.0", "3.0"):
            self.bench.write("a", version=version)
            self.apply()
        self.assertEqual(self.bench.seen()[0], "a 3.0")
        self.assertEqual(self.witness.log, ["bad", None])
        self.assertIn("bad is bad", self.bench.failure(""))
        self.apply(ChangeRequest(force=True))
        self.assertEqual(self.witness.log, ["bad", None] * 2)

    def test_waitsWhileItIsRefused(self) -> None:
        """A file whose plugin does not start does not keep a rollback waiting."""
        self.bench.write("a", version="2.0")
        self.apply()
        hanging = "    def start(self): return Deferred()\n    def stop(self): pass"
        self.bench.write("h", code(body=hanging, interfaces="ILifecycle"), enabled=False)
        self.configurePlugins("{h: true}")
        self.apply()
        self.assertIn("start did not come back", self.bench.failure("h"))
        before = self.bench.clock.seconds()
        self.call("rollback", name="a")
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.assertLess(self.bench.clock.seconds() - before, 5)


    def test_forcedInTheEnd(self) -> None:
        """A file that was refused, and is taken when it is tried again, is in force: the next change is made."""
        mark = self.bench.root / "mark"
        body = f"    def start(self): open({str(mark)!r})\n    def stop(self): pass"
        self.bench.write("h", code("h", body, "ILifecycle"), enabled=False)
        self.apply()
        self.configurePlugins("{h: true}")
        self.apply()
        self.assertIn("No such file", self.bench.failure(""))
        mark.touch()
        self.apply(ChangeRequest(force=True))
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "h"])
        self.bench.write("a", version="2.0")
        with noLongerThan(5):  # it once looked at the files for ever
            self.apply()
        self.assertEqual((self.bench.seen(), self.bench.failure("")), (["a 2.0", "h"], ""))


class FolderTests(WitnessCase):
    """Folders of plugins."""

    def test_renamedAndBroken(self) -> None:
        """A folder that was given another name is still its plugin's when its manifest breaks."""
        for name in "ab":
            self.bench.write(name)
        self.bench.start()
        shutil.move(self.bench.plugins / "a", self.bench.plugins / "z")
        self.apply()
        self.manifest("z", "{")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "b 1.0.0"])

    def test_acceptedInTheEnd(self) -> None:
        """A change that goes once another one was dropped is not told as refused."""
        self.bench.write("u", before=["x"])
        self.bench.write("v", before=["y"])
        self.bench.write("x")
        self.bench.write("y")
        self.bench.start()
        self.bench.write("x", "1 / 0", version="2.0", before=["v"])  # u, x, v, y: and round again
        self.bench.write("y", version="2.0", before=["u"])
        report = self.apply()
        self.assertIn("y 2.0", self.bench.seen())
        self.assertEqual((self.bench.failure("y"), [one.plugin for one in report.refused]), ("", ["x"]))


class CommandTests(WitnessCase):
    """Commands beside files that will not do."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()

    def test_others(self) -> None:
        """A command that is refused does not hide another plugin's failure."""
        body = "    def start(self): 1 / 0\n    def stop(self): pass"
        self.bench.write("b", code(body=body, interfaces="ILifecycle"), enabled=False)
        self.apply()
        self.bench.write("a", "1 / 0", version="2.0")
        self.assertTrue(self.call("enable", name="b")["refused"])
        self.apply()
        self.assertIn("ZeroDivisionError", self.bench.failure("a"))

    def test_off(self) -> None:
        """A plugin that fails and is switched off is off."""
        self.bench.write("b", "1 / 0")
        self.apply()
        states = [self.stateOf("b")]
        self.call("disable", name="b")
        states.append(self.stateOf("b"))
        self.assertEqual(states, ["failed", "off"])

    def stateOf(self, name: str) -> str:
        """As ``revproxy plugins`` shows it."""
        return next(one["state"] for one in self.call("plugins") if one["name"] == name)


class RefusedTests(WitnessCase):
    """What a change that is refused leaves behind."""

    def test_bookings(self) -> None:
        """Nothing of what a plugin has booked before it failed goes on."""
        self.bench.write("a")
        self.bench.start()
        self.bench.write("b", witnessed("""
    def attach(self, host):
        host.callEvery(1, self.witness.log.append, "tick")
        raise ValueError("no")
""", "IHosted"))
        self.apply()
        self.assertIn("attach raised ValueError: no", self.bench.failure("b"))
        before = len(self.witness.log)
        self.elapse(5)
        self.assertEqual(len(self.witness.log), before)

    def test_counts(self) -> None:
        """Versions that never ran are not counted for."""
        self.bench.write("a")
        self.bench.start()
        for number in range(20):
            self.bench.write("a", f"1 / 0 # {number}", version="2.0")
            self.apply()
        self.bench.seen()
        self.call("plugins")
        self.assertEqual(len(self.bench.control.keeper.totals._sums), 1)

    def test_secondHandover(self) -> None:
        """State that can be had once and not again: the configuration is refused, and other plugins load."""
        exporting = COUNTING.replace('return {"count": self.count}', """
        LIVE.append("exported")
        if len(LIVE) > 1:
            raise KeyError("gone")
        return {"count": self.count}""")
        self.bench.write("a", code(body=exporting, interfaces="IStateful"))
        self.bench.start()
        self.bench.write("b")
        self.configurePlugins("{a: {value: other}}")
        self.apply()
        self.assertIn("exportState", self.bench.failure(""))
        self.assertEqual(self.bench.seen(), ["1", "b 1.0.0"])
