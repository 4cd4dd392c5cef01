"""A whole worker, spoken to in words: its ports, files and plugins are real, its clock is told the time."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import makeBundle
from revproxy.config.configfile import parseConfig
from revproxy.config.settings import Config
from revproxy.control.certificatefiles import CertificateReader
from revproxy.loading.bundlefinder import ROOT
from revproxy.loading.loader import unload
from revproxy.plan.catalog import CatalogEntry, Selected, entryOf
from revproxy.plan.plan import Plan
from revproxy.plan.words import Abandon, Answer, Commit, Down, Prepare, Ready, Up
from revproxy.testing import makeContext
from revproxy.worker.worker import Worker
from tests.coordinators import Loopless

PLUGIN = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware{interfaces}

@implementer(IMiddleware{interfaces})
class Stamp:
    name = {name!r}
    def __init__(self, config):
        self.config = dict(config)
    def handle(self, context):
        context.values.setdefault("seen", []).append({says!r} + self.config.get("mark", ""))
        return True
{body}
PluginMain = Stamp
"""
"""Says that it was there."""

UPDATED = """
    def validateConfig(self, config): pass
    def updateConfig(self, config): self.config = dict(config)
"""
"""Takes another configuration in place."""


def entry(
    name: str, number: str = "1.0", body: str = "", interfaces: str = "", code: str | None = None, **manifest: Any
) -> CatalogEntry:
    """A plugin that says its name and version of each request. :param manifest: what else is in its plugin.json."""
    interfaces = f", {interfaces}" if interfaces else ""
    text = PLUGIN.format(name=name, says=f"{name} {number}", body=body, interfaces=interfaces) if code is None else code
    document = json.dumps({"name": name, "version": number, **manifest}).encode()
    bundle = makeBundle(name, {"plugin.json": document, "plugin.py": text.encode()}, Path("/nowhere/plugins", name))
    found = entryOf(bundle, f"{name}/plugin.json")
    assert isinstance(found, CatalogEntry), found
    return found


class WorkerCase(SynchronousTestCase):
    """
    A worker that has not heard anything yet.

    :cvar dropIns: what is installed.
    :ivar told: all that it has said.
    """

    dropIns: tuple[Any, ...] = ()

    @classmethod
    def setUpClass(cls) -> None:
        gc.collect()  # what others have left open must not close meanwhile

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()
        self.othersModules = _modules()
        self.reactor: Any = Loopless()
        self.reactor.advance(1_000_000)
        self.told: list[Up] = []
        self.certificates = CertificateReader()
        self.transaction = 0
        self.worker = Worker(
            self.reactor,
            self.config(),
            self.told.append,
            self.inThread,
            dropIns=self.dropIns,
            monotonic=self.reactor.seconds,
        )
        self.addCleanup(self.end)

    def end(self) -> None:
        """As a process does."""
        self.worker.hurry()
        self.say(Abandon(self.transaction))
        running = self.worker.staging.running
        for version in [] if running is None else running.versions.values():
            if version.module is not None:
                self.addCleanup(unload, version.module)
        for work in (self.worker.stopAccepting, self.worker.drain, self.worker.endPlugins, self.worker.end):
            self.done(work())

    def inThread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """At once."""
        return maybeDeferred(function, *arguments)

    def done(self, work: Any) -> Any:
        """The result of a coroutine; time goes on until there is one."""
        deferred = Deferred.fromCoroutine(work)
        self.elapse(lambda: deferred.called)
        return self.successResultOf(deferred)

    def elapse(self, isOver: Callable[[], bool]) -> None:
        """Time goes on until something is the case."""
        for _ in range(200):
            if isOver():
                return
            self.reactor.advance(0.1)
        self.fail("it does not come to an end")

    # Plans

    def config(self, text: str = "") -> Config:
        """A configuration; what the text does not say is a port that the kernel chooses, one route, and no log."""
        for key, usual in (("listeners", "[{endpoint: 'tcp:0:interface=127.0.0.1'}]"), ("routes", "[{respond: {}}]"),
                           ("logging", "{access: off}"), ("plugins", "{}"), ("state", "var")):
            if f"{key}:" not in text:
                text += f"{key}: {usual}\n"
        return parseConfig(text, "r.yaml", self.root)

    def plan(
        self, number: int, config: Config, *entries: CatalogEntry, gates: Mapping[str, int] | None = None
    ) -> Plan:
        """All plugins run on all routes, in this order, as their plugin.json says."""
        selected = tuple(
            Selected(entry, entry.manifest.config, permissions=entry.manifest.permissions) for entry in entries
        )
        order = tuple((plugin, plugin.entry.manifest.config) for plugin in selected)
        return Plan(
            number,
            config,
            {plugin.name: plugin.entry for plugin in selected},
            selected,
            (order,) * len(config.routeGroups),
            gates=gates or {},
            certificates=self.certificates.read(config),
        )

    # Words

    def say(self, word: Down) -> Answer | None:
        """:returns: the answer, if it is a word that is answered; time goes on until it comes."""
        before = len(self.told)
        self.worker.receive(word)
        if not isinstance(word, Prepare | Ready | Commit | Abandon):
            return None
        answers: list[Answer] = []

        def isAnswered() -> bool:
            answers[:] = [told for told in self.told[before:] if isinstance(told, Answer)]
            return bool(answers)

        self.elapse(isAnswered)
        return answers[-1]

    def step(self, word: Down) -> tuple[str, ...]:
        """Why a step was refused; empty if it was not."""
        answer = self.say(word)
        assert answer is not None
        self.assertEqual((answer.transaction, answer.step), (self.transaction, type(word).__name__.lower()))
        return tuple(refusal.message for refusal in answer.refusals)

    def prepare(self, plan: Plan, **options: Any) -> tuple[str, ...]:
        """Begin another transaction. :returns: why not."""
        self.transaction += 1
        return self.step(Prepare(self.transaction, plan, **options))

    def become(self, plan: Plan, **options: Any) -> None:
        """A transaction to its end."""
        self.assertEqual(self.prepare(plan, **options), ())
        self.assertEqual(self.step(Ready(self.transaction)), ())
        self.assertEqual(self.step(Commit(self.transaction)), ())

    def abandon(self) -> None:
        """Give the transaction up; what was made for it ends."""
        self.assertEqual(self.step(Abandon(self.transaction)), ())
        self.settle()

    def settle(self, seconds: float = 0.2) -> None:
        """What ends has its turns; after three seconds, what ended is known to be gone."""
        for _ in range(round(seconds * 10)):
            self.reactor.advance(0.1)

    # What there is

    def seen(self, path: str = "/") -> list[str]:
        """What plugins say of a request that comes now."""
        generation = self.worker.edge.generation
        route = generation.find(b"h", path.encode())
        assert route is not None
        context = makeContext("GET", path)
        verdict = generation.chains[route.group].enter(context)
        self.assertIs(verdict, True)
        found: list[str] = context.values.get("seen", [])
        return found

    def picture(self) -> dict[str, Any]:
        """All that a change may change: of the edge, of each participant, of plugins, and of the process."""
        worker, edge = self.worker, self.worker.edge
        running = worker.staging.running
        instances = [] if running is None else list(running.members.values())
        readers = self.reactor.getReaders()
        return {
            "generation": edge.generation,
            "built": worker.generations.built,
            "bounds": (edge.limits, edge.timeouts, worker.retirement.drainTime),
            "log": (worker.recording.log, edge.logsAgents, worker.accessLogging.config),
            "ports": [(port, port.factory, port.transport, port in readers) for port in worker.listeners.ports],
            "contexts": [_contextsOf(listening) for listening in worker.listeners._running],
            "table": worker.routes.table,
            "running": running,
            "instances": [_stateOf(instance) for instance in instances],
            "gates": worker.health.gates,
            "next": (worker.routes.next, worker.staging.next),
            "readers": set(readers),
            "files": _openFiles(),
            "modules": _modules() - self.othersModules,
        }



def _contextsOf(listening: Any) -> Any:
    certificates = listening.certificates
    return None if certificates is None else (certificates.loaded, certificates.contexts.forName(None))


def _stateOf(instance: Any) -> tuple[Any, ...]:
    made = instance.object
    return (
        instance, made, dict(instance.config), dict(made.config), instance.started, instance.retiring, instance.since,
        set(instance.chains), set(instance.version.instances),
    )


def _modules() -> set[str]:
    return {name for name in sys.modules if name.startswith(f"{ROOT}.")}


def _openFiles() -> list[str]:
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            continue  # that of the listing
    return sorted(found)
