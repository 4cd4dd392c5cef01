"""Tests for :mod:`revproxy.dataplane.admission`."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.admission import checkMethod, checkName
from revproxy.errors import MethodNotAllowed, Misdirected
from revproxy.testing import makeContext


class AdmissionTests(SynchronousTestCase):
    """Methods, and names of TLS sessions."""

    def test_method(self) -> None:
        """Those that the route names; the usual ones where it names none."""
        checkMethod(b"GET", frozenset([b"GET"]))
        checkMethod(b"GET", None)
        error = self.assertRaises(MethodNotAllowed, checkMethod, b"PUT", frozenset([b"GET", b"HEAD"]))
        self.assertIn("PUT", str(error))
        self.assertRaises(MethodNotAllowed, checkMethod, b"TRACE", None)

    def test_name(self) -> None:
        """Asked of TLS sessions only."""
        asked = []

        def guards(name: str | None, hostname: bytes) -> bool:
            asked.append((name, hostname))
            return hostname == b"secret"

        checkName(makeContext().request, b"secret", guards)
        request = makeContext(tls=SimpleNamespace(serverName="other")).request
        checkName(request, b"open", guards)
        self.assertRaises(Misdirected, checkName, request, b"secret", guards)
        self.assertEqual(asked, [("other", b"open"), ("other", b"secret")])
