"""
What was refused last, and still stands.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.refusalbook import RefusalBook
from revproxy.plan.catalog import Catalog, CatalogEntry
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal
from tests.control.conversations import makeConfig
from tests.plan.plans import entry

OLD, NEW, NEWER = entry("a", "1.0"), entry("a", "2.0"), entry("a", "3.0")


def refused(plugin: CatalogEntry, stage: str = "import", message: str = "it raised") -> Refusal:
    """Of a plugin."""
    return Refusal(plugin.manifest.name, stage, message, plugin.version, "a traceback")


class NoteTests(SynchronousTestCase):
    """
    What transactions leave.
    """

    def setUp(self) -> None:
        self.time = 10.0
        self.events = EventLog(lambda: self.time)
        self.book = RefusalBook(self.events, lambda: self.time)

    def note(self, *refusals: Refusal, runs: CatalogEntry | None = OLD, here: CatalogEntry | None = NEW) -> None:
        """
        A transaction is over.

        :param here: what the folder has.
        """
        running, found = ({} if each is None else {each.manifest.name: each} for each in (runs, here))
        self.book.note(refusals, Plan(1, makeConfig(), running, (), ()), Catalog(found))
        self.time += 1

    def test_new(self) -> None:
        """
        What is refused is told once, with the time when that was first.
        """
        self.note(refused(NEW))
        self.note(refused(NEW))
        self.assertEqual((self.book.of("a"), self.book.at("a"), list(self.book)), (refused(NEW), 10.0, ["a"]))
        (event,) = self.events.latest(9)
        told = (event.kind, event.plugin, event.version, event.text, event.traceback)
        self.assertEqual(told, ("refused", "a", NEW.version, "it raised", "a traceback"))

    def test_otherReason(self) -> None:
        """
        Refused for another reason, it is told again.
        """
        self.note(refused(NEW))
        self.note(refused(NEW, "start", "no port"))
        self.assertEqual((self.book.at("a"), len(self.events.latest(9))), (11.0, 2))

    def test_stands(self) -> None:
        """
        It stands while the folder has what failed, also when nobody tries that again.
        """
        self.note(refused(NEW))
        self.note()
        self.assertIn("a", self.book)

    def test_forgotten(self) -> None:
        """
        It is forgotten when the folder has something else, or nothing, or what failed runs.
        """
        for runs, here in ((OLD, NEWER), (OLD, None), (NEW, NEW), (OLD, OLD)):
            self.note(refused(NEW))
            self.note(runs=runs, here=here)
            self.assertNotIn("a", self.book)
            self.assertEqual((self.book.of("a"), self.book.at("a")), (None, 0.0))

    def test_configuration(self) -> None:
        """
        Of the configuration, under no name, it stands until a transaction goes without it.
        """
        refusal = Refusal("", "listen", "tcp:1 is in use")
        self.note(refusal)
        self.assertEqual(self.book.of(""), refusal)
        self.note()
        self.assertIsNone(self.book.of(""))

    def test_hasFailed(self) -> None:
        """
        A version has failed if it did by itself: not another version, and not for the sake of others.
        """
        self.assertFalse(self.book.hasFailed(NEW))
        self.note(refused(NEW))
        self.assertTrue(self.book.hasFailed(NEW))
        self.assertFalse(self.book.hasFailed(NEWER))
        self.note(refused(NEW, "order", "a requires b"))
        self.assertFalse(self.book.hasFailed(NEW))
