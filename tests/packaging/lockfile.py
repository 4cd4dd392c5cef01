"""
Files of requirements that name a version and the hashes of everything that is installed: what is in them, and whether
that is all that setup.py asks for.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "requirements"
RUNTIME = FOLDER / "runtime.txt"
DEVELOPMENT = FOLDER / "development.txt"

_LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\s*\\?$")


@dataclass(frozen=True, slots=True)
class Locked:
    """
    One distribution.

    :ivar marker: where it is installed; None: everywhere.
    :ivar hashes: SHA-256 of each of its files.
    """

    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]

    @property
    def isHere(self) -> bool:
        """Whether it is installed on a machine like this."""
        return self.marker is None or Marker(self.marker).evaluate()


def read(path: Path) -> dict[str, Locked]:
    """
    By name. :raises ValueError: a line is neither a version nor a hash; it is named.
    """
    found: dict[str, Locked] = {}
    last = ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if (hashed := _HASH.match(text)) is not None and last:
            before = found[last]
            found[last] = Locked(before.name, before.version, before.marker, (*before.hashes, hashed[1]))
        elif (said := _LINE.match(text)) is not None:
            last = canonicalize_name(said["name"])
            found[last] = Locked(last, said["version"], said["marker"], ())
        else:
            raise ValueError(f"{path.name}:{number}: neither NAME==VERSION nor --hash=sha256:…: {text}")
    return found


def asked(*names: str, setup: Path = ROOT / "setup.py") -> list[str]:
    """The requirements that setup.py has in lists of these names, without running it."""
    tree = ast.parse(setup.read_text())
    lists = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.List)
    }
    return [each for name in names for each in lists[name]]


def problems(requirements: Iterable[str], locked: Mapping[str, Locked]) -> list[str]:
    """What is not as it should be: not locked, locked at a version that will not do, or without hashes."""
    found = [f"{each.name}: has no hashes" for each in locked.values() if not each.hashes]
    found += [said for text in requirements if (said := _lacks(Requirement(text), locked))]
    for each in locked.values():
        found += [f"{said}, which {each.name} needs" for said in _needs(each, locked)]
    return found


def _needs(each: Locked, locked: Mapping[str, Locked]) -> Iterator[str]:
    """What an installed distribution asks for and is not locked; nothing where another version is installed."""
    for requirement in requirementsOf(each):
        if said := _lacks(requirement, locked):
            yield said


def requirementsOf(each: Locked, extras: Collection[str] = ()) -> list[Requirement]:
    """What it needs on a machine like this, with these extras; nothing where that version is not installed."""
    try:
        there = metadata.distribution(each.name)
    except metadata.PackageNotFoundError:
        return []
    if there.version != each.version:
        return []
    wanted = map(Requirement, there.requires or ())
    return [one for one in wanted if one.marker is None or _applies(one.marker, extras)]


def _applies(marker: Marker, extras: Collection[str]) -> bool:
    return any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _lacks(requirement: Requirement, locked: Mapping[str, Locked]) -> str:
    there = locked.get(canonicalize_name(requirement.name))
    if there is None:
        return f"{requirement.name}: is not locked"
    if not requirement.specifier.contains(there.version, prereleases=True):
        return f"{requirement}: {there.version} is locked"
    return ""


def unneeded(requirements: Sequence[str], locked: Mapping[str, Locked]) -> list[str]:
    """What is locked and nothing asks for; nothing where not all of it is installed, so that it could not be told."""
    if not all(_isInstalled(each) for each in locked.values() if each.isHere):
        return []
    wanted, reached = [canonicalize_name(Requirement(text).name) for text in requirements], set()
    extras = {canonicalize_name(each.name): each.extras for each in map(Requirement, requirements)}
    while wanted:
        name = wanted.pop()
        if name in reached or name not in locked:
            continue
        reached.add(name)
        wanted += [canonicalize_name(each.name) for each in requirementsOf(locked[name], extras.get(name, ()))]
    return sorted(name for name, each in locked.items() if name not in reached and each.isHere)


def _isInstalled(each: Locked) -> bool:
    try:
        return metadata.version(each.name) == each.version
    except metadata.PackageNotFoundError:
        return False
