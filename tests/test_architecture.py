"""
The plan of the house, held: which package may import which, and no cycles.

Read from the source, so that imports inside functions and those for types alone count. ``python -m tests
tests.test_architecture`` prints the table as it stands.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent

ROOTS = "root"
"""The files directly in revproxy/: what plugin authors import."""

_ALL = ("*",)
_PLAN = ("plan", "config", "bundles", "root", "loop")
_WORKER = (*_PLAN, "loading", "isolation", "dataplane.*")
_HTTP = ("root", "loop", "dataplane.http")

MAY: dict[str, tuple[str, ...]] = {
    "loop": (),
    "root": ("loop",),
    "plugins": ("root",),
    "dataplane.net": ("root",),
    "dataplane.http": ("root",),
    "dataplane.http1": _HTTP,
    "dataplane.upstream": (*_HTTP, "dataplane.http1"),
    "dataplane.leaves": ("root", "dataplane.http", "dataplane.upstream", "dataplane"),
    "dataplane": ("root", "loop", "dataplane.net", "dataplane.http", "dataplane.http1", "dataplane.upstream"),
    "loading": ("bundles", "config", "root"),
    "isolation.lock": (),
    "isolation.process": ("isolation", "isolation.lock", "root", "loop"),
    "isolation.inside": ("isolation", "loading", "bundles", "config", "root", "loop"),
    "isolation": ("isolation.*", "config", "root", "loop"),
    "config": ("root", "dataplane.http.limits"),
    "bundles": ("config", "root"),
    "replay": ("root", "loop", "config.secretnames"),
    "plan": ("config", "bundles", "root"),
    "worker.lifecycle": (*_WORKER, "plugins"),
    "worker.guard": (*_WORKER, "worker.lifecycle"),
    "worker.rollout": (*_WORKER, "worker.lifecycle", "worker.guard", "replay"),
    "worker": (*_WORKER, "worker.lifecycle", "worker.guard", "worker.rollout", "replay"),
    "control.watch": _PLAN,
    "control.state": _PLAN,
    "control.planning": (*_PLAN, "control.state"),
    "control.traffic": _PLAN,
    "control.traces": _PLAN,
    "control.history": (*_PLAN, "control.state", "control.actor"),
    "control.trust": (*_PLAN, "control.state", "control.planning"),
    "control.alerts": (*_PLAN, "control.state", "control.traffic"),
    "control.rollout": (*_PLAN, "control.state", "control.planning", "replay"),
    "control": (
        *_PLAN, "control.*", "replay", "dataplane.net.eagerreactor", "proving.differencegroups", "proving.orders",
        "proving.proof", "proving.subjects",
    ),
    "admin.operations": ("admin", "admin.doctor", "control.*", *_PLAN),
    "admin.doctor": ("admin", "control.*", "isolation.lock", *_PLAN),
    "admin.metrics": ("admin", "control.*", *_PLAN, "dataplane.net.eagerreactor"),
    "admin": ("admin.*", "control.*", *_PLAN, "dataplane.net.eagerreactor"),
    "service": ("admin.*", "control.*", "worker.*", *_PLAN, "dataplane.*"),
    "proving": _ALL,
    "cli": _ALL,
    "demo": _ALL,
    "tap": _ALL,
    "testing": _ALL,
}
"""
What each package may import beside itself: packages, single modules, or ``package.*`` for one with all inside it.
``root`` stands for what plugin authors see; only ``host`` of it needs the loop.
"""

ONLY_HOST_WAITS = "revproxy.host"
"""The one root file that may import from ``loop``."""

IMPORTS_TREQ = "revproxy.dataplane.upstream.treqclient"
"""The one module that knows treq."""


def modules(folder: Path = ROOT / "revproxy") -> dict[str, Path]:
    """
    Dotted name and file of each module.
    """
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> Iterator[str]:
    """
    Absolute names of all that a file imports, wherever in it.
    """
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


@cache
def edges() -> dict[str, set[str]]:
    """
    By the name of each module of ours, the modules of ours that it imports.
    """
    known = modules()
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        there = found[name] = set()
        for wanted in imported(path):
            # Of a name in a module, the module.
            while wanted and wanted not in known:
                wanted = wanted.rpartition(".")[0]
            if wanted and wanted not in (name, "revproxy"):
                there.add(wanted)
    return found


def packageOf(name: str) -> str:
    """
    ``dataplane.http1`` of ``revproxy.dataplane.http1.server``; the module itself where the table names that.
    """
    rest = name.split(".")[1:]
    while rest and ".".join(rest) not in MAY:
        rest.pop()
    if rest:
        return ".".join(rest)
    top = name.split(".")[1:2]
    return ROOTS if not top or (ROOT / "revproxy" / f"{top[0]}.py").exists() else top[0]


def isAllowed(name: str, wanted: str) -> bool:
    """
    Whether one module may import another.
    """
    own, there = packageOf(name), packageOf(wanted)
    if there == own or (own == there.rpartition(".")[0] and wanted.endswith("__init__")):
        return True
    for rule in MAY.get(own, ()):
        if rule in ("*", there, wanted.removeprefix("revproxy.")):
            return (there != "plugins" or own in ("worker.lifecycle", "plugins", "cli", "demo")) and (
                own != ROOTS or there != "loop" or name == ONLY_HOST_WAITS
            )
        if rule.endswith(".*") and (there + ".").startswith(rule[:-1]):
            return True
    return False


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """
    Modules that import each other, directly or not: the strongly connected ones (Tarjan), by name.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for there in sorted(graph.get(name, ())):
            if there not in index:
                visit(there)
                low[name] = min(low[name], low[there])
            elif there in stack:
                low[name] = min(low[name], index[there])
        if low[name] == index[name]:
            at = stack.index(name)
            group = sorted(stack[at:])
            del stack[at:]
            if len(group) > 1:
                found.append(group)

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return sorted(found)


def table() -> str:
    """
    Each package with what it imports today.
    """
    now: dict[str, set[str]] = {}
    for name, wanted in edges().items():
        own = packageOf(name)
        now.setdefault(own, set()).update({packageOf(one) for one in wanted} - {own})
    lines = [f"{name:20} {', '.join(sorted(now[name])) or 'nothing of ours'}" for name in MAY if name in now]
    return "\n".join(["", "package              imports", *lines])


class ImportTests(SynchronousTestCase):
    """
    Who imports whom.
    """

    def test_table(self) -> None:
        """
        Every import is one that the table allows.
        """
        print(table(), file=sys.stderr)
        wrong = [
            f"{name} imports {wanted}: {packageOf(name)} may not import {packageOf(wanted)}"
            for name, all in edges().items()
            for wanted in sorted(all)
            if not isAllowed(name, wanted)
        ]
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def test_noCycles(self) -> None:
        """
        No module imports, by whatever way, one that imports it.
        """
        found = cycles(edges())
        self.assertEqual(found, [], "\n" + "\n".join(" ↔ ".join(group) for group in found))

    def test_everyPackageHasItsPlace(self) -> None:
        """
        No package of ours is missing in the table.
        """
        packages = {str(path.parent.relative_to(ROOT / "revproxy")) for path in (ROOT / "revproxy").rglob("*.py")}
        names = {name.replace("/", ".") for name in packages} - {"."}
        self.assertEqual(names - MAY.keys(), set())

    def test_directoryPlugins(self) -> None:
        """
        Plugins in folders use only what every author may use.
        """
        for path in sorted((ROOT / "plugins").rglob("*.py")):
            for name in imported(path):
                isOurs = name.split(".")[0] == "revproxy"
                self.assertTrue(not isOurs or packageOf(name) == ROOTS, f"{path} imports {name}")

    def test_treq(self) -> None:
        """
        One module of the data plane knows treq.
        """
        for name, path in modules().items():
            if name != IMPORTS_TREQ and name.startswith("revproxy.dataplane"):
                self.assertNotIn("treq", {wanted.split(".")[0] for wanted in imported(path)}, str(path))


class RuleTests(SynchronousTestCase):
    """
    The rules themselves can fail.
    """

    def test_neverEachOther(self) -> None:
        """
        Whatever the table becomes: deciding and doing do not import each other.
        """
        for one, other in (("control", "worker"), ("worker", "control")):
            for inner in ("", ".watch", ".guard", ".lifecycle", ".planning", ".state"):
                name, wanted = f"revproxy.{one}.x", f"revproxy.{other}{inner}.y"
                self.assertFalse(isAllowed(name, wanted), f"{name} → {wanted}")

    def test_cyclesAreFound(self) -> None:
        """
        Two that import each other by way of a third.
        """
        self.assertEqual(cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}), [["a", "b", "c"]])

    def test_whatIsNotAllowed(self) -> None:
        """
        A root file may not import the data plane, and of the root only the host waits.
        """
        self.assertFalse(isAllowed("revproxy.context", "revproxy.dataplane.chain"))
        self.assertFalse(isAllowed("revproxy.body", "revproxy.loop.deadlines"))
        self.assertTrue(isAllowed("revproxy.host", "revproxy.loop.deadlines"))
        self.assertFalse(isAllowed("revproxy.config.settings", "revproxy.dataplane.http.errorpage"))
