"""Tests for plugins/require-key."""

from hashlib import sha256
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.testing import EdgeDouble
from tests.plugins.folders import mainOf, manifestOf, problemsOf

KEYS = {"acme": sha256(b"k-123").hexdigest(), "globex": sha256(b"k-456").hexdigest()}


class RequireKeyTests(SynchronousTestCase):
    """Who has no key is answered here."""

    def edge(self, **config: Any) -> EdgeDouble:
        return EdgeDouble(mainOf(self, "require-key")({"keys": KEYS, **config}))

    def test_known(self) -> None:
        """Who has a key passes; others learn whose it is, and the origin does not get the key."""
        answer = self.edge().get("/", {"x-api-key": "k-456"})
        assert answer.forwarded is not None
        self.assertNotIn("X-Api-Key", answer.forwarded.headers)
        self.assertEqual(answer.context.values["key-owner"], "globex")

    def test_unknown(self) -> None:
        """No key, a wrong one, a digest, or two at once are answered 401."""
        for headers in ([], [("X-Api-Key", "k-12")], [("X-Api-Key", KEYS["acme"])], [("X-Api-Key", "k-123")] * 2):
            answer = self.edge().get("/", headers)
            self.assertEqual((answer.status, answer.forwarded), (401, None))
            self.assertTrue(answer.headers.get("WWW-Authenticate"))

    def test_paths(self) -> None:
        """A key is needed below the paths named, and no spelling of them slips past."""
        edge = self.edge(paths=["/api/"])
        for free in ("/", "/apis", "/x/api", "/x.y/.z?/api/..;%2f", "/?/api"):
            self.assertEqual(edge.get(free).status, 200, free)
        for guarded in ("/api", "/api/", "/api/x?y", "//api/x", "/x/../api/x", "/%61pi/x", "/x/%2e%2e/api", "/./api",
                        "/api;/x", "/x/..;/api", "/x\\..\\api", "/api%2fx", "/api.", "/%2561pi"):
            self.assertEqual(edge.get(guarded).status, 401, guarded)

    def test_header(self) -> None:
        """The header can have another name."""
        self.assertEqual(self.edge(header="X-Token").get("/", {"X-Token": "k-123"}).status, 200)

    def test_schema(self) -> None:
        """Keys are given as digests: a key in clear is refused before the plugin runs."""
        self.assertEqual(len(problemsOf(manifestOf("require-key"), {"keys": {"acme": "k-123"}})), 1)
