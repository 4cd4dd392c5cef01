"""
Which of the last requests somebody wants to see.

A filter looks twice: `RequestFilter.mayBeIn` at the bytes of many records, which costs next to nothing and may say that
none of them fits; `RequestFilter.fits` at one that was decoded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from socket import AF_INET, inet_pton
from typing import Any, Final

from revproxy.addresses import AddressSet
from revproxy.durations import parseDuration
from revproxy.requestrecord import RequestRecord

_STATUS: Final = re.compile(r"([1-9])xx\Z|([0-9]{3})(?:-([0-9]{3}))?\Z")
_NUMBER: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?\Z")
_EPOCH: Final = 100_000_000.0
"""A number from here on is a time; one below is so many seconds ago."""

Ranges = tuple[tuple[int, int], ...]


class FilterError(ValueError):
    """
    A filter that is none.

    :ivar name: of the part that will not do.
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """
    What a request must be like. Each part that is not None, or not empty, must fit.

    :ivar id: its id.
    :ivar route: the name of its route.
    :ivar host: in lower case, without port; with ``*`` for anything.
    :ivar status: ranges of which one must have its status, both ends included.
    :ivar plugin: that has answered it, failed in it, or was passed over in it after a failure.
    :ivar arm: of a plugin, or of any if that is empty, whether it met the version on trial, or the one beside it.
    :ivar clients: networks of which one must have the client.
    :ivar method: in upper case.
    :ivar path: what the path begins with; with ``*`` for anything, the whole path.
    :ivar slower: seconds it must have taken at least.
    :ivar since: seconds since the epoch before which it must not have begun.
    """

    id: str | None = None
    route: str | None = None
    host: str | None = None
    status: Ranges = ()
    plugin: str | None = None
    arm: tuple[str, bool] | None = None
    clients: AddressSet | None = None
    method: str | None = None
    path: str | None = None
    slower: float = 0.0
    since: float = 0.0
    _tests: tuple[Callable[[RequestRecord], bool], ...] = field(init=False, repr=False, compare=False)
    _needles: tuple[bytes, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tests", tuple(_tests(self)))
        object.__setattr__(self, "_needles", tuple(_needles(self)))

    @classmethod
    def of(cls, values: Mapping[str, Any], now: float) -> RequestFilter:
        """
        :param values: by the names of the parts, texts as users type them; None, or empty, for what does not matter.
        :param now: seconds since the epoch.
        :raises FilterError: naming the part, and how to write it.
        """
        given = {name: str(value) for name, value in values.items() if value not in (None, "")}
        return cls(
            id=given.get("id"),
            route=given.get("route"),
            host=given["host"].lower() if "host" in given else None,
            status=_statuses(given["status"]) if "status" in given else (),
            plugin=given.get("plugin"),
            arm=_arm(given["arm"]) if "arm" in given else None,
            clients=_clients(given["client"]) if "client" in given else None,
            method=given["method"].upper() if "method" in given else None,
            path=_path(given["path"]) if "path" in given else None,
            slower=_slower(given["slower"]) if "slower" in given else 0.0,
            since=_since(given["since"], now) if "since" in given else 0.0,
        )

    def mayBeIn(self, encoded: bytes | bytearray) -> bool:
        """Whether records that are encoded so may have one that fits."""
        return all(needle in encoded for needle in self._needles)

    def fits(self, record: RequestRecord) -> bool:
        """Whether it is one of those that are wanted."""
        for test in self._tests:  # noqa: SIM110  (all() takes twice the time, fifty thousand times)
            if not test(record):
                return False
        return True


# What a record is asked

def _tests(wanted: RequestFilter) -> list[Callable[[RequestRecord], bool]]:
    """The cheapest first."""
    tests: list[Callable[[RequestRecord], bool]] = []
    if wanted.status:
        tests.append(_hasStatus(wanted.status))
    if wanted.slower:
        tests.append(lambda record: record.duration >= wanted.slower)
    if wanted.since:
        tests.append(lambda record: record.startedAt >= wanted.since)
    if wanted.id is not None:
        tests.append(lambda record: record.id == wanted.id)
    if wanted.route is not None:
        tests.append(lambda record: record.route == wanted.route)
    if wanted.method is not None:
        method = wanted.method.encode("latin-1", "replace")
        tests.append(lambda record: record.method.upper() == method)
    if wanted.plugin is not None:
        tests.append(_hasPlugin(wanted.plugin))
    if wanted.arm is not None:
        tests.append(_hasArm(*wanted.arm))
    if wanted.host is not None:
        fits = _glob(wanted.host.encode("latin-1", "replace"))
        tests.append(lambda record: fits(_hostname(record.host)))
    if wanted.path is not None:
        tests.append(_hasPath(wanted.path.encode("latin-1", "replace")))
    if wanted.clients is not None:
        tests.append(_isOneOf(wanted.clients))
    return tests


def _hasStatus(ranges: Ranges) -> Callable[[RequestRecord], bool]:
    statuses = frozenset(status for first, last in ranges for status in range(first, last + 1))
    return lambda record: record.status in statuses


def _hasPlugin(name: str) -> Callable[[RequestRecord], bool]:
    return lambda record: (
        record.interruptedBy == name or name in record.pluginErrors or name in record.pluginsSkipped
    )


def _hasArm(plugin: str, isCandidate: bool) -> Callable[[RequestRecord], bool]:
    return lambda record: any(
        met.isCandidate == isCandidate and plugin in ("", met.plugin) for met in record.arms
    )


def _hasPath(path: bytes) -> Callable[[RequestRecord], bool]:
    if b"*" not in path:
        return lambda record: record.target.startswith(path)
    fits = _glob(path)
    return lambda record: fits(record.target.partition(b"?")[0])


def _isOneOf(clients: AddressSet) -> Callable[[RequestRecord], bool]:
    """As the set itself says; but that takes 3 µs for each address that it has not seen, and there may be thousands."""
    prefixes = [
        (32 - network.prefixlen, int(network.network_address) >> 32 - network.prefixlen)
        for network in clients.networks
        if network.version == 4
    ]

    def fits(record: RequestRecord) -> bool:
        try:
            number = int.from_bytes(inet_pton(AF_INET, record.peer), "big")
        except (OSError, ValueError):
            return clients.contains(record.peer)
        return any(number >> drop == prefix for drop, prefix in prefixes)

    return fits


def _glob(pattern: bytes) -> Callable[[bytes], bool]:
    """
    Whether a text is as a pattern says, in which ``*`` stands for anything. No regular expression: with several stars,
    those take a time that whoever writes the pattern can make as long as he likes.
    """
    first, *pieces = pattern.split(b"*")
    if not pieces:
        return lambda text: text == first
    last = pieces.pop()

    def fits(text: bytes) -> bool:
        if not text.startswith(first):
            return False
        at = len(first)
        for piece in pieces:
            at = text.find(piece, at)
            if at < 0:
                return False
            at += len(piece)
        return len(text) - at >= len(last) and text.endswith(last)

    return fits


def _hostname(host: bytes) -> bytes:
    """In lower case, without port."""
    end = host.rfind(b":")
    if end > 0 and host[end + 1 :].isdigit():
        host = host[:end]
    return host.lower()


def _needles(wanted: RequestFilter) -> list[bytes]:
    """What is in the bytes of every record that fits."""
    texts = (wanted.id, wanted.route, wanted.plugin, wanted.arm and wanted.arm[0])
    needles = [text.encode() for text in texts if text]
    if wanted.path is not None:
        needles.append(max(wanted.path.encode("latin-1", "replace").split(b"*"), key=len))
    return [needle for needle in needles if needle]


# What users type

def _arm(text: str) -> tuple[str, bool]:
    plugin, _, arm = text.rpartition(":")
    if arm not in ("candidate", "running"):
        raise FilterError("arm", f"{text[:40]!r} is none; write candidate or running, or NAME:candidate of a plugin")
    return plugin, arm == "candidate"


def _statuses(text: str) -> Ranges:
    ranges = []
    for part in text.lower().split(","):
        match = _STATUS.match(part.strip())
        if match is None:
            raise FilterError("status", f"{text[:40]!r} is none; write 5xx, 404 or 400-499, or several with commas")
        if match[1]:
            ranges.append((int(match[1]) * 100, int(match[1]) * 100 + 99))
        else:
            ranges.append((int(match[2]), int(match[3] or match[2])))
            if ranges[-1][0] > ranges[-1][1]:
                raise FilterError("status", f"{part.strip()!r} is an empty range; write the lower status first")
    return tuple(ranges)


def _clients(text: str) -> AddressSet:
    try:
        return AddressSet(part.strip() for part in text.split(","))
    except ValueError as error:
        raise FilterError("client", f"{error}; write an address, or a network as 10.0.0.0/8") from None


def _path(text: str) -> str:
    if not text.startswith(("/", "*")):
        raise FilterError("path", f"{text[:40]!r} does not begin with a slash; write /api, or /api/*/orders")
    if "?" in text:
        raise FilterError("path", "is without the query; only paths can be searched for")
    return text


def _slower(text: str) -> float:
    try:
        return float(text) if _NUMBER.match(text) else parseDuration(text)
    except ValueError as error:
        raise FilterError("slower", str(error)) from None


def _since(text: str, now: float) -> float:
    if _NUMBER.match(text):
        number = float(text)
        return number if number >= _EPOCH else now - number
    try:
        return now - parseDuration(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
        # Without a zone it is UTC, as the times are that the edge shows.
        since = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        since = math.nan
    if not math.isfinite(since):
        raise FilterError("since", f"{text[:40]!r} is no time; write 10m, 1h, or 2026-11-28T01:30:00Z")
    return since
