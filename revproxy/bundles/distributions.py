"""
What drop-ins were installed with, looked at before any of it is imported.

A drop-in is a module in ``revproxy/plugins/`` that somebody has installed with Python. Which distribution it is of, and
with which bytes that was installed, stands in the distribution's RECORD: each file with its SHA-256. The digest of a
distribution is over these lines, without what differs from machine to machine (scripts, bytecode, pip's own notes): two
that are equal here have the same code.

Its dependencies are not looked at: they are imported by many, and are the machine's.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.utils import canonicalize_name

from revproxy.regularfile import readFile

OWN = "revproxy"
"""The distribution that we are."""

MAX_BYTES = 64 << 20
"""Bytes that one file may have."""

_HERE = Path(__file__).resolve().parents[2]
"""The folder that we are in."""

_NOTES = frozenset(("INSTALLER", "REQUESTED", "direct_url.json", "RECORD", "RECORD.jws", "RECORD.p7s"))


class Altered(Exception):
    """What is installed is not what was; the text says which file, and what to do."""


@dataclass(frozen=True)
class Installed:
    """
    A distribution.

    :ivar name: as `packaging.utils.canonicalize_name` writes it.
    :ivar files: path below the folder that it is installed in, with ``/``, to SHA-256 in hexadecimal digits; of
        scripts, bytecode and pip's notes, nothing.
    :ivar folder: where that is.
    :ivar isEditable: whether it is a checkout that somebody works in.
    :ivar isOwn: whether it is the one that this very code is of; another may call itself so.
    """

    name: str
    version: str
    files: Mapping[str, str] = field(repr=False)
    folder: Path
    isEditable: bool = False
    isOwn: bool = False

    @cached_property
    def record(self) -> str:
        """The digest over the names and hashes of its files: 64 hexadecimal digits; empty: it has none."""
        if not self.files:
            return ""
        lines = "".join(f"{path}\0{digest}\n" for path, digest in sorted(self.files.items()))
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()

    def check(self, module: Path) -> None:
        """
        That a module is one of its files: RECORD can name one without a hash, or with a way out of the folder.

        :raises Altered: it is not.
        """
        if not module.is_relative_to(self.folder) or module.relative_to(self.folder).as_posix() not in self.files:
            raise Altered(f"{module}: RECORD of {self.name} {self.version} has no SHA-256 of it; install it again")

    def read(self, paths: Iterable[str] | None = None) -> dict[str, bytes]:
        """
        Its files, each read once, and compared with what was installed.

        :param paths: some of them; None: all.
        :raises Altered: one is another, or not there.
        """
        found = {}
        for path in self.files if paths is None else paths:
            place = self.folder / path
            try:
                content = readFile(place, MAX_BYTES)
            except OSError as error:
                reason = error.strerror or error
                raise Altered(f"{place}: cannot be read: {reason}; install {self.name} again") from None
            if hashlib.sha256(content).hexdigest() != self.files[path]:
                raise Altered(f"{place}: was changed since {self.name} {self.version} was installed; install it again")
            found[path] = content
        return found


def dropInModules(package: Any) -> dict[str, Path]:
    """
    Modules that may be drop-ins, with their files: none is imported.

    :param package: `revproxy.plugins`.
    """
    found = {}
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        spec = module.module_finder.find_spec(module.name, None)  # type: ignore[call-arg]
        if spec is not None and spec.origin is not None:
            found[module.name] = Path(spec.origin)
    return found


def distributionsOf(modules: Mapping[str, Path], isOthers: bool = True) -> dict[str, Installed | None]:
    """
    By module, what it was installed with; None: nobody knows.

    :param isOthers: whether those of others are looked for, too: that takes a second where much is installed.
    """
    own = _own()
    found: dict[str, Installed | None] = dict.fromkeys(modules)
    wanted = {path.resolve(): name for name, path in modules.items()}
    for path, name in wanted.items():
        if own is not None and _has(own, path):
            found[name] = own
    missing = {path: name for path, name in wanted.items() if found[name] is None}
    for distribution in importlib.metadata.distributions() if missing and isOthers else ():
        for path in _claimed(distribution, missing):
            found[missing[path]] = _installed(distribution)
    return found


def _own() -> Installed | None:
    """There may be others of that name, further on in `sys.path`, or before."""
    for found in map(_installed, importlib.metadata.distributions(name=OWN)):
        if found is not None and (found.isEditable or found.folder == _HERE):
            return replace(found, isOwn=True)
    return None


def _has(installed: Installed, path: Path) -> bool:
    """Whether a file is ours; in a checkout, each that is beside this very code."""
    if installed.isEditable:
        return path.parent == _HERE / OWN / "plugins"
    try:
        return path.relative_to(installed.folder).as_posix() in installed.files
    except ValueError:
        return False


def _claimed(distribution: importlib.metadata.Distribution, missing: Mapping[Path, str]) -> Iterator[Path]:
    """Files among these that a distribution has installed."""
    for file in distribution.files or ():
        if "plugins" in file.parts:
            path = Path(str(distribution.locate_file(file))).resolve()
            if path in missing:
                yield path


def _installed(distribution: importlib.metadata.Distribution) -> Installed | None:
    """None: it does not say what it is."""
    name, version = distribution.metadata["Name"], distribution.metadata["Version"]
    if not name or not version:
        return None
    files = {}
    for file in distribution.files or ():
        if file.hash is not None and file.hash.mode == "sha256" and not _differs(file):
            files[file.as_posix()] = _hexadecimal(file.hash.value)
    folder = Path(str(distribution.locate_file(""))).resolve()
    return Installed(canonicalize_name(name), version, files, folder, _isEditable(distribution))


def _differs(path: PurePosixPath) -> bool:
    """Whether a file is another one on each machine, and no code of the distribution."""
    return ".." in path.parts or path.suffix == ".pyc" or path.name in _NOTES


def _hexadecimal(value: str) -> str:
    """RECORD has hashes in the alphabet of URLs, without padding."""
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()


def _isEditable(distribution: importlib.metadata.Distribution) -> bool:
    try:
        said = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        said = {}
    if said.get("dir_info", {}).get("editable"):
        return True
    # Found in the checkout itself (an egg-info): there is no RECORD, and nothing was installed.
    return not any(file.hash is not None for file in distribution.files or ())


def foldersOf(installed: Installed) -> set[str]:
    """The packages that are a distribution's alone: dotted names."""
    packages = {str(PurePosixPath(path).parent) for path in installed.files if path.endswith("/__init__.py")}
    return {package.replace("/", ".") for package in packages if package.partition("/")[0] != OWN}


__all__ = ["OWN", "Altered", "Installed", "distributionsOf", "dropInModules", "foldersOf"]
