"""
An edge with hostile plugins, each in a locked process, and others that are to be untouched by them.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.behaviour.hostiles import Hostile
from tests.harness import EdgeProcess, RawOrigin, freePort, readExactly, readHead
from tests.integration.test_reconfiguring import ReconfiguringCase
from tests.socketfolder import socketFolder

ROOT = Path(__file__).parent.parent.parent

WITNESS = '''
from zope.interface import implementer
from revproxy.interfaces import IHosted, IMiddleware

@implementer(IMiddleware, IHosted)
class PluginMain:
    """Counts in memory, so that it is seen whether its process is the same."""
    name = "NAME"
    count = 0
    def __init__(self, config): pass
    def attach(self, host): self.host = host
    async def handle(self, context):
        self.count += 1
        if self.count == 1 and ISKEEPING:
            await self.host.store.set("count", "a secret of the witness")
        return context.respond(200, "%s %d" % (sorted(context.request.headers), self.count))
'''

IMPORT = "from zope.interface import implementer\nfrom revproxy.interfaces import *\n"

TAKE_AWAY = """
import os, sys
from tests.isolation.lock.faults import takeAway
for name in filter(None, sys.argv[1].split(",")):
    takeAway(name)
os.execvp(sys.argv[2], sys.argv[2:])
"""

SLOWEST = 10.0
"""Seconds that anything else may take while the edge is attacked, on a busy machine."""


@dataclass(frozen=True)
class Situation:
    """
    What the machine has.

    :ivar user: as whom the edge runs; None: as whoever runs the tests.
    :ivar without: what is taken away: names of `tests.isolation.lock.faults.FAULTS`.
    :ivar level: how well its processes are locked then; empty: whatever this machine has.
    """

    user: int | None = None
    without: tuple[str, ...] = ()
    level: str = ""

    @property
    def before(self) -> list[str]:
        """A command that starts the edge in it."""
        become: list[str] = []
        if self.user is not None:
            become = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "--inh-caps=-all"]
        if not self.without:
            return become
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return [*become, "env", f"PYTHONPATH={path}", sys.executable, "-c", TAKE_AWAY, ",".join(self.without)]


@dataclass
class Outcome:
    """
    What came of an attack.

    :ivar statuses: of the answers; 0: the connection ended before one, or in its midst.
    :ivar slowest: seconds that others took meanwhile; ``grown``: megabytes of the edge.
    :ivar wrong: what must not be so.
    """

    name: str
    statuses: list[int] = field(default_factory=list)
    seconds: float = 0.0
    slowest: float = 0.0
    grown: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        statuses = ",".join(map(str, sorted(set(self.statuses))))
        told = f"{self.name:32} {statuses:9} {self.seconds:6.2f} s {self.slowest * 1000:7.0f} ms {self.grown:6.0f} MB"
        return f"{told}  {'; '.join(self.wrong) or 'stopped'}"


class ArenaCase(ReconfiguringCase):
    """
    Starts such edges and makes attacks.
    """

    situation = Situation()

    def setUp(self) -> None:
        super().setUp()
        self.got: list[bytes] = []
        self.app = self.origin(self.answers(b"app", b"x" * 20000))
        self.other = self.origin(self.answers(b"other", b"secret"))
        self.large = self.origin(self.answers(b"large", b"x" * (15 << 20)))
        self.slow = self.origin(lambda peer: threading.Event().wait(60) and None)

    def answers(self, name: bytes, body: bytes) -> Any:
        """An origin that keeps what it was sent."""

        def handle(peer: socket.socket) -> None:
            while True:
                head, rest = readHead(peer)
                if not head:
                    return
                length = re.search(rb"(?i)content-length: (\d+)", head)
                rest += readExactly(peer, int(length[1]) - len(rest)) if length else b""
                while b"chunked" in head.lower() and not rest.endswith(b"0\r\n\r\n") and (more := peer.recv(65536)):
                    rest += more
                self.got.append(name + b"\n" + head + rest[:1000])
                isHead = head.startswith(b"HEAD ")
                answer = b"HTTP/1.1 200 OK\r\nX-Name: name: %b\r\nContent-Length: %d\r\n\r\n" % (name, len(body))
                peer.sendall(answer if isHead else answer + body)

        return handle

    def arena(self, attacks: dict[str, Hostile], more: dict[str, str] | None = None) -> EdgeProcess:
        """
        An edge with them, and with two witnesses: one in a locked process, one in the edge's own.

        :param more: plugin.py by name, of others in locked processes, that ask for nothing.
        """
        files: dict[str, str | bytes] = {}
        for name, code in (more or {}).items():
            files[f"plugins/{name}/plugin.json"] = json.dumps(
                {"name": name, "version": "1.0.1", "enabled": True, "isolation": "process"}
            )
            files[f"plugins/{name}/plugin.py"] = IMPORT + code
        for name, attack in attacks.items():
            manifest, code = attack.files(name)
            files[f"plugins/{name}/plugin.json"] = json.dumps(manifest)
            files[f"plugins/{name}/plugin.py"] = code
        for name, isolation in (("witness", "process"), ("inline", "inline")):
            manifest = {"name": name, "version": "1.0.0", "enabled": True, "isolation": isolation,
                        "permissions": {"respond": True, "store": True, "read_headers": ["*"]}}  # fmt: skip
            files[f"plugins/{name}/plugin.json"] = json.dumps(manifest)
            files[f"plugins/{name}/plugin.py"] = WITNESS.replace("NAME", name).replace("ISKEEPING", "True")
        names = [*attacks, *(more or {}), "witness", "inline"]
        routes: list[dict[str, Any]] = [
            {"name": name, "host": f"{name}.example", "path": "/", "upstream": "app",
             "plugins": {other: False for other in names if other != name}}
            for name in names
        ]  # fmt: skip
        routes.append({"path": "/", "respond": {"body": "hi"}, "plugins": dict.fromkeys(names, False)})
        targets = {"app": self.app.url, "other": self.other.url, "large": self.large.url, "slow": self.slow.url}
        config = {
            "listeners": [{"endpoint": "tcp:PORT:interface=127.0.0.1"}],
            "routes": routes,
            "upstreams": {name: {"targets": [url]} for name, url in targets.items()},
            "plugins": {
                "directory": "plugins", "settle": 0.15,
                "grants": {name: attack.permissions for name, attack in attacks.items()}
                | {"witness": {"respond": True, "store": True, "read_headers": ["*"]}},
                "quarantine": {"failures": 1_000_000, "share": "100%"},
            },
            "trust": {"minimum_level": "C"},
            "logging": {"access": "access.log"},
        }  # fmt: skip
        edge = self.launch(json.dumps(config), files=files)
        self.until(lambda: "listening on" in edge.said() or edge.process.poll() is not None)
        self.assertIsNone(edge.process.poll(), edge.said()[-5000:])
        return edge

    def launch(self, config: str, port: int | None = None, files: dict[str, str | bytes] | None = None) -> EdgeProcess:
        user = self.situation.user
        if user is None:
            folder = Path(self.mktemp()).absolute()
            folder.mkdir(parents=True)
        else:
            folder = socketFolder(self)  # trial's own is nobody else's
        port = port or freePort()
        for name, content in {"revproxy.yaml": config.replace("PORT", str(port)), **(files or {})}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        if user is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, user, user)
        # Only root may look into an edge that is closed.
        options = [] if os.geteuid() == 0 else ["--debuggable"]
        edge = EdgeProcess(folder, port, ["--config", "revproxy.yaml", *options], None, self.situation.before)
        self.addCleanup(edge.kill)
        return edge

    # Attacks

    def attack(self, edge: EdgeProcess, name: str, attack: Hostile) -> Outcome:
        """Make one, and look what came of it."""
        outcome = Outcome(name)
        before, count = self.resetPeak(edge), self.counts(edge)
        got = len(self.got)
        probe = Probe(edge.port)
        began = time.monotonic()
        told = [self.send(edge, name, *send) for send in attack.sends]
        outcome.seconds = time.monotonic() - began
        outcome.slowest, failed = probe.end()
        outcome.statuses = [statusOf(answer) for answer in told]
        outcome.grown = edge.peakMegabytes() - before
        self.judge(edge, attack, outcome, told, self.got[got:])
        if failed:
            outcome.wrong.append(f"others got {failed[:3]}")
        after = self.counts(edge)
        if not all(now > was for now, was in zip(after, count, strict=True)):
            outcome.wrong.append(f"witnesses had counted {count}, and have {after}")
        return outcome

    def judge(
        self, edge: EdgeProcess, attack: Hostile, outcome: Outcome, told: list[bytes], got: list[bytes]
    ) -> None:
        """What is wrong."""
        # What waits may be late on a busy machine, and fails then.
        if unexpected := set(outcome.statuses) - {500, *attack.statuses}:
            outcome.wrong.append(f"answers {unexpected}, not {attack.statuses}")
        for pattern in attack.never:
            outcome.wrong += [f"{pattern!r} in {each[:600]!r}" for each in (*told, *got) if pattern in each]
        if outcome.slowest > SLOWEST:
            outcome.wrong.append(f"others waited {outcome.slowest:.1f} s")
        if outcome.grown > attack.megabytes:
            outcome.wrong.append(f"the edge has grown by {outcome.grown:.0f} MB")
        if edge.process.poll() is not None:
            outcome.wrong.append("the edge has ended")

    def send(self, edge: EdgeProcess, name: str, line: str, fields: str, body: bytes) -> bytes:
        """What a client gets for a request; at most 40 MB and 8 seconds of it."""
        client = socket.create_connection(("127.0.0.1", edge.port), timeout=30)
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        method, _, target = line.partition(" ")
        connection = "" if "Connection:" in fields else "Connection: close\r\n"
        head = f"{method} {target} HTTP/1.1\r\nHost: {name}.example\r\n{connection}{length}{fields}\r\n"
        data, ends = bytearray(), time.monotonic() + 8
        with client:
            try:
                client.sendall(head.encode() + body)
                while len(data) < 40 << 20 and time.monotonic() < ends:
                    client.settimeout(max(0.01, ends - time.monotonic()) if data else 30)
                    more = client.recv(1 << 18)
                    if not more:
                        break
                    data += more
            except TimeoutError:
                if not data:
                    return b"HTTP/1.1 999 nothing came for 30 s"
            except ConnectionError:
                pass
        return bytes(data)

    def counts(self, edge: EdgeProcess) -> list[int]:
        """What the witnesses have counted."""
        answers = [self.send(edge, name, "GET /", "", b"") for name in ("witness", "inline")]
        return [int(answer.rsplit(b" ", 1)[1]) if b" 200 " in answer[:20] else -1 for answer in answers]

    def resetPeak(self, edge: EdgeProcess) -> float:
        """From now on the peak is that of now, in megabytes. :returns: it."""
        Path(f"/proc/{edge.process.pid}/clear_refs").write_text("5")
        return edge.peakMegabytes()


class Probe:
    """Somebody who asks the edge for something all the time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._isOver = threading.Event()
        self._slowest = 0.0
        self._failed: list[bytes] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            for host in ("witness", "inline", "none"):
                began = time.monotonic()
                try:
                    self._ask(host)
                except OSError as error:
                    self._failed.append(repr(error).encode())
                self._slowest = max(self._slowest, time.monotonic() - began)
            if self._isOver.wait(0.02):
                return

    def _ask(self, host: str) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=60) as client:
            client.sendall(f"GET / HTTP/1.1\r\nHost: {host}.example\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while more := client.recv(65536):
                data += more
            if b" 200 " not in data[:20]:
                self._failed.append(data[:300])

    def end(self) -> tuple[float, list[bytes]]:
        """:returns: how long it had to wait at most, in seconds, and what it got that it should not have."""
        self._isOver.set()
        self._thread.join()
        return self._slowest, self._failed


def statusOf(answer: bytes) -> int:
    """Of the last head of an answer that is no 1xx; 0: there is none."""
    for match in re.finditer(rb"(?m)^HTTP/1\.[01] (\d{3})", answer):
        if match[1][:1] != b"1" or match[1] == b"101":
            return int(match[1])
    return 0


def lockedOf(edge: EdgeProcess) -> list[int]:
    """Its locked processes, spare ones and the dead among them: children of its child, the template."""
    return [locked for child in _childrenOf(edge.process.pid) for locked in _childrenOf(child)]


def _childrenOf(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


__all__ = ["ArenaCase", "Outcome", "Probe", "RawOrigin", "Situation", "lockedOf"]
