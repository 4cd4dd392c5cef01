"""
What is to be known of a rollout before it begins, by what is in the files of its plugins. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from revproxy.config.rolloutpolicy import RolloutPolicy
from revproxy.plan.catalog import CatalogEntry

_ALIVE = re.compile(rb"\b(ILifecycle|IHosted)\b")

_COUNTS = re.compile(
    rb"rate[-_ ]?limit|\bquota|token[-_ ]?bucket|\bthrottl|\b429\b|circuit[-_ ]?breaker|max[-_ ]?concurren",
    re.IGNORECASE,
)


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
    if canaries and entry.manifest.judgesInterrupts and _mentions(entry, _COUNTS):
        yield (
            f"{name} seems to count for all of its clients, as rate limits by route do: its two versions count apart, "
            'and the new one, with fewer of them, stops fewer. "judge": {"interrupts": false} in plugin.json leaves '
            "that out"
        )


def _mentions(entry: CatalogEntry, what: re.Pattern[bytes]) -> bool:
    return any(what.search(code) for code in _codeOf(entry))


def _codeOf(entry: CatalogEntry) -> Iterable[bytes]:
    files = {} if entry.bundle is None else entry.bundle.files
    return (content for path, content in files.items() if path.endswith(".py") and not path.startswith("vendor/"))


__all__ = ["cautions"]
