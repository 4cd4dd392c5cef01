"""Where a configuration file says that the state folder is, also when the rest of it is broken: a mistake in the file
must not keep anybody from asking the edge that still runs with what was in it before."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from revproxy.config.document import parseYAML, readText
from revproxy.config.problems import ConfigErrors

DEFAULT = "var"
"""Relative to the configuration file."""

LONG = 64 * 1024
"""Characters of a file from which on its line is tried first: to parse ten thousand routes takes seconds."""

_LINE = re.compile(r"^state[ \t]*:[ \t].*$", re.MULTILINE)


_WHOLE = re.compile(r"^state[ \t]*:[ \t]+(?![>|])\S.*$(?!\n\s*[ \t][^\s#])", re.MULTILINE)
"""The same where no later line can belong to it."""


def statePath(file: Path) -> Path:
    """The folder that ``state`` names.

    :raises ConfigErrors: the file cannot be read. Nothing else is a reason.
    """
    text = readText(file, str(file))
    lines = _WHOLE.findall(text) if len(text) > LONG else []
    state = _stateOf(lines[0]) if len(lines) == 1 else None
    if state is None:
        state = _stateOf(text)
    if state is None:
        found = _LINE.search(text)
        state = None if found is None else _stateOf(found[0])
    return file.absolute().parent / (state or DEFAULT)


def _stateOf(text: str) -> str | None:
    """None: it cannot be parsed, or has no such text."""
    try:
        value: Any = parseYAML(text, "").value
    except ConfigErrors:
        return None
    state = value.get("state") if isinstance(value, dict) else None
    return state if isinstance(state, str) and "\0" not in state else None


__all__ = ["statePath"]
