"""
What is told of a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python.failure import Failure

from revproxy.errors import WrongAnswer
from revproxy.plan.words import LastFailure
from revproxy.worker.guard.lastfailure import HEAD, TAIL, lastFailureOf
from tests.worker.workers import WorkerCase, entry

CODE = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

def deep(count):
    if count:
        deep(count - 1)
    else:
        raise LookupError("deep down")

class Awful(Exception):
    def __str__(self):
        raise RuntimeError

@implementer(IMiddleware)
class Main:
    name = "a"
    def __init__(self, config): pass
    def handle(self, context):
        return True
    def deeply(self):
        deep(3)
    def awful(self):
        raise Awful
    def long(self):
        raise ValueError("x" * 100_000)
    def surrogates(self):
        raise ValueError("\\udc80")
    def elsewhere(self):
        int("five")
    def grouped(self):
        raise ExceptionGroup("both", [KeyError("a"), KeyError("b")])
    def caused(self):
        try:
            deep(0)
        except LookupError as error:
            raise OSError("because") from error
PluginMain = Main
"""


class LastFailureTests(WorkerCase):
    """
    Of a plugin that runs.
    """

    def setUp(self) -> None:
        super().setUp()
        self.become(self.plan(1, self.config(), entry("a", code=CODE)))
        running = self.worker.staging.running
        assert running is not None
        (self.instance,) = running.members.values()

    def of(self, function: Callable[[], Any]) -> LastFailure:
        """
        What is told of what a function raises.
        """
        try:
            function()
        except Exception:
            return lastFailureOf(Failure(), self.instance, 5.0)
        raise AssertionError("it raises nothing")

    def test_whole(self) -> None:
        """
        When, what, which of its functions was called, where it was in the end, and the way there from that function on.
        """
        told = self.of(self.instance.object.deeply)
        self.assertEqual((told.at, told.message, told.function), (5.0, "LookupError: deep down", "Main.deeply"))
        self.assertRegex(told.where, r"^plugin\.py:9$")
        lines = told.traceback.splitlines()
        self.assertIn("in deeply", lines[1])
        self.assertEqual((lines[-2].strip(), lines[-1]), ('raise LookupError("deep down")', "LookupError: deep down"))
        self.assertNotIn("test_lastfailure", told.traceback)

    def test_elsewhere(self) -> None:
        """
        What a library raised is at the plugin's line that called it.
        """
        self.assertEqual(self.of(self.instance.object.elsewhere).function, "Main.elsewhere")

    def test_complaint(self) -> None:
        """
        What the edge complains of has no way through the plugin's code; a wrong answer is at the method that gave it.
        """

        def complains() -> None:
            raise TypeError("handle answered 5")

        self.assertEqual(self.of(complains), LastFailure(5.0, "TypeError: handle answered 5"))
        wrong = lastFailureOf(Failure(WrongAnswer("handle", "5")), self.instance, 5.0)
        self.assertEqual((wrong.message, wrong.function), ("WrongAnswer: handle answered 5", "Main.handle"))
        self.assertRegex(wrong.where, r"^plugin\.py:\d+$")
        self.assertEqual(lastFailureOf(Failure(KeyError("k")), self.instance, 5.0), LastFailure(5.0, "KeyError: 'k'"))

    def test_bounded(self) -> None:
        """
        Of a long one the beginning and the end are told; of a long message, the beginning.
        """
        told = self.of(self.instance.object.long)
        self.assertLess(len(told.traceback), HEAD + TAIL + 100)
        self.assertLess(len(told.message), 3000)
        self.assertIn("in long", told.traceback)

    def test_foreign(self) -> None:
        """
        Exceptions whose text cannot be had, or written, that have causes, or are several.
        """
        self.assertIn("cannot be had", self.of(self.instance.object.awful).message)
        self.of(self.instance.object.surrogates).traceback.encode()
        self.assertIn("KeyError: 'b'", self.of(self.instance.object.grouped).traceback)
        told = self.of(self.instance.object.caused)
        self.assertIn("LookupError: deep down", told.traceback)
        self.assertIn("direct cause", told.traceback)
        self.assertEqual(told.function, "Main.caused")
