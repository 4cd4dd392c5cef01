"""
What is in the memory of a locked process before it is locked, and how little of it.

Once it is locked, it can open no file. Modules that are written in C have to be loaded by then (`COMPILED`), and those
that nearly every plugin uses may as well be (`COMMON`): they are there once for all processes. Everything else is
mapped, and imported when somebody wants it (`latemodules`).

Twisted imports more than it needs: all of asyncio for three names, and what browsers do with cookies for none. As long
as nobody asks for more, `lighten` has it make do with the three: that is 8 MB of 30.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any, Final

from revproxy.isolation.inside.latemodules import LateModules, filesBelow

COMPILED: Final = (
    "_bisect",
    "_blake2",
    "_contextvars",
    "_csv",
    "_datetime",
    "_decimal",
    "_elementtree",
    "_hashlib",
    "_heapq",
    "_json",
    "_md5",
    "_opcode",
    "_pickle",
    "_posixsubprocess",
    "_queue",
    "_random",
    "_sha1",
    "_sha256",
    "_sha3",
    "_sha512",
    "_socket",
    "_statistics",
    "_struct",
    "_uuid",
    "array",
    "binascii",
    "cmath",
    "fcntl",
    "grp",
    "math",
    "pyexpat",
    "select",
    "unicodedata",
    "zlib",
)
"""Of the standard library, written in C. Not every Python has each as a module of its own."""

COMMON: Final = (
    "base64",
    "collections.abc",
    "contextlib",
    "dataclasses",
    "datetime",
    "encodings.ascii",
    "encodings.latin_1",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "inspect",
    "json",
    "logging",
    "random",
    "re",
    "secrets",
    "time",
    "typing",
    "urllib.parse",
    "zope.interface",
    "twisted.internet.defer",
    "twisted.internet.task",
    "twisted.logger",
    "revproxy.addresses",
    "revproxy.body",
    "revproxy.context",
    "revproxy.cookies",
    "revproxy.durations",
    "revproxy.errors",
    "revproxy.headers",
    "revproxy.interfaces",
    "revproxy.paths",
    "revproxy.permissions",
)
"""What plugins import."""

MAPPED: Final = (
    "attr",
    "attrs",
    "automat",
    "constantly",
    "hyperlink",
    "idna",
    "incremental",
    "multipart",
    "packaging",
    "pathspec",
    "revproxy",
    "treq",
    "twisted",
    "typing_extensions",
    "zope",
)
"""Distributions of the edge's environment whose modules plugins, or we, may import late."""

WITHOUT: Final = frozenset(
    (
        "antigravity",
        "curses",
        "dbm",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "msilib",
        "multiprocessing",
        "pydoc_data",
        "site",
        "sitecustomize",
        "sqlite3",
        "this",
        "tkinter",
        "turtle",
        "turtledemo",
        "usercustomize",
        "venv",
        "revproxy.admin",
        "revproxy.cli",
        "revproxy.control",
        "revproxy.dataplane",
        "revproxy.demo",
        "revproxy.isolation",
        "revproxy.plan",
        "revproxy.service",
        "revproxy.tap",
        "revproxy.worker",
        "twisted.conch",
        "twisted.mail",
        "twisted.names",
        "twisted.news",
        "twisted.pair",
        "twisted.scripts",
        "twisted.spread",
        "twisted.trial",
        "twisted.words",
    )
)
"""Of the standard library, of Twisted and of the edge: what no plugin in a locked process has any use for."""

_ASYNCIO: Final = {"AbstractEventLoop": "", "CancelledError": "exceptions", "Future": "", "iscoroutine": "coroutines"}
"""
Names of asyncio that Twisted and we ask for, and the modules that have them; empty: it is asked for in annotations.
"""


_LATER: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "attr.validators": {},
    "html.entities": {"html5": (__name__, "LATER_ENTITIES")},
    "http.cookiejar": {},
    "tempfile": {},
    "twisted.internet.base": {"DelayedCall": ("revproxy.isolation.inside.timer", "Timer")},
}
"""
Modules that others import, and hardly ever ask for anything: with what they are asked for, and where that is found.
"""


class _LaterEntities(dict[str, str]):
    """The two thousand names of characters in HTML, which `html.unescape` looks for."""

    def _fill(self) -> None:
        if not self:
            self.update(importlib.import_module("html.entities").html5)

    def __contains__(self, name: object) -> bool:
        self._fill()
        return super().__contains__(name)

    def __missing__(self, name: str) -> str:
        self._fill()
        return self.get(name) or super().__getitem__(name)


LATER_ENTITIES: Final = _LaterEntities()


class _LightPackage(ModuleType):
    """
    A package of which single names are known; its ``__init__`` runs when somebody asks for another.
    """

    def __init__(self, name: str, known: dict[str, str]) -> None:
        """
        :param known: by name, the module of the package that has it; empty: anything will do.
        """
        super().__init__(name)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        self.__dict__.update(
            __path__=list(spec.submodule_search_locations or ()), __package__=name, __spec__=spec, _known=known
        )

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        known = own.get("_known")
        if name.startswith("__") or known is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if name in known:
            if not known[name]:
                return object
            own[name] = getattr(importlib.import_module(f"{self.__name__}.{known[name]}"), name)
        elif importlib.util.find_spec(f"{self.__name__}.{name}") is not None:
            importlib.import_module(f"{self.__name__}.{name}")
        else:
            del own["_known"]
            _run(self)
        return getattr(self, name)


class _LaterModule(ModuleType):
    """A module that is imported when somebody asks it for something that is not known."""

    def __init__(self, name: str, known: dict[str, tuple[str, str]]) -> None:
        """
        :param known: by name, the module that has it, and what it is called there.
        """
        super().__init__(name)
        self.__dict__["_known"] = known

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if name in self.__dict__["_known"]:
            module, attribute = self.__dict__["_known"][name]
            return getattr(importlib.import_module(module), attribute)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _run(package: ModuleType) -> None:
    """Its ``__init__``, as it would have run at its import."""
    for finder in sys.meta_path:
        spec = finder.find_spec(package.__name__, None)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module(package)
            return


def lighten() -> bool:
    """
    Before anything of Twisted is imported: have it make do with less. Else nothing is done.

    :returns: whether it was in time.
    """
    if "twisted" in sys.modules or "asyncio" in sys.modules:
        return False
    sys.modules["asyncio"] = _LightPackage("asyncio", _ASYNCIO)
    for name, known in _LATER.items():
        sys.modules[name] = _LaterModule(name, known)
    return True


def importAhead() -> None:
    """What plugins cannot import late, and what most of them do."""
    for name in COMPILED:
        with suppress(ImportError):  # it is part of another, in this Python
            importlib.import_module(name)
    for name in COMMON:
        importlib.import_module(name)


def mapLate() -> LateModules:
    """
    Map what may be imported late, and have it found from now on.

    :returns: what finds it, which is in ``sys.meta_path``.
    """
    for name in _LATER:
        if isinstance(sys.modules.get(name), _LaterModule):
            del sys.modules[name]
    late = LateModules()
    library = os.path.dirname(os.__file__)
    late.add(filesBelow(library, "", WITHOUT | {"site-packages", "dist-packages", "asyncio"}))
    late.add([("asyncio", f"{library}/asyncio/__init__.py", True)], isKnown=False)
    late.add(filesBelow(f"{library}/asyncio", "asyncio.", WITHOUT))
    for name in MAPPED:
        late.add(_filesOf(name))
    place = next((at for at, each in enumerate(sys.meta_path) if each is PathFinder), len(sys.meta_path))
    sys.meta_path.insert(place, late)
    return late


def _filesOf(name: str) -> Iterable[tuple[str, str, bool]]:
    """Of one distribution's package or module."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    for folder in spec.submodule_search_locations or ():
        yield from filesBelow(folder, f"{name}.", WITHOUT)
    if not spec.submodule_search_locations and spec.origin is not None:
        yield name, spec.origin, False
