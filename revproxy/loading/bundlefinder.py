"""A bundle imported from its bytes, under a name of its own.

The interpreter finds modules by path and would take a .pyc or whatever the file has become meanwhile. Here one finder
on ``sys.meta_path`` serves, from a dictionary, the packages that were loaded; each load is a package with a name that
never comes again, so that two versions of a plugin live side by side and neither is in the other's ``sys.modules``.

Tracebacks show the lines that run: the file name of the code carries the digest, so no file on disk is mistaken for it,
and ``linecache`` is given the source.
"""

from __future__ import annotations

import copyreg
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import logging
import sys
import typing
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

from revproxy.loading.bundleresources import BundleResources
from revproxy.loading.tracebacks import stampedFile, stampIn, stampOf
from revproxy.loading.vendorednames import vendoredNames

if TYPE_CHECKING:
    from revproxy.bundles.bundle import Bundle
    from revproxy.loading.vendoring import Vendoring

ROOT = "revproxy_plugins"
SENTINEL = "__revproxy_sentinel__"
"""The global in every module of a plugin that tells whether its globals still exist."""


class Sentinel:
    """One per load, in the globals of each of its modules: as long as it exists, some of them do.

    A module object is not enough: its functions keep its globals alive, and not the module.
    """

    __slots__ = ("__weakref__", "package")

    def __init__(self, package: str) -> None:
        self.package = package


def reasonIn(bundle: Bundle, *paths: str) -> str:
    """Why the first of these paths that is no part of the plugin is none; empty if all would be."""
    # Imported where something is missing: a locked process has no room for it otherwise.
    from revproxy.bundles.ignorerules import FILE, IgnoreRules

    rules = IgnoreRules(bundle.files.get(FILE, b""))
    return next(filter(None, map(rules.reason, paths)), "")


def compileFile(bundle: Bundle, path: str) -> CodeType | None:
    """One file of a bundle, ready for `loadBundle`; None if it cannot be compiled, which the import will explain."""
    try:
        source = importlib.util.decode_source(bundle.files[path])
        return compile(source, stampedFile(bundle, path), "exec", dont_inherit=True)
    except Exception:  # also of RecursionError and MemoryError: the import meets them again, if it needs this file
        return None


class _SourceLoader(importlib.abc.InspectLoader):
    """Runs one file of a bundle; ``get_data`` gives its other files to `pkgutil.get_data`."""

    def __init__(
        self,
        bundle: Bundle,
        path: str | None,
        isPackage: bool,
        sentinel: weakref.ref[Sentinel],
        code: CodeType | None,
        vendoring: Vendoring | None,
        folder: str,
    ) -> None:
        """
        :param vendoring: what its imports lead to, if the bundle has libraries of its own.
        :param folder: of a package, below the plugin's folder.
        """
        self._bundle = bundle
        self._sentinel = sentinel
        self._path = path
        self._isPackage = isPackage
        self._code = code
        self._vendoring = vendoring
        self._folder = folder
        self.filename = stampedFile(bundle, path or "__init__.py")

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__[SENTINEL] = self._sentinel()
        if self._vendoring is not None:
            module.__dict__["__builtins__"] = self._vendoring.builtins
        super().exec_module(module)

    def get_source(self, fullname: str) -> str:
        return self._source()

    def _source(self) -> str:
        content = self._bundle.files[self._path] if self._path is not None else b""
        return importlib.util.decode_source(content)

    def get_code(self, fullname: str) -> CodeType:
        # Of one value: the lines are made when a traceback shows them, and checkcache leaves the entry alone.
        linecache.cache[self.filename] = (self._source,)
        if self._code is not None:
            return self._code
        try:
            source = self._source()
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            text = f"cannot be decoded: {error}; save the file as UTF-8"
            raise SyntaxError(text, (self.filename, line, 1, None)) from None
        except SyntaxError as error:
            raise SyntaxError(f"cannot be decoded: {error}", (self.filename, 1, 1, None)) from None
        try:
            return compile(source, self.filename, "exec", dont_inherit=True)
        except (ValueError, SyntaxError) as error:  # of NUL characters Python does not say where they are
            if isinstance(error, SyntaxError) and error.filename:
                raise
            raise SyntaxError(str(error), (self.filename, 1, 1, None)) from None

    def is_package(self, fullname: str) -> bool:
        return self._isPackage

    def get_filename(self, fullname: str) -> str:
        return self.filename

    def get_resource_reader(self, fullname: str) -> BundleResources | None:
        """For `importlib.resources`."""
        return BundleResources(self._bundle, self._folder) if self._isPackage else None

    def get_data(self, path: str) -> bytes:
        """A file of the bundle, by the path `pkgutil.get_data` makes of ``__file__`` and a name."""
        try:
            inner = Path(path).relative_to(self._bundle.directory).as_posix()
        except ValueError:
            raise OSError(f"the plugin has no file {path}") from None
        if inner not in self._bundle.files:
            why = reasonIn(self._bundle, inner)
            raise OSError(f"the plugin has no file {path}{why and f'; if it is in the folder: {why}'}")
        return self._bundle.files[inner]


class BundleFinder(importlib.abc.MetaPathFinder):
    """Finds the modules of all loaded bundles, and nothing else."""

    def __init__(self) -> None:
        self.bundles: dict[str, Bundle] = {}
        self.codes: dict[str, Mapping[str, CodeType]] = {}
        self.sentinels: dict[str, Sentinel] = {}
        self.vendorings: dict[str, Vendoring] = {}

    def add(self, package: str, bundle: Bundle, codes: Mapping[str, CodeType]) -> weakref.ref[Sentinel]:
        """Serve a bundle from now on."""
        self.bundles[package] = bundle
        self.codes[package] = codes
        sentinel = self.sentinels[package] = Sentinel(package)
        if vendoredNames(bundle):
            # Imported for those that bring libraries: it brings all of importlib.metadata.
            from revproxy.loading.vendoring import Vendoring

            self.vendorings[package] = Vendoring(package, bundle)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        if ROOT not in sys.modules:
            root = ModuleType(ROOT, "The plugins that are loaded; each under a name that never comes again.")
            root.__path__ = []
            sys.modules[ROOT] = root
        return weakref.ref(sentinel)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(f"{ROOT}."):
            return None
        _, name, *inner = fullname.split(".")
        package = f"{ROOT}.{name}"
        bundle = self.bundles.get(package)
        if bundle is None:
            return None
        found = _find(bundle, "/".join(inner))
        if found is None:
            return None
        code = None if found[0] is None else self.codes[package].get(found[0])
        sentinel, vendoring = weakref.ref(self.sentinels[package]), self.vendorings.get(package)
        loader = _SourceLoader(bundle, *found, sentinel, code, vendoring, "/".join(inner))
        spec = importlib.util.spec_from_loader(fullname, loader, origin=loader.filename, is_package=found[1])
        if spec is not None:
            spec.has_location = True
        return spec


def _find(bundle: Bundle, path: str) -> tuple[str | None, bool] | None:
    """The file of a module and whether it is a package; a folder without ``__init__.py`` is an empty one."""
    initial = f"{path}/__init__.py" if path else "__init__.py"
    if initial in bundle.files:
        return initial, True
    if path and f"{path}.py" in bundle.files:
        return f"{path}.py", False
    if not path or any(name.startswith(f"{path}/") and name.endswith(".py") for name in bundle.files):
        return None, True
    return None


finder = BundleFinder()


def forget(package: str) -> None:
    """Serve a package no more, and take its modules out of wherever the interpreter keeps them."""
    finder.bundles.pop(package, None)
    finder.codes.pop(package, None)
    finder.sentinels.pop(package, None)
    if finder.vendorings.pop(package, None) is not None:
        from revproxy.loading.vendoring import forgetFinders

        forgetFinders(package)
        _forgetAliases(package)
    for name in _namesWithin(package, sys.modules):
        del sys.modules[name]
    root = sys.modules.get(ROOT)
    if root is not None:
        root.__dict__.pop(package.rpartition(".")[2], None)
    _forgetLines(package)
    _forgetLoggers(package)
    overloads = getattr(typing, "_overload_registry", {})  # what typing.overload keeps, by module, for ever
    for name in _namesWithin(package, overloads):
        del overloads[name]
    for kind in list(copyreg.dispatch_table):
        if _namesWithin(package, (str(getattr(kind, "__module__", "")),)):
            del copyreg.dispatch_table[kind]


def _namesWithin(package: str, names: Iterable[str]) -> list[str]:
    """Those of a package and of all in it. There are thousands of names, so most have to go with one test."""
    inner = f"{package}."
    return [name for name in list(names) if name.startswith(package) and (name == package or name.startswith(inner))]


def _forgetAliases(package: str) -> None:
    """Names that vendored libraries gave their modules themselves (``requests`` does so)."""
    for name, module in list(sys.modules.items()):
        mark = module.__dict__.get(SENTINEL) if isinstance(module, ModuleType) else None
        if isinstance(mark, Sentinel) and mark.package == package:
            sys.modules.pop(name, None)


def _forgetLines(package: str) -> None:
    """Lines of bundles that nobody runs, those too that a late traceback had read once more; and what attrs wrote."""
    loaded = {stampOf(bundle) for bundle in finder.bundles.values()}
    for name in list(linecache.cache):
        stamp = stampIn(name)
        generated = name.startswith("<attrs generated") and package in name
        if generated or (stamp is not None and stamp not in loaded):
            linecache.cache.pop(name, None)


def _forgetLoggers(package: str) -> None:
    """Loggers of ``logging.getLogger(__name__)``: kept for ever by their names, which never come again."""
    known = logging.root.manager.loggerDict
    gone = [known.pop(name) for name in _namesWithin(package, known)]
    root = known.get(ROOT)
    if isinstance(root, logging.PlaceHolder):
        for logger in gone:
            root.loggerMap.pop(logger, None)  # type: ignore[arg-type]
