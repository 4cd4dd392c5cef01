"""Where to listen."""

from __future__ import annotations

from errno import ENOENT
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.trial.unittest import SynchronousTestCase

from revproxy.loop import serverendpoint
from revproxy.loop.serverendpoint import serverEndpoint


class EndpointTests(SynchronousTestCase):
    """`serverEndpoint`."""

    def test_twisteds(self) -> None:
        """As Twisted has it, with its errors."""
        self.assertIsInstance(serverEndpoint(None, "tcp:8080"), TCP4ServerEndpoint)
        self.assertRaises(ValueError, serverEndpoint, None, "tcp:http")

    def test_systemd(self) -> None:
        """By number and by name, none is there: the reason names the endpoint and where to look."""
        for text in ("systemd:domain=INET:index=3", "systemd:domain=INET:name=nosuch"):
            error = self.assertRaises(OSError, serverEndpoint, None, text)
            self.assertEqual((error.errno, error.filename), (ENOENT, text))
            self.assertIn("systemd has handed over no such socket; see FileDescriptorName=", str(error))

    def test_others(self) -> None:
        """What else raises a LookupError is not systemd's."""

        def parse(*_: Any) -> None:
            raise KeyError("x")

        self.patch(serverendpoint, "serverFromString", parse)
        self.assertRaises(KeyError, serverEndpoint, None, "mine:1")
