"""
The list of all that is signed: ``plugin.manifest.json`` in a plugin's folder.

It repeats what plugin.json says of the version, and has each file with its size and hash::

    {"edge":">=0.2,<1","files":{"plugin.json":{"sha256":"5c…","size":120},"plugin.py":{"sha256":"3a…","size":801}},
     "format":"revproxy-plugin@v1","name":"hello","permissions":null,"revision":3,"version":"1.2.0"}

Its bytes follow from the bundle alone, without a date, so that whoever signs twice signs the same: JSON as RFC 8785 has
it. Other bytes that mean the same are refused: nobody has to ask which of two equal keys counts.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from revproxy.bundles.bundle import MAX_FILES, Bundle
from revproxy.bundles.signaturefiles import MANIFEST
from revproxy.bundles.untrusted import Rule, Untrusted
from revproxy.config.manifest import Manifest, parseManifest
from revproxy.config.problems import quoted

FORMAT: Final = "revproxy-plugin@v1"
"""What the manifest is, and the namespace that its signatures are made for."""

MAX_REVISION: Final = 2**53 - 1

_HASH = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = ("edge", "files", "format", "name", "permissions", "revision", "version")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True, slots=True)
class Listed:
    """
    One file.

    :ivar size: bytes.
    :ivar sha256: hexadecimal.
    """

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """
    What a signature vouches for.

    :ivar edge: the versions of the edge that it runs with, as plugin.json has it; None: any.
    :ivar permissions: that it asks for, every key of them; None: it does not say.
    :ivar files: path below the folder, with ``/``, to what is signed.
    """

    name: str
    version: str
    revision: int
    edge: str | None
    permissions: Mapping[str, Any] | None
    files: Mapping[str, Listed] = field(repr=False)


def manifestOf(bundle: Bundle) -> bytes:
    """
    The bytes to be signed.

    :raises Untrusted: they would be refused: plugin.json has no revision, or a path will not do.
    :raises ConfigErrors: plugin.json has mistakes.
    """
    said = _saidBy(bundle)
    if said["revision"] is None:
        raise Untrusted("plugin.json", "revision", _NO_REVISION, bundle.directory)
    for path, problem in _badPaths(bundle.files):
        raise Untrusted(path, "path", problem, bundle.directory)
    files = {path: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
             for path, content in bundle.files.items()}
    return _canonical({**said, "files": files, "format": FORMAT})


_NO_REVISION: Final = (
    'what is signed needs a number that counts up with each release: put "revision": 1 into plugin.json, and sign again'
)


def _saidBy(bundle: Bundle) -> dict[str, Any]:
    """What a manifest repeats of plugin.json."""
    manifest = parseManifest(bundle.files["plugin.json"], str(bundle.directory / "plugin.json"))
    return repeated(manifest)


def repeated(manifest: Manifest) -> dict[str, Any]:
    """What a signed manifest repeats of plugin.json."""
    return {
        "name": manifest.name,
        "version": str(manifest.version),
        "revision": manifest.revision,
        "edge": None if manifest.edge is None else str(manifest.edge),
        "permissions": None if manifest.permissions is None else manifest.permissions.asDict(),
    }


def _canonical(value: Any) -> bytes:
    """RFC 8785, for what a manifest has: no numbers but whole ones."""
    return json.dumps(_ordered(value), separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _ordered(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: str(key).encode("utf-16-be"))}


def parseSigned(data: bytes) -> SignedManifest:
    """
    A manifest from bytes whose signature was verified.

    :raises Untrusted: they are no manifest.
    """
    value = _valueOf(data)
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise _refused(f"it does not say that it is {FORMAT}; sign with revproxy sign of this version")
    if sorted(value) != list(_KEYS):
        wrong = sorted(set(value) ^ set(_KEYS))
        raise _refused(f"it has not just the keys of {FORMAT}: {', '.join(map(quoted, wrong))}; {_AGAIN}")
    name, version, revision, edge = value["name"], value["version"], value["revision"], value["edge"]
    if not isinstance(name, str) or not isinstance(version, str) or not isinstance(edge, str | None):
        raise _refused(f"name, version and edge are no text; {_AGAIN}")
    if type(revision) is not int or not 0 <= revision <= MAX_REVISION:
        raise _refused(f"{quoted(revision)} is no revision; {_AGAIN}")
    permissions = value["permissions"]
    if not isinstance(permissions, dict | None):
        raise _refused(f"permissions are none; {_AGAIN}")
    return SignedManifest(name, version, revision, edge, permissions, _filesIn(value["files"]))


_AGAIN: Final = "sign the folder again: revproxy sign"


def _refused(message: str, rule: Rule = "manifest", file: str = MANIFEST) -> Untrusted:
    return Untrusted(file, rule, message)


def _valueOf(data: bytes) -> Any:
    try:
        value = json.loads(data.decode("utf-8"))
        same = _canonical(value) == data
    except (ValueError, RecursionError):
        raise _refused(f"it is no JSON; {_AGAIN}") from None
    if not same:
        raise _refused(f"it is not written as RFC 8785 has it: another order, spaces, a line break; {_AGAIN}")
    return value


def _filesIn(value: Any) -> Mapping[str, Listed]:
    if not isinstance(value, dict) or len(value) > MAX_FILES:
        raise _refused(f"files are no list of at most {MAX_FILES} files; {_AGAIN}")
    for path, problem in _badPaths(value):
        raise _refused(f"{quoted(path)} {problem}", "path")
    return {path: _listed(path, entry) for path, entry in value.items()}


def _listed(path: str, entry: Any) -> Listed:
    if isinstance(entry, dict) and sorted(entry) == ["sha256", "size"]:
        size, digest = entry["size"], entry["sha256"]
        if type(size) is int and size >= 0 and isinstance(digest, str) and _HASH.fullmatch(digest):
            return Listed(size, digest)
    raise _refused(f"{quoted(path)} has not just a size and a SHA-256; {_AGAIN}")


def _badPaths(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Those that are none, each with what is wrong."""
    known: dict[str, str] = {}
    for path in paths:
        problem = _pathProblem(path)
        folded = unicodedata.normalize("NFC", path).casefold()
        if not problem and folded in known:
            problem = f"differs from {quoted(known[folded])} by case alone; on some machines they are one file"
        known[folded] = path
        if problem:
            yield path, problem


def _pathProblem(path: str) -> str:
    if path.startswith("/"):
        return "is absolute; a signature vouches for files inside the folder"
    if any(part in ("", ".", "..") for part in path.split("/")):
        return "is no plain path below the folder"
    if _CONTROL.search(path) or not path.isprintable():
        return "has characters in it that are no text"  # surrogates, too: a name that is not UTF-8
    return ""


def checkFiles(signed: SignedManifest, bundle: Bundle) -> None:
    """
    That a bundle has the files that are signed, and no other.

    :raises Untrusted: the first that differs.
    """
    for path, content in bundle.files.items():
        listed = signed.files.get(path)
        if listed is None:
            raise _refused("no signature vouches for it: sign the folder again, or put it into .pluginignore, and sign "
                           "again", "unlisted", path)
        if len(content) != listed.size:
            raise _refused(f"it has {len(content)} bytes, and {listed.size} were signed: put back the file that was "
                           "signed, or sign again", "size", path)
        if hashlib.sha256(content).hexdigest() != listed.sha256:
            raise _refused("it was changed after it was signed: put back the file that was signed, or sign again",
                           "sha256", path)
    for path in signed.files:
        if path not in bundle.files:
            raise _refused("it was signed and is not there: put it back, or sign again", "missing", path)


def checkRepeated(signed: SignedManifest, manifest: Manifest) -> None:
    """
    That a signed manifest says of the version what plugin.json does.

    :raises Untrusted: the first that differs.
    """
    rules: tuple[Rule, ...] = ("name", "version", "revision", "edge", "permissions")
    said = repeated(manifest)
    for rule in rules:
        own = getattr(signed, rule)
        if own != said[rule]:
            raise _refused(f"{rule} is {quoted(own)}, and plugin.json says {quoted(said[rule])}: sign again", rule)
