"""
Why a plugin cannot have machine code among its files.

The interpreter loads such a module from a file, and not from the bytes that were read and checked; it can be loaded
once in a process, so two versions of a plugin could not have one each; and it is never unloaded. So it belongs to the
edge's environment, where it is the same for all plugins.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from revproxy.config.problems import Problem

_NATIVE = re.compile(r".*\.(?:so|pyd|dylib|dll)(?:\.[0-9.]+)?")

VENDOR = "vendor/"
"""Where a plugin has libraries of its own."""


def isNative(path: str) -> bool:
    """Whether a file is machine code, by its name."""
    return _NATIVE.fullmatch(path.rpartition("/")[2]) is not None


def nativeProblems(directory: Path, paths: Iterable[str]) -> Iterator[Problem]:
    """A problem for each file that is machine code.

    :param directory: what messages call the plugin's folder.
    :param paths: of its files, below it.
    """
    for path in paths:
        if isNative(path):
            yield Problem(str(directory / path), 0, 0, "", f"{_WHY}; {_wayOut(path)}")


_WHY = ("is machine code, which cannot be loaded from the bytes that were checked, nor be unloaded, nor be there twice "
        "for two versions")


def _wayOut(path: str) -> str:
    install = "install the library where the edge runs and name it under dependencies in plugin.json"
    if not path.startswith(VENDOR):
        return install
    name = path.split("/")[1].partition(".")[0]
    return (f"if {name} works without it, put the line {path} into .pluginignore; if not, take {name} out of vendor/, "
            f"{install} ({sys.executable} -m pip install …)")
