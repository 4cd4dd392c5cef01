"""Tests for `revproxy.guardedmiddleware`: what stands in the chain for a plugin with permissions."""

from __future__ import annotations

import copy
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer, providedBy

from revproxy.errors import NotPermitted
from revproxy.guardedcontext import GuardedContext
from revproxy.guardedmiddleware import GuardedMiddleware, guardedMiddleware
from revproxy.interfaces import IHealthCheck, IMiddleware, IObserver, IResponseMiddleware
from revproxy.permissions import Permissions
from revproxy.testing import ClientAnswer, EdgeDouble


@implementer(IMiddleware)
class Asking:
    """Asks a service about each request."""

    name = "asking"

    async def handle(self, context: Any) -> bool:
        return bool((await context.client.get("http://users/a")).code == 200)


@implementer(IMiddleware)
class Plain:
    """Only asks."""

    name = "plain"

    def handle(self, context: Any) -> bool:
        return True

    def handleResponse(self, context: Any) -> None:
        raise AssertionError("not declared")


@implementer(IMiddleware, IResponseMiddleware, IObserver, IHealthCheck)
class Whole:
    """
    :ivar started: by context, what was seen on the way in.
    """

    name = "whole"

    def __init__(self) -> None:
        self.started: dict[Any, Any] = {}
        self.over: list[Any] = []

    async def handle(self, context: Any) -> bool:
        assert isinstance(context, GuardedContext)
        self.started[context] = context.request.headers.get("X-Tenant"), context.request.headers.get("Cookie")
        return True

    def handleResponse(self, context: Any) -> None:
        context.response.headers.set("X-Seen", str(self.started[context]))

    def finished(self, context: Any) -> None:
        self.over.append((self.started.pop(context), context.outcome.status))

    def checkHealth(self) -> None:
        """It is well."""


class GuardedMiddlewareTests(SynchronousTestCase):
    """`GuardedMiddleware`."""

    def test_off(self) -> None:
        """Where nothing is restricted there is no facade at all."""
        plain = Plain()
        self.assertIs(guardedMiddleware(plain, None), plain)

    def test_provides(self) -> None:
        """It provides what the middleware declares, and has what that has."""
        for middleware in (Plain(), Whole()):
            facade = guardedMiddleware(middleware, Permissions())
            self.assertEqual(list(providedBy(facade)), list(providedBy(middleware)))
            self.assertEqual(facade.name, middleware.name)
        self.assertEqual(facade.started, {})
        self.assertIsInstance(copy.copy(facade), GuardedMiddleware)

    def test_allPhases(self) -> None:
        """In each of its calls it sees what it may, and its request is the same one."""
        whole = Whole()
        edge = EdgeDouble(whole, permissions={"read_headers": ["X-Tenant"], "write_headers": ["X-Seen"]})
        answer = edge.get("/", {"X-Tenant": "a", "Cookie": "c"})
        self.assertEqual(answer.headers.get("X-Seen"), "('a', None)")
        self.assertEqual((whole.over, whole.started), ([(("a", None), 200)], {}))

    def test_client(self) -> None:
        """It sends requests to the upstreams that it was granted, and nowhere else."""
        edge = EdgeDouble(Asking(), permissions={"upstreams": ["users"]})
        edge.toolbox.client.answers("GET", "http://users/a", ClientAnswer(200))
        self.assertEqual(edge.get("/").status, 200)
        refused = EdgeDouble(Asking(), permissions={"respond": True}).get
        self.assertIn("upstreams: users", str(self.assertRaises(NotPermitted, refused, "/")))

    def test_refused(self) -> None:
        """What it may not do is raised in the test, as whatever a plugin raises."""
        self.assertRaises(NotPermitted, EdgeDouble(Whole(), permissions=Permissions()).get, "/")
