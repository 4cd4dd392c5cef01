"""
The API reference has every file that plugin authors import, and what pages refer to is there.
"""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.interface import InterfaceClass

ROOT = Path(__file__).parents[2]
API = ROOT / "docs" / "api"

NOT_FOR_PLUGINS = {"__init__", "bookedclient", "tap"}
"""What is no part of it; `bookedclient` is an old name of `hostclient`."""


def resolved(name: str) -> Any:
    """
    What a dotted name leads to. :raises AttributeError: if there is no such thing.
    """
    module, _, rest = name.partition(".")
    found: Any = import_module(module)
    for part in filter(None, rest.split(".")):
        if isinstance(found, InterfaceClass):
            found = found[part]
        elif hasattr(found, part):
            found = getattr(found, part)
        else:
            found = import_module(f"{found.__name__}.{part}")
    return found


class PagesTests(SynchronousTestCase):
    """
    The pages of docs/api.
    """

    def setUp(self) -> None:
        self.pages = {path.stem: path.read_text(encoding="utf-8") for path in API.glob("*.md")}

    def test_everyRootFile(self) -> None:
        """
        Each file directly in revproxy/ is on one page, and named on the first one.
        """
        files = {path.stem for path in (ROOT / "revproxy").glob("*.py")} - NOT_FOR_PLUGINS
        shown = [name for text in self.pages.values() for name in re.findall(r"automodule:: revproxy\.(\w+)", text)]
        self.assertEqual(sorted(shown), sorted(files))
        named = set(re.findall(r"`revproxy\.(\w+)`", self.pages["index"]))
        self.assertEqual(named, files)

    def test_interfaces(self) -> None:
        """
        Where a file defines interfaces, which autodoc does not know, its page asks for them.
        """
        for path in (ROOT / "revproxy").glob("*.py"):
            module = import_module(f"revproxy.{path.stem}") if path.stem not in NOT_FOR_PLUGINS else None
            classes = [node.name for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.ClassDef)]
            if any(isinstance(getattr(module, name, None), InterfaceClass) for name in classes):
                self.assertTrue(any(f"autointerfaces:: revproxy.{path.stem}\n" in text for text in self.pages.values()))

    def test_references(self) -> None:
        """
        What any page names by a role of Python's is there.
        """
        count = 0
        for path in (ROOT / "docs").rglob("*.md"):
            for name in re.findall(r"\{py:\w+\}`~?([\w.]+)`", path.read_text(encoding="utf-8")):
                self.assertIsNotNone(resolved(name), f"{path}: {name}")
                count += 1
        self.assertGreater(count, 10)
