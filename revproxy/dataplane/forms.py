"""
What an HTML form says, of which mounted resources see the fields as ``request.args``.

``twisted.web`` reads forms with the ``email`` package, in the event loop: a field name with 120,000 semicolons in it
took seven seconds, a million fields 300 MB. Here every step is linear, nothing is held but the fields themselves, and
there is an end to their number. What is given to whom is the same, but for what no browser sends: a multipart form
without its last delimiter is refused, as something that was cut off; names are the bytes that were sent.

Pure functions on bytes. URL Standard §5.1 (with ``;`` as a separator, as ``twisted.web`` has it), RFC 7578, RFC 2046
§5.1.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from revproxy.errors import BadRequest, BodyTooLarge

MOST_FIELDS = 10_000
"""Fields of a form: some megabytes, however small they are."""

_URLENCODED = b"application/x-www-form-urlencoded"
_MULTIPART = b"multipart/form-data"

_HEAD_LIMIT = 8192
"""Bytes of the header section of one part."""

_PIECE = 65536
"""Bytes that are decoded at a time: decoding makes an object of every escape."""

_PARAMETER = re.compile(rb';[ \t]*([\w!#$%&\'*+.^`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;" \t]*))', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_FOLD = re.compile(rb"\r\n[ \t]+")
_PADDING = re.compile(rb"[ \t]*\r\n")

Fields = dict[bytes, list[bytes]]
"""By name, the values in the order in which they were sent."""


def isForm(contentType: bytes) -> bool:
    """Whether a body of this media type is a form."""
    return _mediaType(contentType) in (_URLENCODED, _MULTIPART)


def readForm(contentType: bytes, content: bytes) -> Fields:
    """
    The fields of a form.

    :param contentType: one of which :func:`isForm` is true.
    :raises BadRequest: for a multipart form that is none.
    :raises BodyTooLarge: for more fields than :data:`MOST_FIELDS`.
    """
    if _mediaType(contentType) == _URLENCODED:
        return _readURLEncoded(content)
    boundary = _parameter(contentType, b"boundary")
    if not boundary or len(boundary) > 70:
        raise BadRequest("a multipart form without a boundary")
    return _readMultipart(boundary, content)


def _mediaType(contentType: bytes) -> bytes:
    return contentType.partition(b";")[0].strip(b" \t").lower()


def _readURLEncoded(content: bytes) -> Fields:
    if content.count(b"&") + content.count(b";") >= MOST_FIELDS:
        raise BodyTooLarge(f"a form of more than {MOST_FIELDS} fields")
    fields: Fields = {}
    for item in content.replace(b";", b"&").split(b"&"):
        name, equals, value = item.partition(b"=")
        if equals:
            fields.setdefault(_decoded(name), []).append(_decoded(value))
    return fields


def _decoded(text: bytes) -> bytes:
    text = text.replace(b"+", b" ")
    if b"%" not in text or len(text) <= _PIECE:
        return unquote_to_bytes(text)
    pieces: list[bytes] = []
    at = 0
    while at < len(text):
        end = at + _PIECE
        # No escape is cut in two.
        cut = text.rfind(b"%", end - 2, end)
        end = end if cut < 0 else cut
        pieces.append(unquote_to_bytes(text[at:end]))
        at = end
    return b"".join(pieces)


def _readMultipart(boundary: bytes, content: bytes) -> Fields:
    delimiter = b"\r\n--" + boundary
    # The first one may stand at the very beginning; what is before it is nobody's.
    at = len(delimiter) - 2 if content.startswith(delimiter[2:]) else _behind(content, delimiter, 0)
    fields: Fields = {}
    parts = 0
    while not content.startswith(b"--", at):
        parts += 1
        if parts > MOST_FIELDS:
            raise BodyTooLarge(f"a form of more than {MOST_FIELDS} fields")
        line = _PADDING.match(content, at)
        if line is None:
            raise BadRequest("a multipart form: something stands behind a boundary")
        # A part without fields has an empty line at once, and one without content a delimiter behind its fields.
        start = line.end()
        head = _head(content, start)
        begins = start + len(head)
        at = _behind(content, delimiter, begins - 2)
        _add(fields, head, content[begins : at - len(delimiter)])
    return fields


def _behind(content: bytes, delimiter: bytes, start: int) -> int:
    found = content.find(delimiter, start)
    if found < 0:
        raise BadRequest("a multipart form without the boundary it announces")
    return found + len(delimiter)


def _head(content: bytes, start: int) -> bytes:
    """The header section of a part, its empty line included."""
    if content.startswith(b"\r\n", start):
        return b"\r\n"
    end = content.find(b"\r\n\r\n", start, start + _HEAD_LIMIT)
    if end < 0:
        raise BadRequest(f"a multipart form: a part without an end of its fields, or of more than {_HEAD_LIMIT} bytes")
    return content[start : end + 4]


def _add(fields: Fields, head: bytes, value: bytes) -> None:
    name: bytes | None = None
    decode: Callable[[bytes], bytes] | None = None
    # A line that goes on (RFC 5322 §2.2.3) is one.
    for line in _FOLD.sub(b" ", head).split(b"\r\n"):
        field, _, text = line.partition(b":")
        match field.strip(b" \t").lower():
            case b"content-disposition":
                name = _parameter(text, b"name")
            case b"content-transfer-encoding":
                # RFC 7578 §4.7: nobody should send it any more.
                decode = _DECODERS.get(text.strip(b" \t").lower())
    if name:
        fields.setdefault(name, []).append(value if decode is None else decode(value))


def _parameter(value: bytes, name: bytes) -> bytes | None:
    for found in _PARAMETER.finditer(value):
        if found[1].lower() == name:
            return found[3] if found[2] is None else _ESCAPED.sub(rb"\1", found[2])
    return None


def _fromBase64(value: bytes) -> bytes:
    try:
        return a2b_base64(value)
    except Base64Error:
        return value


_DECODERS: dict[bytes, Callable[[bytes], bytes]] = {b"base64": _fromBase64, b"quoted-printable": a2b_qp}
