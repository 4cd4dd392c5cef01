"""
What is different between two values, as text that people read: secrets are masked, and what is long is cut.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import unified_diff
from itertools import islice
from typing import Any

from revproxy.secrets import masked

MOST_LINES = 400
"""Lines of a difference that are shown."""

MOST_TEXT = 32_000
"""Characters of them."""

COMPARED = 20_000
"""Lines of a text that are compared with another; more would take long."""


def textDifference(before: str, after: str, context: int = 3) -> str:
    """
    As ``diff -u`` shows it, without its two first lines; empty if there is none.

    :param context: lines around each change.
    """
    old, new = masked(before).splitlines(), masked(after).splitlines()
    if old == new:
        return "" if before == after else "only secrets, or ends of lines, are different"
    if max(len(old), len(new)) > COMPARED:
        return f"{len(old)} lines before, {len(new)} lines after: too many to compare them"
    lines = islice(unified_diff(old, new, lineterm="", n=context), 2, None)
    return _cut(list(islice(lines, MOST_LINES + 1)))


def valueDifference(before: Any, after: Any) -> str:
    """The same of what JSON can say; None: there is nothing."""
    return textDifference(_pretty(before), _pretty(after), 1)


def _pretty(value: Any) -> str:
    return "" if value is None else json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=repr)


def _cut(lines: Sequence[str]) -> str:
    text = "\n".join(lines[:MOST_LINES])
    if len(lines) <= MOST_LINES and len(text) <= MOST_TEXT:
        return text
    return f"{text[:MOST_TEXT]}\n… (cut off)"


__all__ = ["textDifference", "valueDifference"]
