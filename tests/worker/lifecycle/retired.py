"""A plugin that is loaded, used and retired, and what a proof of its unload tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.loading.loader import instantiate, loadBundle, unload
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Remains
from revproxy.worker.lifecycle.unloadproof import UnloadProof
from tests.loading.test_loader import GOOD, bundle, manifest

KEPT: list[Any] = []
"""What somebody else keeps."""

PLUGIN = f"""\
import functools, logging, threading
from twisted.internet.defer import Deferred, ensureDeferred
{GOOD}
class Handler(logging.Handler):
    def emit(self, record):
        pass

def tick(*arguments):
    pass

def wait(event, ready=None):
    if ready is not None:
        ready.set()
    event.wait(120)

async def sleep(waiting):
    await waiting

def boom():
    raise ValueError("boom")

def count():
    yield 1
    yield 2
"""


class ProofTestCase(SynchronousTestCase):
    """A proof on a clock, and a plugin to be loaded."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.unloaded: list[tuple[str, VersionId]] = []
        self.remains: list[Remains] = []
        self.proof = UnloadProof(self.clock, lambda *what: self.unloaded.append(what), self.remains.append)
        self.addCleanup(self.proof.stop)
        self.addCleanup(KEPT.clear)

    def retire(self, use: Callable[[Any, Any], Any] = lambda plugin, instance: None, text: str = PLUGIN) -> None:
        """Load a plugin, use its module and instance, unload it, and watch it."""
        module = loadBundle(bundle(text), manifest())
        instance = instantiate(module, manifest(), {})
        use(module.main, instance)
        unload(module)
        self.proof.watch("p-q", VersionId("1", module.bundle.digest), module.sentinel, [instance])

    def pass_(self, seconds: float) -> None:
        """Let time pass, in small steps."""
        for _ in range(int(seconds * 10)):
            self.clock.advance(0.1)

    def assertGone(self) -> None:
        """What was retired is freed at the first look."""
        self.pass_(1.1)
        self.assertEqual([one[0] for one in self.unloaded], ["p-q"])
        self.assertEqual((self.remains, self.proof.alive("p-q"), self.clock.getDelayedCalls()), ([], 0, []))

    def held(self) -> tuple[str, ...]:
        """Who holds what was retired, told after the deadline."""
        self.pass_(29.5)
        self.assertEqual((self.unloaded, self.remains, self.proof.alive("p-q")), ([], [], 1))
        for _ in range(600):  # a search in slices: of how many, the machine and what is in memory decide
            if self.remains:
                break
            self.clock.advance(0.1)
        self.assertEqual(len(self.remains), 1)
        return self.remains[0].holders

    def assertHeld(self, *parts: str) -> None:
        """One of those who hold it is called so."""
        holders = self.held()
        self.assertTrue([one for one in holders if all(part in one for part in parts)], holders)
