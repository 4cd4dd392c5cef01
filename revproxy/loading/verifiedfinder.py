"""
What is installed with Python, imported from bytes that were compared with its distribution.

The interpreter would read the files once more, and might read others: whoever can write there has until then; and
bytecode in ``__pycache__`` need not be of the source beside it. So the source comes from memory, and bytecode is not
looked at. In packages that are the distribution's alone, what it does not have is not there. Machine code is loaded by
the operating system from its file, which was compared a moment before.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import CodeType, ModuleType


class _Loader(importlib.abc.InspectLoader):
    """Runs one file."""

    def __init__(self, path: Path, content: bytes, isPackage: bool) -> None:
        self._path = path
        self._content = content
        self._isPackage = isPackage

    def get_source(self, fullname: str) -> str:
        """See `importlib.abc.InspectLoader`."""
        return importlib.util.decode_source(self._content)

    def get_code(self, fullname: str) -> CodeType:
        """See `importlib.abc.InspectLoader`."""
        return compile(self._content, str(self._path), "exec", dont_inherit=True)

    def is_package(self, fullname: str) -> bool:
        """See `importlib.abc.InspectLoader`."""
        return self._isPackage

    def get_filename(self, fullname: str) -> str:
        """For `inspect` and `pkgutil`."""
        return str(self._path)


class VerifiedFinder(importlib.abc.MetaPathFinder):
    """
    Finds the modules of distributions that were compared, and nothing else.
    """

    def __init__(self) -> None:
        self._modules: dict[str, tuple[Path, bytes, bool]] = {}
        self._packages: set[str] = set()
        self._extensions: set[str] = set()

    def add(self, folder: Path, files: Mapping[str, bytes], packages: Collection[str]) -> None:
        """
        Serve these files.

        :param folder: that they are in.
        :param files: path below it, with ``/``, to content.
        :param packages: dotted names of those in which nothing else is.
        :raises ImportError: one of their modules is imported already: not from these bytes.
        """
        found = {name: (folder / path, content, isPackage)
                 for path, content in files.items() for name, isPackage in _named(path)}  # fmt: skip
        early = sorted(name for name in found if name in sys.modules)
        if early:
            raise ImportError(f"{early[0]} was imported before it could be compared with its distribution")
        self._modules.update(found)
        self._packages.update(packages)
        self._extensions.update(_extension(path) for path in files)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """
        See `importlib.abc.MetaPathFinder`.

        :raises ModuleNotFoundError: it is in a package that is the distribution's alone, which does not have it.
        """
        known = self._modules.get(fullname)
        if known is None:
            if fullname.rpartition(".")[0] in self._packages and fullname not in self._extensions:
                raise ModuleNotFoundError(f"{fullname} is none of the files that were installed", name=fullname)
            return None
        place, content, isPackage = known
        loader = _Loader(place, content, isPackage)
        spec = importlib.machinery.ModuleSpec(fullname, loader, origin=str(place), is_package=isPackage)
        spec.has_location = True
        if isPackage:
            spec.submodule_search_locations = [str(place.parent)]
        return spec


def _named(path: str) -> list[tuple[str, bool]]:
    """The dotted name of a module's file, and whether that is a package."""
    if not path.endswith(".py"):
        return []
    parts = path.removesuffix(".py").split("/")
    isPackage = parts[-1] == "__init__"
    return [(".".join(parts[:-1] if isPackage else parts), isPackage)]


def _extension(path: str) -> str:
    """The dotted name of machine code; empty: it is none."""
    suffix = max((each for each in EXTENSION_SUFFIXES if path.endswith(each)), key=len, default="")
    return path.removesuffix(suffix).replace("/", ".") if suffix else ""


FINDER = VerifiedFinder()
"""That of the process."""


def serve(folder: Path, files: Mapping[str, bytes], packages: Collection[str]) -> None:
    """As `VerifiedFinder.add`, before all other finders. :raises ImportError:"""
    FINDER.add(folder, files, packages)
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)


__all__ = ["FINDER", "VerifiedFinder", "serve"]
