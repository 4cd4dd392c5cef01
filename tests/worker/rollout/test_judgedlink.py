"""Tests for `revproxy.worker.rollout.judgedlink` and `revproxy.worker.rollout.trials`: what versions on trial show."""

from __future__ import annotations

from typing import Any

from revproxy.config.rolloutpolicy import Testers
from revproxy.plan.evidence import TrialEvidence
from revproxy.plan.words import Evidence, Failures
from revproxy.secrets import Secret
from revproxy.worker.guard.stallguard import Stall
from revproxy.worker.rollout import armtally
from tests.trials import NONE, bits, trial
from tests.worker.rollout.trialcase import TrialCase, answering
from tests.worker.workers import entry

LAST = {"config": {"last": True}}
TESTERS = Testers("X-Arm", Secret("correct horse battery"))


class JudgedCase(TrialCase):
    """A plugin on trial, and one after it that answers. The arms are warm after their first call."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(armtally, "WARM_CALLS", 1)
        self.b = answering("b", **LAST)

    def tries(self, body: str, before: str = "", **options: Any) -> None:
        """A version whose ``handle`` is this is on trial: what the field ``do`` says, happens."""
        running = entry("a", "1.0", code=_code(before or body))
        newer = entry("a", "2.0", code=_code(body))
        half = bits(range(2048))
        self.runs(running, self.b, tried=[(trial("a", canary=options.pop("canary", half), **options), [newer])])
        self.clients = self.whoMeets()
        for host in self.clients.values():
            self.ask(host)
            self.ask(host)
        self.worker.trials.report()
        self.told.clear()

    def whoMeets(self) -> dict[bool, str]:
        """An address of each arm."""
        [fork] = self.worker.edge.generation.chains
        draw = fork._draws[0][1]  # type: ignore[attr-defined]
        hosts = [f"192.0.2.{at}" for at in range(100)]
        return {draw.byAddress(host).isCandidate: host for host in hosts}

    def evidence(self) -> TrialEvidence:
        """All that was told of the trial since this was asked last."""
        self.worker.trials.report()
        found = [each for word in self.told if isinstance(word, Evidence) for each in word.trials]
        self.told.clear()
        [evidence] = found
        return evidence


def _code(body: str) -> str:
    return f"""
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer
from revproxy.interfaces import IMiddleware, IResponseMiddleware

class Bounded(Deferred):
    isBounded = True

@implementer(IMiddleware, IResponseMiddleware)
class A:
    name = "a"
    def __init__(self, config): pass
    def handle(self, context):
        do = context.request.headers.get("do")
{body}
        return True
    def handleResponse(self, context):
        if context.request.headers.get("do") == "fail late":
            raise KeyError("late")

PluginMain = A
"""


FAILS = """
        if do == "fail": raise ValueError("no")
        if do == "nonsense": return 7
        if do == "stop": return context.respond(403, "", {"Cache-Control": "no-store"})
"""

STOPS_LATER = """
        if do == "stop":
            context.respond(403, "")
            return succeed(False)
        if do == "wait": return Deferred()
"""


class EventTests(JudgedCase):
    """Faults and interrupts."""

    def test_faults(self) -> None:
        """Each kind of failure in a request, by the arm and bucket of its client; control hears of it as ever."""
        self.tries(FAILS)
        for count, do in enumerate(("fail", "nonsense", "fail late"), 1):
            self.ask(self.clients[True], f"Do: {do}")
            self.flushLoggedErrors()
            failures = [word for word in self.told if isinstance(word, Failures)]
            self.assertEqual([word.version.number for word in failures], ["2.0"])
            told = self.evidence()
            self.assertEqual((told.candidate.faults, told.running.faults), (1, 0), do)
            self.assertEqual(len(told.firsts), int(count == 1), do)
        self.ask(self.clients[False], "Do: fail")
        self.flushLoggedErrors()
        told = self.evidence()
        self.assertEqual([(first.family, first.isCandidate) for first in told.firsts], [("faults", False)])

    def test_fingerprints(self) -> None:
        """By type, file and function, the same in both versions though the lines are others."""
        self.tries("        x = 1\n        y = 2\n" + FAILS, before=FAILS)
        prints = []
        for isCandidate in (False, True):
            for do in ("fail", "nonsense", "fail late"):
                self.ask(self.clients[isCandidate], f"Do: {do}")
            self.flushLoggedErrors()
            prints.append([(each.kind, each.file, each.function) for each in self.evidence().fingerprints])
        self.assertEqual(prints[0], prints[1])
        self.assertEqual(
            prints[0],
            [("ValueError", "plugin.py", "A.handle"), ("WrongAnswer", "", "A.handle"),
             ("KeyError", "plugin.py", "A.handleResponse")])

    def test_interrupts(self) -> None:
        """At once, and later."""
        for id, body in enumerate((FAILS, STOPS_LATER)):
            self.tries(body, id=str(id))
            self.ask(self.clients[True], "Do: stop")
            told = self.evidence()
            self.assertEqual(told.candidate.interrupts, 1)
            self.assertEqual([(first.family, first.isCandidate) for first in told.firsts], [("interrupts", True)])

    def test_timeouts(self) -> None:
        """An answer that does not come."""
        running = entry("a", "1.0", code=_code(STOPS_LATER), limits={"timeout_ms": 500})
        newer = entry("a", "2.0", code=_code(STOPS_LATER), limits={"timeout_ms": 500})
        self.runs(running, self.b, tried=[(trial("a", canary=bits(range(2048))), [newer])])
        clients = self.whoMeets()
        for host in clients.values():
            self.ask(host)
            self.ask(host)
        self.told.clear()
        self.ask(clients[True], "Do: wait")
        self.flushLoggedErrors()
        told = self.evidence()
        self.assertEqual((told.candidate.faults, told.fingerprints[0].kind), (1, "PluginTimeout"))

    def test_testers(self) -> None:
        """What they do is not judged, whichever version they choose."""
        self.tries(FAILS, canary=NONE, testers=TESTERS)
        self.ask(self.clients[False], "X-Arm: correct horse battery candidate", "Do: fail")
        self.ask(self.clients[False], "X-Arm: correct horse battery running", "Do: fail")
        self.flushLoggedErrors()
        told = self.evidence()
        self.assertEqual((told.candidate.testers, told.running.testers), (1, 1))
        self.assertEqual((told.firsts, told.times, told.fingerprints, told.candidate.requests), ((), (), (), 0))

    def test_notJudged(self) -> None:
        """A trial that is not to be judged costs no more than its arms."""
        self.tries(FAILS, judges=False)
        self.ask(self.clients[True], "Do: fail")
        self.flushLoggedErrors()
        self.worker.trials.report()
        self.assertEqual([word for word in self.told if isinstance(word, Evidence)], [])


class TimeTests(JudgedCase):
    """Self times. The clock of the edge stands still while plugins run, but for what they do to it."""

    def tries(self, body: str, before: str = "", **options: Any) -> None:
        advancing = 'do and do.startswith("take") and advance(float(do.split()[1]))\n'
        super().tries(f"        {advancing}{body}", before and f"        {advancing}{before}", **options)
        for instance in self.worker.staging.running.instances:  # type: ignore[union-attr]
            if instance.version.name == "a":
                module = type(instance.object).handle.__globals__
                module["advance"] = self._pass

    def _pass(self, seconds: float) -> None:
        self.reactor.rightNow += seconds

    def test_atOnce(self) -> None:
        """Of each call, on both arms."""
        self.tries("")
        self.ask(self.clients[True], "Do: take 0.25")
        self.ask(self.clients[False], "Do: take 0.5")
        told = self.evidence()
        self.assertAlmostEqual(told.candidate.seconds, 0.25, 4)
        self.assertAlmostEqual(told.running.seconds, 0.5, 4)
        self.assertEqual({each.isCandidate: each.count for each in told.times}, {True: 2, False: 2})  # forth and back

    def test_steps(self) -> None:
        """Of a coroutine, that of its own steps, and none of what it waits for."""
        body = """
        if do and do.startswith("wait"):
            async def later():
                advance(0.25)
                waiting = Deferred()
                loop.append(waiting)
                await waiting
                advance(0.5)
                return True
            return later()
"""
        self.tries(body)
        waiting: list[Any] = []
        [candidate] = self.worker.staging.running.candidates.values()  # type: ignore[union-attr]
        names = type(candidate.object).handle.__globals__
        names["loop"] = waiting
        self.reactor.callLater(0.5, lambda: waiting[0].callback(None))
        self.ask(self.clients[True], "Do: wait")
        self.assertAlmostEqual(self.evidence().candidate.seconds, 0.75, 4)

    def test_deferred(self) -> None:
        """Of what answers with a Deferred, that until it is returned."""
        self.tries("        if do: return succeed(True)\n")
        self.ask(self.clients[True], "Do: take 0.25")
        self.assertAlmostEqual(self.evidence().candidate.seconds, 0.25, 4)


    def test_locked(self) -> None:
        """What a locked process answers is timed from without."""
        self.tries("        if do:\n            loop.append(Bounded())\n            return loop[0]\n")
        waiting: list[Any] = []
        [candidate] = self.worker.staging.running.candidates.values()  # type: ignore[union-attr]
        type(candidate.object).handle.__globals__["loop"] = waiting
        self.reactor.callLater(0.5, lambda: waiting[0].callback(True))
        self.assertIn(b" 200 ", self.ask(self.clients[True], "Do: later"))
        self.assertTrue(0.4 < self.evidence().candidate.seconds < 0.75)


class ToldTests(JudgedCase):
    """When it is told."""

    def words(self) -> list[Evidence]:
        return [word for word in self.told if isinstance(word, Evidence)]

    def test_eachSecond(self) -> None:
        """Where there is anything, and only there."""
        self.tries(FAILS)
        self.worker.trials.report()
        self.told.clear()
        self.reactor.advance(5)
        self.assertEqual(self.words(), [])
        self.ask(self.clients[True])
        self.reactor.advance(1)
        [word] = self.words()
        self.assertEqual((word.trials[0].trial, word.trials[0].candidate.requests), ("of-a", 1))

    def test_atTheEnd(self) -> None:
        """What was not told when a trial ends is told then; after that nothing is."""
        self.tries(FAILS)
        self.worker.trials.report()
        self.told.clear()
        self.ask(self.clients[True])
        self.runs(answering("a"), self.b)
        [word] = self.words()
        self.assertEqual(word.trials[0].candidate.requests, 1)
        self.assertIsNone(self.worker.trials._later)

    def test_overChanges(self) -> None:
        """A bucket's first event stays the first where another plugin is swapped; nothing gets cold."""
        self.tries(FAILS)
        serving = self.worker.staging.running
        assert serving is not None
        running, newer = serving.versions["a"].entry, serving.candidateVersions["a"].entry
        self.ask(self.clients[True], "Do: fail")
        self.flushLoggedErrors()
        self.assertEqual(len(self.evidence().firsts), 1)
        one = trial("a", canary=bits(range(2048)))
        self.runs(running, answering("b", "1.1", **LAST), tried=[(one, [newer])])
        self.told.clear()
        self.ask(self.clients[True], "Do: fail")
        self.flushLoggedErrors()
        told = self.evidence()
        self.assertEqual((told.firsts, told.candidate.faults, told.candidate.warming), ((), 1, 0))

    def test_stalls(self) -> None:
        """Those of a version on trial, and of the one it is held against, at once; of others not."""
        self.tries(FAILS)
        running = self.worker.staging.running
        assert running is not None
        self.told.clear()
        for version in (running.versions["a"], running.candidateVersions["a"], running.versions["b"]):
            self.worker.trials.stalled(Stall("a", "1", "a.py:3", "f", 0.5, True, version, 0.4))
        stalls = [stall for word in self.words() for each in word.trials for stall in each.stalls]
        self.assertEqual([(stall.isCandidate, stall.cpuSeconds) for stall in stalls], [(False, 0.4), (True, 0.4)])


