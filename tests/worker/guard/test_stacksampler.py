"""Whose code is on a stack, by one sample after another."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.worker.guard.stacksampler import Call, Culprit, StackSamples


class StackSamplesTests(SynchronousTestCase):
    """What samples tell, one after another."""

    def setUp(self) -> None:
        culprits = {name: Culprit(name, "1", 1.0, name) for name in ("a", "b")}
        self.samples = StackSamples(culprits.get)
        self.now = 0.0

    def plugin(self, name: str, source: str) -> ModuleType:
        """A module of a plugin's."""
        module = ModuleType(name)
        exec(compile(source, f"/{name}/plugin.py", "exec"), module.__dict__)
        return module

    def look(self, seconds: float = 1.0) -> Call | None:
        """Sample the caller's stack, some time after the sample before."""
        self.now += seconds
        frame: FrameType = sys._getframe(1)
        return self.samples.take(frame, self.now, self.now)

    def test_oneCall(self) -> None:
        """The same call is told by its frame; its time runs from the first sample."""
        a = self.plugin("a", "def handle(look):\n    return [look(), look(), look()]")
        calls = a.handle(self.look)
        self.assertEqual(len({id(call) for call in calls}), 1)
        self.assertEqual((calls[0].seconds, calls[0].samples), (2.0, 3))

    def test_twoCalls(self) -> None:
        """Two calls are two, and the longer is remembered."""
        a = self.plugin("a", "def handle(look, times):\n    for _ in range(times): look()")
        for times in (2, 4, 3):
            a.handle(self.look, times)
        self.samples.close()
        self.assertEqual([call.seconds for call in self.samples.calls], [3.0])

    def test_library(self) -> None:
        """What a plugin calls is its own doing."""
        a = self.plugin("a", "def handle(call, look):\n    return call(look), call(look)")
        first, second = a.handle(lambda look: look(), self.look)
        self.assertIs(first, second)
        self.assertEqual(first.place.where, "/a/plugin.py:2")

    def test_inner(self) -> None:
        """The innermost plugin is charged, not the one that called it."""
        a = self.plugin("a", "def handle(inner, look):\n    look()\n    inner(look)\n    look()")
        b = self.plugin("b", "def handle(look):\n    look()\n    look()")
        a.handle(b.handle, self.look)
        self.samples.close()
        self.assertEqual([(call.culprit.plugin, call.seconds) for call in self.samples.calls], [("b", 1.0)])

    def test_within(self) -> None:
        """It is told whether the plugin has called into the edge."""
        ours = self.plugin("revproxy.something", "def deep(look):\n    return look()")
        a = self.plugin("a", "def handle(look, deep):\n    return look().place.within, deep(look).place.within")
        self.assertEqual(a.handle(self.look, ours.deep), (False, True))

    def test_generator(self) -> None:
        """Of a generator, every resumption is a call of its own."""
        a = self.plugin("a", "def handle(look):\n    while True:\n        yield look(), look()")
        going = a.handle(self.look)

        def resume() -> Any:
            return next(going)

        (one, same), (other, _) = resume(), resume()
        self.assertIs(one, same)
        self.assertIsNot(one, other)

    def test_lost(self) -> None:
        """Time in which the process did not run is not charged."""

        def stops() -> Call | None:
            self.now += 60
            return self.samples.take(sys._getframe(1), self.now, self.now, lost=59)

        a = self.plugin("a", "def handle(look, stops):\n    look()\n    return stops()")
        call = a.handle(self.look, stops)
        self.assertEqual(call.seconds, 1.0)

    def test_nobody(self) -> None:
        """Without a plugin there is no call; but a place."""
        self.assertIsNone(self.look())
        usual = self.samples.usual
        assert usual is not None
        self.assertEqual((usual.culprit, usual.function), (None, "StackSamplesTests.test_nobody"))

    def test_keepsNothing(self) -> None:
        """A frame is not kept longer than until the next sample."""
        a = self.plugin("a", "def handle(look):\n    look()")
        a.handle(self.look)
        self.look()
        self.assertEqual((self.samples._entry, self.samples._anchor), (None, None))

    def test_usual(self) -> None:
        """Of the places that were seen, the one that was seen most is told."""

        def held() -> None:
            self.look()
            self.look()

        self.look()
        held()
        usual = self.samples.usual
        assert usual is not None
        self.assertEqual(usual.function, "StackSamplesTests.test_usual.<locals>.held")

    def test_recursion(self) -> None:
        """However deep a plugin calls itself, it is one call."""
        a = self.plugin("a", "def handle(look, n):\n    return [look()] + (handle(look, n - 1) if n else [])")
        calls: list[Callable[[], None]] = a.handle(self.look, 200)
        self.assertEqual(len({id(call) for call in calls}), 1)
