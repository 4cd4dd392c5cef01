"""Twenty kinds of bad version: each spoils a good plugin's folder in its own way, and says what the edge must tell.

The plugin that is spoiled is :data:`~benchmarks.swapedge.SWAPPED`; beside it are one that requires it, `dependant`, and
one that has nothing to do with it, `neighbour`.
"""

from __future__ import annotations

import ctypes
import enum
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError
from benchmarks.swapedge import SWAPPED, SwapEdge, clear, manifest, stampedSource, writeWhole

SCHEMA = {"type": "object", "properties": {"greeting": {"type": "string"}}}


class Shows(enum.Enum):
    """When a bad version comes to light."""

    AT_ONCE = "refused"
    WHEN_REPLACED = "told when it is replaced"
    WHEN_HANDED_OVER = "the next is refused"


@dataclass(frozen=True, slots=True)
class BadVersion:
    """One kind.

    :ivar title: what the table calls it.
    :ivar spoil: makes the plugin's folder bad; given the folder and the serial that no response may ever show.
    :ivar file: the file that the reason must name.
    :ivar cause: what the reason must say, as a regular expression.
    :ivar shows: when.
    """

    title: str
    spoil: Callable[[Path, int], None]
    file: str
    cause: re.Pattern[str]
    shows: Shows = Shows.AT_ONCE

    def explains(self, reason: str) -> bool:
        """Whether a text names the file and the cause."""
        return self.file in reason and self.cause.search(reason) is not None


def threePlugins(serial: int = 0) -> dict[str, dict[str, str]]:
    """The files of the plugins at the beginning."""
    return {
        SWAPPED: {"plugin.json": _goodManifest(), "plugin.py": stampedSource(SWAPPED, serial)},
        "dependant": {
            "plugin.json": manifest("dependant", requires={SWAPPED: ">=1,<3"}),
            "plugin.py": stampedSource("dependant"),
        },
        "neighbour": {"plugin.json": manifest("neighbour", "2.0.0"), "plugin.py": stampedSource("neighbour")},
    }


def restore(folder: Path, serial: int) -> None:
    """Make a plugin's folder good again, with new code."""
    clear(folder)
    writeWhole(folder / "plugin.json", _goodManifest())
    writeWhole(folder / "plugin.py", stampedSource(SWAPPED, serial))


class TooLate(BenchmarkError):
    """The edge had read everything before it was deleted: a good version, and nothing to learn. Try again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one bad version.

    :ivar reason: what the edge tells of it.
    :ivar explained: whether that names the file and the cause.
    :ivar serial: the version that is to serve, now that it is over.
    """

    reason: str
    explained: bool
    serial: int


def endure(edge: SwapEdge, kind: BadVersion, serial: int) -> Outcome:
    """Give a running edge a bad version.

    Three serials are used up; that of the good version before is ``serial``, and only for those that are not refused at
    once others may come up.

    :raises TooLate: of a kind that depends on being quick.
    :raises BenchmarkError: the edge did not stay as it must.
    """
    folder = edge.folder / SWAPPED
    kind.spoil(folder, serial + 1)
    edge.reload()
    if kind.spoil is _deletedInside and _serves(edge, serial + 1):
        raise TooLate(kind.title)
    if kind.shows is Shows.AT_ONCE:
        return _refused(edge, kind, serial)
    _mustServe(edge, serial + 1)
    writeWhole(folder / "plugin.py", _successor(serial + 2))
    edge.reload()
    if kind.shows is Shows.WHEN_HANDED_OVER:
        return _refused(edge, kind, serial + 1)
    _mustServe(edge, serial + 2)
    told = edge.until(lambda: _eventOn(edge, kind), f"{kind.title}: no event explains it")
    return Outcome(told, True, serial + 2)


def _refused(edge: SwapEdge, kind: BadVersion, serial: int) -> Outcome:
    reason = edge.until(lambda: _failure(edge), f"{kind.title}: no reason is shown")
    _mustServe(edge, serial)
    return Outcome(reason, kind.explains(reason), serial)


def _serves(edge: SwapEdge, serial: int) -> bool:
    return f"X-Stamp-{SWAPPED}: 0 {serial} 0 {serial} ".encode() in edge.ask()


def _mustServe(edge: SwapEdge, serial: int) -> None:
    if not _serves(edge, serial):
        raise BenchmarkError(f"version {serial} does not serve: {edge.ask().decode('latin-1')!r}")


def _failure(edge: SwapEdge) -> str:
    """The messages kept with plugins: of one that took another's name it may be with that other."""
    told = [one["failure"] for one in edge.control("GET", "plugins")["items"] if one.get("failure")]
    return " | ".join(str(failure["message"]) for failure in told)


def _eventOn(edge: SwapEdge, kind: BadVersion) -> str:
    events = edge.control("GET", "events", limit=20)["items"]
    told = [str(event["text"]) for event in events if event["plugin"] == SWAPPED]
    return next((text for text in reversed(told) if kind.explains(text)), "")


def _goodManifest(**changed: Any) -> str:
    keys = {"name": SWAPPED, "version": "1.0.0", "config": {"greeting": "hello"}, "config_schema": SCHEMA}
    return manifest(**keys | changed)


def _begun(head: str) -> Callable[[Path, int], None]:
    """The plugin.py of a good version with one more line at module level."""

    def spoil(folder: Path, serial: int) -> None:
        writeWhole(folder / "plugin.py", stampedSource(SWAPPED, serial, head=head))

    return spoil


def _replaced(old: str, new: str) -> Callable[[Path, int], None]:
    """The plugin.py of a good version with one thing changed."""

    def spoil(folder: Path, serial: int) -> None:
        source = stampedSource(SWAPPED, serial)
        assert old in source
        writeWhole(folder / "plugin.py", source.replace(old, new))

    return spoil


def _description(**keys: Any) -> Callable[[Path, int], None]:
    """Another plugin.json; the code stays."""

    def spoil(folder: Path, serial: int) -> None:
        writeWhole(folder / "plugin.json", _goodManifest(**keys))

    return spoil


_DECLARED = "@implementer(IMiddleware, IResponseMiddleware)"


def _declared(interface: str, methods: str) -> Callable[[Path, int], None]:
    """A good version that provides one interface more, badly."""

    def spoil(folder: Path, serial: int) -> None:
        source = stampedSource(SWAPPED, serial, methods=methods)
        source = source.replace(_DECLARED, f"@implementer(IMiddleware, IResponseMiddleware, {interface})")
        source = source.replace("import IMiddleware", f"import {interface}, IMiddleware")
        writeWhole(folder / "plugin.py", source)

    return spoil


def _successor(serial: int) -> str:
    methods = """
    def exportState(self):
        return {}

    def importState(self, state, version):
        pass
"""
    source = stampedSource(SWAPPED, serial, methods=methods)
    source = source.replace(_DECLARED, "@implementer(IMiddleware, IResponseMiddleware, IStateful)")
    return source.replace("import IMiddleware", "import IStateful, IMiddleware")


def _badJson(folder: Path, serial: int) -> None:
    writeWhole(folder / "plugin.json", _goodManifest()[:-20])


def _missing(folder: Path, serial: int) -> None:
    (folder / "plugin.py").unlink()


def _huge(folder: Path, serial: int) -> None:
    with (folder / "model.bin").open("wb") as sink:
        sink.truncate(17 * 1024 * 1024)


def _linked(folder: Path, serial: int) -> None:
    (folder / "secrets.py").symlink_to("/etc/passwd")


def _notUtf8(folder: Path, serial: int) -> None:
    writeWhole(folder / "plugin.py", stampedSource(SWAPPED, serial).encode() + b"WORD = '\xe4\xf6'\n")


def _deletedInside(folder: Path, serial: int) -> None:
    """Delete plugin.py when the first of its many neighbours is opened, which stand before it in the alphabet."""
    for number in range(900):
        (folder / f"data{number:03}.txt").write_bytes(b"x" * 17000)
    writeWhole(folder / "plugin.py", stampedSource(SWAPPED, serial))
    wasRead = _reading(folder, folder / "data000.txt")

    def delete() -> None:
        wasRead()
        (folder / "plugin.py").unlink(missing_ok=True)

    threading.Thread(target=delete, daemon=True).start()


_IN_ACCESS = 1


def _reading(folder: Path, first: Path) -> Callable[[], None]:
    """A function that returns when a file in a folder has been read, from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.inotify_init1(os.O_CLOEXEC))
    if descriptor >= 0 and libc.inotify_add_watch(descriptor, os.fsencode(folder), _IN_ACCESS) >= 0:
        return lambda: _readOnce(descriptor)
    # Others may have used up all watches there are. Then the time of access tells, unless the disk does not keep it.
    if descriptor >= 0:
        os.close(descriptor)
    before = first.stat().st_atime_ns
    return lambda: _waitForAccess(first, before)


def _readOnce(descriptor: int) -> None:
    os.read(descriptor, 4096)
    os.close(descriptor)


def _waitForAccess(path: Path, before: int) -> None:
    end = time.monotonic() + 20
    try:
        while path.stat().st_atime_ns == before and time.monotonic() < end:
            time.sleep(0.0002)
    except FileNotFoundError:
        pass  # the next version is there already


def _kind(
    title: str, spoil: Callable[[Path, int], None], file: str, cause: str, shows: Shows = Shows.AT_ONCE
) -> BadVersion:
    return BadVersion(title, spoil, file, re.compile(cause, re.IGNORECASE | re.DOTALL), shows)


_HANGS = """
    def start(self):
        from twisted.internet.defer import Deferred
        return Deferred()

    def stop(self):
        pass
"""
_STOPS_BADLY = """
    def start(self):
        pass

    def stop(self):
        raise RuntimeError("the door is stuck")
"""
_UNHEALTHY = """
    def checkHealth(self):
        raise RuntimeError("the database is away")
"""
_KEEPS_STATE = """
    def exportState(self):
        raise RuntimeError("these counts are mine")

    def importState(self, state, version):
        pass
"""
_INIT = "        self.instance = os.urandom(4).hex()"

BAD_VERSIONS: tuple[BadVersion, ...] = (
    _kind("syntax error", _begun("def broken(:"), "plugin.py", "SyntaxError"),
    _kind("import error", _begun("import no_such_module"), "plugin.py", "no module named no_such_module; .*pip"),
    _kind(
        "PluginMain raises",
        _replaced(_INIT, "        raise RuntimeError('not on a Monday')"),
        "plugin.py",
        "RuntimeError: not on a Monday",
    ),
    _kind("wrong interface", _replaced(_DECLARED, ""), "plugin.py", "does not declare IMiddleware"),
    _kind("wrong arity", _replaced("handle(self, context)", "handle(self)"), "plugin.py", "IMiddleware.*handle"),
    _kind("start hangs", _declared("ILifecycle", _HANGS), "plugin.py", r"start did not come back within \d+ s"),
    _kind("unhealthy", _declared("IHealthCheck", _UNHEALTHY), "plugin.py", "the database is away"),
    _kind("bad JSON", _badJson, "plugin.json", r"plugin\.json:\d+:\d+"),
    _kind("config against its schema", _description(config={"greeting": 7}), "plugin.json", "greeting"),
    _kind("plugin.py is missing", _missing, "plugin.py", "there is no plugin.py|No such file"),
    _kind("requires in a circle", _description(requires={"dependant": ""}), "plugin.json", f"cycle.*{SWAPPED}"),
    _kind("more than 16 MiB", _huge, "model.bin", "more than the 16777216 bytes"),
    _kind("a link out of the folder", _linked, "secrets.py", "symbolic link"),
    _kind("source is not UTF-8", _notUtf8, "plugin.py", "utf-8"),
    _kind("deleted while it is read", _deletedInside, "plugin.py", "there is no plugin.py|No such file"),
    _kind("another plugin's name", _description(name="neighbour"), "plugin.json", "neighbour.*also the name"),
    _kind("downgrade of a required one", _description(version="0.9.0"), "plugin.json", rf"requires {SWAPPED}.*0\.9\.0"),
    _kind("sys.exit at import", _begun("import sys; sys.exit(3)"), "plugin.py", "SystemExit"),
    _kind(
        "stop raises",
        _declared("ILifecycle", _STOPS_BADLY),
        "plugin.py",
        "stop raised.*the door is stuck",
        Shows.WHEN_REPLACED,
    ),
    _kind(
        "exportState raises",
        _declared("IStateful", _KEEPS_STATE),
        "plugin.py",
        "exportState.*these counts are mine",
        Shows.WHEN_HANDED_OVER,
    ),
)
"""All of them."""
