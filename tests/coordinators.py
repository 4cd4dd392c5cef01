"""An edge without a reactor: files are real, time is told, and threads are at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThreadPool

from revproxy.config.configfile import parseConfig
from revproxy.control.changes import NOTHING_ASKED, ChangeRequest
from revproxy.control.control import Control
from revproxy.control.coordinator import Coordinator
from revproxy.control.state.directory import StateFolder
from revproxy.control.state.recordfile import readRecords
from revproxy.dataplane.edge import Edge
from revproxy.plan.events import EventLog
from revproxy.service.localcrew import LocalCrew
from revproxy.worker.lifecycle.stages import StageLimits
from revproxy.worker.worker import Worker

PLUGIN = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class Stamp:
    name = {name!r}
    def __init__(self, config):
        self.config = config
    def handle(self, context):
        context.values.setdefault("seen", []).append({says!r})
        return True

PluginMain = Stamp
"""

USUAL = {
    "listeners": "[{endpoint: 'tcp:0:interface=127.0.0.1'}]",
    "logging": "{access: off}",
    "plugins": "{directory: plugins}",
}
"""Sections of a configuration that says nothing of them."""


class Threadless(Clock):
    """A clock that is enough of a reactor: what is given to a thread runs at once."""

    def getThreadPool(self) -> Any:
        return self

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], None], function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        try:
            result = function(*args, **kwargs)
        except Exception:
            from twisted.python.failure import Failure

            onResult(False, Failure())
        else:
            onResult(True, result)

    def callFromThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)


class Loopless(Threadless, MemoryReactorClock):
    """A reactor on which ports are bound, and nobody comes."""


class Bench:
    """
    A folder with plugins and a state, and an edge over it: control, and a worker. It listens on a port that the kernel
    chooses, and logs nothing, if a test wants nothing else.

    :ivar dropins: what is installed.
    """

    dropins: tuple[Any, ...] = ()

    def __init__(self, root: Path, routes: str = "[{respond: {}}]", extra: str = "") -> None:
        self.root = root.absolute()
        self.plugins = self.root / "plugins"
        self.plugins.mkdir(parents=True)
        self.file = self.root / "revproxy.yaml"
        self.configure(routes, extra)
        self.clock = Loopless()
        self.clock.advance(1_000_000)
        self.events: EventLog
        self.control: Control
        self.worker: Worker

    def configure(self, routes: str = "[{respond: {}}]", extra: str = "") -> None:
        """Write the configuration file. :param extra: sections besides, or instead of the usual ones, as YAML."""
        own = {section: "" if f"{section}:" in extra else f"{section}: {usual}\n" for section, usual in USUAL.items()}
        self.file.write_text(
            f"{own['listeners']}routes: {routes}\nstate: var\n{own['plugins']}{extra}\n{own['logging']}"
        )

    def write(
        self, name: str, code: str | None = None, version: str = "1.0.0", says: str = "", **manifest: Any
    ) -> Path:
        """A plugin; by default one that adds ``says`` to ``context.values["seen"]``."""
        folder = self.plugins / name
        folder.mkdir(exist_ok=True)
        text = code if code is not None else PLUGIN.format(name=name, says=says or f"{name} {version}")
        (folder / "plugin.py").write_text(text)
        (folder / "plugin.json").write_text(json.dumps({"name": name, "version": version, **manifest}))
        return folder

    @property
    def coordinator(self) -> Coordinator:
        """Makes changes."""
        return self.control.coordinator

    @property
    def edge(self) -> Edge:
        """Its data plane."""
        return self.worker.edge

    def prepare(
        self, limits: StageLimits | None = None, routesMade: Callable[[], None] = lambda: None
    ) -> Control:
        """As a start of the process. :raises ConfigErrors:"""
        config = parseConfig(self.file.read_text(), str(self.file), self.root)
        self.events = EventLog(self.clock.seconds)
        state = StateFolder(config.state)
        records, _ = readRecords(state.recordsPath)
        inThread = partial(deferToThreadPool, self.clock, self.clock.getThreadPool())
        crew = LocalCrew(
            self.clock,
            lambda says: Worker(
                self.clock,
                config,
                says,
                inThread,
                dropIns=self.dropins,
                limits=limits,
                routesMade=routesMade,
                monotonic=self.clock.seconds,
            ),
        )
        self.control = Control(
            config, self.file, crew, state, records, self.events, self.clock, inThread, inThread
        )
        self.worker = crew.hire()
        self.result(self.control.startup.prepare())
        state.acquire()
        self.state = state
        self.control.keeper.isWritable = True
        return self.control

    def start(self, limits: StageLimits | None = None) -> None:
        """Prepare and begin, to the end."""
        self.prepare(limits)
        self.worker.counters.start()
        self.result(self.control.startup.begin())

    def stop(self) -> None:
        """End as a process does."""
        self.result(self.end())
        self.state.release()

    async def end(self) -> None:
        """As far as ports, plugins, and what is remembered of them are concerned."""
        self.coordinator.halt()
        self.control.expiries.stop()
        self.worker.hurry()
        await self.worker.stopAccepting()
        await self.coordinator.end()
        await self.worker.endPlugins()

    def later(self, coroutine: Any) -> Deferred[Any]:
        """Run it as far as it goes."""
        return Deferred.fromCoroutine(coroutine)

    def result(self, coroutine: Any) -> Any:
        """What it gives; time goes on until it does."""
        found: list[Any] = []
        self.later(coroutine).addBoth(found.append)
        for _ in range(1000):
            if found:
                break
            self.clock.advance(0.1)
        assert found, "it did not come to an end"
        if hasattr(found[0], "raiseException"):
            found[0].raiseException()
        return found[0]

    def apply(self, request: ChangeRequest = NOTHING_ASKED) -> Any:
        """A transaction to its end."""
        return self.result(self.coordinator.apply(request))

    def seen(self, path: str = "/") -> list[str]:
        """What the plugins say of a request that goes through the current generation's chain now."""
        from revproxy.testing import makeContext

        route = self.edge.generation.find(b"h", path.encode())
        assert route is not None
        context = makeContext("GET", path)
        verdict = self.edge.generation.chains[route.group].enter(context)
        assert verdict is True, verdict
        found: list[str] = context.values.get("seen", [])
        return found

    def kinds(self) -> list[tuple[str, str]]:
        """Kind and plugin of all events."""
        return [(event.kind, event.plugin) for event in self.events.latest(1000)]

    def failure(self, name: str) -> str:
        """Why a plugin's last change was refused; empty if it was not."""
        refusal = self.coordinator.refused.of(name)
        return "" if refusal is None else refusal.message
