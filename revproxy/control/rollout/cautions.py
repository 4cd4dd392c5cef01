"""
What is to be known of a rollout before it begins, by what is in the files of its plugins. Pure.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO

from revproxy.config.rolloutpolicy import RolloutPolicy
from revproxy.plan.catalog import CatalogEntry

_ALIVE = re.compile(rb"\b(ILifecycle|IHosted)\b")

_COUNTS = re.compile(
    r"^429$|too_?many|rate_?limit|quota|(token|leaky)_?bucket|throttl|circuit_?breaker|max_?concurren", re.IGNORECASE
)
"""In names, and numbers, of code."""

_STOPS = frozenset({"respond", "False"})
"""One of these is in whatever stops a request."""


def cautions(
    candidates: Mapping[str, CatalogEntry], policy: RolloutPolicy, isolation: Mapping[str, str]
) -> tuple[str, ...]:
    """
    In words, a sentence each.

    :param isolation: by name, where a plugin runs.
    """
    return tuple(
        text
        for name, entry in candidates.items()
        for text in _ofPlugin(name, entry, policy, isolation.get(name, "inline"))
    )


def _ofPlugin(name: str, entry: CatalogEntry, policy: RolloutPolicy, isolation: str) -> Iterator[str]:
    tries = any(step.kind == "shadow" or step.shadow > 0 for step in policy.steps)
    if tries and isolation != "process" and not entry.manifest.shadowSafe and _mentions(entry, _ALIVE):
        yield (
            f"{name} has a life of its own (ILifecycle, IHosted): it is not tried on copies of requests, unless its "
            'plugin.json says "shadow_safe": true, or it runs in a locked process'
        )
    canaries = any(step.kind == "canary" for step in policy.steps)
    if canaries and entry.manifest.judgesInterrupts:
        if _countsForAll(entry):
            yield (
                f"{name} seems to count for all of its clients, as rate limits by route do: its two versions count "
                'apart, and the new one, with fewer of them, stops fewer. "judge": {"interrupts": false} in plugin.json'
                " leaves that out"
            )
    elif canaries and not _countsForAll(entry):
        yield (
            f'the plugin.json of {name} says "judge": {{"interrupts": false}}, and it does not seem to count for all '
            "of its clients: that it stops more requests than the running version, or lets all through, is not judged"
        )


def _mentions(entry: CatalogEntry, what: re.Pattern[bytes]) -> bool:
    return any(what.search(code) for code in _codeOf(entry))


def _countsForAll(entry: CatalogEntry) -> bool:
    """
    Whether it seems to stop what is too much. What it is called, what it says, and names of fields in its code are no
    sign of that: a plugin may well tell everybody of a quota that another one counts.
    """
    words = [word for code in _codeOf(entry) for word in _wordsIn(code)]
    return not _STOPS.isdisjoint(words) and any(map(_COUNTS.search, words))


def _wordsIn(code: bytes) -> Iterator[str]:
    """Names and numbers in a source, without its comments and texts; as far as it can be read."""
    try:
        for token in tokenize.tokenize(BytesIO(code).readline):
            if token.type in (tokenize.NAME, tokenize.NUMBER):
                yield token.string
    except (SyntaxError, ValueError, tokenize.TokenError):
        return


def _codeOf(entry: CatalogEntry) -> Iterable[bytes]:
    """Its own sources, without its tests."""
    files = {} if entry.bundle is None else entry.bundle.files
    isOwn = re.compile(r"(?!vendor/|(.*/)?(test_|tests/)).*\.py\Z").match
    return (content for path, content in files.items() if isOwn(path))


__all__ = ["cautions"]
