"""
What is in the memory of a locked process before it is locked, and how little of it.

Once it is locked, it can open no file. Modules that are written in C have to be loaded by then (`COMPILED`), and those
that nearly every plugin uses may as well be (`COMMON`): they are there once for all processes. Everything else is
mapped, and imported when somebody wants it (`latemodules`).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.machinery import PathFinder
from typing import Final

from revproxy.isolation.inside.latemodules import LateModules, filesBelow
from revproxy.isolation.inside.lightmodules import makeWay

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
        "distutils",
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
        "unittest",
        "usercustomize",
        "venv",
        "wsgiref",
        "xmlrpc",
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
        "twisted.application",
        "twisted.conch",
        "twisted.enterprise",
        "twisted.mail",
        "twisted.names",
        "twisted.news",
        "twisted.pair",
        "twisted.plugins",
        "twisted.positioning",
        "twisted.runner",
        "twisted.scripts",
        "twisted.spread",
        "twisted.tap",
        "twisted.trial",
        "twisted.words",
    )
)
"""Of the standard library, of Twisted and of the edge: what no plugin in a locked process has any use for."""

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
    makeWay()
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
