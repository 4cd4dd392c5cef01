"""What happened, and what the log says of it."""

from __future__ import annotations

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.events import EventLog
from revproxy.secrets import hide


class SecretTests(SynchronousTestCase):
    """Values that must not be shown."""

    def test_masked(self) -> None:
        """They are neither in the text nor in the traceback, whoever says them."""
        hide("Krikkit-War")
        event = EventLog(lambda: 0.0).add("failed", "no Krikkit-War", traceback="ValueError: 'Krikkit-War'")
        self.assertEqual((event.text, event.traceback), ("no ***", "ValueError: '***'"))


class LoggedTests(SynchronousTestCase):
    """Texts are plugins' own, and files' contents; the log is read in terminals."""

    def test_printable(self) -> None:
        """Control characters are escaped and what has no end is cut; the event itself keeps its text."""
        logged: list[LogEvent] = []
        globalLogPublisher.addObserver(logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, logged.append)
        events = EventLog(lambda: 0.0)
        text = "\x1b[2J\x9b2J" + "x" * 100_000
        events.add("refused", text, "hello")
        [event] = [event for event in logged if event["log_namespace"] == "revproxy.plan.events.EventLog"]
        line = formatEvent(event)
        self.assertTrue(line.startswith("plugin hello: refused: \\x1b[2J\\x9b2Jxxx"), line[:80])
        self.assertTrue(line.endswith("x\u2026(100007 characters)"), line[-80:])
        self.assertEqual(events.latest(1)[0].text, text)


class WritableTests(SynchronousTestCase):
    """Who is told of it writes it as UTF-8, in the midst of a change, and must not fail."""

    def test_writable(self) -> None:
        """Halves of surrogate pairs, which names of files have that are not UTF-8, are escaped."""
        event = EventLog(lambda: 0.0).add("refused", "a/\udcff.py", "\udcff", traceback="\udcfe", about={"x": "\udcfd"})
        told = event.text, event.plugin, event.traceback, event.about["x"]
        self.assertEqual(told, ("a/\\udcff.py", "\\udcff", "\\udcfe", "\\udcfd"))


class AboutTests(SynchronousTestCase):
    """What an event is about, for programs."""

    def test_about(self) -> None:
        """It is shown, secrets are masked, and it is bounded."""
        hide("Krikkit-War")
        about = {"upstream": "api", "target": "http://Krikkit-War", "long": "x" * 2000}
        event = EventLog(lambda: 0.0).add("target-down", "it is down", about=about)
        shown = event.asDict()["about"]
        self.assertEqual(shown, {"upstream": "api", "target": "http://***", "long": "x" * 1000})
        many = EventLog(lambda: 0.0).add("target-down", "it is down", about={str(count): "" for count in range(50)})
        self.assertEqual(len(many.about), 16)

    def test_hash(self) -> None:
        """An event can be in a set, whatever it is about."""
        event = EventLog(lambda: 0.0).add("a", "b", about={"c": "d"})
        self.assertIn(event, {event})
