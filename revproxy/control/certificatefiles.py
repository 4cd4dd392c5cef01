"""
The files that certificates are read from: what is in them, and whether that may have become something else.

They are looked at every few seconds, and there may be thousands. So they are read again only when they look different
from outside, or have been written so recently that times do not tell; and there are bounds, for a folder that others
write into: on each file, on their number, and on all of them together.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping
from errno import EFBIG
from pathlib import Path

from revproxy.bundles.bundle import SETTLED
from revproxy.control.watch.fingerprint import Fingerprint, statOf
from revproxy.regularfile import readFile

FILE_LIMIT = 1 << 20
"""Bytes of one file."""

FILES_LIMIT = 20_000
"""Certificates and keys in one folder; other files do not count."""

BYTES_LIMIT = 128 << 20
"""Bytes of all of them."""

SUFFIXES = frozenset((".pem", ".crt", ".cer", ".key"))

Contents = Mapping[Path, bytes | str]
"""By path, what is in a file; a text says why it could not be read."""


class CertificateFiles:
    """
    The files of one listener. For one thread at a time.

    :param place: a folder, of which the files with the usual suffixes count, or a single file.
    :param others: files besides: those of client authorities.
    """

    def __init__(self, place: Path, others: Collection[Path]) -> None:
        self._place = place
        self._others = tuple(others)
        self._seen: Fingerprint | None = None
        self._digest = b""

    def read(self) -> Contents:
        """
        Every file that plays a part. What keeps one from being read costs no other.

        :raises OSError: the folder cannot be listed, or has too much in it.
        """
        return self._read()[0]

    def readIfChanged(self) -> Contents | None:
        """
        The same, or None if it is what was read last: by content, whatever times may say.

        :raises OSError: as :meth:`read`; then the next call does not say None for the reason of this one.
        """
        if self._seen is not None and self._seen == _fingerprint(self._paths()):
            return None
        contents, isSame = self._read()
        return None if isSame else contents

    def _read(self) -> tuple[Contents, bool]:
        self._seen = None
        started = time.time()
        paths = self._paths()
        seen = _fingerprint(paths)
        contents = self._contents(paths)
        if _youngest(seen) < started - SETTLED:
            self._seen = seen
        before, self._digest = self._digest, _digestOf(contents)
        return contents, self._digest == before

    def _paths(self) -> list[Path]:
        paths = set(self._others)
        if self._place.is_dir():
            paths.update(path for path in self._place.iterdir() if path.suffix in SUFFIXES)
        elif self._place.exists():
            paths.add(self._place)
        if len(paths) > FILES_LIMIT:
            raise OSError(EFBIG, f"it has more than {FILES_LIMIT} certificates and keys in it; use several folders, "
                                 "each of a listener of its own", str(self._place))
        return sorted(paths)

    def _contents(self, paths: list[Path]) -> Contents:
        contents: dict[Path, bytes | str] = {}
        left = BYTES_LIMIT
        for path in paths:
            try:
                content = readFile(path, FILE_LIMIT)
            except OSError as error:
                contents[path] = f"cannot be read: {error.strerror}"
                continue
            left -= len(content)
            if left < 0:
                raise OSError(EFBIG, f"its certificates and keys have more than {BYTES_LIMIT} bytes; take away what "
                                     "does not belong there", str(self._place))
            contents[path] = content
        return contents


def _fingerprint(paths: list[Path]) -> Fingerprint:
    return {str(path): statOf(str(path)) or () for path in paths}


def _youngest(seen: Fingerprint) -> float:
    """When the last of them was changed, in seconds since the epoch; folders and what is not there do not say."""
    return max((max(known[-2:]) for known in seen.values() if len(known) > 3), default=0) / 1e9


def _digestOf(contents: Contents) -> bytes:
    digest = hashlib.sha256()
    for path, content in contents.items():
        data = content if isinstance(content, bytes) else b"\0" + content.encode(errors="replace")
        digest.update(str(path).encode(errors="replace") + b"\0" + len(data).to_bytes(8, "big") + data)
    return digest.digest()


__all__ = ["CertificateFiles", "Contents"]
