"""
Python from 3.14 on runs a script in a running process for whoever may write into its memory (PEP 768).

It cannot be switched off by a process that has begun, only by what it is started with. So the edge starts itself anew,
once, in the same process: before it has read anything, with the same arguments and the same descriptors. Where the
environment says ``PYTHON_DISABLE_REMOTE_DEBUG`` already, as in the unit for systemd and in the container, that is not
needed. What the edge starts inherits it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["OPTION", "SWITCH", "isRemoteDebugOn", "withoutRemoteDebug"]

SWITCH = "PYTHON_DISABLE_REMOTE_DEBUG"
"""The variable with which Python does not listen to debuggers."""


OPTION = "disable-remote-debug"
"""The same for Python's ``-X``; one that does not know it passes over it."""


def isRemoteDebugOn(python: Any = sys) -> bool:
    """Whether this Python would run what a debugger gives it."""
    asked: Callable[[], bool] | None = getattr(python, "is_remote_debug_enabled", None)
    return asked is not None and asked()


def withoutRemoteDebug(
    python: Any = sys,
    environment: Mapping[str, str] = os.environ,
    execute: Callable[[str, list[str], Mapping[str, str]], object] = os.execve,
) -> None:
    """
    Start this process anew without it, if it is on; does not return then. To be called before there is a thread.

    :param execute: replaces the process, as `os.execve`.
    """
    # Set and still on: this Python does not know the variable, or was told otherwise; to try again would never end.
    if not isRemoteDebugOn(python) or environment.get(SWITCH) or not python.executable:
        return
    for stream in (python.stdout, python.stderr):
        if stream is not None:
            stream.flush()
    # By an option besides: with -E or -I, Python does not look at the environment.
    arguments = [python.executable, "-X", OPTION, *python.orig_argv[1:]]
    execute(python.executable, arguments, {**_handedOver(), **environment, SWITCH: "1"})


def _handedOver(source: str = "/proc/self/environ") -> dict[str, str]:
    """What systemd has said of sockets: Twisted takes it out of the environment when it is imported."""
    try:
        with open(source, "rb") as file:
            pairs = (os.fsdecode(each).partition("=") for each in file.read().split(b"\0"))
            return {name: value for name, _, value in pairs if name.startswith("LISTEN_")}
    except OSError:
        return {}
