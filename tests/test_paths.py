"""Tests for :mod:`revproxy.paths`; that of `normalised` is in tests.dataplane.test_routing, which matches by it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.paths import Prefixes
from tests.behaviour.spellings import GUARDED, PASSED, SPELLINGS


class PrefixesTests(SynchronousTestCase):
    """Paths that a plugin guards."""

    def test_segments(self) -> None:
        """A prefix ends at the end of a segment."""
        guarded = Prefixes(["/api", "/a/b/"])
        for path in ("/api", "/api/", "/api/x", "/a/b", "/a/b/", "/a/b/c/d", "/api?x", b"/api/x"):
            self.assertTrue(guarded.mayHold(path), path)
        for path in ("/", "/apis", "/x/api", "/a", "/a/bc", "/a?/api", "*", "", "/x.y/.z?/api/..;%2f"):
            self.assertFalse(guarded.mayHold(path), path)

    def test_spellings(self) -> None:
        """No way of writing one slips past."""
        guarded = Prefixes(["/api"])
        for path in ("//api/x", "/x/../api/x", "/%61pi/x", "/x/%2e%2e/api", "/./api", "/api;/x", "/x/..;/api",
                     "/x\\..\\api", "/api%2fx", "/api.", "/%2561pi", "/x/..%2fapi", "/api%00", "/api/../api/x"):
            self.assertTrue(guarded.mayHold(path), path)

    def test_asRoutes(self) -> None:
        """What the edge lets pass before an open route is free here, and what its guard has seen is not."""
        guarded = Prefixes(["/admin", "/api/secret"])
        for path, outcome in SPELLINGS:
            if outcome in (GUARDED, PASSED):
                self.assertEqual(guarded.mayHold(path), outcome == GUARDED, path)

    def test_untold(self) -> None:
        """What takes too long to tell is held to be one; what cannot be written in a request is no error."""
        self.assertTrue(Prefixes(["/api"]).mayHold("/" + "%zz" * 200))
        self.assertFalse(Prefixes(["/api"]).mayHold("/é\u2026"))

    def test_nested(self) -> None:
        """One within another makes no difference, in whatever order."""
        for paths in (["/a", "/a/b"], ["/a/b", "/a"]):
            self.assertTrue(Prefixes(paths).mayHold("/a/c"))
            self.assertTrue(Prefixes(paths).mayHold("/a/b/c"))

    def test_all(self) -> None:
        """The root holds everything; no path holds nothing."""
        self.assertTrue(Prefixes(["/"]).mayHold("/x"))
        self.assertTrue(Prefixes(["/"]).mayHold("*"))
        self.assertFalse(Prefixes([]).mayHold("/x"))

    def test_case(self) -> None:
        """In any case, where the origin does not care."""
        self.assertFalse(Prefixes(["/Api"]).mayHold("/api"))
        self.assertTrue(Prefixes(["/Api"], ignoreCase=True).mayHold("/aPI/x"))
        self.assertTrue(Prefixes(["/café"], ignoreCase=True).mayHold("/CAF%C3%89"))

    def test_refused(self) -> None:
        """A prefix that is itself not clear would guard something else than its author thinks."""
        for path in ("api", "", "/a%2fb", "/a//b", "/a/../b", "/a;b", "/a?b", "/a\\b", "/a#b"):
            self.assertRaises(ValueError, Prefixes, [path])
