"""
What the tests say that came with a version, in a process that is locked: files, sockets, threads and other processes
are out of their reach, as they are out of the plugin's.

Nothing is read from a folder: ``loadPlugin(Path(__file__).parent)`` is given the bytes that the process was sent, and
tests import each other from there. Tests are test cases, of trial or of unittest, and functions without arguments.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import inspect
import linecache
import sys
import unittest
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from twisted.internet import reactor
from twisted.trial.reporter import VerboseTextReporter
from twisted.trial.runner import TestLoader

from revproxy.cli.loadedplugin import give
from revproxy.proving.orders import Order, Report
from revproxy.proving.proof import isTest


class _Refused(Exception):
    """Tests that cannot be run here; the text says why."""


def passesInMemory(order: Order) -> Report:
    """Run them, and print what comes of it."""
    _keepLoopLocked()
    subject = order.candidate
    folder = Path(subject.directory)
    give(folder, subject.bundle())
    files = {path: content for path, content in subject.tests.items() if path.endswith(".py")}
    sys.meta_path.insert(0, _Tests(folder, files))
    suite = unittest.TestSuite()
    try:
        for path in sorted(files):
            if isTest(path):
                suite.addTests(_testsIn(_nameOf(path), folder / path))
    except _Refused as refused:
        return Report((str(refused),))
    except BaseException as error:  # foreign code
        import traceback

        traceback.print_exc()
        return Report((f"the tests cannot be imported: {type(error).__name__}: {error}",))
    result: Any = VerboseTextReporter(sys.stdout)
    suite.run(result)
    result.done()
    sys.stdout.flush()
    problem = () if result.wasSuccessful() else ("the tests did not pass",)
    return Report(problem, tests=result.testsRun)


def _testsIn(name: str, file: Path) -> Iterator[Any]:
    module = importlib.import_module(name)
    yield TestLoader().loadModule(module)
    for label, found in sorted(vars(module).items()):
        if label.startswith("test") and inspect.isfunction(found) and found.__module__ == name:
            if inspect.signature(found).parameters or inspect.iscoroutinefunction(found):
                raise _Refused(f"{file}: {label} is a test that only pytest can run, which a locked process has not: "
                               "write a TestCase, or a function without arguments")  # fmt: skip
            yield unittest.FunctionTestCase(found)


def _nameOf(path: str) -> str:
    return ".".join(PurePosixPath(path).with_suffix("").parts)


class _Tests(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """
    Finds tests by their path below the folder, ``tests.test_plugin``, and by their name alone, as trial does.
    """

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._files = files
        self._byName: dict[str, str] = {}
        for path in sorted(files):
            self._byName.setdefault(PurePosixPath(path).stem, path)
        for path in files:
            self._byName[_nameOf(path)] = path
            for parent in PurePosixPath(path).parents:
                if parent.name:
                    self._byName.setdefault(".".join(parent.parts), f"{parent}/__init__.py")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._byName.get(fullname)
        if file is None:
            return None
        isPackage = file.endswith("/__init__.py")
        return importlib.util.spec_from_loader(fullname, self, origin=str(self._folder / file), is_package=isPackage)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        file = self._byName[module.__name__]
        module.__file__ = str(self._folder / file)
        source = self._files.get(file, b"")
        # Tracebacks show its lines, though nobody can open it.
        text = source.decode("utf-8", "replace")
        linecache.cache[module.__file__] = len(text), None, text.splitlines(True), module.__file__
        exec(compile(source, module.__file__, "exec", dont_inherit=True), module.__dict__)


def _keepLoopLocked() -> None:
    """Trial runs the loop for tests that wait; with handlers of signals it would open what cannot be opened here."""
    loop: Any = reactor
    run = type(loop).run

    def runs(installSignalHandlers: bool = True) -> None:
        run(loop, installSignalHandlers=False)

    loop.run = runs


__all__ = ["passesInMemory"]
