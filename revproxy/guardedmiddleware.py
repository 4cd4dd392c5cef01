"""
A middleware that is given guarded contexts: what stands in the chain for a plugin that has said what it needs.
"""

from __future__ import annotations

from typing import Any

from zope.interface import directlyProvides, providedBy

from revproxy.context import Context
from revproxy.guardedcontext import GuardedContext
from revproxy.interfaces import IObserver, IResponseMiddleware
from revproxy.permissions import Permissions
from revproxy.permit import Permit


class GuardedMiddleware:
    """
    Provides what the middleware provides.

    :ivar middleware: the plugin's own.
    """

    def __init__(self, middleware: Any, permissions: Permissions) -> None:
        self.middleware = middleware
        self._permit = Permit(permissions)
        self._handle = middleware.handle
        directlyProvides(self, providedBy(middleware))
        self._handleResponse = middleware.handleResponse if IResponseMiddleware.providedBy(middleware) else None
        self._finished = middleware.finished if IObserver.providedBy(middleware) else None

    def __getattr__(self, name: str) -> Any:
        if name == "middleware":  # being copied or unpickled
            raise AttributeError(name)
        return getattr(self.middleware, name)

    def handle(self, context: Context) -> Any:
        """As of the middleware."""
        return self._handle(GuardedContext(context, self._permit))

    def handleResponse(self, context: Context) -> Any:
        """As of the middleware, if it has it."""
        return self._handleResponse(GuardedContext(context, self._permit))  # type: ignore[misc]

    def finished(self, context: Context) -> Any:
        """As of the middleware, if it has it."""
        return self._finished(GuardedContext(context, self._permit))  # type: ignore[misc]


def guardedMiddleware(middleware: Any, permissions: Permissions | None) -> Any:
    """A middleware with what it may touch. :param permissions: None: everything, and it is the middleware itself."""
    return middleware if permissions is None else GuardedMiddleware(middleware, permissions)
