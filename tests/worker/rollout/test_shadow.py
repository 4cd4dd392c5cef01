"""Tests for `revproxy.worker.rollout.shadow`: both versions on copies, and nobody is concerned."""

from __future__ import annotations

import builtins
import sys
from dataclasses import replace
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from revproxy.dataplane.draw import Standing
from revproxy.loading.bundlefinder import ROOT
from revproxy.plan.evidence import TrialPairs
from revproxy.replay.remake import Remake
from revproxy.testing import makeContext
from revproxy.worker.rollout import shadow
from revproxy.worker.rollout.pairtally import PairTally
from revproxy.worker.rollout.shadow import MOST_WAITING, OTHER_VERSION
from revproxy.worker.rollout.shadowbudget import LATE, MOST
from revproxy.worker.rollout.shadowcopy import MANY, MOST_CONFIGURATIONS, NOT_SAFE, ShadowCopy
from tests.worker.rollout.shadows import ShadowCase, version

PASSES = "    def handle(self, context):\n        return True\n"
ADDS = "    def handle(self, context):\n        context.request.headers.set('X-New', '1')\n        return True\n"
RAISES = "    def handle(self, context):\n        raise KeyError('no')\n"
HANGS = """
    def handle(self, context):
        from twisted.internet.defer import Deferred
        return Deferred()
"""
COUNTS = """
    def handle(self, context):
        COUNT.append(1)
        context.request.headers.set('X-Count', str(len(COUNT)))
        return True
"""


class ComparedTests(ShadowCase):
    """Both versions do on copies what was asked of the one that serves."""

    def test_equal(self) -> None:
        """Versions that do the same differ in nothing."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        self.request()
        self.assertEqual(self.told(), TrialPairs("r1", compared=1))

    def test_differs(self) -> None:
        """What only the candidate does is a difference, which no client and no origin sees."""
        self.begin(version("1.0", PASSES), version("2.0", ADDS))
        context = self.request()
        self.assertNotIn("X-New", context.request.headers)
        self.assertEqual(self.counts(), [("request:x-new", "added", 1, 0, 0)])

    def test_raises(self) -> None:
        """What only the candidate raises is a fault of its, and the request's is none."""
        self.begin(version("1.0", PASSES), version("2.0", RAISES))
        context = self.request()
        self.assertEqual(context.pluginErrors, ())
        told = self.told()
        (difference,) = told.differences
        self.assertEqual((told.faults, difference.field, difference.kind), (1, "raised", "added"))
        self.assertEqual(difference.examples[0][2], "KeyError: 'no' at plugin.py:13")

    def test_noise(self) -> None:
        """What differs between two runs of one version meets both."""
        body = "    def handle(self, context):\n        context.values['n'] = id(self)\n        return True\n"
        self.begin(version("1.0", body), version("2.0", body))
        self.request()
        self.assertEqual(self.counts(), [("values.n", "changed", 0, 0, 1)])

    def test_ownState(self) -> None:
        """Each copy has modules of its own: none of them counts for the version that serves, nor for the other."""
        self.begin(version("1.0", COUNTS), version("2.0", COUNTS))
        for _ in range(3):
            context = self.request()
            told = self.told()
            self.assertEqual((told.compared, told.differences), (1, ()))
        self.assertEqual(context.request.headers.get("X-Count"), "3")

    def test_turns(self) -> None:
        """Between the parts of a pair others have their turn of the loop: no request waits for all of it."""
        events: list[str] = []
        builtins.__dict__["EVENTS"] = events
        self.addCleanup(builtins.__dict__.pop, "EVENTS")
        body = "    def handle(self, context):\n        EVENTS.append('made')\n        return True\n"
        compare = PairTally.compare

        def compared(*arguments: Any) -> None:
            events.append("compared")
            compare(*arguments)

        def others(count: int) -> None:
            events.append("others")
            if count:
                self.clock.callLater(0, others, count - 1)

        self.patch(PairTally, "compare", compared)
        self.begin(version("1.0", body), version("2.0", body))
        self.request()
        events.clear()
        others(5)
        self.clock.advance(0)
        self.assertEqual([at for at, event in enumerate(events) if event != "others"], [2, 4, 6])
        self.assertEqual(self.told().compared, 1)

    def test_endsBetween(self) -> None:
        """The edge ends between the parts of a pair: nothing is left to be done."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        self.request()
        self.clock.callLater(0, self.shadow.end)
        self.clock.advance(0)
        self.assertEqual((self.clock.getDelayedCalls(), self.shadow._making), ([], None))

    def test_sampledState(self) -> None:
        """A version that counts is compared with its copy, which has seen as few requests as the other's."""
        self.begin(version("1.0", COUNTS), version("2.0", COUNTS))
        self.chance = [0.0]
        self.shadow.adopt(self.plan(self.at.entries["p"], version("2.0", COUNTS), sampled=0.0))
        self.request()
        self.shadow.adopt(self.at)
        self.request()
        self.assertEqual(self.counts(), [("request:x-count", "changed", 0, 0, 1)])

    def test_order(self) -> None:
        """Which of the two is first, is by chance."""
        body = """
    def handle(self, context):
        import builtins
        order = builtins.__dict__.setdefault("_order", [])
        order.append(__name__.split(".")[1])
        return True
"""
        self.addCleanup(lambda: builtins.__dict__.pop("_order", None))
        self.begin(version("1.0", body), version("2.0", body))
        self.chance = [0.0, 0.4, 0.0, 0.6]
        for _ in range(2):
            self.request()
            self.told()
        _, first, second, _, third, fourth = builtins._order  # type: ignore[attr-defined]
        self.assertEqual((first, second), (fourth, third))

    def test_answers(self) -> None:
        """The way out is compared, too, with the body that the origin gave."""
        body = PASSES + "    def handleResponse(self, context):\n        context.response.body.replace({what})\n"
        self.begin(
            version("1.0", body.format(what="b'same'"), "IResponseMiddleware"),
            version("2.0", body.format(what="b'other'"), "IResponseMiddleware"),
        )
        self.request()
        self.assertEqual(self.counts(), [("body", "changed", 1, 0, 0)])

    def test_observes(self) -> None:
        """Who counts what is under way is told of the end of copies."""
        body = """
    under = 0
    def handle(self, context):
        self.under += 1
        context.values["under"] = self.under
        return True
    def finished(self, context):
        self.under -= 1
"""
        self.begin(version("1.0", body, "IObserver"), version("2.0", body, "IObserver"))
        for _ in range(3):
            context = self.request()
            self.chains[0].finished(context)
        told = self.told()
        self.assertEqual((told.compared, told.differences), (3, ()))

    def test_coroutine(self) -> None:
        """One that waits is waited for, and the next comes after it."""
        body = "    async def handle(self, context):\n        return await context.request.body.read(9) == b''\n"
        self.begin(version("1.0", PASSES), version("2.0", body))
        self.request()
        self.request()
        self.assertEqual(self.told().compared, 2)


class ReversedTests(ShadowCase):
    """In a canary step it goes on: requests that the candidate serves are tried by the running version."""

    stage = "canary"

    def test_reversed(self) -> None:
        """What is told is told as it is seen from the candidate."""
        self.begin(version("1.0", PASSES), version("2.0", ADDS))
        self.request(isCandidate=True)
        told = self.told()
        self.assertTrue(told.isReversed)
        (difference,) = told.differences
        self.assertEqual((difference.field, difference.kind, difference.candidate), ("request:x-new", "removed", 1))

    def test_testers(self) -> None:
        """Requests of testers are not compared."""
        self.begin(version("1.0", PASSES), version("2.0", ADDS))
        self.request(isCandidate=True, isTester=True)
        self.clock.advance(1)
        self.assertEqual(self.shadow.told(), ())


class NotComparableTests(ShadowCase):
    """What cannot be compared is counted by its reason."""

    def test_notSafe(self) -> None:
        """A version that begins things of its own is not tried, unless it says that it may be."""
        body = PASSES + "    def start(self):\n        raise AssertionError('started')\n    def stop(self): pass\n"
        self.begin(version("1.0", PASSES), version("2.0", body, "ILifecycle"))
        self.request()
        self.assertEqual(self.told().incomparable, {NOT_SAFE: 1})

    def test_shadowSafe(self) -> None:
        """One that says so is started, and stopped when the trial is over."""
        body = """
    def handle(self, context):
        context.values["started"] = self.log
        return True
    def start(self):
        self.log = ["start"]
    def stop(self):
        self.log.append("stop")
        COUNT.append(1)
"""
        self.begin(version("1.0", PASSES), version("2.0", body, "ILifecycle", shadow_safe=True))
        self.request()
        self.assertEqual(self.counts(), [("values.started", "added", 1, 0, 0)])

    def test_cannotBeMade(self) -> None:
        """A copy that cannot be made says at which step; it is not tried again and again."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES, config={"x": 1}))
        broken = "    def __init__(self, config):\n        raise ValueError('no')\n"
        self.shadow.adopt(self.plan(version("1.0", PASSES), version("3.0", PASSES + broken)))
        self.request()
        self.request()
        self.assertEqual(self.told().incomparable, {"a copy of version 3.0 cannot be made: main": 2})

    def test_otherVersion(self) -> None:
        """A request that a version before it has served."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        self.chains[0] = self.chain(version("0.9", PASSES + "    x = 1\n"))
        self.request()
        self.assertEqual(self.told().incomparable, {OTHER_VERSION: 1})

    def test_ownRequest(self) -> None:
        """A request of its own that the version which serves has not sent."""
        body = """
    async def handle(self, context):
        await context.client.get("http://auth/")
        return True
"""
        self.begin(version("1.0", PASSES), version("2.0", body))
        self.request()
        self.assertEqual(list(self.told().incomparable), ["it sends a request whose answer is not known"])


class BoundsTests(ShadowCase):
    """It has little time, and waits for nothing."""

    def test_waiting(self) -> None:
        """So many wait; what comes besides is not even taken down, and counted."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        for _ in range(MOST_WAITING + 5):
            self.request()
        self.assertEqual(self.told().dropped, 5)

    def test_noTime(self) -> None:
        """Where the share of the loop is used up, nothing is taken down."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        self.shadow._budget.spent(2 * MOST)
        context = self.request()
        self.assertEqual((context._made, self.told()), ((), TrialPairs("r1", dropped=1)))

    def test_late(self) -> None:
        """Where the loop has too much to do, what waits is dropped."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        self.request()
        self.request()
        self.clock.advance(2 * LATE)
        self.assertEqual(self.shadow.told(), (TrialPairs("r1", dropped=2),))

    def test_severalTrials(self) -> None:
        """None of several trials has to wait for the others: where most is dropped, each has its part."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        one, arm = self.at.trials[0], self.at.armOf("r1")
        other = replace(one, id="r2")
        self.shadow.adopt(replace(self.at, trials=(one, other), arms=(arm, replace(arm, trials=("r2",)))))
        taps = [*self.shadow.tapsOf(one), *self.shadow.tapsOf(other)]
        self.patch(self.shadow, "_now", map(float, range(100)).__next__)
        for _ in range(4):
            self.request(taps=taps)
            self.clock.advance(0)  # one pair, which takes all the time there is
            self.clock.advance(3 * LATE)
            self.clock.advance(60)
        self.assertEqual([(told.compared, told.dropped) for told in self.shadow.told()], [(2, 2), (2, 2)])

    def test_share(self) -> None:
        """The share of requests that is sampled."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES), sampled=0.2)
        self.chance = [0.1, 0.2, 0.3, 0.9]
        for _ in range(4):
            self.request()
        self.assertEqual(self.told().compared, 1)

    def test_off(self) -> None:
        """Where none is, nothing wants any."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES), sampled=0.0)
        self.assertEqual(self.shadow.tapsOf(self.at.trials[0]), ())

    def test_hangs(self) -> None:
        """A version that does not answer in time has failed, and holds up nothing but the shadow."""
        self.begin(version("1.0", PASSES), version("2.0", HANGS, limits={"timeout_ms": 100}))
        self.request()
        told = self.told()
        self.assertEqual((told.faults, told.differences[0].field), (1, "raised"))
        self.assertIn("PluginTimeout", told.differences[0].examples[0][2])


    def test_manyConfigurations(self) -> None:
        """Of a plugin with a configuration for each of many routes, copies are made of some."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        copy = ShadowCopy(self.at.selected[0], self.shadow._parts)
        self.addCleanup(copy.end)
        made = [
            self.successResultOf(Deferred.fromCoroutine(copy.remake(str(number), {"number": number})))
            for number in range(MOST_CONFIGURATIONS + 2)
        ]
        self.assertEqual([each for each in made if not isinstance(each, Remake)], [MANY, MANY])

    def test_manyRoutes(self) -> None:
        """Where ten thousand groups of routes share a configuration, it is looked at once."""
        keyed: list[Any] = []
        self.patch(shadow, "configKey", lambda config: keyed.append(config) or str(config))
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        (plugin,) = self.shadow._trials["r1"].plugins.values()
        keyed.clear()
        plugin.adopt(plugin.running.selected, plugin.candidate.selected, 10_000)
        self.assertEqual(len(keyed), 2)


class EndTests(ShadowCase):
    """Copies live as long as their trial."""

    def modules(self) -> int:
        """How many modules of plugins there are."""
        return sum(name.startswith(f"{ROOT}.") for name in sys.modules)

    def test_over(self) -> None:
        """When the trial is over, what was found is told, and copies are unloaded."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        before = self.modules()
        self.request()
        for _ in range(10):
            self.clock.advance(0.01)
        self.assertGreater(self.modules(), before)
        self.shadow.adopt(self.plan(self.at.entries["p"], version("2.0", PASSES), sampled=0.0))
        self.assertEqual(self.shadow.told(), (TrialPairs("r1", compared=1),))
        self.clock.advance(1)
        self.assertEqual(self.modules(), before)

    def test_kept(self) -> None:
        """A later plan with the same versions keeps them, with what they have counted."""
        self.begin(version("1.0", COUNTS), version("2.0", COUNTS))
        self.request()
        self.told()
        self.at = self.plan(self.at.entries["p"], version("2.0", COUNTS), stage="canary")
        self.shadow.adopt(self.at)
        self.request()
        self.assertEqual(self.counts(), [])

    def test_afterwards(self) -> None:
        """A request that comes to its end after the trial is nobody's."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        (tap,) = self.shadow.tapsOf(self.at.trials[0])
        context = makeContext()
        standing = Standing(7, False)
        self.takenDown.begin(context, tap(context, {"r1": standing}))
        self.chains[0].enter(context)
        self.shadow.adopt(self.plan(self.at.entries["p"], version("2.0", PASSES), sampled=0.0))
        context.over()
        self.assertEqual(tap(context, {"r1": standing}), ())
        self.assertEqual((self.shadow.told(), self.clock.getDelayedCalls()), ((), []))

    def test_nextTrial(self) -> None:
        """What waits of a trial that is over is not tried, for its copies would be made anew."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        self.request()
        before = self.modules()
        self.shadow.adopt(self.plan(self.at.entries["p"], version("2.0", PASSES), id="r2"))
        for _ in range(10):
            self.clock.advance(0.01)
        self.assertEqual((self.shadow.told(), self.modules()), ((), before))

    def test_overMeanwhile(self) -> None:
        """A trial that ends while a copy is started: that one is stopped, and the other is not made any more."""
        body = """
    def handle(self, context):
        return True
    def start(self):
        from twisted.internet.defer import Deferred
        EVENTS.append("start")
        WAITING.append(Deferred())
        return WAITING[0]
    def stop(self):
        EVENTS.append("stop")
"""
        waiting: list[Deferred[None]] = []
        events: list[str] = []
        builtins.__dict__.update(WAITING=waiting, EVENTS=events)
        self.addCleanup(lambda: [builtins.__dict__.pop(name) for name in ("WAITING", "EVENTS")])
        before = self.modules()
        self.begin(version("1.0", body, "ILifecycle", shadow_safe=True), version("2.0", PASSES))
        serving = self.modules()
        self.request()
        self.clock.advance(0)
        self.assertEqual(events, ["start"])
        self.shadow.adopt(self.plan(self.at.entries["p"], version("2.0", PASSES), sampled=0.0))
        self.clock.advance(0.1)
        waiting[0].callback(None)
        self.clock.advance(1)
        self.assertEqual((events, self.modules()), (["start", "stop"], serving))
        self.assertLess(before, serving)

    def test_ends(self) -> None:
        """The end of the edge gives up what is waited for."""
        self.begin(version("1.0", PASSES), version("2.0", HANGS))
        self.request()
        self.clock.advance(0.01)
        self.assertIsInstance(self.shadow._making, Deferred)
        self.shadow.end()
        self.assertIsNone(self.shadow._making)


class HostileTests(ShadowCase):
    """What a version leaves, raises or is called may be anything: it is told, and can be."""

    def toldOf(self, body: str) -> TrialPairs:
        self.begin(version("1.0", PASSES), version("2.0", f"    def handle(self, context):\n{body}"))
        self.request()
        told = self.told()
        msgspec.msgpack.encode(told)
        return told

    def test_texts(self) -> None:
        """Halves of surrogate pairs keep nothing from being told."""
        for body in (
            "        raise ValueError('\\ud800')\n",
            "        context.values['\\ud800'] = 1\n        return True\n",
            "        context.values['a'] = '\\ud800'\n        return True\n",
        ):
            told = self.toldOf(body)
            self.assertEqual((told.compared, len(told.differences)), (1, 1), body)

    def test_objects(self) -> None:
        """Values and keys that are no text are differences if only one version leaves them, and are not asked."""
        for value in ("10 ** 10000", "object()", "type('P', (), {'__class__': property(lambda self: str)})()"):
            told = self.toldOf(f"        context.values['a'] = {value}\n        return True\n")
            self.assertEqual([each.field for each in told.differences], ["values.a"], value)
        told = self.toldOf("        context.values[7] = 1\n        return True\n")
        self.assertEqual([each.field for each in told.differences], ["values.(int)"])

    def test_objectsOfBoth(self) -> None:
        """What both leave, and nobody can write, is no difference."""
        body = "    def handle(self, context):\n        context.values['a'] = object()\n        return True\n"
        self.begin(version("1.0", body), version("2.0", body))
        self.request()
        self.assertEqual(self.told().differences, ())

    def test_comparing(self) -> None:
        """To compare what a version has made very much of takes time, which is shadows' own."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        self.patch(PairTally, "compare", lambda *arguments: self.clock.advance(MOST * 2))
        self.request()
        for _ in range(3):
            self.clock.advance(0.01)
        self.request()
        self.assertEqual(self.told().dropped, 1)

    def test_edgeFails(self) -> None:
        """Where the edge itself fails at each pair, the log says so once."""
        self.begin(version("1.0", PASSES), version("2.0", PASSES))
        self.patch(PairTally, "compare", lambda *arguments: 1 / 0)
        for _ in range(3):
            self.request()
        self.assertEqual(self.told().incomparable, {"the edge has failed at it": 3})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
