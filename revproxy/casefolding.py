"""
Names that are compared in any case: segments of a path, file names.
"""

from __future__ import annotations


def folded(name: bytes) -> bytes:
    """A name as it is compared in any case."""
    if name.isascii():
        return name.lower()
    return name.decode("utf-8", "surrogateescape").casefold().encode("utf-8", "surrogateescape")
