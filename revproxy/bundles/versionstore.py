"""The plugins that ever ran, each version whole, under the digest of its content.

    versions/rate-limit/6f1d…c2/plugin.json
    versions/rate-limit/6f1d…c2/plugin.py
    versions/rate-limit/6f1d…c2.sha256
    versions/rate-limit/6f1d…c2.tests/test_plugin.py
    versions/rate-limit/6f1d…c2.signature/plugin.manifest.json

Plain files, so that ``diff -r`` and ``sha256sum -c`` work on them. A version counts only under its final name, which it
gets by one rename after everything is on the disk, and loses by one rename before anything is removed: a crash leaves
hidden folders at worst, which the next `VersionStore.keep` removes. What is read is checked against the digest. The
``.sha256`` beside it proves nothing; it is there to name the file when something is damaged.

The tests beside a version are the last that were seen with it. They are no part of it, and nothing vouches for them.
The signature beside it is the last that it was kept with; whoever reads it, verifies it again.

Names come from requests too. Whatever they are, nothing outside the store is touched: names and digests have fixed
forms, and folders are opened relative to each other and without following links.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from revproxy.bundles.bundle import LARGEST, MAX_DEPTH, MAX_FILES, Bundle, makeBundle
from revproxy.bundles.checksums import formatSums, parseSums, sumsOf
from revproxy.bundles.folderreader import FLAGS, MAX_TEST_BYTES, MAX_TESTS, FolderReader, Vanished
from revproxy.bundles.ignorerules import FILE, allButPassing, everything, readRules
from revproxy.config.problems import ConfigErrors, quoted
from revproxy.regularfile import readFile

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NEW, _OLD, _SUMS, _TESTS, _SIGNATURE = ".new-", ".old-", ".sha256", ".tests", ".signature"
_BESIDE = (_TESTS, _SIGNATURE)

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_FOLDER = FLAGS | os.O_DIRECTORY


class StoreError(Exception):
    """The store cannot keep, read or remove a version; the text says where, what happened, and what to do."""


class VersionStore:
    """Bundles on disk. All methods block; any thread may call them.

    Only one process may write at a time (`revproxy.control.state.directory` sees to that).

    :param folder: made when something is kept first; nothing is touched before.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def keep(self, name: str, bundle: Bundle) -> None:
        """Store a bundle, so that it outlives a crash of the machine. One that is there and sound stays as it is.

        The tests and the signature beside it are this bundle's from then on; but one without a signature takes none
        away.

        :param name: the plugin's.
        :raises StoreError: it cannot be written; nothing of it remains.
        """
        place = self._place(name, bundle.digest)
        for path in bundle.files:
            _checkPath(place, path)
        with self._lock, _writing(place):
            for folder in (self._folder.parent, self._folder):  # the mode is for the last of them only
                os.makedirs(folder, 0o700, exist_ok=True)
            with _opened(self._folder) as root, _made(name, root) as plugin:
                _sweep(plugin)
                if not self._isSound(name, bundle):
                    _write(plugin, bundle)
                _keepBeside(plugin, bundle.digest + _TESTS, bundle.tests)
                if bundle.signature:
                    _keepBeside(plugin, bundle.digest + _SIGNATURE, bundle.signature)

    def keepTests(self, name: str, digest: str, tests: Mapping[str, bytes]) -> None:
        """Keep these tests with a version, instead of those there are. Nothing happens if it is not kept.

        :raises StoreError: they cannot be written.
        """
        self._keepBeside(name, digest, _TESTS, tests)

    def keepSignature(self, name: str, digest: str, signature: Mapping[str, bytes]) -> None:
        """Keep this signature with a version, instead of the one there is. Nothing happens if it is not kept.

        It is for whoever calls this to have it verified: a bad one in the place of a good one would end rollbacks.

        :raises StoreError: it cannot be written.
        """
        self._keepBeside(name, digest, _SIGNATURE, signature)

    def _keepBeside(self, name: str, digest: str, kind: str, files: Mapping[str, bytes]) -> None:
        place = self._place(name, digest)
        for path in files:
            _checkPath(place, path)
        with self._lock, _writing(place), suppress(FileNotFoundError), self._plugin(name) as plugin:
            if digest in os.listdir(plugin):
                _keepBeside(plugin, digest + kind, files)

    def read(self, name: str, digest: str, directory: Path | None = None) -> Bundle:
        """A bundle, each byte of it checked against the digest; its tests and its signature are as they are found.

        :param directory: what messages and tracebacks call its place: the plugin's folder, whose name is the bundle's.
        :raises StoreError: it is not there, or not what was kept.
        """
        place = self._place(name, digest)
        try:
            with self._plugin(name) as plugin, _opened(digest, plugin) as version:
                bundle = _found(version, place, digest, directory or Path(name))
                tests, signature = (_besideOf(plugin, digest + kind) for kind in _BESIDE)
        except (FileNotFoundError, Vanished):
            raise StoreError(f"{place}: there is no such version of {name}{self._others(name)}") from None
        except OSError as error:
            raise _unreadable(place, error) from None
        except ConfigErrors as errors:
            raise _damaged(place, str(errors)) from None
        if bundle is None:
            raise _damaged(place, self._difference(name, digest, place))
        return replace(bundle, tests=tests, signature=signature)

    def digests(self, name: str) -> tuple[str, ...]:
        """The versions of a plugin that are kept. Their files are not read.

        :raises StoreError: the store cannot be read.
        """
        return tuple(found for found in self._listed(_checkName(self._folder, name)) if _DIGEST.fullmatch(found))

    def names(self) -> tuple[str, ...]:
        """The plugins of which versions are kept.

        :raises StoreError: the store cannot be read.
        """
        return tuple(name for name in self._listed() if _NAME.fullmatch(name) and self.digests(name))

    def prune(self, name: str, keep: Collection[str]) -> tuple[str, ...]:
        """Remove all versions but some.

        :returns: what was removed.
        :raises StoreError: a version could not be removed; it is still whole.
        """
        place = self._folder / _checkName(self._folder, name)
        with self._lock, _writing(place):
            removed = tuple(digest for digest in self.digests(name) if digest not in keep)
            if removed:
                with _opened(self._folder) as root, _opened(name, root) as plugin:
                    _sweep(plugin)
                    for digest in removed:
                        _setAside(plugin, digest)
                    os.fsync(plugin)
                    _sweep(plugin)
                    with suppress(OSError):  # unless it is empty
                        os.rmdir(name, dir_fd=root)
        return removed

    def _place(self, name: str, digest: str) -> Path:
        _checkName(self._folder, name)
        if not _DIGEST.fullmatch(digest):
            raise StoreError(f"{self._folder / name}: {quoted(digest)} is no digest; give all 64 hexadecimal digits")
        return self._folder / name / digest

    @contextmanager
    def _plugin(self, name: str) -> Iterator[int]:
        with _opened(self._folder) as root, _opened(name, root) as plugin:
            yield plugin

    def _isSound(self, name: str, bundle: Bundle) -> bool:
        try:
            return self.read(name, bundle.digest).files == bundle.files
        except StoreError:
            return False

    def _listed(self, *inside: str) -> list[str]:
        """Folders in the store, or in the folder of a plugin; a link is none."""
        place = self._folder.joinpath(*inside)
        if inside and place.is_symlink():
            return []
        try:
            with os.scandir(place) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(place, error) from None

    def _others(self, name: str) -> str:
        others = [digest[:12] for digest in self.digests(name)]
        return f"; kept: {', '.join(others)}" if others else "; none is kept"

    def _difference(self, name: str, digest: str, place: Path) -> str:
        """Which files are not those that were kept, as far as the checksums tell."""
        try:
            with self._plugin(name) as plugin, _opened(digest, plugin) as version:
                wanted = parseSums(_readFile(plugin, digest + _SUMS), digest)
                found = sumsOf(FolderReader(LARGEST, MAX_FILES, MAX_DEPTH, allButPassing).read(version, place))
        except (OSError, ConfigErrors):
            return "its content is not what was kept"
        wrong = [
            *(f"{quoted(path)} is missing" for path in wanted if path not in found),
            *(f"{quoted(path)} was changed" for path in found if wanted.get(path, found[path]) != found[path]),
            *(f"{quoted(path)} was added" for path in found if path not in wanted),
        ]
        return ", ".join(wrong[:5]) or "its content is not what was kept"


def _checkName(folder: Path, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise StoreError(f"{folder}: {quoted(name)} is no plugin's name; "
                         "a name has lower-case letters, digits and hyphens only")
    return name


def _checkPath(place: Path, path: str) -> None:
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise StoreError(f"{place}: {quoted(path)} is no path of a file inside a plugin; nothing was kept")


def _unreadable(place: Path, error: OSError) -> StoreError:
    return StoreError(f"{place}: cannot be read: {error.strerror}; see to it that revproxy may read it")


def _damaged(place: Path, reason: str) -> StoreError:
    return StoreError(f"{place}: this version is damaged: {reason}; take another version, or put this one's files into "
                      "the plugin's folder again")


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Make a `StoreError` of what the operating system refuses."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "free some space, or keep fewer versions (plugins.keep_versions)"
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            remedy = 'let revproxy write there, or give it another folder with "state"'
        else:
            remedy = "see to it that this is a folder on a sound file system"
        raise StoreError(f"{place}: cannot be written: {reason}; {remedy}") from None


@contextmanager
def _opened(path: Path | str, parent: int | None = None) -> Iterator[int]:
    """A folder's descriptor; the store's own folder may be a link, nothing in it."""
    flags = _FOLDER if parent is not None else _FOLDER & ~os.O_NOFOLLOW
    descriptor = os.open(path, flags, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _made(name: str, parent: int) -> Iterator[int]:
    """A folder's descriptor; it is made if it is not there."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
        os.fsync(parent)
    except FileExistsError:
        pass
    with _opened(name, parent) as descriptor:
        yield descriptor


def _write(plugin: int, bundle: Bundle) -> None:
    """Write everything under a hidden name first. What there may be under the final name is damaged, and goes."""
    new = _NEW + bundle.digest
    try:
        with _made(new, plugin) as folder:
            _writeTree(folder, bundle.files)
        if bundle.digest in os.listdir(plugin):
            _setAside(plugin, bundle.digest)
        _writeFile(plugin, bundle.digest + _SUMS, formatSums(bundle))
        os.rename(new, bundle.digest, src_dir_fd=plugin, dst_dir_fd=plugin)
        os.fsync(plugin)
    finally:
        _sweep(plugin)


def _keepBeside(plugin: int, name: str, files: Mapping[str, bytes]) -> None:
    """As with versions: under the final name they are whole."""
    if _besideOf(plugin, name) == files:
        return
    try:
        if files:
            with _made(_NEW + name, plugin) as folder:
                _writeTree(folder, files)
        if name in os.listdir(plugin):
            os.rename(name, _OLD + name, src_dir_fd=plugin, dst_dir_fd=plugin)
        if files:
            os.rename(_NEW + name, name, src_dir_fd=plugin, dst_dir_fd=plugin)
        os.fsync(plugin)
    finally:
        _sweep(plugin)


def _besideOf(plugin: int, name: str) -> Mapping[str, bytes]:
    """The tests, or the signature, that are kept with a version; nothing if they cannot be read."""
    try:
        with _opened(name, plugin) as folder:
            return FolderReader(MAX_TEST_BYTES, MAX_TESTS, MAX_DEPTH, everything).read(folder, Path(name))
    except (OSError, ConfigErrors):
        return {}


def _writeTree(folder: int, files: Mapping[str, bytes]) -> None:
    folders = sorted({"/".join(parts[:end]) for parts in (path.split("/") for path in files)
                      for end in range(1, len(parts))})
    for path in folders:
        os.mkdir(path, 0o700, dir_fd=folder)
    for path, content in files.items():
        _writeFile(folder, path, content)
    # Not file by file: the first sync takes along most of what was written before it.
    for path in (*files, *folders, "."):
        _sync(folder, path)


def _writeFile(folder: int, path: str, content: bytes) -> None:
    descriptor = os.open(path, _WRITE, 0o600, dir_fd=folder)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest):]
    finally:
        os.close(descriptor)


def _sync(folder: int, path: str) -> None:
    descriptor = os.open(path, FLAGS, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _setAside(plugin: int, digest: str) -> None:
    """Rename a version to a hidden name: from here on it does not count any more."""
    os.rename(digest, _OLD + digest, src_dir_fd=plugin, dst_dir_fd=plugin)
    with suppress(FileNotFoundError):
        os.unlink(digest + _SUMS, dir_fd=plugin)


def _sweep(plugin: int) -> None:
    """Remove what does not count; what cannot be removed now stays for the next time."""
    names = os.listdir(plugin)
    for name in names:
        isAlone = any(name.endswith(kind) and name.removesuffix(kind) not in names for kind in _BESIDE)
        if isAlone or name.startswith((_NEW, _OLD)):
            shutil.rmtree(name, ignore_errors=True, dir_fd=plugin)
        elif name.endswith(_SUMS) and name.removesuffix(_SUMS) not in names:
            with suppress(OSError):
                os.unlink(name, dir_fd=plugin)


def _found(version: int, place: Path, digest: str, directory: Path) -> Bundle | None:
    """The bundle, if its digest is right; files that an editor or Python has put in do no harm.

    Versions that were kept by an older revproxy may have files that are passed over today.
    """
    for partOf in (readRules(version, str(place / FILE)).forWalk(), allButPassing, everything):
        files = FolderReader(LARGEST, MAX_FILES, MAX_DEPTH, partOf).read(version, place)
        bundle = makeBundle(directory.name, files, directory)
        if bundle.digest == digest:
            return bundle
    return None


def _readFile(folder: int, name: str) -> bytes:
    return readFile(name, LARGEST, folder)
