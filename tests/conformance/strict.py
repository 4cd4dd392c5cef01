"""
HTTP/1 requests as RFC 9112 has them when nothing is forgiven. A second opinion, with no code in common with the edge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_LINE = re.compile(rb"(%b) ([\x21-\x22\x24-\x7e]+) HTTP/1\.([01])\Z" % _TOKEN)
_FIELD = re.compile(
    rb"(%b):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*\Z" % _TOKEN
)
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:;[\t\x20-\x7e\x80-\xff]*)?)\Z")
_TARGET = re.compile(rb"(?:https?://(?P<authority>[^/?#]+)(?P<path>[/?].*)?|(?P<origin>/.*)|(?P<all>\*))\Z", re.I)
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?\Z")


class Malformed(Exception):
    """This is no request, or could be read in two ways."""


@dataclass(frozen=True, slots=True)
class Reading:
    """
    A request as it is meant.

    :ivar target: in origin form, also when it came as a URL.
    """

    method: bytes
    target: bytes
    body: bytes


def read(data: bytes) -> tuple[Reading, bytes] | None:
    """
    Read one request.

    :return: the request and what is behind it; None while it is not whole.
    :raises Malformed: when it can become none.
    """
    # RFC 9112 §2.2: at least one empty line is to be ignored; more do not change what is meant.
    while data.startswith(b"\r\n"):
        data = data[2:]
    if not data:
        return None
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        if re.search(rb"(?<!\r)\n|\r(?!\n|\Z)|\0", head):
            raise Malformed("a bare line break")
        return None
    line, *lines = head.split(b"\r\n")
    match = _LINE.match(line)
    if match is None:
        raise Malformed("request line")
    method, target, minor = match.groups()
    fields: dict[bytes, list[bytes]] = {}
    for field in lines:
        found = _FIELD.match(field)
        if found is None:
            raise Malformed("field")
        fields.setdefault(found[1].lower(), []).append(found[2])
    where = _place(method, target, fields, minor)
    body = _body(fields, minor, rest)
    if body is None:
        return None
    return Reading(method, where, body[0]), body[1]


def readAll(data: bytes) -> tuple[list[Reading], bool]:
    """
    Every request up to the first that is malformed or not whole.

    :return: the requests, and whether the rest is malformed.
    """
    readings = []
    try:
        while (one := read(data)) is not None:
            readings.append(one[0])
            data = one[1]
    except Malformed:
        return readings, True
    return readings, False


def _place(method: bytes, target: bytes, fields: dict[bytes, list[bytes]], minor: bytes) -> bytes:
    hosts = fields.get(b"host", [])
    if len(hosts) > 1 or (not hosts and minor == b"1") or not all(_HOST.match(host) for host in hosts):
        raise Malformed("Host")
    match = _TARGET.match(target)
    if match is None or method == b"CONNECT" or (match["all"] and method != b"OPTIONS"):
        raise Malformed("target")
    if match["authority"] is None:
        return target
    if not _HOST.match(match["authority"]) or (hosts and hosts[0].lower() != match["authority"].lower()):
        raise Malformed("authority")
    # RFC 9112 §3.2.4: without a path, OPTIONS is about the server as a whole.
    path = match["path"] or (b"*" if method == b"OPTIONS" else b"/")
    return path if path.startswith((b"/", b"*")) else b"/" + path


def _body(fields: dict[bytes, list[bytes]], minor: bytes, rest: bytes) -> tuple[bytes, bytes] | None:
    codings = fields.get(b"transfer-encoding")
    lengths = fields.get(b"content-length")
    if codings is not None:
        if minor == b"0" or lengths is not None or [coding.lower() for coding in codings] != [b"chunked"]:
            raise Malformed("Transfer-Encoding")
        return _chunks(rest)
    if lengths is None:
        return b"", rest
    if len(lengths) != 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise Malformed("Content-Length")
    length = int(lengths[0])
    return (rest[:length], rest[length:]) if len(rest) >= length else None


def _chunks(rest: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while True:
        line, end, after = rest.partition(b"\r\n")
        if not end:
            if b"\n" in line:
                raise Malformed("chunk size")
            return None
        size = _SIZE.match(line)
        if size is None:
            raise Malformed("chunk size")
        length = int(size[1], 16)
        if length == 0:
            break
        if len(after) < length + 2:
            if len(after) > length and after[length : length + 1] != b"\r":
                raise Malformed("end of chunk")
            return None
        if after[length : length + 2] != b"\r\n":
            raise Malformed("end of chunk")
        body += after[:length]
        rest = after[length + 2 :]
    while True:
        line, end, after = after.partition(b"\r\n")
        if not end:
            return None
        if not line:
            return body, after
        if _FIELD.match(line) is None:
            raise Malformed("trailer")
