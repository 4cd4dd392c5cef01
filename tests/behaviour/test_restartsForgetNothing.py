"""What ran before a restart, and after it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import TimeoutError

from revproxy.bundles.versionstore import StoreError, VersionStore
from revproxy.config.problems import ConfigErrors
from revproxy.control.changes import ChangeRefused
from revproxy.control.startup import StartRefused
from revproxy.dropin import DropIn
from revproxy.host import CLOSE_TIMEOUT
from revproxy.worker import routes
from revproxy.worker.lifecycle.stages import StageLimits
from revproxy.worker.stagedchange import StagedChange
from tests.control.test_coordinator import code
from tests.coordinators import PLUGIN, Bench
from tests.witnesses import HANGING, WitnessCase, witnessed


def fails(*_: Any) -> None:
    """As the store, when its disk is full."""
    raise StoreError("no space left")


class RestartCase(WitnessCase):
    """A process that ends, and one that begins."""

    def leave(self) -> None:
        """The process ends."""
        self.bench.stop()
        del self.bench.state


class FolderTests(RestartCase):
    """The name of a folder need not be the name of its plugin, also when the manifest cannot tell."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        shutil.move(self.bench.plugins / "a", self.bench.plugins / "10-a")
        self.bench.start()

    def test_brokenBefore(self) -> None:
        """A manifest that breaks while the edge is down: what ran before runs."""
        self.manifest("10-a", "{")
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])

    def test_brokenAfter(self) -> None:
        """A manifest that breaks after a restart: what runs stays."""
        self.restart()
        self.manifest("10-a", "{")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])

    def test_nameTaken(self) -> None:
        """Whose folder comes first in the alphabet does not get a name that another has, over a restart neither."""
        self.bench.write("0", says="thief")
        self.manifest("0", '{"name": "a", "version": "9.0"}')
        self.apply()
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])


class HomeTests(RestartCase):
    """The folder that a plugin runs from keeps the plugin's name, whatever other folder claims it."""

    def setUp(self) -> None:
        super().setUp()
        self.put("10-a", "own")
        self.bench.start()

    def put(self, folder: str, says: str) -> None:
        """A folder with plugin a."""
        self.bench.write("a", says=says)
        if folder != "a":
            shutil.rmtree(self.bench.plugins / folder, ignore_errors=True)
            shutil.move(self.bench.plugins / "a", self.bench.plugins / folder)

    def test_bothEdited(self) -> None:
        """Also when both are edited while the edge is down."""
        self.put("0", "thief")
        self.apply()
        self.put("0", "thief 2")
        self.put("10-a", "own 2")
        self.restart()
        self.assertEqual(self.bench.seen(), ["own 2"])

    def test_copied(self) -> None:
        """A copy of it has what ran before, and is not it: what was edited is what runs."""
        shutil.copytree(self.bench.plugins / "10-a", self.bench.plugins / "0")
        self.put("10-a", "own 2")
        self.restart()
        self.assertEqual(self.bench.seen(), ["own 2"])

    def test_moved(self) -> None:
        """A folder that is moved while the edge runs takes the name along, over a restart, too."""
        shutil.move(self.bench.plugins / "10-a", self.bench.plugins / "20-a")
        self.apply()
        self.put("0", "thief")
        self.apply()
        self.assertEqual(self.bench.seen(), ["own"])
        self.put("0", "thief 2")
        self.put("20-a", "own 2")
        self.restart()
        self.assertEqual(self.bench.seen(), ["own 2"])

    def test_movedWhileDown(self) -> None:
        """So does one that is moved while it does not run, unless it is edited besides."""
        self.leave()
        shutil.move(self.bench.plugins / "10-a", self.bench.plugins / "20-a")
        self.put("0", "thief")
        self.bench.start()
        self.assertEqual(self.bench.seen(), ["own"])

    def test_pinned(self) -> None:
        """The folder of a plugin that runs an earlier version is its own all the same."""
        self.put("10-a", "own 2")
        self.apply()
        self.call("rollback", name="a")
        self.put("0", "thief")
        self.apply()
        self.assertEqual(self.bench.seen(), ["own"])
        self.put("10-a", "own 3")
        self.restart()
        self.assertEqual(self.bench.seen(), ["own 3"])

    def test_broken(self) -> None:
        """Another one does not run in its place while its plugin.json is broken, nor after a restart."""
        self.manifest("10-a", "{")
        self.put("0", "thief")
        self.apply()
        self.assertEqual(self.bench.seen(), ["own"])
        self.restart()
        self.assertEqual(self.bench.seen(), ["own"])
        self.put("10-a", "own 2")
        self.apply()
        self.assertEqual(self.bench.seen(), ["own 2"])

    def test_movedAndBroken(self) -> None:
        """That holds of the folder that it has now, whatever folder it had."""
        shutil.move(self.bench.plugins / "10-a", self.bench.plugins / "20-a")
        self.apply()
        self.put("10-a", "thief")
        self.apply()
        self.manifest("20-a", "{")
        self.apply()
        self.assertEqual(self.bench.seen(), ["own"])
        self.assertIn("20-a/plugin.json:1:2: not JSON", self.bench.failure("a"))

    def test_gone(self) -> None:
        """When it is gone, another one may have the name, and is its folder from then on."""
        self.put("20-a", "heir")
        shutil.rmtree(self.bench.plugins / "10-a")
        self.apply()
        self.assertEqual(self.bench.seen(), ["heir"])
        self.put("0", "thief")
        self.put("20-a", "heir 2")
        self.restart()
        self.assertEqual(self.bench.seen(), ["heir 2"])

    def test_places(self) -> None:
        """Messages name the folder, also of what comes from the store."""
        self.bench.write("a", "1 / 0")
        shutil.rmtree(self.bench.plugins / "10-a")
        shutil.move(self.bench.plugins / "a", self.bench.plugins / "10-a")
        self.restart()
        entry = self.bench.coordinator.plan.entries["a"]  # type: ignore[union-attr]
        self.assertEqual(entry.source, str(self.bench.plugins / "10-a" / "plugin.json"))


class FirstTests(RestartCase):
    """The first generation."""

    def test_layoutFirst(self) -> None:
        """What does not depend on plugins is there before they are: it can be kept from the garbage collector."""
        steps: list[str] = []

        def noting(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def noted(*arguments: Any, **named: Any) -> Any:
                steps.append(what)
                return function(*arguments, **named)

            return noted

        self.patch(routes, "makeRouteTable", noting("routes", routes.makeRouteTable))
        self.patch(StagedChange, "make", noting("plugins", StagedChange.make))
        self.bench.write("a")
        self.bench.prepare(routesMade=lambda: steps.append("told"))
        self.assertEqual(steps, ["routes", "told", "plugins"])


class InstalledTests(RestartCase):
    """A folder has a plugin of the same name as an installed one."""

    def setUp(self) -> None:
        super().setUp()
        namespace: dict[str, Any] = {}
        exec(PLUGIN.format(name="a", says="installed"), namespace)
        self.bench.dropins = (DropIn({"name": "a", "version": "1.0"}, namespace["PluginMain"]),)
        self.bench.configure(extra="plugins: {directory: plugins, config: {a: true}}\n")

    def test_comes(self) -> None:
        """The installed one runs on, and so it does after a restart."""
        self.bench.write("b")
        self.bench.start()
        self.bench.write("a", says="thief")
        for again in (self.apply, self.restart):
            again()
            self.assertEqual(self.bench.seen(), ["installed", "b 1.0.0"])
            self.assertIn('"a" is also the name of the plugin in', self.bench.failure("a"))

    def test_first(self) -> None:
        """Whoever wants both is told at the first start."""
        self.bench.write("a")
        self.assertIn("is also the name of", str(self.assertRaises(ConfigErrors, self.bench.start)))

    def test_wasThere(self) -> None:
        """One that ran before the other was installed keeps its name."""
        installed, self.bench.dropins = self.bench.dropins, ()
        self.bench.write("a", says="own")
        self.bench.start()
        self.leave()
        self.bench.dropins = installed
        self.bench.write("a", says="own 2")
        self.bench.start()
        self.assertEqual(self.bench.seen(), ["own 2"])


class GoneTests(RestartCase):
    """Plugins whose folder is gone."""

    def begin(self, **manifest: Any) -> None:
        """:param manifest: more of plugin a's."""
        self.bench.write("a", **manifest)
        self.bench.write("b")
        self.bench.start()

    def without(self) -> None:
        """b's folder is deleted."""
        shutil.rmtree(self.bench.plugins / "b")
        self.apply()

    def test_required(self) -> None:
        """What another one requires runs on, before the restart and after."""
        self.begin(requires={"b": ""})
        self.without()
        self.restart()
        self.assertEqual(sorted(self.bench.seen()), ["a 1.0.0", "b 1.0.0"])

    def test_named(self) -> None:
        """So does what revproxy.yaml names."""
        self.configurePlugins("{b: true}")
        self.begin()
        self.without()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "b 1.0.0"])
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "b 1.0.0"])

    def test_namedAndOff(self) -> None:
        """What was switched off before is not missed, and the edge starts."""
        self.configurePlugins("{b: true}")
        self.begin()
        self.call("disable", name="b")
        self.without()
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])

    def test_neitherHereNorKept(self) -> None:
        """What ran before, is broken and cannot be had from the store keeps the edge from starting: it may be the one
        that guards the door, and others do run."""
        self.begin()
        self.leave()
        shutil.rmtree(self.bench.root / "var" / "versions" / "b")
        self.bench.write("b", "1 / 0")
        self.assertRaises(ConfigErrors, self.bench.prepare)


class StoreTests(RestartCase):
    """A version store that cannot be written."""

    def test_keptLater(self) -> None:
        """What could not be stored when it began to run is stored with the next change."""
        self.bench.write("a")
        self.bench.start()
        full = self.patch(VersionStore, "keep", fails)
        self.bench.write("a", version="2.0")
        self.apply()
        full.restore()
        self.assertIn(("store-failed", "a"), self.bench.kinds())
        self.bench.write("b")
        self.apply()
        self.bench.write("a", "1 / 0", version="3.0")
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 2.0", "b 1.0.0"])


class StartTests(RestartCase):
    """What is started by a start."""

    NOTING = """
    def start(self):
        self.witness.log.append("start")
        if "ill" in self.witness.flags:
            raise OSError("no")
    def stop(self):
        self.witness.log.append("stop")
"""

    def test_once(self) -> None:
        """What ran before does not stand in for itself: it is tried once."""
        self.bench.write("a", witnessed(self.NOTING, "ILifecycle"))
        self.bench.start()
        self.leave()
        self.witness.log.clear()
        self.witness.flags.add("ill")
        self.bench.prepare()
        self.assertRaises(StartRefused, self.bench.result, self.bench.control.startup.begin())
        self.assertEqual(self.witness.log, ["start"])

    def test_halted(self) -> None:
        """Told to stop while a new version starts, it gives that up, and starts no older one in its place."""
        self.bench.write("a", witnessed(self.NOTING, "ILifecycle"))
        self.bench.start()
        self.leave()
        self.witness.log.clear()
        self.bench.write("a", code(body=HANGING, interfaces="ILifecycle"), version="2.0")
        self.bench.prepare()
        done = self.bench.later(self.bench.control.startup.begin())
        self.assertNoResult(done)
        self.bench.coordinator.halt()
        self.failureResultOf(done, StartRefused)
        self.assertEqual(self.witness.log, [])

    def test_reason(self) -> None:
        """On a first start the error of a plugin is told, though another one requires it."""
        self.bench.write("a", requires={"b": ""})
        self.bench.write("b", "1 / 0")
        error = self.assertRaises(ConfigErrors, self.bench.prepare)
        self.assertIn("b/plugin.py:1: importing it raised ZeroDivisionError", str(error))


class EndTests(RestartCase):
    """The end, whatever is under way."""

    def finished(self, bench: Bench, seconds: float) -> bool:
        """Whether the end is over within some time."""
        done = bench.later(bench.end())
        for _ in range(int(seconds * 2)):
            bench.clock.advance(0.5)
        if done.called:
            bench.state.release()
            del bench.state
        return done.called

    def test_severalStarts(self) -> None:
        """Plugins that hang in start are given up at once, and those that wait for their turn are not started."""
        self.bench.write("a")
        self.bench.start(StageLimits(start=10))
        for name in "bcd":
            self.bench.write(name, code(body=HANGING, interfaces="ILifecycle"))
        noting = "    def start(self): self.witness.log.append('start')\n    def stop(self): pass"
        self.bench.write("e", witnessed(noting, "ILifecycle"))
        transaction = self.bench.later(self.bench.coordinator.apply())
        for _ in range(10):
            self.bench.clock.advance(0)
        self.assertNoResult(transaction)
        self.assertTrue(self.finished(self.bench, 1))
        self.failureResultOf(transaction, ChangeRefused)
        self.assertEqual((self.witness.log, self.bench.edge.generation.number), ([], 1))

    def test_stopIgnoresItsCancellation(self) -> None:
        """A stop that goes on though its time is over is not waited for."""
        body = "    def start(self): pass\n    async def stop(self): await self.witness.stubborn()"
        self.bench.write("a", witnessed(body, "ILifecycle"))
        self.bench.start(StageLimits(stop=3))
        self.assertTrue(self.finished(self.bench, 4))
        self.assertEqual(self.witness.log, ["not impressed"])

    def test_bookingIgnoresItsCancellation(self) -> None:
        """Neither is the end of something that a plugin has given its host."""
        body = "    def attach(self, host): host.own(self, self.witness.stubborn)"
        self.bench.write("a", witnessed(body, "IHosted"))
        self.bench.start()
        self.assertTrue(self.finished(self.bench, CLOSE_TIMEOUT + 1))
        self.assertEqual(self.witness.log, ["not impressed"])
        self.assertEqual(len(self.flushLoggedErrors(TimeoutError)), 1)

    def test_startIgnoresItsCancellation(self) -> None:
        """Neither is a start; and after it there are other changes."""
        self.bench.write("a")
        self.bench.start(StageLimits(start=3))
        body = "    async def start(self): await self.witness.stubborn()\n    def stop(self): pass"
        self.bench.write("a", witnessed(body, "ILifecycle"), version="2.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.assertIn("start did not come back within 3 s", self.bench.failure("a"))
        self.bench.write("a", version="3.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 3.0"])

    def test_refusedIsStillStopped(self) -> None:
        """What a refused change has started is stopped before the end is over."""
        self.bench.write("a")
        self.bench.start()
        self.bench.write("b", witnessed("""
    def start(self): pass
    def checkHealth(self): raise ValueError("unwell")
    def stop(self): return self.witness.wait("stop")
""", "ILifecycle, IHealthCheck"))
        self.apply()
        self.assertFalse(self.finished(self.bench, 1))
        self.witness.waits["stop"].callback(None)
        self.bench.clock.advance(0)
        self.bench.state.release()
        del self.bench.state
