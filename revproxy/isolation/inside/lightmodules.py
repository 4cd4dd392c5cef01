"""
Modules that are lighter than they would be, as long as nobody asks for more.

Twisted imports more than it needs: all of asyncio for four names, its reactors for one, and what browsers do with
cookies for none. In a locked process that would be a third of its memory. So before Twisted is imported, stand-ins are
put where it looks; each makes way for what it stands for when it is asked for something else.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, Final

_ASYNCIO: Final = {"AbstractEventLoop": "", "CancelledError": "exceptions", "Future": "", "iscoroutine": "coroutines"}
"""
Names of asyncio that Twisted and we ask for, and the modules that have them; empty: it is asked for in annotations.
"""

_LATER: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "attr.validators": {},
    "html.entities": {"html5": (__name__, "ENTITIES")},
    "http.cookiejar": {},
    "tempfile": {},
    "twisted.internet.base": {"DelayedCall": ("revproxy.isolation.inside.timer", "Timer")},
}
"""
Modules that others import, and hardly ever ask for anything: with what they are asked for, and where that is found.
"""


class _LaterEntities(dict[str, str]):
    """The two thousand names of characters in HTML, which `html.unescape` looks for."""

    def _fill(self) -> None:
        if not self:
            self.update(importlib.import_module("html.entities").html5)

    def __contains__(self, name: object) -> bool:
        self._fill()
        return super().__contains__(name)

    def __missing__(self, name: str) -> str:
        self._fill()
        return self.get(name) or super().__getitem__(name)


ENTITIES: Final = _LaterEntities()


class _LightPackage(ModuleType):
    """
    A package of which single names are known; its ``__init__`` runs when somebody asks for another.
    """

    def __init__(self, name: str, known: dict[str, str]) -> None:
        """
        :param known: by name, the module of the package that has it; empty: anything will do.
        """
        super().__init__(name)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        self.__dict__.update(
            __path__=list(spec.submodule_search_locations or ()), __package__=name, __spec__=spec, _known=known
        )

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        known = own.get("_known")
        if name.startswith("__") or known is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if name in known:
            if not known[name]:
                return object
            own[name] = getattr(importlib.import_module(f"{self.__name__}.{known[name]}"), name)
        elif importlib.util.find_spec(f"{self.__name__}.{name}") is not None:
            importlib.import_module(f"{self.__name__}.{name}")
        else:
            del own["_known"]
            _run(self)
        return getattr(self, name)


class _LaterModule(ModuleType):
    """A module that is imported when somebody asks it for something that is not known."""

    def __init__(self, name: str, known: dict[str, tuple[str, str]]) -> None:
        """
        :param known: by name, the module that has it, and what it is called there.
        """
        super().__init__(name)
        self.__dict__["_known"] = known

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if name in self.__dict__["_known"]:
            module, attribute = self.__dict__["_known"][name]
            return getattr(importlib.import_module(module), attribute)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _run(package: ModuleType) -> None:
    """Its ``__init__``, as it would have run at its import."""
    for finder in sys.meta_path:
        spec = finder.find_spec(package.__name__, None)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module(package)
            return


def lighten() -> bool:
    """
    Before anything of Twisted is imported: have it make do with less. Else nothing is done.

    :returns: whether it was in time.
    """
    if "twisted" in sys.modules or "asyncio" in sys.modules:
        return False
    sys.modules["asyncio"] = _LightPackage("asyncio", _ASYNCIO)
    for name, known in _LATER.items():
        sys.modules[name] = _LaterModule(name, known)
    return True


def makeWay() -> None:
    """Whoever imports one of these modules from now on is given the module itself."""
    for name in _LATER:
        if isinstance(sys.modules.get(name), _LaterModule):
            del sys.modules[name]
