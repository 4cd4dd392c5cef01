"""The rows of the table: what is asked, over what, by how many connections."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

MEGABYTE = 1 << 20


class Kind(Enum):
    """How a row is measured."""

    LOAD = "load"
    """wrk on kept-alive connections."""
    HANDSHAKE = "handshake"
    """One new TLS connection with a full handshake per request, one after the other."""
    IDLE = "idle"
    """Connections that have had one request and stay open."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement of every proxy.

    :param name: what the command line calls it.
    :param title: what the table calls it.
    :param connections: how many are open at a time.
    :param path: what is asked for.
    :param upload: bytes of body that each request sends; 0 is a GET.
    :param expect: bytes of body that each response must have.
    :param standard: whether it is measured when no rows are named.
    """

    name: str
    title: str
    kind: Kind = Kind.LOAD
    tls: bool = False
    connections: int = 64
    path: str = "/small"
    upload: int = 0
    expect: int = 12
    standard: bool = True


ROWS = (
    Row("small-1", "12-byte GET, HTTP, 1 connection", connections=1),
    Row("small-64", "12-byte GET, HTTP, 64 connections"),
    Row("small-512", "12-byte GET, HTTP, 512 connections", connections=512),
    Row("tls-1", "12-byte GET, TLS 1.3, 1 connection", tls=True, connections=1),
    Row("tls-64", "12-byte GET, TLS 1.3, 64 connections", tls=True),
    Row("tls-512", "12-byte GET, TLS 1.3, 512 connections", tls=True, connections=512),
    Row("handshake", "12-byte GET, a full TLS 1.3 handshake each, one at a time", Kind.HANDSHAKE, True, 1),
    Row("10k", "10 KB body, HTTP, 64 connections", path="/10k", expect=10240),
    Row("1m", "1 MB body, HTTP, 16 connections", connections=16, path="/1m", expect=MEGABYTE),
    Row("upload", "1 MB upload, HTTP, 16 connections", connections=16, path="/upload", upload=MEGABYTE),
    Row("10k-tls", "10 KB body, TLS 1.3, 64 connections", tls=True, path="/10k", expect=10240, standard=False),
    Row("1m-tls", "1 MB body, TLS 1.3, 16 connections", Kind.LOAD, True, 16, "/1m", 0, MEGABYTE, False),
    Row("upload-tls", "1 MB upload, TLS 1.3, 16 connections", Kind.LOAD, True, 16, "/upload", MEGABYTE, 12, False),
    Row("idle", "idle connections, HTTP", Kind.IDLE, False, 5000),
    Row("idle-tls", "idle connections, TLS 1.3", Kind.IDLE, True, 5000),
)


def chooseRows(names: str | None) -> list[Row]:
    """Return the rows that a comma-separated list names, by name or, for several, by the part before the hyphen.

    :param names: ``small,tls-64``; ``None`` chooses the standard rows, ``all`` every row.
    :raises ValueError: when a name fits no row.
    """
    if names is None:
        return [row for row in ROWS if row.standard]
    if names == "all":
        return list(ROWS)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if not any(_named(row, name) for row in ROWS):
            raise ValueError(f"no row is called {name!r}; there are: {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if any(_named(row, name) for name in wanted)]


def _named(row: Row, name: str) -> bool:
    exact = any(other.name == name for other in ROWS)
    return row.name == name or (not exact and row.name.partition("-")[0] == name)
