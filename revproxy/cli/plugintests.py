"""
``revproxy test-plugin``: whether the edge would take a folder, and what the plugin's own tests say.

The tests run in a process of their own: they may hang, end the process, or leave threads.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from revproxy.cli.loadedplugin import LoadedPlugin, PluginRefused, loadPlugin
from revproxy.config.manifest import checkConfig, effectiveConfig
from revproxy.worker.guard.timelimit import noLongerThan

HOLD = 5.0
"""Seconds that the import, or the making of an instance, may take."""

_SKIPPED = frozenset(("__pycache__", "vendor", "node_modules"))


class TestsFailed(Exception):
    """The tests did not pass; the text says how they ended."""


def loaded(folder: Path) -> LoadedPlugin:
    """
    The plugin, loaded and made once with its own configuration.

    :raises PluginRefused: the edge would not take it.
    """
    with noLongerThan(HOLD):
        plugin = loadPlugin(folder)
    if not missing(plugin):
        with noLongerThan(HOLD):
            plugin.make()
    return plugin


def missing(plugin: LoadedPlugin) -> str:
    """What of its configuration revproxy.yaml has to say; nothing if the plugin's own is enough."""
    problems = checkConfig(plugin.manifest, effectiveConfig(plugin.manifest))
    return "; ".join(problem.message for problem in problems)


def testFiles(folder: Path) -> list[Path]:
    """``test_*.py`` and ``*_test.py``, in order, wherever they are in the folder."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        found += [
            Path(place, name)
            for name in sorted(files)
            if name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))
        ]
    return found


def run(folder: Path, files: Sequence[Path], timeout: float) -> None:
    """
    Run the tests, and show what they print.

    :param timeout: seconds for all.
    :raises TestsFailed:
    """
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory(prefix="revproxy-tests-") as scratch:
        command = [sys.executable, *_runner(files, Path(scratch)), *map(str, files)]
        tests = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)
        try:
            status = tests.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TestsFailed(f"the tests did not end within {timeout:g} s (--timeout)") from None
        finally:
            _end(tests)
    if status < 0:
        raise TestsFailed(f"the tests ended by {signal.Signals(-status).name}")
    if status:
        raise TestsFailed("the tests did not pass")


def _end(tests: subprocess.Popen[bytes]) -> None:
    """Whatever they have begun ends with them."""
    try:
        os.killpg(tests.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    tests.wait()


def _runner(files: Sequence[Path], scratch: Path) -> list[str]:
    """
    trial, or pytest if there are tests that only it finds.

    :raises TestsFailed: these are there, and pytest is not.
    """
    forPytest = [path for path in files if any(_functions(path))]
    if not forPytest:
        return ["-m", "twisted.trial", "--temp-directory", str(scratch / "trial")]
    if find_spec("pytest") is None:
        name = next(_functions(forPytest[0]))
        raise TestsFailed(
            f"{forPytest[0]}: the function {name} is a test for pytest, which is not installed: "
            f"{sys.executable} -m pip install pytest, or write a TestCase"
        )
    return ["-m", "pytest", "-q", "-p", "no:cacheprovider"]


def _functions(path: Path) -> Iterator[str]:
    """Tests at the top level of a module."""
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (OSError, SyntaxError, ValueError):
        return  # whoever runs it says so
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
            yield node.name


__all__ = ["PluginRefused", "TestsFailed", "loaded", "missing", "run", "testFiles"]
