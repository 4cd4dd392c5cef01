"""
Imports point one way: from what runs things down to what plugin authors see.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
ORDER = ("root", "dataplane", "isolation", "control", "admin", "top")
ABOVE = {"plugins": "root", "tap": "top", "cli": "top", "demo": "top"}
"Where things stand whose room is not named after them. Built-in plugins get no more than anybody's plugins."


def imported(path: Path) -> Iterator[str]:
    """
    Absolute names of all modules that a file imports, wherever in it.
    """
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rank(parts: tuple[str, ...]) -> int:
    """
    How far from the root files ``("revproxy", "dataplane", "chain")`` stands.
    """
    room = parts[1] if len(parts) > 1 else "root"
    return ORDER.index(ABOVE.get(room, room if room in ORDER else "root"))


class ImportDirectionTests(SynchronousTestCase):
    """
    Read from the source, so that imports inside functions count.
    """

    def test_oneWay(self) -> None:
        """
        No module of ours imports from a room above its own, nor a built-in plugin.
        """
        for path in sorted((ROOT / "revproxy").rglob("*.py")):
            own = path.relative_to(ROOT).with_suffix("").parts
            for name in imported(path):
                there = tuple(name.split("."))
                if there[0] == "revproxy":
                    self.assertLessEqual(rank(there), rank(own), f"{path} imports {name}")
                    builtIn = there[1:2] == ("plugins",) and len(there) > 2
                    self.assertTrue(not builtIn or own[1] == "plugins", f"{path} imports {name}")

    def test_directoryPlugins(self) -> None:
        """
        Plugins in folders use only what every author may use.
        """
        for path in sorted((ROOT / "plugins").rglob("*.py")):
            for name in imported(path):
                there = tuple(name.split("."))
                self.assertTrue(there[0] != "revproxy" or rank(there) == 0, f"{path} imports {name}")

    def test_treq(self) -> None:
        """
        One module of the data plane knows treq.
        """
        for path in sorted((ROOT / "revproxy" / "dataplane").rglob("*.py")):
            if path.name != "client.py":
                self.assertNotIn("treq", {name.split(".")[0] for name in imported(path)}, str(path))
