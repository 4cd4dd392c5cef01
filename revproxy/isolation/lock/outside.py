"""
What the kernel says of a locked process, to one who is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from revproxy.isolation.lock.layers import Lock
from revproxy.isolation.lock.limits import MOST_DESCRIPTORS

_NONE = (
    "Max core file size",
    "Max file size",
    "Max processes",
    "Max locked memory",
    "Max msgqueue size",
    "Max nice priority",
    "Max realtime priority",
)
_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def checkOutside(pid: int, lock: Lock, proc: Path = Path("/proc")) -> tuple[str, ...]:
    """
    Looks at a process from outside: whatever it says of itself, the kernel knows.

    :param lock: that it has put on.
    :return: what is not as it should be, a sentence each. None: all is well.
    """
    try:
        status = _fields((proc / str(pid) / "status").read_text("utf-8", "replace"))
        own = _fields((proc / "self" / "status").read_text("utf-8", "replace"))
        limits = (proc / str(pid) / "limits").read_text("utf-8", "replace")
    except OSError as error:
        return (f"it cannot be looked at: {error}",)
    return (*_filterOf(status, own), *_statusOf(status, lock), *_limitsOf(limits, lock))


def _filterOf(status: Mapping[str, str], own: Mapping[str, str]) -> Iterator[str]:
    """In a container everybody has a filter: it has to have one more than we have, where the kernel counts (5.10)."""
    counts = [int(each.get("Seccomp_filters", "-1")) for each in (status, own)]
    if status.get("Seccomp") != "2" or (min(counts) >= 0 and counts[0] <= counts[1]):
        yield "there is no filter of system calls"


def _statusOf(status: Mapping[str, str], lock: Lock) -> Iterator[str]:
    if status.get("NoNewPrivs") != "1":
        yield "a program could give it more rights"
    if status.get("Threads") != "1":
        yield f"it has {status.get('Threads')} threads"
    if held := [name for name in _CAPABILITIES if _isSome(name, status)]:
        yield f"it has capabilities: {', '.join(held)}"
    if lock.uid is not None and "user" in lock.use:
        for name in ("Uid", "Gid"):
            if status.get(name, "").split() != [str(lock.uid)] * 4:
                yield f"{name} is {status.get(name)}, not {lock.uid}"
        if status.get("Groups"):
            yield f"it is in groups: {status['Groups']}"


def _isSome(name: str, status: Mapping[str, str]) -> bool:
    """A bounding set without a capability is worth nothing to one who is not root: only that user may drop it."""
    if name == "CapBnd" and status.get("Uid", "0").split()[0] != "0" and not int(status.get("CapPrm", "1"), 16):
        return False
    return int(status.get(name, "1"), 16) != 0


def _limitsOf(limits: str, lock: Lock) -> Iterator[str]:
    wanted = {"Max address space": lock.memoryBytes, "Max open files": MOST_DESCRIPTORS, **dict.fromkeys(_NONE, 0)}
    for name, most in wanted.items():
        line = next((line for line in limits.splitlines() if line.startswith(name)), "")
        if line[len(name) :].split()[:2] != [str(most)] * 2:
            yield f"{name} is not {most}"


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}
