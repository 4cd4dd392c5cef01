"""
What workers say, and who hears it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.settings import TLSConfig
from revproxy.control.inbox import Inbox
from revproxy.control.slowplugins import SlowPlugins
from revproxy.control.state.totals import Totals
from revproxy.plan.counted import VersionCounters
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.versionid import UNKNOWN, VersionId
from revproxy.plan.words import (
    Answer,
    CertificateState,
    Connections,
    Counters,
    DropIns,
    Failures,
    Notice,
    Records,
    Rehearsed,
    Remains,
    Restored,
    Stalled,
    TargetChanged,
    Up,
)
from tests.control.conversations import makeConfig
from tests.plan.test_words import examples

VERSION = VersionId("1.0", "5d" * 32)


class Heard:
    """Writes down what it is called with, in the place of those that hear words."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: self.calls.append((name, *arguments))


class InboxTests(SynchronousTestCase):
    """
    Each word has its place.
    """

    def setUp(self) -> None:
        self.events = EventLog(lambda: 0.0)
        self.totals = Totals()
        self.snapshots: Any = Heard()
        self.quarantine: Any = Heard()
        self.slowPlugins = SlowPlugins(Clock(), self.events, self.quarantine.overLoop)
        self.inbox = Inbox(self.events, self.totals, self.snapshots, self.quarantine, self.slowPlugins)

    def told(self) -> list[tuple[str, str, str]]:
        """
        Events: kind, plugin and text.
        """
        return [(event.kind, event.plugin, event.text) for event in self.events.latest(9)]

    def test_counters(self) -> None:
        """
        Counters are added up, and the quarantine is to know of calls.
        """
        word = Counters((VersionCounters("a", VERSION, 5),))
        self.inbox.receive(2, word)
        self.assertEqual(self.totals.of("a", VERSION.digest).calls, 5)
        self.assertEqual((self.quarantine.calls, self.told()), ([("counted", 2, word)], []))

    def test_subscribers(self) -> None:
        """
        Whoever wants to hear of records and counters does, with the number of the worker.
        """
        heard: list[Any] = []
        self.inbox.onCounters.append(lambda *said: heard.append(said))
        self.inbox.onRecords += [lambda *said: heard.append(said), lambda worker, word: heard.append(word.count)]
        self.inbox.receive(2, Counters())
        self.inbox.receive(1, Records(b"\x91\x90", 1))
        self.assertEqual(heard, [(2, Counters()), (1, Records(b"\x91\x90", 1)), 1])

    def test_failures(self) -> None:
        """
        Failures, and that a version is well again, are for the quarantine.
        """
        failures, restored = Failures("a", VERSION, 1, 9), Restored("a", VERSION)
        self.inbox.receive(1, failures)
        self.inbox.receive(1, restored)
        self.assertEqual(self.quarantine.calls, [("failed", 1, failures), ("restored", restored)])

    def test_stalled(self) -> None:
        """
        A loop that was held is an event, whoever did it; the quarantine hears of it, too.
        """
        words = [
            Stalled("a", VERSION, "handle", "plugin.py:3", 1.234, True),
            Stalled("", UNKNOWN, "select", "selectors.py:1", 0.5, False),
        ]
        for word in words:
            self.inbox.receive(0, word)
        self.assertEqual(self.told(), [
            ("stalled", "a", "the reactor was held for 1.23 s by handle at plugin.py:3; the call was ended"),
            ("stalled", "", "the reactor was held for 0.50 s by select at selectors.py:1"),
        ])  # fmt: skip
        self.assertEqual(self.quarantine.calls, [("stalled", word) for word in words])

    def test_remains(self) -> None:
        """
        What stays in memory is an event, with who keeps it.
        """
        self.inbox.receive(0, Remains("a", VERSION, 20.4, ("class", "instance"), ("a thread: t", "a module: m")))
        self.inbox.receive(0, Remains("a", VERSION, 20.4, ("class",), ()))
        self.assertEqual([text for _, _, text in self.told()], [
            "still in memory 20 s after it ended (class, instance), held by: a thread: t; a module: m",
            "still in memory 20 s after it ended (class), held by: nobody who can be named",
        ])  # fmt: skip

    def test_notice(self) -> None:
        """
        A notice is an event as it stands.
        """
        self.inbox.receive(0, Notice("handover-lost", "too large", "a", VERSION, "a traceback"))
        (event,) = self.events.latest(9)
        self.assertEqual((event.kind, event.version, event.traceback), ("handover-lost", VERSION, "a traceback"))

    def test_certificates(self) -> None:
        """
        The state of a listener's certificates is known; a problem is told when it is new, and again once it was gone.
        """
        good = CertificateState("tcp:1", "/c", ("a.example",), 5.0)
        first = CertificateState("tcp:1", "/c", ("a.example",), 5.0, ("a.pem: expired",))
        more = CertificateState("tcp:1", "/c", (), None, ("a.pem: expired", "b.pem: no key"), True)
        for word in (good, first, first, more, good, first):
            self.inbox.receive(0, word)
        kept = "; none of the new ones can be used, and the certificates stay as they were"
        self.assertEqual([(kind, text) for kind, _, text in self.told()], [
            ("certificate-refused", "a.pem: expired"),
            ("certificate-refused", f"b.pem: no key{kept}"),
            ("certificate-refused", "a.pem: expired"),
        ])  # fmt: skip
        self.assertEqual(self.inbox.certificates, {"tcp:1": first})
        self.assertEqual(self.events.latest(1)[0].about, {"certificate": "a.pem"})

    def test_oneFolderOfTwo(self) -> None:
        """
        Two listeners have their certificates from one folder: what is wrong in it is told once.
        """
        for endpoint in ("tcp:1", "tcp:2"):
            self.inbox.receive(0, CertificateState(endpoint, "/c", ("a.example",), 5.0, ("/c/b.pem: is empty",)))
        self.assertEqual([text for _, _, text in self.told()], ["/c/b.pem: is empty"])

    def test_targets(self) -> None:
        """
        What becomes of targets is known, by worker, and told.
        """
        self.inbox.receive(0, TargetChanged("web", "http://a", False, "refused"))
        self.inbox.receive(1, TargetChanged("web", "http://a", False, "refused"))
        self.inbox.receive(0, TargetChanged("web", "http://a", True))
        self.assertFalse(self.inbox.targets.of("web", "http://a").isUp)
        self.assertEqual(self.told(), [("target-down", "", "upstream web: http://a is passed over: refused")])

    def test_forgotten(self) -> None:
        """
        Of listeners and targets that the configuration does not have any more nothing is kept.
        """
        config = makeConfig("upstreams: {web: {targets: ['http://a']}}\n")
        secure: Any = replace(config.listeners[0], endpoint="tcp:1", tls=TLSConfig(certificates=Path("/c")))
        config = replace(config, listeners=(secure, replace(secure, endpoint="tcp:3", tls=None)))
        plan = Plan(2, config, {}, (), ())
        kept = CertificateState("tcp:1", "/c", (), None)
        gone = [CertificateState(f"tcp:{n}", "/c", (), None) for n in (2, 3)]
        gone += [TargetChanged("web", "http://b", False, "refused")]  # type: ignore[list-item]
        for word in (kept, *gone):
            self.inbox.receive(0, word)
        self.inbox.committed(None, plan)
        self.assertEqual(list(self.inbox.certificates.values()), [kept])
        self.assertTrue(self.inbox.targets.of("web", "http://b").isUp)

    def test_dropIns(self) -> None:
        """
        What is installed is for who reads the files.
        """
        self.inbox.receive(0, DropIns())
        self.assertEqual(self.snapshots.calls, [("install", DropIns())])

    def test_all(self) -> None:
        """
        There is no word that nobody hears; answers are heard by the crew.
        """
        for word in examples(Path(self.mktemp()).absolute()):
            if isinstance(word, get_args(Up)) and not isinstance(word, Answer | Connections | Rehearsed):
                parts: list[Any] = [Heard() for _ in range(5)]
                inbox: Any = Inbox(*parts)
                parts += (Heard(), Heard())
                inbox.targets = parts[-1]
                inbox.onRecords.append(parts[-2].heard)
                inbox.onEvidence.append(parts[-2].heard)
                inbox.onRecorded.append(parts[-2].heard)
                inbox.receive(0, word)
                heard = [*(call for part in parts for call in part.calls), *inbox.certificates]
                heard += filter(None, [inbox.locking])
                self.assertNotEqual(heard, [], repr(word))
