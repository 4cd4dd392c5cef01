"""
How the edge's own log is written.
"""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from twisted.logger import FileLogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy import secrets
from revproxy.config.settings import LoggingConfig
from revproxy.plan.events import EventLog
from revproxy.plan.versionid import VersionId
from revproxy.secrets import hide
from revproxy.worker.logform import Leveled, LogForm


class LogFormCase(SynchronousTestCase):
    """
    A file that is written through a form.
    """

    def setUp(self) -> None:
        self.form = LogForm()
        self.file = StringIO()
        self.log = Logger("revproxy.some.module", observer=FileLogObserver(self.file, self.form))

    def written(self) -> str:
        """
        What was written since the last time.
        """
        text = self.file.getvalue()
        self.file.truncate(self.file.seek(0))
        return text

    def lines(self) -> list[dict[str, Any]]:
        """
        The same, as JSON.
        """
        return [json.loads(line) for line in self.written().splitlines()]


class TerminalTests(LogFormCase):
    """
    What somebody else says does nothing to who reads the log.
    """

    def test_controls(self) -> None:
        """
        What steers a terminal, or turns a line around, is written as an escape, in messages and in tracebacks.
        """
        said = "\x1b[2J\x9b1m \r2026\x00 \u202eback\u2028 \ud800 \x07 Zaphod\tü"
        self.log.error("{said}", said=said)
        self.log.failure("broken", Failure(ValueError(said)))
        text = self.written()
        for character in "\x1b\x9b\r\x00\u202e\u2028\ud800\x07":
            self.assertNotIn(character, text)
        self.assertEqual(text.count("\\x1b[2J\\x9b1m \\r2026\\x00 \\u202eback\\u2028 \\ud800 \\x07 Zaphod\tü"), 2)


class LevelTests(LogFormCase):
    """
    From a level on there are lines.
    """

    def test_each(self) -> None:
        """
        Those of the level and above; what has no level is taken for important.
        """
        for level, expected in (("debug", "diwec"), ("info", "iwec"), ("warn", "wec"), ("error", "ec")):
            self.form.adopt(LoggingConfig(level=level))
            for each in LogLevel.iterconstants():
                self.log.emit(each, each.name[0])
            said = "".join(line.split()[-1] for line in self.written().splitlines())
            self.assertEqual(said, expected)
        self.assertIsNotNone(self.form({"log_format": "legacy"}))

    def test_usual(self) -> None:
        """
        Usually it is text from info on, as twistd writes it.
        """
        self.log.debug("nothing")
        self.log.info("hello {name}", name="you")
        self.assertRegex(self.written(), r"^\d{4}-\d\d-\d\dT[\d:+-]+ \[revproxy.some.module#info\] hello you\n$")

    def test_others(self) -> None:
        """
        An observer that is none of ours hears of the same.
        """
        heard: list[dict[str, Any]] = []
        log = Logger("x", observer=Leveled(heard.append, self.form))
        log.debug("nothing")
        log.warn("something")
        self.assertEqual([event["log_format"] for event in heard], ["something"])


class SecretTests(LogFormCase):
    """
    What must not be shown.
    """

    def test_masked(self) -> None:
        """
        In either form, and in tracebacks, there are stars.
        """
        hide("correct horse battery")
        for own in ("text", "json"):
            self.form.adopt(LoggingConfig(own=own))
            self.log.info("it is {it}{below}", it="correct horse battery", below="\nhere: correct horse battery")
            text = self.written()
            self.assertNotIn("horse", text)
            self.assertEqual(text.count("***"), 2)

    def test_head(self) -> None:
        """
        When it was, whose it is and its level are left alone, whatever word is a secret; not what others call a system.
        """
        self.patch(secrets, "_hidden", secrets.Hidden())
        hide("warn")
        hide("module")
        for own in ("text", "json"):
            self.form.adopt(LoggingConfig(own=own))
            self.log.warn("a module")
            text = self.written()
            self.assertIn("warn", text)
            self.assertIn("revproxy.some.module", text)
            self.assertIn("a ***", text)
        self.form.adopt(LoggingConfig())
        self.log.warn("a module", log_system="the module")
        self.assertIn("[the ***] a ***", self.written())


class JSONTests(LogFormCase):
    """
    One object for each event, each on one line.
    """

    def setUp(self) -> None:
        super().setUp()
        self.form.adopt(LoggingConfig(own="json"))

    def test_plain(self) -> None:
        """
        When, how bad, from where, what; control characters, line feeds and odd characters in their place.
        """
        self.log.warn("{text}", text="a\nb\x1b\u2028\udc80ü")
        (line,) = self.written().splitlines()
        shown = json.loads(line)
        self.assertRegex(shown.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(shown, {
            "level": "warn", "namespace": "revproxy.some.module", "message": "a\nb\x1b\u2028\udc80ü",
        })  # fmt: skip
        self.assertTrue(line.isascii() and line.isprintable())

    def test_failure(self) -> None:
        """
        A failure's traceback is a key of its own.
        """
        try:
            raise KeyError("k")
        except KeyError:
            self.log.failure("{name} failed", Failure(), name="a")
        (line,) = self.lines()
        self.assertEqual((line["level"], line["message"]), ("critical", "a failed"))
        self.assertIn("test_logform.py", line["traceback"])

    def test_hostile(self) -> None:
        """
        A failure whose text cannot be had, and a format that does not fit, are lines all the same.
        """

        class Awful(Exception):
            def __str__(self) -> str:
                raise RuntimeError

            __repr__ = __str__

        class Failed:
            def getTraceback(self) -> str:
                raise RuntimeError

        self.log.info("{nothing[0].here}", log_failure=Failed())
        self.log.info("{error}", error=Awful())
        first, second = self.lines()
        self.assertIn("cannot be shown: RuntimeError", first["traceback"])
        self.assertTrue(first["message"] and second["message"])

    def test_plugins(self) -> None:
        """
        What is about a plugin says which, and which version.
        """
        Logger("plugin.quota", observer=self.log.observer).info("x", version="1.0")
        self.log.info("x", plugin="auth", version=VersionId("2.0", "ab" * 32))
        self.log.info("x", plugin="", version=VersionId())
        self.assertEqual([(line.get("plugin"), line.get("version")) for line in self.lines()], [
            ("quota", "1.0"), ("auth", "2.0 (abababababab)"), (None, None)
        ])  # fmt: skip

    def test_events(self) -> None:
        """
        An event is one object, with its traceback; as text, the traceback stands below it.
        """
        events = EventLog(lambda: 0.0)
        self.patch(EventLog, "_log", self.log)
        events.add("refused", "it will not do", "a", VersionId("1.0"), "Traceback:\n  here")
        (line,) = self.lines()
        del line["time"]
        self.assertEqual(line, {
            "level": "warn", "namespace": line["namespace"], "kind": "refused", "plugin": "a", "version": "1.0",
            "message": "plugin a 1.0: refused: it will not do", "traceback": "Traceback:\n  here",
        })  # fmt: skip
        self.form.adopt(LoggingConfig(own="text"))
        events.add("refused", "it will not do", "a", VersionId("1.0"), "Traceback:\n  here")
        self.assertIn("it will not do\n\tTraceback:\n\t  here\n", self.written())
