"""
``python -m revproxy.demo.trust``: what ``make demo-trust`` does.

An edge on loopback runs plugins that nobody should run, each in a locked process: one steals, one forks, one becomes a
shell, one eats memory, one computes for ever. Each is asked to do its worst. What became of it is told, whether the
edge served others meanwhile, and which events say so. It ends by itself; 0: all were stopped.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from revproxy.cli.edgeclient import EdgeClient, EdgeNotRunning, NoAnswer, Refused
from revproxy.demo.hostileplugins import HOSTILE, HostilePlugin
from revproxy.demo.shownedge import HOST, Failed, freePort, runningEdge

_PATIENCE: Final = 60.0
"""Seconds for the edge to start, and for each of its answers."""

_TOLD: Final = 2.5
"""Seconds until an event is told at the latest, and a little."""


@dataclass(frozen=True, slots=True)
class Act:
    """
    What became of one plugin.

    :ivar status: of the answer to the request in which it did its worst; 0: there was none.
    :ivar outcomes: of each that it tried: what it met; empty if it did not come to say so.
    :ivar others: how many other requests were answered meanwhile and after; ``lost``: how many were not.
    :ivar waited: milliseconds that the slowest of them took.
    :ivar events: kinds and texts of what the edge says of it; ``failure``: what was booked to it last, or empty.
    """

    plugin: HostilePlugin
    status: int
    outcomes: dict[str, str]
    others: int
    lost: int
    waited: float
    events: Sequence[tuple[str, str]]
    failure: str = ""

    @property
    def isStopped(self) -> bool:
        """Whether it has done no harm."""
        succeeded = any(outcome.startswith("SUCCEEDED") for outcome in self.outcomes.values())
        isEnded = self.status == 500 and not self.outcomes
        return not succeeded and not self.lost and self.others > 0 and (bool(self.outcomes) or isEnded)


def configuration(port: int, folder: Path) -> str:
    """The text of the edge's revproxy.yaml."""
    return json.dumps({
        "listeners": [{"endpoint": f"tcp:{port}:interface={HOST}"}],
        "routes": [{"respond": {"status": 200, "body": "hello\n"}}],
        "plugins": {"directory": str(folder / "plugins"), "watch": False},
        "state": str(folder / "state"),
        "logging": {"access": None},
    }) + "\n"  # fmt: skip


def told(act: Act) -> str:
    """What is said of an act."""
    lines = [f"{act.plugin.name}  {act.plugin.title}"]
    lines += [f"    {what:<38} {outcome}" for what, outcome in act.outcomes.items()]
    if not act.outcomes:
        lines.append(f"    it had nothing to say; whoever asked got {act.status or 'no answer'}")
    served = f"{act.others} of {act.others + act.lost} other requests were answered"
    lines.append(f"    {served}, the slowest in {act.waited:.0f} ms")
    if act.failure:
        lines.append(f"    booked to it: {act.failure}")
    lines += [f"    event {kind}: {text}" for kind, text in act.events]
    return "\n".join([*lines, f"    {'stopped' if act.isStopped else 'NOT STOPPED'}"])


def lockTold(trust: Any) -> str:
    """What locks processes on this machine."""
    if trust["level"] is None:
        return "Nobody has told how processes are locked on this machine."
    layers = [f"    {layer['name']:<18} {'holds' if layer['enforced'] else layer['reason']}"
              for layer in trust["layers"]]  # fmt: skip
    return "\n".join([f"Processes are locked on this machine; their level is {trust['level']}.", *layers])


def get(port: int, path: str) -> tuple[int, str]:
    """:returns: status and body; 0 if there is no answer."""
    connection = HTTPConnection(HOST, port, timeout=_PATIENCE)
    try:
        connection.request("GET", path, headers={"Cookie": "session=secret"})
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    except (OSError, HTTPException):
        return 0, ""
    finally:
        connection.close()


class _Others:
    """Somebody who only wants to be served."""

    def __init__(self, port: int) -> None:
        self.times: list[float] = []
        self.lost = 0
        self._port = port
        self._isOver = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> _Others:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._isOver.set()
        self._thread.join(_PATIENCE)

    def _ask(self) -> None:
        while not self._isOver.wait(0.02):
            began = time.monotonic()
            if get(self._port, "/") == (200, "hello\n"):
                self.times.append(time.monotonic() - began)
            else:
                self.lost += 1


class _Demonstration:
    """An edge, and what is asked of it."""

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self._client = EdgeClient(folder / "state" / "control.sock")

    def ready(self, edge: subprocess.Popen[bytes]) -> None:
        """
        Wait until the edge serves.

        :raises Failed: it does not, or has refused a plugin.
        """
        end = time.monotonic() + _PATIENCE
        while edge.poll() is None and time.monotonic() < end:
            try:
                running = {each["name"]: each["state"] for each in self._ask("plugins")["items"]}
                missing = [plugin.name for plugin in HOSTILE if running.get(plugin.name) != "running"]
                if missing:
                    raise Failed(f"{', '.join(missing)} cannot run: {self._refusals()}")
                if get(self._port, "/")[0] == 200:
                    return
            except (EdgeNotRunning, NoAnswer, Refused):
                pass
            time.sleep(0.1)
        raise Failed("the edge does not start; its reasons are above")

    def _ask(self, *path: str, **query: Any) -> Any:
        return self._client.ask("GET", "/".join(path), query, timeout=_PATIENCE)

    def _refusals(self) -> str:
        return "; ".join(each["text"] for each in self._ask("events")["items"] if each["kind"] == "refused")

    def act(self, plugin: HostilePlugin) -> Act:
        """Have it do its worst."""
        seen = {each["number"] for each in self._ask("events")["items"]}
        with _Others(self._port) as others:
            time.sleep(0.2)
            status, body = get(self._port, plugin.path)
            time.sleep(_TOLD)
        events = [
            (each["kind"], each["text"])
            for each in self._ask("events")["items"]
            if each["number"] not in seen and each["plugin"] == plugin.name
        ]
        outcomes = json.loads(body) if status == 200 else {}
        [state] = [each for each in self._ask("plugins")["items"] if each["name"] == plugin.name]
        failure = "" if state["last_failure"] is None else state["last_failure"]["message"]
        waited = max(others.times, default=0.0) * 1e3
        return Act(plugin, status, outcomes, len(others.times), others.lost, waited, events, failure)

    def lock(self) -> str:
        """What locks processes on this machine."""
        return lockTold(self._ask("trust"))


def demonstrate(folder: Path) -> bool:
    """
    All acts, told as they come.

    :param folder: an empty one.
    :returns: whether all were stopped.
    :raises Failed:
    """
    port, acts = freePort(), []
    with socket.create_server((HOST, 0)) as home:
        for plugin in HOSTILE:
            for name, content in plugin.files(home.getsockname()[1]).items():
                path = folder / "plugins" / plugin.name / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
        file = folder / "revproxy.yaml"
        file.write_text(configuration(port, folder))
        with runningEdge(file) as edge:
            demonstration = _Demonstration(port, folder)
            try:
                demonstration.ready(edge)
            except Failed:
                print((folder / "edge.log").read_text(errors="replace"), file=sys.stderr)
                raise
            print(demonstration.lock(), flush=True)
            for plugin in HOSTILE:
                acts.append(demonstration.act(plugin))
                print(f"\n{told(acts[-1])}", flush=True)
    stopped = sum(act.isStopped for act in acts)
    print(f"\n{stopped} of {len(acts)} were stopped.")
    return stopped == len(acts)


def main() -> int:
    """:returns: the exit status."""
    with tempfile.TemporaryDirectory(prefix="revproxy-trust-") as folder:
        try:
            return 0 if demonstrate(Path(folder)) else 1
        except Failed as failed:
            print(f"cannot be shown: {failed}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
