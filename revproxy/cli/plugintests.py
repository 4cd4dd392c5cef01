"""
``revproxy test-plugin``: whether the edge would take a folder, and what the plugin's own tests say.

Both in processes of their own: the plugin's code may hang, end its process, or leave threads.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from revproxy.loop.parentdeath import endWith

PROBE_TIMEOUT = 30.0
"""Seconds that loading may take, Python's own start included."""

_SKIPPED = frozenset(("__pycache__", "vendor", "node_modules"))


class TestsFailed(Exception):
    """The edge would not take the plugin, or its tests did not pass; the text says why."""


def probed(folder: Path) -> dict[str, str]:
    """
    What `revproxy.cli.pluginprobe` finds.

    :raises TestsFailed: the edge would not take the plugin.
    """
    reading, writing = os.pipe()
    try:
        command = [sys.executable, "-m", "revproxy.cli.pluginprobe", str(folder), str(writing)]
        probe = subprocess.Popen(command, pass_fds=(writing,), start_new_session=True)
    finally:
        os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        try:
            probe.wait(PROBE_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise TestsFailed(f"loading it did not end within {PROBE_TIMEOUT:g} s") from None
        finally:
            _end(probe)
        line = pipe.readline()
    if not line:
        raise TestsFailed(f"loading it ended the process {_how(probe.returncode)}")
    found: dict[str, str] = json.loads(line)
    if "refused" in found:
        raise TestsFailed(found["refused"])
    return found


def _how(status: int) -> str:
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"


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


def run(folder: Path, files: Sequence[Path], timeout: float, isApart: bool = True) -> None:
    """
    Run the tests, and show what they print.

    :param timeout: seconds for all.
    :param isApart: whether they have a group of processes of their own; else whoever ends that of this one ends them,
        and they end with this one.
    :raises TestsFailed:
    """
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory(prefix="revproxy-tests-") as scratch:
        command = [sys.executable, *_runner(files, Path(scratch)), *map(str, files)]
        tests = subprocess.Popen(
            command, cwd=folder, env=environment, start_new_session=isApart,
            preexec_fn=None if isApart else partial(endWith, os.getpid()),
        )  # fmt: skip
        try:
            status = tests.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TestsFailed(f"the tests did not end within {timeout:g} s (--timeout)") from None
        finally:
            if isApart:
                _end(tests)
            else:
                tests.kill()
                tests.wait()
    if status:
        raise TestsFailed("the tests did not pass" if status == 1 else f"the tests ended {_how(status)}")


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

