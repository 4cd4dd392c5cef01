"""
What an alert is, and what matches it: its labels, and nothing else. Values, versions and times are never among them,
for each would be another alert.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from revproxy.config.problems import quoted

MAX_VALUE = 200
"""Characters of a label's value."""

MAX_MATCHERS = 50
"""In one silence."""

MAX_MATCHER = 300
"""Characters of one."""

MAX_STARS = 4
"""In one pattern: a hostile one must not take long."""

_MATCHER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*(!?=)\s*(.*)", re.DOTALL)


def fingerprint(labels: Mapping[str, str]) -> str:
    """The same for the same labels, in whatever order, and over restarts."""
    written = json.dumps(sorted(labels.items()), ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def cut(text: str, limit: int = MAX_VALUE) -> str:
    """What is too long loses its end; halves of surrogate pairs, which cannot be sent, become question marks."""
    short = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return short.encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class Matcher:
    """
    ``label=pattern``, or ``label!=pattern``; ``*`` in a pattern stands for anything. A label that is not there is
    empty.
    """

    label: str
    pattern: str
    isEqual: bool = True

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels are such."""
        return patternMatches(self.pattern, labels.get(self.label, "")) is self.isEqual

    def __str__(self) -> str:
        return f"{self.label}{'=' if self.isEqual else '!='}{self.pattern}"


def patternMatches(pattern: str, text: str) -> bool:
    """Whether text is such; only ``*`` is special."""
    return fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]"))


def parseMatchers(texts: Sequence[str]) -> tuple[Matcher, ...]:
    """
    :raises ValueError: one is none, or there are none or too many: what matches everything is to be said as such.
    """
    if not texts:
        raise ValueError('say what it is about, such as alertname=target-down; "alertname=*" is everything')
    if len(texts) > MAX_MATCHERS:
        raise ValueError(f"has {len(texts)} matchers, and {MAX_MATCHERS} are allowed")
    return tuple(_matcher(text) for text in texts)


def _matcher(text: str) -> Matcher:
    found = _MATCHER.fullmatch(text) if len(text) <= MAX_MATCHER else None
    if found is None:
        raise ValueError(f"{quoted(text)} is no matcher; write LABEL=PATTERN or LABEL!=PATTERN, such as upstream=api-*")
    label, sign, pattern = found.groups()
    if pattern.count("*") > MAX_STARS:
        raise ValueError(f"{quoted(text)} has more than {MAX_STARS} stars")
    return Matcher(label, pattern, sign == "=")
