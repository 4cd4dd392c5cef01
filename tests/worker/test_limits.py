"""Limits of plugins in the worker's own process: each is broken by a plugin, and that is an event and a figure."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from revproxy.context import Context
from revproxy.errors import BodyTooLarge, LimitExceeded, PluginFailed, PluginTimeout
from revproxy.plan.words import Counters, Failures, Notice
from revproxy.testing import SourceDouble, makeContext
from tests.worker.workers import WorkerCase, entry

EATS = """
    kept = []
    def handle(self, context):
        self.kept.append(b"x" * (64 << 20))
        return True
"""

EATS_LATER = """
    kept = []
    async def handle(self, context):
        from twisted.internet.defer import succeed
        await succeed(None)
        self.kept.append(b"x" * (64 << 20))
        return True
"""

WAITS = """
    def handle(self, context):
        from twisted.internet.defer import Deferred
        waiting = context.values["waiting"] = Deferred()
        return waiting
"""

READS = """
    async def handle(self, context):
        return len(await context.request.body.read(1000)) > 0
"""


class LimitsTests(WorkerCase):
    """One plugin, and what it has too much of."""

    def run_(self, body: str, **limits: Any) -> None:
        """Have it run, with these limits in its plugin.json."""
        self.become(self.plan(1, self.config(), entry("a", body=body, limits=limits)))
        self.told.clear()

    def enter(self, context: Context | None = None) -> Any:
        """A request comes."""
        [chain] = self.worker.edge.generation.chains
        return chain.enter(makeContext() if context is None else context)

    def exceeded(self) -> list[tuple[str, int, str]]:
        """Of each limit: its name, how often the figure says it was exceeded, and the text of the event."""
        self.worker.counters.report()
        counts: dict[str, int] = {}
        for word in self.told:
            for version in word.versions if isinstance(word, Counters) else ():
                for limit, count in version.exceeded.items():
                    counts[limit] = counts.get(limit, 0) + count
        texts = [word.text for word in self.told if isinstance(word, Notice) and word.kind == "limit-exceeded"]
        return [(limit, counts[limit], text) for limit, text in zip(counts, texts, strict=True)]

    def test_memory(self) -> None:
        """A plugin that keeps what it takes is not called any more once that is too much; a request fails for it."""
        for body in (EATS, EATS_LATER):
            self.run_(body, memory_mb=32)
            answer = self.enter()
            self.assertIs(answer if answer is True else self.successResultOf(answer), True)
            error = self.assertRaises(PluginFailed, self.enter)
            self.assertIn("limits.memory_mb is 32", str(error))
            self.assertEqual(len(self.flushLoggedErrors(LimitExceeded)), 1)
            [(limit, count, text)] = self.exceeded()
            self.assertEqual((limit, count), ("memory", 1))
            self.assertIn("memory: too much memory: its calls have taken 6", text)
            self.assertEqual([word.count for word in self.told if isinstance(word, Failures)], [1])
            [instance] = self.worker.staging.running.of("a")  # type: ignore[union-attr]
            instance.object.kept.clear()
            self.enter()

    def test_memoryUnbound(self) -> None:
        """Without a limit nobody looks."""
        self.run_(EATS)
        [[link]] = [chain.links for chain in self.worker.edge.generation.chains]
        self.assertIsNone(link.memory)
        self.assertEqual(link.handle, link.instance.handle)

    def test_concurrency(self) -> None:
        """While so many of its answers are awaited, a further call is not made; it is as soon as one has come."""
        self.run_(WAITS, concurrency=2)
        contexts = [makeContext() for _ in range(2)]
        answers: list[Deferred[bool]] = [self.enter(context) for context in contexts]
        error = self.assertRaises(PluginFailed, self.enter)
        self.assertIn("2 of its answers are awaited, and limits.concurrency is 2", str(error))
        contexts[0].values["waiting"].callback(True)
        self.assertIs(self.successResultOf(answers[0]), True)
        self.assertNoResult(self.enter())
        [(limit, count, text)] = self.exceeded()
        self.assertEqual((limit, count), ("concurrency", 1))
        self.assertIn("concurrency: too much at a time", text)
        self.flushLoggedErrors(LimitExceeded)

    def test_body(self) -> None:
        """A body that is longer than it may hold, told beforehand or found out."""
        self.run_(READS, body_bytes=10)
        source = SourceDouble([b"x" * 8, b"y" * 8])
        known = self.enter(makeContext("POST", body=b"x" * 11))
        unknown = self.enter(makeContext("POST", body=source.body))
        source.begin()
        for answer in (known, unknown):
            self.assertIn("body is larger than 10 bytes", str(self.failureResultOf(answer, PluginFailed).value))
        self.assertIs(self.successResultOf(self.enter(makeContext("POST", body=b"x" * 10))), True)
        [(limit, count, text)] = self.exceeded()
        self.assertEqual((limit, count), ("body", 2))
        self.assertIn("a body of more than 10 bytes, which are limits.body_bytes", text)
        self.flushLoggedErrors(BodyTooLarge)

    def test_ownBound(self) -> None:
        """What a plugin does not want to read by its own word is no limit of its manifest."""
        self.run_(READS, body_bytes=5000)
        self.failureResultOf(self.enter(makeContext("POST", body=b"x" * 1001)), PluginFailed)
        self.assertEqual(self.exceeded(), [])
        self.flushLoggedErrors(BodyTooLarge)

    def test_time(self) -> None:
        """An answer that does not come in time."""
        self.run_(WAITS, timeout_ms=100)
        answer = self.enter()
        self.elapse(lambda: answer.called)
        self.failureResultOf(answer, PluginFailed)
        [(limit, count, _)] = self.exceeded()
        self.assertEqual((limit, count), ("wall", 1))
        self.flushLoggedErrors(PluginTimeout)
