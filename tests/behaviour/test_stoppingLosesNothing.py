"""SIGTERM: what runs finishes, what is idle ends, nothing new comes in, the log is complete, the status is 0."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading

from tests.harness import PATIENCE, EdgeCase, freePort, readAll, readHead
from tests.repetition import longer

PLUGIN = """
from zope.interface import implementer
from twisted.internet.defer import Deferred
from revproxy.interfaces import ILifecycle, IMiddleware

@implementer(IMiddleware, ILifecycle)
class One:
    name = "one"
    def handle(self, context):
        return True
    def start(self):
        START
    def stop(self):
        print("one has stopped", flush=True)

def PluginMain(config):
    return One()
"""
MANIFEST = json.dumps({"name": "one", "version": "1.0", "entry_point": "PluginMain"})
PLUGINS = "plugins: {directory: plugins}\n"


def plugin(start: str) -> dict[str, str | bytes]:
    return {"plugins/one/plugin.json": MANIFEST, "plugins/one/plugin.py": PLUGIN.replace("START", start)}


class DrainTests(EdgeCase):
    """One request is under way when the edge is told to stop. :ivar settle: seconds that a tunnel is given."""

    settle = 0.0

    def begin(self, timeouts: str) -> None:
        self.go = threading.Event()
        self.addCleanup(self.go.set)
        self.asked = threading.Event()

        def handle(peer: socket.socket) -> None:
            while True:
                head, _ = readHead(peer)
                if not head:
                    return
                if b" /slow" in head:
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
                    self.asked.set()
                    self.go.wait()
                    peer.sendall(b"world")
                else:
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        self.edge = self.start([self.origin(handle)], timeouts + PLUGINS, plugin("pass"))
        self.idle = self.connect(self.edge)
        self.idle.sendall(b"GET /idle HTTP/1.1\r\nHost: a\r\n\r\n")
        readHead(self.idle)
        self.client = self.connect(self.edge)
        self.client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(self.asked.wait(PATIENCE))

    def refused(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.edge.port), timeout=PATIENCE).close()
        except ConnectionRefusedError:
            return True
        return False

    def test_finishes(self) -> None:
        """The running answer is completed; idle connections end at once; new ones are refused."""
        self.begin("")
        self.edge.terminate()
        self.until(self.refused)
        self.assertIn(readAll(self.idle), (b"", b"hi"))
        self.assertIsNone(self.edge.process.poll())
        self.go.set()
        self.assertTrue(readAll(self.client).endswith(b"helloworld"))
        self.assertEqual(self.edge.status(), 0, self.edge.said())
        self.assertIn("one has stopped", self.edge.said())
        self.assertEqual({record["target"]: record["status"] for record in self.edge.records()},
                         {"/idle": 200, "/slow": 200})

    def test_hardStop(self) -> None:
        """What does not finish in the drain time is broken off, and logged as such."""
        self.begin("timeouts: {drain: 0.3}\n")
        self.edge.terminate()
        with self.assertRaises(ConnectionError):
            readAll(self.client)
        self.assertEqual(self.edge.status(), 0, self.edge.said())
        self.assertIn("one has stopped", self.edge.said())
        (slow,) = [record for record in self.edge.records() if record["target"] == "/slow"]
        self.assertIn("error", slow)

    def test_interrupted(self) -> None:
        """SIGINT does the same."""
        self.begin("")
        self.go.set()
        self.edge.process.send_signal(signal.SIGINT)
        self.assertEqual(self.edge.status(), 0, self.edge.said())

    @longer(0.5, 5, 30)
    def test_tunnel(self) -> None:
        """An open tunnel lasts until the drain time is over."""

        def handle(peer: socket.socket) -> None:
            readHead(peer)
            peer.sendall(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
            while data := peer.recv(100):
                peer.sendall(data)

        edge = self.start([self.origin(handle)], f"timeouts: {{drain: {self.settle}}}\n")
        client = self.connect(edge)
        client.sendall(b"GET /t HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        self.assertTrue(readHead(client)[0].startswith(b"HTTP/1.1 101 "))
        edge.terminate()
        client.sendall(b"still")
        self.assertEqual(client.recv(5), b"still")
        self.assertEqual(edge.status(), 0)
        self.assertEqual([record["status"] for record in edge.records()], [101])


class StartTests(EdgeCase):
    """What keeps an edge from starting ends it with status 1 and says why."""

    ONE = "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\nroutes: [{respond: {body: hello}}]\n"

    def assertRefuses(self, config: str, *says: str, files: dict[str, str | bytes] | None = None) -> None:
        edge = self.launch(config, files=files)
        self.assertEqual(edge.status(), 1, edge.said())
        for words in says:
            self.assertIn(words, edge.said())

    def test_portInUse(self) -> None:
        """The port is taken."""
        port = freePort()
        with socket.create_server(("127.0.0.1", port)):
            edge = self.launch(self.ONE, port)
            self.assertEqual(edge.status(), 1, edge.said())
        self.assertIn(str(port), edge.said())
        self.assertIn("Address already in use", edge.said())

    def test_badConfig(self) -> None:
        """An unknown key, with its place."""
        self.assertRefuses(self.ONE + "nonsense: 1\n", "revproxy.yaml:3:1", "nonsense")

    def test_pluginRaises(self) -> None:
        """A plugin's start raises."""
        self.assertRefuses(self.ONE + PLUGINS, "plugin one 1.0: start", "no database", files=plugin(
            "raise RuntimeError('no database')"))

    def test_pluginIsBroken(self) -> None:
        """A plugin cannot be imported: file and line."""
        files = plugin("pass") | {"plugins/one/plugin.py": "import nonexistent_module\n"}
        self.assertRefuses(self.ONE + PLUGINS, "plugin.py", "nonexistent_module", files=files)

    def test_stoppedWhileStarting(self) -> None:
        """Being told to stop while a plugin starts is no failure."""
        edge = self.launch(self.ONE + PLUGINS, files=plugin("print('starting one', flush=True); return Deferred()"))
        self.until(lambda: "starting one" in edge.said() or edge.process.poll() is not None)
        edge.terminate()
        self.assertEqual(edge.status(), 0, edge.said())

    def test_notBeforeThePlugins(self) -> None:
        """A client that comes while plugins start waits, and is served when they are ready."""
        start = (
            "from twisted.internet import reactor, task; import os; d = Deferred(); "
            "task.LoopingCall(lambda: os.path.exists('ready') and not d.called and d.callback(None)).start(0.01); "
            "print('starting one', flush=True); return d"
        )
        edge = self.launch(self.ONE + PLUGINS, files=plugin(start))
        self.until(lambda: "starting one" in edge.said() or edge.process.poll() is not None)
        client = self.connect(edge)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.settimeout(0.2)
        self.assertRaises(TimeoutError, client.recv, 1)
        (edge.folder / "ready").touch()
        client.settimeout(PATIENCE)
        self.assertTrue(readHead(client)[0].startswith(b"HTTP/1.1 200 "))


class LogTests(EdgeCase):
    """What the access log says of ends that are not good."""

    def test_reopened(self) -> None:
        """SIGUSR1: what was moved away gets no more lines, a new file does."""
        edge = self.start([self.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")])
        self.get(edge, "/one")
        self.recordOf(edge, "/one")
        os.rename(edge.folder / "access.log", edge.folder / "old.log")
        edge.process.send_signal(signal.SIGUSR1)
        self.until((edge.folder / "access.log").exists)
        self.get(edge, "/two")
        self.assertEqual(self.recordOf(edge, "/two")["status"], 200)
        self.assertNotIn("/two", (edge.folder / "old.log").read_text())

    def test_manyRequests(self) -> None:
        """Every request before the stop has its line."""
        edge = self.start([self.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")])
        client = self.connect(edge)
        for at in range(500):
            client.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % at)
            readHead(client)
        edge.terminate()
        self.assertEqual(edge.status(), 0)
        self.assertEqual([record["target"] for record in edge.records()], [f"/{at}" for at in range(500)])

    def test_cancelled(self) -> None:
        """A client that leaves before the answer: 499; the origin's side ends at once."""
        asked, gone = threading.Event(), threading.Event()

        def handle(peer: socket.socket) -> None:
            readHead(peer)
            asked.set()
            try:
                peer.recv(1)
            finally:
                gone.set()

        edge = self.start([self.origin(handle)])
        client = self.connect(edge)
        client.sendall(b"GET /left HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(asked.wait(PATIENCE))
        client.close()
        self.assertTrue(gone.wait(PATIENCE), "the origin still waits")
        record = self.recordOf(edge, "/left")
        self.assertEqual(record["status"], 499)
        self.assertIn("ClientGone", record["error"])

    def test_failed(self) -> None:
        """An origin that cannot be reached: 502 with the cause in the log, and none of it in the page."""
        port = freePort()
        edge = self.start([], f"upstreams: {{app: {{targets: ['http://127.0.0.1:{port}']}}}}\n")
        for accept, kind in (("text/html", b"text/html"), ("application/json", b"application/problem+json"),
                             ("*/*", b"text/plain")):
            head, body = self.get(edge, "/dead", f"Accept: {accept}\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 502 "), head)
            self.assertIn(kind, head)
            self.assertNotIn(b"refused", body)
            self.assertNotIn(str(port).encode(), body)
        record = self.recordOf(edge, "/dead")
        self.assertIn("refused", record["error"])
        self.until(lambda: len(edge.records()) == 3)
        ids = {record["id"] for record in edge.records()}
        self.assertIn(body.split()[-1].decode(), ids)
