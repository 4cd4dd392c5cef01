"""Tests for :mod:`revproxy.host` and :mod:`revproxy.hostclient`."""

from __future__ import annotations

import asyncio
import gc
import inspect
import io
import logging
import socket
import threading
import weakref
from functools import partial
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock, LoopingCall, deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from revproxy import host
from revproxy.host import CLOSE_TIMEOUT, Host
from revproxy.interfaces import IHost
from revproxy.loop.threads import Threads, ThreadsFull
from revproxy.loop.waiting import notLonger
from revproxy.testing import HostDouble


class Thing:
    """Something that a plugin owns."""

    def __init__(self, log: list[str], name: str, answer: Any = None) -> None:
        self.log = log
        self.name = name
        self.answer = answer

    def close(self) -> Any:
        self.log.append(self.name)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class HostTestCase(SynchronousTestCase):
    """A host on a clock."""

    def setUp(self) -> None:
        self.host = HostDouble("p", "1.2")
        self.clock = self.host.clock
        self.calls: list[Any] = []

    def closed(self) -> list[str]:
        """What had to be ended."""
        ended: list[str] = self.successResultOf(self.host.close())
        return ended

    def failures(self) -> list[str]:
        """What was logged as a failure."""
        return [event["log_failure"].getErrorMessage() for event in self.host.events if "log_failure" in event]


class CallTests(HostTestCase):
    """`callLater`."""

    def test_interfaces(self) -> None:
        """A host is what it says, and a clock; its calls are delayed calls."""
        verifyObject(IHost, self.host)
        verifyObject(IReactorTime, self.host)
        verifyObject(IDelayedCall, self.host.callLater(1, self.calls.append, 1))

    def test_fires(self) -> None:
        """A call comes at its time, with its arguments, and is out of the book before."""
        self.host.callLater(2, lambda *a, **k: self.calls.append((a, k, self.host.pending())), 1, b=2)
        self.clock.advance(1)
        self.assertEqual(len(self.host.pending()), 1)
        self.clock.advance(1)
        self.assertEqual(self.calls, [((1,), {"b": 2}, {})])

    def test_delayedCall(self) -> None:
        """Moved, cancelled and asked as one of the reactor's own."""
        call = self.host.callLater(2, self.calls.append, 1)
        call.delay(1)
        self.assertEqual((call.getTime(), call.active()), (3, True))
        call.reset(5)
        self.assertEqual(call.getTime(), 5)
        self.assertEqual(list(self.host.getDelayedCalls()), [call])
        call.cancel()
        self.assertEqual((call.active(), self.host.pending(), self.host.getDelayedCalls()), (False, {}, []))
        self.assertRaises(AlreadyCancelled, call.cancel)
        fired = self.host.callLater(0, self.calls.append, 1)
        self.clock.advance(0)
        self.assertRaises(AlreadyCalled, fired.cancel)

    def test_keptCallKeepsNothing(self) -> None:
        """Whoever keeps a call that is over does not keep what it would have called."""
        thing = Thing([], "x")
        gone = weakref.ref(thing)
        fired, cancelled = self.host.callLater(1, thing.close), self.host.callLater(2, thing.close)
        del thing
        self.clock.advance(1)
        cancelled.cancel()
        self.assertIsNone(gone())
        self.assertFalse(fired.active())

    def test_raises(self) -> None:
        """What a call raises is logged and counted."""
        self.host.callLater(0, partial(int, "x"))
        self.clock.advance(0)
        self.assertEqual(self.host.errors, 1)
        self.assertIn("invalid literal", self.failures()[0])

    def test_told(self) -> None:
        """Whoever made the host is told of each failure: of calls, loops, and what threads hand over."""
        told: list[Failure] = []
        host = Host(self.clock, "p", "1", object, failed=told.append)
        host.callLater(0, int, "x")
        host.callEvery(1, int, "x")
        host.callFromThread(int, "x")
        self.clock.advance(0)
        self.clock.advance(1)
        self.assertEqual([failure.type for failure in told], [ValueError] * 3)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)

    def test_clock(self) -> None:
        """A host does as the clock of a looping call and of a timeout; both end with it."""
        loop = LoopingCall(lambda: self.calls.append(self.host.seconds()))
        loop.clock = self.host
        loop.start(1)
        waiting: Deferred[None] = Deferred()
        waiting.addTimeout(2, self.host)
        self.clock.advance(1)
        self.clock.advance(1)
        self.assertEqual(self.calls, [0, 1, 2])
        self.failureResultOf(waiting)
        self.assertEqual(self.closed(), ["1 × delayed call LoopingCall"])
        self.clock.advance(5)
        self.assertEqual(len(self.calls), 3)

    def test_noGrowth(self) -> None:
        """Thousands of calls, fired or cancelled, leave nothing."""
        for _ in range(20):
            for _ in range(100):
                self.host.callLater(0, self.calls.clear)
                self.host.callLater(9, self.calls.clear).cancel()
            self.clock.advance(0)
        self.assertEqual((self.host.pending(), len(self.clock.calls)), ({}, 0))

    def test_closed(self) -> None:
        """A call that did not come by the end never comes; afterwards there are no more."""
        self.host.callLater(2, self.calls.append, 1)
        self.host.callLater(3, self.test_closed)
        self.host.callLater(3, self.test_closed)
        self.assertEqual(self.host.pending(), {"delayed call list.append": 1, "delayed call CallTests.test_closed": 2})
        self.assertEqual(
            self.closed(), ["1 × delayed call list.append", "2 × delayed call CallTests.test_closed"]
        )
        self.clock.advance(9)
        self.assertEqual(self.calls, [])
        message = str(self.assertRaises(RuntimeError, self.host.callLater, 1, self.calls.append, 1))
        self.assertEqual(message, "plugin p 1.2 was stopped")
        self.assertEqual(self.closed(), [])


class LoopTests(HostTestCase):
    """`callEvery`."""

    def test_every(self) -> None:
        """The first call comes after the interval, or at once."""
        self.host.callEvery(2, self.calls.append, "later")
        self.host.callEvery(2, self.calls.append, "now", now=True)
        self.assertEqual(self.calls, ["now"])
        self.clock.advance(2)
        self.assertEqual(sorted(self.calls), ["later", "now", "now"])

    def test_errors(self) -> None:
        """Errors, also of Deferreds, are logged and counted, and the loop goes on."""

        async def fails() -> None:
            raise ValueError("no")

        self.host.callEvery(1, int, "x")
        self.host.callEvery(1, fails)
        self.clock.pump([1, 1, 1])
        self.assertEqual(self.host.errors, 6)
        self.assertEqual(self.failures().count("no"), 3)

    def test_stopped(self) -> None:
        """A loop that the plugin stops is out of the book."""
        loop = self.host.callEvery(1, self.calls.append, 1)
        self.assertEqual(self.host.pending(), {"looping call list.append": 1})
        loop.stop()
        self.assertEqual((self.host.pending(), self.closed()), ({}, []))

    def test_closed(self) -> None:
        """At the end loops stop, and what one waits for is cancelled, without a word in the log."""
        waiting: Deferred[None] = Deferred()
        self.host.callEvery(1, self.calls.append, 1)
        self.host.callEvery(1, lambda: waiting)
        self.clock.advance(1)
        self.assertEqual(len(self.closed()), 2)
        self.clock.advance(5)
        self.assertEqual((self.calls, waiting.called, self.host.events), ([1], True, []))
        self.assertRaises(RuntimeError, self.host.callEvery, 1, self.calls.append)


class ThreadTests(HostTestCase):
    """`callInThread` and `callFromThread`."""

    def test_result(self) -> None:
        """Result and failure arrive, and the book is empty."""
        right, wrong = self.host.callInThread(int, "5"), self.host.callInThread(int, "x")
        self.assertEqual(self.host.pending(), {"thread int": 2})
        self.host.work()
        self.assertEqual(self.successResultOf(right), 5)
        self.failureResultOf(wrong, ValueError)
        self.assertEqual(self.host.pending(), {})

    def test_closed(self) -> None:
        """After the end nothing begins, and nobody is told of a result."""
        waiting = self.host.callInThread(self.calls.append, 1)
        waiting.addCallbacks(self.calls.append, lambda failure: self.calls.append(failure.check(CancelledError)))
        self.assertEqual(self.closed(), ["1 × thread list.append"])
        self.host.work()
        self.assertEqual(self.calls, [CancelledError])
        self.assertRaises(RuntimeError, self.host.callInThread, int)

    def test_nobodyWaited(self) -> None:
        """A result that nobody waits for is no unhandled error when it is cancelled."""
        self.host.callInThread(int)
        self.closed()
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_unhandled(self) -> None:
        """A failure that the plugin does not look at is booked; one that it handles is not."""
        self.host.callInThread(int, "x")
        self.host.callInThread(int, "y").addErrback(lambda failure: None)
        self.host.work()
        gc.collect()
        self.assertEqual(self.host.errors, 1)
        self.assertIn("'x'", self.failures()[0])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_fromThread(self) -> None:
        """What a thread hands over is called, with errors logged; after the end it is dropped."""
        self.host.callFromThread(self.calls.append, 1)
        self.host.callFromThread(int, "x")
        self.assertEqual((self.calls, self.host.errors), ([1], 1))
        self.closed()
        self.host.callFromThread(self.calls.append, 2)
        self.assertEqual(self.calls, [1])


class AsyncioTests(HostTestCase):
    """`asyncio`: the loop is real, and the double waits for it."""

    async def work(self, answer: Any = 5) -> Any:
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def test_result(self) -> None:
        """A coroutine, or a function that gives one; and nothing is left in the book."""
        self.assertEqual(self.successResultOf(self.host.asyncio(self.work())), 5)
        self.assertEqual(self.successResultOf(self.host.asyncio(self.work)), 5)
        self.failureResultOf(self.host.asyncio(self.work(OSError())), OSError)
        self.assertEqual((self.host.pending(), self.closed()), ({}, []))

    def test_oneLoop(self) -> None:
        """What is made in one call is used in another."""

        async def make() -> None:
            self.lock = asyncio.Lock()
            await self.lock.acquire()
            self.waiting = asyncio.create_task(self.lock.acquire())

        async def release() -> bool:
            self.lock.release()
            return await self.waiting

        self.successResultOf(self.host.asyncio(make()))
        self.assertTrue(self.successResultOf(self.host.asyncio(release())))

    def test_closed(self) -> None:
        """What tasks have begun ends with the plugin, and after that nothing begins."""
        ended = []

        async def forever() -> None:
            try:
                await asyncio.sleep(1000)
            finally:
                ended.append(1)

        async def begin() -> None:
            self.kept = asyncio.create_task(forever())
            await asyncio.sleep(0)

        self.successResultOf(self.host.asyncio(begin()))
        self.assertEqual((self.closed(), ended), ([], [1]))
        work = self.work()
        self.assertRaises(RuntimeError, self.host.asyncio, work)
        self.assertEqual(inspect.getcoroutinestate(work), inspect.CORO_CLOSED)

    def test_leftAlone(self) -> None:
        """A task that does not end is said to be left, and waited for five seconds."""
        going: Any = asyncio.Event()

        async def refuses() -> None:
            self.loop = asyncio.get_running_loop()
            while not going.is_set():
                try:
                    await going.wait()
                except asyncio.CancelledError:
                    pass

        async def begin() -> None:
            self.kept = asyncio.create_task(refuses())
            await asyncio.sleep(0)

        self.successResultOf(self.host.asyncio(begin()))
        closing = Host.close(self.host)
        self.clock.advance(CLOSE_TIMEOUT - 0.1)
        self.assertNoResult(closing)
        self.clock.advance(0.2)
        self.successResultOf(closing)
        self.assertIn("do not end", self.host.events[-1]["log_format"])
        self.loop.call_soon_threadsafe(going.set)

    def test_unheard(self) -> None:
        """A task that fails and that nobody awaits is a failure of the plugin's."""

        async def begin() -> None:
            asyncio.create_task(self.work(OSError("no route")))  # noqa: RUF006
            await asyncio.sleep(0.001)
            gc.collect()

        self.successResultOf(self.host.asyncio(begin()))
        self.clock.workUntil(lambda: bool(self.host.errors))
        self.assertEqual((self.host.errors, self.failures()), (1, ["no route"]))

    def test_neither(self) -> None:
        """Anything else is refused at once, and said what it is."""
        error = self.assertRaises(TypeError, self.host.asyncio, 5)
        self.assertIn("host.asyncio takes a coroutine", str(error))


class OwnTests(HostTestCase):
    """`own` and `close`."""

    def test_order(self) -> None:
        """What is booked last ends first; each end is waited for before the next."""
        slow: Deferred[None] = Deferred()
        first = self.host.own(Thing(self.calls, "first"))
        self.assertEqual(first.name, "first")
        self.host.own(Thing(self.calls, "slow", slow))
        self.host.own(Thing(self.calls, "last"))
        closing = self.host.close()
        self.assertEqual(self.calls, ["last", "slow"])
        slow.callback(None)
        self.assertEqual(self.calls, ["last", "slow", "first"])
        self.assertEqual(self.successResultOf(closing), ["3 × Thing"])

    def test_endings(self) -> None:
        """A thing is ended by what is given, else by the first method of the usual names; or is refused."""

        class Cancellable:
            def cancel(inner) -> None:
                self.calls.append("cancel")

            def stopListening(inner) -> None:
                self.calls.append("stopListening")

        self.host.own(Cancellable())
        self.host.own(object(), partial(self.calls.append, "given"))
        self.assertIn("object", str(self.assertRaises(TypeError, self.host.own, object())))
        self.closed()
        self.assertEqual(self.calls, ["given", "stopListening"])

    def test_realThings(self) -> None:
        """Files and sockets are closed."""
        file = self.host.own(io.FileIO(self.mktemp(), "w"))
        one, other = (self.host.own(end) for end in socket.socketpair())
        self.assertEqual(self.closed(), ["1 × FileIO", "2 × socket"])
        self.assertEqual((file.closed, one.fileno(), other.fileno()), (True, -1, -1))

    def test_disown(self) -> None:
        """What the plugin has ended itself is not ended again; owning twice is owning once."""
        thing = Thing(self.calls, "x")
        self.host.own(thing)
        self.host.own(thing)
        self.assertEqual(self.host.pending(), {"Thing": 1})
        self.host.disown(thing)
        self.host.disown(thing)
        self.assertEqual((self.closed(), self.calls), ([], []))

    def test_deferred(self) -> None:
        """A Deferred is out of the book when it fires, and cancelled at the end."""
        fired: Deferred[int] = Deferred()
        left: Deferred[int] = Deferred(lambda _: self.calls.append("cancelled"))
        self.host.own(fired)
        self.host.own(left)
        self.host.own(succeed(1))
        fired.callback(5)
        self.assertEqual(self.successResultOf(fired), 5)
        self.assertEqual((self.closed(), self.calls), (["1 × Deferred"], ["cancelled"]))

    def test_raises(self) -> None:
        """An end that raises, even SystemExit, is logged, and the others come."""
        self.host.own(Thing(self.calls, "first"))
        self.host.own(Thing(self.calls, "exit"), lambda: (_ for _ in ()).throw(SystemExit(3)))
        self.host.own(object(), partial(int, "x"))
        self.host.own(Thing(self.calls, "odd"), lambda: (_ for _ in ()).throw(GeneratorExit))
        self.host.own(Thing(self.calls, "interrupt"), lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        self.host.own(Thing(self.calls, "bad", ValueError("no")))
        self.assertEqual(self.closed(), ["5 × Thing", "1 × object"])
        self.assertEqual(self.calls, ["bad", "first"])

    def test_deadline(self) -> None:
        """An end that does not come is given up, and the rest are begun all the same."""
        stuck: list[Deferred[None]] = [Deferred(), Deferred()]
        self.host.own(Thing(self.calls, "first"))
        for one in stuck:
            self.host.own(Thing(self.calls, "stuck", one))
        closing = self.host.close()
        self.clock.advance(CLOSE_TIMEOUT - 0.1)
        self.assertEqual(self.calls, ["stuck"])
        self.clock.advance(0.1)
        self.clock.advance(0)
        self.assertEqual(self.calls, ["stuck", "stuck", "first"])
        self.successResultOf(closing)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_freed(self) -> None:
        """A closed host keeps nothing of the plugin."""
        thing = Thing([], "x")
        gone = weakref.ref(thing)
        self.host.own(thing)
        self.host.callLater(1, thing.close)
        self.host.callEvery(1, thing.close)
        self.host.callInThread(thing.close)
        del thing
        self.closed()
        self.host.work()
        gc.collect()
        self.assertIsNone(gone())

    def test_logHandler(self) -> None:
        """A log handler hears, until it is removed and closed."""
        handler = logging.Handler()
        records: list[logging.LogRecord] = []
        handler.emit = records.append  # type: ignore[method-assign]
        handler.close = partial(self.calls.append, "closed")  # type: ignore[method-assign]
        logging.getLogger("revproxy.tests.host").addHandler(logging.NullHandler())
        self.host.addLogHandler(handler, "revproxy.tests.host")
        logging.getLogger("revproxy.tests.host").error("one")
        self.assertEqual(self.closed(), ["1 × log handler Handler"])
        logging.getLogger("revproxy.tests.host").error("two")
        self.assertEqual(([record.getMessage() for record in records], self.calls), (["one"], ["closed"]))
        self.assertNotIn(handler, logging.getLogger("revproxy.tests.host").handlers)
        self.assertRaises(RuntimeError, self.host.addLogHandler, handler)


class ClientTests(HostTestCase):
    """`client`, above a double; above real pools in tests.test_hostclient."""

    def test_answer(self) -> None:
        """An answer arrives, and the book is empty."""
        waiting: Deferred[Any] = Deferred()
        self.host.clientDouble.answers("GET", "http://a/", waiting)
        answered = self.host.client.get("http://a/", headers={"X": "y"})
        self.assertEqual(self.host.pending(), {"request GET": 1})
        self.assertEqual(self.host.clientDouble.requests, [("GET", "http://a/", {"headers": {"X": "y"}})])
        waiting.callback("answer")
        self.assertEqual((self.successResultOf(answered), self.host.pending()), ("answer", {}))

    def test_methods(self) -> None:
        """Every method of treq's is there."""
        for method in ("get", "head", "post", "put", "patch", "delete"):
            self.host.clientDouble.answers(method.upper(), "http://a/", ValueError("no"))
            self.failureResultOf(getattr(self.host.client, method)("http://a/"), ValueError)
        self.host.clientDouble.answers("POST", "http://a/", ValueError("no"))
        self.failureResultOf(self.host.client.post("http://a/", b"body"), ValueError)
        self.assertEqual(self.host.clientDouble.requests[-1][2], {"data": b"body"})
        self.assertEqual(self.host.pending(), {})

    def test_cancelled(self) -> None:
        """Requests under way are cancelled at the end; later ones are refused before they are sent."""
        waiting: Deferred[Any] = Deferred(lambda _: self.calls.append("cancelled"))
        self.host.clientDouble.answers("GET", "http://a/", waiting)
        client = self.host.client
        answered = client.get("http://a/")
        self.assertEqual(self.closed(), ["1 × request GET"])
        self.assertEqual(self.calls, ["cancelled"])
        self.successResultOf(answered)
        self.assertRaises(RuntimeError, client.get, "http://a/")
        self.assertEqual(len(self.host.clientDouble.requests), 1)

    def test_madeOnce(self) -> None:
        """The client is made when it is first asked for, and once."""
        made: list[int] = []
        host = Host(Clock(), "p", "1", lambda: made.append(1))
        self.assertEqual(made, [])
        self.assertIs(host.client, host.client)
        self.assertEqual(made, [1])


class RealThreadTests(TestCase):
    """With the reactor."""

    async def test_thread(self) -> None:
        """A function runs in a thread, and hands over to the reactor's thread."""
        host = Host(reactor, "p", "1", lambda: None)
        handed: Deferred[str] = Deferred()
        self.assertEqual(await host.callInThread(int, "5"), 5)
        await host.callInThread(host.callFromThread, handed.callback, "handed")
        self.assertEqual(await handed, "handed")
        host.callLater(60, handed.cancel)
        self.assertEqual(await host.close(), ["1 × delayed call Deferred.cancel"])


    async def test_full(self) -> None:
        """A call that there is no place for fails at once; the end waits for nothing, and takes back what waits."""
        gate, calls = threading.Event(), []
        self.addCleanup(gate.set)
        host = Host(reactor, "p", "1", lambda: None, threads=Threads("plugin p 1", 1, 2))
        hanging = [host.callInThread(gate.wait, 60), *(host.callInThread(calls.append, 1) for _ in range(2))]
        while host._threads.busy == 0 or host._threads.queued < 2:
            full = host.callInThread(calls.append, 1)
            await deferLater(reactor, 0)
            full.addErrback(lambda failure: None)
        failure = await self.assertFailure(host.callInThread(calls.append, 1), ThreadsFull)
        self.assertIn("all 1 threads of plugin p 1 are busy", str(failure))
        ended = await host.close()
        self.assertEqual(ended[0], "1 × thread Event.wait")
        for each in hanging:
            self.assertTrue(each.called)
        gate.set()
        self.assertEqual(calls, [])


class NamesTests(SynchronousTestCase):
    """Names that may be imported from the host's module."""

    def test_notLonger(self) -> None:
        """How foreign code is waited for has moved to the loop, and is here as before."""
        self.assertIs(host.notLonger, notLonger)
