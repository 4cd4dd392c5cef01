"""
What an HTML form says, of which mounted resources see the fields as ``request.args``.

``twisted.web`` reads forms with the ``email`` package, in the event loop: a field name with 120,000 semicolons in it
took seven seconds, a million fields 300 MB. ``multipart`` reads multipart forms in linear time. It takes what browsers
send, and refuses what is cut off, and parts without a name or with header fields of more than one line. Names are the
bytes that were sent, but for ``%22``, ``%0D`` and ``%0A``: browsers write quotes and ends of lines so.

Pure functions on bytes. URL Standard §5.1 (with ``;`` as a separator, as ``twisted.web`` has it), RFC 7578.
"""

from __future__ import annotations

from binascii import a2b_base64, a2b_qp
from urllib.parse import unquote_to_bytes

from multipart import MultipartSegment, ParserLimitReached, PushMultipartParser, parse_options_header

from revproxy.errors import BadRequest, BodyTooLarge

MOST_FIELDS = 10_000
"""Fields of a form: some megabytes, however small they are."""

_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"

_BYTES = "latin-1"
"""Every byte is a character, and the other way round."""

_PIECE = 65536
"""Bytes that are decoded at a time: decoding makes an object of every escape."""

Fields = dict[bytes, list[bytes]]
"""By name, the values in the order in which they were sent."""


def isForm(contentType: bytes) -> bool:
    """Whether a body of this media type is a form."""
    return parse_options_header(contentType.decode(_BYTES))[0] in (_URLENCODED, _MULTIPART)


def readForm(contentType: bytes, content: bytes) -> Fields:
    """
    The fields of a form.

    :param contentType: one of which :func:`isForm` is true.
    :raises BadRequest: for a multipart form that is none.
    :raises BodyTooLarge: for more fields than :data:`MOST_FIELDS`, or a part with more than 8 header fields or one of
        more than 4 KB.
    """
    kind, parameters = parse_options_header(contentType.decode(_BYTES))
    if kind == _URLENCODED:
        return _readURLEncoded(content)
    boundary = parameters.get("boundary", "")
    if not boundary or len(boundary) > 70:
        raise BadRequest("a multipart form without a boundary, or with one of more than 70 bytes")
    return _readMultipart(boundary.encode(_BYTES), content)


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
    fields: Fields = {}
    try:
        # Strict, because a field of many lines is otherwise put together anew for each of them: 3.5 s for 10 MB.
        with PushMultipartParser(boundary, max_segment_count=MOST_FIELDS, header_charset=_BYTES, strict=True) as parser:
            for event in parser.parse(content):
                if isinstance(event, MultipartSegment):
                    part, value = event, b""
                elif event is not None:
                    value += event
                elif part.name:
                    fields.setdefault(part.name.encode(_BYTES), []).append(_plain(part, value))
    except ParserLimitReached as error:
        raise BodyTooLarge(f"a multipart form: {error}") from None
    except ValueError as error:
        raise BadRequest(f"a multipart form: {error}") from None
    return fields


def _plain(part: MultipartSegment, value: bytes) -> bytes:
    """RFC 7578 §4.7: nobody should encode any more."""
    match part.header("Content-Transfer-Encoding", "").strip().lower():
        case "base64":
            return a2b_base64(value)
        case "quoted-printable":
            return a2b_qp(value)
    return value
