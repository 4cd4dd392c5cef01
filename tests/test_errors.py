"""Tests for :mod:`revproxy.errors`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy import errors
from revproxy.errors import REASONS, EdgeError, Foreign, MethodNotAllowed, PluginStalled, hintFor, printable
from revproxy.guardedcontext import GuardedContext
from revproxy.permissions import Permissions
from revproxy.permit import Permit
from revproxy.testing import makeContext

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EdgeError)]
KINDS.remove(errors.Refused)


class EdgeErrorTests(SynchronousTestCase):
    """One tree of errors, each with its answer."""

    def test_answers(self) -> None:
        """Each has a status of an error that has a name, and a public text; what the log is told is another."""
        self.assertGreater(len(KINDS), 25)
        for kind in KINDS:
            self.assertTrue(400 <= kind.status < 600, kind)
            self.assertTrue(kind.status in REASONS or kind is errors.ClientGone, kind)
            self.assertTrue(kind.text.endswith("."), kind)
            self.assertNotIn("secret", kind("secret").text)

    def test_allowed(self) -> None:
        """A method that is not allowed says which are."""
        self.assertEqual(MethodNotAllowed("x", (b"GET",)).allowed, (b"GET",))
        self.assertEqual(MethodNotAllowed("x").allowed, ())

    def test_reasons(self) -> None:
        """The phrases are those of RFC 9110, whatever the standard library calls them."""
        self.assertEqual([REASONS[status] for status in (200, 413, 416, 422)][1:], [
            "Content Too Large",
            "Range Not Satisfiable",
            "Unprocessable Content",
        ])
        self.assertEqual(REASONS.keys(), {status.value for status in HTTPStatus})


class ForeignTests(SynchronousTestCase):
    """What may come out of code of others."""

    def test_kinds(self) -> None:
        """All that a plugin can raise, an end of the process and its own stall among it; no ends of generators."""
        for kind in (ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, PluginStalled, EdgeError):
            self.assertTrue(issubclass(kind, Foreign), kind)
        self.assertFalse(issubclass(GeneratorExit, Foreign))

    def test_stallsAreNotSwallowed(self) -> None:
        """Whatever a plugin catches, it does not catch its own end by it."""
        self.assertFalse(issubclass(PluginStalled, Exception))


class PrintableTests(SynchronousTestCase):
    """Texts of somebody else's."""

    def test_controls(self) -> None:
        """Control characters become escapes, lines stay lines."""
        self.assertEqual(printable("a\x1b[2J\r\nb\u202e\xe9"), "a\\x1b[2J\\r\nb\\u202e\xe9")

    def test_limit(self) -> None:
        """What is too long is cut, and says how long it was."""
        self.assertEqual(printable("abcdef", 3), "abc\u2026(6 characters)")
        self.assertEqual(printable("abc", 3), "abc")


class HintTests(SynchronousTestCase):
    """
    `hintFor`: what to do about errors that authors meet.
    """

    def test_hints(self) -> None:
        """
        Common mistakes are told what to write instead; other errors stand for themselves.
        """
        mistakes: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
            (lambda context: context.response.headers, AttributeError, "handleResponse"),
            (lambda context: context.request.headers["A"], TypeError, "get, getAll, set"),
            (lambda context: setattr(context, "tenant", "a"), AttributeError, "context.values"),
        ]
        plain = makeContext("GET", "/")
        for context in (plain, GuardedContext(plain, Permit(Permissions()))):
            for mistake, kind, hint in mistakes:
                self.assertIn(hint, hintFor(self.assertRaises(kind, mistake, context)))
        self.assertEqual(hintFor(AttributeError("'NoneType' object has no attribute 'x'")), "")
        self.assertEqual(hintFor(None), "")
