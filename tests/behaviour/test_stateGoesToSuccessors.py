"""Which instance serves after a change: the one that did, its heir, or a new one; and what was refused never does."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.behaviour.changes import ChangingCase
from tests.control.test_coordinator import CONFIGURABLE, COUNTING, code
from tests.witnesses import WitnessCase, witnessed


class RouteTests(WitnessCase):
    """Instances of routes with a configuration of their own."""

    def test_anotherPath(self) -> None:
        """A route that gets another path goes on with what it has counted, not with what another one has."""
        routes = "[{respond: {}}, {path: /x, respond: {}, plugins: {a: {value: four}}}]"
        self.bench.configure(routes)
        self.bench.write("a", code(body=COUNTING, interfaces="IStateful"))
        self.bench.start()
        self.bench.seen("/")
        self.requests(5, "/x")
        self.bench.configure(routes.replace("/x", "/y"))
        self.apply()
        self.assertEqual((self.bench.seen("/y"), self.bench.seen("/")), (["6"], ["2"]))

    def test_newRouteBeforeIt(self) -> None:
        """A new route that comes first does not take the instance from the route that has it."""
        old = "{name: old, path: /, respond: {}}"
        self.configurePlugins("{a: {value: one}}", f"[{old}]")
        self.bench.write("a", code(body=CONFIGURABLE, interfaces="IConfigurable"))
        self.bench.start()
        _, instance = self.bench.seen()[0].split()
        new = "{path: /new, respond: {}, plugins: {a: {value: nine}}}"
        self.configurePlugins("{a: {value: two}}", f"[{new}, {old}]")
        self.apply()
        self.assertEqual(self.bench.seen(), [f"two {instance}"])
        self.assertRegex(self.bench.seen("/new")[0], "^nine ")


class RefusedTests(WitnessCase):
    """Instances that were made for a change that was refused."""

    NUMBERED = """
    def __init__(self, config):
        self.config, self.number = dict(config), self.witness.number()
    def says(self):
        return self.number
    def start(self):
        self.witness.log.append(("start", self.number))
    def checkHealth(self):
        if self.config.get("value") == "two" and "ill" in self.witness.flags:
            raise ValueError("not yet")
    def stop(self):
        self.witness.log.append(("stop", self.number))
        return self.witness.wait("stop")
"""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a", witnessed(self.NUMBERED, "ILifecycle, IHealthCheck"))
        self.bench.start()

    def test_notTakenAgain(self) -> None:
        """One that is still being stopped does not serve when the same change is made again, and is well now."""
        self.witness.flags.add("ill")
        self.configurePlugins("{a: {value: two}}")
        self.apply()
        self.assertIn("not yet", self.bench.failure(""))
        self.assertEqual(self.witness.log, [("start", 1), ("start", 2), ("stop", 2)])
        self.witness.flags.clear()
        self.call("reload")
        self.assertEqual(self.bench.seen(), [3])
        self.assertEqual(self.witness.log[3], ("start", 3))

    def test_notStartedAgain(self) -> None:
        """One that did not start is not started again when the same change is tried without revproxy.yaml's part."""
        self.bench.write("b", witnessed("""
    def __init__(self, config):
        self.config, self.number = dict(config), self.witness.number()
    def start(self):
        self.witness.log.append(self.number)
        raise OSError("no")
    def stop(self): pass
""", "ILifecycle"), before=["a"])
        self.witness.log.clear()
        self.witness.flags.add("ill")
        self.configurePlugins("{a: {value: two}}")
        self.apply()
        started = [one for one in self.witness.log if isinstance(one, int)]
        self.assertEqual(len(started), 2)
        self.assertNotEqual(*started)
        self.assertIn("start raised OSError", self.bench.failure("b"))


class FigureTests(WitnessCase):
    """What is counted of a version whose configuration changes."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a", config={"x": 0})
        self.bench.start()

    def change(self, count: int) -> None:
        """So many times."""
        for number in range(1, count + 1):
            self.bench.write("a", config={"x": number})
            self.apply()

    def test_calls(self) -> None:
        """The calls of the plugin and those of the version that runs are the same."""
        self.change(1)
        self.bench.seen()
        (status,) = self.call("plugins")
        (running,) = [one for one in status["versions"] if one["running"]]
        self.assertEqual((status["calls"], running["calls"]), (1, 1))

    def test_ended(self) -> None:
        """Instances that have ended are forgotten, though their version runs on."""
        self.change(20)
        self.elapse(1)
        assert self.bench.worker.staging.running is not None
        self.assertLess(len(self.bench.worker.staging.running.versions["a"].ended), 5)


class RetiredTests(ChangingCase):
    """Instances that were replaced while requests were in them."""

    WAITING = """
    async def handle(self, context):
        try:
            await self.stage.wait()
        finally:
            self.stage.log.append("cleaned up")
    def stop(self):
        self.stage.log.append("stopped")
"""

    def test_stoppedLast(self) -> None:
        """When the client of the last request leaves, the plugin is stopped after what it did for it is cancelled."""
        log: list[str] = []
        self.stage.log = log  # type: ignore[attr-defined]
        self.stage.wait = Deferred  # type: ignore[attr-defined]
        self.bench.stamp("a", "1", body=self.WAITING)
        self.bench.start()
        client = self.bench.ask("/")
        self.bench.write("a")
        self.bench.apply()
        self.assertEqual(log, [])
        client.wire.leave()
        self.bench.settle()
        self.assertEqual(log, ["cleaned up", "stopped"])
