"""A plugin in a locked process as its chain has it: calls, ends, and what is done when one does not come back."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from revproxy.body import Body
from revproxy.context import Outcome, Response
from revproxy.errors import LimitExceeded, PluginStalled, PluginTimeout, Refused, WrongAnswer
from revproxy.headers import Headers
from revproxy.interfaces import IObserver, IResponseMiddleware, IStateful
from revproxy.isolation.brokering import MOST_HELD, TooMuch
from revproxy.isolation.frames import (
    Answered,
    BodyChanged,
    Call,
    Cancel,
    Counted,
    Done,
    Failed,
    FailedOutside,
    FigureCounted,
    Filter,
    Loaded,
    Logged,
    NewResponse,
    Over,
    Piece,
    Pull,
    ReadBody,
    Reply,
    SendRequest,
    Step,
    UseStore,
    Waiting,
)
from revproxy.isolation.holdpage import Hold
from revproxy.isolation.lockedmiddleware import MOST_NOTHINGS
from revproxy.isolation.pluginprocess import LONGEST_BEHIND, MOST_SAID, MOST_STRAYS
from revproxy.isolation.process.gone import Gone
from revproxy.isolation.processlimits import ProcessLimits
from revproxy.isolation.remotefailure import ProcessEnded, RemoteFailure
from revproxy.isolation.succession import AGAIN, LONGEST_WITHOUT, NotLoaded
from revproxy.permissions import UNASKED, Permissions
from tests.isolation.doubles import LockedPluginBench, ProcessDouble, request, result


class GuestCase(SynchronousTestCase):
    """One middleware, loaded."""

    interfaces: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.bench = LockedPluginBench()
        self.middleware = self.bench.middleware
        self.process = self.bench.load(*self.interfaces)

    @property
    def newest(self) -> ProcessDouble:
        return self.bench.processes[-1]

    def handle(self, **fields: str) -> tuple[Any, Deferred[Any]]:
        context = request(**fields)
        return context, self.middleware.handle(context)


class CallTests(GuestCase):
    """One phase: a plugin that only handles."""

    def test_passes(self) -> None:
        """It is told of the request; when it has answered, that is all."""
        context, handled = self.handle(X_A="1")
        [call] = self.process.of(Call)
        self.assertEqual((call.phase, call.head.target, call.head.fields[-1]), ("handle", b"/a?b=c", (b"X-A", b"1")))
        self.process.answer()
        self.assertIs(result(handled), True)
        self.assertEqual(len(self.middleware.requests), 0)
        context.over()
        self.assertEqual(self.process.of(Over), [])

    def test_fails(self) -> None:
        """What it raises is told with its place, and the request is over for it, too."""
        _, handled = self.handle()
        self.process.say(Failed(self.process.of(Call)[0].number, "", "ValueError", "no", "/p/plugin.py:5", "Trace"))
        error = result(handled)
        self.assertIsInstance(error, RemoteFailure)
        self.assertEqual((str(error), error.where, error.traceback), ("ValueError: no", "/p/plugin.py:5", "Trace"))
        self.assertEqual((len(self.middleware.requests), len(self.process.of(Over))), (0, 1))

    def test_streams(self) -> None:
        """It filters a body: it has to do with the request until that is over, and is told then."""
        context = request()
        context._request._body = Body(None, None)
        context._request._context = context
        self.middleware.handle(context)
        self.process.answer(body=BodyChanged(None, True))
        self.assertEqual((len(self.middleware.requests), self.process.of(Over)), (1, []))
        context._request._body.feed(b"piece")
        self.process.say(Piece(self.process.of(Filter)[0].number, b"PIECE"))
        self.assertEqual(b"".join(context._request._body._chunks), b"PIECE")
        context.over()
        self.assertEqual((len(self.middleware.requests), len(self.process.of(Over))), (0, 1))

    def test_refuses(self) -> None:
        """It answers by raising, if it may answer."""
        _, handled = self.handle()
        number = self.process.of(Call)[0].number
        self.process.say(Failed(number, "", "Refused", "429", status=429, fields=((b"X-A", b"1"),), body=b"slower"))
        error = result(handled)
        self.assertIsInstance(error, Refused)
        self.assertEqual((error.status, error.body, error.headers.get("X-A")), (429, b"slower", "1"))

    def test_values(self) -> None:
        """Values of others are told; its own are there afterwards."""
        context = request()
        context.values["a"] = 1
        self.middleware.handle(context)
        self.assertEqual(msgspec.msgpack.decode(self.process.of(Call)[0].values), {"a": 1})
        self.process.answer(values=msgspec.msgpack.encode({"b": 2}))
        self.assertEqual(context.values, {"a": 1, "b": 2})

    def test_valuesOfOthers(self) -> None:
        """Who may read no field sees none of them; who may write none leaves none for others."""
        for permissions, seen, left in (
            (UNASKED, b"", {"a": 1}),
            (Permissions(readHeaders=frozenset(["x-a"])), msgspec.msgpack.encode({"a": 1}), {"a": 1}),
            (Permissions(writeHeaders=frozenset(["x-a"])), b"", {"a": 2}),
        ):
            bench = LockedPluginBench(permissions)
            process = bench.load()
            context = request()
            context.values["a"] = 1
            bench.middleware.handle(context)
            self.assertEqual(process.of(Call)[0].values, seen)
            process.answer(values=msgspec.msgpack.encode({"a": 2}))
            self.assertEqual(context.values, left)

    def test_nonsense(self) -> None:
        """An answer to something else is none."""
        _, handled = self.handle()
        self.process.say(Done(self.process.of(Call)[0].number))
        self.assertIsInstance(result(handled), WrongAnswer)

    def test_cancelled(self) -> None:
        """The client leaves: the process is told, and what it answers then is nobody's."""
        _, handled = self.handle()
        handled.addErrback(lambda failure: None)
        handled.cancel()
        number = self.process.of(Call)[0].number
        self.assertEqual(self.process.of(Cancel), [Cancel(number)])
        self.process.say(Answered(number, True))
        self.assertIsNone(self.process.killed)

    def test_never(self) -> None:
        """A number that it was not asked, or more late answers than there can be, are its end."""
        for number, count in ((99, 1), (0, MOST_STRAYS + 1)):
            process = self.newest
            for _ in range(count):
                process.say(Answered(number, True))
            self.assertIsNotNone(process.killed)
            self.bench.become()

    def test_replayed(self) -> None:
        """An answer that comes twice answers nothing else."""
        _, first = self.handle()
        _, second = self.handle()
        number = self.process.of(Call)[0].number
        self.process.say(Answered(number, True))
        self.process.say(Answered(number, True))
        self.assertIs(result(first), True)
        self.assertIsNone(result(second))

    def test_concurrency(self) -> None:
        """So many calls are under way; the next fails at once, as a limit."""
        bench = LockedPluginBench(limits=ProcessLimits(calls=2))
        bench.load()
        for _ in range(2):
            bench.middleware.handle(request())
        error = result(bench.middleware.handle(request()))
        self.assertIsInstance(error, LimitExceeded)
        self.assertEqual(error.limit, "concurrency")

    def test_interim(self) -> None:
        """1xx answers go out while it waits; those that cannot be are a failure, and nothing else."""
        context, handled = self.handle()
        sent: list[int] = []
        context._exchange = type("E", (), {"informational": lambda s, status, headers: sent.append(status)})()
        number = self.process.of(Call)[0].number
        self.process.say(Waiting(number, ((103, ((b"Link", b"</a>"),)),)))
        self.process.say(Waiting(number, ((500, ()),)))
        self.assertEqual(sent, [103])
        self.assertIsInstance(self.bench.failures[0], WrongAnswer)
        self.assertIsNone(result(handled))


class PhasesTests(GuestCase):
    """A plugin that hears of answers and ends."""

    interfaces = ("IResponseMiddleware", "IObserver", "IStateful")

    def test_phases(self) -> None:
        """The head is told once, and again where it has changed; the end is told last."""
        self.assertTrue(IResponseMiddleware.providedBy(self.middleware) and IObserver.providedBy(self.middleware))
        context, handled = self.handle()
        self.process.answer()
        context._response = Response(200, None, Headers(), None)
        responded = self.middleware.handleResponse(context)
        second = self.process.of(Call)[1]
        self.assertEqual((second.head, second.response.status), (None, 200))
        self.process.answer(None)
        context.request.headers.set("X-Late", "1")
        context._outcome = Outcome(200)
        finished: Any = self.middleware.finished(context)
        third = self.process.of(Call)[2]
        self.assertEqual((third.phase, third.outcome.status, third.head.fields[-1][0]), ("finished", 200, b"X-Late"))
        self.assertEqual(self.process.of(Over), [])
        self.process.answer(None)
        self.assertEqual([result(each) for each in (handled, responded, finished)], [True, None, None])
        self.assertEqual(self.process.of(Over), [Over(third.request)])
        self.assertEqual(len(self.middleware.requests), 0)

    def test_movesOn(self) -> None:
        """Another process knows nothing of the request, and is told all."""
        context, _ = self.handle()
        self.process.answer(values=msgspec.msgpack.encode({"mine": 1}))
        self.process.end()
        self.bench.become(*self.interfaces)
        context._response = Response(200, None, Headers(), None)
        self.middleware.handleResponse(context)
        [call] = self.newest.of(Call)
        self.assertEqual(call.head.method, b"GET")
        self.assertEqual(msgspec.msgpack.decode(call.values), {"mine": 1})

    def test_state(self) -> None:
        """Steps are taken in the process; what it gives has to be JSON."""
        self.assertTrue(IStateful.providedBy(self.middleware))
        exporting = Deferred.fromCoroutine(self.middleware.exportState())
        self.process.say(Done(self.process.of(Step)[-1].number, b'{"a": [1]}'))
        self.assertEqual(bytes(result(exporting)), b'{"a": [1]}')
        exporting = Deferred.fromCoroutine(self.middleware.exportState())
        for wrong in (b"{", b'"\xff"', b"[" * 1_000_000, b"NaN", b""):
            exporting = Deferred.fromCoroutine(self.middleware.exportState())
            self.process.say(Done(self.process.of(Step)[-1].number, wrong))
            self.assertIsInstance(result(exporting), RemoteFailure)


class BudgetTests(GuestCase):
    """Code that does not come back."""

    def spin(self, number: int, seconds: float) -> None:
        """The code of a call computes."""
        now = self.bench.clock.seconds()
        self.process.hold = Hold(number, now)
        for _ in range(round(seconds / 0.01)):
            self.process.cpu += 0.01
            self.bench.clock.advance(0.01)

    def test_spins(self) -> None:
        """It is ended at its budget; it alone fails, and the others are asked once more of the next process."""
        calls = [self.handle()[1] for _ in range(3)]
        numbers = [call.number for call in self.process.of(Call)]
        self.spin(numbers[1], 0.98)
        self.assertIsNone(self.process.killed)
        for _ in range(4):
            self.process.cpu += 0.01
            self.bench.clock.advance(0.01)
        self.assertIn("computed for 1", self.process.killed[0])  # type: ignore[index]
        self.assertFalse(self.process.killed[1])  # type: ignore[index]
        self.assertIsInstance(result(calls[1]), PluginStalled)
        self.bench.become()
        self.assertEqual([call.number for call in self.newest.of(Call)], [numbers[0], numbers[2]])
        for number in (numbers[0], numbers[2]):
            self.newest.say(Answered(number, True))
        self.assertEqual([result(calls[0]), result(calls[2])], [True, True])

    def test_spinsFromLater(self) -> None:
        """That it began a moment after it was asked gives it no second budget."""
        _, handled = self.handle()
        self.bench.clock.advance(0.005)
        self.process.hold = Hold(self.process.of(Call)[0].number, self.bench.clock.seconds())
        for _ in range(102):
            self.process.cpu += 0.01
            self.bench.clock.advance(0.01)
        self.assertIsInstance(result(handled), PluginStalled)

    def test_sleeps(self) -> None:
        """What holds the process and does not compute is ended, too; that is time, and not CPU."""
        _, handled = self.handle()
        self.process.hold = Hold(self.process.of(Call)[0].number, self.bench.clock.seconds())
        self.process.runnable = False
        self.bench.pass_(1.1)
        self.assertIsInstance(result(handled), PluginTimeout)
        self.assertIsNotNone(self.process.killed)

    def test_busyMachine(self) -> None:
        """What would compute and is not let may wait for long, but not for ever."""
        _, handled = self.handle()
        self.process.hold = Hold(self.process.of(Call)[0].number, self.bench.clock.seconds())
        self.bench.pass_(9.5)
        self.assertIsNone(self.process.killed)
        self.bench.pass_(1.0)
        self.assertIsInstance(result(handled), PluginTimeout)

    def test_edgeWasBusy(self) -> None:
        """That the edge itself could not look is nobody's fault in the process."""
        self.handle()
        self.process.hold = Hold(self.process.of(Call)[0].number, self.bench.clock.seconds())
        self.process.runnable = False
        self.bench.clock.advance(5.0)
        self.assertIsNone(self.process.killed)

    def test_silentPage(self) -> None:
        """A page that says nothing hides nobody: the head is asked once more, and blamed then."""
        _, handled = self.handle()
        for _ in range(2):
            process = self.newest
            self.assertIsNone(result(handled))
            for _ in range(105):
                process.cpu += 0.01
                self.bench.clock.advance(0.01)
            self.assertIsNotNone(process.killed)
            if process is self.process:
                self.bench.become()
        self.assertIsInstance(result(handled), PluginStalled)

    def test_withdrawn(self) -> None:
        """A call that nobody waits for any more, and that holds the process all the same, is not another's fault."""
        first = self.handle()[1]
        self.process.hold = Hold(self.process.of(Call)[0].number, 0.0)
        first.addErrback(lambda failure: None)
        first.cancel()
        second = self.handle()[1]
        for _ in range(120):
            self.process.cpu += 0.01
            self.bench.clock.advance(0.01)
        self.assertIsNotNone(self.process.killed)
        self.assertIsNone(result(second))
        self.bench.become()
        self.newest.answer()
        self.assertIs(result(second), True)

    def test_heldUp(self) -> None:
        """What waits, and cannot go on because another call holds the process, is asked once more with the rest."""
        first = self.handle()[1]
        one = self.process.of(Call)[0].number
        self.process.say(Waiting(one))
        self.bench.pass_(0.5)
        second = self.handle()[1]
        two = self.process.of(Call)[1].number
        self.process.hold = Hold(two, self.bench.clock.seconds())
        for _ in range(110):
            self.process.cpu += 0.01
            self.bench.clock.advance(0.01)
        self.assertIsInstance(result(second), PluginStalled)
        self.assertIsNone(result(first))
        self.bench.become()
        self.newest.answer()
        self.assertIs(result(first), True)

    def test_waits(self) -> None:
        """What waits has its limit, from when its code began; the process goes on."""
        first, second = self.handle()[1], self.handle()[1]
        one, two = (call.number for call in self.process.of(Call))
        self.bench.pass_(0.6)
        self.process.say(Waiting(one))
        self.bench.pass_(0.05)
        self.process.say(Waiting(two))
        self.bench.pass_(0.45)
        self.assertIsInstance(result(first), PluginTimeout)
        self.assertIsNone(result(second))
        self.assertEqual(self.process.of(Cancel), [Cancel(one)])
        self.assertIsNone(self.process.killed)
        self.bench.pass_(0.6)
        self.assertIsInstance(result(second), PluginTimeout)

    def test_bodies(self) -> None:
        """While it waits for a body its time does not run: that is the client's slowness."""
        context = request()
        context._request._body = body = Body(None, None)
        handled = self.middleware.handle(context)
        number, known = self.process.of(Call)[0].number, self.process.of(Call)[0].request
        self.process.say(ReadBody(1, known, False, 1000))
        self.process.say(Waiting(number))
        self.bench.pass_(5.0)
        self.assertIsNone(result(handled))
        body.feed(b"abc")
        body.finish()
        self.assertEqual(self.process.of(Reply), [Reply(1, b"abc")])
        self.bench.pass_(1.1)
        self.assertIsInstance(result(handled), PluginTimeout)

    def test_behind(self) -> None:
        """Nobody is behind others for ever."""
        bench = LockedPluginBench(limits=ProcessLimits(call=None))
        process = bench.load()
        bench.middleware.handle(request())
        second = bench.middleware.handle(request())
        bench.pass_(LONGEST_BEHIND + 0.1)
        self.assertIsInstance(result(second), PluginTimeout)
        self.assertIsNone(process.killed)

    def test_share(self) -> None:
        """More than its share of a processor over a minute is its end, and a failure outside of calls."""
        self.bench.pass_(5.0)
        for _ in range(14):
            self.process.cpu += 4.9
            self.bench.pass_(5.0)
        self.assertIsNotNone(self.process.killed)
        [error] = self.bench.failures
        self.assertEqual(error.limit, "cpu-share")  # type: ignore[attr-defined]


class EndTests(GuestCase):
    """Processes that end by themselves."""

    def test_culprit(self) -> None:
        """Whose code ran when it ended has ended it."""
        calls = [self.handle()[1] for _ in range(2)]
        numbers = [call.number for call in self.process.of(Call)]
        self.process.hold = Hold(numbers[1], 0.0)
        self.process.end(Gone(31))
        self.assertIn("SIGSYS", str(result(calls[1])))
        self.bench.become()
        self.newest.answer()
        self.assertIs(result(calls[0]), True)
        self.assertEqual(self.bench.failures, [])

    def test_nobody(self) -> None:
        """If no call's did, that is a failure of its own."""
        self.process.end()
        self.assertIsInstance(self.bench.failures[0], ProcessEnded)
        self.bench.become()
        _, handled = self.handle()
        self.newest.answer()
        self.assertIs(result(handled), True)

    def test_notItsFault(self) -> None:
        """Where the template of all processes was ended no plugin has failed, nor any call; nor is it a crash."""
        for _ in range(3):
            _, handled = self.handle()
            self.newest.hold = Hold(self.newest.of(Call)[-1].number, 0.0)
            self.newest.end(Gone(None, None, "the template of locked processes has ended by SIGKILL", isFault=False))
            self.bench.become()
            self.newest.answer()
            self.assertIs(result(handled), True)
        self.assertEqual(self.bench.failures, [])

    def test_notTwice(self) -> None:
        """A call that was asked twice is not asked once more, nor one that has caused something outside."""
        self.bench.atOnce = False
        first, second, third = (self.handle()[1] for _ in range(3))
        requests = [call.request for call in self.process.of(Call)]
        self.process.say(SendRequest(1, requests[0], b"POST", "billing", b"/", (), b""))
        self.process.say(SendRequest(2, requests[1], b"GET", "billing", b"/", (), b""))
        self.process.end()
        self.assertIsInstance(result(first), ProcessEnded)
        self.bench.give()
        self.bench.become()
        self.assertEqual(len(self.newest.of(Call)), 2)
        self.newest.end()
        self.assertEqual([type(result(each)) for each in (second, third)], [ProcessEnded] * 2)

    def together(self, count: int = 3) -> list[Deferred[Any]]:
        """Calls that are given up with the first of them, as those of one request are."""
        calls = [self.handle()[1] for _ in range(count)]
        calls[0].addErrback(lambda failure: (calls[1].cancel(), failure)[1])
        return calls

    def test_together(self) -> None:
        """One that is given up because another fails, of the same process, keeps nobody from hearing of its end."""
        calls = self.together()
        for number in range(3):
            self.process.say(SendRequest(number, self.process.of(Call)[number].request, b"POST", "app", b"/", (), b""))
        self.process.end()
        self.assertEqual([type(result(call)).__name__ for call in calls],
                         ["ProcessEnded", "CancelledError", "ProcessEnded"])  # fmt: skip

    def test_togetherInLine(self) -> None:
        """Nor while they wait for a process."""
        self.bench.atOnce = False
        self.process.end()
        calls = self.together()
        self.bench.waiting[0].errback(ValueError("none"))
        self.assertEqual([type(result(call)).__name__ for call in calls],
                         ["ProcessEnded", "CancelledError", "ProcessEnded"])  # fmt: skip

    def test_togetherLate(self) -> None:
        """Nor when all are late."""
        calls = self.together()
        for call in self.process.of(Call):
            self.process.say(Waiting(call.number))
        self.bench.pass_(1.1)
        self.assertEqual([type(result(call)).__name__ for call in calls],
                         ["PluginTimeout", "CancelledError", "PluginTimeout"])  # fmt: skip

    def test_without(self) -> None:
        """Nobody waits for a process for ever, whatever keeps it; when it comes after all, all is well again."""
        self.bench.atOnce = False
        self.process.end()
        waiting = self.handle()[1]
        self.bench.pass_(LONGEST_WITHOUT - 0.1)
        self.assertIsNone(result(waiting))
        self.bench.pass_(0.2)
        self.assertIsInstance(result(waiting), ProcessEnded)
        self.assertIsInstance(result(self.handle()[1]), ProcessEnded)
        self.bench.give()
        self.bench.become()
        handled = self.handle()[1]
        self.newest.answer()
        self.assertIs(result(handled), True)

    def test_nonsenseInARow(self) -> None:
        """One that is ended for what it says has crashed like any other: nobody waits for the next but one."""
        self.process.say(Answered(99, True))
        self.bench.become()
        self.bench.atOnce = False
        waiting = self.handle()[1]
        self.newest.hold = Hold(self.newest.of(Call)[0].number, 0.0)
        self.newest.say(Answered(99, True))
        self.assertIsInstance(result(waiting), LimitExceeded)
        self.assertIsInstance(result(self.handle()[1]), ProcessEnded)

    def test_inARow(self) -> None:
        """After the second crash in a row calls fail at once until a process is there; a minute later that is over."""
        self.process.end()
        self.bench.become()
        self.bench.atOnce = False
        self.newest.end()
        self.assertIsInstance(result(self.handle()[1]), ProcessEnded)
        self.bench.give()
        self.bench.become()
        again = self.handle()[1]
        self.newest.answer()
        self.assertIs(result(again), True)
        self.bench.pass_(61)
        self.assertIsNone(self.newest.killed)
        _, handled = self.handle()
        self.newest.end()
        self.assertIsNone(result(handled))

    def test_notLoaded(self) -> None:
        """A process that does not become the plugin any more: calls fail, and it is tried again."""
        self.process.end()
        self.newest.say(Failed(0, "main", "ValueError", "no"))
        self.assertIsInstance(result(self.handle()[1]), ProcessEnded)
        self.assertEqual(str(self.bench.failures[-1]), "ValueError: no")
        self.bench.pass_(AGAIN + 0.1)
        self.bench.become()
        self.assertIsNone(result(self.handle()[1]))

    def test_started(self) -> None:
        """One that was started is started again in the next process; none is, that was stopped."""
        bench = LockedPluginBench()
        process = bench.load("ILifecycle")
        starting = Deferred.fromCoroutine(bench.middleware.start())
        process.say(Done(process.of(Step)[-1].number))
        self.assertIsNone(result(starting))
        process.end()
        bench.become("ILifecycle")
        self.assertEqual([step.step for step in bench.processes[-1].of(Step)], ["start"])

    def test_ended(self) -> None:
        """At its end the process is killed, nobody is blamed, and calls fail."""
        ending = Deferred.fromCoroutine(self.middleware.end())
        self.assertEqual(self.process.killed, ("it is not needed any more", False))
        self.assertIsInstance(result(self.handle()[1]), ProcessEnded)
        self.process.end()
        self.assertIs(result(ending), True)
        self.bench.pass_(0.1)
        self.assertEqual((self.bench.failures, self.bench.clock.getDelayedCalls()), ([], []))

    def test_doesNotEnd(self) -> None:
        """Nobody waits for ever for the kernel."""
        ending = Deferred.fromCoroutine(self.middleware.end())
        self.bench.pass_(5.1)
        self.assertIs(result(ending), False)


class LoadTests(SynchronousTestCase):
    """Becoming the plugin."""

    def test_steps(self) -> None:
        """It is told what it is, its configuration is looked at, it is given its host; it is not started."""
        bench = LockedPluginBench()
        process = bench.load("IConfigurable", "IHosted", "ILifecycle")
        load, *steps = process.sent
        self.assertEqual((load.name, load.config, load.files), ("p", b'{"a": 1}', {"plugin.py": b""}))
        self.assertEqual([(step.step, step.argument) for step in steps],
                         [("validateConfig", b'{"a": 1}'), ("attach", b"null")])  # fmt: skip

    def test_fails(self) -> None:
        """The stage is told, and the process is ended."""
        for say, stage in (
            (lambda process: process.say(Failed(0, "import", "SyntaxError", "no")), "import"),
            (lambda process: process.say(Failed(0, "main", "ValueError", "no")), "main"),
            (lambda process: process.say(Done(0)), "import"),
            (lambda process: process.end(), "import"),
        ):
            bench = LockedPluginBench()
            loading = Deferred.fromCoroutine(bench.middleware.load())
            say(bench.processes[0])
            error = result(loading)
            self.assertIsInstance(error, NotLoaded)
            self.assertEqual(error.stage, stage)

    def test_otherInterfaces(self) -> None:
        """One that is another thing in the next process is not taken."""
        bench = LockedPluginBench()
        bench.load("IObserver").end()
        bench.processes[-1].say(Loaded(("IMiddleware",)))
        self.assertIn("other interfaces", str(bench.failures[-1]))


class BodiesTests(GuestCase):
    """Bodies are the plugin's as long as it is called, and no longer."""

    def begin(self) -> tuple[Any, Body, Deferred[Any]]:
        context = request()
        context._request._body = body = Body(None, None)
        return context, body, self.middleware.handle(context)

    def read(self, process: ProcessDouble, number: int) -> None:
        call = process.of(Call)[-1]
        process.say(ReadBody(number, call.request, False, 1000))
        process.say(Waiting(call.number))

    def test_once_more(self) -> None:
        """Whoever is asked once more reads once more, also if the body is still on its way."""
        _, body, handled = self.begin()
        self.read(self.process, 1)
        body.feed(b"ab")
        self.process.end()
        self.bench.become()
        self.read(self.newest, 1)
        self.assertEqual(self.newest.of(Reply), [])
        body.feed(b"c")
        body.finish()
        self.assertEqual(self.newest.of(Reply), [Reply(1, b"abc")])
        self.newest.answer()
        self.assertIs(result(handled), True)

    def test_notWaitedFor(self) -> None:
        """What it has asked for, and answers without, is given up: others may read."""
        _, body, handled = self.begin()
        self.read(self.process, 1)
        self.process.answer()
        self.assertIs(result(handled), True)
        self.assertFalse(body.isBeingRead)
        self.assertEqual(self.middleware.succession._upcalls.broker._waiting, {})  # type: ignore[attr-defined]

    def test_betweenCalls(self) -> None:
        """Where others are called, it reads nothing: it could keep them from it."""
        bench = LockedPluginBench()
        process = bench.load("IResponseMiddleware")
        context = request()
        context._request._body = body = Body(None, None)
        bench.middleware.handle(context)
        process.answer()
        process.say(ReadBody(1, process.of(Call)[0].request, False, 1000))
        self.assertEqual(process.of(Reply)[0].kind, "LookupError")
        self.assertFalse(body.isBeingRead)

    def test_rerouted(self) -> None:
        """One that filters a body twice, for the request was routed anew, has nothing to do with it at its end."""
        context, _, _ = self.begin()
        self.process.answer(body=BodyChanged(None, True))
        self.middleware.handle(context)
        self.process.answer(body=BodyChanged(None, True))
        self.assertEqual(len(self.middleware.requests), 2)
        context.over()
        self.assertEqual(len(self.middleware.requests), 0)

    def test_endlessNothing(self) -> None:
        """An answer of nothing, again and again, is none."""
        context, _, handled = self.begin()
        self.process.answer(False, response=NewResponse(200, None, (), None))
        self.assertIs(result(handled), False)
        reading = context.response.body.read(1000)
        for _ in range(MOST_NOTHINGS + 2):
            if result(reading) is not None:
                break
            self.process.say(Piece(self.process.of(Pull)[-1].number, b""))
        self.assertIsInstance(result(reading), Exception)


class DeskTests(GuestCase):
    """What it says by itself."""

    def test_upstreams(self) -> None:
        """Requests go to upstreams that were granted, and must be such that can be sent."""
        self.process.say(SendRequest(1, 0, b"GET", "billing", b"/a", ((b"X-A", b"1"),), b"", 5.0))
        [(frame, answer)] = self.bench.requests
        self.assertEqual(frame.target, b"/a")
        answer.callback((200, b"OK", [(b"X-B", b"2")], b"body"))
        told = msgspec.msgpack.decode(self.process.of(Reply)[0].value)
        self.assertEqual(told, [200, b"OK", [[b"X-B", b"2"]], b"body"])
        for number, changes in enumerate((
            {"upstream": "elsewhere"}, {"method": b"GET /"}, {"target": b"http://evil/"}, {"target": b"/a\r\nb"},
            {"fields": ((b"Host", b"evil"),)}, {"fields": ((b"X-A", b"a\r\nb"),)},
            {"fields": ((b"Transfer-Encoding", b"chunked"),)},
        ), 10):  # fmt: skip
            usual: dict[str, Any] = {"method": b"GET", "upstream": "app", "target": b"/", "fields": (), "body": b""}
            self.process.say(SendRequest(number, 0, **{**usual, **changes}))
            self.assertTrue(self.process.of(Reply)[-1].kind, changes)
        self.assertEqual(len(self.bench.requests), 1)

    def test_store(self) -> None:
        """Values as JSON, in lists where there are any."""
        for number, (action, value, wanted) in enumerate((
            ("get", b"", []), ("set", b'{"a": 1}', None), ("get", b"", [{"a": 1}]), ("keys", b"", ["k"]),
            ("delete", b"", True),
        ), 1):  # fmt: skip
            self.process.say(UseStore(number, action, "k", value))  # type: ignore[arg-type]
            self.assertEqual(msgspec.msgpack.decode(self.process.of(Reply)[-1].value), wanted)
        for value in (b"{", b"[" * 100_000):
            self.process.say(UseStore(9, "set", "k", value))
            self.assertTrue(self.process.of(Reply)[-1].kind)

    def test_notGranted(self) -> None:
        """Nothing is done that was not granted."""
        bench = LockedPluginBench(UNASKED)
        process = bench.load()
        context = request()
        bench.middleware.handle(context)
        known = process.of(Call)[0].request
        process.say(ReadBody(1, known, False, 10))
        process.say(UseStore(2, "get", "k"))
        process.say(SendRequest(3, known, b"GET", "app", b"/", (), b""))
        self.assertEqual([reply.kind for reply in process.of(Reply)], ["PermissionError"] * 3)
        process.say(Counted((FigureCounted("a_total", "", (), (), (((), (1.0,)),)),)))
        self.assertIn("not granted", str(bench.failures[0]))

    def test_otherRequests(self) -> None:
        """Bodies of requests that are over, or that it was never told of, are not there."""
        self.process.say(ReadBody(1, 99, False, 10))
        self.assertEqual(self.process.of(Reply)[0].kind, "LookupError")

    def test_tooMuch(self) -> None:
        """So many in a second, and so many under way: more are refused, and a limit was exceeded."""
        bench = LockedPluginBench(limits=ProcessLimits(brokered=3.0, underWay=2))
        process = bench.load()
        for number in range(5):
            process.say(SendRequest(number, 0, b"GET", "app", b"/", (), b""))
        self.assertEqual(len(bench.requests), 2)
        self.assertEqual(len(process.of(Reply)), 3)
        self.assertEqual({limit for limit, _ in bench.exceeded}, {"calls"})

    def test_held(self) -> None:
        """Of what goes to upstreams and comes from them the edge holds so much at a time."""
        for number in range(10):
            self.process.say(SendRequest(number, 0, b"POST", "app", b"/", (), bytes(10 << 20)))
        self.assertEqual(len(self.bench.requests), MOST_HELD // (10 << 20))
        self.assertEqual({reply.kind for reply in self.process.of(Reply)}, {"TooMuch"})
        for _, answer in self.bench.requests:
            answer.callback((200, b"OK", [], b""))
        self.process.say(SendRequest(20, 0, b"POST", "app", b"/", (), bytes(60 << 20)))
        self.assertRaises(TooMuch, self.bench.holds[-1], 5 << 20)
        self.bench.holds[-1](1 << 20)

    def test_endsWithIt(self) -> None:
        """What a process has asked for ends with it, and does not count for the next."""
        for number in range(256):
            self.process.say(SendRequest(number, 0, b"GET", "app", b"/", (), b""))
        self.process.end()
        self.bench.become()
        self.assertTrue(all(answer.called for _, answer in self.bench.requests))
        self.newest.say(SendRequest(1, 0, b"GET", "app", b"/", (), b""))
        self.assertEqual((len(self.bench.requests), self.newest.of(Reply)), (257, []))

    def test_waitingFlood(self) -> None:
        """That it waits is news once."""
        self.handle()
        number = self.process.of(Call)[0].number
        for _ in range(MOST_SAID + 2):
            self.process.say(Waiting(number))
        self.assertIsNotNone(self.process.killed)

    def test_interimFlood(self) -> None:
        """So many 1xx answers to one request, in however many frames."""
        context, _ = self.handle()
        sent: list[int] = []
        context._exchange = type("Exchange", (), {"informational": lambda self, *said: sent.append(1)})()
        for _ in range(100):
            self.process.say(Waiting(self.process.of(Call)[0].number, ((103, ()),)))
        self.assertEqual(len(sent), 16)

    def test_failureFlood(self) -> None:
        """Failures are told, and not without an end."""
        for _ in range(1000):
            self.process.say(FailedOutside("ValueError", "no", "tick"))
            self.process.say(Counted((FigureCounted("0", "", (), (), ()),)))
        self.assertEqual(len(self.bench.failures), 100)

    def test_largeValue(self) -> None:
        """A value that is far too large is not even looked at."""
        self.process.say(UseStore(1, "set", "k", b"[" + b"[]," * 1_000_000 + b"[]]"))
        self.assertEqual(self.process.of(Reply)[0].kind, "ValueError")
        self.assertIn("are allowed", self.process.of(Reply)[0].text)

    def test_tooLong(self) -> None:
        """What cannot be told fails the call, and nothing of it stays."""
        def send(frame: Any) -> None:
            raise ValueError("too long")

        self.process.send = send  # type: ignore[method-assign]
        _, handled = self.handle()
        self.assertIsInstance(result(handled), ValueError)
        self.assertEqual((self.middleware.succession.asked, len(self.middleware.requests)), (0, 0))

    def test_flood(self) -> None:
        """Who talks without an end is ended."""
        for _ in range(MOST_SAID + 1):
            self.process.say(Counted(()))
        self.assertIsNotNone(self.process.killed)
        self.assertEqual(self.bench.failures[0].limit, "calls")  # type: ignore[attr-defined]

    def test_log(self) -> None:
        """Lines are the plugin's, however they are forged, and so many of them."""
        bench = LockedPluginBench(limits=ProcessLimits(lines=1.0))
        process = bench.load()
        seen: list[Any] = []
        globalLogPublisher.addObserver(seen.append)
        self.addCleanup(globalLogPublisher.removeObserver, seen.append)
        for _ in range(20):
            process.say(Logged("error", "a \x1b[31m\r2026 [edge] forged {x}", "lib\nrary"))
        self.assertEqual(len(seen), 10)
        self.assertEqual(seen[0]["log_namespace"], "plugin.p.library")
        self.assertNotIn("\x1b", seen[0]["text"])
        self.assertEqual({limit for limit, _ in bench.exceeded}, {"log"})

    def test_figures(self) -> None:
        """Figures are added; label values beyond a hundred are counted together; nonsense is refused."""
        def counted(*series: Any, labels: tuple[str, ...] = ("l",), bounds: tuple[float, ...] = ()) -> None:
            name = "h_seconds" if bounds else "a_total"
            self.process.say(Counted((FigureCounted(name, "", labels, bounds, series),)))

        counted(*(((str(n),), (1.0,)) for n in range(150)))
        self.assertEqual(self.bench.figures.value("a_total", l="_other"), 50)
        self.assertEqual(self.bench.exceeded[0][0], "labels")
        counted(((), (2.5, 1.0, 2.0)), labels=(), bounds=(1.0,))
        self.assertEqual(self.bench.figures.value("h_seconds"), (3, 2.5))
        for series in ((("a", "b"), (1.0,)), (("a",), (-1.0,)), (("a",), (float("nan"),)), (("a",), (1.0, 2.0))):
            before = len(self.bench.failures)
            counted(series)
            self.assertEqual(len(self.bench.failures), before + 1, series)

    def test_outside(self) -> None:
        """What its timers raise is logged, and a failure of its."""
        self.process.say(FailedOutside("ValueError", "no", "tick", "/p/plugin.py:3"))
        [error] = self.bench.failures
        self.assertEqual((str(error), error.function), ("ValueError: no", "tick"))  # type: ignore[attr-defined]

    def test_memory(self) -> None:
        """That it had no memory left is a limit."""
        _, handled = self.handle()
        self.process.say(Failed(self.process.of(Call)[0].number, "", "MemoryError", ""))
        self.assertIsInstance(result(handled), RemoteFailure)
        self.assertEqual([limit for limit, _ in self.bench.exceeded], ["memory"])

    def test_ownAnswer(self) -> None:
        """An answer of its own, with the request's body unread."""
        context, handled = self.handle()
        self.process.answer(False, response=NewResponse(200, None, (), b"hi"))
        self.assertIs(result(handled), False)
        self.assertEqual(context.response.body.keep(), b"hi")


