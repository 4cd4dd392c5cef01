"""Tests for `revproxy.worker.staging`: which instances a plan makes, keeps and sees off."""

from __future__ import annotations

from typing import Any

from revproxy.plan.plan import Plan
from revproxy.plan.words import Abandon, Answer, Commit, Notice, Prepare, Ready
from revproxy.worker import generations
from revproxy.worker.lifecycle.instance import Instance
from revproxy.worker.staging import LEAST
from revproxy.worker.worker import Worker
from tests.worker.workers import UPDATED, WorkerCase, entry

STARTS = """
    def start(self):
        if self.config.get("mark") == " bad":
            raise ValueError("it does not start")
    def stop(self):
        if self.config.get("mark") == " stays":
            raise ValueError("it does not stop")
"""


class StagingCase(WorkerCase):
    """A worker that runs plugins a and b."""

    def setUp(self) -> None:
        super().setUp()
        self.settings = self.config()
        self.a, self.b = entry("a"), entry("b")
        self.become(self.of(1, self.a, self.b))
        self.first, self.second = self.instances()
        self.told.clear()

    def of(self, number: int, *entries: Any) -> Plan:
        """These run on all routes."""
        return self.plan(number, self.settings, *entries)

    def instances(self) -> list[Instance]:
        """Those that run."""
        running = self.worker.staging.running
        assert running is not None
        return list(running.members.values())


class CommitTests(StagingCase):
    """What runs after a change."""

    def test_first(self) -> None:
        """Instances are started, know since when they serve, and the numbers of their versions."""
        self.assertEqual([instance.started for instance in self.instances()], [True, True])
        self.assertEqual([instance.since for instance in self.instances()], [1, 1])
        self.assertEqual([instance.version.id for instance in self.instances()], [self.a.version, self.b.version])

    def test_kept(self) -> None:
        """What has not changed is the same instance; another version is another one, and the old one ends."""
        self.become(self.of(2, self.a, entry("b", "2.0")))
        self.settle()
        kept, new = self.instances()
        self.assertIs(kept, self.first)
        self.assertEqual((kept.since, new.since, str(new.version.id.number)), (1, 2, "2.0"))
        self.assertEqual((self.second.retiring, self.second.object), (True, None))
        self.assertFalse(kept.retiring)

    def test_removed(self) -> None:
        """What a plan does not have any more ends; what it has again is made anew."""
        self.become(self.of(2, self.a))
        self.settle()
        self.assertIsNone(self.second.object)
        self.become(self.of(3, self.a, self.b))
        self.assertIsNot(self.instances()[1], self.second)
        self.assertEqual(self.seen(), ["a 1.0", "b 1.0"])

    def test_otherManifestOnly(self) -> None:
        """An entry that differs in its configuration alone is the same version, under its new digest."""
        other = entry("b", config={"mark": "!"})
        self.become(self.of(2, self.a, other))
        new = self.instances()[1]
        self.assertIs(new.version, self.second.version)
        self.assertEqual(new.version.id, other.version)
        self.assertNotEqual(other.version, self.b.version)
        self.assertEqual(self.seen(), ["a 1.0", "b 1.0!"])


class PrepareTests(StagingCase):
    """What is made for a change, and how it may fail."""

    def test_refused(self) -> None:
        """The refusal is the failed step's: plugin, version, stage, and where."""
        bad = entry("b", "2.0", body=STARTS, interfaces="ILifecycle", config={"mark": " bad"})
        self.transaction += 1
        answer = self.say(Prepare(self.transaction, self.of(2, self.a, bad)))
        assert answer is not None
        [refusal] = answer.refusals
        self.assertEqual((refusal.plugin, refusal.stage, refusal.version), ("b", "start", bad.version))
        self.assertIn("start raised ValueError: it does not start", refusal.message)
        self.assertIn("ValueError: it does not start", refusal.traceback)
        self.abandon()
        self.assertEqual(self.seen(), ["a 1.0", "b 1.0"])

    def test_reused(self) -> None:
        """In the same transaction, what was made for others is used for the next try, and not made again."""
        made = self.made()
        bad = entry("b", "2.0", body=STARTS, interfaces="ILifecycle", config={"mark": " bad"})
        new = entry("a", "2.0")
        self.assertEqual(len(self.prepare(self.of(2, new, bad))), 1)
        for word in (Prepare(self.transaction, self.of(2, new, self.b)), Ready(self.transaction)):
            self.assertEqual(self.step(word), ())
        self.assertEqual(self.step(Commit(self.transaction)), ())
        self.assertEqual(made, ["a", "b"])
        self.assertEqual(self.seen(), ["a 2.0", "b 1.0"])

    def made(self) -> list[str]:
        """Whose instances are made from now on."""
        made: list[str] = []
        init = Instance.__init__

        def noting(instance: Any, version: Any, *arguments: Any, **options: Any) -> None:
            made.append(version.name)
            init(instance, version, *arguments, **options)

        self.patch(Instance, "__init__", noting)
        return made

    def test_afterReady(self) -> None:
        """What a try before took in place is given back as soon as the next one is prepared."""
        taking = entry("b", body=UPDATED, interfaces="IConfigurable")
        self.become(self.of(2, self.a, taking))
        other = entry("b", body=UPDATED, interfaces="IConfigurable", config={"mark": "!"})
        self.assertEqual(self.prepare(self.of(3, self.a, other)), ())
        self.assertEqual(self.step(Ready(self.transaction)), ())
        self.assertEqual(self.seen(), ["a 1.0", "b 1.0!"])
        new = entry("a", "2.0")
        self.assertEqual(self.step(Prepare(self.transaction, self.of(3, new, taking))), ())
        self.assertEqual(self.seen(), ["a 1.0", "b 1.0"])
        for word in (Ready(self.transaction), Commit(self.transaction)):
            self.assertEqual(self.step(word), ())
        self.assertEqual(self.seen(), ["a 2.0", "b 1.0"])

    def test_nextTransaction(self) -> None:
        """What was given up is not used by the next transaction."""
        made = self.made()
        new = entry("a", "2.0")
        for _ in range(2):
            self.assertEqual(self.prepare(self.of(2, new, self.b)), ())
            self.abandon()
        self.assertEqual(made, ["a", "a"])

    def test_beforeTheLoop(self) -> None:
        """Before the loop runs, instances are made and not started; the same ones are started later."""
        worker = self.another()
        plan = self.of(1, entry("c", body=STARTS, interfaces="ILifecycle"))
        made = []
        for starts in (False, True):
            worker.receive(Prepare(1, plan, starts))
            self.assertEqual(self.told.pop(), Answer(1, "prepare"))
            assert worker.staging.next is not None
            made += worker.staging.next.members.values()
            self.assertIs(made[-1].started, starts)
        self.assertEqual(len(set(made)), 1)
        worker.receive(Abandon(1))
        self.settle()

    def another(self) -> Worker:
        """A worker that has not begun."""
        return Worker(self.reactor, self.settings, self.told.append, self.inThread, dropIns=())

    def test_abandoned(self) -> None:
        """What was made for nothing is stopped and unloaded; how its stop failed is told."""
        stays = entry("b", "2.0", body=STARTS, interfaces="ILifecycle", config={"mark": " stays"})
        self.assertEqual(self.prepare(self.of(2, self.a, stays)), ())
        self.abandon()
        [notice] = [word for word in self.told if isinstance(word, Notice)]
        self.assertEqual((notice.kind, notice.plugin, notice.version), ("stop-failed", "b", stays.version))


COMPILES = """
    def validateConfig(self, config): pass
    def updateConfig(self, config):
        def handle(context):
            context.values.setdefault("seen", []).append("b " + config["mark"])
            return True
        self.handle = handle
"""
"""Makes itself another handle for another configuration."""


class UpdateTests(StagingCase):
    """Configurations that are taken in place."""

    def test_beforeTheGeneration(self) -> None:
        """The generation is built of what instances are after it: requests come to what they have become."""
        self.become(self.of(2, self.a, entry("b", body=COMPILES, interfaces="IConfigurable")))
        for mark in ("one", "two"):
            other = entry("b", body=COMPILES, interfaces="IConfigurable", config={"mark": mark})
            self.become(self.of(3, self.a, other))
            self.assertEqual(self.seen(), ["a 1.0", f"b {mark}"])

    def test_notBuilt(self) -> None:
        """If the generation cannot be built then, what was taken is given back."""
        self.become(self.of(2, self.a, entry("b", body=UPDATED, interfaces="IConfigurable")))
        other = entry("b", body=UPDATED, interfaces="IConfigurable", config={"mark": "!"})

        def raises(*arguments: Any) -> None:
            raise ZeroDivisionError("oh")

        self.patch(generations, "buildGeneration", raises)
        self.assertEqual(self.prepare(self.of(3, self.a, other)), ())
        self.assertEqual(len(self.step(Ready(self.transaction))), 1)
        self.flushLoggedErrors(ZeroDivisionError)
        self.abandon()
        self.assertEqual(self.seen(), ["a 1.0", "b 1.0"])


class EndTests(StagingCase):
    """The end of all."""

    def test_order(self) -> None:
        """Instances are stopped in the reverse order of their start, and a stop that fails is told."""
        stopped: list[str] = []
        close = Instance.close

        async def noting(instance: Instance, *limit: float) -> Any:
            stopped.append(instance.version.name)
            return await close(instance, *limit)

        self.patch(Instance, "close", noting)
        stays = entry("b", "2.0", body=STARTS, interfaces="ILifecycle", config={"mark": " stays"})
        self.become(self.of(2, self.a, stays))
        self.settle()
        stopped.clear()
        self.done(self.worker.staging.end())
        self.assertEqual(stopped, ["b", "a"])
        self.assertEqual([word.kind for word in self.told if isinstance(word, Notice)], ["stop-failed"])

    def test_together(self) -> None:
        """Stops that do not come back have as much time together as one; all are told and closed."""
        hangs = """
    def start(self): pass
    def stop(self):
        from twisted.internet.defer import Deferred
        return Deferred()
"""
        entries = [entry(name, "2.0", body=hangs, interfaces="ILifecycle") for name in ("a", "b")]
        self.become(self.of(2, *entries))
        self.settle(30)
        self.told.clear()
        instances, began = self.instances(), self.reactor.seconds()
        self.done(self.worker.staging.end())
        self.assertLess(self.reactor.seconds() - began, 10.5)
        self.assertEqual([word.kind for word in self.told if isinstance(word, Notice)], ["stop-failed"] * 2)
        self.assertEqual([instance.object for instance in instances], [None, None])

    def test_asRequests(self) -> None:
        """They have no more time than requests have; but some."""
        hangs = """
    def start(self): pass
    def stop(self):
        from twisted.internet.defer import Deferred
        return Deferred()
"""
        for drain, seconds in (("3s", 3), ("0", LEAST), ("1h", 10)):
            config = self.config(f"timeouts: {{drain: {drain}}}\n")
            self.become(self.plan(2, config, entry("a", f"2.{seconds}", body=hangs, interfaces="ILifecycle")))
            self.settle(30)
            began = self.reactor.seconds()
            self.done(self.worker.staging.end())
            self.assertLess(abs(self.reactor.seconds() - began - seconds), 0.5)

    def test_hurried(self) -> None:
        """After a hurry no step of a plugin begins, until the change is given up; then all goes as always."""
        updated = entry("b", "2.0", body=UPDATED, interfaces="IConfigurable")
        self.worker.staging.hurry()
        self.assertEqual(self.prepare(self.of(2, self.a, updated)), ("the change was given up",))
        self.abandon()
        self.become(self.of(2, self.a, updated))
        self.assertEqual(self.seen(), ["a 1.0", "b 2.0"])
