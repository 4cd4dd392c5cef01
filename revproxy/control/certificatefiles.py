"""
The files that certificates are read from: what is in them, and whether that may have become something else.

They are asked for with every change, and there may be thousands. So they are read again only when they look different
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
from revproxy.config.settings import Config, TLSConfig
from revproxy.control.watch.fingerprint import Fingerprint, Root, statOf
from revproxy.plan.pemfiles import PemFiles, authorityFiles, pemKey
from revproxy.regularfile import readFile

FILE_LIMIT = 1 << 20
"""Bytes of one file."""

FILES_LIMIT = 20_000
"""Certificates and keys in one folder; other files do not count."""

BYTES_LIMIT = 128 << 20
"""Bytes of all of them."""

SUFFIXES = frozenset((".pem", ".crt", ".cer", ".key"))


class CertificateReader:
    """
    Reads the files of all listeners, again and again. What has not changed since the last time is the same object. For
    one thread at a time.
    """

    def __init__(self) -> None:
        self._files: dict[str, CertificateFiles] = {}

    def read(self, config: Config) -> dict[str, PemFiles]:
        """
        By `pemKey`, the files that a configuration's listeners read their certificates from. Blocks, and raises
        nothing.
        """
        sections = _sections(config)
        known, self._files = self._files, {}
        for tls in sections:
            key = pemKey(tls)
            self._files[key] = known.get(key) or CertificateFiles(tls.certificates, authorityFiles(tls))
        return {key: files.read() for key, files in self._files.items()}


def certificateRoots(config: Config) -> list[Root]:
    """
    The folders and files that a configuration's listeners read their certificates from, for whoever watches them.
    """
    paths = dict.fromkeys(path for tls in _sections(config) for path in (tls.certificates, *authorityFiles(tls)))
    return [Root(str(path), _isNone, depth=0) for path in paths]


def _sections(config: Config) -> list[TLSConfig]:
    """Of all listeners, that of the admin API included."""
    admin = None if config.admin is None else config.admin.tls
    return [tls for tls in (*(listener.tls for listener in config.listeners), admin) if tls is not None]


def _isNone(name: str) -> bool:
    """Whether a file of this name is neither certificate nor key."""
    return Path(name).suffix not in SUFFIXES


class CertificateFiles:
    """
    The files of one listener. For one thread at a time.
    """

    def __init__(self, place: Path, others: Collection[Path] = ()) -> None:
        """
        :param place: a folder, of which the files with the usual suffixes count, or a single file.
        :param others: files besides: those of client authorities.
        """
        self._place = place
        self._others = tuple(others)
        self._seen: Fingerprint | None = None
        self._files: PemFiles | None = None

    def read(self) -> PemFiles:
        """
        Every file that plays a part. What keeps one from being read costs no other. What was read last, if that is the
        same: by content, whatever times may say.
        """
        try:
            found = self._read()
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            self._seen = None
            found = PemFiles(str(self._place), "", problem=reason)
        if found != self._files:
            self._files = found
        return self._files

    def _read(self) -> PemFiles:
        """:raises OSError: the folder cannot be listed, or has too much in it."""
        paths = self._paths()
        seen = _fingerprintOf(paths)
        if self._files is not None and self._seen is not None and self._seen == seen:
            return self._files
        self._seen = None
        started = time.time()
        contents, unreadable = self._contents(paths)
        if _youngest(seen) < started - SETTLED:
            self._seen = seen
        digest = _digestOf(contents, unreadable)
        return PemFiles(str(self._place), digest, contents, unreadable, exists=self._place.exists())

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

    def _contents(self, paths: list[Path]) -> tuple[dict[str, bytes], dict[str, str]]:
        contents: dict[str, bytes] = {}
        unreadable: dict[str, str] = {}
        total = 0
        for path in paths:
            try:
                content = readFile(path, FILE_LIMIT)
            except OSError as error:
                unreadable[str(path)] = f"cannot be read: {error.strerror}"
                continue
            total += len(content)
            if total > BYTES_LIMIT:
                raise OSError(EFBIG, f"its certificates and keys have more than {BYTES_LIMIT} bytes; take away what "
                                     "does not belong there", str(self._place))
            contents[str(path)] = content
        return contents, unreadable


def _fingerprintOf(paths: list[Path]) -> Fingerprint:
    return {str(path): statOf(str(path)) or () for path in paths}


def _youngest(seen: Fingerprint) -> float:
    """When the last of them was changed, in seconds since the epoch; folders and what is not there do not say."""
    return max((max(known[-2:]) for known in seen.values() if len(known) > 3), default=0) / 1e9


def _digestOf(contents: Mapping[str, bytes], unreadable: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for path, data in (*contents.items(), *((path, b"\0" + why.encode()) for path, why in unreadable.items())):
        digest.update(path.encode(errors="replace") + b"\0" + len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
