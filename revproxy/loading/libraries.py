"""
The libraries that a plugin depends on and does not bring, as bytes: for a process that has no files.

What a distribution consists of its RECORD says. Each file is read once and compared with the hash that stands there.
Machine code cannot be loaded from bytes, so a distribution that has any is refused by its name, and so is one that
needs such a one.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from revproxy.bundles.bundle import Bundle
from revproxy.bundles.nativecode import isNative
from revproxy.config.document import Document
from revproxy.config.manifest import Manifest
from revproxy.loading.contract import PluginError
from revproxy.loading.vendoreddistributions import Distributions, vendoredDistributions

Libraries = Mapping[str, Mapping[str, bytes]]
"""By the name of the distribution, its files by path."""

PROVIDED: Final = frozenset(
    ("attrs", "automat", "constantly", "hyperlink", "incremental", "msgspec", "packaging", "revproxy", "twisted",
     "typing-extensions", "zope-interface")
)  # fmt: skip
"""Distributions that every locked process has, so that nobody has to bring them."""

MOST_BYTES: Final = 32 << 20
"""Bytes of all libraries of a plugin."""

MOST: Final = 200
"""Distributions of one plugin."""


def librariesOf(manifest: Manifest, bundle: Bundle) -> Libraries:
    """
    Read them. Blocks; may be called in any thread.

    :raises PluginError: one has machine code, is not there, or is not what its RECORD says.
    """
    return _Reading(manifest, bundle).libraries()


class _Reading:
    """One plugin's."""

    def __init__(self, manifest: Manifest, bundle: Bundle) -> None:
        self._manifest = manifest
        self._vendored: Distributions = vendoredDistributions(bundle)
        self._found: dict[str, Mapping[str, bytes]] = {}
        self._bytes = 0

    def libraries(self) -> Libraries:
        for index, requirement in enumerate(self._manifest.dependencies):
            where = self._manifest.document or Document(self._manifest.source, None)
            place = where.problem(("dependencies", index), "")
            at = f"{place.source}:{place.line}:{place.column}" if place.line else place.source
            self._take(requirement, "", (), at)
        return self._found

    def _take(self, requirement: Requirement, extra: str, through: tuple[str, ...], at: str) -> None:
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            return
        if name in PROVIDED or name in self._found or self._vendored.get(name) is not None:
            return
        if len(self._found) >= MOST:
            raise self._refused(at, f"it needs more than {MOST} distributions")
        try:
            found = distribution(name)
        except PackageNotFoundError:
            if through:
                return  # what others need is their own affair, as in the edge's own process
            raise self._refused(at, f"needs {requirement}, which is not installed") from None
        needed = " → ".join((*through, requirement.name))
        self._found[name] = self._read(found, needed, at)
        for inner in _requirements(found):
            for wanted in ("", *requirement.extras):
                self._take(inner, wanted, (*through, requirement.name), at)

    def _read(self, found: Distribution, needed: str, at: str) -> Mapping[str, bytes]:
        files: dict[str, bytes] = {}
        listed = _listed(found)
        if listed is None:
            raise self._refused(at, f"{needed} has no RECORD of its files (it is installed from where it is written, "
                                    "perhaps): install it as a wheel")
        for path in listed:
            text = path.as_posix()
            if text.startswith(("..", "/")) or "__pycache__" in path.parts:
                continue
            if isNative(text):
                raise self._refused(
                    at, f"{needed} has machine code ({text}), which a locked process cannot load: take a library "
                        "without, or have the plugin run in the edge's own process (isolation: inline)"
                )
            data = Path(str(path.locate())).read_bytes()
            if path.hash is not None and not _fits(data, path.hash):
                raise self._refused(at, f"{text} of {needed} is not what its RECORD says: install it again")
            self._bytes += len(data)
            if self._bytes > MOST_BYTES:
                raise self._refused(at, f"its libraries are more than {MOST_BYTES >> 20} MB")
            files[text] = data
        return files

    def _refused(self, at: str, message: str) -> PluginError:
        return PluginError(self._manifest.name, at, message)


def _listed(found: Distribution) -> list[PackagePath] | None:
    """Its files, as its RECORD has them; None if it has none, or one that leads elsewhere."""
    if found.read_text("RECORD") is None:
        return None
    files = found.files or []
    isEditable = not any(path.suffix == ".py" and ".dist-info" not in path.parts[0] for path in files)
    return None if isEditable and any(path.suffix == ".pth" for path in files) else list(files)


def _fits(data: bytes, wanted: Any) -> bool:
    try:
        digest = hashlib.new(wanted.mode, data).digest()
    except ValueError:
        return False
    return bool(base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == wanted.value)


def _requirements(found: Distribution) -> Iterator[Requirement]:
    texts: Iterable[str] = found.requires or ()
    for text in texts:
        try:
            yield Requirement(text)
        except InvalidRequirement:
            continue  # that distribution's own affair
