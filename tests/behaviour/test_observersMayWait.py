"""``finished`` may be a coroutine: the request is over, and the plugin is kept, and judged, until it has done."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from revproxy.context import Context
from revproxy.dataplane import chain
from tests.behaviour.test_failuresStayApart import FailingCase
from tests.dataplane.origins import OK
from tests.dataplane.test_exchange import GET, ExchangeCase


class FinishedTests(ExchangeCase):
    """One request after the other, and what becomes of their ends."""

    def setUp(self) -> None:
        super().setUp()
        self.waiting: list[Deferred[None]] = []
        self.done: list[int] = []
        self.link = self.edge.chains[0].links[0]
        self.watch(self.finished)

    def watch(self, finished: Any) -> None:
        """The plugin's ``finished``."""
        self.edge.chains[0]._observers = ((self.link, finished, self.link.counters),)

    async def finished(self, context: Context) -> None:
        self.waiting.append(Deferred())
        await self.waiting[-1]
        self.done.append(context.outcome.status)

    def ask(self) -> None:
        self.client.send(GET)
        self.connection.says(OK)
        self.assertTrue(self.client.received().endswith(b"hi"))

    def test_runs(self) -> None:
        """It runs; the client and the access log do not wait for it, the chain does."""
        self.ask()
        self.ask()
        self.assertEqual((len(self.edge.log.records), len(self.waiting), self.edge.active), (2, 2, 2))
        self.waiting[0].callback(None)
        self.assertEqual((self.done, self.edge.active, self.link.finishing), ([200], 1, 1))
        self.waiting[1].callback(None)
        self.assertEqual((self.done, self.edge.active, self.link.finishing), ([200, 200], 0, 0))
        self.assertEqual(self.link.counters.errors, 0)

    def test_fails(self) -> None:
        """What it raises, also later, is the plugin's failure, and its end."""
        self.ask()
        self.waiting[0].errback(LookupError("no"))
        self.assertEqual((self.link.counters.errors, self.edge.active), (1, 0))
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)

    def test_tooLong(self) -> None:
        """It has the plugin's time."""
        self.link.timeout = 1.0
        self.ask()
        self.edge.pass_(2)
        self.assertEqual((self.link.counters.errors, self.link.counters.timeouts, self.edge.active), (1, 1, 0))
        self.flushLoggedErrors()

    def test_tooMany(self) -> None:
        """There are not endlessly many at once; those too many are failures."""
        self.patch(chain, "MOST_FINISHING", 2)
        answers: list[Deferred[None]] = []

        def finished(context: Context) -> Deferred[None]:
            answers.append(Deferred())
            return answers[-1]

        for observer, begun in ((self.finished, self.waiting), (finished, answers)):
            self.watch(observer)
            before = self.link.counters.errors
            for _ in range(3):
                self.ask()
            self.assertEqual((self.link.counters.errors - before, self.edge.active), (1, 2))
            for waiting in begun[:2]:
                waiting.callback(None)
            self.assertEqual(self.edge.active, 0)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_tools(self) -> None:
        """Of several, each finds its own tools in the context, and the next does not wait to begin at once."""
        order: list[str] = []

        async def first(context: Context) -> None:
            order.append("first")
            await self.waiting[0]
            order.append(context.log.namespace)

        self.waiting.append(Deferred())
        counters = self.link.counters
        second = lambda context: order.append("second")  # noqa: E731
        self.edge.chains[0]._observers = ((self.link, first, counters), (self.link, second, counters))
        self.ask()
        self.assertEqual(order, ["second", "first"])
        self.waiting[0].callback(None)
        self.assertEqual(order[2], "plugin.onlooker")

    def test_otherAnswers(self) -> None:
        """What cannot be waited for is nothing."""
        self.watch(lambda context: 5)
        self.ask()
        self.assertEqual((self.link.counters.errors, self.edge.active), (0, 0))


WAITS = """
    async def finished(self, context):
        from twisted.internet.defer import Deferred
        self.stage.ends = Deferred()
        await self.stage.ends
        self.stage.visit(self, "end", context)
"""


class SwapTests(FailingCase):
    """A plugin that is replaced meanwhile."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(body=WAITS)
        self.ask("/1")

    def test_kept(self) -> None:
        """It is stopped when it has done."""
        self.bench.stamp("b", "2", version="2.0")
        self.bench.apply()
        self.bench.settle()
        self.assertEqual(self.stage.stopsOf("b 1"), 0)
        self.stage.ends.callback(None)  # type: ignore[attr-defined]
        self.bench.settle()
        self.assertEqual((self.stage.stopsOf("b 1"), self.stage.marks("/1", "end")["b"]), (1, "1"))

    def test_edgeEnds(self) -> None:
        """So it is when the edge ends."""
        ending = self.bench.later(self.bench.worker.endPlugins())
        self.assertEqual(self.stage.stopsOf("b 1"), 0)
        self.stage.ends.callback(None)  # type: ignore[attr-defined]
        self.bench.settle()
        self.assertEqual(self.stage.stopsOf("b 1"), 1)
        self.successResultOf(ending)
