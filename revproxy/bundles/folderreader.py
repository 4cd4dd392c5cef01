"""A folder walked by descriptor: the bytes of its files, and the fingerprint that tells whether any has changed.

Everything is opened relative to the descriptor of its folder and without following links; a link inside could name any
file of the machine. What is passed over is not opened, so it may be anything.

Tests are read as far as they can be: nothing that is wrong with them keeps the plugin from being read. A signature is
read whole, or the plugin is not.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from revproxy import regularfile
from revproxy.bundles.ignorerules import Part, PartOf
from revproxy.bundles.signaturefiles import limitOf
from revproxy.config.problems import ConfigErrors, Problem

Fingerprint = dict[str, tuple[int, ...]]
"""
Path below the folder, with ``/``, to kind, device, inode, and of files also bytes and the times of modification and
change in nanoseconds. The folder itself is the empty path.
"""

FLAGS = regularfile.FLAGS | os.O_NOFOLLOW

MAX_TEST_BYTES = 4 * 1024 * 1024
"""Bytes of all tests of a plugin together; of more, none is kept."""

MAX_TESTS = 200
"""Files that tests of a plugin may have."""

_LINK = "is a symbolic link; a plugin consists of plain files, copy it"
_SPECIAL = "is neither a file nor a folder"

_GONE = (errno.ENOENT, errno.ESTALE)


class Vanished(ConfigErrors):
    """What was listed a moment ago is not there any more."""


def refusal(path: Path, message: str) -> ConfigErrors:
    """The error about a file or folder."""
    return ConfigErrors([Problem(str(path), 0, 0, "", message)])


def openFolder(directory: Path) -> int:
    """
    A descriptor of a folder, which itself may be a link. Of a mounted ConfigMap, that of the folder inside which its
    files are in.

    :raises Vanished: it is not there.
    :raises ConfigErrors: it is no folder, or cannot be opened.
    """
    try:
        folder = os.open(os.path.realpath(directory), FLAGS | os.O_DIRECTORY)
        inside = _mountedInside(folder)
        if not inside:
            return folder
        try:
            return os.open(inside, FLAGS | os.O_DIRECTORY, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _linkFailure(directory) or _failure(directory, error) from None


def _mountedInside(folder: int) -> str:
    """
    The name of the folder inside that has the files, where a Kubernetes volume is mounted; else empty.

    There ``plugin.json`` leads to ``..data/plugin.json``, and ``..data`` to a folder such as
    ``..2026_11_27_10_00_00.1``: a new version is another such folder, and one renaming of ``..data``. That folder is
    read, so all is of one version, and no link is followed that could lead out of it.
    """
    try:
        if os.readlink("plugin.json", dir_fd=folder) != "..data/plugin.json":
            return ""
        inside = os.readlink("..data", dir_fd=folder)
    except OSError:  # it is no link
        return ""
    return inside if inside.startswith("..") and inside != ".." and "/" not in inside else ""


def _linkFailure(directory: Path) -> ConfigErrors | None:
    """What is wrong with where a link leads; None if it is no link, or leads somewhere."""
    if not os.path.islink(directory):
        return None
    try:
        os.stat(directory)
    except OSError as error:
        message = f"is a link, and where it leads cannot be read: {os.path.realpath(directory)}: {error.strerror}"
        problem = Problem(str(directory), 0, 0, "", message)
        return Vanished([problem]) if error.errno in _GONE else ConfigErrors([problem])
    return None


def fingerprintTime(fingerprint: Fingerprint) -> float:
    """When the youngest of the files was modified or changed, in seconds since the epoch."""
    return max((max(known[-2:]) for known in fingerprint.values() if len(known) > 3), default=0) / 1e9


class FolderReader:
    """One walk through a folder.

    :param maxBytes: of all files together.
    :param maxDepth: of folders in folders.
    :param partOf: what each path in it is.
    :param tooMuch: what to say of more bytes.
    :ivar fingerprint: of what was walked through so far, each file as it was before its content was read; without what
        is passed over.
    :ivar signature: name and content of each file that vouches for the plugin.
    """

    def __init__(self, maxBytes: int, maxFiles: int, maxDepth: int, partOf: PartOf, tooMuch: str = "") -> None:
        self.fingerprint: Fingerprint = {}
        self.signature: dict[str, bytes] = {}
        self._bytesAllowed = maxBytes
        self._tooMuch = tooMuch or f"the plugin has more than the {maxBytes} bytes of plugins.max_bytes"
        self._maxFiles = maxFiles
        self._maxDepth = maxDepth
        self._partOf = partOf
        self._files = 0
        self._tests: dict[str, bytes] = {}
        self._testReader: FolderReader | None = None
        self._lacksTests = False

    def read(self, descriptor: int, directory: Path) -> dict[str, bytes]:
        """Path and content of each file below the folder that is open as ``descriptor``.

        :param directory: what messages call it.
        :raises Vanished: something went away meanwhile.
        :raises ConfigErrors: there is a link or a special file in it, it is too large, or cannot be read.
        """
        return dict(self._walk(descriptor, directory, "", 0, FolderReader._content))

    @property
    def tests(self) -> Mapping[str, bytes]:
        """Path and content of each test that was read; empty if one of them could not be, or there were too many."""
        return {} if self._lacksTests else self._tests

    def measure(self, descriptor: int, directory: Path) -> Fingerprint:
        """The fingerprint alone. No file is opened, so that nobody who watches the files is woken.

        :raises Vanished: something went away meanwhile.
        :raises ConfigErrors: as `read` does, but for the contents of files.
        """
        for _ in self._walk(descriptor, directory, "", 0, _unread):
            pass
        return self.fingerprint

    def _walk(
        self, descriptor: int, directory: Path, prefix: str, depth: int, content: _Content
    ) -> Iterator[tuple[str, bytes]]:
        if depth > self._maxDepth:
            raise refusal(directory / prefix, "folders are nested too deeply")
        found = _statOf(descriptor, directory / prefix)
        self.fingerprint[prefix] = (stat.S_IFDIR, found.st_dev, found.st_ino)
        for name in self._names(descriptor, directory / prefix, prefix):
            path = prefix + name
            known = self._found(descriptor, name, path, directory / path)
            part = Part.NOTHING if known is None else self._partOf(path, stat.S_ISDIR(known.st_mode))
            if known is not None and part is Part.PLUGIN:
                yield from self._entry(descriptor, directory, path, depth, content, known)
            elif known is not None and part is Part.TEST:
                self._test(descriptor, directory, path, depth, content, known)
            elif known is not None and part is Part.SIGNATURE:
                self._vouching(descriptor, name, directory / path, content, known)

    def _entry(
        self, descriptor: int, directory: Path, path: str, depth: int, content: _Content, found: os.stat_result
    ) -> Iterator[tuple[str, bytes]]:
        """A file, or all files of a folder."""
        name = os.path.basename(path)
        if stat.S_ISDIR(found.st_mode):
            inner = self._open(descriptor, name, directory / path)
            try:
                yield from self._walk(inner, directory, f"{path}/", depth + 1, content)
            finally:
                os.close(inner)
        elif stat.S_ISREG(found.st_mode):
            self._count(directory / path)
            self.fingerprint[path] = _measured(found)
            yield path, content(self, descriptor, name, directory / path)
        else:
            raise refusal(directory / path, _LINK if stat.S_ISLNK(found.st_mode) else _SPECIAL)

    def _vouching(self, descriptor: int, name: str, place: Path, content: _Content, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise refusal(place, _LINK if stat.S_ISLNK(found.st_mode) else "is no plain file, as a signature is")
        self.fingerprint[name] = _measured(found)
        limit = limitOf(name)
        reader = FolderReader(limit, 1, 0, self._partOf, f"has more than {limit} bytes, the most that it may have")
        self.signature[name] = content(reader, descriptor, name, place)

    def _test(
        self, descriptor: int, directory: Path, path: str, depth: int, content: _Content, found: os.stat_result
    ) -> None:
        if self._testReader is None:
            self._testReader = FolderReader(MAX_TEST_BYTES, MAX_TESTS, self._maxDepth, self._inTests)
        reader = self._testReader

        def whole(reader: FolderReader, descriptor: int, name: str, place: Path) -> bytes:
            try:
                return content(reader, descriptor, name, place)
            except ConfigErrors:  # on with the walk, so that it measures what `measure` does
                self._lacksTests = True
                return b""

        try:
            self._tests.update(reader._entry(descriptor, directory, path, depth, whole, found))
        except ConfigErrors:
            self._lacksTests = True
        self.fingerprint.update(reader.fingerprint)

    def _inTests(self, path: str, isFolder: bool) -> Part:
        return Part.NOTHING if self._partOf(path, isFolder) is Part.NOTHING else Part.PLUGIN

    def _names(self, descriptor: int, path: Path, prefix: str) -> list[str]:
        """What is in a folder, without what is passed over whether it is a file or a folder."""
        try:
            names = sorted(os.listdir(descriptor))
        except OSError as error:
            raise _failure(path, error) from None
        return [name for name in names if not all(map(self._isNothing, (prefix + name,) * 2, (False, True)))]

    def _isNothing(self, path: str, isFolder: bool) -> bool:
        return self._partOf(path, isFolder) is Part.NOTHING

    def _found(self, descriptor: int, name: str, path: str, place: Path) -> os.stat_result | None:
        """None if it cannot be looked at, and is no part of the plugin if it is a file."""
        try:
            return os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except OSError as error:
            if self._partOf(path, False) in (Part.TEST, Part.NOTHING) and error.errno not in _GONE:
                return None
            raise _failure(place, error) from None

    def _open(self, descriptor: int, name: str, path: Path) -> int:
        try:
            return os.open(name, FLAGS, dir_fd=descriptor)
        except OSError as error:
            raise _failure(path, error) from None

    def _count(self, path: Path) -> None:
        self._files += 1
        if self._files > self._maxFiles:
            raise refusal(path, f"the plugin has more than {self._maxFiles} files")

    def _content(self, descriptor: int, name: str, path: Path) -> bytes:
        file = self._open(descriptor, name, path)
        try:
            if not stat.S_ISREG(_statOf(file, path).st_mode):
                raise refusal(path, _SPECIAL)
            return b"".join(self._chunks(file, path))
        finally:
            os.close(file)

    def _chunks(self, file: int, path: Path) -> Iterator[bytes]:
        while True:
            try:
                chunk = os.read(file, 1 << 20)
            except OSError as error:
                raise _failure(path, error) from None
            if not chunk:
                return
            self._bytesAllowed -= len(chunk)
            if self._bytesAllowed < 0:
                raise refusal(path, self._tooMuch)
            yield chunk


def _measured(found: os.stat_result) -> tuple[int, ...]:
    """A file's part in the fingerprint."""
    return stat.S_IFREG, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _statOf(descriptor: int, path: Path) -> os.stat_result:
    """Also of what is open a disk may not tell."""
    try:
        return os.fstat(descriptor)
    except OSError as error:
        raise _failure(path, error) from None


_Content = Callable[[FolderReader, int, str, Path], bytes]
"""A descriptor of a folder, the name of a file in it, and what messages call that, to its content."""


def _unread(reader: FolderReader, descriptor: int, name: str, path: Path) -> bytes:
    return b""


def _failure(path: Path, error: OSError) -> ConfigErrors:
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return refusal(path, _LINK)
    problem = Problem(str(path), 0, 0, "", f"cannot be read: {error.strerror}")
    return Vanished([problem]) if error.errno in _GONE else ConfigErrors([problem])
