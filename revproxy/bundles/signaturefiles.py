"""
What a signature is called: files directly in a plugin's folder that are no part of the plugin, and vouch for it.
"""

from __future__ import annotations

from typing import Final

MANIFEST: Final = "plugin.manifest.json"
"""The list of all files, which is signed."""

SSHSIG: Final = f"{MANIFEST}.sshsig"
"""An envelope: what ``ssh-keygen -Y sign`` makes."""

MINISIG: Final = f"{MANIFEST}.minisig"
"""An envelope: what ``minisign -S`` makes."""

ENVELOPES: Final = (SSHSIG, MINISIG)

FILES: Final = frozenset((MANIFEST, *ENVELOPES))
"""All of them."""

MAX_MANIFEST: Final = 1 << 20
"""Bytes: a thousand files with long names have half of that."""

MAX_ENVELOPE: Final = 16 << 10
"""Bytes: with the largest RSA key it has a third of that."""


def limitOf(name: str) -> int:
    """Bytes that one of these files may have."""
    return MAX_MANIFEST if name == MANIFEST else MAX_ENVELOPE
