"""An edge whose plugins are changed while it runs: its folder, its process, and the calls to its control socket."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers import twistdCommand
from benchmarks.processes import BenchmarkError, Running, freePorts
from revproxy.cli.edgeclient import EdgeClient, EdgeNotRunning, NoAnswer, Refused
from revproxy.control.commands import CommandError

STAMPED = """\
import os

from twisted.internet import reactor
from twisted.internet.task import deferLater
from zope.interface import implementer

from revproxy.interfaces import IMiddleware, IResponseMiddleware

EPOCH, SERIAL = {epoch}, {serial}
{head}

@implementer(IMiddleware, IResponseMiddleware)
class Stamped:
    name = "{name}"

    def __init__(self, config):
        self.instance = os.urandom(4).hex()
{methods}
    def handle(self, context):
        context.values["{name}"] = f"{{EPOCH}} {{SERIAL}}"
        return {verdict}

    def handleResponse(self, context):
        came = context.values["{name}"]
        context.response.headers.set("X-Stamp-{name}", f"{{EPOCH}} {{SERIAL}} {{came}} {{self.instance}}")


PluginMain = Stamped
"""
_WAIT = 'deferLater(reactor, 0.01, bool, 1) if context.request.path.startswith("/pause/") else True'

SWAPPED, PARTNER = "swapped", "partner"
FIVE = {SWAPPED: 10, "steady": 20, "pausing": 30, "calm": 40, PARTNER: 50}
"""Name and priority. The one that is swapped is first on the way in and last on the way out, the one that is sometimes
swapped with it stands at the other end, and between them is one that lets some requests wait."""


def stampedSource(
    name: str, serial: int = 0, epoch: int = 0, *, head: str = "", methods: str = "", verdict: str | None = None
) -> str:
    """The plugin.py of a plugin that stamps responses; see :mod:`benchmarks.judge`.

    :param head: more lines at module level.
    :param methods: more methods, indented.
    :param verdict: the expression that ``handle`` returns.
    """
    verdict = verdict or (_WAIT if name == "pausing" else "True")
    return STAMPED.format(name=name, serial=serial, epoch=epoch, head=head, methods=methods, verdict=verdict)


def manifest(name: str, version: str = "1.0.0", **keys: Any) -> str:
    """A plugin.json."""
    return json.dumps({"name": name, "version": version, **keys}, indent=2) + "\n"


def writeWhole(path: Path, content: str | bytes) -> None:
    """Replace a file in one step, as editors do: nobody sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    passing = path.with_name(f".{path.name}.new")
    passing.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(passing, path)


_PATIENCE = 60.0
"""Seconds until it is given up."""


class SwapEdge:
    """A running edge. Use as a context manager: leaving ends it.

    :param directory: its own; must not be there yet.
    :param origin: port of the origin; ``None`` answers every request itself, with 200.
    :param cpus: the cores it may use.
    :param plugins: name to the files of the plugins it begins with.
    :param sections: of the configuration, as YAML, in place of ours.
    :param port: where to listen; a free one by default.
    :param settle: the setting of that name. Where every change is asked for, a long one keeps the edge from looking at
        one of them half-way, however long we are kept waiting between two files.
    :ivar port: where it listens.
    """

    def __init__(
        self,
        directory: Path,
        origin: int | None,
        cpus: frozenset[int],
        plugins: Mapping[str, Mapping[str, str]],
        *,
        sections: str = "",
        port: int | None = None,
        settle: float = 0.15,
    ) -> None:
        self.directory = directory
        self.folder = directory / "plugins"
        self.folder.mkdir(parents=True)
        self._cpus = cpus
        self.port = port or freePorts(1)[0]
        self._access = directory / "access.log"
        for name, files in plugins.items():
            for path, content in files.items():
                writeWhole(self.folder / name / path, content)
        configuration = {
            "listeners": [{"endpoint": f"tcp:{self.port}:interface=127.0.0.1:backlog=1024"}],
            "routes": [{"respond": {"status": 200, "body": "ok\n"}}],
            "plugins": {"directory": str(self.folder), "settle": settle},
            "state": str(directory / "state"),
            "logging": {"access": str(self._access), "format": "json"},
        }
        if origin is not None:
            configuration |= {
                "upstreams": {"app": {"targets": [f"http://127.0.0.1:{origin}"]}},
                "routes": [{"path": "/", "upstream": "app"}],
            }
        self._settings = configuration
        self._configuration = directory / "revproxy.yaml"
        self._configuration.write_text(self._text(sections))

    def __enter__(self) -> SwapEdge:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.stop()

    def start(self) -> None:
        """Start it, and return when it accepts.

        :raises BenchmarkError: when it ends or does not accept; with its last words.
        """
        self.launch()
        try:
            self.process.waitForPorts([self.port], _PATIENCE)
        except BaseException:
            self.process.stop()
            raise

    def launch(self) -> Running:
        """Start it, and do not wait."""
        self.process = Running(twistdCommand(self._configuration), self._cpus, self.directory / "edge.log")
        return self.process

    def write(self, name: str, path: str, content: str | bytes) -> None:
        """Replace a file of a plugin in one step."""
        writeWhole(self.folder / name / path, content)

    def configure(self, sections: str) -> float:
        """Write other sections of the configuration, as YAML, in place of the same; the rest stays.

        :return: seconds until that was in force.
        :raises BenchmarkError: it was refused.
        """
        writeWhole(self._configuration, self._text(sections))
        return self._reloaded()

    def _text(self, sections: str) -> str:
        kept = {name: value for name, value in self._settings.items() if f"\n{name}:" not in f"\n{sections}"}
        return "".join(f"{name}: {json.dumps(value)}\n" for name, value in kept.items()) + sections

    def replace(self, name: str, files: Mapping[str, str]) -> float:
        """Write files of a plugin in one change; the same return, and the same error."""
        for path, content in files.items():
            self.write(name, path, content)
        return self._reloaded()

    def _reloaded(self) -> float:
        began = time.perf_counter()
        told = self.reload()
        if told["refused"]:
            raise BenchmarkError(f"refused: {told['refused'][0]['message']}")
        return time.perf_counter() - began

    def control(self, method: str, path: str, timeout: float = _PATIENCE, **query: Any) -> Any:
        """Ask the edge by its control socket. That it refuses some of what it was to do is an answer.

        :raises BenchmarkError: when it does not answer, or says that it cannot.
        """
        control = self.directory / "state" / "control.sock"
        self.until(lambda: control.exists() or not self.process.alive, "opens no control socket")
        try:
            return EdgeClient(control).ask(method, path, query, timeout=timeout)
        except (EdgeNotRunning, NoAnswer, CommandError) as error:
            if isinstance(error, Refused) and "refused" in error.problem:
                return error.problem  # it has answered: what it did, and what it refused
            if not self.process.alive:
                raise BenchmarkError(f"the edge has died: {self.process.lastWords()}") from error
            raise BenchmarkError(f"{path}: {type(error).__name__}: {error}") from error

    def reload(self) -> dict[str, Any]:
        """Have it look at its folder; what came of it: ``text``, what has changed, and ``refused``."""
        told: dict[str, Any] = self.control("POST", "reload")
        return told

    def plugin(self, name: str) -> dict[str, Any]:
        """What it says of one plugin; empty when it knows none of that name."""
        return next((one for one in self.control("GET", "plugins")["items"] if one["name"] == name), {})

    def swap(self, serial: int, epoch: int, *names: str) -> None:
        """Give plugins new code in one transaction, and return when that is over.

        :raises BenchmarkError: the edge refused.
        """
        for name in names:
            self.write(name, "plugin.py", stampedSource(name, serial, epoch))
        told = self.reload()
        if told["refused"]:
            raise BenchmarkError(f"swap {serial} was refused: {told['refused'][0]['message']}")

    def cutLog(self) -> None:
        """Cut the access log, so that long load does not fill the disk."""
        if self._access.exists():
            os.truncate(self._access, 0)

    def ask(self) -> bytes:
        """One request on a connection of its own; the whole response."""
        with socket.create_connection(("127.0.0.1", self.port), _PATIENCE) as connection:
            connection.sendall(b"GET /plain/0/0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            pieces = []
            while piece := connection.recv(65536):
                pieces.append(piece)
            return b"".join(pieces)

    def until(self, fact: Callable[[], Any], what: str, seconds: float = _PATIENCE) -> Any:
        """Poll for something; return it once it is true.

        :raises BenchmarkError: when it is not, in that time.
        """
        end = time.monotonic() + seconds
        while not (result := fact()):
            if time.monotonic() > end:
                raise BenchmarkError(f"{what}: not within {seconds:.0f} s")
            time.sleep(0.02)
        return result

    def generationsAlive(self, name: str, seconds: float = _PATIENCE) -> int:
        """How many generations of a plugin are in memory, after up to so many seconds for that to become one."""
        end = time.monotonic() + seconds
        while (count := int(self.plugin(name)["generations_alive"])) > 1 and time.monotonic() < end:
            time.sleep(0.1)
        return count


def fivePlugins() -> dict[str, dict[str, str]]:
    """The files of the five plugins at the beginning."""
    return {
        name: {
            "plugin.json": manifest(name, priority=priority),
            "plugin.py": stampedSource(name, epoch=1 if name in (SWAPPED, PARTNER) else 0),
        }
        for name, priority in FIVE.items()
    }


def clear(folder: Path) -> None:
    """Take everything out of a plugin's folder but plugin.json and plugin.py."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in ("plugin.json", "plugin.py"):
            path.unlink()
