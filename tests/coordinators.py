"""A lifecycle without a reactor: files are real, time is told, and threads are at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from revproxy.config.configfile import parseConfig
from revproxy.control.changes import Change
from revproxy.control.coordinator import Lifecycle
from revproxy.control.snapshot import Scan
from revproxy.control.state.directory import StateFolder
from revproxy.control.state.records import readLedger
from revproxy.dataplane.edge import Edge
from revproxy.loop.deadlines import Deadlines
from revproxy.plan.catalog import CatalogReader
from revproxy.plan.events import EventLog
from revproxy.worker.lifecycle.stages import StageLimits
from revproxy.worker.upstreamfactory import Parts

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


class Bench:
    """
    A folder with plugins and a state, and a lifecycle over it.

    :ivar lifecycle: None until :meth:`start`.
    :ivar dropins: what is installed.
    """

    dropins: tuple[Any, ...] = ()

    def __init__(self, root: Path, routes: str = "[{respond: {}}]", extra: str = "") -> None:
        self.root = root.absolute()
        self.plugins = self.root / "plugins"
        self.plugins.mkdir(parents=True)
        self.file = self.root / "revproxy.yaml"
        self.configure(routes, extra)
        self.clock = Threadless()
        self.clock.advance(1_000_000)
        self.events: EventLog
        self.lifecycle: Lifecycle

    def configure(self, routes: str = "[{respond: {}}]", extra: str = "") -> None:
        """Write the configuration file."""
        self.file.write_text(
            f"listeners: [{{endpoint: 'tcp:1'}}]\nroutes: {routes}\nstate: var\n"
            + (extra if "plugins:" in extra else f"plugins: {{directory: plugins}}\n{extra}")
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

    def prepare(self, limits: StageLimits | None = None) -> Lifecycle:
        """As a start of the process. :raises ConfigErrors:"""
        config = parseConfig(self.file.read_text(), str(self.file), self.root)
        deadlines = Deadlines(self.clock, 0.5)
        self.events = EventLog(self.clock.seconds)
        state = StateFolder(config.state)
        ledger, _ = readLedger(state.ledgerPath)
        scan = Scan(self.file, config, CatalogReader(self.dropins))
        parts = Parts(self.clock, deadlines, deadlines)
        self.lifecycle = Lifecycle(config, scan, parts, self.events, state, ledger, limits)
        built = self.lifecycle.prepare()
        self.edge = Edge(self.clock, deadlines, built.generation, config.limits, config.timeouts, None)
        self.lifecycle.edge = self.edge
        self.lifecycle.retirement.breakOff = self.edge.breakOffChains
        state.acquire()
        self.state = state
        self.lifecycle.memory.isWritable = True
        return self.lifecycle

    def start(self, limits: StageLimits | None = None) -> None:
        """Prepare and begin, to the end."""
        self.prepare(limits)
        self.result(self.lifecycle.begin())

    def stop(self) -> None:
        """End as a process does."""
        self.result(self.lifecycle.end())
        self.state.release()

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

    def apply(self, change: Change = Change()) -> Any:  # noqa: B008
        """A transaction to its end."""
        return self.result(self.lifecycle.apply(change))

    def seen(self, path: str = "/") -> list[str]:
        """What the plugins say of a request that goes through the current generation's chain now."""
        from revproxy.testing import makeContext

        route = self.edge.generation.find(b"h", path.encode())
        assert route is not None
        context = makeContext("GET", path)
        verdict = self.edge.generation.chains[route.lane].enter(context)
        assert verdict is True, verdict
        found: list[str] = context.values.get("seen", [])
        return found

    def kinds(self) -> list[tuple[str, str]]:
        """Kind and plugin of all events."""
        return [(event.kind, event.plugin) for event in self.events.latest(1000)]

    def failure(self, name: str) -> str:
        """Why a plugin's last change was refused; empty if it was not."""
        known: Mapping[str, Any] = self.lifecycle.failures
        return known[name][1].message if name in known else ""
