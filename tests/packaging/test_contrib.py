"""What is in ``contrib/``, tried by the programs that it is for, as far as they are here."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock.detection import detect
from revproxy.isolation.lock.syscalls import thisMachine
from revproxy.isolation.lock.trial import attemptInChild
from tests.isolation.lock.faults import Fault, refuse
from tests.isolation.lock.inchildren import machine
from tests.service.test_foreground import RunCase
from tests.tools import needs, program

CONTRIB = Path(__file__).parent.parent.parent / "contrib"
DOCS = CONTRIB.parent / "docs"


def run(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def unitLines() -> list[str]:
    return (CONTRIB / "revproxy.service").read_text().splitlines()


def callsOf(name: str) -> set[str]:
    """Of a set of systemd's, with those of the sets in it; of anything else, itself."""
    if not name.startswith("@"):
        return {name}
    lines = map(str.strip, run("systemd-analyze", "syscall-filter", name)[1].splitlines()[1:])
    return {call for line in lines if line and not line.startswith("#") for call in callsOf(line)}


def levelUnder(lines: list[str]) -> str | None:
    """How far processes can be locked where a unit with these lines says what may be called."""
    allowed: set[str] = set()
    for line in lines:
        if line.startswith("SystemCallFilter="):
            value = line.partition("=")[2]
            calls = {call for name in value.removeprefix("~").split() for call in callsOf(name)}
            allowed = allowed - calls if value.startswith("~") else allowed | calls
    refused = tuple(name for name in thisMachine().numbers if name not in {*allowed, *callsOf("@default")})

    def inside(writing: int) -> bytes:
        refuse(Fault(refused, errno.EPERM))
        return (detect().level or "").encode()

    trial = attemptInChild(inside)
    assert trial.status == 0, trial
    return trial.said.decode() or None


@needs("systemd-analyze")
class UnitTests(SynchronousTestCase):
    """The unit for systemd."""

    def setUp(self) -> None:
        self.unit = Path(self.mktemp()).absolute() / "revproxy.service"
        self.unit.parent.mkdir(parents=True)
        program = self.unit.parent / "revproxy"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        text = (CONTRIB / "revproxy.service").read_text()
        self.assertEqual(text.count("/opt/revproxy/bin/revproxy"), 2)
        # Whoever it names need not be on this machine.
        text = re.sub("^(User|Group)=revproxy$", r"\1=daemon", text, flags=re.M)
        self.unit.write_text(text.replace("/opt/revproxy/bin/revproxy", str(program)))

    def test_verified(self) -> None:
        """systemd has nothing to say against it."""
        self.assertEqual(run("systemd-analyze", "verify", self.unit), (0, ""))

    def test_confined(self) -> None:
        """systemd calls its exposure 2 of 10 at most."""
        status, said = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", self.unit)
        self.assertEqual(status, 0, said)

    def test_lock(self) -> None:
        """What it allows of the kernel is enough for locked processes of level B, and no less."""
        self.assertEqual(levelUnder(unitLines()), "B" if machine().level in ("A", "B") else machine().level)

    def test_lockWhole(self) -> None:
        """With what docs/trust.md adds to it for level A, nothing is missing that this machine has."""
        [more] = re.findall(r"```ini\n\[Service\]\n(RestrictNamespaces=.*?)```", (DOCS / "trust.md").read_text(), re.S)
        self.assertEqual(levelUnder([*unitLines(), *more.splitlines()]), machine().level)
        # What systemd does for it is a filter of its own, which no SystemCallFilter opens again.
        self.assertIn("ProtectHostname=yes", unitLines())
        self.assertIn("ProtectHostname=no", more.splitlines())

    def test_commands(self) -> None:
        """The commands in it are ours."""
        for which, command in (("ExecStart", "run"), ("ExecReload", "reload")):
            line = f"{which}=/opt/revproxy/bin/revproxy {command} --config /etc/revproxy/revproxy.yaml"
            self.assertIn(line, (CONTRIB / "revproxy.service").read_text().splitlines())
            status, said = run(sys.executable, "-m", "revproxy.cli", command, "--help")
            self.assertEqual((status, "--config" in said), (0, True))


@needs("promtool")
class PrometheusTests(SynchronousTestCase):
    """The alert rules, and the configuration that names them."""

    folder = CONTRIB / "prometheus"

    def test_checked(self) -> None:
        """promtool has nothing to say against them."""
        for what, name in (("config", "prometheus.yml"), ("rules", "revproxy.rules.yml")):
            status, said = run("promtool", "check", what, self.folder / name)
            self.assertEqual((status, "FAILED" in said), (0, False), said)

    def test_rules(self) -> None:
        """They fire when they should, with the texts that they should, and not before."""
        status, said = run("promtool", "test", "rules", self.folder / "revproxy.rules.test.yml")
        self.assertEqual(status, 0, said)


@needs("logrotate")
class RotationTests(RunCase):
    """The configuration for logrotate."""

    def test_rotated(self) -> None:
        """Both logs of an edge that runs: renamed, opened anew, and no line lost."""
        logs = self.folder / "logs"
        logs.mkdir(0o755)
        with (self.folder / "revproxy.yaml").open("a") as file:
            file.write("logging: {access: logs/access.log}\n")
        edge = self.running("--logfile", "logs/edge.log")
        for _ in range(10):
            self.assertTrue(self.answer())
        self.until(lambda: len((logs / "access.log").read_text().splitlines()) > 10)
        self.rotate(logs)
        for path in (logs / "access.log", logs / "edge.log"):
            self.until(path.exists, f"there is no new {path}")
        for _ in range(10):
            self.assertTrue(self.answer())
        edge.process.send_signal(signal.SIGTERM)
        self.assertEqual(edge.status(), 0)
        self.assertIn("listening on", (logs / "edge.log.1").read_text())
        self.assertIn("revproxy has ended", (logs / "edge.log").read_text())
        old, new = ((logs / name).read_text().splitlines() for name in ("access.log.1", "access.log"))
        self.assertGreaterEqual(len(old), 10)
        self.assertEqual({json.loads(line)["status"] for line in (*old, *new)}, {200})
        self.assertGreaterEqual(len(old) + len(new), 21)

    def rotate(self, logs: Path) -> None:
        """As it stands, but for where this edge is, and who."""
        text = (CONTRIB / "revproxy.logrotate").read_text()
        without = re.search(r"#\s+(kill -USR1 .*)", text)
        assert without is not None
        text = re.sub(r"^\s+systemctl .*$", f"kill -USR1 $(cat {self.folder}/var/lock)", text, flags=re.M)
        self.assertEqual(without[1], 'kill -USR1 "$(cat /var/lib/revproxy/lock)"')
        text = re.sub(r"^\s+su .*\n", f"su {os.getuid()} {os.getgid()}\n".replace("su 0 0", "su root root"), text,
                      flags=re.M)
        config = self.folder / "rotate.conf"
        config.write_text(text.replace("/var/log/revproxy/", f"{logs}/"))
        config.chmod(0o644)
        status, said = run(str(program("logrotate")), "-f", "-s", self.folder / "rotate.state", config)
        self.assertEqual((status, said), (0, ""))


class ContainerTests(SynchronousTestCase):
    """The Containerfile: what can be known without building it."""

    def test_confined(self) -> None:
        """Both stages are made from BASE, it is nobody's root, and what is copied comes along."""
        text = (CONTRIB / "Containerfile").read_text().replace("\\\n", "")
        lines = [
            (line.split()[0], line.split(maxsplit=1)[1])
            for line in text.splitlines()
            if line and not line.startswith("#")
        ]
        self.assertEqual(lines[0][0], "ARG")
        self.assertEqual({rest.split()[0] for word, rest in lines if word == "FROM"}, {"${BASE}"})
        said = dict(lines)
        self.assertNotEqual(said["USER"].split(":")[0], "0")
        self.assertIn(said["VOLUME"], next(rest for word, rest in lines if "-o 65532" in rest))
        self.assertEqual((said["ENTRYPOINT"], said["CMD"]), ('["revproxy"]', '["run"]'))

    def test_comesAlong(self) -> None:
        """The source distribution has the folder."""
        manifest = (CONTRIB.parent / "MANIFEST.in").read_text().splitlines()
        self.assertIn("recursive-include contrib *", manifest)
        self.assertEqual({path.name for path in CONTRIB.iterdir()},
                         {"Containerfile", "grafana", "prometheus", "revproxy.logrotate", "revproxy.service"})
