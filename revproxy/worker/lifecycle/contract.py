"""What a plugin's entry point may return, and the one error that says why a plugin cannot be used."""

from __future__ import annotations

import re
from typing import Any

from zope.interface import Interface, Invalid
from zope.interface.interface import InterfaceClass
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

COMPANIONS: tuple[InterfaceClass, ...] = (
    IResponseMiddleware,
    IObserver,
    IHosted,
    ILifecycle,
    IHealthCheck,
    IConfigurable,
    IStateful,
)

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
        reasons = "; ".join(_reasonOf(invalid) for invalid in getattr(error, "exceptions", None) or (error,))
        raise PluginError(plugin, where, f"{kind} does not fulfil {interface.__name__}: {reasons}") from error


def _reasonOf(error: Exception) -> str:
    text = textOf(error)
    # zope: "The object <…> has failed to implement interface NAME: The … attribute was not provided."
    return _PREAMBLE.sub("", text)
