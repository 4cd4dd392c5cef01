"""What a plugin's entry point may return, and the one error that says why a plugin cannot be used."""

from __future__ import annotations

from typing import Any

from zope.interface import Invalid
from zope.interface.exceptions import BrokenImplementation, BrokenMethodImplementation
from zope.interface.interface import InterfaceClass, Method
from zope.interface.verify import verifyObject

from revproxy.config.problems import quoted, textOf
from revproxy.interfaces import (
    IConfigurable,
    IHealthCheck,
    IHosted,
    ILifecycle,
    IMiddleware,
    IObserver,
    IResponseMiddleware,
    IStateful,
)
from revproxy.loading.tracebacks import plainFile, stampIn

COMPANIONS: tuple[InterfaceClass, ...] = (
    IResponseMiddleware,
    IObserver,
    IHosted,
    ILifecycle,
    IHealthCheck,
    IConfigurable,
    IStateful,
)


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


def verifyMiddleware(made: Any, plugin: str, where: str, entryPoint: str = "PluginMain") -> None:
    """Whether an object is a middleware: declared, complete, its methods taking what they will be given.

    A member of an optional interface that is there but not declared would never be called; that is refused too.

    :param where: the plugin's file; told with the line of the method that is wrong, if there is one.
    :raises PluginError: naming the interface and the member.
    """
    kind = f"{type(made).__module__.rpartition('.')[2]}.{type(made).__qualname__}"
    if not IMiddleware.providedBy(made):
        raise PluginError(plugin, _placeOf(made, "handle", where), _undeclared(made, kind, entryPoint))
    for interface in (IMiddleware, *COMPANIONS):
        if interface.providedBy(made):
            _verify(interface, made, kind, plugin, where)
        elif all(callable(getattr(made, member, None)) for member in interface.names()):
            members = ", ".join(sorted(interface.names()))
            place = _placeOf(made, sorted(interface.names())[0], where)
            raise PluginError(plugin, place, f"{kind} has {members} but does not declare {interface.__name__}, so "
                              f"it would never be called; write @implementer(IMiddleware, {interface.__name__})")


def _placeOf(made: Any, member: str, where: str) -> str:
    """Where a method begins, if it is in the plugin's own code; else what is known of the plugin."""
    code = getattr(getattr(type(made), member, None), "__code__", None)
    if code is None or stampIn(code.co_filename) is None:
        return where
    return f"{plainFile(code.co_filename)}:{code.co_firstlineno}"


def _undeclared(made: Any, kind: str, entryPoint: str) -> str:
    if isinstance(made, type):
        return f"{entryPoint} returned the class {made.__qualname__}; return an instance of it"
    if made is None:
        return f"{entryPoint} returned nothing; return an object that provides IMiddleware"
    if callable(getattr(made, "handle", None)):
        return f"{kind} has handle but does not declare IMiddleware; write @implementer(IMiddleware) above its class"
    return f"{entryPoint} returned {quoted(made)}, which does not provide IMiddleware"


def _verify(interface: InterfaceClass, made: Any, kind: str, plugin: str, where: str) -> None:
    try:
        verifyObject(interface, made)
    except Invalid as error:
        wrong = getattr(error, "exceptions", None) or (error,)
        reasons = "; ".join(_reasonOf(invalid, interface) for invalid in wrong)
        place = next((_placeOf(made, _member(each), where) for each in wrong), where)
        raise PluginError(plugin, place, f"{kind} does not fulfil {interface.__name__}: {reasons}") from error


def _member(error: Any) -> str:
    """The member that is wrong: zope has its name, or the member itself."""
    found = getattr(error, "method", None) or getattr(error, "name", None) or ""
    return str(getattr(found, "__name__", found))


def _reasonOf(error: Exception, interface: InterfaceClass) -> str:
    name = _member(error)
    member = interface.get(name)
    if not isinstance(error, BrokenImplementation | BrokenMethodImplementation) or member is None:
        return textOf(error)
    if not isinstance(member, Method):
        return f'it has no {name}; write {name} = "…" in the class'
    called = f"def {name}({', '.join(('self', *member.positional))})"
    if isinstance(error, BrokenMethodImplementation):
        return f"{name} does not take what it is given; write {called}"
    return f"it has no {name}; write {called}"
