"""Tests for :mod:`revproxy.dataplane.routing`."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import _UnsafeNoResource, getChildForRequest
from twisted.web.server import NOT_DONE_YET

from revproxy.dataplane import routing
from revproxy.dataplane.routing import PathNode, Route, Tree, below, normalised, stripped
from revproxy.errors import AmbiguousPath
from tests.dataplane.doubles import RecordingLeaf


def route(path: str, host: str = "", name: str | None = None) -> Route:
    return Route(name or f"{host}{path}", host.encode(), path.encode(), RecordingLeaf())


def tree(*paths: str) -> Tree:
    return Tree([route(path) for path in paths])


def found(tree: Tree, target: str, host: str = "a.example") -> str | None:
    result = tree.find(host.encode(), target.encode())
    return None if result is None else result.name


class PathTests(SynchronousTestCase):
    """Prefixes on segment boundaries, the longest wins."""

    def test_longest(self) -> None:
        """The most specific prefix answers, in whatever order they were given."""
        paths = ["/", "/api/", "/api/v1", "/api/v1/users/", "/static"]
        for order in (paths, paths[::-1]):
            routes = tree(*order)
            for target, name in (
                ("/", "/"),
                ("/x", "/"),
                ("/api", "/api/"),
                ("/api/", "/api/"),
                ("/api/v2", "/api/"),
                ("/api/v1", "/api/v1"),
                ("/api/v1/", "/api/v1"),
                ("/api/v1/users", "/api/v1/users/"),
                ("/api/v1/users/7/mails?x=/static", "/api/v1/users/"),
                ("/static/a.css", "/static"),
            ):
                self.assertEqual(found(routes, target), name, target)

    def test_boundaries(self) -> None:
        """A prefix ends where a segment ends, and case matters."""
        routes = tree("/api")
        for target in ("/apis", "/ap", "/API", "/x/api", "/", "/api.json", "/apis;x"):
            self.assertIsNone(found(routes, target), target)
        for target in ("/api", "/api/", "/api?x", "/api/x", "/api//", "/api/;x"):
            self.assertEqual(found(routes, target), "/api", target)

    def test_gap(self) -> None:
        """Between two prefixes, the shorter one answers; without one, nothing does."""
        self.assertEqual(found(tree("/", "/a/b/c"), "/a/b"), "/")
        self.assertIsNone(found(tree("/a/b/c"), "/a/b"))

    def test_spellings(self) -> None:
        """No spelling of a path slips past its route: what others may read in another way is refused."""
        routes = tree("/", "/admin", "/public")
        for target in (
            "/admin",
            "/admin/.",
            "/admin//",
            "/admin/x/..",
            "/admin/x%2fy",
            "/admin/%61;b",
            "/admin?/../public",
        ):
            self.assertEqual(found(routes, target), "/admin", target)
        for target in (
            "//admin",
            "/./admin",
            "/%61dmin",
            "/%2561dmin/../admin",
            "/x/../admin",
            "/x/%2e%2e/admin",
            "/x/.%2E/admin/y",
            "/public/../admin",
            "/public%2F..%2Fadmin",
            "/public/%2e%2e%2fadmin",
            "/../../admin",
            "/%2fadmin",
            "/x/y/../../admin?/public",
            "///admin///",
            "/admin/..",
            "/admin/../",
            "/admin/%2e%2e",
            "/%2561dmin",
            "/admin%2500",
        ):
            self.assertRaises(AmbiguousPath, found, routes, target)
        for target in ("/x?/admin", "/x/%2e", "/administrator/..", "/x%2fadmin", "/x;/admin"):
            self.assertEqual(found(routes, target), "/", target)

    def test_whatMakesADifference(self) -> None:
        """Plugins, leaf and methods do; name and path alone do not. Nor does no route go for any route."""
        leaf = RecordingLeaf()
        plain = Route("all", b"", b"/", leaf)
        for other, differs in (
            (Route("a", b"", b"/a", leaf), False),
            (Route("a", b"", b"/a", leaf, 1), True),
            (Route("a", b"", b"/a", RecordingLeaf()), True),
            (Route("a", b"", b"/a", leaf, methods=frozenset((b"GET",))), True),
        ):
            routes = Tree([plain, other])
            if differs:
                error = self.assertRaises(AmbiguousPath, routes.find, b"", b"/a;b")
                self.assertEqual(str(error), "an origin may read the path as one of route a, and not of route all")
            else:
                self.assertEqual(found(routes, "/a;b"), "all")
                self.assertEqual(found(routes, "/b/../a"), "a")
        error = self.assertRaises(AmbiguousPath, found, tree("/a"), "//a")
        self.assertEqual(str(error), "an origin may read the path as one of no route, and not of route /a")

    def test_otherHosts(self) -> None:
        """Each reading goes to the host that a route for it is on."""
        routes = Tree([route("/api", "a.example"), route("/"), route("/admin", "*.example"), route("/", "b.example")])
        self.assertEqual(found(routes, "/api/x%2fy"), "a.example/api")
        self.assertEqual(found(routes, "/x%2fy"), "/")
        self.assertEqual(found(routes, "/admin/x%2fy"), "*.example/admin")
        for target in ("/api/..%2fadmin", "/api%2fx", "/x/../admin", "/admin;x"):
            self.assertRaises(AmbiguousPath, found, routes, target)
            self.assertEqual(found(routes, target, "b.example"), "b.example/", target)
            self.assertEqual(found(Tree([route("/", "a.example"), route("/")]), target), "a.example/", target)

    def test_encodedRoutes(self) -> None:
        """Routes whose paths need encoding are found in any encoding."""
        routes = Tree([Route("u", b"", "/ä b".encode(), RecordingLeaf())])
        for target in ("/%C3%A4%20b", "/%c3%a4%20b/x"):
            self.assertEqual(found(routes, target), "u")

    def test_asterisk(self) -> None:
        """OPTIONS * goes where / goes."""
        self.assertEqual(found(tree("/"), "*"), "/")

    def test_twice(self) -> None:
        """The same prefix twice is an error that names both routes."""
        with self.assertRaisesRegex(ValueError, "one and two"):
            Tree([route("/a", name="one"), route("/a/", name="two")])

    def test_thousand(self) -> None:
        """With a thousand routes each is found, in as many steps as its path has segments."""
        routes = tree(*[f"/s{number}/t{number % 7}" for number in range(1000)])
        for number in range(1000):
            self.assertEqual(found(routes, f"/s{number}/t{number % 7}/x"), f"/s{number}/t{number % 7}")
        calls: list[int] = []
        longest = routing._longest

        def counted(node: PathNode, path: bytes) -> Any:
            calls.append(1)
            return longest(node, path)

        with patch.object(routing, "_longest", counted):
            found(routes, "/s999/t5/x")
        self.assertEqual(len(calls), 1)


class CaseTests(SynchronousTestCase):
    """Routes for origins that ignore case."""

    def setUp(self) -> None:
        self.tree = Tree(
            [
                route("/"),
                route("/pub"),
                Route("admin", b"", b"/Admin/Area", RecordingLeaf(), 1, ignoresCase=True),
                route("/admin/area/open"),
                route("/ADMIN/other"),
                Route("c", b"", "/straße".encode(), RecordingLeaf(), ignoresCase=True),
            ]
        )

    def test_anyCase(self) -> None:
        """The prefix fits in any case, and those of the routes below it; others do not."""
        for target, name in (
            ("/Admin/Area", "admin"),
            ("/admin/area/x", "admin"),
            ("/ADMIN/AREA?x", "admin"),
            ("/admin/area/open", "/admin/area/open"),
            ("/ADMIN/area/Open/x", "/admin/area/open"),
            ("/admin", "/"),
            ("/ADMIN/other/x", "/ADMIN/other"),
            ("/admin/other", "/"),
            ("/PUB", "/"),
            ("/stra%C3%9Fe/1", "c"),
            ("/STRASSE", "c"),
        ):
            self.assertEqual(found(self.tree, target), name, target)

    def test_oddPaths(self) -> None:
        """In any case, other readings are looked for."""
        self.assertEqual(found(self.tree, "/ADMIN/area/x%2fy"), "admin")
        self.assertEqual(found(self.tree, "/admin/AREA/./x"), "admin")
        for target in ("/x/../ADMIN/area", "/ADMIN%2farea", "/x%2f..%2fAdmin/Area", "/ADMIN/area;x", "/ADMIN//area"):
            self.assertRaises(AmbiguousPath, found, self.tree, target)

    def test_clash(self) -> None:
        """Two that differ in case only are an error."""
        for other in ("/a", "/A", "/A/"):
            with self.assertRaisesRegex(ValueError, "the same host and path"):
                Tree([Route("i", b"", b"/A", RecordingLeaf(), ignoresCase=True), route(other)])
        Tree([route("/a"), route("/A")])

    def test_only(self) -> None:
        """One route for everything answers everything."""
        self.assertEqual(found(Tree([Route("i", b"", b"/", RecordingLeaf(), ignoresCase=True)]), "/X/%2e"), "i")


class HostTests(SynchronousTestCase):
    """Exact, then wildcards from the narrowest, then any."""

    def setUp(self) -> None:
        self.tree = Tree(
            [
                route("/", "", "any"),
                route("/only", "", "any-only"),
                route("/", "a.example", "exact"),
                route("/", "*.example", "wild"),
                route("/deep", "*.b.example", "deeper"),
                route("/api", "api.example", "api"),
            ]
        )

    def test_hosts(self) -> None:
        """Each host has its own tree."""
        for host, target, name in (
            ("a.example", "/x", "exact"),
            ("c.example", "/x", "wild"),
            ("x.y.example", "/x", "wild"),
            ("x.b.example", "/deep/1", "deeper"),
            ("example", "/x", "any"),
            ("notexample", "/x", "any"),
            ("", "/x", "any"),
            ("[::1]", "/x", "any"),
            ("127.0.0.1", "/x", "any"),
        ):
            self.assertEqual(found(self.tree, target, host), name, host)

    def test_fallback(self) -> None:
        """A host without a route for this path falls back to the next less specific one."""
        self.assertEqual(found(self.tree, "/api/x", "api.example"), "api")
        self.assertEqual(found(self.tree, "/other", "api.example"), "wild")
        self.assertEqual(found(self.tree, "/other", "x.b.example"), "wild")
        self.assertEqual(found(self.tree, "/only", "example"), "any-only")

    def test_noFallbackLeft(self) -> None:
        """Where nothing matches, there is no route."""
        only = Tree([route("/", "a.example")])
        self.assertIsNone(found(only, "/", "b.example"))
        self.assertIsNone(found(only, "/", ""))
        self.assertIsNone(found(Tree([]), "/"))

    def test_manyLabels(self) -> None:
        """A host of very many labels is looked up, not crashed on."""
        self.assertEqual(found(self.tree, "/", "a." * 100 + "example"), "wild")


class NormalisedTests(SynchronousTestCase):
    """RFC 3986 §5.2.4, §6.2.2."""

    def test_examples(self) -> None:
        """Decoded once, no empty segments, no dots; a trailing slash stays."""
        for path, expected in (
            (b"/a/b", b"/a/b"),
            (b"/a/b/", b"/a/b/"),
            (b"/a//b", b"/a/b"),
            (b"/a/./b", b"/a/b"),
            (b"/a/../b", b"/b"),
            (b"/a/..", b"/"),
            (b"/a/b/..", b"/a/"),
            (b"/a/.", b"/a/"),
            (b"/../..", b"/"),
            (b"//", b"/"),
            (b"/%41", b"/A"),
            (b"/%2541", b"/%41"),
            (b"/a%2fb", b"/a/b"),
            (b"/a/%2e%2e/b", b"/b"),
            (b"/...", b"/..."),
            (b"/.a", b"/.a"),
            (b"/%", b"/%"),
            (b"/%zz", b"/%zz"),
        ):
            self.assertEqual(normalised(path), expected, path)

    @given(st.lists(st.sampled_from([b"/", b".", b"..", b"a", b"%2e", b"%2F", b"%61", b"%25"]), max_size=12))
    def test_clean(self, parts: list[bytes]) -> None:
        """What comes out has no empty, dot or dot-dot segment, and begins with a slash."""
        path = normalised(b"/" + b"".join(parts))
        self.assertTrue(path.startswith(b"/"))
        for segment in path[1:].split(b"/")[:-1]:
            self.assertNotIn(segment, (b"", b".", b".."))
        self.assertNotIn(path.rsplit(b"/")[-1], (b".", b".."))


class StrippedTests(SynchronousTestCase):
    """The target without its route's prefix."""

    def test_examples(self) -> None:
        """Byte for byte where the prefix stands as configured, else from the normalised path."""
        for target, prefix, expected in (
            (b"/api/x%20y?q=1", b"/api", b"/x%20y?q=1"),
            (b"/api/x", b"/api/", b"/x"),
            (b"/api", b"/api", b"/"),
            (b"/api?q", b"/api", b"/?q"),
            (b"/api/", b"/api/", b"/"),
            (b"/x", b"/", b"/x"),
            (b"//api/x", b"/api", b"/x"),
            (b"/%61pi/x%20y?q", b"/api", b"/x%20y?q"),
            (b"/z/../api/x", b"/api", b"/x"),
            (b"/api//b", b"/api", b"//b"),
            (b"/API/x%20y?q", b"/api", b"/x%20y?q"),
            (b"/Api", b"/api", b"/"),
            (b"/Api?q", b"/api", b"/?q"),
            (b"/%C3%A4%20b/x%2fy?q", "/ä b/".encode(), b"/x%2fy?q"),
            (b"/%C3%A4", "/ä".encode(), b"/"),
            (b"/a/b/c%2fd", b"/a/b", b"/c%2fd"),
            (b"/a//b/c%2fd", b"/a/b", b"/c/d"),
        ):
            self.assertEqual(stripped(target, prefix), expected, target)

    def test_below(self) -> None:
        """The rest of a decoded path, whatever the case of the prefix; None where it is not below it."""
        for path, prefix, expected in (
            (b"/files/a", b"/files", b"/a"),
            (b"/files", b"/files", b""),
            (b"/files/", b"/files", b"/"),
            (b"/FILES/A/b", b"/files", b"/A/b"),
            (b"/FILES", b"/files", b""),
            (b"/x", b"", b"/x"),
            (b"/filesystem", b"/files", None),
            (b"/FILESYSTEM", b"/files", None),
            (b"/", b"/files", None),
            (b"/a/b/c", b"/a/B", b"/c"),
        ):
            self.assertEqual(below(path, prefix), expected, path)


class RequestDouble:
    """As much of a request as ``getChildForRequest`` needs."""

    def __init__(self, path: bytes) -> None:
        self.prepath: list[bytes] = []
        self.postpath = path[1:].split(b"/")


SEGMENTS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=4)


class ResourceTests(SynchronousTestCase):
    """The nodes are IResource: what walks those walks the tree."""

    @given(st.lists(SEGMENTS, min_size=1, max_size=6), SEGMENTS, st.booleans())
    def test_sameAsTwisted(self, prefixes: list[list[str]], segments: list[str], slash: bool) -> None:
        """``twisted.web.resource.getChildForRequest`` comes to the same leaf as ``find``."""
        paths = sorted({"/" + "/".join(prefix) for prefix in prefixes})
        routes = tree(*paths)
        path = "/" + "/".join(segments) + ("/" if slash and segments else "")
        expected = routes.find(b"", path.encode())
        root = routes.resourceFor(b"")
        assert root is not None
        resource = getChildForRequest(root, RequestDouble(path.encode()))
        if isinstance(resource, PathNode):
            self.assertEqual(resource.route and resource.route.path, expected and expected.path)
        elif expected is None:
            self.assertIsInstance(resource, _UnsafeNoResource)
        else:
            self.assertIs(resource, expected.leaf)

    def test_render(self) -> None:
        """A node renders as its route's leaf."""
        routes = tree("/a")
        root = routes.resourceFor(b"")
        assert root is not None
        node = getChildForRequest(root, RequestDouble(b"/a"))
        request = object()
        self.assertEqual(node.render(request), NOT_DONE_YET)
        leaf = routes.find(b"", b"/a").leaf
        self.assertEqual(leaf.exchanges, [request])

    def test_hosts(self) -> None:
        """A named host has a root of its own."""
        routes = Tree([route("/", "a.example"), route("/")])
        self.assertEqual(routes.resourceFor(b"a.example").route.name, "a.example/")
        self.assertEqual(routes.resourceFor(b"b.example").route.name, "/")
