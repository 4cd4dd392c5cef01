"""Every byte of a plugin's folder, read once.

What is verified, stored, imported and rolled back to are these bytes; the folder is never read again for them. So a
file that changes between check and use, or a stale .pyc, cannot make other code run than was verified. Links inside a
plugin are not followed. Only the plugin's folder itself may be a link, as deployments that switch versions by a link
make it.

A folder may be in the middle of being written. The fingerprint of what was read (inode, size and times of each file)
is compared with the folder's afterwards; a difference means that the bytes may be of two states, and they are read
again. The same fingerprint spares the rescans of `BundleReader` the reading. Times are coarse (a tick of the kernel;
seconds on some file systems), so a file that changed just before it was read may change again and keep its times: such
a reading is not relied on the next time.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from revproxy.bundles.folderreader import Fingerprint, FolderReader, Vanished, fingerprintTime, openFolder, refusal
from revproxy.bundles.ignorerules import FILE, IgnoreRules, readRules
from revproxy.bundles.nativecode import nativeProblems
from revproxy.config.problems import ConfigErrors

MAX_BYTES = 16 * 1024 * 1024
"""Bytes of all files of a plugin together, unless ``plugins.max_bytes`` says otherwise."""

LARGEST = 1 << 30
"""The most that ``plugins.max_bytes`` may be."""

MAX_FILES = 1000
"""Files of a plugin."""

MAX_DEPTH = 16
"""Folders in folders of a plugin."""

ATTEMPTS = 5
"""How often a folder that keeps changing is read before it is refused."""

SETTLED = 2.0
"""Seconds for which a file must not have changed before its times can prove that it is the same."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One plugin's files.

    :ivar name: of the folder.
    :ivar files: path below the folder, with ``/``, to content; to be left unchanged.
    :ivar digest: SHA-256, hexadecimal, over each path and content in the order of paths.
    :ivar codeDigest: the same without plugin.json: when it is equal, only the manifest can differ.
    :ivar directory: where it was read; for messages only.
    :ivar tests: path to content of the tests that came with it. They are no part of it: two bundles that differ in
        nothing else are one version.
    :ivar signature: the signed manifest and its envelopes, by their names. They are no part of it, either: to sign
        again makes no new version.
    """

    name: str
    files: Mapping[str, bytes] = field(repr=False)
    digest: str
    codeDigest: str
    directory: Path = field(compare=False)
    tests: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)
    signature: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)


def makeBundle(
    name: str,
    files: Mapping[str, bytes],
    directory: Path | None = None,
    tests: Mapping[str, bytes] | None = None,
    signature: Mapping[str, bytes] | None = None,
) -> Bundle:
    """A bundle from files that are in memory already.

    :param directory: what messages and tracebacks call its place.
    :param tests: that came with it.
    :param signature: that vouches for it; nothing is verified here.
    """
    digest, codeDigest = hashlib.sha256(), hashlib.sha256()
    ordered = dict(sorted(files.items()))
    for path, content in ordered.items():
        encoded = path.encode("utf-8", "surrogateescape")
        for hashed in (digest,) if path == "plugin.json" else (digest, codeDigest):
            hashed.update(b"%d:%b%d:" % (len(encoded), encoded, len(content)))
            hashed.update(content)
    return Bundle(name, ordered, digest.hexdigest(), codeDigest.hexdigest(), directory or Path(name),
                  dict(tests or {}), dict(signature or {}))


def readBundle(directory: Path, maxBytes: int = MAX_BYTES, maxFiles: int = MAX_FILES) -> Bundle:
    """Read a plugin's folder, but for what `revproxy.bundles.ignorerules` passes over.

    :raises ConfigErrors: the folder cannot be read, was deleted or kept changing meanwhile, has a link or a special
        file in it, is too large, or has no plugin.json or plugin.py.
    """
    return _readStable(Path(directory), maxBytes, maxFiles)[0]


class BundleReader:
    """Reads folders again and again, and their contents only when something has changed.

    Only one thread at a time may use it.

    :param now: seconds since the epoch, as the file systems count them.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._known: dict[Path, _Reading] = {}

    def read(self, directory: Path, maxBytes: int = MAX_BYTES) -> Bundle:
        """As `readBundle`; the very same object as before when the folder has the same content, tests and signature
        included.

        :raises ConfigErrors: as `readBundle` does; what was known of the folder is forgotten.
        """
        directory = Path(directory)
        known = self._known.pop(directory, None)
        if known is None or not self._isSame(directory, known, maxBytes):
            known = self._readAnew(directory, known, maxBytes)
        self._known[directory] = known
        return known.bundle

    @staticmethod
    def _isSame(directory: Path, known: _Reading, maxBytes: int) -> bool:
        if not known.settled or sum(map(len, known.bundle.files.values())) > maxBytes:
            return False
        return _fingerprintOf(directory, MAX_FILES, known.rules) == known.fingerprint

    def retain(self, directories: Collection[Path]) -> None:
        """Forget all folders but these."""
        self._known = {path: known for path, known in self._known.items() if path in directories}

    def _readAnew(self, directory: Path, known: _Reading | None, maxBytes: int) -> _Reading:
        started = self._now()
        bundle, fingerprint, rules = _readStable(directory, maxBytes, MAX_FILES)
        if known is not None and known.bundle.digest == bundle.digest:
            isSame = known.bundle.tests == bundle.tests and known.bundle.signature == bundle.signature
            bundle = known.bundle if isSame else replace(
                known.bundle, tests=bundle.tests, signature=bundle.signature)
        return _Reading(bundle, fingerprint, rules, fingerprintTime(fingerprint) < started - SETTLED)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a `BundleReader` knows of a folder.

    :ivar settled: whether an equal fingerprint proves equal content.
    """

    bundle: Bundle
    fingerprint: Fingerprint
    rules: IgnoreRules
    settled: bool


def _readStable(directory: Path, maxBytes: int, maxFiles: int) -> tuple[Bundle, Fingerprint, IgnoreRules]:
    for attempt in range(ATTEMPTS):
        try:
            descriptor = openFolder(directory)
        except Vanished:
            if attempt:
                raise refusal(directory, "was deleted while it was read") from None
            raise
        try:
            rules = readRules(descriptor, str(directory / FILE))
            reader = FolderReader(maxBytes, maxFiles, MAX_DEPTH, rules.forWalk())
            files = reader.read(descriptor, directory)
        except Vanished:
            continue
        finally:
            os.close(descriptor)
        isOfRules = files.get(FILE, b"") == rules.text
        if isOfRules and _fingerprintOf(directory, maxFiles, rules) == reader.fingerprint:
            return _complete(directory, files, reader), reader.fingerprint, rules
    raise refusal(directory, "keeps changing while it is read; it is read again once it is left alone")


def _fingerprintOf(directory: Path, maxFiles: int, rules: IgnoreRules) -> Fingerprint | None:
    """The folder's fingerprint now; ``None`` when it is no folder that `readBundle` takes.

    :param rules: those that it had; if it has others now, the fingerprint differs in the file they are in.
    """
    try:
        descriptor = openFolder(directory)
    except ConfigErrors:
        return None
    try:
        return FolderReader(MAX_BYTES, maxFiles, MAX_DEPTH, rules.forWalk()).measure(descriptor, directory)
    except ConfigErrors:
        return None
    finally:
        os.close(descriptor)


def _complete(directory: Path, files: Mapping[str, bytes], reader: FolderReader) -> Bundle:
    for required in ("plugin.json", "plugin.py"):
        if required not in files:
            raise refusal(directory / required, f"there is no {required}; a plugin's folder needs one")
    native = list(nativeProblems(directory, files))
    if native:
        raise ConfigErrors(native)
    return makeBundle(directory.name, files, directory, reader.tests, reader.signature)
