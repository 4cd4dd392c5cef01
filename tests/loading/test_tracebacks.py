"""What is told of an exception that came through a plugin's code."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import Bundle, makeBundle
from revproxy.loading.tracebacks import (
    MAX_TRACEBACK,
    described,
    lastLineIn,
    plainFile,
    stampedFile,
    stampIn,
    stampOf,
    tracebackOf,
)

PLACE = Path("/nowhere/plugins/p")
CODE = "def call(function):\n    return function()\n"


def bundle(comment: str = "") -> Bundle:
    """A bundle of one file."""
    return makeBundle("p", {"plugin.py": (CODE + comment).encode()}, PLACE)


def through(*bundles: Bundle) -> BaseException:
    """An exception that went through the code of these bundles, the outermost first."""

    def call() -> Any:
        raise ValueError("too  bad")

    for inner in reversed(bundles):
        namespace: dict[str, Any] = {}
        exec(compile(CODE, stampedFile(inner, "plugin.py"), "exec"), namespace)
        call = _bound(namespace["call"], call)
    try:
        call()
    except ValueError as error:
        return error
    raise AssertionError("nothing was raised")


def _bound(function: Any, argument: Any) -> Any:
    return lambda: function(argument)


class StampTests(SynchronousTestCase):
    """The file names of a plugin's code."""

    def test_stamp(self) -> None:
        """They end with the beginning of the digest, and without that they are files on disk."""
        name = stampedFile(bundle(), "inner/a.py")
        self.assertEqual(name, f"{PLACE}/inner/a.py@{bundle().digest[:12]}")
        self.assertEqual((stampIn(name), plainFile(name)), (stampOf(bundle()), f"{PLACE}/inner/a.py"))

    def test_others(self) -> None:
        """Other files have none, whatever signs are in their names."""
        for name in ("/etc/a.py", "/home/me@0123456789abcdef/a.py", "/home/me@012345/a.py", "<string>"):
            self.assertEqual((stampIn(name), plainFile(name)), (None, name))


class LineTests(SynchronousTestCase):
    """`lastLineIn`."""

    def test_innermost(self) -> None:
        """It is the last line of the plugin, not that of the library which it called."""
        self.assertEqual(lastLineIn(through(bundle()), PLACE), f"{PLACE}/plugin.py:2")

    def test_version(self) -> None:
        """Lines of another version of the same folder do not count where a version is asked for."""
        error = through(bundle("# 1"))
        self.assertEqual(lastLineIn(error, PLACE, stampOf(bundle("# 1"))), f"{PLACE}/plugin.py:2")
        self.assertIsNone(lastLineIn(error, PLACE, stampOf(bundle("# 2"))))

    def test_elsewhere(self) -> None:
        """There is none of a folder whose name only begins alike, and none of what was never raised."""
        self.assertIsNone(lastLineIn(through(bundle()), Path("/nowhere/plugins/p2")))
        self.assertIsNone(lastLineIn(through(bundle()), Path("/nowhere/plug")))
        self.assertIsNone(lastLineIn(ValueError(), PLACE))


class TextTests(SynchronousTestCase):
    """An exception as text."""

    def test_described(self) -> None:
        """One line: the class, and what it says if it says anything."""
        self.assertEqual(described(KeyError("rate")), "KeyError: 'rate'")
        self.assertEqual(described(ValueError()), "ValueError")

    def test_longText(self) -> None:
        """Of a text of any length a beginning is told: refusals are kept, and shown to people."""
        text = described(ValueError("x" * 10_000_000))
        self.assertTrue(text.startswith("ValueError: xxx") and text.endswith("x…"), text[-20:])
        self.assertLess(len(text), 10_000)

    def test_hint(self) -> None:
        """What says nothing to people who write for Twisted says what to do."""
        error = self.assertRaises(RuntimeError, asyncio.get_running_loop)
        self.assertEqual(
            described(error),
            "RuntimeError: no running event loop; what is written for asyncio runs by host.asyncio(coroutine)",
        )

    def test_traceback(self) -> None:
        """It begins with the plugin's own code: who called it is nobody's business."""
        lines = tracebackOf(through(bundle())).splitlines()
        self.assertEqual(lines[:2], [
            "Traceback (most recent call last):",
            f'  File "{stampedFile(bundle(), "plugin.py")}", line 2, in call',
        ])
        self.assertEqual(lines[-1], "ValueError: too  bad")

    def test_noPlugin(self) -> None:
        """One that came through no plugin is told from its beginning."""
        self.assertIn("in through", tracebackOf(through()))

    def test_syntaxError(self) -> None:
        """A mistake in the plugin's text says itself where it is; the stack of the import is left out."""
        try:
            compile("x = = 1", stampedFile(bundle(), "plugin.py"), "exec")
        except SyntaxError as error:
            text = tracebackOf(error)
        self.assertNotIn("in test_syntaxError", text)
        self.assertIn(f'File "{stampedFile(bundle(), "plugin.py")}", line 1', text)

    def test_long(self) -> None:
        """Of a long one the end is kept."""
        text = tracebackOf(ValueError("x" * MAX_TRACEBACK + "end"))
        self.assertEqual(len(text), MAX_TRACEBACK)
        self.assertTrue(text.endswith("xend\n"))
