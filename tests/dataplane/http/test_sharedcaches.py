"""Tests for `revproxy.dataplane.http.sharedcaches`: what a cache of many clients may keep."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.context import Headers, Response
from revproxy.dataplane.http.sharedcaches import mayKeep
from revproxy.testing import makeContext


class MayKeepTests(SynchronousTestCase):
    """`mayKeep`."""

    def may(self, status: int = 200, method: str = "GET", asked: dict[str, str] | None = None, **headers: str) -> bool:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        request = makeContext(method, headers=asked or {}).request
        return mayKeep(request, Response(status, None, Headers.of(fields), None))

    def test_never(self) -> None:
        """What says so, and what is no answer for caches."""
        for control in ("no-store", "private", "max-age=60, Private", "public, no-store", "no-cache, no-store"):
            self.assertFalse(self.may(Cache_Control=control), control)
        for method in ("PUT", "DELETE", "PATCH", "POST"):
            self.assertFalse(self.may(method=method))
        for status in (302, 303, 400, 401, 403, 500, 502, 503):
            self.assertFalse(self.may(status), status)
        self.assertFalse(self.may(asked={"Authorization": "Basic eDp5"}))
        self.assertFalse(self.may(asked={"Authorization": "Basic eDp5"}, Cache_Control="max-age=60"))

    def test_may(self) -> None:
        """What says so, and what caches may keep by themselves; in doubt, too."""
        self.assertTrue(self.may())
        for control in ("public", "max-age=60", "no-cache", "s-maxage=0", 'private="set-cookie"', "", "=, ,x"):
            self.assertTrue(self.may(Cache_Control=control), control)
        for status in (203, 204, 301, 308, 404, 410):
            self.assertTrue(self.may(status))
        self.assertTrue(self.may(302, Expires="0"))
        self.assertTrue(self.may(method="POST", Cache_Control="max-age=60"))
        self.assertTrue(self.may(asked={"Authorization": "x"}, Cache_Control="public"))
        self.assertTrue(self.may(asked={"Authorization": "x"}, Cache_Control="must-revalidate"))

    def test_notModified(self) -> None:
        """What says that something kept is still good: caches put its fields into that (RFC 9111 §4.3.4)."""
        self.assertTrue(self.may(304))
        self.assertTrue(self.may(304, Cache_Control="max-age=60"))
        self.assertFalse(self.may(304, Cache_Control="private"))
