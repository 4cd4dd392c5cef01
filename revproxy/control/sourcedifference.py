"""
What is different between two stored versions of a plugin, file by file. Blocks: for a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from revproxy.bundles.versionstore import VersionStore
from revproxy.control.history.difference import textDifference

MOST_FILES = 200
"""Files whose differences are shown."""

MOST_TEXT = 1 << 20
"""Characters of all of them together; of those that follow only the names are shown."""

_LONG = 1 << 19


def sourceDifference(store: VersionStore, name: str, before: str, after: str) -> list[dict[str, str]]:
    """
    :param before: the digest of a version.
    :returns: for each file that is not the same, its ``path``, and the ``diff``, as ``diff -u`` shows it.
    :raises StoreError: one of them is not there, or damaged.
    """
    found: list[dict[str, str]] = []
    room = MOST_TEXT
    for path, text in _different(store.read(name, before).files, store.read(name, after).files):
        shown = text if len(text) <= room else "(not shown: there is too much)"
        room -= len(shown)
        found.append({"path": path, "diff": shown})
        if len(found) == MOST_FILES:
            break
    return found


def _different(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path, b""), after.get(path, b"")
        if old != new or (path in before) != (path in after):
            yield path, _textOf(old, new)


def _textOf(old: bytes, new: bytes) -> str:
    if max(len(old), len(new)) > _LONG:
        return f"{len(old)} bytes before, {len(new)} bytes after: too many to compare them"
    try:
        return textDifference(old.decode(), new.decode())
    except UnicodeDecodeError:
        return f"no text: {len(old)} bytes before, {len(new)} bytes after"


__all__ = ["sourceDifference"]
