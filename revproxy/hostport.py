"""
A host with or without a port, as a Host field, an authority (RFC 3986 §3.2) and proxies (RFC 7239 §6) write it.
"""

from __future__ import annotations

from typing import AnyStr


def splitPort(authority: AnyStr) -> tuple[AnyStr, AnyStr]:
    """
    Cut off the port. Neither part is judged: ``a:b`` has the port ``b``.

    :param authority: ``host``, ``host:port``, ``[address]`` or ``[address]:port``.
    :returns: the host as it is written, an IPv6 address with its brackets; and the port, empty if there is none.
    """
    if isinstance(authority, bytes):
        host, port = splitPort(authority.decode("latin-1"))
        return host.encode("latin-1"), port.encode("latin-1")
    name, colon, port = authority.rpartition(":")
    if not colon or (authority.startswith("[") and authority.endswith("]")):
        return authority, ""
    return name, port


def withoutBrackets(host: str) -> str:
    """The address that an IPv6 address in brackets is; any other host as it is."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host
