"""Edges of one plugin: in the edge's own process, and in a locked one."""

from __future__ import annotations

import http.client
import os
import signal
import time
from pathlib import Path
from typing import Literal

from benchmarks.processes import BenchmarkError, processTree
from benchmarks.swapedge import SwapEdge, manifest

PLUGIN = "measured"

BUDGET = 100
"""Milliseconds that a call may compute."""

SOURCE = """\
import os

from zope.interface import implementer

from revproxy.interfaces import IMiddleware


@implementer(IMiddleware)
class Measured:
    name = "measured"

    def __init__(self, config):
        pass

    def handle(self, context):
        if context.request.path == "/spin":
            while True:
                pass
        if context.request.path == "/pid":
            return context.respond(200, str(os.getpid()))
        return True


PluginMain = Measured
"""
"""Passes all, but those who want to know where it runs, and those who want it to spin."""

Tier = Literal["none", "inline", "process"]


class IsolatedEdge(SwapEdge):
    """
    The edge.

    :param tier: where its plugin runs; ``"none"``: it has none.
    :param count: plugins that do the same, each by another name; only the first answers.
    """

    def __init__(self, directory: Path, origin: int | None, cpus: frozenset[int], tier: Tier, count: int = 1) -> None:
        plugins = {} if tier == "none" else {name: filesOf(name, tier) for name in namesOf(count)}
        super().__init__(directory, origin, cpus, plugins, settle=20)

    def __enter__(self) -> IsolatedEdge:
        self.start()
        self.ask()
        return self

    def cpuSeconds(self) -> float:
        """Of the edge's own process."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def get(self, target: str, timeout: float = 10.0) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def pluginPid(self) -> int:
        """The process that its plugin runs in."""
        status, body = self.get("/pid")
        if status != 200:
            raise BenchmarkError(f"the plugin answers {status}")
        return int(body)

    def answersElsewhere(self, pid: int, patience: float = 20.0) -> None:
        """Ask until the plugin answers from another process than that.

        :raises BenchmarkError: it does not.
        """
        end = time.monotonic() + patience
        while True:
            status, body = self.get("/pid", patience)
            if status == 200 and int(body) != pid:
                return
            if time.monotonic() > end:
                raise BenchmarkError("a process that was killed does not come back")

    def locked(self) -> list[int]:
        """The locked processes, those that wait for a plugin among them; not the one that they are forked from."""
        parent = parentOf(self.pluginPid())
        return [pid for pid in processTree(parent) if pid != parent]


def filesOf(name: str, tier: Tier) -> dict[str, str]:
    """A plugin."""
    return {
        "plugin.json": manifest(name, isolation=tier, limits={"timeout_ms": BUDGET}),
        "plugin.py": SOURCE.replace('name = "measured"', f'name = "{name}"'),
    }


def namesOf(count: int) -> list[str]:
    """Of so many plugins."""
    return [PLUGIN, *(f"{PLUGIN}-{number}" for number in range(2, count + 1))]


def parentOf(pid: int) -> int:
    """Its parent; field 4 of proc_pid_stat(5)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def proportionalBytes(pid: int) -> int:
    """Its memory, of what it shares its part (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise BenchmarkError("the kernel does not tell what is shared")


def kill(pids: list[int]) -> None:
    """At once, as the kernel does when there is no memory."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
