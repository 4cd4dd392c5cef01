"""Transactions: what files and commands ask for, and what the edge becomes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.problems import ConfigErrors
from revproxy.control.changes import ChangeRefused, ChangeRequest
from revproxy.control.commands import CommandError
from revproxy.control.startup import StartRefused
from revproxy.interfaces import IConfigurable
from revproxy.worker.lifecycle.stages import StageLimits
from tests.authority import Authority
from tests.control.commands import commanded
from tests.coordinators import Bench

CODE = """
from zope.interface import implementer
from twisted.internet.defer import Deferred
from revproxy.interfaces import *

LIVE = []

@implementer(IMiddleware, {interfaces})
class Plugin:
    name = "a"
    def __init__(self, config):
        self.config = dict(config)
    def handle(self, context):
        context.values.setdefault("seen", []).append(self.says())
        return True
    def says(self):
        return {says!r}
{body}
PluginMain = Plugin
"""

COUNTING = """
    def __init__(self, config):
        self.config, self.count = dict(config), 0
    def says(self):
        self.count += 1
        return f"{self.count}"
    def exportState(self):
        return {"count": self.count}
    def importState(self, state, version):
        self.count = state["count"]
"""

CONFIGURABLE = """
    def validateConfig(self, config):
        if config.get("value") == "never":
            raise ValueError("never is no value")
    def updateConfig(self, config):
        if config.get("value") == "bad":
            self.config = {"value": "half of it"}
            raise ValueError("bad is bad")
        self.config = dict(config)
    def says(self):
        return f"{self.config.get('value')} {id(self)}"
"""


def code(says: str = "", body: str = "    pass", interfaces: str = "") -> str:
    """A plugin."""
    return CODE.format(interfaces=interfaces, says=says, body=body)


class LifecycleCase(SynchronousTestCase):
    """With a bench."""

    def setUp(self) -> None:
        self.bench = Bench(Path(self.mktemp()))
        self.addCleanup(self.end)

    def end(self) -> None:
        if hasattr(self.bench, "state"):
            self.bench.stop()

    def apply(self, change: ChangeRequest = ChangeRequest()) -> Any:  # noqa: B008
        return self.bench.apply(change)

    def call(self, which: str, /, **arguments: Any) -> Any:
        """A command."""
        return self.bench.result(commanded(self.bench.control, which, **arguments))

    def alive(self, name: str) -> int:
        """Versions that no longer run and still exist, once that was looked into."""
        for _ in range(5):
            self.bench.clock.advance(1)
        return self.bench.worker.retirement.alive(name)

    def restart(self) -> None:
        """The process ends and begins again."""
        self.bench.stop()
        self.bench.start()


class ChangeTests(LifecycleCase):
    """Plugins come, change, and go."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()

    def test_changed(self) -> None:
        """New code serves the next request, under a new number."""
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.bench.write("a", version="1.1.0")
        report = self.apply()
        self.assertRegex(report.text[0], r"^a: 1\.0\.0 \(.{12}\) → 1\.1\.0 \(.{12}\)$")
        self.assertEqual(self.bench.seen(), ["a 1.1.0"])
        self.assertEqual(self.bench.edge.generation.number, 2)

    def test_touched(self) -> None:
        """Files that are written with what they had make no new generation."""
        self.bench.write("a")
        before = self.bench.edge.generation
        self.assertEqual(self.apply().text, ())
        self.assertIs(self.bench.edge.generation, before)

    def test_comesAndGoes(self) -> None:
        """A new folder is a new plugin; without its folder a plugin is gone, and its instance is stopped."""
        self.bench.write("b")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "b 1.0.0"])
        shutil.rmtree(self.bench.plugins / "a")
        self.apply()
        self.assertEqual(self.bench.seen(), ["b 1.0.0"])
        self.assertEqual(self.bench.kinds(), [("loaded", "b"), ("removed", "a")])

    def test_unchangedIsKept(self) -> None:
        """Plugins that did not change keep their instances; upstreams and leaves stay the same objects."""
        self.bench.write("b")
        self.apply()
        before, table = self.bench.worker.generations.built, self.bench.worker.routes.table
        self.bench.write("b", version="2.0")
        self.apply()
        after = self.bench.worker.generations.built
        assert before is not None and after is not None
        self.assertIs(before.instances[0], after.instances[0])
        self.assertIsNot(before.instances[1], after.instances[1])
        self.assertIs(table, self.bench.worker.routes.table)
        self.assertIs(before.generation.tree, after.generation.tree)
        self.assertIsNot(before.generation.chains[0], after.generation.chains[0])

    def test_upstreamsFiles(self) -> None:
        """Where a file of an upstream's TLS settings has changed, that upstream and its leaf are others."""
        ca = self.bench.root / "ca.pem"
        ca.write_bytes(Authority("one").own.certificatePEM)
        upstreams = "".join(
            f"  {name}: {{targets: ['https://127.0.0.1:1'], tls: {{{tls}}}}}\n"
            for name, tls in (("app", "ca: ca.pem"), ("other", ""))
        )
        routes = "[{path: /a, upstream: app}, {path: /b, upstream: other}]"
        self.bench.configure(routes, f"upstreams:\n{upstreams}")
        self.apply()
        found = []
        for version, who in (("2.0", None), ("3.0", "two")):
            if who is not None:
                ca.write_bytes(Authority(who).own.certificatePEM)
            found.append(self.bench.worker.routes.table)
            self.bench.write("a", version=version)
            self.apply()
        found.append(self.bench.worker.routes.table)
        leaves = [[table.leaves[None, path][0] for path in ("/a", "/b")] for table in found if table is not None]
        self.assertEqual([leaf is other for leaf, other in zip(*leaves[:2], strict=True)], [True, True])
        self.assertEqual([leaf is other for leaf, other in zip(*leaves[1:], strict=True)], [False, True])
        route = self.bench.edge.generation.find(b"h", b"/a")
        assert route is not None
        self.assertIs(route.leaf, leaves[2][0])

    def test_severalAtOnce(self) -> None:
        """What changed in one window is one transaction: one new generation."""
        for name in "abc":
            self.bench.write(name, version="3.0")
        self.apply()
        self.assertEqual(self.bench.edge.generation.number, 2)
        self.assertEqual(self.bench.seen(), ["a 3.0", "b 3.0", "c 3.0"])

    def test_oneFailsTheOthersLoad(self) -> None:
        """A plugin that fails keeps no other from loading."""
        self.bench.write("b", "1 / 0")
        self.bench.write("a", version="2.0")
        self.bench.write("c")
        report = self.apply()
        self.assertEqual(self.bench.seen(), ["a 2.0", "c 1.0.0"])
        self.assertEqual([one.plugin for one in report.refused], ["b"])
        self.assertIn("plugin.py:1: importing it raised ZeroDivisionError", self.bench.failure("b"))

    def test_folderUnreadable(self) -> None:
        """A folder of plugins that is not there any more removes nobody: it may be a mount that is late."""
        shutil.move(self.bench.plugins, self.bench.root / "away")
        report = self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.assertIn("cannot be read", report.refused[-1].message)

    def test_wrongOnceIsNotTriedAgain(self) -> None:
        """What failed is not imported again and again because something else changes; a reload does try."""
        self.bench.write("b", "open(__import__('os').environ['REVPROXY_TEST'], 'a').write('x')\n1 / 0")
        mark = self.bench.root / "mark"
        self.patch(__import__("os"), "environ", {**__import__("os").environ, "REVPROXY_TEST": str(mark)})
        self.apply()
        self.bench.write("a", version="2.0")
        self.apply()
        self.assertEqual(mark.read_text(), "x")
        self.apply(ChangeRequest(force=True))
        self.assertEqual(mark.read_text(), "xx")
        self.assertEqual(self.bench.kinds().count(("refused", "b")), 1)

    def test_mended(self) -> None:
        """A failure that was mended is no longer shown."""
        self.bench.write("a", "1 / 0", version="2.0")
        self.apply()
        self.assertTrue(self.bench.failure("a"))
        self.bench.write("a", version="2.0")
        self.apply()
        self.assertEqual((self.bench.failure("a"), self.bench.seen()), ("", ["a 2.0"]))

    def test_backToWhatRuns(self) -> None:
        """Undoing a bad edit clears the failure too."""
        self.bench.write("a", "1 / 0")
        self.apply()
        self.bench.write("a")
        self.apply()
        self.assertEqual((self.bench.failure("a"), self.bench.edge.generation.number), ("", 1))

    def test_rename(self) -> None:
        """A folder with another name is the same plugin."""
        shutil.move(self.bench.plugins / "a", self.bench.plugins / "z")
        self.apply()
        self.assertEqual(self.bench.edge.generation.number, 1)
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])

    def test_nameTaken(self) -> None:
        """Another folder that claims the name of a running plugin does not get it."""
        self.bench.write("0", says="thief")
        (self.bench.plugins / "0" / "plugin.json").write_text('{"name": "a", "version": "9.0"}')
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.assertIn('"a" is also the name of the plugin in', self.bench.failure("a"))


    def test_nameTakenAndGivenBack(self) -> None:
        """Which is forgotten when the other folder goes."""
        self.test_nameTaken()
        shutil.rmtree(self.bench.plugins / "0")
        self.apply()
        self.assertEqual(self.bench.failure("a"), "")

    def test_stoppedMeanwhile(self) -> None:
        """A transaction whose plugin takes its time to start does not keep the edge from stopping."""
        text = code(body="    def start(self): return Deferred()\n    def stop(self): pass", interfaces="ILifecycle")
        self.bench.write("b", text)
        done = self.bench.later(self.bench.coordinator.apply())
        self.bench.clock.advance(0)
        self.assertNoResult(done)
        self.bench.later(self.bench.end())
        self.assertEqual([one.plugin for one in self.successResultOf(done).refused], ["b"])
        self.assertEqual(self.bench.edge.generation.number, 1)


    def test_stoppedBeforeStart(self) -> None:
        """An edge that is being stopped starts no plugin any more."""
        mark = self.bench.root / "started"
        body = f"    def start(self): open({str(mark)!r}, 'w').close()\n    def stop(self): pass"
        self.bench.write("b", code(body=body, interfaces="ILifecycle"))
        done = self.bench.later(self.bench.coordinator.apply())
        ended = self.bench.later(self.bench.end())
        self.bench.clock.advance(0)
        self.failureResultOf(done, ChangeRefused)
        self.successResultOf(ended)
        self.assertFalse(mark.exists())

    def test_renamedAndBroken(self) -> None:
        """A plugin that gets another name, and is broken by that, runs on under its old one; mended, it is the new."""
        shutil.move(self.bench.plugins / "a", self.bench.plugins / "b")
        self.bench.write("b", "1 / 0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.assertIn("it was removed when b came", self.bench.failure("a"))
        self.bench.write("c")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "c 1.0.0"])
        self.bench.write("b")
        self.apply()
        self.assertEqual(self.bench.seen(), ["b 1.0.0", "c 1.0.0"])
        self.assertEqual(self.bench.failure("a"), "")

    def test_renamedBesideOthers(self) -> None:
        """That others fail in the same change, or in a later one, lets nothing pass that was held back."""
        shutil.move(self.bench.plugins / "a", self.bench.plugins / "b")
        for name in "bcd":
            self.bench.write(name, "1 / 0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.bench.write("e")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "e 1.0.0"])

    def test_renamedAndGone(self) -> None:
        """Without the newcomer there is nothing to wait for any more: the removal is a removal."""
        shutil.rmtree(self.bench.plugins / "a")
        self.bench.write("b", "1 / 0")
        self.apply()
        shutil.rmtree(self.bench.plugins / "b")
        self.apply()
        self.assertEqual(self.bench.seen(), [])


class OtherRoutesTests(LifecycleCase):
    """A request is under way on a route where only a runs; b runs on another one."""

    def setUp(self) -> None:
        super().setUp()
        other = "{path: /b, respond: {}, plugins: {a: false}}"
        self.bench.configure(f"[{{path: /, respond: {{}}, plugins: {{b: false}}}}, {other}]")
        self.bench.write("a")
        self.provide("1")
        self.bench.start()
        route = self.bench.edge.generation.find(b"h", b"/")
        assert route is not None
        self.chain = self.bench.edge.generation.chains[route.group]
        self.chain.active += 1

    def provide(self, mark: str) -> None:
        """b provides `IConfigurable`."""
        body = "    def validateConfig(self, config): pass\n    def updateConfig(self, config): pass\n"
        self.bench.write("b", code(body=f"{body}    mark = {mark!r}", interfaces="IConfigurable"))

    def test_gone(self) -> None:
        """It keeps nothing of what is replaced there."""
        self.provide("2")
        self.apply()
        self.assertEqual(self.alive("b"), 0)
        self.bench.clock.advance(60)
        self.assertNotIn(("remains", "b"), self.bench.kinds())

    def test_services(self) -> None:
        """If it asks for a service from there, it is given what runs."""
        services = self.chain.links[0].service
        for mark in ("1", "2", "3"):
            self.provide(mark)
            self.apply()
            self.assertEqual(services(IConfigurable).mark, mark)
        self.call("disable", name="b")
        self.assertRaises(KeyError, services, IConfigurable)


class DependencyTests(LifecycleCase):
    """Plugins that require each other."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("auth", version="1.0")
        self.bench.write("billing", requires={"auth": "<2"})
        self.bench.start()

    def test_refusedWithThePath(self) -> None:
        """A version that a dependant does not take is refused, and the dependant's line is named."""
        self.bench.write("auth", version="2.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["auth 1.0", "billing 1.0.0"])
        self.assertIn("billing/plugin.json:1:", self.bench.failure("auth"))

    def test_carriedAlong(self) -> None:
        """With a dependant that does take it, both go over together; also when the dependant comes later."""
        self.bench.write("auth", version="2.0")
        self.apply()
        self.bench.write("billing", version="1.1", requires={"auth": ">=2"})
        self.apply()
        self.assertEqual(self.bench.seen(), ["auth 2.0", "billing 1.1"])
        self.assertEqual(self.bench.failure("auth"), "")

    def test_together(self) -> None:
        """If the dependant's half fails, neither goes over."""
        self.bench.write("auth", version="2.0")
        self.bench.write("billing", "1 / 0", version="1.1", requires={"auth": ">=2"})
        self.apply()
        self.assertEqual(self.bench.seen(), ["auth 1.0", "billing 1.0.0"])
        self.assertIn("ZeroDivisionError", self.bench.failure("billing"))
        self.assertIn("billing", self.bench.failure("auth"))

    def test_removed(self) -> None:
        """What is needed is not removed with its folder."""
        shutil.rmtree(self.bench.plugins / "auth")
        self.apply()
        self.assertEqual(self.bench.seen(), ["auth 1.0", "billing 1.0.0"])
        self.assertIn("it was deleted, and runs on", self.bench.failure("auth"))

    def test_cycle(self) -> None:
        """A cycle is refused; somebody else's change in the same window is not."""
        self.bench.write("auth", version="1.1", requires={"billing": ""})
        self.bench.write("other")
        self.apply()
        self.assertEqual(self.bench.seen(), ["auth 1.0", "billing 1.0.0", "other 1.0.0"])
        self.assertIn("billing", self.bench.failure("auth"))

    def test_disable(self) -> None:
        """What is needed cannot be switched off."""
        answer = self.call("disable", name="auth")
        self.assertEqual(answer["refused"][0]["plugin"], "auth")
        self.assertEqual(self.bench.seen(), ["auth 1.0", "billing 1.0.0"])


class StageTests(LifecycleCase):
    """What can go wrong between import and swap: the old version serves, the reason is shown, nothing is left."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a", code("one"))
        self.bench.start(StageLimits(start=3, health=3))

    def refused(self, text: str, reason: str, stage: str) -> None:
        self.bench.write("a", text, version="2.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["one"])
        refusal = self.bench.coordinator.refused.of("a")
        self.assertEqual(refusal.stage, stage, refusal.message)
        self.assertIn(reason, refusal.message)
        self.assertEqual(self.alive("a"), 0)

    def test_main(self) -> None:
        self.refused(code() + "\ndef PluginMain(config): raise KeyError('x')", "PluginMain raised KeyError", "main")

    def test_exit(self) -> None:
        self.refused("import sys; sys.exit(3)", "importing it raised SystemExit: 3", "import")

    def test_interface(self) -> None:
        self.refused("def PluginMain(config): return object()", "does not provide IMiddleware", "main")

    def test_arity(self) -> None:
        self.refused(code(body="    def handle(self): return True"), "does not fulfil IMiddleware", "main")

    def test_startRaises(self) -> None:
        body = "    def start(self): raise OSError('no port')\n    def stop(self): pass"
        self.refused(code(body=body, interfaces="ILifecycle"), "start raised OSError: no port", "start")

    def test_startHangs(self) -> None:
        """Past its deadline it is cancelled, and stopped, since it may have begun something."""
        body = "    def start(self): return Deferred()\n    def stop(self): open('MARK', 'w').close()"
        mark = self.bench.root / "stopped"
        text = code(body=body, interfaces="ILifecycle").replace("MARK", str(mark))
        self.refused(text, "start did not come back within 3 s", "start")
        self.assertTrue(mark.exists())

    def test_unhealthy(self) -> None:
        """What was started is stopped."""
        mark = self.bench.root / "stopped"
        body = f"""
    def start(self): pass
    def stop(self): open({str(mark)!r}, 'w').close()
    async def checkHealth(self): raise RuntimeError("no database")
"""
        text = code(body=body, interfaces="ILifecycle, IHealthCheck")
        self.refused(text, "checkHealth raised RuntimeError: no database", "health")
        self.assertTrue(mark.exists())

    def test_traceback(self) -> None:
        """It begins at the plugin's own lines."""
        self.refused("def f():\n    1 / 0\nf()", "ZeroDivisionError", "import")
        lines = self.bench.coordinator.refused.of("a").traceback.splitlines()
        self.assertIn("plugin.py", lines[1])

    def test_line(self) -> None:
        """What fails names the line."""
        text = code(body="    def checkHealth(self): raise RuntimeError", interfaces="IHealthCheck")
        self.refused(text, "checkHealth raised RuntimeError", "health")
        self.assertRegex(self.bench.failure("a"), r"plugin\.py:\d+: checkHealth raised RuntimeError$")

    def test_noLineOfOurs(self) -> None:
        """What cannot be parsed has no stack but ours, which is left out."""
        self.refused("def f(:", "plugin.py:1:7: SyntaxError", "import")
        self.assertNotIn("loader.py", self.bench.coordinator.refused.of("a").traceback)


    def test_oddException(self) -> None:
        """One that cannot be asked for its text is the plugin's failure as any other; others load beside it."""
        odd = "class Odd(Exception):\n    def __str__(self): raise RuntimeError('no')\n    __repr__ = __str__\n"
        self.refused(odd + "raise Odd()", "importing it raised Odd: (its text cannot be had", "import")
        self.refused(odd + "def PluginMain(config): return Odd()", "__repr__ raised RuntimeError", "main")
        self.bench.write("b")
        self.bench.write("a", odd + "raise Odd() # 3", version="3.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["one", "b 1.0.0"])

    def test_interrupt(self) -> None:
        """KeyboardInterrupt out of a plugin is a failure of the plugin."""
        self.refused("raise KeyboardInterrupt", "importing it raised KeyboardInterrupt", "import")
        self.refused(code() + "\ndef PluginMain(config): raise KeyboardInterrupt", "raised KeyboardInterrupt", "main")

    def test_cancelled(self) -> None:
        """So is asyncio's cancellation, which is no Exception."""
        body = "    def start(self):\n        import asyncio; raise asyncio.CancelledError\n    def stop(self): pass"
        self.refused(code(body=body, interfaces="ILifecycle"), "start raised CancelledError", "start")

    def test_lookedAt(self) -> None:
        """What raises when it is only looked at."""
        text = code(body="    @property\n    def name(self): raise LookupError('x')").replace('    name = "a"\n', "")
        self.refused(text, "LookupError", "main")

    def test_generator(self) -> None:
        """A start that is a generator would never run."""
        body = "    def start(self): yield\n    def stop(self): pass"
        self.refused(code(body=body, interfaces="ILifecycle"), "it is a generator", "start")

    def test_awaitable(self) -> None:
        """validateConfig is not waited for."""
        body = "    async def validateConfig(self, config): pass\n    def updateConfig(self, config): pass"
        self.refused(code(body=body, interfaces="IConfigurable"), "answered coroutine, which nobody waits for",
                     "validate")


class StateTests(LifecycleCase):
    """State is handed over."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a", code(body=COUNTING, interfaces="IStateful"))
        self.bench.start()
        self.assertEqual(self.bench.seen(), ["1"])

    def test_handedOver(self) -> None:
        """The next version goes on where the last one was."""
        self.bench.write("a", code(body=COUNTING, interfaces="IStateful") + "# new", version="2.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["2"])

    def test_toTheLastMoment(self) -> None:
        """Requests between the handover and the swap are not forgotten."""
        starting = """
    def start(self):
        from twisted.internet.defer import Deferred
        import builtins
        builtins.revproxyTest = Deferred()
        return builtins.revproxyTest
    def stop(self): pass
"""
        import builtins

        self.addCleanup(lambda: delattr(builtins, "revproxyTest"))
        self.bench.write("a", code(body=COUNTING + starting, interfaces="IStateful, ILifecycle"))
        done = self.bench.later(self.bench.coordinator.apply())
        self.bench.clock.advance(0)
        self.assertEqual(self.bench.seen(), ["2"])
        builtins.revproxyTest.callback(None)  # type: ignore[attr-defined]
        self.successResultOf(done)
        self.assertEqual(self.bench.seen(), ["3"])

    def failing(self, text: str) -> None:
        self.bench.write("a", text, version="2.0")
        self.apply()

    def test_exportFails(self) -> None:
        """The running version's failure refuses the update, and is named as its own; without state it goes."""
        broken = COUNTING.replace('return {"count": self.count}', 'raise KeyError("gone")')
        self.failing(code(body=broken, interfaces="IStateful"))
        self.bench.write("a", code("three"), version="3.0")
        self.bench.write("a", code(body=COUNTING, interfaces="IStateful"), version="3.0")
        self.apply()
        self.assertIn("exportState of the running version 2.0", self.bench.failure("a"))
        self.apply(ChangeRequest(force=True, withoutState=True))
        self.assertEqual(self.bench.seen(), ["1"])
        self.assertIn(("handover-lost", "a"), self.bench.kinds())

    def test_importFails(self) -> None:
        """A version that does not take the state is refused."""
        self.failing(code(body=COUNTING.replace('state["count"]', 'state["other"]'), interfaces="IStateful"))
        self.assertIn("importState raised KeyError", self.bench.failure("a"))
        self.assertEqual(self.bench.seen(), ["2"])

    def test_notPlain(self) -> None:
        """State is plain data: an object of the old version would keep it in memory."""
        self.failing(code(body=COUNTING.replace("self.count}", "self}"), interfaces="IStateful"))
        self.bench.write("a", code(body=COUNTING, interfaces="IStateful"), version="3.0")
        self.apply()
        self.assertIn("gave what JSON cannot hold", self.bench.failure("a"))


    def test_changedByJSON(self) -> None:
        """What JSON would make something else of is refused, and named; a tuple may come back as a list."""
        for state, reason in (("{1: 2}", "the key 1 of a dict is no str"), ("float('nan')", "nan is no number to JSON"),
                              ("[b'x']", "would not come back as it went"), ("{'a'}", "would not come back")):
            self.bench.write("a", code(body=COUNTING.replace('{"count": self.count}', state), interfaces="IStateful"),
                             version="2.0")
            self.apply(ChangeRequest(force=True, withoutState=True))
            self.bench.write("a", code(body=COUNTING, interfaces="IStateful"), version="3.0")
            self.apply()
            self.assertIn(reason, self.bench.failure("a"))
        tupled = COUNTING.replace('{"count": self.count}', '{"count": self.count, "t": (1, 2)}')
        self.bench.write("a", code(body=tupled, interfaces="IStateful"), version="4.0")
        self.apply(ChangeRequest(force=True, withoutState=True))
        self.bench.write("a", code(body=COUNTING, interfaces="IStateful"), version="5.0")
        self.apply()
        self.assertEqual(self.bench.failure("a"), "")


class ConfigurationTests(LifecycleCase):
    """Configuration changes in place, where a plugin can."""

    def setUp(self) -> None:
        super().setUp()
        self.text = code(body=CONFIGURABLE, interfaces="IConfigurable")
        self.bench.write("a", self.text, config={"value": "one"})
        self.bench.start()
        self.first = self.bench.seen()[0].split()[1]

    def change(self, value: str) -> tuple[str, bool]:
        """The value in force after a change of plugin.json, and whether the instance is the same."""
        self.bench.write("a", self.text, config={"value": value})
        self.apply()
        return self.value()

    def value(self) -> tuple[str, bool]:
        value, instance = self.bench.seen()[0].rsplit(" ", 1)
        return value, instance == self.first

    def test_inPlace(self) -> None:
        """plugin.json's config alone has changed: the same instance takes it."""
        self.assertEqual(self.change("two"), ("two", True))
        self.assertEqual(self.bench.kinds(), [("configured", "a")])

    def test_updateFails(self) -> None:
        """What could not take the new configuration gets its old one back."""
        self.assertEqual(self.change("bad"), ("one", True))
        self.assertIn("updateConfig raised ValueError: bad is bad", self.bench.failure("a"))

    def test_validateFails(self) -> None:
        """A configuration that the plugin refuses is not tried."""
        self.assertEqual(self.change("never"), ("one", True))
        self.assertIn("validateConfig refused the configuration: never is no value", self.bench.failure("a"))

    def test_unhealthyAfter(self) -> None:
        """An instance that turns unhealthy gets its old configuration back."""
        self.text = code(body=CONFIGURABLE + """
    def checkHealth(self):
        if self.config.get("value") == "ill":
            raise RuntimeError("unwell")
""", interfaces="IConfigurable, IHealthCheck")
        self.change("two")
        self.first = self.bench.seen()[0].split()[1]
        self.assertEqual(self.change("ill"), ("two", True))
        self.assertIn("unwell", self.bench.failure("a"))

    def test_otherwiseNew(self) -> None:
        """A plugin that cannot is made anew, from the same code."""
        self.bench.write("b", code(body="    def says(self): return self.config['v']"), config={"v": "1"})
        self.apply()
        module = self.bench.worker.staging.running.versions["b"].module  # type: ignore[union-attr]
        self.bench.write("b", code(body="    def says(self): return self.config['v']"), config={"v": "2"})
        self.apply()
        self.assertEqual(self.bench.seen()[1], "2")
        self.assertIs(self.bench.worker.staging.running.versions["b"].module, module)  # type: ignore[union-attr]

    def test_file(self) -> None:
        """revproxy.yaml's configuration of a plugin leads there too."""
        self.bench.configure(extra="plugins: {directory: plugins, config: {a: {value: three}}}\n")
        self.apply()
        self.assertEqual(self.value(), ("three", True))

    def test_fileFails(self) -> None:
        """A configuration file that a plugin refuses has no effect at all; plugins' own changes do."""
        self.bench.configure("[{path: /new, respond: {}}]",
                             "plugins: {directory: plugins, config: {a: {value: bad}}}\n")
        self.bench.write("b")
        self.apply()
        self.assertEqual(self.value(), ("one", True))
        self.assertEqual(self.bench.seen()[1], "b 1.0.0")
        self.assertIn(f"{self.bench.file}: with it, plugin a 1.0.0", self.bench.failure(""))
        self.assertIn("bad is bad", self.bench.failure(""))

    def test_perRoute(self) -> None:
        """A route's own configuration has an instance of its own."""
        self.bench.configure("[{respond: {}}, {path: /x, respond: {}, plugins: {a: {value: four}}}]")
        self.apply()
        self.assertEqual(self.value(), ("one", True))
        self.assertTrue(self.bench.seen("/x")[0].startswith("four "))
        self.bench.configure("[{respond: {}}, {path: /x, respond: {}, plugins: {a: {value: five}}}]")
        second = self.bench.seen("/x")[0].split()[1]
        self.apply()
        self.assertEqual(self.bench.seen("/x"), [f"five {second}"])
        self.assertEqual(self.value(), ("one", True))


class FileTests(LifecycleCase):
    """revproxy.yaml itself."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.start()

    def test_routes(self) -> None:
        """New routes serve, old ones are gone."""
        self.bench.configure("[{path: /new, respond: {}}]")
        self.apply()
        self.assertIsNone(self.bench.edge.generation.find(b"h", b"/"))
        self.assertIsNotNone(self.bench.edge.generation.find(b"h", b"/new"))

    def test_holdsNothing(self) -> None:
        """A route that came holds nothing of the generation that it came after."""
        self.bench.write("a")
        self.apply()
        self.bench.configure("[{respond: {}}, {path: /s, static: .}]")
        self.apply()
        self.bench.write("a", version="2.0")
        self.apply()
        self.assertEqual(self.alive("a"), 0)

    def test_whoIsConfigured(self) -> None:
        """A plugin is told of as configured when it has another configuration on a route, not when others have."""
        self.bench.write("a")
        self.bench.write("b")
        self.bench.configure("[{respond: {}}, {path: /x, respond: {}, plugins: {a: {x: 1}}}]")
        self.apply()
        two = "{path: /x, respond: {}, plugins: {a: {x: 1}}}"
        self.bench.configure(f"[{{respond: {{}}, plugins: {{b: {{y: 1}}}}}}, {{path: /y, respond: {{}}}}, {two}]")
        told = self.apply().text
        self.assertEqual([line.partition(":")[0] for line in told if "configuration" in line], ["b"], told)
        self.bench.configure(f"[{{respond: {{}}, plugins: {{b: {{y: 1}}}}}}, {{path: /y, respond: {{}}}}, "
                             f"{two.replace('1', '2')}]")
        told = self.apply().text
        self.assertEqual([line.partition(":")[0] for line in told if "configuration" in line], ["a"], told)

    def test_wrong(self) -> None:
        """A file that will not do is refused with its line, and noted until it is mended."""
        text = self.bench.file.read_text()
        self.bench.file.write_text(text.replace("routes:", "rotes:"))
        self.apply()
        self.assertIn(f"{self.bench.file}:2:1: ", self.bench.failure(""))
        self.bench.file.write_text(text)
        self.apply()
        self.assertEqual(self.bench.failure(""), "")

    def test_comment(self) -> None:
        """A comment makes no new generation."""
        self.bench.file.write_text("# hello\n" + self.bench.file.read_text())
        self.apply()
        self.assertEqual(self.bench.edge.generation.number, 1)

    def test_withItsPlugin(self) -> None:
        """A file that names a plugin and that plugin may come together, beside one that does not go."""
        self.bench.write("new", enabled=False)
        self.bench.write("bad", requires={"nobody": ""})
        self.bench.configure(extra="plugins: {directory: plugins, config: {new: true}}\n")
        self.apply()
        self.assertEqual(self.bench.seen(), ["new 1.0.0"])
        self.assertEqual(self.bench.failure(""), "")
        self.assertIn("nobody", self.bench.failure("bad"))


class VersionTests(LifecycleCase):
    """Rolling back, pinning, switching, restarting."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.bench.write("a", version="2.0")
        self.apply()

    def test_rollback(self) -> None:
        """The previous version serves, and stays until the folder has something new."""
        answer = self.call("rollback", name="a")
        self.assertEqual(answer["text"][0], "a: pinned until its folder has something new")
        self.assertRegex(answer["text"][1], r"^a: 2\.0 \(.*\) → 1\.0\.0 \(")
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.apply(ChangeRequest(force=True))
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.bench.write("a", version="3.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 3.0"])
        self.assertIsNone(self.bench.coordinator.records.get("a").pin)

    def test_rollbackAgain(self) -> None:
        """A second rollback goes further back, and not to what was just left."""
        self.bench.write("a", version="3.0")
        self.apply()
        for expected in ("a 2.0", "a 1.0.0"):
            self.call("rollback", name="a")
            self.assertEqual(self.bench.seen(), [expected])

    def test_rollbackAgainAndAgain(self) -> None:
        """Each goes further back, also after a restart and where the folder is broken; at the end it says so."""
        for version in ("3.0", "4.0"):
            self.bench.write("a", version=version)
            self.apply()
        (self.bench.plugins / "a" / "plugin.py").write_text("1 / 0")
        self.apply()
        for expected in ("a 3.0", "a 2.0", "a 1.0.0"):
            self.call("rollback", name="a")
            self.assertEqual(self.bench.seen(), [expected])
            self.restart()
        self.assertIn("no earlier version", str(self.assertRaises(CommandError, self.call, "rollback", name="a")))
        self.call("rollback", name="a", version="4.0")
        self.call("rollback", name="a")
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])

    def test_rollbackWithoutFolder(self) -> None:
        """It works when the folder is broken, or gone."""
        (self.bench.plugins / "a" / "plugin.json").write_text("{")
        self.apply()
        self.call("rollback", name="a", version="1.0.0")
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        shutil.rmtree(self.bench.plugins / "a")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.call("rollback", name="a", version="2.0")
        self.assertEqual(self.bench.seen(), ["a 2.0"])

    def test_rollbackToNothing(self) -> None:
        """Without an earlier version it is refused with what there is."""
        self.bench.write("b")
        self.apply()
        for arguments, text in (({"name": "b"}, "no earlier version"), ({"name": "a", "version": "7"}, "kept are: 1.0"),
                                ({"name": "x"}, 'no plugin named "x"')):
            error = self.assertRaises(CommandError, self.call, "rollback", **arguments)
            self.assertIn(text, str(error))

    def test_pin(self) -> None:
        """A pinned version stays whatever the folder has, over a restart too; unpinned it follows the folder."""
        self.call("pin", name="a", version="1.0.0")
        self.bench.write("a", version="3.0")
        self.apply()
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.call("unpin", name="a")
        self.assertEqual(self.bench.seen(), ["a 3.0"])

    def test_pinWhatRuns(self) -> None:
        """What was done is said also where nothing else has to change."""
        self.assertEqual(self.call("pin", name="a")["text"], ["a: pinned"])
        self.assertEqual(self.call("unpin", name="a")["text"], ["a: not pinned any more; it follows its folder"])

    def test_switches(self) -> None:
        """Off and on, over a restart too."""
        self.assertEqual(self.call("disable", name="a")["text"][0], "a: switched off")
        self.assertEqual(self.bench.seen(), [])
        self.restart()
        self.assertEqual(self.bench.seen(), [])
        self.assertEqual(self.call("plugins")[0]["state"], "off")
        self.call("enable", name="a")
        self.assertEqual(self.bench.seen(), ["a 2.0"])

    def test_goneMeanwhile(self) -> None:
        """A plugin whose folder was deleted while the edge was down is told of."""
        shutil.rmtree(self.bench.plugins / "a")
        self.restart()
        self.assertEqual(self.bench.seen(), [])
        self.assertEqual(self.bench.kinds(), [("removed", "a")])

    def test_restart(self) -> None:
        """What ran before runs after, though its folder is broken meanwhile; the reason is shown."""
        self.bench.write("a", "1 / 0", version="3.0")
        self.apply()
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 2.0"])
        self.assertIn("ZeroDivisionError", self.bench.failure("a"))
        self.assertEqual(self.bench.coordinator.records.get("a").versions[-1].version, "2.0")

    def test_restartUnhealthy(self) -> None:
        """Also when it is only found out on starting."""
        body = "    def start(self): raise OSError('no')\n    def stop(self): pass"
        self.bench.write("a", code(body=body, interfaces="ILifecycle"), version="3.0")
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 2.0"])
        self.assertIn("start raised OSError: no", self.bench.failure("a"))

    def test_restartWithNewcomer(self) -> None:
        """A broken plugin that never ran does not keep a restarted edge from starting."""
        self.bench.write("b", "1 / 0")
        self.bench.write("c", "def")
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 2.0"])
        self.assertTrue(self.bench.failure("b") and self.bench.failure("c"))

    def test_restartWithoutStore(self) -> None:
        """What ran before is damaged and the folder is broken: it does not start without it, and says why not."""
        self.bench.write("a", "1 / 0", version="3.0")
        shutil.rmtree(self.bench.root / "var" / "versions" / "a")
        self.bench.stop()
        del self.bench.state
        error = self.assertRaises(ConfigErrors, self.bench.prepare)
        self.assertIn("ZeroDivisionError", str(error))

    def test_keepVersions(self) -> None:
        """As many are kept as the configuration says."""
        self.bench.configure(extra="plugins: {directory: plugins, keep_versions: 2}\n")
        for number in range(3, 9):
            self.bench.write("a", version=f"{number}.0")
            self.apply()
        kept = self.bench.state.store.digests("a")
        self.assertEqual([one["version"] for one in self.call("plugins", name="a")[0]["versions"]],
                         ["6.0", "7.0", "8.0"])
        self.assertEqual(len(kept), 3)

    def test_removed(self) -> None:
        """One whose folder is gone can be asked about: its versions are there to go back to."""
        shutil.rmtree(self.bench.plugins / "a")
        self.apply()
        (status,) = self.call("plugins", name="a")
        self.assertEqual((status["state"], len(status["versions"])), ("removed", 2))
        self.assertEqual((status["version"], status["removed_because"]), ("2.0", "its folder is gone"))
        self.assertEqual(self.call("plugins"), [])
        (listed,) = self.call("plugins", removed=True)
        self.assertEqual((listed["name"], listed["removed_at"]), ("a", self.bench.clock.seconds()))
        self.restart()
        (again,) = self.call("plugins", removed=True)
        self.assertEqual({**again, "generations_alive": 0}, {**listed, "generations_alive": 0})

    def test_status(self) -> None:
        """What is shown of a plugin."""
        self.bench.write("a", "1 / 0", version="3.0")
        self.apply()
        self.assertEqual(self.alive("a"), 0)
        status = self.call("plugins")[0]
        self.assertEqual((status["name"], status["version"], status["state"], status["generations_alive"]),
                         ("a", "2.0", "running", 1))
        self.assertEqual((status["failure"]["version"], status["failure"]["stage"]), ("3.0", "import"))


class FirstStartTests(LifecycleCase):
    """An edge that never ran here before."""

    def test_broken(self) -> None:
        """A plugin that cannot be used keeps it from starting: it may be the one that guards the door."""
        self.bench.write("a")
        self.bench.write("b", "1 / 0")
        error = self.assertRaises(ConfigErrors, self.bench.prepare)
        self.assertEqual(len(error.problems), 1)
        self.assertIn("b/plugin.py:1: importing it raised ZeroDivisionError", str(error))

    def test_unhealthy(self) -> None:
        """So does one that does not start."""
        body = "    def start(self): raise OSError('no')\n    def stop(self): pass"
        self.bench.write("a", code(body=body, interfaces="ILifecycle"))
        error = self.assertRaises(StartRefused, self.bench.start)
        self.assertIn("start raised OSError: no", str(error))


class StartingTests(LifecycleCase):
    """Changes that come while the edge starts."""

    def test_wait(self) -> None:
        """Somebody saves a plugin and asks for it while others start: it is done once they have, and not forgotten."""
        self.bench.write("b")
        self.bench.write("c")
        self.bench.start()
        self.bench.stop()
        del self.bench.state
        body = "    def start(self): return Deferred()\n    def stop(self): pass"
        self.bench.write("b", code(body=body, interfaces="ILifecycle"), version="2.0")
        self.bench.prepare()
        begun = self.bench.later(self.bench.control.startup.begin())
        self.bench.write("c", version="2.0")
        done = self.bench.later(self.bench.coordinator.apply())
        self.assertNoResult(begun)
        self.assertNoResult(done)
        self.assertEqual([(each["name"], each["version"], each["state"]) for each in self.call("plugins")],
                         [("b", "2.0", "running"), ("c", "1.0.0", "running")])
        self.assertEqual(self.call("plan")["plugins"]["b"]["version"], "2.0")
        for _ in range(11):
            self.bench.clock.advance(1)
        self.successResultOf(begun)
        self.assertEqual(self.successResultOf(done).text[0].partition(" ")[0], "c:")
        self.assertEqual(self.bench.seen(), ["b 1.0.0", "c 2.0"])


class QuarantineTests(LifecycleCase):
    """Versions that fail while they run."""

    FAILING = code(body="    def handle(self, context): raise ValueError('v')")

    def requests(self, count: int) -> list[str]:
        """What became of them."""
        found = []
        for _ in range(count):
            try:
                found.append(self.bench.seen()[0] if self.bench.seen() else "passed")
            except Exception as error:
                found.append(type(error).__name__)
            self.bench.clock.advance(0)
        return found

    def test_previousVersion(self) -> None:
        """A failing version goes, the last good one comes back, until the folder has something new."""
        self.bench.write("a")
        self.bench.start()
        self.bench.write("a", self.FAILING, version="2.0")
        self.apply()
        found = self.requests(8)
        self.assertEqual(found[0], "PluginFailed")
        self.assertEqual(found[-1], "a 1.0.0")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 5)
        self.assertEqual(self.bench.kinds()[-1], ("quarantined", "a"))
        status = self.call("plugins")[0]
        self.assertEqual((status["version"], status["pinned"]["by"]), ("1.0.0", "quarantine"))
        self.assertIn("failed", status["versions"][0]["quarantined"])
        self.bench.write("a", version="3.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 3.0"])

    def test_gate(self) -> None:
        """Without another version requests are refused, then probed, then served again."""
        self.bench.write("a", code(body="""
    def handle(self, context):
        if "fail" in LIVE: raise ValueError("v")
        return True
"""))
        self.bench.start()
        live = self.bench.worker.staging.running.versions["a"].module.main.LIVE  # type: ignore[union-attr]
        live.append("fail")
        self.assertEqual(self.requests(10)[-1], "PluginQuarantined")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 5)
        self.assertEqual(self.call("plugins")[0]["state"], "quarantined")
        live.clear()
        for _ in range(5):
            self.bench.clock.advance(11)
            self.requests(1)
        self.assertEqual(self.requests(2), ["passed", "passed"])
        self.assertEqual(self.bench.kinds()[-1], ("restored", "a"))
        self.assertEqual(self.call("plugins")[0]["state"], "running")


class RefusedTests(LifecycleCase):
    """What somebody asked for and what cannot be."""

    def test_enableBroken(self) -> None:
        """Switching on what fails is refused, and what runs stays."""
        self.bench.write("a")
        self.bench.write("b", code(body="    def start(self): 1 / 0\n    def stop(self): pass",
                                   interfaces="ILifecycle"), enabled=False)
        self.bench.start()
        request = ChangeRequest("b", lambda records, found: records.switched("b", True))
        self.assertRaises(ChangeRefused, self.apply, request)
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        self.assertIsNone(self.bench.coordinator.records.get("b").enabled)
