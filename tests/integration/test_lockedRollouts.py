"""A plugin in a locked process is rolled out: by a real edge, with clients of many addresses."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from tests.harness import EdgeProcess, readAll
from tests.integration.test_reconfiguring import ReconfiguringCase

CODE = """
import os
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

VERSION = {version!r}

@implementer(IMiddleware)
class PluginMain:
    name = "says"
    def __init__(self, config):
        pass
    def handle(self, context):
        if {fails!r} and context.request.path == "/":
            raise ValueError("on purpose")
        return context.respond(200, f"{{VERSION}} {{os.getpid()}}")
"""

ROLLOUT = "rollout: {plugins: {says: {steps: [{canary: 50%, at_least: 1h, at_most: 2h}]}}}"

CLIENTS = [f"127.0.1.{number}" for number in range(1, 41)]


def isThere(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


class LockedRolloutTests(ReconfiguringCase):
    """Half of the clients meet the new version."""

    def text(self, extra: str = "") -> str:
        return super().text(extra).replace("settle:", f"{ROLLOUT}, settle:")

    def save(self, folder: Path, version: str, fails: bool = False) -> None:
        draft = folder / ".plugin.py.new"
        draft.write_text(CODE.format(version=version, fails=fails))
        draft.replace(folder / "plugin.py")

    def answers(self, edge: EdgeProcess, path: str = "/who", hosts: Sequence[str] = CLIENTS) -> dict[str, str]:
        """What each client gets; empty: an error."""
        found = {}
        for host in hosts:
            with socket.create_connection(("127.0.0.1", edge.port), 30, (host, 0)) as client:
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
                head, _, body = readAll(client).partition(b"\r\n\r\n")
            found[host] = body.decode() if b" 200 " in head.partition(b"\r\n")[0] else ""
        return found

    def test_rolledBack(self) -> None:
        """
        Each version is in a process of its own, each client stays with one; what fails in its process is known by
        where, and taken back when enough clients have met it: of half of them, ten; its process ends.
        """
        manifest = json.dumps({"name": "says", "version": "1.0.0", "isolation": "process"})
        files: dict[str, str | bytes] = {
            "plugins/says/plugin.json": manifest, "plugins/says/plugin.py": CODE.format(version="one", fails=False)
        }  # fmt: skip
        edge = self.begin(files)
        [before] = set(self.answers(edge).values())
        self.save(edge.folder / "plugins/says", "two", fails=True)
        self.until(lambda: len(set(self.answers(edge).values())) == 2, edge.said())
        met = self.answers(edge)
        self.assertEqual(self.answers(edge), met)
        [newer] = {said for said in met.values() if said != before}
        self.assertTrue(newer.startswith("two "), newer)
        self.assertTrue(10 < list(met.values()).count(newer) < 30, met)
        unlucky = [host for host, said in met.items() if said == newer]
        broken = []
        for host in unlucky:  # most calls go well: quarantine has nothing to say
            self.answers(edge, "/who", [host])
            self.answers(edge, "/who", [host, CLIENTS[0]])
            broken += self.answers(edge, "/", [host]).values()
        self.assertIn("", broken)
        self.until(lambda: "rollout-rolled-back" in self.kinds(edge), edge.said())
        self.assertEqual(set(self.answers(edge, "/").values()), {before})
        self.until(lambda: not isThere(newer.split(" ")[1]))
        [event] = [
            event for event in self.ask(edge, "GET", "events", limit=1000)["items"]
            if event["kind"] == "rollout-rolled-back"
        ]  # fmt: skip
        self.assertTrue(re.search(r"ValueError in .*handle \(plugin.py\)", event["text"]), event)
