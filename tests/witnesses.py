"""Plugins that tell a test what is done to them, and wait for it."""

from __future__ import annotations

import itertools
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from tests import witnesses
from tests.control.test_coordinator import LifecycleCase, code


class Witness:
    """
    What plugins and a test have in common.

    :ivar log: what plugins have noted, in order.
    :ivar waits: what a plugin waits for, by name; the last one.
    :ivar flags: what is the case, as far as plugins ask.
    """

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.waits: dict[str, Deferred[Any]] = {}
        self.flags: set[str] = set()
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """Another one for each instance."""
        return next(self._numbers)

    def wait(self, name: str) -> Deferred[Any]:
        """Until the test fires it."""
        waiting = self.waits[name] = Deferred()
        return waiting

    async def stubborn(self) -> None:
        """Never comes back, whoever cancels it."""
        while True:
            try:
                await Deferred()
            except CancelledError:
                self.log.append("not impressed")


WITNESS = Witness()
"""That of the test that runs: what a plugin imports is its own test's."""

IMPORT = "    from tests.witnesses import WITNESS as witness\n"
"""As a plugin's attribute, ``witness``."""

HANGING = "    def start(self): return Deferred()\n    def stop(self): pass\n"
"""A plugin that never has started."""

FAILING = code(body="    def handle(self, context): raise ValueError('v')")
"""A plugin that fails with each request."""


def witnessed(body: str, interfaces: str = "", says: str = "") -> str:
    """A plugin whose methods find the witness as ``self.witness``."""
    return code(says, IMPORT + body, interfaces)


class WitnessCase(LifecycleCase):
    """With a bench, and a witness."""

    def setUp(self) -> None:
        super().setUp()
        self.witness = Witness()
        self.patch(witnesses, "WITNESS", self.witness)

    def configurePlugins(self, config: str, routes: str = "[{respond: {}}]") -> None:
        """:param config: what revproxy.yaml says of plugins, as YAML in one line."""
        self.bench.configure(routes, f"plugins: {{directory: plugins, config: {config}}}\n")

    def elapse(self, seconds: int) -> None:
        """Time passes."""
        for _ in range(seconds):
            self.bench.clock.advance(1)

    def request(self, path: str = "/") -> str:
        """What the first plugin says of a request; ``passed`` if none says anything; or how it failed."""
        try:
            return (self.bench.seen(path) or ["passed"])[0]
        except Exception as error:  # foreign code
            return type(error).__name__
        finally:
            self.bench.clock.advance(0.01)
            self.flushLoggedErrors(ValueError)

    def requests(self, count: int, path: str = "/") -> str:
        """What becomes of the last of so many."""
        return [self.request(path) for _ in range(count)][-1]

    def manifest(self, folder: str, text: str) -> None:
        """What is in a folder's plugin.json."""
        (self.bench.plugins / folder / "plugin.json").write_text(text)
