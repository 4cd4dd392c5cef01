"""
Clients that leave at any moment, send slowly, pipeline, and ask for too much, of plugins in locked processes, which are
killed and replaced meanwhile: nothing of it stays, on either side.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from revproxy.cli.edgeclient import Refused
from tests.behaviour.arenaedge import ArenaCase, lockedOf
from tests.behaviour.leaks import BUSY, COUNTING, PERMISSIONS
from tests.harness import EdgeProcess, readHead

REQUESTS = int(os.environ.get("REVPROXY_REQUESTS", "10000"))
AT_ONCE = 64

PATHS = ("pass", "wait", "read", "forget", "filter", "ask", "pieces", "answer", "fail", "interim", "echo", "echo")
MEGABYTES = 60
"""By which the edge may grow meanwhile: what it remembers of them, and holes between that; bodies of which
one in a hundred stayed would be 300."""

POOLED = 150
"""So many more of what comes and goes with connections that are kept."""

EXACT = (
    "requests", "filterings", "pullings", "pending", "asks", "waiting", "contexts", "Context", "KnownRequest", "Ask",
    "PluginProcess", "LockedMiddleware", "Succession", "Broker", "Instance", "Reading", "_Share",
)  # fmt: skip
"""Of these there is not one more."""

UNTIDY = ("never", "spin", "die")
"""Those that end a process, or take long: one in so many requests."""

_LARGE = "X-Large: " + "x" * 7000 + "\r\n"


class Client:
    """Many clients of one edge. :ivar answered: by status, how many there were; ``cut``: connections that ended."""

    def __init__(self, port: int, seed: int, untidy: float) -> None:
        """:param untidy: how often one of them is."""
        self._port = port
        self._random = random.Random(seed)
        self._untidy = untidy
        self._left = 0
        self.answered: dict[str, int] = {}

    def run(self, count: int) -> None:
        self._left = count
        # In a thread: the one of the tests may have a loop already, which another test has left running.
        with ThreadPoolExecutor(1) as threads:
            threads.submit(lambda: asyncio.run(self._run())).result()

    async def _run(self) -> None:
        await asyncio.gather(*(self._one() for _ in range(AT_ONCE)))

    async def _one(self) -> None:
        while self._left > 0:
            try:
                await asyncio.wait_for(self._connection(), 60)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                self._count("cut")
            except TimeoutError:
                self._count("late")

    def _count(self, what: str) -> None:
        self.answered[what] = self.answered.get(what, 0) + 1

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        try:
            for _ in range(self._random.randint(1, 30)):
                if not await self._something(reader, writer):
                    return
        finally:
            if self._random.random() < 0.5:
                writer.transport.abort()
            writer.close()

    async def _something(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request or a few. :returns: whether the connection can be used once more."""
        kind = self._random.random()
        count = self._random.randint(2, 8) if kind < 0.05 else 1
        self._left -= count
        tokens = [await self._send(writer, kind) for _ in range(count)]
        if 0.05 < kind < 0.2:
            # It leaves: at once, or in the midst of whatever is done then.
            await asyncio.sleep(self._random.choice((0, 0.0005, 0.001, 0.003, 0.006, 0.02)))
            return False
        for token in tokens:
            if not await self._hear(reader, token):
                return False
        return True

    async def _send(self, writer: asyncio.StreamWriter, kind: float) -> bytes:
        """:returns: what the answer has to have, if it says whose it is."""
        token = b"%x" % self._random.getrandbits(64)
        path = self._random.choice(PATHS)
        if self._random.random() < self._untidy:
            path = self._random.choice(UNTIDY)
        host = self._random.choice(("brief", "whole"))
        fields = _LARGE if kind > 0.98 else ""
        if kind > 0.96:
            fields += "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        body = self._random.randbytes(self._random.choice((0, 1, 100, 100_000))) if kind < 0.3 else b""
        method = "POST" if body else "GET"
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        fields += f"X-Token: {token.decode()}\r\n"
        head = f"{method} /{path} HTTP/1.1\r\nHost: {host}.example\r\n{length}{fields}\r\n".encode()
        if 0.2 < kind < 0.22 and body:
            writer.write(head + body[: len(body) // 2])
            await asyncio.sleep(0.01)
            writer.write(body[len(body) // 2 :])
        else:
            writer.write(head + body)
        await writer.drain()
        return token

    async def _hear(self, reader: asyncio.StreamReader, token: bytes) -> bool:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            status = head[9:12].decode()
            self._count(status)
            if status[0] != "1":
                break
        lower = head.lower()
        if b"\r\nx-token: " in lower:
            isOurs = lower.partition(b"\r\nx-token: ")[2].partition(b"\r\n")[0] == token
            self._count("own" if isOurs else "foreign")
        if b"content-length: " in lower:
            length = int(lower.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        elif b"chunked" in lower:
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readexactly(2)
        return b"connection: close" not in lower


class ClientsTests(ArenaCase):
    """
    Two plugins in locked processes: one that handles and no more, and one that hears of answers and ends, too.
    """

    def setUp(self) -> None:
        super().setUp()
        self.version, self.swapped = 1, 0
        self.edge = self.busy()

    def busy(self) -> EdgeProcess:
        files: dict[str, str | bytes] = {}
        for name in ("brief", "whole", "counting"):
            files.update(self.files(name))
        names = ("brief", "whole", "counting")
        routes = [{"name": name, "host": f"{name}.example", "path": "/", "upstream": "app",
                   "plugins": {other: False for other in names if other != name}} for name in names]  # fmt: skip
        config = {
            "listeners": [{"endpoint": "tcp:PORT:interface=127.0.0.1"}],
            "routes": routes,
            "upstreams": {"app": {"targets": [self.app.url]}},
            "plugins": {
                "directory": "plugins", "settle": 0.15, "grants": {"brief": PERMISSIONS, "whole": PERMISSIONS},
                "quarantine": {"failures": 1_000_000, "share": "100%"},
            },
        }  # fmt: skip
        edge = self.launch(json.dumps(config), files=files)
        self.until(lambda: "listening on" in edge.said() or edge.process.poll() is not None)
        self.assertIsNone(edge.process.poll(), edge.said()[-5000:])
        return edge

    def files(self, name: str) -> dict[str, str]:
        kind = {"brief": "Brief", "whole": "Whole"}.get(name)
        manifest: dict[str, Any] = {"name": name, "version": f"1.0.{self.version}", "enabled": True}
        code = COUNTING
        if kind is not None:
            manifest |= {"isolation": "process", "permissions": PERMISSIONS, "limits": {"timeout_ms": 1000}}
            code = BUSY.replace("NAME", name).replace("KIND", kind).replace("VERSION", str(self.version))
        return {f"plugins/{name}/plugin.json": json.dumps(manifest), f"plugins/{name}/plugin.py": code}

    def swap(self) -> None:
        """The next version of both."""
        self.version += 1
        for name in ("brief", "whole"):
            for path, text in self.files(name).items():
                (self.edge.folder / path).write_text(text)
        try:
            self.ask(self.edge, "POST", "reload")
            self.swapped += 1
        except Refused as refused:  # its process spins or dies just then
            self.assertIn("exportState of the running version", str(refused))

    def counted(self, name: str) -> dict[str, int]:
        """What it holds: ``counting`` the edge, others their processes."""
        answer = self.send(self.edge, name, "GET /count", "", b"")
        return dict(json.loads(answer.partition(b"\r\n\r\n")[2]))

    def quiet(self) -> dict[str, dict[str, int]]:
        """What everybody holds, once nothing is under way."""
        def settled() -> dict[str, dict[str, int]] | None:
            told = {name: self.counted(name) for name in ("brief", "whole", "counting")}
            isOver = told["counting"]["Context"] <= 1 and told["brief"]["requests"] == told["whole"]["requests"] == 1
            return told if isOver else None

        try:
            found: dict[str, dict[str, int]] = self.until(settled)
        except self.failureException:
            raise self.failureException({name: self.counted(name) for name in ("brief", "whole", "counting")}) from None
        return found

    def resident(self) -> float:
        """Megabytes of the edge."""
        return int(Path(f"/proc/{self.edge.process.pid}/statm").read_text().split()[1]) * 4096 / (1 << 20)

    def same(self, before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]) -> list[str]:
        """What is more than it was."""
        return [
            f"{name}: {what}: {before[name][what]} → {count}"
            for name, counts in after.items()
            for what, count in counts.items()
            if count > before[name][what] + (0 if what in EXACT else POOLED) and what != "peak"
        ]

    def run_(self, count: int, untidy: float, seed: int) -> dict[str, int]:
        client = Client(self.edge.port, seed, untidy)
        client.run(count)
        self.assertNotIn("foreign", client.answered)
        self.assertGreater(client.answered["own"], count // 10)
        return client.answered

    def test_tidy(self) -> None:
        """Thousands of requests, of which many are broken off: memory and all counts are as they were."""
        self.run_(max(2000, REQUESTS // 10), 0, 1)
        before, size = self.quiet(), self.resident()
        answered = self.run_(REQUESTS, 0, 2)
        after, grown = self.quiet(), self.resident() - size
        self.assertEqual(self.same(before, after), [])
        self.assertLess(grown, MEGABYTES)
        for name in ("brief", "whole"):
            self.assertLess(after[name]["peak"] - before[name]["peak"], 10)
        self.assertNotIn("late", answered)
        self.assertNoFaults()

    def test_killed(self) -> None:
        """Processes die and spin meanwhile: only calls that were theirs fail."""
        self.run_(2000, 0, 3)
        before = self.quiet()
        answered = self.run_(REQUESTS // 5, 0.001, 4)
        after = self.quiet()
        self.assertEqual(self.same(before, after), [])
        self.assertNotIn("late", answered)
        self.until(lambda: len(lockedOf(self.edge)) == 3, f"{lockedOf(self.edge)}")
        self.assertNoFaults()

    def test_readersAreInnocent(self) -> None:
        """Whoever reads a body that comes slowly does so once more, when another call has ended the process."""
        clients = [self.connect(self.edge) for _ in range(20)]
        for number, client in enumerate(clients):
            host = ("brief", "whole")[number % 2]
            head = f"POST /echo HTTP/1.1\r\nHost: {host}.example\r\nX-Token: t{number}\r\nContent-Length: 2000\r\n\r\n"
            client.sendall(head.encode() + b"x" * 1000)
        for how in ("spin", "die"):
            for host in ("brief", "whole"):
                self.assertIn(b" 500 ", self.send(self.edge, host, f"GET /{how}", "", b"")[:20])
            # Nobody is asked more than twice.
            if how == "spin":
                for client in clients[:10]:
                    client.sendall(b"x" * 1000)
                for number, client in enumerate(clients[:10]):
                    head, rest = readHead(client)
                    self.assertIn(f"\r\nX-Token: t{number}\r\n".encode(), head)
                    self.assertEqual(rest or client.recv(100), b"2000")
        self.quiet()
        self.assertNoFaults()

    def test_swapped(self) -> None:
        """Versions are replaced meanwhile: nothing of the old ones stays."""
        self.run_(2000, 0, 5)
        self.swap()
        before = self.quiet()
        done: list[dict[str, int]] = []
        import threading

        thread = threading.Thread(target=lambda: done.append(self.run_(REQUESTS // 5, 0.0002, 6)))
        thread.start()
        while thread.is_alive():
            self.swap()
            thread.join(1.0)
        after = self.quiet()
        self.assertGreater(self.swapped, 1)
        self.assertEqual(self.same(before, after), [])
        self.assertNotIn("late", done[0])
        self.until(lambda: len(lockedOf(self.edge)) == 3, f"{lockedOf(self.edge)}")
        self.assertNoFaults()

    def assertNoFaults(self) -> None:
        """The edge itself has nothing to complain of."""
        said = self.edge.said()
        for text in ("the edge has failed at", "Unhandled error", "Unhandled Error", "after request"):
            if text in said:
                at = said.index(text)
                self.fail(said[max(0, at - 500) : at + 3000])

    test_tidy.timeout = test_killed.timeout = test_swapped.timeout = 3000  # type: ignore[attr-defined]
