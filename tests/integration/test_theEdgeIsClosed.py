"""What somebody with the edge's own user can see of it: no memory, no environment, no core dump; and low ports."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.harness import PATIENCE, EdgeProcess
from tests.service.test_foreground import RunCase
from tests.socketfolder import socketFolder
from tests.tools import needs

SECRET = "correct-horse-battery"

LOOK = """
import ctypes, os, sys
pid = int(sys.argv[1])
for name in ("environ", "mem", "maps"):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            file.read(1)
        print(name, "read")
    except OSError as error:
        print(name, error.strerror)
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE = 0x4206
print("ptrace", "attached" if libc.ptrace(PTRACE_SEIZE, pid, None, None) == 0 else os.strerror(ctypes.get_errno()))
"""

SERVES_DESCRIPTOR = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "http", "LISTEN_PID": str(os.getpid())}
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ClosedCase(RunCase):
    """As root, which becomes nobody; or as whoever runs the tests."""

    def setUp(self) -> None:
        self.nobody = pwd.getpwnam("nobody")
        super().setUp()
        if os.geteuid() != 0:
            return
        self.folder = socketFolder(self)  # trial's own is nobody else's
        self.folder.chmod(0o755)
        self.write("one")
        if self.asNobody("-c", "").returncode:
            self.skipTest(f"{sys.executable} cannot be run by another user")

    def asNobody(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """This Python, run by the user that the edge has."""
        isRoot = os.geteuid() == 0
        become = ["setpriv", f"--reuid={self.nobody.pw_uid}", "--clear-groups"] if isRoot else []
        command = [*become, sys.executable, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def begun(self, *arguments: str, **more: Any) -> EdgeProcess:
        user = ["--uid", "nobody"] if os.geteuid() == 0 else []
        return self.running(*user, *arguments, env={**os.environ, "EDGE_SECRET": SECRET}, **more)


@needs("setpriv")
class ClosedTests(ClosedCase):
    """Somebody of the same user looks."""

    def looked(self, edge: EdgeProcess) -> list[str]:
        done = self.asNobody("-c", LOOK, str(edge.process.pid))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def test_closed(self) -> None:
        """Nothing is read, and no debugger attaches; the file that has its environment is root's."""
        edge = self.begun()
        self.assertEqual(self.looked(edge), [
            "environ Permission denied", "mem Permission denied", "maps Permission denied",
            "ptrace Operation not permitted",
        ])  # fmt: skip
        self.assertEqual(os.stat(f"/proc/{edge.process.pid}/environ").st_uid, 0)
        self.ended(edge)

    def test_noCore(self) -> None:
        """A crash leaves nothing behind."""
        edge = self.begun()
        limits = Path(f"/proc/{edge.process.pid}/limits").read_text().splitlines()
        [core] = [line.split()[4:6] for line in limits if line.startswith("Max core file size")]
        self.assertEqual(core, ["0", "0"])
        edge.process.send_signal(signal.SIGABRT)
        _, status = os.waitpid(edge.process.pid, 0)
        edge.process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual((os.WTERMSIG(status), os.WCOREDUMP(status)), (signal.SIGABRT, False))
        self.assertEqual([path.name for path in self.folder.iterdir() if "core" in path.name], [])

    def test_debuggable(self) -> None:
        """Whoever wants to look asks for it when the edge is started."""
        if os.geteuid() == 0:
            edge = self.running("--debuggable", env={**os.environ, "EDGE_SECRET": SECRET})
            done = subprocess.run([sys.executable, "-c", LOOK, str(edge.process.pid)],
                                  capture_output=True, text=True, timeout=PATIENCE, check=False)  # fmt: skip
            said = done.stdout.splitlines()
        else:
            edge = self.begun("--debuggable")
            said = self.looked(edge)
        self.assertEqual(said[0], "environ read")
        self.assertEqual(os.stat(f"/proc/{edge.process.pid}/environ").st_uid, os.geteuid())

    def test_twistd(self) -> None:
        """twistd's edge is closed, too."""
        user = ["--uid", str(self.nobody.pw_uid)] if os.geteuid() == 0 else []
        edge = EdgeProcess(self.folder, self.port, ["--config", "revproxy.yaml"], ["-n", "--pidfile=", *user])
        self.addCleanup(edge.kill)
        self.until(self.isListening)
        self.until(lambda: "environ Permission denied" in self.looked(edge))
        self.assertIn("ptrace Operation not permitted", self.looked(edge))

    def test_noMorePrivileges(self) -> None:
        """Once it is somebody else, no program makes it root again."""
        if os.geteuid() != 0:
            self.skipTest("only root may become somebody else")
        edge = self.begun()
        status = Path(f"/proc/{edge.process.pid}/status").read_text().splitlines()
        said = dict(line.split(":\t", 1) for line in status if ":\t" in line)
        self.assertEqual((said["NoNewPrivs"], int(said["CapEff"], 16), int(said["CapPrm"], 16)), ("1", 0, 0))

    def test_arguments(self) -> None:
        """What is referred to is in no command line and no log."""
        with (self.folder / "revproxy.yaml").open("a") as file:
            file.write("traces: {otlp: 'http://127.0.0.1:9', headers: {authorization: {$env: EDGE_SECRET}}}\n")
        edge = self.begun()
        self.assertNotIn(SECRET, Path(f"/proc/{edge.process.pid}/cmdline").read_text())
        self.assertNotIn(SECRET, self.ended(edge))


@needs("setpriv")
class LowPortTests(ClosedCase):
    """Ports below 1024, for an edge that never was root."""

    if os.geteuid() != 0:
        skip = "only root can open low ports for others"

    def low(self) -> int:
        """
        One that nobody listens on, and no other process finds until this test is over.

        Bound without ``SO_REUSEADDR``, it was nobody's; with it, set later, the edge may listen there, and whoever
        looks for a port as this does is refused it.
        """
        for port in range(1023, 512, -1):
            held = socket.socket()
            try:
                held.bind(("127.0.0.1", port))
            except OSError:
                held.close()
                continue
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.addCleanup(held.close)
            return port
        raise AssertionError("all low ports are taken")

    def served(self, before: list[str], endpoint: str) -> EdgeProcess:
        self.port = self.low()
        before = [each.replace("PORT", str(self.port)) for each in before]
        text = f"listeners: [{{endpoint: '{endpoint}'}}]\nroutes: [{{respond: {{body: one}}}}]\nstate: state\n"
        (self.folder / "revproxy.yaml").write_text(text.replace("PORT", str(self.port)))
        (self.folder / "state").mkdir(mode=0o700)
        os.chown(self.folder / "state", self.nobody.pw_uid, self.nobody.pw_gid)
        edge = self.running(before=before)
        self.assertEqual(self.answer(), b"one")
        status = Path(f"/proc/{edge.process.pid}/status").read_text()
        self.assertIn(f"Uid:\t{self.nobody.pw_uid}\t", status)
        return edge

    def test_capability(self) -> None:
        """With CAP_NET_BIND_SERVICE, and no other."""
        caps = "net_bind_service"
        setpriv = ["setpriv", f"--reuid={self.nobody.pw_uid}", "--clear-groups", f"--bounding-set=-all,+{caps}",
                   f"--inh-caps=-all,+{caps}", f"--ambient-caps=-all,+{caps}"]  # fmt: skip
        self.ended(self.served(setpriv, "tcp:PORT:interface=127.0.0.1"))

    def test_systemd(self) -> None:
        """A socket that systemd listens on, as it hands it over; it is there again after a change."""
        become = ["setpriv", f"--reuid={self.nobody.pw_uid}", "--clear-groups", "--bounding-set=-all"]
        before = [sys.executable, "-c", SERVES_DESCRIPTOR, "PORT", *become]
        edge = self.served(before, "systemd:domain=INET:name=http")
        config = self.folder / "revproxy.yaml"
        config.write_text(config.read_text().replace("body: one", "body: two"))
        self.until(lambda: self.answer() == b"two")
        self.ended(edge)

    def test_noneHandedOver(self) -> None:
        """Where systemd has not started it, it says what is missing; checking a file needs no socket."""
        self.write("one")
        config = self.folder / "revproxy.yaml"
        text = config.read_text().replace(f"tcp:{self.port}:interface=127.0.0.1", "systemd:domain=INET:name=a")
        config.write_text(text)
        said = self.refused()
        self.assertIn("cannot start: [Errno 2] systemd has handed over no such socket; see FileDescriptorName=", said)
        command = [sys.executable, "-m", "revproxy.cli", "check", "revproxy.yaml"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
