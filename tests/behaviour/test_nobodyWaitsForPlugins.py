"""
A change that waits for a plugin holds up nobody: commands that rescue go before it, and so do the changes of others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.changes import ChangeRefused
from revproxy.control.commands import CommandError
from revproxy.control.precedence import ASIDE, PATIENCE
from revproxy.control.telling import ANSWERED
from revproxy.plan.words import Failures
from tests.control.commands import commanded
from tests.coordinators import Bench

PLUGIN = """
from twisted.internet.defer import Deferred
from zope.interface import implementer
from revproxy.interfaces import IConfigurable, IHealthCheck, ILifecycle, IMiddleware, IStateful

@implementer(IMiddleware, ILifecycle, IHealthCheck, IStateful, IConfigurable)
class Plugin:
    name = {name!r}
    def __init__(self, config): self.config = config
    def handle(self, context):
        context.values.setdefault("seen", []).append({says!r})
        return True
    def start(self): {start}
    def stop(self): pass
    def checkHealth(self): {checkHealth}
    def exportState(self): {exportState}
    def importState(self, state, version): {importState}
    def validateConfig(self, config): pass
    def updateConfig(self, config): {updateConfig}

PluginMain = Plugin
"""

STEPS = ("start", "checkHealth", "exportState", "importState", "updateConfig")


def code(name: str, says: str, **steps: str) -> str:
    """A plugin; what it does in its steps."""
    usual = {"exportState": "return {}"}
    return PLUGIN.format(name=name, says=says, **{step: steps.get(step, usual.get(step, "pass")) for step in STEPS})


HANG = "return Deferred()"


class WaitingCase(SynchronousTestCase):
    """Plugins a and b run; versions 1 and 2 of a are stored."""

    def setUp(self) -> None:
        self.bench = Bench(Path(self.mktemp()))
        for version in ("1.0", "2.0"):
            self.bench.write("a", code("a", f"a {version}"), version=version)
            self.bench.write("b", code("b", "b 1.0"), version="1.0")
            if version == "1.0":
                self.bench.start()
        self.bench.apply()
        self.addCleanup(self.bench.stop)

    def hangs(self, **steps: str) -> Deferred[Any]:
        """A version of a that hangs is being taken up."""
        self.bench.write("a", code("a", "a 3.0", **(steps or {"start": HANG})), version="3.0")
        return self.take()

    def take(self) -> Deferred[Any]:
        """The files are being taken up."""
        taking = self.bench.later(self.bench.coordinator.apply())
        taking.addErrback(lambda failure: failure.trap(ChangeRefused))
        self.pass_(0.1)
        return taking

    def pass_(self, seconds: float) -> None:
        """Time goes by, in small steps."""
        for _ in range(round(seconds / 0.05)):
            self.bench.clock.advance(0.05)

    def call(self, command: str, /, **arguments: Any) -> Any:
        """A command, answered by the time it has to be."""
        calling = self.bench.later(commanded(self.bench.control, command, **arguments))
        self.pass_(ANSWERED + 0.05)
        return self.successResultOf(calling)


class RescueTests(WaitingCase):
    """`disable`, `rollback` and `pin`."""

    def test_disable(self) -> None:
        """It takes effect at once; what was under way is made after it, without what was switched off."""
        for steps in ({"start": HANG}, {"checkHealth": HANG}, {"importState": HANG}):
            hanging = self.hangs(**steps)
            self.bench.write("b", code("b", f"b {steps}"))
            answer = self.call("disable", name="a")
            self.assertEqual((answer["text"][0], answer["refused"]), ("a: switched off", []))
            self.pass_(0.5)
            self.assertTrue(hanging.called)
            self.assertEqual(self.bench.seen(), [f"b {steps}"])
            self.bench.write("a", code("a", "a 4.0"), version="4.0")
            self.bench.result(commanded(self.bench.control, "enable", name="a"))

    def test_rollback(self) -> None:
        """The version before runs, and what hung stays away: it is what the pin waits to see gone."""
        self.hangs()
        answer = self.call("rollback", name="a")
        self.assertEqual(answer["refused"], [])
        self.assertEqual(self.bench.seen(), ["a 1.0", "b 1.0"])
        self.bench.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0", "b 1.0"])

    def test_stateThatDoesNotCome(self) -> None:
        """A rollback goes without the state of a version that does not give it."""
        self.bench.write("a", code("a", "a 3.0", exportState=HANG), version="3.0")
        self.bench.apply()
        answer = self.call("rollback", name="a")
        self.assertEqual((answer["refused"], self.bench.seen()), ([], ["a 2.0", "b 1.0"]))
        self.assertIn(("handover-lost", "a"), self.bench.kinds())

    def test_filesAreNotRead(self) -> None:
        """What the files hold by now has no part in it, and is taken up afterwards."""
        self.bench.write("b", code("b", "b hangs", start=HANG), version="2.0")
        answer = self.call("pin", name="a", version="1.0")
        self.assertEqual((answer["refused"], self.bench.seen()), ([], ["a 1.0", "b 1.0"]))

    def test_targetThatHangs(self) -> None:
        """Where the wanted version does not come up, the answer says that it is under way; then it is refused."""
        flag = self.bench.root / "hangs"
        start = f"import os; return Deferred() if os.path.exists({str(flag)!r}) else None"
        for version in ("3.0", "4.0"):
            self.bench.write("a", code("a", f"a {version}", start=start), version=version)
            self.bench.apply()
        flag.touch()
        answer = self.call("rollback", name="a")
        self.assertEqual([refused["stage"] for refused in answer["refused"]], ["late"])
        self.pass_(10)
        self.assertEqual(self.bench.seen(), ["a 4.0", "b 1.0"])
        self.assertIn("start did not come back", self.bench.events.latest(1)[0].text)

    def test_otherCommand(self) -> None:
        """A command about the same plugin that is under way is given up for good."""
        self.bench.write("a", code("a", "a 3.0", start=HANG), version="3.0")
        self.bench.result(commanded(self.bench.control, "disable", name="a"))
        enabling = self.bench.later(commanded(self.bench.control, "enable", name="a"))
        self.pass_(0.2)
        self.assertNoResult(enabling)
        self.call("disable", name="a")
        [refused] = self.successResultOf(enabling)["refused"]
        self.assertEqual(refused["stage"], "overruled")
        self.assertEqual(refused["message"], "given up: a later command was about it")
        self.assertEqual(self.bench.seen(), ["b 1.0"])

    def test_inPlace(self) -> None:
        """A configuration that a plugin does not take, nor give back, holds up no rescue."""
        self.bench.write("a", code("a", "a 2.0", updateConfig=HANG), version="2.0")
        self.bench.apply()
        self.bench.configure(extra="plugins: {directory: plugins, config: {a: {x: 1}}}\n")
        self.take()
        answer = self.call("disable", name="b")
        self.assertEqual((answer["refused"], self.bench.seen()), ([], ["a 2.0"]))

    def test_shows(self) -> None:
        """What only shows something waits for nobody."""
        self.hangs()
        for command in ("plugins", "events", "plan", "configuration"):
            self.call(command)

    def test_atTheStart(self) -> None:
        """While the edge starts, the answer says that it is under way; it is done once the edge has started."""
        self.bench.stop()
        self.bench.write("a", code("a", "a 3.0", start=HANG), version="3.0")
        self.bench.prepare()
        starting = self.bench.later(self.bench.control.startup.begin())
        answer = self.call("disable", name="b")
        self.assertEqual([refused["stage"] for refused in answer["refused"]], ["late"])
        self.pass_(10)
        self.successResultOf(starting)
        self.assertEqual(self.bench.seen(), ["a 2.0"])

    def test_refusalsStand(self) -> None:
        """What was refused before is refused after it, and told once: it has looked at nothing."""
        (self.bench.write("c") / "plugin.json").write_text("{")
        self.bench.write("b", code("b", "b 2.0", start="raise ValueError('no')"), version="2.0")
        self.bench.configure(extra="nonsense: 1\n")
        self.bench.apply()
        self.assertEqual({*self.bench.coordinator.refused}, {"", "b", "c"})
        for command in ("disable", "pin", "rollback"):
            self.call(command, name="a", **({"version": "1.0"} if command == "pin" else {}))
            self.assertEqual({*self.bench.coordinator.refused}, {"", "b", "c"}, command)
        self.bench.apply()
        self.assertEqual([kind for kind, _ in self.bench.kinds()].count("refused"), 3)
        self.call("rollback", name="b", version="1.0")
        self.assertEqual({*self.bench.coordinator.refused}, {"", "b", "c"})

    def test_refusedRescue(self) -> None:
        """A rescue that is refused overrules nothing."""
        self.bench.write("a", code("a", "a 3.0", start=HANG), "3.0")
        self.bench.result(commanded(self.bench.control, "disable", name="a"))
        enabling = self.bench.later(commanded(self.bench.control, "enable", name="a"))
        self.pass_(0.2)
        calling = self.bench.later(commanded(self.bench.control, "pin", name="a", version="9.9"))
        self.pass_(0.2)
        self.failureResultOf(calling, CommandError)
        self.assertNoResult(enabling)
        self.pass_(10)
        [refused] = self.successResultOf(enabling)["refused"]
        self.assertEqual(refused["stage"], "start")

    def test_storeThatHangs(self) -> None:
        """A rollback that has to look for a version is answered in time, too."""
        keeper = self.bench.control.keeper
        keeper.disk.inThread = lambda *work: Deferred()
        answer = self.call("rollback", name="a")
        self.assertEqual([refused["stage"] for refused in answer["refused"]], ["late"])


class OthersTests(WaitingCase):
    """Changes of other plugins."""

    def test_goBefore(self) -> None:
        """They are made without the one that hangs, which is tried again, and refused in the end."""
        hanging = self.hangs()
        self.bench.write("b", code("b", "b 2.0"))
        self.take()
        self.pass_(PATIENCE + 0.1)
        self.assertEqual(self.bench.seen(), ["a 2.0", "b 2.0"])
        self.assertNoResult(hanging)
        self.pass_(10)
        self.assertTrue(hanging.called)
        self.assertIn("start did not come back within 10 s", self.bench.failure("a"))

    def test_commands(self) -> None:
        """So do commands that are no rescue."""
        self.bench.result(commanded(self.bench.control, "disable", name="b"))
        self.hangs()
        enabling = self.bench.later(commanded(self.bench.control, "enable", name="b"))
        self.pass_(PATIENCE + 0.1)
        self.assertEqual(self.successResultOf(enabling)["refused"], [])
        self.assertEqual(self.bench.seen(), ["a 2.0", "b 1.0"])

    def test_slowStart(self) -> None:
        """What starts slowly starts at last, however often others change."""
        hanging = self.hangs()
        for number in range(ASIDE + 2):
            self.bench.write("b", code("b", f"b {number}"))
            self.take()
            self.pass_(PATIENCE + 0.5)
        self.pass_(8)
        self.assertTrue(hanging.called)
        self.assertIn("did not come back within 10 s", self.bench.failure("a"))
        self.pass_(1)
        self.assertEqual(self.bench.seen()[-1], f"b {ASIDE + 1}")

    def test_quick(self) -> None:
        """Who comes within the patience of others waits for what is under way."""
        taking = self.hangs(start="return None")
        self.assertTrue(taking.called)
        self.assertEqual(self.bench.seen(), ["a 3.0", "b 1.0"])

    def test_configuration(self) -> None:
        """A configuration that a plugin does not come up with is set aside, too; in place or not."""
        hangs = code("a", "a 2.0", start="return Deferred() if self.config.get('x') else None", updateConfig=HANG)
        for number, text in enumerate((hangs, hangs.replace(", IConfigurable)", ")"))):
            self.bench.configure()
            self.bench.write("a", text, version="2.0")
            self.bench.apply()
            self.bench.configure(extra="plugins: {directory: plugins, config: {a: {x: 1}}}\n")
            hanging = self.take()
            self.bench.write("b", code("b", f"b {number}"))
            self.take()
            self.pass_(PATIENCE + 0.1)
            self.assertEqual(self.bench.seen(), ["a 2.0", f"b {number}"])
            self.assertNoResult(hanging)
            self.pass_(21)  # it does not take the old one back, either
            self.assertTrue(hanging.called)
            self.assertIn("did not come back within 10 s", self.bench.failure(""))

    def test_isTold(self) -> None:
        """Who asks for all there is, or for what is waited for, is told that it is set aside."""
        hanging = self.hangs()
        for command, arguments in (("reload", {}), ("enable", {"name": "a"})):
            self.pass_(PATIENCE + 0.2)
            asking = self.bench.later(commanded(self.bench.control, command, **arguments))
            self.pass_(PATIENCE + 0.1)
            [refused] = self.successResultOf(asking)["refused"]
            self.assertEqual((refused["plugin"], refused["stage"]), ("a", "late"), command)
        self.assertNoResult(hanging)
        self.assertEqual(self.bench.failure("a"), "")
        self.pass_(10)
        self.assertTrue(hanging.called)

    def test_quarantine(self) -> None:
        """What fails is taken out while its next version starts: a gate is before it, until that has started."""
        running = self.bench.coordinator.plan.entries["a"].version
        hanging = self.hangs()
        self.bench.control.inbox.receive(0, Failures("a", running, 10, 10))
        self.pass_(PATIENCE + 0.1)
        plan = self.bench.coordinator.plan
        self.assertEqual((plan.entries["a"].version, list(plan.gates)), (running, ["a"]))
        self.assertNoResult(hanging)
        self.bench.write("a", code("a", "a 4.0"), version="4.0")
        self.take()
        self.pass_(PATIENCE + 0.1)
        self.assertEqual(self.bench.seen(), ["a 4.0", "b 1.0"])

    def test_isToldOfTheConfiguration(self) -> None:
        """Also where that is the configuration."""
        self.bench.write("a", code("a", "a 2.0", updateConfig=HANG), version="2.0")
        self.bench.apply()
        self.bench.configure(extra="plugins: {directory: plugins, config: {a: {x: 1}}}\n")
        self.take()
        asking = self.bench.later(commanded(self.bench.control, "reload"))
        self.pass_(PATIENCE + 0.1)
        [refused] = self.successResultOf(asking)["refused"]
        self.assertEqual((refused["plugin"], refused["stage"]), ("", "late"))

    def test_requiredNewcomer(self) -> None:
        """A plugin that is required, and was not there before, closes nothing while it starts."""
        self.bench.write("c", code("c", "c 1.0", start=HANG), version="1.0", required=True)
        self.take()
        self.bench.write("b", code("b", "b 2.0"))
        self.take()
        self.pass_(PATIENCE + 0.1)
        self.assertEqual(self.bench.seen(), ["a 2.0", "b 2.0"])
        self.call("disable", name="b")
        self.assertEqual(self.bench.seen(), ["a 2.0"])
        self.pass_(10)
        self.assertIn("c", self.bench.coordinator.plan.missing)
        self.call("pin", name="a", version="1.0")
        self.assertIn("c", self.bench.coordinator.plan.missing)
        self.bench.write("c", code("c", "c 1.1", start=HANG), version="1.1", required=True)
        self.take()
        self.bench.write("a", code("a", "a 4.0"), version="4.0")
        self.take()
        self.pass_(PATIENCE + 0.1)
        self.assertIn("c", self.bench.coordinator.plan.missing)
        self.call("disable", name="c")
        self.assertNotIn("c", self.bench.coordinator.plan.missing)

    def test_newcomerWithRoutes(self) -> None:
        """A route that comes with a plugin that guards it is not there before that."""
        self.bench.configure("[{path: /admin, respond: {}}, {respond: {}}]")
        self.bench.write("c", code("c", "c 1.0", start=HANG), version="1.0", required=True)
        self.take()
        self.bench.write("b", code("b", "b 2.0"))
        self.take()
        self.pass_(PATIENCE + 0.1)
        plan = self.bench.coordinator.plan
        self.assertEqual((self.bench.seen(), plan.missing), (["a 2.0", "b 2.0"], {}))
        self.assertEqual(len(plan.config.routes), 1)
        self.pass_(10)
        self.assertEqual(len(self.bench.coordinator.plan.config.routes), 2)
        self.assertIn("c", self.bench.coordinator.plan.missing)

    def test_slowDisk(self) -> None:
        """Who came while files were read, for which all wait, is not forgotten afterwards."""
        coordinator = self.bench.coordinator
        reading: Deferred[Any] = Deferred()
        inThread, coordinator.files.inThread = coordinator.files.inThread, lambda *work: reading
        self.bench.write("a", code("a", "a 3.0", start=HANG), version="3.0")
        taking = self.take()
        self.bench.write("b", code("b", "b 2.0"))
        self.take()
        self.pass_(PATIENCE + 0.3)
        coordinator.files.inThread = inThread
        owners: dict[str, Path] = {"a": self.bench.plugins / "a", "b": self.bench.plugins / "b"}
        reading.callback(coordinator.snapshots.read(coordinator.config, owners, False))
        self.pass_(PATIENCE + 0.2)
        self.assertEqual(self.bench.seen(), ["a 2.0", "b 2.0"])
        self.assertNoResult(taking)
