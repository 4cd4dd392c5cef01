"""Tests for :mod:`revproxy.toolbox`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface

from revproxy import context
from revproxy.testing import ToolboxDouble
from revproxy.toolbox import Services, Toolbox


class IAccounts(Interface):
    """What some plugin provides."""


class ServicesTests(SynchronousTestCase):
    """What other plugins provide."""

    def test_lookup(self) -> None:
        """By interface, each time anew: a plugin may be replaced while another keeps this."""
        tools = ToolboxDouble()
        services = Services(tools)
        self.assertRaises(KeyError, services.__getitem__, IAccounts)
        self.assertEqual((services.get(IAccounts), services.get(IAccounts, 7)), (None, 7))
        for provided in (object(), object()):
            tools.provided[IAccounts] = provided
            self.assertIs(services[IAccounts], provided)
            self.assertIs(services.get(IAccounts, 7), provided)

    def test_oldNames(self) -> None:
        """The context's module has them as before."""
        self.assertEqual((context.Services, context.Toolbox), (Services, Toolbox))
