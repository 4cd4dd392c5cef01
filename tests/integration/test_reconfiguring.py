"""revproxy.yaml and folders of plugins change under a running edge: real files, real sockets."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from revproxy.cli.edgeclient import EdgeClient, pathOf
from tests.harness import EdgeCase, EdgeProcess, freePort, readHead
from tests.repetition import longer
from tests.tools import needs

PLUGIN = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware, IResponseMiddleware
{imports}

@implementer(IMiddleware, IResponseMiddleware)
class Says:
    name = "says"
    def handle(self, context):
        return True
    def handleResponse(self, context):
        context.response.headers.set("X-Says", {says})

def PluginMain(config):
    return Says()
"""


def plugin(says: str, imports: str = "") -> str:
    """Code that sets a field."""
    return PLUGIN.format(says=says, imports=imports)


class ReconfiguringCase(EdgeCase):
    """
    Starts an edge that answers by itself.

    :ivar settle: seconds.
    """

    settle = 0.15

    def begin(self, files: dict[str, str | bytes] | None = None, extra: str = "") -> EdgeProcess:
        folder = {"plugins/.keep": "", **(files or {})}
        edge = self.launch(self.text(extra), None, folder, "--debuggable")
        self.until(lambda: "listening on" in edge.said() or edge.process.poll() is not None)
        self.assertIsNone(edge.process.poll(), edge.said())
        self.until(lambda: self.isWatching(edge))
        self.ask(edge, "POST", "reload")
        return edge

    def isWatching(self, edge: EdgeProcess) -> bool:
        """Whether the kernel tells it of files."""
        for info in Path(f"/proc/{edge.process.pid}/fdinfo").iterdir():
            try:
                if "inotify wd:" in info.read_text():
                    return True
            except OSError:
                continue  # closed meanwhile
        return False

    def text(self, extra: str = "") -> str:
        routes = "routes: [{respond: {body: hi}}]\n" if "routes:" not in extra else ""
        listeners = "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\n" if "listeners:" not in extra else ""
        plugins = f"plugins: {{directory: plugins, settle: {self.settle}}}\n"
        return f"{listeners}{routes}{plugins}logging: {{access: access.log}}\n{extra}"

    def ask(self, edge: EdgeProcess, method: str, *path: str, body: Any = None, **query: Any) -> Any:
        """Over the control socket."""
        return EdgeClient(edge.folder / "var" / "control.sock").ask(method, pathOf(*path), query, body)

    def configure(self, edge: EdgeProcess, extra: str) -> None:
        """Write revproxy.yaml anew, as an editor does."""
        draft = edge.folder / "revproxy.yaml.new"
        draft.write_text(self.text(extra).replace("PORT", str(edge.port)))
        draft.replace(edge.folder / "revproxy.yaml")

    def says(self, edge: EdgeProcess) -> str:
        """The field the plugin sets, or nothing."""
        for line in self.get(edge)[0].decode().split("\r\n"):
            if line.lower().startswith("x-says: "):
                return line[8:]
        return ""

    def kinds(self, edge: EdgeProcess, name: str = "says") -> list[str]:
        """What happened to a plugin."""
        events = self.ask(edge, "GET", "events", limit=1000)["items"]
        return [event["kind"] for event in events if event["plugin"] == name]

    def settled(self, edge: EdgeProcess) -> None:
        """Wait until nothing happens any more: longer than files need to settle, and a look of our own."""
        ends = time.monotonic() + self.settle + 0.45
        self.until(lambda: time.monotonic() > ends)
        self.ask(edge, "POST", "reload")


class FileTests(ReconfiguringCase):
    """revproxy.yaml."""

    def test_listeners(self) -> None:
        """One more listener is opened, the first is not touched; taken away, its port is closed."""
        edge = self.begin()
        client = self.connect(edge)
        other = freePort()
        both = f"listeners: [{{endpoint: 'tcp:PORT:interface=127.0.0.1'}}, {{endpoint: 'tcp:{other}'}}]\n"
        self.configure(edge, both)
        self.until(lambda: self.reaches(other))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(readHead(client)[0].startswith(b"HTTP/1.1 200 "))
        self.configure(edge, "")
        self.until(lambda: not self.reaches(other))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(readHead(client)[0].startswith(b"HTTP/1.1 200 "))

    def reaches(self, port: int) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    def test_portTaken(self) -> None:
        """A port of somebody else's refuses the whole file: its routes are not there either. The port is named."""
        edge = self.begin()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.configure(
                edge,
                f"listeners: [{{endpoint: 'tcp:PORT:interface=127.0.0.1'}}, "
                f"{{endpoint: 'tcp:{port}:interface=127.0.0.1'}}]\nroutes: [{{respond: {{body: new}}}}]\n",
            )
            self.until(lambda: str(port) in edge.said() and "refused" in edge.said())
        self.assertEqual(self.get(edge)[1], b"hi")

    def test_routesAndLog(self) -> None:
        """Routes, limits and the access log take effect together."""
        edge = self.begin()
        self.configure(
            edge, "routes: [{respond: {body: new}}]\nlimits: {max_target_bytes: 50}\n"
        )
        self.until(lambda: self.get(edge)[1] == b"new")
        self.assertTrue(self.get(edge, "/" + "x" * 60)[0].startswith(b"HTTP/1.1 414 "))

    def test_requests(self) -> None:
        """So do the methods of a route, and what becomes of names with underscores."""
        origin = self.origin(self.echo)
        app = f"upstreams: {{app: {{targets: [{origin.url}]}}}}\n"
        edge = self.begin(extra=app + "routes: [{upstream: app}]\n")
        self.assertNotIn(b"a_b: c", self.get(edge, fields="a_b: c\r\n")[1])
        extra = "routes: [{path: /, upstream: app}, {path: /post, upstream: app, methods: [POST]}]\n"
        self.configure(edge, app + extra + "requests: {underscores: keep}\n")
        self.until(lambda: b"a_b: c" in self.get(edge, fields="a_b: c\r\n")[1])
        head = self.get(edge, "/post")[0]
        self.assertTrue(head.startswith(b"HTTP/1.1 405 "), head)
        self.assertIn(b"\r\nAllow: POST\r\n", head)

    def echo(self, peer: socket.socket) -> None:
        """An origin that answers with the head it got."""
        while head := readHead(peer)[0]:
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))

    def test_broken(self) -> None:
        """A file with a mistake changes nothing, and the mistake is told with its line; the mended file is taken."""
        edge = self.begin()
        self.configure(edge, "rotes: []\n")
        self.until(lambda: "revproxy.yaml:5:1: " in edge.said(), edge.said())
        self.assertEqual(self.get(edge)[1], b"hi")
        self.configure(edge, "routes: [{respond: {body: new}}]\n")
        self.until(lambda: self.get(edge)[1] == b"new")


settling = longer(1.0, 4.0)


class FolderTests(ReconfiguringCase):
    """
    A folder is written in the ways that people and programs write folders: one load, of the complete tree.

    Files settle longer than this process may be kept waiting between two writes of one change.
    """

    MANIFEST = json.dumps({"name": "says", "version": "1.0.0"})

    def begun(self) -> tuple[EdgeProcess, Path]:
        edge = self.begin({"plugins/says/plugin.json": self.MANIFEST, "plugins/says/plugin.py": plugin("'one'")})
        self.assertEqual(self.says(edge), "one")
        return edge, edge.folder / "plugins" / "says"

    def assertOneLoad(self, edge: EdgeProcess, says: str, kinds: list[str]) -> None:
        """The new code serves, and there was one change."""
        self.until(lambda: self.says(edge) == says, f"not {says}: {edge.said()}")
        self.settled(edge)
        self.assertEqual(self.kinds(edge), kinds)

    @settling
    def test_slowCopy(self) -> None:
        """200 files that come one by one."""
        edge = self.begin()
        folder = edge.folder / "plugins" / "says"
        folder.mkdir()
        # plugin.py comes early and needs the last one.
        (folder / "plugin.json").write_text(self.MANIFEST)
        (folder / "plugin.py").write_text(plugin("str(m199.N)", "from . import m199"))
        for number in range(200):
            (folder / f"m{number}.py").write_text(f"N = {number}\n")
            time.sleep(0.005)
        self.assertOneLoad(edge, "199", ["loaded"])

    @longer(0.15, 0.2)
    def test_slowFile(self) -> None:
        """One file that is written with pauses longer than anything settles in."""
        edge, folder = self.begun()
        text = plugin("'two'")
        with (folder / "plugin.py").open("w") as file:
            for piece in (text[:40], text[40:90], text[90:]):
                file.write(piece)
                file.flush()
                time.sleep(0.3)
        self.assertOneLoad(edge, "two", ["replaced"])

    @settling
    def test_editor(self) -> None:
        """As vim saves: a probe, a backup, a new file, the backup removed."""
        edge, folder = self.begun()
        (folder / "4913").touch()
        (folder / "4913").unlink()
        (folder / "plugin.py").rename(folder / "plugin.py~")
        (folder / "plugin.py").write_text(plugin("'two'"))
        (folder / "plugin.py~").unlink()
        self.assertOneLoad(edge, "two", ["replaced"])

    @settling
    def test_rsync(self) -> None:
        """Hidden files that get their names at the end."""
        edge, folder = self.begun()
        for name, content in (("plugin.py", plugin("w.W", "from . import w")), ("w.py", "W = 'two'")):
            (folder / f".{name}.x7Gh2a").write_text(content)
            (folder / f".{name}.x7Gh2a").rename(folder / name)
        self.assertOneLoad(edge, "two", ["replaced"])

    @needs("git")
    @settling
    def test_git(self) -> None:
        """A checkout of another branch, and back."""
        edge, folder = self.begun()

        def git(*arguments: str) -> None:
            environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
            who = ["-c", "user.name=a", "-c", "user.email=a@b"]
            subprocess.run(["git", *who, *arguments], cwd=edge.folder / "plugins", check=True, env=environment,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        git("init", "-b", "main")
        git("add", ".")
        git("commit", "-m", "one")
        git("checkout", "-b", "other")
        (folder / "plugin.py").write_text(plugin("'two'"))
        git("commit", "-am", "two")
        self.assertOneLoad(edge, "two", ["replaced"])
        git("checkout", "main")
        self.assertOneLoad(edge, "one", ["replaced", "replaced"])

    @settling
    def test_touched(self) -> None:
        """Written with what it had: nothing happens."""
        edge, folder = self.begun()
        (folder / "plugin.py").write_text(plugin("'one'"))
        self.settled(edge)
        self.assertEqual(self.kinds(edge), [])

    @settling
    def test_linkSwapped(self) -> None:
        """A link to another folder, as deployments switch versions."""
        edge = self.begin({
            "releases/1/plugin.json": self.MANIFEST, "releases/1/plugin.py": plugin("'one'"),
            "releases/2/plugin.json": self.MANIFEST, "releases/2/plugin.py": plugin("'two'"),
        })
        link = edge.folder / "plugins" / "says"
        link.symlink_to("../releases/1")
        self.until(lambda: self.says(edge) == "one")
        draft = edge.folder / "plugins" / ".says"
        draft.symlink_to("../releases/2")
        draft.replace(link)
        self.assertOneLoad(edge, "two", ["loaded", "replaced"])

    @settling
    def test_severalAreOne(self) -> None:
        """Two folders changed within one window are one change."""
        edge, folder = self.begun()
        other = folder.parent / "other"
        other.mkdir()
        (other / "plugin.json").write_text(json.dumps({"name": "other", "version": "1.0", "requires": {"says": ">=2"}}))
        (other / "plugin.py").write_text(plugin("'other'"))
        (folder / "plugin.json").write_text(json.dumps({"name": "says", "version": "2.0"}))
        self.until(lambda: self.kinds(edge, "other") == ["loaded"])
        self.assertEqual(self.kinds(edge), ["replaced"])
        self.assertEqual(self.ask(edge, "GET", "plan")["number"], 2)

    @settling
    def test_deleted(self) -> None:
        """Without its folder a plugin is gone; with it again it is back."""
        edge, folder = self.begun()
        shutil.move(folder, edge.folder / "away")
        self.until(lambda: self.says(edge) == "")
        shutil.move(edge.folder / "away", folder)
        self.assertOneLoad(edge, "one", ["removed", "loaded"])


class RestartTests(ReconfiguringCase):
    """The process ends and another begins."""

    def test_pinned(self) -> None:
        """What ran before runs after: pins and all, and the folder is gone."""
        manifest = json.dumps({"name": "says", "version": "1.0.0"})
        edge = self.begin({"plugins/says/plugin.json": manifest, "plugins/says/plugin.py": plugin("'one'")})
        (edge.folder / "plugins/says/plugin.py").write_text(plugin("'two'"))
        self.until(lambda: self.says(edge) == "two")
        self.ask(edge, "POST", "plugins", "says", "rollback")
        self.assertEqual(self.says(edge), "one")
        shutil.rmtree(edge.folder / "plugins/says")
        edge.terminate()
        self.assertEqual(edge.status(), 0)
        again = EdgeProcess(edge.folder, edge.port, ["--config", "revproxy.yaml"])
        self.addCleanup(again.kill)
        self.until(lambda: "listening on" in again.said())
        self.assertEqual(self.says(again), "one")

    def test_required(self) -> None:
        """A required plugin without its folder runs on, over a restart, too; without a stored version, no start."""
        manifest = json.dumps({"name": "says", "version": "1.0.0", "required": True})
        edge = self.begin({"plugins/says/plugin.json": manifest, "plugins/says/plugin.py": plugin("'one'")})
        shutil.rmtree(edge.folder / "plugins/says")
        self.until(lambda: self.kinds(edge) == ["required-folder-gone"])
        self.assertEqual(self.says(edge), "one")
        edge.terminate()
        self.assertEqual(edge.status(), 0)
        again = EdgeProcess(edge.folder, edge.port, ["--config", "revproxy.yaml"])
        self.addCleanup(again.kill)
        self.until(lambda: "listening on" in again.said())
        self.assertEqual(self.says(again), "one")
        # The last event is from before, and the numbers go on.
        self.until(lambda: len(self.kinds(again)) == 2)
        first, second = [each for each in self.ask(again, "GET", "events")["items"] if each["plugin"] == "says"]
        self.assertLess((first["number"], first["at"]), (second["number"], second["at"]))
        again.terminate()
        self.assertEqual(again.status(), 0)
        shutil.rmtree(edge.folder / "var/versions/says")
        last = EdgeProcess(edge.folder, edge.port, ["--config", "revproxy.yaml"])
        self.addCleanup(last.kill)
        self.assertEqual(last.status(), 1)
        self.assertIn(f"{edge.folder}/plugins/says: plugin says is required", last.said())

    def test_stateInUse(self) -> None:
        """Two edges do not share a state folder; the second says who has it, and does not start."""
        edge = self.begin()
        (edge.folder / "second").mkdir()
        text = self.text(f"state: {edge.folder / 'var'}\n").replace("PORT", str(freePort()))
        (edge.folder / "second" / "revproxy.yaml").write_text(text.replace("directory: plugins", "directory: ."))
        second = EdgeProcess(edge.folder / "second", 0, ["--config", "revproxy.yaml"])
        self.addCleanup(second.kill)
        self.assertEqual(second.status(), 1)
        self.assertIn(f"is in use by process {edge.process.pid}", second.said())
        self.assertNotIn("Traceback", second.said())
