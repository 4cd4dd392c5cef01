"""The checksums beside a kept version, in the form of ``sha256sum``."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping

from revproxy.bundles.bundle import Bundle

_ESCAPED = {b"\\\\": b"\\", b"\\n": b"\n", b"\\r": b"\r"}


def formatSums(bundle: Bundle) -> bytes:
    """The lines that ``sha256sum`` writes.

    A line whose path has a line break or backslash begins with a backslash, and the path is escaped.
    """
    lines = []
    for path, digest in sumsOf(bundle.files).items():
        name = os.fsencode(f"{bundle.digest}/{path}")
        escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
        lines.append(b"%b%b  %b\n" % (b"\\" if escaped != name else b"", digest.encode("ascii"), escaped))
    return b"".join(lines)


def sumsOf(files: Mapping[str, bytes]) -> dict[str, str]:
    """Path to SHA-256, hexadecimal, of each file."""
    return {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}


def parseSums(data: bytes, digest: str) -> dict[str, str]:
    """Path to checksum, as far as the lines are readable. To be used in messages only: it proves nothing.

    :param digest: of the version, whose folder's name stands before each path.
    """
    sums = {}
    for line in data.split(b"\n"):
        escaped = line.startswith(b"\\")
        own, _, name = line[escaped:].partition(b"  ")
        if escaped:
            name = re.sub(rb"\\[\\nr]", lambda found: _ESCAPED[found.group()], name)
        if name:
            sums[os.fsdecode(name).removeprefix(f"{digest}/")] = own.decode("ascii", "replace")
    return sums
