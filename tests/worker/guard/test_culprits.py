"""Tests for `revproxy.worker.guard.culprits`: whose code a module is."""

from __future__ import annotations

import gc

from zope.interface import implementer

from revproxy.context import Context
from revproxy.dropin import DropIn
from revproxy.interfaces import IMiddleware
from revproxy.loading.bundlefinder import ROOT
from revproxy.plan.words import Ask, DropIns
from revproxy.worker.guard.culprits import Culprits
from revproxy.worker.lifecycle.instance import Version
from tests.worker.workers import WorkerCase, entry


class CulpritTests(WorkerCase):
    """A worker's culprits."""

    def setUp(self) -> None:
        super().setUp()
        self.become(self.plan(1, self.config(), entry("a", limits={"timeout_ms": 1500})))
        self.culprits: Culprits = self.worker._culprits

    def version(self) -> Version:
        running = self.worker.staging.running
        assert running is not None
        return running.versions["a"]

    def test_running(self) -> None:
        """Each module of a plugin is its version's, with its limit."""
        version = self.version()
        assert version.module is not None
        for module in (version.module.package, f"{version.module.package}.plugin", f"{version.module.package}.a.b"):
            culprit = self.culprits.identify(module)
            assert culprit is not None
            self.assertEqual((culprit.plugin, culprit.version, culprit.limit), ("a", str(version), 1.5))
            self.assertIs(culprit.key, version)

    def test_nobody(self) -> None:
        """What is no plugin's is nobody's, also what only looks like a plugin's."""
        for module in ("revproxy.worker.worker", "json", "", f"{ROOT}.none", f"{ROOT}.none.plugin"):
            self.assertIsNone(self.culprits.identify(module))

    def test_loading(self) -> None:
        """While a version is imported nobody knows its modules yet: those that nobody knows are its own."""
        version = Version(entry("b"), self.version().limits)
        self.culprits.loading(version)
        self.assertIs(self.culprits.versionOf(f"{ROOT}.unknown.plugin"), version)
        self.assertIsNone(self.culprits.versionOf("json"))
        self.culprits.loading(None)
        self.assertIsNone(self.culprits.versionOf(f"{ROOT}.unknown.plugin"))

    def test_loaded(self) -> None:
        """From its import on it is known, before it serves: its start may hold the loop, too."""
        self.prepare(self.plan(2, self.config(), entry("a", "2.0")))
        following = self.worker.staging.next
        assert following is not None
        new = following.versions["a"]
        assert new.module is not None
        self.assertIs(self.culprits.versionOf(new.module.package), new)
        self.assertIsNot(new, self.version())
        self.abandon()

    def test_gone(self) -> None:
        """It keeps nobody in memory."""
        module = self.version().module
        assert module is not None
        package = module.package
        del module
        self.become(self.plan(2, self.config(), entry("a", "2.0")))
        self.settle()
        self.say(Ask(1))  # what it counted last is told first
        gc.collect()
        self.assertIsNone(self.culprits.versionOf(package))


@implementer(IMiddleware)
class Installed:
    """A middleware that is installed with Python."""

    name = "d"

    def handle(self, context: Context) -> bool:
        return True


class DropInTests(WorkerCase):
    """Drop-ins."""

    dropIns = (DropIn({"name": "d", "version": "1"}, lambda config: Installed()),)

    def test_module(self) -> None:
        """The module of its class is the drop-in's, once it runs."""
        [word] = self.told
        assert isinstance(word, DropIns)
        self.assertIsNone(self.worker._culprits.versionOf(__name__))
        self.become(self.plan(1, self.config(), *word.entries))
        version = self.worker._culprits.versionOf(__name__)
        assert version is not None
        self.assertEqual((version.name, version.module), ("d", None))
