"""A bundle becomes a module, and what its entry point returns a middleware."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
import weakref
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from revproxy.config.problems import textOf
from revproxy.interfaces import IMiddlewareFactory
from revproxy.loading.bundlefinder import ROOT, Sentinel, finder, forget, reasonIn
from revproxy.loading.contract import PluginError, verifyMiddleware
from revproxy.loading.loadable import Loadable
from revproxy.loading.tracebacks import described, lastLineIn, plainFile, stampIn, wholeText
from revproxy.loading.vendorednames import reservedProblems

if TYPE_CHECKING:
    from revproxy.bundles.bundle import Bundle

_serial = count(1)

_CANNOT_IMPORT = re.compile(r"cannot import name '(\w+)' from ")


@dataclass(frozen=True, slots=True, eq=False)
class LoadedBundle:
    """An imported bundle. Whoever keeps it keeps the plugin's code.

    :ivar package: the unique name of its package in ``sys.modules``.
    :ivar main: the module of plugin.py.
    :ivar sentinel: dead when the globals of all its modules are gone.
    """

    package: str
    main: ModuleType
    bundle: Bundle
    sentinel: weakref.ref[Sentinel]


def loadBundle(bundle: Bundle, manifest: Loadable, codes: Mapping[str, CodeType] | None = None) -> LoadedBundle:
    """Import the plugin.py of a bundle; its other files are modules of the same package.

    :param codes: path to what `compileFile` has made of it, for as many files as there are.
    :raises PluginError: what it depends on is not there, it cannot be compiled, or its top level raises, ``SystemExit``
        included. Nothing is left behind.
    """
    checkDependencies(bundle, manifest)
    package = f"{ROOT}.{manifest.name.replace('-', '_')}_{bundle.digest[:12]}_{next(_serial)}"
    sentinel = finder.add(package, bundle, codes or {})
    last = next(reversed(sys.modules))
    try:
        main = importlib.import_module(f"{package}.plugin")
    except BaseException as error:  # foreign code: neither SystemExit nor KeyboardInterrupt of a plugin ends the edge
        failed = _importError(bundle, manifest, error)
        forget(package)
        raise failed from error
    stray = _importedByPath(bundle, last)
    if stray:
        forget(package)
        where, inner = str(bundle.directory / "plugin.py"), stray[0].rpartition(".")[2]
        raise PluginError(manifest.name, where, f"{stray[0]} is a file of the plugin itself, and would stay as it is "
                          f"when the plugin is replaced; import it as: from . import {inner}")
    return LoadedBundle(package, main, bundle, sentinel)


def _importedByPath(bundle: Bundle, last: str) -> list[str]:
    """
    What was imported from the plugin's folder as a module of everybody's. It is taken out of ``sys.modules``.

    :param last: the name of the module that was imported last before the plugin was.
    """
    folder = f"{bundle.directory}/"
    found = []
    # Those before it are not even looked at: in a locked process, that would copy the memory where their names are.
    for name in sorted(takewhile(lambda each: each != last, reversed(sys.modules))):
        file = getattr(sys.modules[name], "__dict__", {}).get("__file__")
        if isinstance(file, str) and file.startswith(folder) and stampIn(file) is None:
            found.append(name)
            del sys.modules[name]
    return found


def checkDependencies(bundle: Bundle | None, manifest: Loadable) -> None:
    """:raises PluginError: a distribution that it needs is not there; names the first, and the others."""
    problems = [] if bundle is None else reservedProblems(bundle)
    if manifest.dependencies:
        # Imported where they are looked at: in a locked process, where nobody does, this would be megabytes.
        from revproxy.loading.dependencies import dependencyProblems

        problems = [*dependencyProblems(manifest, bundle), *problems]
    if problems:
        first, *others = problems
        where = f"{first.source}:{first.line}:{first.column}" if first.line else first.source
        raise PluginError(manifest.name, where, "\n".join([first.message, *map(str, others)]))


def unload(loaded: LoadedBundle) -> None:
    """Take a plugin's modules out of ``sys.modules``, the finder and ``linecache``. Instances go on working."""
    forget(loaded.package)


def instantiate(loaded: LoadedBundle, manifest: Loadable, config: Mapping[str, Any]) -> Any:
    """Call the entry point with a copy of ``config``.

    :returns: an object that provides `IMiddleware`, verified, companions included.
    :raises PluginError: there is no entry point, it raises, or what it returns will not do.
    """
    where = str(loaded.bundle.directory / "plugin.py")
    main = getattr(loaded.main, manifest.entryPoint, None)
    if main is None:
        raise PluginError(manifest.name, where, f"there is no {manifest.entryPoint}, the entry_point of plugin.json; "
                          f"write: def {manifest.entryPoint}(config): return …")
    if not callable(main):
        raise PluginError(manifest.name, where, f"{manifest.entryPoint} is no function or class")
    return _instance(main, manifest, config, where, manifest.entryPoint)


def instantiateFactory(factory: IMiddlewareFactory, manifest: Loadable, config: Mapping[str, Any]) -> Any:
    """Call the factory of a drop-in with a copy of ``config``.

    :returns: and raises what :func:`instantiate` does.
    """
    checkDependencies(None, manifest)
    return _instance(factory.create, manifest, config, manifest.source, "create")


def _instance(main: Any, manifest: Loadable, config: Mapping[str, Any], where: str, name: str) -> Any:
    try:
        made = main(deepcopy(dict(config)))
    except BaseException as error:  # foreign code
        place = lastLineIn(error, Path(where).parent)
        if place is None and isinstance(error, TypeError) and error.__traceback__ and not error.__traceback__.tb_next:
            reason = f"{name} is given the configuration and nothing else, and does not take that: {textOf(error)}"
            raise PluginError(manifest.name, where, reason) from error
        message = f"{name} raised {described(error)}"
        raise PluginError(manifest.name, place or where, message, _wholeTraceback(error)) from error
    verifyMiddleware(made, manifest.name, where, name)
    return made


def _importError(bundle: Bundle, manifest: Loadable, error: BaseException) -> PluginError:
    if isinstance(error, SyntaxError) and error.filename and error.filename.startswith(f"{bundle.directory}/"):
        where = f"{plainFile(error.filename)}:{error.lineno or 1}:{error.offset or 1}"
        return PluginError(manifest.name, where, f"{type(error).__name__}: {error.msg}")
    where = lastLineIn(error, bundle.directory) or str(bundle.directory / "plugin.py")
    passedOver = _passedOver(bundle, error) if isinstance(error, ImportError) else ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        first = error.name.partition(".")[0]
        if f"{first}.py" in bundle.files or any(path.startswith(f"{first}/") for path in bundle.files):
            hint = f"no module named {first}; a file of the plugin itself is imported as: from . import {first}"
            return PluginError(manifest.name, where, hint)
        if first not in sys.stdlib_module_names and not passedOver:
            hint = f"no module named {error.name}; {howToInstall(first)}"
            return PluginError(manifest.name, where, hint, _wholeTraceback(error))
    if passedOver:
        return PluginError(manifest.name, where, f"importing it raised {described(error)}; {passedOver}")
    return PluginError(manifest.name, where, f"importing it raised {described(error)}", _wholeTraceback(error))


_DISTRIBUTIONS = {
    "bs4": "beautifulsoup4",
    "dateutil": "python-dateutil",
    "google": "protobuf",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "yaml": "pyyaml",
}
"""Where the distribution that people mean has another name than its module."""


def howToInstall(module: str) -> str:
    """What to do about a module that is not there.

    :param module: its name at the top level.
    """
    name = _DISTRIBUTIONS.get(module, module.replace("_", "-"))
    return f"if it is that of a distribution, install it where the edge runs: {sys.executable} -m pip install {name}"


def _passedOver(bundle: Bundle, error: ImportError) -> str:
    """Why a module of the plugin's own is not there, if files of that name are no part of a plugin; else empty."""
    module = error.name or ""
    if not isinstance(error, ModuleNotFoundError):  # "from . import name"
        wanted = _CANNOT_IMPORT.match(error.msg or "")
        module = f"{module}.{wanted[1]}" if wanted else ""
    inner = module.partition(".")[2].partition(".")[2] if module.startswith(f"{ROOT}.") else module
    path = inner.replace(".", "/")
    why = reasonIn(bundle, f"{path}.py", f"{path}/__init__.py") if path else ""
    return why and f"if it is in the plugin's folder: {why}"


def _wholeTraceback(error: BaseException) -> str:
    return wholeText(traceback.TracebackException.from_exception(error))
