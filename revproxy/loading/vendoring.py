"""
Libraries that a plugin brings along: what is in its ``vendor/`` is importable for that plugin, and for nobody else.

A library there writes ``import jwt`` and not ``from .vendor import jwt``, and so does the plugin. But ``sys.modules``
has one ``jwt`` for everybody, that of the edge's environment if anybody uses it. So vendored modules are loaded as what
they are, modules of the bundle: ``revproxy_plugins.quota_0123456789ab_7.vendor.jwt``. By that name everything works
that goes by names (relative imports, ``sys.modules[__name__]``, pickle, dataclasses), and they are swapped, blamed,
watched and unloaded with the plugin.

What is left is to have ``import jwt`` mean that, in this bundle alone. ``import`` calls the ``__import__`` of the
builtins of the code that runs, which are those that were in its module's globals when it was executed. So modules of a
bundle that has a ``vendor/`` are given builtins of their own, in which only ``__import__`` differs. That holds for the
plugin and its libraries, for imports inside functions, years later, in any thread, and for code that a library makes
itself (``exec`` hands the caller's builtins on); and for nobody else's code.

A few functions take the names of modules as text (``importlib.import_module``, ``importlib.metadata.version``). To
these modules, code of such a bundle is given a stand-in in which those functions look into ``vendor/`` first.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from revproxy.loading.vendoreddistributions import VendoredDistribution, vendoredDistributions
from revproxy.loading.vendorednames import RESERVED, SHARED, vendoredNames

if TYPE_CHECKING:
    from revproxy.bundles.bundle import Bundle

_BY_NAME: Mapping[str, frozenset[str]] = {
    "importlib": frozenset(("import_module",)),
    "importlib.util": frozenset(("find_spec",)),
    "importlib.resources": frozenset(
        ("files", "open_binary", "open_text", "read_binary", "read_text", "path", "is_resource", "contents")
    ),
    "importlib.metadata": frozenset(("distribution", "version", "metadata", "requires", "files", "entry_points")),
    "pkgutil": frozenset(("get_data", "resolve_name")),
}
"""Functions whose first argument is the name of a module, or (``metadata``) of a distribution; and ``entry_points``."""

_RELATIVE = frozenset(("import_module", "find_spec"))
"""Of these, functions that take the name of a package, too."""


class Vendoring:
    """What the code of one bundle imports by absolute names.

    :ivar builtins: for the globals of its modules.
    """

    def __init__(self, package: str, bundle: Bundle) -> None:
        """
        :param package: the unique name of the bundle's package.
        """
        self._prefix = f"{package}.vendor."
        self._names = vendoredNames(bundle) - RESERVED - SHARED
        self._distributions = vendoredDistributions(bundle)
        self._standIns: dict[str, _StandIn] = {}
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self._import}

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """``__import__`` of this bundle's code."""
        top = name.partition(".")[0] if level == 0 else ""
        if top in self._names:
            private = self._prefix + name
            if fromlist:
                return __import__(private, globals, locals, fromlist)
            importlib.import_module(private)
            return sys.modules[self._prefix + top]
        found = __import__(name, globals, locals, fromlist or (), level)
        if top in ("importlib", "pkgutil"):
            return self._standIn(found)
        return found

    def nameOf(self, name: Any) -> Any:
        """What a module of this name is called here; anything but a vendored name is returned as it is."""
        if isinstance(name, str) and name.replace(":", ".").partition(".")[0] in self._names:
            return self._prefix + name
        return name

    def distribution(self, name: str) -> VendoredDistribution | None:
        """The vendored distribution of a name, if there is one."""
        return self._distributions.get(name)

    def entryPoints(self) -> list[importlib.metadata.EntryPoint]:
        """Those of all vendored distributions, as they can be loaded from anywhere."""
        found = [each for distribution in self._distributions for each in distribution.entry_points]
        return [importlib.metadata.EntryPoint(each.name, self.nameOf(each.value), each.group) for each in found]

    def _standIn(self, module: ModuleType) -> ModuleType:
        """One for each of the modules that are in the table; others as they are."""
        name = module.__name__
        if name not in _BY_NAME:
            return module
        if name not in self._standIns:
            self._standIns[name] = _StandIn(module, self)
        return self._standIns[name]


class _StandIn(ModuleType):
    """A module as it is, but for the functions that take names."""

    def __init__(self, module: ModuleType, vendoring: Vendoring) -> None:
        super().__init__(module.__name__, module.__doc__)
        self.__dict__["_module"] = module
        self.__dict__["_vendoring"] = vendoring

    def __getattr__(self, attribute: str) -> Any:
        module, vendoring = self.__dict__["_module"], self.__dict__["_vendoring"]
        if attribute == "__import__" and module is importlib:
            return vendoring._import
        found = getattr(module, attribute)
        if isinstance(found, ModuleType):
            return vendoring._standIn(found)
        if attribute not in _BY_NAME[module.__name__]:
            return found
        if attribute == "entry_points":
            return partial(_entryPoints, vendoring, found)
        if module is importlib.metadata:
            return partial(_ofDistribution, vendoring, attribute, found)
        if attribute in _RELATIVE:
            return partial(_relative, vendoring, found)
        return partial(_ofModule, vendoring, found)


def _ofModule(vendoring: Vendoring, function: Callable[..., Any], name: Any, *arguments: Any, **options: Any) -> Any:
    return function(vendoring.nameOf(name), *arguments, **options)


def _relative(vendoring: Vendoring, function: Callable[..., Any], name: Any, package: Any = None) -> Any:
    return function(vendoring.nameOf(name), vendoring.nameOf(package))


def _ofDistribution(vendoring: Vendoring, attribute: str, function: Callable[..., Any], distribution_name: str) -> Any:
    found = vendoring.distribution(distribution_name)
    if found is None:
        return function(distribution_name)
    return found if attribute == "distribution" else getattr(found, attribute)


def _entryPoints(vendoring: Vendoring, function: Callable[..., Any], **wanted: Any) -> Any:
    own = importlib.metadata.EntryPoints(vendoring.entryPoints())
    return importlib.metadata.EntryPoints([*own.select(**wanted), *function(**wanted)]) if wanted else function()


def forgetFinders(package: str) -> None:
    """Take what vendored libraries have put into ``sys.meta_path`` out again (``six`` does so)."""
    inner = f"{package}."
    for finder in list(sys.meta_path):
        kind = finder if isinstance(finder, type) else type(finder)
        if kind.__module__.startswith(inner):
            sys.meta_path.remove(finder)


assert importlib.util and importlib.resources and pkgutil  # they are looked up by name
