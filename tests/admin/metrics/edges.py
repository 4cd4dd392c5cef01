"""
An edge whose workers say what a test has them say, and what Prometheus reads of it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.metrics.collection import Collection
from revproxy.admin.metrics.exposition import Exposition
from revproxy.control.control import Control
from revproxy.control.crew import Crew
from revproxy.control.state.records import PluginRecords
from revproxy.plan.catalog import CatalogEntry, Selected
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.words import Up
from tests.admin.metrics.reading import Labels, parsed
from tests.control.conversations import FakeStateFolder, makeConfig


class FiguresCase(SynchronousTestCase):
    """
    One edge.
    """

    extra = ""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.events = EventLog(self.clock.seconds)
        self.crew = Crew(self.clock)
        self.config = makeConfig(self.extra)
        state: Any = FakeStateFolder(lambda line: None)
        self.control = Control(
            self.config,
            None,
            self.crew,
            state,
            PluginRecords(),
            self.events,
            self.clock,
            maybeDeferred,
            maybeDeferred,
        )
        self.collection = Collection(self.control, self.events, self.clock)
        self.number = 0

    def commit(self, *entries: CatalogEntry, config: Any = None) -> None:
        """A plan with these plugins takes effect."""
        self.number += 1
        coordinator = self.control.coordinator
        before, self.config = coordinator.plan, config or self.config
        named = {each.manifest.name: each for each in entries}
        plan = Plan(self.number, self.config, named, tuple(Selected(each, {}) for each in entries), ())
        coordinator.plan = plan
        for committed in coordinator.onCommitted:
            committed(before, plan)

    def tell(self, word: Up, worker: int = 0) -> None:
        """A worker says something."""
        self.crew.heard(worker, word)

    def read(self, openMetrics: bool = False) -> dict[tuple[str, Labels], float]:
        """What Prometheus reads."""
        for _ in self.collection.settle():
            pass
        text = b"".join(Exposition().slices(self.collection.sources(), openMetrics)).decode()
        return parsed(text, openMetrics)

