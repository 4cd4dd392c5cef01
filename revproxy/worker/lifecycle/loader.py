"""A bundle imported from its bytes, under a name of its own.

The interpreter finds modules by path and would take a .pyc or whatever the file has become meanwhile. Here one finder
on ``sys.meta_path`` serves, from a dictionary, the packages that were loaded; each load is a package with a name that
never comes again, so that two versions of a plugin live side by side and neither is in the other's ``sys.modules``.

Tracebacks show the lines that run: the file name of the code carries the digest, so no file on disk is mistaken for it,
and ``linecache`` is given the source.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import linecache
import logging
import re
import sys
import traceback
import weakref
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from zope.interface import Interface, Invalid
from zope.interface.interface import InterfaceClass
from zope.interface.verify import verifyObject

from revproxy.bundles.bundle import Bundle
from revproxy.config.manifest import Manifest
from revproxy.config.problems import quoted, textOf
from revproxy.interfaces import (
    IConfigurable,
    IHealthCheck,
    IHosted,
    ILifecycle,
    IMiddleware,
    IMiddlewareFactory,
    IObserver,
    IResponseMiddleware,
    IStateful,
)

ROOT = "revproxy_plugins"
SENTINEL = "__revproxy_sentinel__"
"""The global in every module of a plugin that tells whether its globals still exist."""

COMPANIONS: tuple[InterfaceClass, ...] = (
    IResponseMiddleware,
    IObserver,
    IHosted,
    ILifecycle,
    IHealthCheck,
    IConfigurable,
    IStateful,
)

_serial = itertools.count(1)
_STAMP = re.compile(r"@[0-9a-f]{12}(?=$|[^0-9a-f])")
_PREAMBLE = re.compile(r"The object <.*?> has failed to implement interface \S+: ")


class PluginError(Exception):
    """A plugin that cannot be used.

    :ivar plugin: its name.
    :ivar where: ``FILE:LINE`` or ``FILE:LINE:COLUMN`` if that is known, else the file or dotted name.
    :ivar message: what is wrong and what to do. The cause, if there is one, is chained.
    :ivar details: the traceback of the cause, or nothing. Whoever keeps the error itself, or its cause, keeps the
        plugin's frames and modules from being freed; whoever keeps these texts does not.
    """

    def __init__(self, plugin: str, where: str, message: str, details: str = "") -> None:
        super().__init__(plugin, where, message)
        self.plugin = plugin
        self.where = where
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return f"{self.where}: {self.message} (plugin {self.plugin})"


class Sentinel:
    """One per load, in the globals of each of its modules: as long as it exists, some of them do.

    A module object is not enough: its functions keep its globals alive, and not the module.
    """

    __slots__ = ("__weakref__", "package")

    def __init__(self, package: str) -> None:
        self.package = package


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """An imported bundle. Whoever keeps it keeps the plugin's code.

    :ivar package: the unique name of its package in ``sys.modules``.
    :ivar main: the module of plugin.py.
    :ivar sentinel: dead when the globals of all its modules are gone.
    """

    package: str
    main: ModuleType
    bundle: Bundle
    sentinel: weakref.ref[Sentinel]


def compileFile(bundle: Bundle, path: str) -> CodeType | None:
    """One file of a bundle, ready for `loadModule`; None if it cannot be compiled, which the import will explain."""
    try:
        source = importlib.util.decode_source(bundle.files[path])
        return compile(source, _filename(bundle, path), "exec", dont_inherit=True)
    except Exception:  # also of RecursionError and MemoryError: the import meets them again, if it needs this file
        return None


def loadModule(bundle: Bundle, manifest: Manifest, codes: Mapping[str, CodeType] | None = None) -> Module:
    """Import the plugin.py of a bundle; its other files are modules of the same package.

    :param codes: path to what `compileFile` has made of it, for as many files as there are.
    :raises PluginError: it cannot be compiled or its top level raises, ``SystemExit`` included. Nothing is left behind.
    """
    package = f"{ROOT}.{manifest.name.replace('-', '_')}_{bundle.digest[:12]}_{next(_serial)}"
    sentinel = _finder.add(package, bundle, codes or {})
    try:
        main = importlib.import_module(f"{package}.plugin")
    except BaseException as error:  # foreign code: neither SystemExit nor KeyboardInterrupt of a plugin ends the edge
        failed = _importError(bundle, manifest, error)
        _forget(package)
        raise failed from error
    return Module(package, main, bundle, sentinel)


def unload(module: Module) -> None:
    """Take a plugin's modules out of ``sys.modules``, the finder and ``linecache``. Instances go on working."""
    _forget(module.package)


def instantiate(module: Module, manifest: Manifest, config: Mapping[str, Any]) -> Any:
    """Call the entry point with a copy of ``config``.

    :returns: an object that provides `IMiddleware`, verified, companions included.
    :raises PluginError: there is no entry point, it raises, or what it returns will not do.
    """
    where = str(module.bundle.directory / "plugin.py")
    main = getattr(module.main, manifest.entryPoint, None)
    if main is None:
        raise PluginError(manifest.name, where, f"there is no {manifest.entryPoint}, the entry_point of plugin.json; "
                          f"write: def {manifest.entryPoint}(config): return …")
    if not callable(main):
        raise PluginError(manifest.name, where, f"{manifest.entryPoint} is no function or class")
    return _instance(main, manifest, config, where, manifest.entryPoint)


def instantiateFactory(factory: IMiddlewareFactory, manifest: Manifest, config: Mapping[str, Any]) -> Any:
    """The same for a drop-in."""
    return _instance(factory.create, manifest, config, manifest.source, "create")


def _instance(main: Any, manifest: Manifest, config: Mapping[str, Any], where: str, name: str) -> Any:
    try:
        made = main(deepcopy(dict(config)))
    except BaseException as error:  # foreign code
        place = _innermost(error, Path(where).parent)
        if place is None and isinstance(error, TypeError) and error.__traceback__ and not error.__traceback__.tb_next:
            reason = f"{name} is given the configuration and nothing else, and does not take that: {textOf(error)}"
            raise PluginError(manifest.name, where, reason) from error
        message = f"{name} raised {_described(error)}"
        raise PluginError(manifest.name, place or where, message, _details(error)) from error
    verifyMiddleware(made, manifest.name, where, name)
    return made


def verifyMiddleware(made: Any, plugin: str, where: str, entryPoint: str = "PluginMain") -> None:
    """Whether an object is a middleware: declared, complete, its methods taking what they will be given.

    A member of an optional interface that is there but not declared would never be called; that is refused too.

    :raises PluginError: naming the interface and the member.
    """
    kind = f"{type(made).__module__.rpartition('.')[2]}.{type(made).__qualname__}"
    if not IMiddleware.providedBy(made):
        raise PluginError(plugin, where, _undeclared(made, kind, entryPoint))
    for interface in (IMiddleware, *COMPANIONS):
        if interface.providedBy(made):
            _verify(interface, made, kind, plugin, where)
        elif all(callable(getattr(made, member, None)) for member in interface.names()):
            members = ", ".join(sorted(interface.names()))
            raise PluginError(plugin, where, f"{kind} has {members} but does not declare {interface.__name__}, so "
                              f"it would never be called; write @implementer(IMiddleware, {interface.__name__})")


def _undeclared(made: Any, kind: str, entryPoint: str) -> str:
    if isinstance(made, type):
        return f"{entryPoint} returned the class {made.__qualname__}; return an instance of it"
    if made is None:
        return f"{entryPoint} returned nothing; return an object that provides IMiddleware"
    if callable(getattr(made, "handle", None)):
        return f"{kind} has handle but does not declare IMiddleware; write @implementer(IMiddleware) above its class"
    return f"{entryPoint} returned {quoted(made)}, which does not provide IMiddleware"


def _verify(interface: type[Interface], made: Any, kind: str, plugin: str, where: str) -> None:
    try:
        verifyObject(interface, made)
    except Invalid as error:
        reasons = "; ".join(_reasonOf(one) for one in getattr(error, "exceptions", None) or (error,))
        raise PluginError(plugin, where, f"{kind} does not fulfil {interface.__name__}: {reasons}") from error


def _reasonOf(error: Exception) -> str:
    text = textOf(error)
    # zope: "The object <…> has failed to implement interface NAME: The … attribute was not provided."
    return _PREAMBLE.sub("", text)


def _described(error: BaseException) -> str:
    text = textOf(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _importError(bundle: Bundle, manifest: Manifest, error: BaseException) -> PluginError:
    if isinstance(error, SyntaxError) and error.filename and error.filename.startswith(f"{bundle.directory}/"):
        where = f"{plainFile(error.filename)}:{error.lineno or 1}:{error.offset or 1}"
        return PluginError(manifest.name, where, f"{type(error).__name__}: {error.msg}")
    where = _innermost(error, bundle.directory) or str(bundle.directory / "plugin.py")
    if isinstance(error, ModuleNotFoundError) and error.name:
        first = error.name.partition(".")[0]
        if f"{first}.py" in bundle.files or any(path.startswith(f"{first}/") for path in bundle.files):
            hint = f"no module named {first}; a file of the plugin itself is imported as: from . import {first}"
            return PluginError(manifest.name, where, hint)
    return PluginError(manifest.name, where, f"importing it raised {_described(error)}", _details(error))


def _details(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _innermost(error: BaseException, directory: Path) -> str | None:
    """``FILE:LINE`` of the last frame that is the plugin's own."""
    start = f"{directory}/"
    place = None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(start):
            place = f"{plainFile(frame.filename)}:{frame.lineno}"
    return place


def plainFile(filename: str) -> str:
    """The file on disk of a code object's file name."""
    return _STAMP.sub("", filename)


class _SourceLoader(importlib.abc.InspectLoader):
    """Runs one file of a bundle; ``get_data`` gives its other files to `pkgutil.get_data`."""

    def __init__(
        self,
        bundle: Bundle,
        path: str | None,
        isPackage: bool,
        sentinel: weakref.ref[Sentinel],
        code: CodeType | None,
    ) -> None:
        self._bundle = bundle
        self._sentinel = sentinel
        self._path = path
        self._isPackage = isPackage
        self._code = code
        self.filename = _filename(bundle, path or "__init__.py")

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__[SENTINEL] = self._sentinel()
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
        except (SyntaxError, UnicodeDecodeError) as error:
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

    def get_data(self, path: str) -> bytes:
        """A file of the bundle, by the path `pkgutil.get_data` makes of ``__file__`` and a name."""
        try:
            return self._bundle.files[Path(path).relative_to(self._bundle.directory).as_posix()]
        except (KeyError, ValueError):
            raise OSError(f"the plugin has no file {path}") from None


class _BundleFinder(importlib.abc.MetaPathFinder):
    """Finds the modules of all loaded bundles, and nothing else."""

    def __init__(self) -> None:
        self.bundles: dict[str, Bundle] = {}
        self.codes: dict[str, Mapping[str, CodeType]] = {}
        self.sentinels: dict[str, Sentinel] = {}

    def add(self, package: str, bundle: Bundle, codes: Mapping[str, CodeType]) -> weakref.ref[Sentinel]:
        """Serve a bundle from now on."""
        self.bundles[package] = bundle
        self.codes[package] = codes
        sentinel = self.sentinels[package] = Sentinel(package)
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
        loader = _SourceLoader(bundle, *found, weakref.ref(self.sentinels[package]), code)
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


def _filename(bundle: Bundle, path: str) -> str:
    """What code objects and tracebacks call a file; see the module."""
    return f"{bundle.directory / path}@{bundle.digest[:12]}"


_finder = _BundleFinder()


def _forget(package: str) -> None:
    _finder.bundles.pop(package, None)
    _finder.codes.pop(package, None)
    _finder.sentinels.pop(package, None)
    for name in _namesWithin(package, sys.modules):
        del sys.modules[name]
    root = sys.modules.get(ROOT)
    if root is not None:
        root.__dict__.pop(package.rpartition(".")[2], None)
    _forgetLines(package)
    _forgetLoggers(package)


def _namesWithin(package: str, names: Iterable[str]) -> list[str]:
    """Those of a package and of all in it. There are thousands of names, so most have to go with one test."""
    inner = f"{package}."
    return [name for name in list(names) if name.startswith(package) and (name == package or name.startswith(inner))]


def _forgetLines(package: str) -> None:
    """Lines of bundles that nobody runs, those too that a late traceback had read once more; and what attrs wrote."""
    loaded = {f"@{bundle.digest[:12]}" for bundle in _finder.bundles.values()}
    for name in list(linecache.cache):
        stamp = _STAMP.search(name)
        generated = name.startswith("<attrs generated") and package in name
        if generated or (stamp is not None and stamp.group() not in loaded):
            linecache.cache.pop(name, None)


def _forgetLoggers(package: str) -> None:
    """Loggers of ``logging.getLogger(__name__)``: kept for ever by their names, which never come again."""
    known = logging.root.manager.loggerDict
    gone = [known.pop(name) for name in _namesWithin(package, known)]
    root = known.get(ROOT)
    if isinstance(root, logging.PlaceHolder):
        for logger in gone:
            root.loggerMap.pop(logger, None)  # type: ignore[arg-type]
