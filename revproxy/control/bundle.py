"""Every byte of a plugin's folder, read once.

What is verified, stored, imported and rolled back to are these bytes; the folder is never looked at again. So a file
that changes between check and use, or a stale .pyc, can not make other code run than was seen. Everything is opened
relative to the descriptor of its folder and without following links; a link inside a plugin could name any file of the
machine. Only the plugin's folder itself may be a link, as deployments that switch versions by a link make it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from revproxy.control.problems import ConfigErrors, Problem

#: Bounds of one plugin: bytes of all files together, and their number.
MAX_BYTES = 16 * 1024 * 1024
MAX_FILES = 1000
MAX_DEPTH = 16

#: What editors, Python and trial leave behind; 4913 is the file vim tries whether it may write with.
_PASSING = re.compile(r"\..*|.*~|.*\.sw[a-z]|4913|#.*#|.*\.py[co]|__pycache__|_trial_temp.*|.*\.(?:tmp|bak|orig|rej)")

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Bundle:
    """One plugin's files.

    :ivar name: of the folder.
    :ivar files: path below the folder, with ``/``, to content; to be left unchanged.
    :ivar digest: SHA-256, hexadecimal, over each path and content in the order of paths.
    :ivar directory: where it was read; for messages only.
    """

    name: str
    files: Mapping[str, bytes] = field(repr=False)
    digest: str
    directory: Path = field(compare=False)


def makeBundle(name: str, files: Mapping[str, bytes], directory: Path | None = None) -> Bundle:
    """A bundle from files that are in memory already.

    :param directory: what messages and tracebacks call its place.
    """
    digest = hashlib.sha256()
    ordered = dict(sorted(files.items()))
    for path, content in ordered.items():
        encoded = path.encode("utf-8", "surrogateescape")
        digest.update(b"%d:%b%d:" % (len(encoded), encoded, len(content)))
        digest.update(content)
    return Bundle(name, ordered, digest.hexdigest(), directory or Path(name))


def readBundle(directory: Path, maxBytes: int = MAX_BYTES, maxFiles: int = MAX_FILES) -> Bundle:
    """Read a plugin's folder.

    Hidden files, byte code and what editors leave behind are passed over.

    :raises ConfigErrors: the folder cannot be read, has a link or a special file in it, is too large, or has no
        plugin.json or plugin.py.
    """
    reader = _BundleReader(maxBytes, maxFiles)
    directory = Path(directory)
    try:
        descriptor = os.open(os.path.realpath(directory), _FLAGS | os.O_DIRECTORY)
    except OSError as error:
        raise _refusal(directory, _reason(error)) from None
    try:
        files = dict(reader.read(descriptor, directory, ""))
    finally:
        os.close(descriptor)
    for required in ("plugin.json", "plugin.py"):
        if required not in files:
            raise _refusal(directory / required, f"there is no {required}; a plugin's folder needs one")
    return makeBundle(directory.name, files, directory)


def isPassing(name: str) -> bool:
    """Whether a file of this name is no part of a plugin: hidden, byte code, or an editor's."""
    return _PASSING.fullmatch(name) is not None


def _refusal(path: Path, message: str) -> ConfigErrors:
    return ConfigErrors([Problem(str(path), 0, 0, "", message)])


def _reason(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return "is a symbolic link; a plugin consists of plain files, copy it"
    return f"cannot be read: {error.strerror}"


class _BundleReader:
    """Walks folders by descriptor; counts what it has read."""

    def __init__(self, maxBytes: int, maxFiles: int) -> None:
        self._left = maxBytes
        self._maxBytes = maxBytes
        self._maxFiles = maxFiles
        self._count = 0

    def read(self, descriptor: int, directory: Path, prefix: str, depth: int = 0) -> Iterator[tuple[str, bytes]]:
        """Path and content of each file below the folder that is open as ``descriptor``."""
        if depth > MAX_DEPTH:
            raise _refusal(directory / prefix, "folders are nested too deeply")
        for name in sorted(os.listdir(descriptor)):
            if isPassing(name):
                continue
            path = prefix + name
            inner = self._open(descriptor, name, directory / path)
            try:
                kind = os.fstat(inner).st_mode
                if stat.S_ISDIR(kind):
                    yield from self.read(inner, directory, f"{path}/", depth + 1)
                elif stat.S_ISREG(kind):
                    yield path, self._content(inner, directory / path)
                else:
                    raise _refusal(directory / path, "is neither a file nor a folder")
            finally:
                os.close(inner)

    def _open(self, descriptor: int, name: str, path: Path) -> int:
        try:
            return os.open(name, _FLAGS, dir_fd=descriptor)
        except OSError as error:
            raise _refusal(path, _reason(error)) from None

    def _content(self, descriptor: int, path: Path) -> bytes:
        self._count += 1
        if self._count > self._maxFiles:
            raise _refusal(path, f"the plugin has more than {self._maxFiles} files")
        chunks: list[bytes] = []
        while True:
            try:
                chunk = os.read(descriptor, 1 << 20)
            except OSError as error:
                raise _refusal(path, _reason(error)) from None
            if not chunk:
                return b"".join(chunks)
            self._left -= len(chunk)
            if self._left < 0:
                raise _refusal(path, f"the plugin has more than {self._maxBytes} bytes")
            chunks.append(chunk)
