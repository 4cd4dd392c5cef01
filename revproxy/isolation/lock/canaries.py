"""
Children that lock themselves and then do what nobody may: each has to die of SIGSYS.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from revproxy.isolation.lock.kernel import attempt
from revproxy.isolation.lock.layers import Lock
from revproxy.isolation.lock.lockdown import lockDown
from revproxy.isolation.lock.trial import attemptInChild

CALLS: Final[Mapping[str, tuple[Any, ...]]] = {
    "execve": (None, None, None),
    "ptrace": (0, 0, 0, 0),
    "process_vm_readv": (0, None, 0, None, 0, 0),
    "unshare": (0,),
    "setns": (-1, 0),
    "io_uring_setup": (0, None),
    "bpf": (0, None, 0),
    "pidfd_open": (0, 0),
    "mount": (None, None, None, 0, None),
}
"""With arguments that do no harm even where they are let through."""


def canaries(lock: Lock) -> tuple[str, ...]:
    """
    Sends one child to each of :data:`CALLS`. For a process with one thread; `lock.parent` is this process.

    :return: which of them did not die as they should, a sentence each. None: all did.
    """
    return tuple(told for name, arguments in CALLS.items() if (told := _send(lock, name, arguments)))


def _send(lock: Lock, name: str, arguments: tuple[Any, ...]) -> str:
    def inside(writing: int) -> bytes:
        lockDown(replace(lock, keepFds=(writing,)))
        return str(attempt(name, *arguments)).encode()

    trial = attemptInChild(inside)
    if trial.status == -signal.SIGSYS:
        return ""
    return f"{name} did not end a locked process: {trial.said.decode(errors='replace')[-300:]} (status {trial.status})"
