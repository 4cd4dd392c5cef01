"""
The fields of the hop: what we tell the origin about the client, and what we believe of those before us.

Pure functions. ``X-Forwarded-*`` and ``Forwarded`` (RFC 7239) of untrusted clients were dropped when the head was
parsed, so what is in the header section here came from a trusted proxy and is appended to. ``Via`` (RFC 9110 §7.6.3)
is always appended to.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from revproxy.context import Peer, Request
from revproxy.headers import TOKEN, Field

VIA = b"revproxy"
"""Our name in Via: a pseudonym, not a host name (RFC 9110 §7.6.3)."""

_APPENDED = frozenset((b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"))


class Membership(Protocol):
    """A set of addresses."""

    def contains(self, host: str) -> bool:
        """Whether the address is in it."""


def clientBehind(fields: list[Field], peer: Peer, scheme: str, trusted: Membership | None) -> tuple[Peer, str]:
    """
    Who the client behind a trusted proxy is: the last address that is not itself a trusted proxy's.

    ``X-Forwarded-For`` is believed before ``Forwarded``: proxies that write only one of them write that.

    :param fields: the forwarding fields of the request.
    :param peer: the trusted proxy.
    :returns: the client, and the scheme it used.
    """
    hops = [hop.strip() for value in _values(fields, b"x-forwarded-for") for hop in value.split(",") if hop.strip()]
    elements = [element for value in _values(fields, b"forwarded") for element in _elements(value)]
    if not hops:
        hops = [element["for"] for element in elements if "for" in element]
    protos = [proto.strip().lower() for value in _values(fields, b"x-forwarded-proto") for proto in value.split(",")]
    if not protos:
        protos = [element["proto"].lower() for element in elements if "proto" in element]
    if protos and protos[-1] in ("http", "https"):
        scheme = protos[-1]
    client = ("", 0)
    for hop in reversed(hops):
        client = _address(hop)
        if trusted is None or not trusted.contains(client[0]):
            break
    if not client[0]:
        return peer, scheme
    return Peer(client[0], client[1], peer.connected), scheme


def _values(fields: list[Field], lower: bytes) -> list[str]:
    return [field[2].decode("latin-1") for field in fields if field[0] == lower]


def _elements(value: str) -> list[dict[str, str]]:
    """The elements of a Forwarded field (RFC 7239 §4); quoted strings may hold commas and semicolons."""
    elements: list[dict[str, str]] = [{}]
    key = text = ""
    inKey, quoted, escaped = True, False, False
    for char in value + ",":
        if escaped:
            text, escaped = text + char, False
        elif quoted:
            if char == "\\":
                escaped = True
            elif char == '"':
                quoted = False
            else:
                text += char
        elif char == '"':
            quoted = True
        elif char == "=" and inKey:
            key, text, inKey = text.strip().lower(), "", False
        elif char in ",;":
            if key:
                elements[-1].setdefault(key, text.strip())
            key, text, inKey = "", "", True
            if char == ",":
                elements.append({})
        else:
            text += char
    return [element for element in elements if element]


def _address(node: str) -> tuple[str, int]:
    """Address and port of a node (RFC 7239 §6); an obfuscated or unknown one has no address."""
    if node.startswith("["):
        host, _, rest = node[1:].partition("]")
        port = rest[1:]
    elif node.count(":") == 1:
        host, _, port = node.partition(":")
    else:
        host, port = node, ""
    if not host or any(char not in "0123456789abcdefABCDEF:." for char in host):
        return "", 0
    return host, int(port) if port.isdigit() and len(port) <= 5 else 0


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
    connected = request.peer.connected.encode("latin-1", "replace")
    client = request.peer.host.encode("latin-1", "replace")
    # A proxy that wrote only one of the two: whoever reads the other is to learn of the client, too.
    before = client if client != connected else b""
    hops = [hop for hop in (said.get(b"x-forwarded-for", before), connected) if hop]
    elements = [said[b"forwarded"]] if b"forwarded" in said else []
    if before and not elements:
        elements.append(_element(before, request.scheme, b""))
    elements.append(_element(connected, request.scheme, request.rawHost))
    vias = [said[b"via"]] if b"via" in said else []
    vias.append(b"%b %b" % (request.version.encode(), VIA))
    lines = [
        b"X-Forwarded-Proto: " + said.get(b"x-forwarded-proto", request.scheme.encode()),
        b"Forwarded: " + b", ".join(elements),
        b"Via: " + b", ".join(vias),
    ]
    if hops:
        lines.append(b"X-Forwarded-For: " + b", ".join(hops))
    host = said.get(b"x-forwarded-host", request.rawHost)
    if host:
        lines.append(b"X-Forwarded-Host: " + host)
    return b"\r\n".join(lines) + b"\r\n"


def upstreamHead(request: Request, target: bytes, host: bytes | None, chunked: bool) -> bytes:
    """
    The head that goes to the origin.

    The body decides its framing, not the header section, which may be another one by now.

    :param target: the request target to send, verbatim.
    :param host: what to send as Host; None to keep the client's.
    :param chunked: whether the body is sent chunked.
    """
    fields = request.headers.fields
    parts = [request.rawMethod, b" ", target, b" HTTP/1.1\r\n"]
    if host is None:
        host = request.rawHost
    parts += (b"Host: ", host, b"\r\n")
    body = request._body
    passedOn = False
    for lower, name, value in fields:
        if lower in _APPENDED:
            passedOn = True
        elif lower != b"host" and (body is None or lower != b"content-length"):
            parts += (name, b": ", value, b"\r\n")
    if passedOn:
        parts.append(_hopAfterProxy(fields, request))
    else:
        parts.append(_hop(request.peer.connected, request.scheme, request.rawHost, request.version))
    if body is not None:
        if not chunked:
            parts.append(b"Content-Length: %d\r\n" % (body.length or 0))
        else:
            parts.append(b"Transfer-Encoding: chunked\r\n")
            if body.announced:
                parts.append(b"Trailer: " + body.announced + b"\r\n")
    if request.upgrade is not None:
        parts += (b"Connection: Upgrade\r\nUpgrade: ", request.upgrade, b"\r\n")
    elif request.wantsTrailers:
        parts.append(b"Connection: TE\r\nTE: trailers\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)
