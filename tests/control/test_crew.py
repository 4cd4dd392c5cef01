"""
One control and its workers; `tests.control.conversations` says how transcripts are written.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.crew import ASKED, Crew
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Ask, Counters, Down, Notice, Target, Up
from tests.control.conversations import FakeLink, TranscriptCase, makeConfig
from tests.plan.plans import entry


class FakePort:
    """
    Something beside the workers; writes down what it is asked.
    """

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.refusals: tuple[Refusal, ...] = ()
        self.waits: Deferred[None] | None = None

    async def prepare(self, plan: Plan) -> tuple[Refusal, ...]:
        self.lines.append(f"port: prepare {plan.config.source}")
        if self.waits is not None:
            await self.waits
        return self.refusals if plan.config.source == "second.yaml" else ()

    def commit(self) -> None:
        self.lines.append("port: commit")

    async def abandon(self) -> None:
        self.lines.append("port: abandon")


class BesidesTests(TranscriptCase):
    """
    What takes part in changes beside the workers.
    """

    def setUp(self) -> None:
        super().setUp()
        self.talk.running(entry("a", "1.0"))
        self.port = FakePort(self.talk.lines)
        self.talk.crew.besides.append(self.port)
        self.talk.files(entry("a", "2.0"), config=makeConfig(source="second.yaml"))

    def test_change(self) -> None:
        """
        It prepares when the workers have, and commits after them.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0; second.yaml)
            worker: prepare done
            port: prepare second.yaml
            stored: a 2.0
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            port: commit
            event: configured
            event: replaced a
            written: a 2.0
            end: second.yaml is in force; a: 1.0 → 2.0
        """)

    def test_refused(self) -> None:
        """
        What it refuses of a configuration is refused as a whole, and plugins change without it.
        """
        self.port.refusals = (Refusal("", "listen", "no such address"),)
        self.play("""
            apply
            control: Prepare 2 (a 2.0; second.yaml)
            worker: prepare done
            port: prepare second.yaml
            control: Prepare 2 (a 2.0)
            worker: prepare done
            port: prepare first.yaml
            stored: a 2.0
            control: Ready 2
            worker: ready done
            control: Commit 2
            worker: commit done
            port: commit
            event: replaced a
            written: a 2.0
            event: refused
            end: a: 1.0 → 2.0; not listen: no such address
        """)

    def test_workersRefuse(self) -> None:
        """
        What workers refuse it never hears of; giving up it does.
        """
        self.talk.files(entry("a", "2.0"), config=self.talk.config)
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            worker: prepare refused: a import: it raised
            event: refused a
            control: Abandon 2
            worker: abandon done
            port: abandon
            end: not a import: it raised
        """)

    def test_givenUp(self) -> None:
        """
        What was given up while it prepared is abandoned by it once more, when it has.
        """
        self.port.waits = Deferred()
        self.play("""
            apply
            control: Prepare 2 (a 2.0; second.yaml)
            worker: prepare done
            port: prepare second.yaml
            halt
            control: Abandon 2
            worker: abandon done
            port: abandon
        """)
        self.talk.lines.clear()
        self.port.waits.callback(None)
        self.assertEqual(
            self.talk.lines, ["port: abandon", "event: refused", "end: refused: stop: the edge is being stopped"]
        )


class ThreeTests(TranscriptCase):
    """
    A crew of three.
    """

    workers = 3

    def setUp(self) -> None:
        super().setUp()
        self.talk.running(entry("a", "1.0"), entry("b", "1.0"))
        self.talk.files(entry("a", "2.0"), entry("b", "2.0"))

    def test_change(self) -> None:
        """
        The first prepares alone; every other step is taken together, and ends with the last answer.
        """
        self.play("""
            apply
            control to 0: Prepare 2 (a 2.0, b 2.0)
            worker 0: prepare done
            control to 1: Prepare 2 (a 2.0, b 2.0)
            control to 2: Prepare 2 (a 2.0, b 2.0)
            worker 2: prepare done
            worker 1: prepare done
            stored: a 2.0
            stored: b 2.0
            control to 0: Ready 2
            control to 1: Ready 2
            control to 2: Ready 2
            worker 1: ready done
            worker 0: ready done
            worker 2: ready done
            control to 0: Commit 2
            control to 1: Commit 2
            control to 2: Commit 2
            worker 0: commit done
            worker 1: commit done
            worker 2: commit done
            event: replaced a
            event: replaced b
            written: a 2.0, b 2.0
            end: a: 1.0 → 2.0; b: 1.0 → 2.0
        """)

    def test_givenUp(self) -> None:
        """
        Where the first accepts what was given up meanwhile, the others are not asked to prepare it.
        """
        self.play("""
            apply
            control to 0: Prepare 2 (a 2.0, b 2.0)
            halt
            control to 0: Abandon 2
            control to 1: Abandon 2
            control to 2: Abandon 2
            worker 0: prepare done
            event: refused
            end: refused: stop: the edge is being stopped
            worker 0: abandon done
            worker 1: abandon done
            worker 2: abandon done
        """)

    def test_firstRefuses(self) -> None:
        """
        What the first refuses, the others never hear of.
        """
        self.play("""
            apply
            control to 0: Prepare 2 (a 2.0, b 2.0)
            worker 0: prepare refused: a import: it raised
            control to 0: Prepare 2 (a 1.0, b 2.0)
            worker 0: prepare refused: b import: it raised
            event: refused a
            event: refused b
            control to 0: Abandon 2
            control to 1: Abandon 2
            control to 2: Abandon 2
            worker 0: abandon done
            worker 1: abandon done
            worker 2: abandon done
            end: not a import: it raised; not b import: it raised
        """)

    def test_otherRefuses(self) -> None:
        """
        What another refuses, all refuse; what two say in the same words is said once.
        """
        self.play("""
            apply
            control to 0: Prepare 2 (a 2.0, b 2.0)
            worker 0: prepare done
            control to 1: Prepare 2 (a 2.0, b 2.0)
            control to 2: Prepare 2 (a 2.0, b 2.0)
            worker 1: prepare refused: b start: no port
            worker 2: prepare refused: b start: no port
            control to 0: Prepare 2 (a 2.0, b 1.0)
            worker 0: prepare done
            control to 1: Prepare 2 (a 2.0, b 1.0)
            control to 2: Prepare 2 (a 2.0, b 1.0)
            worker 1: prepare done
            worker 2: prepare done
            stored: a 2.0
            control to 0: Ready 2
            control to 1: Ready 2
            control to 2: Ready 2
            worker 0: ready done
            worker 1: ready done
            worker 2: ready done
            control to 0: Commit 2
            control to 1: Commit 2
            control to 2: Commit 2
            worker 0: commit done
            worker 1: commit done
            worker 2: commit done
            event: replaced a
            written: a 2.0, b 1.0
            event: refused b
            end: a: 1.0 → 2.0; not b start: no port
        """)

    def test_inOtherWords(self) -> None:
        """
        What two refuse, each with its own words, is one change that is dropped.
        """
        self.talk.files(entry("a", "2.0"), entry("b", "1.0"))
        self.play("""
            apply
            control to 0: Prepare 2 (a 2.0, b 1.0)
            worker 0: prepare done
            control to 1: Prepare 2 (a 2.0, b 1.0)
            control to 2: Prepare 2 (a 2.0, b 1.0)
            worker 1: prepare refused: a start: process 8 has no port
            worker 2: prepare refused: a start: process 9 has no port
            event: refused a
            control to 0: Abandon 2
            control to 1: Abandon 2
            control to 2: Abandon 2
            worker 0: abandon done
            worker 1: abandon done
            worker 2: abandon done
            end: not a start: process 8 has no port
        """)

    def test_readyRefused(self) -> None:
        """
        The others are ready by then: nothing takes effect anywhere before it can everywhere.
        """
        self.talk.files(entry("a", "2.0"), entry("b", "1.0"))
        self.play("""
            apply
            control to 0: Prepare 2 (a 2.0, b 1.0)
            worker 0: prepare done
            control to 1: Prepare 2 (a 2.0, b 1.0)
            control to 2: Prepare 2 (a 2.0, b 1.0)
            worker 1: prepare done
            worker 2: prepare done
            stored: a 2.0
            control to 0: Ready 2
            control to 1: Ready 2
            control to 2: Ready 2
            worker 0: ready done
            worker 2: ready refused: a state: it raised
            worker 1: ready done
            event: refused a
            control to 0: Abandon 2
            control to 1: Abandon 2
            control to 2: Abandon 2
            worker 0: abandon done
            worker 1: abandon done
            worker 2: abandon done
            end: not a state: it raised
        """)

    def test_different(self) -> None:
        """
        When each refuses something else, both changes are dropped at once.
        """
        self.play("""
            apply
            control to 0: Prepare 2 (a 2.0, b 2.0)
            worker 0: prepare done
            control to 1: Prepare 2 (a 2.0, b 2.0)
            control to 2: Prepare 2 (a 2.0, b 2.0)
            worker 1: prepare refused: a start: no port
            worker 2: prepare refused: b start: no memory
            event: refused a
            event: refused b
            control to 0: Abandon 2
            control to 1: Abandon 2
            control to 2: Abandon 2
            worker 0: abandon done
            worker 1: abandon done
            worker 2: abandon done
            end: not a start: no port; not b start: no memory
        """)


class SilenceTests(TranscriptCase):
    """
    A worker that says nothing.
    """

    silence = 30.0

    def setUp(self) -> None:
        super().setUp()
        self.talk.running(entry("a", "1.0"))
        self.talk.files(entry("a", "2.0"))

    def test_prepare(self) -> None:
        """
        After the silence the step is refused, and what was prepared is given up. A later answer is nobody's.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            29 s pass
            1 s pass
            control: Abandon 2
            worker: prepare done
            worker: abandon done
            event: refused
            end: refused: worker: worker 0 has not answered for 30 s (prepare)
        """)

    def test_ready(self) -> None:
        """
        The same before the swap; and the configuration is not thought the worse of for it.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            worker: prepare done
            stored: a 2.0
            control: Ready 2
            30 s pass
            control: Abandon 2
            worker: ready done
            worker: abandon done
            event: refused
            end: refused: worker: worker 0 has not answered for 30 s (ready)
            apply
            control: Prepare 3 (a 2.0)
            worker: prepare refused: a import: it raised
            event: refused a
            control: Abandon 3
            worker: abandon done
            end: not a import: it raised
        """)

    def test_allAlong(self) -> None:
        """
        One that does not answer at all holds nothing up for ever.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            30 s pass
            control: Abandon 2
            30 s pass
            event: refused
            end: refused: worker: worker 0 has not answered for 30 s (prepare)
        """)

    def test_commit(self) -> None:
        """
        A commit is not waited for longer than that either, and has taken effect.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            worker: prepare done
            stored: a 2.0
            control: Ready 2
            worker: ready done
            control: Commit 2
            30 s pass
            event: replaced a
            written: a 2.0
            end: a: 1.0 → 2.0
        """)

    def test_inTime(self) -> None:
        """
        An answer in time is an answer, however long all of them took.
        """
        self.play("""
            apply
            control: Prepare 2 (a 2.0)
            29 s pass
            worker: prepare done
            stored: a 2.0
            control: Ready 2
            29 s pass
            worker: ready done
            control: Commit 2
            worker: commit done
            event: replaced a
            written: a 2.0
            end: a: 1.0 → 2.0
            90 s pass
        """)

    def test_next(self) -> None:
        """
        The next change is another transaction, to which answers to the one before say nothing.
        """
        self.test_allAlong()
        self.play("""
            apply
            control: Prepare 3 (a 2.0)
            worker: prepare of 2 done
            worker: abandon of 2 done
            worker: prepare done
            stored: a 2.0
            control: Ready 3
            worker: ready done
            control: Commit 3
            worker: commit done
            event: replaced a
            written: a 2.0
            end: a: 1.0 → 2.0
        """)


class SilentOfThreeTests(TranscriptCase):
    """
    A crew of three of which one says nothing.
    """

    workers = 3
    silence = 30.0

    def test_one(self) -> None:
        """
        It refuses for all.
        """
        self.talk.running(entry("a", "1.0"))
        self.talk.files(entry("a", "2.0"))
        self.play("""
            apply
            control to 0: Prepare 2 (a 2.0)
            worker 0: prepare done
            control to 1: Prepare 2 (a 2.0)
            control to 2: Prepare 2 (a 2.0)
            worker 2: prepare done
            30 s pass
            control to 0: Abandon 2
            control to 1: Abandon 2
            control to 2: Abandon 2
            worker 0: abandon done
            worker 2: abandon done
            30 s pass
            event: refused
            end: refused: worker: worker 1 has not answered for 30 s (prepare)
        """)


class OtherWordsTests(SynchronousTestCase):
    """
    What is said besides changes.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.crew = Crew(self.clock)
        self.sent: list[tuple[int, Down]] = []
        self.heard: list[tuple[int, Up]] = []
        self.crew.onWord = lambda worker, word: self.heard.append((worker, word))
        self.crew.employ([FakeLink(lambda word, to=to: self.sent.append((to, word))) for to in range(2)])

    def ask(self) -> Deferred[None]:
        """
        What was counted, from all.
        """
        return self.crew.ask()

    def test_told(self) -> None:
        """
        A target's state is said to all, and nobody answers.
        """
        word = Target("web", "http://127.0.0.1:9000", False)
        self.crew.tell(word)
        self.assertEqual(self.sent, [(0, word), (1, word)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_standing(self) -> None:
        """
        Workers that are new hear first what they are to know; the others know it.
        """
        word = Target("web", "http://127.0.0.1:9000", False)
        self.crew.standing = lambda: [word]
        lines = self.crew._lines
        self.crew.employ([*lines, FakeLink(lambda word: self.sent.append((2, word)))])
        self.assertEqual(self.sent, [(2, word)])

    def test_heard(self) -> None:
        """
        What workers say by themselves comes with the number of the one that says it.
        """
        self.crew.heard(1, Notice("remains", "a"))
        self.crew.heard(0, Counters())
        self.assertEqual(self.heard, [(1, Notice("remains", "a")), (0, Counters())])

    def test_askedInVain(self) -> None:
        """
        Whoever asks need not wait for the answer.
        """
        answer = self.ask()
        answer.addErrback(lambda failure: failure.trap(CancelledError))
        answer.cancel()
        for worker in (0, 1):
            self.crew.heard(worker, Counters(asked=1))
        self.clock.advance(2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ask(self) -> None:
        """
        An answer is whole when all have told; what they tell was heard by then.
        """
        answer = self.ask()
        self.assertEqual(self.sent, [(0, Ask(1)), (1, Ask(1))])
        self.crew.heard(1, Counters(asked=1))
        self.crew.heard(0, Counters())
        self.assertNoResult(answer)
        self.crew.heard(0, Counters(asked=1))
        self.successResultOf(answer)
        self.assertEqual((len(self.heard), self.clock.getDelayedCalls()), (3, []))

    def test_noAnswer(self) -> None:
        """
        Nobody is waited for longer than a second, and what comes later is heard all the same.
        """
        answer = self.ask()
        self.crew.heard(0, Counters(asked=1))
        self.clock.advance(ASKED)
        self.successResultOf(answer)
        self.crew.heard(1, Counters(asked=1))
        self.assertEqual(len(self.heard), 2)

    def test_twoQuestions(self) -> None:
        """
        Each question has its own answers.
        """
        first, second = self.ask(), self.ask()
        for worker in (0, 1):
            self.crew.heard(worker, Counters(asked=2))
        self.assertNoResult(first)
        self.successResultOf(second)
        self.clock.advance(ASKED)
        self.successResultOf(first)

    def test_atOnce(self) -> None:
        """
        A worker in the same process answers before the question is out.
        """
        self.crew.employ([FakeLink(lambda word: self.crew.heard(0, Counters(asked=1)))])
        self.successResultOf(self.ask())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class QuestionTests(SynchronousTestCase):
    """
    Questions with answers, as transcripts: what is asked, what each of three workers answers, and what it comes to.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.crew = Crew(self.clock)
        self.happened: list[str] = []
        self.answers: Deferred[list[Up]] = Deferred()
        self.dead: set[int] = set()
        self.crew.employ([FakeLink(lambda word, to=to: self.sent(to, word)) for to in range(3)])

    def sent(self, worker: int, word: Down) -> None:
        """
        A worker is asked.
        """
        if worker in self.dead:
            raise BrokenPipeError("its process is gone")
        self.happened.append(f"asked {worker}")

    def question(self, **more: Any) -> None:
        """
        Ask; what it comes to is written down.
        """
        self.answers = self.crew.question(Ask, **more)
        self.answers.addCallback(lambda words: [word.retired["w"] for word in words])
        self.answers.addCallback(lambda says: self.happened.append(f"answers: {says}"))

    def answer(self, worker: int, asked: int = 1, says: int | None = None) -> None:
        """
        A worker says its number, or another.
        """
        self.happened.append(f"{worker} answers")
        self.crew.heard(worker, Counters(retired={"w": worker if says is None else says}, asked=asked))

    def assertTranscript(self, expected: str) -> None:
        """
        All that has happened, line by line; and nothing waits any more.
        """
        self.assertEqual(self.happened, [line.strip() for line in expected.strip().splitlines()])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_all(self) -> None:
        """
        The answers are in the order of the workers, whoever was first; only the first of each counts.
        """
        self.question()
        for worker, says in ((2, None), (0, None), (2, 9), (1, None), (1, 9)):
            self.answer(worker, says=says)
        self.assertTranscript("""
            asked 0
            asked 1
            asked 2
            2 answers
            0 answers
            2 answers
            1 answers
            answers: [0, 1, 2]
            1 answers
        """)

    def test_late(self) -> None:
        """
        Who does not answer costs a second, and is not in the answers.
        """
        self.question()
        self.answer(2)
        self.clock.advance(ASKED - 0.01)
        self.happened.append("nearly a second passes")
        self.answer(0)
        self.clock.advance(0.01)
        self.answer(1)
        self.assertTranscript("""
            asked 0
            asked 1
            asked 2
            2 answers
            nearly a second passes
            0 answers
            answers: [0, 2]
            1 answers
        """)

    def test_nobody(self) -> None:
        """
        No answer at all is no failure.
        """
        self.question()
        self.clock.advance(ASKED)
        self.assertTranscript("""
            asked 0
            asked 1
            asked 2
            answers: []
        """)

    def test_dead(self) -> None:
        """
        One whose line is broken keeps nobody from being asked; the log says so.
        """
        self.dead = {0}
        self.question()
        self.answer(1)
        self.answer(2)
        self.clock.advance(ASKED)
        self.assertEqual(len(self.flushLoggedErrors(BrokenPipeError)), 1)
        self.assertTranscript("""
            asked 1
            asked 2
            1 answers
            2 answers
            answers: [1, 2]
        """)

    def test_one(self) -> None:
        """
        One alone can be asked, for longer; what others say to it is not its answer.
        """
        self.question(worker=1, seconds=5.0)
        self.answer(0)
        self.clock.advance(4.9)
        self.answer(1)
        self.assertTranscript("""
            asked 1
            0 answers
            1 answers
            answers: [1]
        """)

    def test_stranger(self) -> None:
        """
        Answers of a worker that was not asked, or to what nobody asks, are nobody's.
        """
        self.question()
        self.answer(7)
        self.answer(0, asked=99)
        self.clock.advance(ASKED)
        self.assertTranscript("""
            asked 0
            asked 1
            asked 2
            7 answers
            0 answers
            answers: []
        """)

    def test_noWorkers(self) -> None:
        """
        Without workers there is nothing to wait for.
        """
        self.crew.employ([])
        self.question()
        self.assertTranscript("answers: []")

    def test_atOnce(self) -> None:
        """
        Workers that answer while they are asked: the answers are whole when all were asked.
        """

        def sent(worker: int) -> None:
            self.happened.append(f"asked {worker}")
            self.answer(worker)

        self.crew.employ([FakeLink(lambda word, to=to: sent(to)) for to in range(2)])
        self.question()
        self.assertTranscript("""
            asked 0
            0 answers
            asked 1
            1 answers
            answers: [0, 1]
        """)

    def test_cancelled(self) -> None:
        """
        Who does not want to know any more leaves nothing behind.
        """
        self.question()
        self.answers.addErrback(lambda failure: failure.trap(CancelledError) and None)
        self.answers.cancel()
        self.answer(0)
        self.assertTranscript("""
            asked 0
            asked 1
            asked 2
            0 answers
        """)
