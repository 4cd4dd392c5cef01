"""
How everybody calls one version of a plugin.
"""

from __future__ import annotations

from dataclasses import dataclass

SHOWN = 12
"""Hexadecimal digits of a digest that people are shown."""


@dataclass(frozen=True, slots=True)
class VersionId:
    """
    A version of a plugin, as far as it is known.

    :ivar number: as its manifest says (PEP 440); empty where the manifest could not be read.
    :ivar digest: of its bundle, 64 hexadecimal digits; None for a drop-in, or where the files could not be read.
    """

    number: str = ""
    digest: str | None = None

    def __str__(self) -> str:
        """``1.2.0 (6f1d0a9b77c2)``, or as much of that as is known."""
        return f"{self.number} ({self.digest[:SHOWN]})".strip() if self.digest else self.number


UNKNOWN = VersionId()
"""Where nothing is known of a version, or it is no plugin's."""
