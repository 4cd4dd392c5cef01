"""
Text that must not be shown: passwords, tokens, keys.

What revproxy.yaml has for plugins from the environment or from a file (``{$env: NAME}``, ``{$file: PATH}``) is a
:class:`Secret`: text like any other, whose ``repr`` is ``***``. From then on :func:`masked` knows it, and puts ``***``
in its place in whatever the edge tells of: refusals, events, tracebacks, its own log. A plugin that comes by a secret
in another way (a token it was given by a server) calls :func:`hide`.

>>> Secret("correct horse")
'***'
>>> masked("ValueError: not a password: 'correct horse'")
"ValueError: not a password: '***'"

What is shorter than four characters is not looked for in text, nor are ``true``, ``false``, ``none``, ``null`` and
numbers of up to five digits; what is shorter than eight only where it is a word of its own. To put stars in place of
each "the" and each port would hide everything else and no secret.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

__all__ = ["MASK", "Hidden", "Secret", "areHidden", "hide", "masked"]

MASK: Final = "***"

_LEAST = 4
"""Characters of what is looked for in text."""

_PLAIN = 8
"""Characters from which on it is looked for within words, too."""

_COMMON = re.compile(r"[0-9]{1,5}|true|false|none|null", re.IGNORECASE)
"""What is a setting rather than a secret, and everywhere."""

_MOST = 512
"""Values that are remembered, the newest: a file may be renewed each minute for a year."""


class Secret(str):
    """
    Text that is not shown. Where it is used, it is like any other text; what is made of it is no secret by itself.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Secret:
        """From now on `masked` knows it."""
        hide(text)
        return super().__new__(cls, text)

    def __repr__(self) -> str:
        return repr(MASK)


class Hidden:
    """What is looked for in text. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, None] = {}
        self.forms: tuple[tuple[str, re.Pattern[str] | None], ...] = ()

    def add(self, text: str) -> None:
        """Have `masked` know it from now on."""
        with self._lock:
            if len(text) < _LEAST or text in self._values or _COMMON.fullmatch(text):
                return
            self._values[text] = None
            while len(self._values) > _MOST:
                del self._values[next(iter(self._values))]
            found = {form for value in self._values for form in _formsOf(value) if len(form) >= _LEAST}
            # The longest first: one may be the beginning of another.
            self.forms = tuple((form, _wordOf(form)) for form in sorted(found, key=lambda form: (-len(form), form)))

    def masked(self, text: str) -> str:
        """The same text with ``***`` in place of all that is known."""
        for form, word in self.forms:
            if form in text:
                text = text.replace(form, MASK) if word is None else word.sub(MASK, text)
        return text


def _formsOf(value: str) -> Iterator[str]:
    """
    A value as it may stand in text: as it is, as ``repr`` and JSON write it, as bytes, in a URL, in one line, or some
    of its lines.
    """
    encoded = value.encode("utf-8", "surrogatepass")
    yield value
    yield repr(value)[1:-1]
    yield repr(encoded)[2:-1]
    yield quote(encoded)
    yield quote(encoded, safe="")
    yield json.dumps(value)[1:-1]
    yield " ".join(value.split())
    for line in value.splitlines():
        if len(line.strip()) >= _PLAIN:
            yield line.strip()


def _wordOf(form: str) -> re.Pattern[str] | None:
    return None if len(form) >= _PLAIN else re.compile(rf"(?<!\w){re.escape(form)}(?!\w)")


_hidden = Hidden()


def hide(text: str) -> None:
    """
    Have :func:`masked` know it from now on, until 512 others have come.
    """
    _hidden.add(str(text))


def masked(text: str) -> str:
    """
    The same text with ``***`` in place of everything that is hidden.
    """
    return _hidden.masked(text)


def areHidden() -> bool:
    """Whether anything is hidden: for who has much text to mask, and would rather not ask for each piece."""
    return bool(_hidden.forms)
