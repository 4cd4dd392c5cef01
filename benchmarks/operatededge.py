"""An edge that is operated: 500 routes, five plugins, an admin listener, one for Prometheus; and what asks its API."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.loopprobe import CUSTOMIZE, REPORT
from benchmarks.onlookers import Onlookers
from benchmarks.peers import twistdCommand
from benchmarks.processes import BenchmarkError, Running, freePorts
from benchmarks.swapedge import FIVE, SWAPPED, SwapEdge, fivePlugins
from benchmarks.traffic import PLAIN, Traffic
from revproxy.cli.edgeclient import EdgeClient

ROUTES = 500
REMEMBERED = 50_000

_ROOT = Path(__file__).resolve().parent.parent

SEARCHES = {
    "by path": {"path": "/nowhere"},
    "by status": {"status": "5xx"},
    "by duration": {"slower": "30s"},
    "by client": {"client": "10.0.0.0/8"},
    "by host": {"host": "*.example"},
    "by glob": {"path": "*plain*nowhere"},
}
"""What none of the requests fits, so that all are looked at."""


def silentAlerts(port: int) -> str:
    """The section of an edge with alerts that fire all the time, for a receiver that takes them and never answers."""
    receiver = f"http://127.0.0.1:{port}"
    when = {"when": "rate < 1000000", "over": "1m"}
    rules = [{"name": "edge", "of": "edge", **when}, {"name": "routes", "of": "route", "only": "plain-*", **when}]
    return "alerts: " + json.dumps({
        "receivers": [
            {"name": "ops", "alertmanager": [receiver]},
            {"name": "chat", "slack": f"{receiver}/chat"},
        ],
        "rules": rules, "group_wait": "1s", "group_interval": "10s", "repeat_interval": "1m",
    }) + "\n"  # fmt: skip


class OperatedEdge(SwapEdge):
    """
    The edge.

    :param holds: where a probe in it tells of what holds the loop; None: there is none.
    """

    def __init__(self, directory: Path, origin: int, cpus: frozenset[int], holds: Path | None = None) -> None:
        self.admin, self.metrics = freePorts(2)
        self._holds = holds
        self._environment = {}
        if holds is not None:
            (directory.parent / "customize").mkdir()
            (directory.parent / "customize" / "sitecustomize.py").write_text(CUSTOMIZE)
            self._environment = {"PYTHONPATH": f"{directory.parent / 'customize'}:{_ROOT}", REPORT: str(holds)}
        super().__init__(directory, origin, cpus, fivePlugins(), sections=self.sections(), settle=20)

    def sections(self, besides: str = "") -> str:
        """What it has beside others: a route for each connection of the load, and many that nobody asks for."""
        paths = [f"/plain/{number}" for number in range(sum(PLAIN.values()))]
        paths += [f"/other/{number}" for number in range(len(paths), ROUTES)]
        routes = [{"path": path, "upstream": "app", "name": path.strip("/").replace("/", "-")} for path in paths]
        return (
            f"routes: {json.dumps(routes)}\n"
            f'admin: {{endpoint: "tcp:{self.admin}:interface=127.0.0.1"}}\n'
            f'metrics: {{endpoint: "tcp:{self.metrics}:interface=127.0.0.1"}}\n{besides}'
        )

    def __enter__(self) -> OperatedEdge:
        self.start()
        return self

    def launch(self) -> Running:
        """Start it, and do not wait."""
        command = twistdCommand(self._configuration)
        self.process = Running(command, self._cpus, self.directory / "edge.log", self._environment)
        return self.process

    def token(self) -> str:
        """One that may do everything."""
        socketPath = self.directory / "state" / "control.sock"
        made = EdgeClient(socketPath).ask("POST", "tokens", body={"name": "benchmark", "role": "admin"})
        return str(made["token"])

    @contextmanager
    def onlookers(self, cpus: frozenset[int]) -> Iterator[Onlookers]:
        """Those who look at it."""
        with Onlookers(cpus, self.admin, self.metrics, self.token()) as onlookers:
            yield onlookers

    def filled(self, traffic: Traffic, patience: float = 40.0) -> float:
        """Load it until it remembers as many requests as it may. :returns: requests per second, as fast as it could.

        :raises BenchmarkError: it does not come to that.
        """
        traffic.begin(self.port, len(FIVE), SWAPPED, PLAIN)
        time.sleep(1)
        traffic.window()
        time.sleep(3)
        window = traffic.window()
        end = time.monotonic() + patience
        while self.control("GET", "requests", limit=1)["remembered"] < REMEMBERED:
            if time.monotonic() > end:
                raise BenchmarkError(f"has not had {REMEMBERED} requests within {patience:.0f} s")
            time.sleep(0.5)
        trouble = traffic.end().trouble or window.trouble
        if trouble:
            raise BenchmarkError(trouble)
        return window.rate


class Asker:
    """Asks the API of an edge on one connection, as a dashboard does."""

    def __init__(self, edge: OperatedEdge, token: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", edge.admin, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._seen: dict[str, str] = {}

    def ask(self, target: str, base: str = "/api/v1") -> tuple[float, bytes]:
        """Seconds until the whole answer was there, and what it is.

        :raises BenchmarkError: it is not 200.
        """
        began = time.perf_counter()
        self._connection.request("GET", f"{base}{target}", headers=self._headers)
        response = self._connection.getresponse()
        body = response.read()
        seconds = time.perf_counter() - began
        if response.status != 200:
            raise BenchmarkError(f"GET {target}: {response.status} {body[:200]!r}")
        return seconds, body

    def json(self, target: str) -> Any:
        """The answer."""
        return json.loads(self.ask(target)[1])

    def targets(self) -> list[str]:
        """One for each operation that answers a GET, but those that search requests, and streams."""
        values = self._values()
        found = []
        for path, methods in json.loads(self.ask("/openapi.json", "")[1])["paths"].items():
            told = methods.get("get")
            path = path.removeprefix("/api/v1")
            if told is None or not path.startswith("/") or path.startswith(("/requests", "/healthz", "/readyz")):
                continue
            if "text/event-stream" in json.dumps(told["responses"].get("200", {})):
                continue
            found.append(targetOf(path, told.get("parameters", []), values))
        return found

    def _values(self) -> Mapping[str, str]:
        version = self.json(f"/plugins/{SWAPPED}")
        history = self.json("/history?limit=1")["items"]
        digest = version["version"]
        number = str(history[0]["number"]) if history else "1"
        return {"name": SWAPPED, "number": number, "of": "total", "from": number, "to": number, "digest": digest}


def targetOf(path: str, parameters: list[Any], values: Mapping[str, str]) -> str:
    """What is asked for, with what an operation requires and nothing else."""
    query = []
    for parameter in parameters:
        if not parameter.get("required"):
            continue
        name = parameter["name"]
        value = values[name]
        if "/plugins/" in path and name in ("from", "to"):
            value = values["digest"]
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", value)
        else:
            query.append(f"{name}={value}")
    return path + ("?" + "&".join(query) if query else "")


class SilentReceiver:
    """Takes connections, and what is sent, and never answers. :ivar port: where."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._socket.getsockname()[1])

    def __enter__(self) -> SilentReceiver:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

