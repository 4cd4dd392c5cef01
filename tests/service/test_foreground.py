"""``revproxy run`` in a process of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.harness import PATIENCE, EdgeCase, EdgeProcess, freePort, readAll
from tests.socketfolder import socketFolder
from tests.tools import needs

CONFIG = "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\nroutes: [{respond: {body: BODY}}]\n"


class RunCase(EdgeCase):
    """In a folder with a configuration."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.port = freePort()
        self.write("one")

    def write(self, body: str) -> None:
        (self.folder / "revproxy.yaml").write_text(CONFIG.replace("PORT", str(self.port)).replace("BODY", body))

    def process(self, *arguments: str, **more: Any) -> EdgeProcess:
        edge = EdgeProcess(self.folder, self.port, list(arguments), None, **more)
        self.addCleanup(edge.kill)
        return edge

    def running(self, *arguments: str, **more: Any) -> EdgeProcess:
        edge = self.process(*arguments, **more)
        self.until(lambda: self.isListening() or edge.process.poll() is not None, "it does not listen")
        self.assertIsNone(edge.process.poll(), edge.said())
        return edge

    def isListening(self) -> bool:
        try:
            return bool(self.answer())
        except OSError:
            return False

    def answer(self) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return readAll(client).rpartition(b"\r\n")[2]

    def refused(self, *arguments: str, status: int = 1, **more: Any) -> str:
        """What it says when it does not start."""
        edge = self.process(*arguments, **more)
        self.assertEqual(edge.status(), status, edge.said())
        self.assertNotIn("Traceback", edge.said())
        return edge.said()

    def ended(self, edge: EdgeProcess, number: int = signal.SIGTERM) -> str:
        edge.process.send_signal(number)
        self.assertEqual(edge.status(), 0, edge.said())
        self.assertNotIn("Traceback", edge.said())
        return edge.said()


class RunTests(RunCase):
    """The whole of it."""

    def test_default(self) -> None:
        """revproxy.yaml here, no pid file; ends in order by either signal, with 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            edge = self.running()
            self.assertEqual(self.answer(), b"one")
            self.assertIn("revproxy has ended", self.ended(edge, number))
            self.assertEqual({path.name for path in self.folder.iterdir()}, {"edge.log", "revproxy.yaml", "var"})

    def test_options(self) -> None:
        """Without a file, as twistd revproxy has them."""
        (self.folder / "revproxy.yaml").unlink()
        origin = self.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        endpoint = f"tcp:{self.port}:interface=127.0.0.1"
        edge = self.running("-l", endpoint, "-u", origin.url, "--state", "kept", "--access-log", "access.log")
        self.assertTrue(self.answer().endswith(b"hi"))
        self.assertTrue((self.folder / "kept" / "lock").exists())
        self.ended(edge)
        self.assertEqual(edge.records()[0]["status"], 200)

    def test_hangUp(self) -> None:
        """As soon as it reads its command line SIGHUP ends nothing, and an edge that runs reads the files again."""
        edge = self.process()
        status = Path(f"/proc/{edge.process.pid}/status")
        self.until(lambda: int(status.read_text().partition("SigCgt:")[2].split()[0], 16) >> signal.SIGHUP - 1 & 1)
        while not self.isListening():
            edge.process.send_signal(signal.SIGHUP)
            edge.process.send_signal(signal.SIGUSR1)
        self.assertIsNone(edge.process.poll(), edge.said())
        self.write("two")
        edge.process.send_signal(signal.SIGHUP)
        self.until(lambda: self.answer() == b"two")
        self.ended(edge)

    def test_unwatched(self) -> None:
        """Where nothing is watched, SIGHUP has the files read; what is in them may have them watched again."""
        with (self.folder / "revproxy.yaml").open("a") as file:
            file.write("plugins: {watch: false}\n")
        edge = self.running()
        self.write("two")
        edge.process.send_signal(signal.SIGHUP)
        self.until(lambda: self.answer() == b"two")  # and with that, watched again
        self.write("three")
        self.until(lambda: self.answer() == b"three")
        self.ended(edge)

    def test_endedEarly(self) -> None:
        """SIGTERM and SIGINT before it has begun: it ends, with 0."""
        plugin = self.folder / "plugins" / "slow"
        plugin.mkdir(parents=True)
        (plugin / "plugin.json").write_text('{"name": "slow", "version": "1", "entry_point": "PluginMain"}')
        (plugin / "plugin.py").write_text(
            "import pathlib, time\npathlib.Path('imported').touch()\ntime.sleep(100)\n")
        with (self.folder / "revproxy.yaml").open("a") as file:
            file.write("plugins: {directory: plugins}\n")
        for number in (signal.SIGTERM, signal.SIGINT):
            edge = self.process()
            self.until((self.folder / "imported").exists)
            edge.process.send_signal(number)
            self.assertEqual(edge.status(), 0, edge.said())
            (self.folder / "imported").unlink()

    def test_reload(self) -> None:
        """--reload supervises a child that reads the same command line."""
        edge = self.running("--reload")
        self.assertEqual(self.answer(), b"one")
        edge.terminate()
        self.assertEqual(edge.status(), 0, edge.said())
        self.until(lambda: not self.isListening())


    def test_closedStreams(self) -> None:
        """Started without standard streams it serves, and no line goes into whatever is opened next."""
        edge = self.running("--debuggable", before=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
        for number in (0, 1, 2):
            self.assertEqual(os.readlink(f"/proc/{edge.process.pid}/fd/{number}"), os.devnull)
        self.ended(edge)


class RefusedTests(RunCase):
    """What keeps it from starting: one line, status 1."""

    def test_nothing(self) -> None:
        """No configuration here, and none named."""
        (self.folder / "revproxy.yaml").unlink()
        self.assertIn("there is no revproxy.yaml here: give --config FILE", self.refused())
        self.assertIn("nope.yaml: cannot be read: No such file", self.refused("-c", "nope.yaml"))

    def test_both(self) -> None:
        """A file and what a file would say."""
        said = self.refused("-c", "revproxy.yaml", "-l", "tcp:1", status=2)
        self.assertIn("--config and --listen do not go together", said)

    def test_configuration(self) -> None:
        """Every problem with its place."""
        with (self.folder / "revproxy.yaml").open("a") as file:
            file.write("nonsense: 1\n")
        self.assertIn("revproxy.yaml:3:1: $.nonsense: unknown key", self.refused())

    def test_portInUse(self) -> None:
        """Said where it was started, too, if there is a log file."""
        with socket.create_server(("127.0.0.1", self.port)):
            self.assertIn("cannot start: Couldn't listen on", self.refused())
            self.assertIn("cannot start: Couldn't listen on", self.refused("--logfile", "own.log"))
        self.assertIn("cannot start: Couldn't listen on", (self.folder / "own.log").read_text())

    def test_logFile(self) -> None:
        """One that cannot be opened."""
        self.assertIn("--logfile: /nowhere/x cannot be opened: No such file or directory",
                      self.refused("--logfile", "/nowhere/x"))
        self.assertIn("cannot be opened: Is a directory", self.refused("--logfile", "."))

    def test_users(self) -> None:
        """Nobody knows them."""
        self.assertIn("--uid: there is no user 'nosuch' on this machine", self.refused("--uid", "nosuch"))
        self.assertIn("--gid: there is no group 'nosuch' on this machine", self.refused("--gid", "nosuch"))
        self.assertIn("a number that has no name needs --gid as well", self.refused("--uid", "3999999"))


class LogFileTests(RunCase):
    """--logfile."""

    def test_rotated(self) -> None:
        """SIGUSR1 opens it anew, as the access log; if that cannot be, lines go on to the old one."""
        log, old = self.folder / "own.log", self.folder / "own.log.1"
        edge = self.running("--logfile", "own.log")
        log.rename(old)
        edge.process.send_signal(signal.SIGUSR1)
        self.until(log.exists)
        log.rename(old.with_name("own.log.2"))
        log.mkdir()
        edge.process.send_signal(signal.SIGUSR1)
        self.until(lambda: "cannot be opened anew" in old.with_name("own.log.2").read_text())
        self.ended(edge)
        self.assertIn("listening on", old.read_text())
        self.assertIn("revproxy has ended", old.with_name("own.log.2").read_text())


class RootTests(RunCase):
    """What root can do."""

    if os.getuid() != 0:
        skip = "only root may become somebody else"

    def setUp(self) -> None:
        self.folder = socketFolder(self)  # trial's own is nobody else's
        self.folder.chmod(0o755)
        self.port = freePort()
        self.write("one")
        self.user = pwd.getpwnam("nobody")
        if subprocess.run(["setpriv", f"--reuid={self.user.pw_uid}", "--clear-groups", sys.executable, "-c", ""],
                          capture_output=True, check=False).returncode:
            # What Python imports later is imported as that user.
            self.skipTest(f"{sys.executable} cannot be run by another user")

    def test_unreadable(self) -> None:
        """A configuration that the user may not even look at is in force all the same."""
        self.folder.chmod(0o700)
        edge = self.running("--uid", "nobody")
        self.assertEqual(self.answer(), b"one")
        self.ended(edge)

    def owner(self, name: str) -> tuple[int, int, int]:
        found = os.lstat(self.folder / name)
        return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)

    def ids(self, edge: EdgeProcess) -> dict[str, list[int]]:
        lines = Path(f"/proc/{edge.process.pid}/status").read_text().splitlines()
        pairs = (line.split(":") for line in lines)
        wanted = ("Uid", "Gid", "Groups")
        return {key: [int(number) for number in value.split()] for key, value in pairs if key in wanted}

    def test_user(self) -> None:
        """The ports are bound as root; then it is that user, with its groups, and the state folder is its own."""
        uid, gid = self.user.pw_uid, self.user.pw_gid
        edge = self.running("--uid", "nobody")
        self.assertEqual(self.ids(edge), {"Uid": [uid] * 4, "Gid": [gid] * 4, "Groups": os.getgrouplist("nobody", gid)})
        self.assertEqual(self.owner("var"), (uid, gid, 0o700))
        self.ended(edge)
        edge = self.running("--uid", str(uid), "--gid", "4242")
        self.assertEqual(self.ids(edge), {"Uid": [uid] * 4, "Gid": [4242] * 4, "Groups": [4242]})

    def test_rootsState(self) -> None:
        """What an edge has kept as root is given to the user; but not what others can write in, or what is no state."""
        self.ended(self.running())
        self.assertEqual(self.owner("var")[0], 0)
        edge = self.running("--uid", "nobody")
        self.assertEqual(self.owner("var/lock")[0], self.user.pw_uid)
        self.ended(edge)
        shutil.rmtree(self.folder / "var")
        (self.folder / "var").mkdir(0o755)
        (self.folder / "var" / "precious").touch()
        self.assertIn("cannot be used as the state folder", self.ended(self.running("--uid", "nobody")))
        self.assertEqual(self.owner("var/precious")[0], 0)

    def test_twistd(self) -> None:
        """twistd --uid makes the state folder for that user, too."""
        edge = EdgeProcess(self.folder, self.port, ["--config", "revproxy.yaml"],
                           ["-n", "--pidfile=", "--uid", str(self.user.pw_uid)])
        self.addCleanup(edge.kill)
        self.until(self.isListening)
        self.assertEqual(self.owner("var")[:2], (self.user.pw_uid, self.user.pw_gid))
        self.ended(edge)

    def test_lowPort(self) -> None:
        """Somebody else is told what a port below 1024 needs."""
        self.folder.chmod(0o777)
        (self.folder / "revproxy.yaml").write_text(CONFIG.replace("PORT", "90").replace("BODY", "x"))
        said = self.refused(before=["setpriv", f"--reuid={self.user.pw_uid}", "--clear-groups", "--bounding-set=-all"])
        self.assertIn("Permission denied. Ports below 1024 need root", said)
        said = self.refused("--uid", "root", before=["setpriv", f"--reuid={self.user.pw_uid}", "--clear-groups"])
        self.assertIn("only root may become user 0", said)


@needs("unshare")
class ReadOnlyTests(RunCase):
    """Where nothing can be written."""

    if os.getuid() != 0:
        skip = "only root may do that"

    def test_workingDirectory(self) -> None:
        """A read-only working directory keeps nothing from being served; a line says what is not kept."""
        script = f"mount --bind {self.folder} {self.folder} && mount -o remount,bind,ro {self.folder} && exec \"$@\""
        edge = self.running(before=["unshare", "-m", "sh", "-c", f"cd / && {script}; exit 99", "sh",
                                    "env", "-C", str(self.folder)])
        self.assertEqual(self.answer(), b"one")
        said = self.ended(edge)
        self.assertIn("versions and pins are not kept", said)


@needs("unshare")
class FirstProcessTests(RunCase):
    """As process 1 of a container."""

    if os.getuid() != 0:
        skip = "only root may do that"

    BEFORE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

    def first(self, edge: EdgeProcess) -> int:
        return int(Path(f"/proc/{edge.process.pid}/task/{edge.process.pid}/children").read_text().split()[0])

    def test_first(self) -> None:
        """It reaps what is orphaned, passes on signals, and ends with the edge's status."""
        plugin = self.folder / "plugins" / "orphans"
        plugin.mkdir(parents=True)
        (plugin / "plugin.json").write_text('{"name": "orphans", "version": "1", "entry_point": "PluginMain"}')
        (plugin / "plugin.py").write_text("""
import subprocess
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class PluginMain:
    name = "orphans"
    def __init__(self, config): ...
    def handle(self, context):
        status = subprocess.run("(exit 4) & (sleep 0.05; exit 3) & exit 7", shell=True).returncode
        return context.respond(200, str(status))
""")
        with (self.folder / "revproxy.yaml").open("a") as file:
            file.write("plugins: {directory: plugins}\n")
        edge = self.running(before=self.BEFORE)
        self.assertEqual(self.answer()[-1:], b"7")
        first = self.first(edge)

        def descendants() -> list[str]:
            inside = os.readlink(f"/proc/{first}/ns/pid")
            found = []
            for path in Path("/proc").iterdir():
                try:
                    if path.name.isdecimal() and os.readlink(path / "ns" / "pid") == inside:
                        found.append((path / "stat").read_text().rpartition(")")[2].split()[0])
                except OSError:
                    pass
            return found

        self.until(lambda: len(descendants()) == 2, "zombies stay")
        self.assertNotIn("Z", descendants())
        os.kill(first, signal.SIGHUP)
        self.assertTrue(self.answer())
        os.kill(first, signal.SIGTERM)
        self.assertEqual(edge.status(), 0, edge.said())
        self.assertIn("revproxy has ended", edge.said())

    def test_refused(self) -> None:
        """An edge that cannot start: process 1 ends with 1."""
        self.assertIn("nope.yaml: cannot be read", self.refused("-c", "nope.yaml", before=self.BEFORE))
