"""Code that is brought into a running Python from outside (PEP 768)."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.loop.remotedebug import SWITCH, isRemoteDebugOn, withoutRemoteDebug


def python(**more: Any) -> Any:
    """As ``sys``."""
    return SimpleNamespace(
        executable="/bin/python",
        orig_argv=["python", "-I", "/bin/revproxy", "run"],
        stdout=io.StringIO(),
        stderr=None,
        **more,
    )


class WithoutTests(SynchronousTestCase):
    """`withoutRemoteDebug`, with doubles of ``sys`` and ``execve``."""

    def executed(self, sys: Any, environment: Mapping[str, str]) -> list[tuple[Any, ...]]:
        done: list[tuple[Any, ...]] = []

        def execute(path: str, arguments: list[str], environment: Mapping[str, str]) -> None:
            done.append((path, arguments, environment))

        withoutRemoteDebug(sys, environment, execute)
        return done

    def test_on(self) -> None:
        """The same command again, by the same interpreter with its options, and the variable besides."""
        [(path, arguments, environment)] = self.executed(
            python(is_remote_debug_enabled=lambda: True), {"HOME": "/", SWITCH: ""}
        )
        self.assertEqual(path, "/bin/python")
        self.assertEqual(arguments, ["/bin/python", "-X", "disable-remote-debug", "-I", "/bin/revproxy", "run"])
        self.assertEqual(environment, {"HOME": "/", SWITCH: "1"})

    def test_off(self) -> None:
        """Nothing is done where it is off, or where Python has no such thing."""
        for each in (python(is_remote_debug_enabled=lambda: False), python()):
            self.assertFalse(isRemoteDebugOn(each))
            self.assertEqual(self.executed(each, {}), [])

    def test_onceOnly(self) -> None:
        """Where the variable does not help, it is not tried for ever."""
        self.assertEqual(self.executed(python(is_remote_debug_enabled=lambda: True), {SWITCH: "1"}), [])

    def test_embedded(self) -> None:
        """Where there is no interpreter to start."""
        there = python(is_remote_debug_enabled=lambda: True)
        there.executable = ""
        self.assertEqual(self.executed(there, {}), [])

    def test_itself(self) -> None:
        """Whatever this Python is: a process that asks for it has it off, goes on, and keeps its number."""
        script = (
            "import os, sys\n"
            "print(os.getpid(), sys.argv[1:])\n"
            "from revproxy.loop.remotedebug import *\n"
            "if '--claims' in sys.argv and not os.environ.get(SWITCH):\n"
            "    sys.is_remote_debug_enabled = lambda: True\n"
            "withoutRemoteDebug()\n"
            "print(os.getpid(), isRemoteDebugOn())\n"
        )
        environment = {name: value for name, value in os.environ.items() if name != SWITCH}
        done = subprocess.run(
            [sys.executable, "-c", script, "--claims"],
            env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        before, again, after = done.stdout.splitlines()
        self.assertEqual(before, again)
        self.assertEqual(after, f"{before.split()[0]} False")

    def test_sockets(self) -> None:
        """What systemd handed over is handed on, also if Twisted has been imported."""
        script = (
            "import os, sys\n"
            "import twisted.internet.endpoints\n"
            "from revproxy.loop.remotedebug import *\n"
            "print(os.environ.get('LISTEN_FDS'))\n"
            "if not os.environ.get(SWITCH):\n"
            "    os.environ['LISTEN_PID'] = 'x'\n"
            "    sys.is_remote_debug_enabled = lambda: True\n"
            "    withoutRemoteDebug()\n"
        )
        environment = {name: value for name, value in os.environ.items() if name != SWITCH}
        before = "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.executable, sys.argv[1:])"
        more = {"PYTHONPATH": os.pathsep.join(sys.path), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"}
        done = subprocess.run(
            [sys.executable, "-c", before, sys.executable, "-c", script],
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        self.assertEqual(done.stdout.splitlines(), ["None", "1"])
