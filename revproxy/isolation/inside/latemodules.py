"""
Modules that are imported after the lock, when no file can be opened any more.

Before it, the files of the standard library and of a few distributions are mapped into memory. That takes room for
their names only: of a mapped file, what nobody reads is nowhere. After the lock, what a plugin imports late is found in
there. So nothing has to be imported beforehand only because some plugin may want it; but for modules that are not
Python (`preimports`), which cannot be loaded late at all.
"""

from __future__ import annotations

import ctypes
import importlib.util
import marshal
import mmap
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any, Final, cast

_HEADER: Final = 16
"""Bytes of a .pyc before its code (PEP 552)."""

_FAILED: Final = ctypes.c_void_p(-1).value
_READ_ONLY: Final = 0x100
"""``PyBUF_READ``."""


class LateModule:
    """
    One file.

    :ivar path: of its source.
    """

    __slots__ = ("_content", "_isCompiled", "isPackage", "path")

    def __init__(self, path: str, isPackage: bool, content: memoryview, isCompiled: bool) -> None:
        self.path = path
        self.isPackage = isPackage
        self._content = content
        self._isCompiled = isCompiled

    def code(self) -> CodeType:
        """What is to run."""
        if self._isCompiled:
            code = marshal.loads(self._content[_HEADER:])
            assert isinstance(code, CodeType)
            return code
        return compile(bytes(self._content), self.path, "exec", dont_inherit=True)


def mapped(path: str, isPackage: bool) -> LateModule | None:
    """
    A file of Python: what Python itself has compiled of it, if that is of this very file, else its source.

    :returns: None if it is not there, or empty.
    """
    try:
        compiled = _mapOf(importlib.util.cache_from_source(path), _headOf(os.stat(path)))
        content = _mapOf(path) if compiled is None else compiled
    except OSError:
        return None
    return None if content is None else LateModule(path, isPackage, content, compiled is not None)


def _headOf(source: os.stat_result) -> bytes:
    """What a .pyc begins with that is of this file."""
    marks = (source.st_mtime_ns // 1_000_000_000, source.st_size)
    numbers = b"".join((mark % (1 << 32)).to_bytes(4, "little") for mark in marks)
    return importlib.util.MAGIC_NUMBER + b"\0\0\0\0" + numbers


def _mapOf(path: str, head: bytes = b"") -> memoryview | None:
    """
    :param head: what the file has to begin with. It is read: to look into what is mapped would take memory.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        size = os.fstat(descriptor).st_size
        return _viewOf(descriptor, size) if size and os.pread(descriptor, len(head), 0) == head else None
    finally:
        os.close(descriptor)


def _viewOf(descriptor: int, size: int) -> memoryview:
    """
    What is mapped for good. Not by Python's own mmap: that keeps a descriptor for each file (until 3.13, always), and
    for hundreds of files there are not that many everywhere.

    :raises OSError: there is no room.
    """
    address = _map()(None, size, mmap.PROT_READ, mmap.MAP_PRIVATE, descriptor, 0)
    if address == _FAILED:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    view = ctypes.pythonapi.PyMemoryView_FromMemory
    view.argtypes, view.restype = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int), ctypes.py_object
    return cast(memoryview, view(address, size, _READ_ONLY))


@cache
def _map() -> Any:
    call = ctypes.CDLL(None, use_errno=True).mmap
    call.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
    call.restype = ctypes.c_void_p
    return call


def filesBelow(folder: str, prefix: str, without: frozenset[str]) -> Iterator[tuple[str, str, bool]]:
    """
    Modules in a folder and in all below it: name, path, and whether it is a package.

    :param prefix: of their names: of a package, with a dot.
    :param without: names of those that are passed over, with all in them.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        stem, extension = os.path.splitext(entry.name)
        name = prefix + stem
        if name in without or "." in stem or stem in ("test", "tests", "__pycache__"):
            continue
        if extension == ".py":
            if stem == "__init__":
                if prefix:
                    yield prefix[:-1], entry.path, True
            else:
                yield name, entry.path, False
        elif not extension and os.path.exists(f"{entry.path}/__init__.py"):
            yield from filesBelow(entry.path, f"{name}.", without)


class _Loader:
    # Without importlib.abc's bases, which import more than this is to save.

    def __init__(self, module: LateModule) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._module.code(), module.__dict__)

    def get_code(self, fullname: str) -> CodeType:
        return self._module.code()

    def get_source(self, fullname: str) -> None:
        return None

    def is_package(self, fullname: str) -> bool:
        return self._module.isPackage


class LateModules:
    """
    Finds them.

    :ivar modules: by name.
    """

    def __init__(self) -> None:
        self.modules: dict[str, LateModule] = {}

    def add(self, files: Iterable[tuple[str, str, bool]], isKnown: bool = True) -> None:
        """
        Map files.

        :param files: as `filesBelow` gives them.
        :param isKnown: whether those of modules that are imported already are left out.
        """
        for name, path, isPackage in files:
            if name not in self.modules and not (isKnown and name in sys.modules):
                module = mapped(path, isPackage)
                if module is not None:
                    self.modules[name] = module

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As `importlib.abc.MetaPathFinder.find_spec`."""
        module = self.modules.get(fullname)
        if module is None:
            return None
        spec = ModuleSpec(fullname, cast(Any, _Loader(module)), origin=module.path, is_package=module.isPackage)
        spec.has_location = True
        if module.isPackage and spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(os.path.dirname(module.path))
        return spec
