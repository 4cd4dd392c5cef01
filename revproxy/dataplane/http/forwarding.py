"""
The fields of the hop: what we tell the origin about the client, and what we believe of those before us.

Pure functions. What :mod:`~revproxy.dataplane.http.fieldnames` calls forwarding fields, of untrusted clients, was
dropped when the head was parsed, so what is in the header section here came from a trusted proxy and is appended to.
``Via`` (RFC 9110 §7.6.3) is always appended to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

from revproxy.context import Peer, Request
from revproxy.dataplane.http.tracing import LENGTH, TRACEPARENT, traceparentOf
from revproxy.headers import TOKEN, Field
from revproxy.hostport import splitPort, withoutBrackets

VIA = b"revproxy"
"""Our name in Via: a pseudonym, not a host name (RFC 9110 §7.6.3)."""

_APPENDED = frozenset((b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"))

_REWRITTEN = _APPENDED | {TRACEPARENT}

_ESCAPED = re.compile(r"\\(.)")

MOST_HOPS = 100
"""How many proxies are believed one after the other, and how many members of a list are read; from its end."""


class Membership(Protocol):
    """A set of addresses."""

    def contains(self, host: str) -> bool:
        """Whether the address is in it."""


def clientBehind(fields: list[Field], peer: Peer, scheme: str, trusted: Membership | None) -> tuple[Peer, str]:
    """
    Who the client behind a trusted proxy is: the last address that is not itself a trusted proxy's.

    ``X-Forwarded-For`` is believed before ``Forwarded``: proxies that write only one of them write that. Both are read
    from the end, each member only if all behind it are trusted proxies: what stands before them is anybody's word. The
    hundredth trusted proxy is taken for the client, whatever it says of others.

    :param fields: the forwarding fields of the request.
    :param peer: the trusted proxy.
    :returns: the client, and the scheme it used.
    """
    proto = _last(fields, b"x-forwarded-proto")
    client: tuple[str, int] | None = None
    for hop in _members(fields, b"x-forwarded-for"):
        client = _address(hop)
        if trusted is None or not trusted.contains(client[0]):
            break
    if client is None or not proto:
        named, said = _fromForwarded(fields, trusted)
        client = client or named
        proto = proto or said
    if proto in ("http", "https"):
        scheme = proto
    if client is None or not client[0]:
        return peer, scheme
    return Peer(client[0], client[1], peer.connected), scheme


def _fromForwarded(fields: list[Field], trusted: Membership | None) -> tuple[tuple[str, int] | None, str]:
    """Client and scheme as ``Forwarded`` has them (RFC 7239 §4); the scheme is what the nearest says that says one."""
    client: tuple[str, int] | None = None
    proto = ""
    for element in _members(fields, b"forwarded"):
        pairs = _pairs(element)
        # Without an address nobody vouches for what stands before it.
        client = _address(pairs.get("for", ""))
        proto = proto or pairs.get("proto", "").lower()
        if trusted is None or not trusted.contains(client[0]):
            break
    return client, proto


def _last(fields: list[Field], lower: bytes) -> str:
    for field in reversed(fields):
        if field[0] == lower:
            return field[2].rpartition(b",")[2].strip(b" \t").lower().decode("latin-1")
    return ""


def _members(fields: list[Field], lower: bytes) -> Iterator[str]:
    """The members of a list (RFC 9110 §5.6.1) from its end, over all fields of the name; so many, not counting more."""
    remaining = MOST_HOPS
    for field in reversed(fields):
        if field[0] == lower:
            for member in _split(field[2].decode("latin-1"), ",", remaining):
                remaining -= 1
                if member:
                    yield member
            if remaining <= 0:
                return


def _split(value: str, separator: str, most: int) -> list[str]:
    """
    The last members of a list, from its end. Separators in quoted strings do not count (RFC 9110 §5.6.4).

    From the end, because that is what the nearest proxy wrote: a quote that a client has left open before it, on
    purpose, takes nothing of it in.
    """
    pieces = value.rsplit(separator, most)[-most:]
    pieces.reverse()
    if '"' not in value:
        return [piece.strip(" \t") for piece in pieces]
    members: list[str] = []
    within: list[str] = []
    for piece in pieces:
        quotes = piece.replace("\\\\", "").replace('\\"', "").count('"')
        within.append(piece)
        if (quotes % 2 == 1) == (len(within) > 1):
            members.append(separator.join(reversed(within)).strip(" \t"))
            within = []
    return members


def _pairs(element: str) -> dict[str, str]:
    """The parameters of one element of Forwarded; of several with the same name the first."""
    pairs: dict[str, str] = {}
    for pair in reversed(_split(element, ";", MOST_HOPS)):
        name, equals, value = pair.partition("=")
        if equals:
            pairs.setdefault(name.strip().lower(), _unquoted(value.strip()))
    return pairs


def _unquoted(value: str) -> str:
    if len(value) < 2 or not (value.startswith('"') and value.endswith('"')):
        return value
    return _ESCAPED.sub(r"\1", value[1:-1])


def _address(node: str) -> tuple[str, int]:
    """Address and port of a node (RFC 7239 §6); an obfuscated or unknown one has no address."""
    if node.count(":") > 1 and not node.startswith("["):
        # X-Forwarded-For has IPv6 addresses without brackets.
        host, port = node, ""
    else:
        host, port = splitPort(node)
        host = withoutBrackets(host)
    if not host or any(char not in "0123456789abcdefABCDEF:." for char in host):
        return "", 0
    # Not isdigit(): that is also true of a superscript, which int() refuses.
    return host, int(port) if port.isdecimal() and len(port) <= 5 else 0


@lru_cache(4096)
def _hop(connected: str, scheme: str, host: bytes, version: str) -> bytes:
    """All fields of the hop for a client that came directly; the same for every request of a connection."""
    address = connected.encode("latin-1", "replace")
    lines = []
    if address:
        lines.append(b"X-Forwarded-For: " + address)
    lines.append(b"X-Forwarded-Proto: " + scheme.encode())
    if host:
        lines.append(b"X-Forwarded-Host: " + host)
    lines.append(b"Forwarded: " + _element(address, scheme, host))
    lines.append(b"Via: %b %b" % (version.encode(), VIA))
    return b"\r\n".join(lines) + b"\r\n"


def _element(address: bytes, scheme: str, host: bytes) -> bytes:
    """Our element of Forwarded."""
    if b":" in address:
        node = b'"[%b]"' % address
    else:
        node = address or b"unknown"
    element = b"for=%b;proto=%b" % (node, scheme.encode())
    if host:
        element += b";host=" + _quoted(host)
    return element


def _quoted(value: bytes) -> bytes:
    if TOKEN.issuperset(value):
        return value
    return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _hopAfterProxy(fields: list[Field], request: Request) -> bytes:
    """The fields of the hop where some are there already."""
    said: dict[bytes, bytes] = {}
    for lower, _, value in fields:
        if lower in _APPENDED:
            said[lower] = said[lower] + b", " + value if lower in said else value
    connected = request._peer.connected.encode("latin-1", "replace")
    client = request._peer.host.encode("latin-1", "replace")
    # A proxy that wrote only one of the two: whoever reads the other is to learn of the client, too.
    before = client if client != connected else b""
    hops = [hop for hop in (said.get(b"x-forwarded-for", before), connected) if hop]
    elements = [said[b"forwarded"]] if b"forwarded" in said else []
    if before and not elements:
        elements.append(_element(before, request._scheme, b""))
    elements.append(_element(connected, request._scheme, request._rawHost))
    vias = [said[b"via"]] if b"via" in said else []
    vias.append(b"%b %b" % (request._version.encode(), VIA))
    lines = [
        b"X-Forwarded-Proto: " + said.get(b"x-forwarded-proto", request._scheme.encode()),
        b"Forwarded: " + b", ".join(elements),
        b"Via: " + b", ".join(vias),
    ]
    if hops:
        lines.append(b"X-Forwarded-For: " + b", ".join(hops))
    host = said.get(b"x-forwarded-host", request._rawHost)
    if host:
        lines.append(b"X-Forwarded-Host: " + host)
    return b"\r\n".join(lines) + b"\r\n"


def upstreamHead(
    request: Request,
    target: bytes,
    host: bytes | None,
    chunked: bool,
    trace: bytes = b"",
    attempt: int = 1,
    shown: bytes = b"",
) -> bytes:
    """
    The head that goes to the origin.

    The body decides its framing, not the header section, which may be another one by now.

    :param target: the request target to send, verbatim.
    :param host: what to send as Host; None to keep the client's.
    :param chunked: whether the body is sent chunked.
    :param trace: the request's, empty without: the origin gets the span of this attempt as its parent.
    :param attempt: how many targets it has gone to, with this one.
    :param shown: the traceparent that is among the fields for plugins to see, unless they have put another in its place
        or taken it out; empty if there was none.
    """
    fields = request._headers.fields
    parts = [request._rawMethod, b" ", target, b" HTTP/1.1\r\n"]
    if host is None:
        host = request._rawHost
    parts += (b"Host: ", host, b"\r\n")
    body = request._body
    if trace and (attempt > 1 or len(trace) > LENGTH):
        trace = traceparentOf(trace, attempt)
    passedOn = False
    for lower, name, value in fields:
        if lower in _REWRITTEN:
            if lower != b"traceparent":
                passedOn = True
            elif shown and value == shown:
                parts += (b"traceparent: ", trace, b"\r\n")
            else:
                parts += (name, b": ", value, b"\r\n")
        elif lower != b"host" and (body is None or lower != b"content-length"):
            parts += (name, b": ", value, b"\r\n")
    if trace and not shown:
        parts += (b"traceparent: ", trace, b"\r\n")
    if passedOn:
        parts.append(_hopAfterProxy(fields, request))
    else:
        parts.append(_hop(request._peer.connected, request._scheme, request._rawHost, request._version))
    if body is not None:
        if not chunked:
            parts.append(b"Content-Length: %d\r\n" % (body._length or 0))
        else:
            parts.append(b"Transfer-Encoding: chunked\r\n")
            if body._announced:
                parts.append(b"Trailer: " + body._announced + b"\r\n")
    if request._upgrade is not None:
        parts += (b"Connection: Upgrade\r\nUpgrade: ", request._upgrade, b"\r\n")
    elif request.wantsTrailers:
        parts.append(b"Connection: TE\r\nTE: trailers\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)
