"""
What plugins add to the access log's line of a request: ``context.fields``.

    >>> fields = LogFields()
    >>> fields["tenant"] = "shop"
    >>> fields["cached"] = True
    >>> dict(fields)
    {'tenant': 'shop', 'cached': True}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from math import isfinite

from revproxy.secrets import masked

__all__ = ["LogFields", "LogValue"]

LogValue = str | int | float | bool | None
"""What a field may be."""

MOST = 16
"""Fields of one request."""

LONGEST = 256
"""Characters of a value; more are cut."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


class LogFields(MutableMapping[str, LogValue]):
    """
    Names and values. A wrong one is refused where it is assigned.
    """

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[str, LogValue] = {}

    def __getitem__(self, name: str) -> LogValue:
        return self._values[name]

    def __setitem__(self, name: str, value: LogValue) -> None:
        """
        :raises TypeError: it is neither text nor a number, true, false or None.
        :raises ValueError: the name has other characters than letters, digits and ``_.-``, or more than 64; it is no
            finite number, or not of 64 bits; or there are 16 fields.
        """
        if not isinstance(name, str) or not _NAME.match(name):
            raise ValueError(f"{str(name)[:100]!r} is no name of a field in the access log: letters, digits and _.-, "
                             "64 at most")
        if name not in self._values and len(self._values) >= MOST:
            raise ValueError(f"a request has {MOST} fields in the access log at most")
        self._values[str.__str__(name)] = _checked(name, value)

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"LogFields({self._values!r})"


def _checked(name: str, value: LogValue) -> LogValue:
    if isinstance(value, str):
        value = masked(value)
        kept = value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
        return str(kept) if kept.isascii() else kept.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return int(value)
        raise ValueError(f"context.fields[{name!r}]: a whole number has 64 bits at most")
    if isinstance(value, float):
        if isfinite(value):
            return float(value)
        raise ValueError(f"context.fields[{name!r}]: {value} is no finite number")
    raise TypeError(f"context.fields[{name!r}] is text, a number, true, false or None, and not {value!r:.200}")
