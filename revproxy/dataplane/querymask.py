"""
Values of the query that nobody is to read: ``***`` takes their place in what is recorded of a request.

A key is found in whatever way it is spelled that some origin may take for it: in any case, with characters
percent-encoded, also twice, with spaces before it, and with brackets behind it (``token[]``); as often as it comes, and
after ``&`` or ``;``, also in the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from revproxy.requestrecord import RequestRecord

__all__ = ["QueryMask"]

_BLANK = b" +\t\n\v\f\r\0"
_SPACES = rb"(?=(?P<spaces>(?:[\s+]|%(?:25)*(?:20|09|00|0[aAdD]))*))(?P=spaces)"
"""
No key begins with one: what was taken for spaces is not tried as a key, or 8 KB of them would take 13 ms. Python 3.11.2
has ``*+`` wrong, which would say the same: it passes over keys that begin with ``%``.
"""

_BRACKETS = rb"(?:(?:\[|%(?:25)*5[bB])[^=&;]*)?"


class QueryMask:
    """
    Masks values of some keys.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        """:param keys: in any case."""
        spelled = b"|".join(b"".join(map(_spellings, key.encode().lstrip(_BLANK))) for key in keys)
        self._sub = re.compile(rb"([?&;]%b(?:%b)%b=)[^&;]*" % (_SPACES, spelled, _BRACKETS)).sub

    def take(self, batch: list[RequestRecord]) -> None:
        """Mask the targets of these records, and where their clients came from."""
        for r in batch:
            if b"=" in r.target:
                r.target = self.masked(r.target)
            if b"=" in r.referer:
                r.referer = self.masked(r.referer)

    def masked(self, target: bytes) -> bytes:
        """The same target, or URL, with ``***`` in the place of the values."""
        return self._sub(rb"\1***", target)


def _spellings(code: int) -> bytes:
    """What matches a byte, however it is written."""
    codes = {code, *bytes([code]).lower(), *bytes([code]).upper()}
    literal = b"".join(re.escape(bytes([each])) for each in sorted(codes))
    encoded = b"|".join(b"".join(_anyCase(digit) for digit in f"{each:02x}") for each in sorted(codes))
    return b"(?:[%b]|%%(?:25)*(?:%b))" % (literal, encoded)


def _anyCase(digit: str) -> bytes:
    return f"[{digit}{digit.upper()}]".encode() if digit.isalpha() else digit.encode()
