"""Tests for `revproxy.worker.applier`: in which order participants take their steps, and what is answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.errors import PluginStalled
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Abandon, Answer, Commit, Prepare, Ready
from revproxy.worker.applier import Applier
from revproxy.worker.participant import Refused

PLAN = Plan(1, parseConfig("listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\n", "r.yaml", Path()), {}, (), ())
STEPS = {"prepare": Prepare(7, PLAN), "ready": Ready(7), "commit": Commit(7), "abandon": Abandon(7)}
"""The word for each step."""


class Stubborn(Deferred[None]):
    """What takes no heed of being cancelled."""

    def cancel(self) -> None:
        """Go on."""


class Double:
    """
    A participant that notes what it is told, and fails or waits where a test wants that.

    :ivar fails: by step, what it raises.
    :ivar waits: by step, what it waits for.
    """

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.fails: dict[str, BaseException] = {}
        self.waits: dict[str, Deferred[None]] = {}
        self._log = log

    async def prepare(self, word: Prepare) -> None:
        await self._take("prepare")

    async def ready(self) -> None:
        await self._take("ready")

    def commit(self) -> None:
        self._note("commit")

    async def abandon(self) -> None:
        await self._take("abandon")

    async def _take(self, step: str) -> None:
        if step in self.waits:
            await self.waits.pop(step)
        self._note(step)

    def _note(self, step: str) -> None:
        self._log.append(f"{self.name} {step}")
        if step in self.fails:
            raise self.fails[step]


class ApplierCase(SynchronousTestCase):
    """
    Three participants.

    :ivar log: their steps, in order.
    :ivar answers: what control has heard.
    :ivar heard: what control does when it hears an answer.
    """

    def setUp(self) -> None:
        self.log: list[str] = []
        self.answers: list[Answer] = []
        self.hurried = 0
        self.heard: Callable[[Answer], None] = lambda answer: None
        self.doubles = [Double(name, self.log) for name in "abc"]
        self.applier = Applier(self.doubles, self.tell, self.hurry)

    def tell(self, answer: Answer) -> None:
        self.answers.append(answer)
        self.heard(answer)

    def hurry(self) -> None:
        self.hurried += 1

    def say(self, *steps: str) -> list[str]:
        """The steps that are taken then."""
        self.log.clear()
        for step in steps:
            self.applier.apply(STEPS[step])  # type: ignore[arg-type]
        return self.log

    def refusals(self) -> list[str]:
        """What the last answer says."""
        return [refusal.message for refusal in self.answers[-1].refusals]


def refused(message: str) -> Refused:
    return Refused(Refusal("p", "start", message))


class OrderTests(ApplierCase):
    """Who does what first."""

    def test_steps(self) -> None:
        """All get ready in their order, and take the steps after that in the reverse one; each is answered."""
        for step in ("prepare", "ready"):
            self.assertEqual(self.say(step), [f"a {step}", f"b {step}", f"c {step}"])
        for step in ("commit", "abandon"):
            self.assertEqual(self.say(step), [f"c {step}", f"b {step}", f"a {step}"])
        self.assertEqual([answer.step for answer in self.answers], list(STEPS))
        self.assertTrue(all(answer.isAccepted and answer.transaction == 7 for answer in self.answers))

    def test_waits(self) -> None:
        """One that takes its time is waited for before the next begins."""
        waiting = self.doubles[1].waits["prepare"] = Deferred()
        self.assertEqual(self.say("prepare"), ["a prepare"])
        self.assertEqual(self.answers, [])
        waiting.callback(None)
        self.assertEqual(self.log, ["a prepare", "b prepare", "c prepare"])
        self.assertEqual(self.answers, [Answer(7, "prepare")])

    def test_nextFromAnswer(self) -> None:
        """Control may say the next word as soon as it hears an answer."""
        follows = {"prepare": "ready", "ready": "commit"}
        self.heard = lambda answer: answer.step in follows and self.applier.apply(STEPS[follows[answer.step]])
        self.say("prepare")
        self.assertEqual([answer.step for answer in self.answers], ["prepare", "ready", "commit"])
        self.assertEqual(len(self.log), 9)


class RefusalTests(ApplierCase):
    """Steps that cannot be done."""

    def test_prepare(self) -> None:
        """The first that refuses ends the step; its reasons are the answer."""
        self.doubles[1].fails["prepare"] = Refused(Refusal("p", "start", "one"), Refusal("q", "start", "two"))
        self.assertEqual(self.say("prepare"), ["a prepare", "b prepare"])
        self.assertEqual(self.refusals(), ["one", "two"])
        self.assertFalse(self.answers[-1].isAccepted)

    def test_beforeTheLoop(self) -> None:
        """Before the loop runs all are asked, and all that is wrong is told together."""
        for double, message in zip(self.doubles, ("one", "two"), strict=False):
            double.fails["prepare"] = refused(message)
        self.applier.apply(Prepare(7, PLAN, starts=False))
        self.assertEqual(self.log, ["a prepare", "b prepare", "c prepare"])
        self.assertEqual(self.refusals(), ["one", "two"])

    def test_unheardOf(self) -> None:
        """What nobody catches, or cannot be asked for its text, is an answer too; the next step is taken."""

        class Mute(Exception):
            def __str__(self) -> str:
                raise KeyboardInterrupt

        for error in (GeneratorExit(), BaseException("odd"), Mute()):
            for step in ("prepare", "ready"):
                self.doubles[1].fails[step] = error
                self.say(step)
                self.assertIn(type(error).__name__, self.refusals()[0])
                del self.doubles[1].fails[step]
                self.say("abandon")
                self.assertEqual(self.answers[-1], Answer(7, "abandon"))
        self.flushLoggedErrors()
        self.say("prepare")
        self.assertEqual(self.answers[-1], Answer(7, "prepare"))

    def test_ready(self) -> None:
        """The first that refuses ends this step, too."""
        self.doubles[1].fails["ready"] = refused("no")
        self.assertEqual(self.say("ready"), ["a ready", "b ready"])
        self.assertEqual((self.answers[-1].step, self.refusals()), ("ready", ["no"]))

    def test_unforeseen(self) -> None:
        """What nobody has thought of refuses the step, and is logged; the next word is heard all the same."""
        for step in ("prepare", "ready"):
            self.doubles[2].fails = {step: ZeroDivisionError("oh")}
            self.say(step)
            self.assertEqual(self.refusals(), ["ZeroDivisionError: oh"])
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.doubles[2].fails = {}
            self.say(step)
            self.assertTrue(self.answers[-1].isAccepted)

    def test_foreign(self) -> None:
        """What foreign code raises that no ``except Exception`` stops does not stop the worker either."""
        for error in (SystemExit("bye"), PluginStalled("too long")):
            self.doubles[1].fails = {"prepare": error}
            self.say("prepare")
            self.assertEqual(self.refusals(), [f"{type(error).__name__}: {error}"])
            self.flushLoggedErrors(type(error))
            self.doubles[1].fails = {}
            self.say("prepare")
            self.assertTrue(self.answers[-1].isAccepted)

    def test_neverFail(self) -> None:
        """A commit and an abandonment go on with the others, are logged, and are answered as done."""
        for step in ("commit", "abandon"):
            for double in self.doubles:
                double.fails = {step: ZeroDivisionError("oh")}
            self.assertEqual(self.say(step), [f"c {step}", f"b {step}", f"a {step}"])
            self.assertEqual(self.answers[-1], Answer(7, step))  # type: ignore[arg-type]
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)


class AbandonTests(ApplierCase):
    """`Abandon` while a step is under way."""

    def test_underWay(self) -> None:
        """The step is hurried to its end, as a refusal; then all is given up."""
        waiting = self.doubles[1].waits["prepare"] = Stubborn()
        self.say("prepare", "abandon")
        self.assertEqual((self.hurried, self.log, self.answers), (1, ["a prepare"], []))
        waiting.callback(None)
        self.assertEqual(self.log, ["a prepare", "b prepare", "c abandon", "b abandon", "a abandon"])
        self.assertEqual([answer.step for answer in self.answers], ["prepare", "abandon"])
        self.assertEqual([refusal.stage for refusal in self.answers[0].refusals], ["stop"])
        self.assertTrue(self.answers[1].isAccepted)

    def test_cancelled(self) -> None:
        """What waits for something else than plugins, such as a disk, does not wait for it any more."""
        for step in ("prepare", "ready"):
            self.log.clear()
            self.answers.clear()
            self.doubles[1].waits[step] = Deferred()
            self.say(step, "abandon")
            self.assertEqual(self.log, [f"a {step}", "c abandon", "b abandon", "a abandon"])
            self.assertEqual([answer.step for answer in self.answers], [step, "abandon"])
            self.assertEqual([refusal.stage for refusal in self.answers[0].refusals], ["stop"])

    def test_neverCancelled(self) -> None:
        """What is being given up is given up to its end, also if that is asked for again."""
        closing = self.doubles[0].waits["abandon"] = Deferred()
        self.say("prepare", "abandon", "abandon")
        closing.callback(None)
        self.assertEqual(self.log[-1], "a abandon")
        self.assertEqual([answer.step for answer in self.answers], ["prepare", "abandon", "abandon"])

    def test_beforeTheAnswer(self) -> None:
        """When control hears that the step is over, all is given up: it may be what the end has waited for."""
        for step in ("prepare", "ready"):
            self.answers.clear()
            heard: list[list[str]] = []
            self.heard = lambda answer, heard=heard: heard.append(self.log[-1:])  # type: ignore[misc]
            waiting = self.doubles[1].waits[step] = Deferred()
            closing = self.doubles[0].waits["abandon"] = Deferred()
            self.say(step, "abandon")
            waiting.callback(None)
            self.assertEqual(self.answers, [])
            closing.callback(None)
            self.assertEqual(heard, [["a abandon"], ["a abandon"]])
            self.assertEqual([answer.isAccepted for answer in self.answers], [False, True])

    def test_abandonedTwice(self) -> None:
        """Each is answered."""
        waiting = self.doubles[1].waits["prepare"] = Stubborn()
        closing = self.doubles[1].waits["abandon"] = Deferred()
        self.say("prepare", "abandon")
        waiting.callback(None)
        self.applier.apply(Abandon(7))
        closing.callback(None)
        self.assertEqual([answer.step for answer in self.answers], ["prepare", "abandon", "abandon"])

    def test_nextFromAnswer(self) -> None:
        """A step that has begun in the midst of an answer is under way, too, and is ended before all is given up."""
        waiting = self.doubles[1].waits["ready"] = Stubborn()
        self.heard = lambda answer: answer.step == "prepare" and self.applier.apply(Ready(7))
        self.say("prepare", "abandon")
        self.assertEqual((self.hurried, self.log[3:]), (1, ["a ready"]))
        waiting.callback(None)
        self.assertEqual([answer.step for answer in self.answers], ["prepare", "ready", "abandon"])
        self.assertEqual(self.log[4:], ["b ready", "c abandon", "b abandon", "a abandon"])

    def test_refusedMeanwhile(self) -> None:
        """If the step is refused for another reason, that is what is told."""
        waiting = self.doubles[1].waits["prepare"] = Stubborn()
        self.say("prepare", "abandon")
        waiting.errback(refused("no"))
        self.assertIn("no", [refusal.message for refusal in self.answers[0].refusals])
        self.assertEqual(self.answers[-1], Answer(7, "abandon"))

    def test_nothingUnderWay(self) -> None:
        """Nothing has to be hurried when nothing is under way."""
        self.say("prepare", "abandon")
        self.assertEqual((self.hurried, self.answers[-1]), (0, Answer(7, "abandon")))

    def test_next(self) -> None:
        """After it, the next transaction goes as always."""
        waiting = self.doubles[1].waits["ready"] = Stubborn()
        self.say("prepare", "ready", "abandon")
        waiting.callback(None)
        self.say("prepare", "ready", "commit")
        self.assertEqual([answer.isAccepted for answer in self.answers[-3:]], [True] * 3)
        self.assertEqual(len(self.log), 9)
