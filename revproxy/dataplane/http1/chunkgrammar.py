"""
The grammar of chunks (RFC 9112 §7.1) as patterns, so that many small ones are taken by the regular expression engine
and not by us. A chunk of one byte is six bytes on the wire; a loop of ours over those costs an attacker little and us
much.

Nothing here goes back to try again: what follows a repetition cannot begin with what is repeated. Possessive
quantifiers would say so, but Python before 3.11.5 matches them wrongly around groups.
"""

from __future__ import annotations

import re

from revproxy.headers import TOKEN

SMALL = 0x3F
"""The most content, in bytes, of a chunk that the patterns know."""

SHORT_EXTENSIONS = 40
"""The most bytes of extensions, all of one chunk, that the patterns know."""

_TOKEN = rb"[%b]+" % re.escape(bytes(sorted(TOKEN)))
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_NAME_AND_VALUE = _TOKEN + rb"(?:=(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?"
_SHORT = rb";(?=[^\r]{0,%d}\r)" % (SHORT_EXTENSIONS - 1) + _NAME_AND_VALUE + rb"(?:;" + _NAME_AND_VALUE + rb")*"


def _digit(value: int) -> bytes:
    return b"[%x%X]" % (value, value) if value > 9 else b"%x" % value


def _smallChunk() -> bytes:
    """
    A chunk without the CRLF behind it; of up to fifteen digits, as many as the decoder allows.

    With extensions only where there is one digit: chunks with both are too long to be many in a read.
    """
    short, sizes = [], []
    for first in range(1, 16):
        ends = [rb"\r\n.{%d}" % first, _SHORT + rb"\r\n.{%d}" % first]
        short.append(_digit(first) + rb"(?:" + rb"|".join(ends) + rb")")
        if first <= SMALL >> 4:
            ends += [_digit(second) + rb"\r\n.{%d}" % (16 * first + second) for second in range(16)]
        sizes.append(_digit(first) + rb"(?:" + rb"|".join(ends) + rb")")
    return rb"0{0,13}(?:" + rb"|".join(sizes) + rb"|0(?:" + rb"|".join(short) + rb"))"


EXTENSIONS = re.compile(rb"(?:;%b)+" % _NAME_AND_VALUE)
"""
``chunk-ext`` without bad whitespace (BWS): a token each, and perhaps a token or a quoted string.

A recipient is to put up with BWS, but those there are do not agree on where: one that stands before us may have seen
another line. Nobody sends it.
"""

CHUNK = re.compile(_smallChunk(), re.DOTALL)
"""One small chunk, without the CRLF behind its content."""

CHUNKS = re.compile(rb"(?:%b\r\n)+" % _smallChunk(), re.DOTALL)
"""
As many whole small chunks as there are. ``CHUNK.findall`` on what it matched gives each of them and skips nothing: the
only bytes between two are a CRLF, and no chunk begins with one of those.
"""
