"""
The machine, and this process: interpreter, descriptors, memory, kernel, clock. Everything here may block.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import ssl
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from revproxy import __version__
from revproxy.admin.doctor.check import Check

PROC = Path("/proc")

BACKLOG = 1024
"""Connections that the edge asks the kernel to complete while it is busy."""

_UNSYNCHRONISED = 0x40
_STATUS = 40
"""Where Linux' ``struct timex`` has its status: after an int, padding, and four longs."""


def machineChecks(maxConnections: int, proc: Path = PROC) -> list[Check]:
    """
    :param maxConnections: of clients, as the configuration has it.
    """
    looks: dict[str, Callable[[], Iterable[Check | None]]] = {
        "interpreter": lambda: (interpreter(),),
        "descriptors": lambda: (descriptors(maxConnections, proc),),
        "memory": lambda: memory(proc),
        "kernel": lambda: kernel(proc),
        "clock": lambda: (clock(),),
    }
    return [check for name, look in looks.items() for check in _looked(name, look)]


def _looked(name: str, look: Callable[[], Iterable[Check | None]]) -> list[Check]:
    """The machine may be one on which something is not to be had: that is no reason to say nothing of the rest."""
    try:
        return [check for check in look() if check is not None]
    except (ImportError, OSError, ValueError) as error:
        return [Check(name, "warning", f"cannot be looked at: {error}", "Nothing, if all else is well.")]


def interpreter(options: str | None = None) -> Check:
    """
    Which Python this is.

    :param options: with which it was built.
    """
    try:
        made = sysconfig.get_config_var("CONFIG_ARGS") if options is None else options
    except ImportError:  # Python is where the edge's user cannot read
        made = None
    python = f"{platform.python_implementation()} {platform.python_version()}"
    text = f"revproxy {__version__}, {python}, {ssl.OPENSSL_VERSION}"
    if made and "--enable-optimizations" not in made:
        advice = "Run it with a Python that was built with --enable-optimizations, such as Debian's: it is faster."
        return Check("interpreter", "warning", f"{text}; built without optimizations", advice)
    return Check("interpreter", "ok", text)


def descriptors(maxConnections: int, proc: Path = PROC) -> Check | None:
    """Open files: how many there are, and may be."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        used = len(os.listdir(proc / "self" / "fd")) - 1  # one of them is for looking
    except OSError:
        return None
    if soft == resource.RLIM_INFINITY:
        return Check("descriptors", "ok", f"{used} files are open, and there is no limit")
    text = f"{used} files are open, and {soft} may be"
    if used > 0.9 * soft:
        return Check("descriptors", "failing", text, "Raise the limit: LimitNOFILE= of systemd, or ulimit -n.")
    if soft < maxConnections:
        advice = f"Raise it (LimitNOFILE=, ulimit -n), or lower limits.max_connections, which is {maxConnections}."
        return Check("descriptors", "warning", text, advice)
    return Check("descriptors", "ok", text)


def memory(proc: Path = PROC, groups: Path = Path("/sys/fs/cgroup")) -> Iterator[Check]:
    """What this process has, and what it may have."""
    resident = _kilobytes(proc / "self" / "status", "VmRSS:")
    if resident is None:
        return
    limit = _number(groups / "memory.max") or _number(groups / "memory" / "memory.limit_in_bytes")
    text = f"{resident / 1024:.0f} MB are resident"
    if limit is None or limit >= 1 << 50:
        yield Check("memory", "ok", text)
        return
    used = _number(groups / "memory.current") or _number(groups / "memory" / "memory.usage_in_bytes") or resident * 1024
    text = f"{text}; its group has {used / 2**20:.0f} MB of {limit / 2**20:.0f} MB"
    if used > 0.9 * limit:
        yield Check("memory", "warning", text, "Raise the limit (MemoryMax=): where it is reached, the kernel ends it.")
    else:
        yield Check("memory", "ok", text)


def kernel(proc: Path = PROC) -> Iterator[Check]:
    """What the kernel gives, as far as it matters for an edge."""
    system = proc / "sys"
    yield Check("kernel", "ok", f"{platform.system()} {platform.release()} {platform.machine()}")
    backlog = _number(system / "net" / "core" / "somaxconn")
    if backlog is not None and backlog < BACKLOG:
        text = f"{backlog} connections may wait to be accepted (net.core.somaxconn)"
        advice = f"sysctl -w net.core.somaxconn={BACKLOG}: a burst is turned away otherwise."
        yield Check("kernel", "warning", text, advice)
    if _number(system / "net" / "ipv4" / "tcp_syncookies") == 0:
        text = "there are no SYN cookies (net.ipv4.tcp_syncookies)"
        yield Check("kernel", "warning", text, "sysctl -w net.ipv4.tcp_syncookies=1: anybody can fill the backlog.")
    ports = _words(system / "net" / "ipv4" / "ip_local_port_range")
    if len(ports) == 2 and ports[1] - ports[0] < 10_000:
        text = f"{ports[1] - ports[0] + 1} ports are there for connections to one target (net.ipv4.ip_local_port_range)"
        yield Check("kernel", "warning", text, 'sysctl -w net.ipv4.ip_local_port_range="10240 60999".')
    watches = _number(system / "fs" / "inotify" / "max_user_watches")
    if watches is not None and watches < 8192:
        text = f"{watches} folders can be watched (fs.inotify.max_user_watches)"
        advice = "sysctl -w fs.inotify.max_user_watches=65536; until then, some changes are seen seconds later."
        yield Check("kernel", "warning", text, advice)
    yield from _tracked(system / "net" / "netfilter")


def _tracked(folder: Path) -> Iterator[Check]:
    """Connections that a firewall keeps track of: when there is no room for more, packets are dropped."""
    count, most = _number(folder / "nf_conntrack_count"), _number(folder / "nf_conntrack_max")
    if count is not None and most and count > 0.8 * most:
        text = f"the firewall tracks {count} connections, and {most} is the most (nf_conntrack_max)"
        yield Check("kernel", "warning", text, "Raise net.netfilter.nf_conntrack_max: beyond it, packets are dropped.")


def clock(library: ctypes.CDLL | None = None) -> Check | None:
    """Whether the kernel's clock is set by somebody, such as NTP, as far as it knows."""
    buffer = ctypes.create_string_buffer(512)
    try:
        known = (library or ctypes.CDLL(None)).adjtimex(buffer)
    except (AttributeError, OSError):
        return None
    if known < 0:
        return None
    status = int.from_bytes(buffer.raw[_STATUS : _STATUS + 4], "little")
    if known == 5 or status & _UNSYNCHRONISED:
        advice = ("See that chrony or systemd-timesyncd runs here, or on the host of this container: certificates, "
                  "tokens and the times in logs depend on the clock.")
        return Check("clock", "warning", "nobody has set the clock, as far as the kernel knows", advice)
    return Check("clock", "ok", "it is synchronised, as the kernel says")


def _number(path: Path) -> int | None:
    words = _words(path)
    return words[0] if words else None


def _words(path: Path) -> list[int]:
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return []


def _kilobytes(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), None)
