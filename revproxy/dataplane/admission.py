"""Whether a request may take the route that was found for it: its method, and the name that its TLS session is for."""

from __future__ import annotations

from collections.abc import Callable

from revproxy.context import Request
from revproxy.errors import MethodNotAllowed, Misdirected

Guards = Callable[[str | None, bytes], bool]
"""Whether a host, the second, is protected from connections whose handshake was for the first (None for no name)."""

_ALLOWED = (b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PATCH", b"POST", b"PUT")
"""What a route that names no methods is said to take, beside what nobody has registered."""


def checkMethod(method: bytes, methods: frozenset[bytes] | None) -> None:
    """
    :param methods: those the route takes; None if it does not say, and then it is asked about TRACE only.
    :raises MethodNotAllowed: if it is none of these.
    """
    if method not in (methods or _ALLOWED):
        raise MethodNotAllowed(f"{method.decode('latin-1')} on this route", sorted(methods or _ALLOWED))


def checkName(request: Request, hostname: bytes, guards: Guards) -> None:
    """:raises Misdirected: if Host is protected by client certificates and the handshake was for another name."""
    tls = request._tls
    if tls is not None and guards(tls.serverName, hostname):
        raise Misdirected("the TLS server name and Host differ on a protected host")
