"""Tests for :mod:`revproxy.dropin`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from revproxy.dropin import DropIn
from revproxy.interfaces import IMiddlewareFactory


class DropInTests(SynchronousTestCase):
    """What is announced to Twisted's plugin system."""

    def test_provides(self) -> None:
        """It is a plugin of Twisted, and makes middleware."""
        dropIn = DropIn({"name": "a", "version": "1.0"}, lambda config: None)  # type: ignore[arg-type,return-value]
        self.assertTrue(verifyObject(IPlugin, dropIn))
        self.assertTrue(verifyObject(IMiddlewareFactory, dropIn))
        self.assertEqual(repr(dropIn), "<DropIn a 1.0>")
        self.assertEqual(repr(DropIn({}, dropIn.main)), "<DropIn ? ?>")

    def test_create(self) -> None:
        """It gives its configuration to what makes the middleware, and lets out what that raises."""
        made: list[Mapping[str, Any]] = []
        dropIn = DropIn({}, made.append)  # type: ignore[arg-type]
        dropIn.create({"x": 1})
        self.assertEqual(made, [{"x": 1}])
        self.assertRaises(KeyError, DropIn({}, lambda config: config["y"]).create, {})
