"""
Control put together, over a crew that nobody is in.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.control import Control
from revproxy.control.crew import Crew
from revproxy.control.state.records import PluginRecords
from revproxy.plan.counted import VersionCounters
from revproxy.plan.events import EventLog
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Answer, Counters, Down, DropIns, Notice, Prepare, Records
from revproxy.worker.lifecycle.dropins import DropInFactories
from tests.control.conversations import FakeLink, FakeStateFolder, makeConfig
from tests.control.traffic.records import numbered
from tests.plan.plans import INSTALLED


class ControlTests(SynchronousTestCase):
    """
    What workers say comes to its place.
    """

    def setUp(self) -> None:
        self.words: list[Down] = []
        self.crew = Crew(Clock())
        self.crew.employ([FakeLink(self.words.append)])
        clock = Clock()
        self.events = EventLog(clock.seconds)
        config = makeConfig("plugins: {config: {dropped: true}}\n")
        state: Any = FakeStateFolder(lambda line: None)
        self.control = Control(
            config, None, self.crew, state, PluginRecords(), self.events, clock, maybeDeferred, maybeDeferred
        )

    def test_notice(self) -> None:
        """
        An event is told, and counters are added up.
        """
        self.crew.heard(0, Notice("handover-lost", "too large", "a"))
        self.crew.heard(0, Counters((VersionCounters("a", VersionId("1.0", "1"), 5),)))
        self.assertEqual([event.kind for event in self.events.latest(9)], ["handover-lost"])
        self.assertEqual(self.control.keeper.totals.of("a", "1").calls, 5)

    def test_records(self) -> None:
        """
        The last requests are remembered.
        """
        self.crew.heard(1, Records(numbered(1, 3), 3))
        self.assertEqual((self.control.recent.count, self.control.recent.last), (3, 3))

    def test_dropIns(self) -> None:
        """
        What the worker says is installed with it can be in the first plan.
        """
        self.crew.heard(0, DropInFactories([INSTALLED]).told)
        start = Deferred.fromCoroutine(self.control.startup.prepare())
        (word,) = self.words
        assert isinstance(word, Prepare)
        self.assertEqual(([each.name for each in word.plan.selected], word.starts), (["dropped"], False))
        self.crew.heard(0, Answer(word.transaction, "prepare"))
        self.successResultOf(start)

    def test_noDropIns(self) -> None:
        """
        What is not installed there is refused, without a word to the worker.
        """
        self.crew.heard(0, DropIns())
        start = Deferred.fromCoroutine(self.control.startup.prepare())
        self.assertIn('no plugin named "dropped"', self.failureResultOf(start).getErrorMessage())
        self.assertEqual(self.words, [])
