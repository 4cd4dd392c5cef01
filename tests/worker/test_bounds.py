"""Tests for `revproxy.worker.bounds`: when other limits and time-outs hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.settings import Config
from revproxy.plan.plan import Plan
from revproxy.plan.words import Prepare
from revproxy.worker.bounds import Bounds

CONFIG = parseConfig("listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\n", "r.yaml", Path())


class BoundsTests(SynchronousTestCase):
    """
    `Bounds`.

    :ivar taken: the configurations whose limits were taken, in order.
    """

    def setUp(self) -> None:
        self.taken: list[Config] = []
        self.bounds = Bounds(self.taken.append)

    def prepare(self, config: Config) -> None:
        preparing = Deferred.fromCoroutine(self.bounds.prepare(Prepare(1, Plan(1, config, {}, (), ()))))
        self.successResultOf(preparing)
        self.successResultOf(Deferred.fromCoroutine(self.bounds.ready()))

    def test_committed(self) -> None:
        """They are taken with the commit, once for each configuration."""
        self.prepare(CONFIG)
        self.assertEqual(self.taken, [])
        self.bounds.commit()
        self.assertEqual(self.taken, [CONFIG])
        self.prepare(CONFIG)
        self.bounds.commit()
        self.bounds.commit()
        self.assertEqual(len(self.taken), 1)

    def test_abandoned(self) -> None:
        """Those of a change that is given up are never taken."""
        other = replace(CONFIG, source="other.yaml")
        self.prepare(other)
        self.successResultOf(Deferred.fromCoroutine(self.bounds.abandon()))
        self.bounds.commit()
        self.assertEqual(self.taken, [])

    def test_preparedAgain(self) -> None:
        """The last that was prepared counts."""
        other = replace(CONFIG, source="other.yaml")
        self.prepare(other)
        self.prepare(CONFIG)
        self.bounds.commit()
        self.assertEqual([config.source for config in self.taken], ["r.yaml"])
