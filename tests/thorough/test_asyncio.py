"""Libraries that are written for asyncio in a plugin: redis-py before a real Redis, and aiohttp's client."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from tests.harness import PATIENCE, EdgeProcess, freePort
from tests.integration.test_reconfiguring import ReconfiguringCase
from tests.thorough.servers import Server
from tests.tools import needs

PLUGIN = """
import asyncio

import aiohttp
from redis.asyncio import Redis
from zope.interface import implementer

from revproxy.interfaces import IHosted, ILifecycle, IMiddleware, IResponseMiddleware

VERSION = {version!r}


@implementer(IMiddleware, IHosted, ILifecycle, IResponseMiddleware)
class PluginMain:
    name = "says"

    def __init__(self, config):
        self.config = config

    def attach(self, host):
        self.host = host

    async def start(self):
        await self.host.asyncio(self.connect())

    async def stop(self):
        if {closes!r}:
            await self.host.asyncio(self.disconnect())

    async def connect(self):
        self.redis = Redis(port=self.config["redis"], decode_responses=True)
        await self.redis.ping()
        self.session = aiohttp.ClientSession()
        self.forever = asyncio.create_task(self.listen())

    async def disconnect(self):
        await self.redis.aclose()
        await self.session.close()

    async def listen(self):
        channel = self.redis.pubsub()
        await channel.subscribe("news")
        while True:
            await channel.get_message(timeout=1000)

    async def look(self):
        count = await self.redis.incr("count")
        async with self.session.get(self.config["origin"]) as response:
            return f"{{VERSION}} {{count}} {{await response.text()}}"

    async def handle(self, context):
        context.values["says"] = await self.host.asyncio(self.look())
        return True

    def handleResponse(self, context):
        context.response.headers.set("X-Says", context.values["says"])
"""


def redis(folder: Path) -> Server:
    """A Redis of its own that keeps nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    port = freePort()
    options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    return Server(folder, port, ["redis-server", "--port", str(port), *options])


@needs("redis-server")
class AsyncioTests(ReconfiguringCase):
    """`host.asyncio`, in the whole edge."""

    def setUp(self) -> None:
        self.redis = redis(Path(self.mktemp()).absolute())
        self.addCleanup(self.redis.end)
        self.web = self.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nweb")

    def files(self, version: str, closes: bool = True) -> dict[str, str | bytes]:
        config = {"redis": self.redis.port, "origin": self.web.url}
        manifest = {"name": "says", "version": version, "dependencies": ["redis>=5", "aiohttp>=3"], "config": config}
        return {
            "plugins/says/plugin.json": json.dumps(manifest),
            "plugins/says/plugin.py": PLUGIN.format(version=version, closes=closes),
        }

    def replace(self, edge: EdgeProcess, files: dict[str, str | bytes]) -> None:
        for name, text in files.items():
            assert isinstance(text, str)
            (edge.folder / name).write_text(text)

    def test_swapped(self) -> None:
        """Both libraries work; a new version takes over under traffic, and nothing of the one before is left."""
        edge = self.begin(self.files("1"))
        self.assertEqual([self.says(edge) for _ in range(3)], [f"1 {count} web" for count in (1, 2, 3)])
        for version, closes in (("2", False), ("3", True)):
            self.replace(edge, self.files(version, closes))
            self.until(lambda version=version: self.says(edge).startswith(version), edge.said())  # type: ignore[misc]
        self.until(lambda: self.ask(edge, "GET", "plugins", "says")["generations_alive"] == 1, edge.said())
        self.until(lambda: self.clients() == 2, edge.said())  # one for the commands, one that listens
        self.assertEqual(self.kinds(edge).count("remains"), 0)
        edge.terminate()
        self.assertEqual(edge.status(), 0)
        self.assertNotIn("never awaited", edge.said())

    def clients(self) -> int:
        """How many connections Redis has, without the one that asks."""
        with socket.create_connection(("127.0.0.1", self.redis.port), PATIENCE) as asking:
            asking.sendall(b"CLIENT LIST\r\n")
            return sum(line.startswith(b"id=") for line in asking.recv(1 << 16).splitlines()) - 1

    def test_redisDies(self) -> None:
        """A server that is gone fails requests, and is the plugin's failure by name."""
        edge = self.begin(self.files("1"))
        self.assertEqual(self.says(edge), "1 1 web")
        self.redis.end()
        self.assertTrue(self.get(edge)[0].startswith(b"HTTP/1.1 500 "))
        self.until(lambda: any(record.get("plugin_errors") == ["says"] for record in edge.records()))
