"""
Why a plugin stands where it does in a chain, in words.
"""

from __future__ import annotations

from collections.abc import Collection

from revproxy.config.manifest import Manifest


def ruleOf(manifest: Manifest, names: Collection[str]) -> str:
    """
    What its plugin.json says of its place: its priority, and whom it has to be before or after.

    :param names: of the plugins of the chain, and what they provide: others do not matter.
    """
    said = [f"priority {manifest.priority}"]
    for word, others in (("after", (*manifest.after, *manifest.requires)), ("before", manifest.before)):
        there = [name for name in dict.fromkeys(others) if name in names]
        if there:
            said.append(f"{word} {', '.join(there)}")
    return "; ".join(said)


def namesIn(manifests: Collection[Manifest]) -> frozenset[str]:
    """The names of plugins, and what they provide."""
    return frozenset(name for each in manifests for name in (each.name, *each.provides))
