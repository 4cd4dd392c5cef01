"""
Large plugins are compiled before their import, which would compile all of one in one go: 10 MB a second.
"""

from __future__ import annotations

from types import CodeType
from typing import Any

from twisted.internet.task import deferLater

from revproxy.bundles.bundle import Bundle
from revproxy.loading.bundlefinder import compileFile

LARGE = 64 * 1024
"""Bytes of Python from which on a plugin is compiled ahead."""

_AT_ONCE = 32 * 1024
"""Bytes of Python that are compiled before requests get their turn, or one file that is larger."""


async def compiledAhead(bundle: Bundle, clock: Any) -> dict[str, CodeType]:
    """Code by path, of a large plugin; requests are served between one file and the next."""
    sizes = {path: len(content) for path, content in bundle.files.items() if path.endswith(".py")}
    codes: dict[str, CodeType] = {}
    if sum(sizes.values()) < LARGE:
        return codes
    pending = 0
    for path, size in sizes.items():
        if pending + size > _AT_ONCE:
            await deferLater(clock, 0)
            pending = 0
        pending += size
        code = compileFile(bundle, path)
        if code is not None:
            codes[path] = code
    return codes
