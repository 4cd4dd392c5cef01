"""Tests for `revproxy.interfaces`, and that what plugins import of the root files is where it was."""

from __future__ import annotations

from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.interface import InterfaceClass

from revproxy import interfaces

EARLIER: dict[str, tuple[str, ...]] = {
    "addresses": ("AddressSet",),
    "body": ("Body",),
    "bookedclient": ("Book", "BookedClient"),
    "context": ("Context", "Headers", "Peer", "Request", "Response", "TOKEN"),
    "dropin": ("DropIn",),
    "errors": ("BadRequest", "BodyTooLarge", "EdgeError", "NotFound", "PluginFailed", "PluginQuarantined"),
    "headers": ("Headers", "HOP_BY_HOP", "TOKEN"),
    "host": ("Host", "notLonger"),
    "interfaces": (
        "IBodySink",
        "IBodySource",
        "IClientStream",
        "IConfigurable",
        "IHealthCheck",
        "IHost",
        "IHosted",
        "ILeaf",
        "ILifecycle",
        "IMiddleware",
        "IMiddlewareFactory",
        "IObserver",
        "IResponseMiddleware",
        "IStateful",
    ),
    "regularfile": ("readFile",),
    "testing": ("EdgeDouble", "HostDouble", "SinkDouble", "SourceDouble", "makeContext"),
}
"""Names that version 0.1.0 had, by file."""


class NamesTests(SynchronousTestCase):
    """
    What authors have written goes on working.
    """

    def test_earlier(self) -> None:
        """
        Every name can be imported from where it was.
        """
        for module, names in EARLIER.items():
            for name in names:
                self.assertTrue(hasattr(import_module(f"revproxy.{module}"), name), f"{module}.{name}")

    def test_unknown(self) -> None:
        """
        A name that never was is an error.
        """
        self.assertRaises(AttributeError, getattr, interfaces, "INothing")

    def test_interfaces(self) -> None:
        """
        What is told to be an interface is one, and has a docstring.
        """
        for name in interfaces.__all__:
            interface = getattr(interfaces, name)
            self.assertIsInstance(interface, InterfaceClass)
            self.assertTrue(interface.__doc__, name)
