"""
An edge that something is shown on: in a process of its own, for as long as that takes.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"

_EDGE: Final = "from revproxy.cli.main import main; main()"

_STOPPING: Final = 20.0
"""Seconds that it may take to stop."""


class Failed(Exception):
    """The demonstration cannot be made; the text says why."""


@contextmanager
def runningEdge(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """
    ``revproxy run`` with a configuration; it writes into ``edge.log`` beside that, and ends with the context.
    """
    command = [sys.executable, "-c", _EDGE, "run", "--config", str(file)]
    with (file.parent / "edge.log").open("ab") as log:
        edge = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield edge
    finally:
        edge.terminate()
        try:
            edge.wait(_STOPPING)
        except subprocess.TimeoutExpired:
            edge.kill()
            edge.wait()


def freePort() -> int:
    """One that nobody listens on now."""
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])
