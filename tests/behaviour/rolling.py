"""
An edge in memory on which a plugin's versions are rolled out, and the crowd that it serves.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Any

from revproxy.control.steering import Asker
from tests.behaviour.changes import UPSTREAMS, Changing, ChangingCase
from tests.behaviour.pipeline import Client
from tests.control.commands import commanded

CANARY = "[{canary: 25%, until: {fault: 5%}, at_least: 5s, at_most: 10m}]"

NEVER = "[{canary: 25%, until: {fault: 0.1%}}]"
"""A canary that does not end by itself in any test."""

FAILING = """
    def handle(self, context):
        if int(context.request.path.rpartition("/")[2]) % 4 == 0:
            raise ValueError("every fourth")
        return self.stage.visit(self, "in", context)
"""
"""A plugin that fails in every fourth request."""


class RollingCase(ChangingCase):
    """
    With plugin ``a``, which stamps each request with its mark: version 1 runs.

    :cvar steps: of its policy.
    :cvar policy: what else the policy says, as YAML.
    """

    steps = CANARY
    policy = "by: header:X-Client"

    def setUp(self) -> None:
        self.bench = Changing(self, extra=self.sections())
        self.stage = self.bench.stage
        self.paths = itertools.count(1)
        self.chance = random.Random(7)
        self.bench.stamp("a", "1", version="1.0.0")
        self.bench.start()

    def sections(self, steps: str | None = None, policy: str | None = None, others: str = "") -> str:
        """Those of the configuration, with this policy."""
        said = f"steps: {steps or self.steps}, {policy or self.policy}"
        return f"{UPSTREAMS}plugins: {{directory: plugins, rollout: {{plugins: {{a: {{{said}}}}}}}{others}}}\n"

    def configure(self, **said: Any) -> None:
        """Other sections, in force."""
        self.bench.configure("[{upstream: app}, {path: /tunnel, upstream: echo}]", self.sections(**said))
        self.bench.apply()

    def save(self, mark: str, body: str = "", **more: Any) -> None:
        """A version of ``a``, whose mark is the first digit of its number."""
        self.bench.stamp("a", mark, body, version=f"{mark}.0.0", **more)
        self.bench.apply()

    def visit(self, client: str, connection: Client | None = None, headers: Mapping[str, str] = {}) -> str:
        """A request of a client. :returns: the mark that it was stamped with; empty: it was answered before that."""
        path = f"/{next(self.paths)}"
        self.bench.ask(path, connection, {"X-Client": client, **headers})
        self.flushLoggedErrors(ValueError)
        return self.stage.marks(path, "in").get("a", "")

    def marks(self, count: int = 200) -> dict[str, str]:
        """Whom so many clients meet, by their names."""
        return {f"c{number}": self.visit(f"c{number}") for number in range(count)}

    def crowd(self, seconds: int, rate: int = 20, people: int = 400) -> None:
        """Requests of random clients, for so long, or until the rollout is over."""
        for _ in range(seconds):
            if self.view().get("ended") is not None:
                return
            for _ in range(rate):
                self.visit(f"p{self.chance.randrange(people)}")
            self.bench.wait(1)

    def view(self) -> Mapping[str, Any]:
        """The rollout of ``a``; empty: there never was one."""
        found = [each for each in self.bench.control.rollouts.views() if each["plugin"] == "a"]
        return self.bench.control.rollouts.view("a") if found else {}

    def say(self, command: str, *arguments: Any) -> Any:
        """A command about its rollout."""
        method = getattr(self.bench.control.rollouts, command)
        return self.bench.result(method(Asker(), "a", *arguments))

    def command(self, which: str, /, **arguments: Any) -> Any:
        """Any other one."""
        return self.bench.result(commanded(self.bench.control, which, **arguments))

    @property
    def state(self) -> str:
        """Of that rollout; with ``, held`` where it is."""
        view = self.view()
        return f"{view['state']}{', held' if view['held'] else ''}" if view else ""

    def kinds(self) -> list[str]:
        """Kinds of events that are about rollouts, the oldest first."""
        return [kind for kind, _ in self.bench.kinds() if kind.startswith("rollout-")]
