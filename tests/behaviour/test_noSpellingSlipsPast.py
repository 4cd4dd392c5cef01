"""
However a path is written, it reaches no origin that could take it for a path of another route, with other plugins.

The table goes through the whole data plane to a recording origin. Whatever hypothesis can spell is put to models of
origins: what the edge forwards, none of them reads as belonging to a route that treats it differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.context import Context
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.leaves.proxy import ProxyLeaf
from revproxy.dataplane.routing import Route, Tree, stripped
from revproxy.errors import AmbiguousPath
from revproxy.interfaces import IMiddleware
from tests.behaviour.pathmodels import MODELS
from tests.behaviour.pipeline import Client, Pipeline
from tests.behaviour.spellings import GUARDED, PASSED, REFUSED, SPELLINGS
from tests.dataplane.doubles import RecorderDouble, RecordingLeaf, makeLink


@implementer(IMiddleware)
class Guard:
    """Lets nobody in."""

    name = "guard"

    def handle(self, context: Context) -> bool:
        return context.respond(401, "")


class Guarded(Pipeline):
    """The pipeline, with the routes that the table speaks of."""

    def __init__(self) -> None:
        super().__init__()
        leaf: Any = self.edge.generation.find(b"", b"/").leaf  # type: ignore[union-attr]
        stripping = ProxyLeaf(leaf._client, leaf.upstream, strip=b"/api")
        routes = [
            Route("all", b"", b"/", leaf),
            Route("admin", b"", b"/admin", leaf, 1),
            Route("pub", b"", b"/pub", leaf),
            Route("api", b"", b"/api", stripping, strips=True),
            Route("secret", b"", b"/api/secret", stripping, 1),
            Route("me", b"", b"/~me", leaf, 2),
            Route("menu", b"", "/café menu".encode(), leaf, 2),
        ]
        self.log = RecorderDouble()
        self.edge.recorder = self.log  # type: ignore[assignment]
        chains = [Chain([]), Chain([makeLink(Guard(), self.deadlines, name="guard")]), Chain([])]
        self.edge.generation = Generation(1, Tree(routes), chains)


class TableTests(SynchronousTestCase):
    """The table, line by line."""

    def ask(self, target: str) -> tuple[Guarded, Client]:
        pipeline = Guarded()
        client = pipeline.connect()
        client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1"))
        pipeline.end()
        return pipeline, client

    def test_names(self) -> None:
        """No line is there twice."""
        targets = [target for target, _ in SPELLINGS]
        self.assertEqual(len(targets), len(set(targets)), [one for one in targets if targets.count(one) > 1])
        self.assertGreater(len(targets), 150)

    def test_table(self) -> None:
        """Each spelling has its outcome; what is forwarded is what the client wrote."""
        wrong = []
        for target, expected in SPELLINGS:
            pipeline, client = self.ask(target)
            heard = [request.target for request in pipeline.origin.heard]
            outcome: Any = {(400,): REFUSED, (401,): GUARDED, (200,): PASSED}.get(tuple(client.statuses()))
            written = target.encode("latin-1")
            if expected == PASSED and target.startswith("/api/"):
                written = written[4:]
            if outcome != expected or heard != ([written] if expected == PASSED else []):
                wrong.append(f"{target[:80]}: {outcome}, not {expected}; heard {heard}")
        self.assertEqual(wrong, [], "\n".join(wrong))

    def test_oneRoute(self) -> None:
        """With one route there is nothing to dispute: everything goes through, NUL apart."""
        for target, _ in SPELLINGS:
            pipeline = Pipeline()
            client = pipeline.connect()
            client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1"))
            pipeline.end()
            nul = "%00" in target.partition("?")[0]
            self.assertEqual(client.statuses(), [400] if nul else [200], target)
            self.assertEqual([heard.target for heard in pipeline.origin.heard], [] if nul else [target.encode()])

    def test_whatIsSaid(self) -> None:
        """The client learns that it is malformed; the log, which routes it is between."""
        pipeline, client = self.ask("/pub/..;/admin/x")
        self.assertIn(b"The request is malformed.", client.got)
        self.assertNotIn(b"admin", client.got)
        [record] = pipeline.log.records
        self.assertEqual(
            record.error, "AmbiguousPath: an origin may read the path as one of route admin, and not of route pub"
        )
        self.assertEqual(record.status, 400)

    def test_nextRequest(self) -> None:
        """The connection goes on: where the request ends was never in doubt."""
        pipeline = Guarded()
        client = pipeline.connect()
        client.send(b"GET /admin/../x HTTP/1.1\r\nHost: x\r\n\r\nGET /pub HTTP/1.1\r\nHost: x\r\n\r\n")
        pipeline.end()
        self.assertEqual(client.statuses(), [400, 200])


LEAF, OTHER, STRIPPING = RecordingLeaf(), RecordingLeaf(), RecordingLeaf()
TREES: dict[str, Sequence[Route]] = {
    "guarded": (
        Route("all", b"", b"/", LEAF),
        Route("admin", b"", b"/admin", LEAF, 1),
        Route("x", b"", b"/admin/x", LEAF),
        Route("pub", b"", b"/pub", LEAF),
    ),
    "open door": (
        Route("all", b"", b"/", LEAF, 1),
        Route("pub", b"", b"/pub", LEAF),
        Route("deep", b"", b"/x/a/admin", OTHER, 1),
    ),
    "no route": (Route("admin", b"", b"/admin", LEAF, 1), Route("pub", b"", b"/pub/x", LEAF)),
    "stripped": (
        Route("all", b"", b"/", LEAF),
        Route("pub", b"", b"/pub", STRIPPING, strips=True),
        Route("admin", b"", b"/pub/admin", OTHER, 1),
        Route("again", b"", b"/pub/pub", OTHER, 1),
    ),
    "any case": (
        Route("all", b"", b"/", LEAF),
        Route("admin", b"", b"/Admin", LEAF, 1, ignoresCase=True),
        Route("x", b"", b"/admin/X", OTHER),
    ),
}

NAMES = ("admin", "pub", "x", "a", "ADMIN", "X", "Admin", "%61dmin", "%2561dmin", "p%75b", "caf%C3%A9", "b.c")
DOTS = ("..", ".", "%2e%2e", "%2E.", "%252e%252e", "..;", "..;a=b", "..%3b", "%c0%ae%c0%ae", "..%20", "...", "%u002e.")
SLASHES = ("//", "%2f", "%2F", "%252f", "%25%32%66", "\\", "%5c", "%255C", "%c0%af", "%u002f")
REST = (";", ";a=b", "%3b", "%3f", "%253f", "%23", "%20", "%0a", ".", "%2500", "%", "%zz", "%25", "@", "%ff")


def spelled(pieces: list[tuple[str, str, str]]) -> bytes:
    """Of slashes, names and what may follow them."""
    text = "".join(slash + name + rest for slash, name, rest in pieces)
    return (text if text.startswith("/") else f"/{text}").encode()


paths = st.lists(
    st.tuples(
        st.just("/") | st.just("/") | st.sampled_from(SLASHES),
        st.sampled_from(NAMES[:4]) | st.sampled_from(NAMES + DOTS + DOTS),
        st.just("") | st.just("") | st.just("") | st.sampled_from(REST),
    ),
    max_size=6,
).map(spelled)


def routeOf(names: Sequence[bytes], routes: Sequence[Route]) -> Route | None:
    """The longest prefix, found the slow way."""
    best, depth = None, -1
    for route in routes:
        prefix = [name for name in route.path.split(b"/") if name]
        ignoring = any(one.ignoresCase and route.path.lower().startswith(one.path.lower()) for one in routes)
        same = [name.lower() if ignoring else name for name in names[: len(prefix)]]
        if same == [name.lower() if ignoring else name for name in prefix] and len(prefix) > depth:
            best, depth = route, len(prefix)
    return best


def treatment(route: Route | None) -> Any:
    """What makes a difference."""
    return None if route is None else (route.group, route.leaf)


class ModelTests(SynchronousTestCase):
    """Origins of many kinds."""

    @settings(max_examples=3000, deadline=None)
    @given(paths, st.sampled_from(sorted(TREES)))
    @example(b"/admin/user/5%2f..%2f..%2f..%2fpub", "guarded")
    @example(b"/admin..%20%2fx..;", "guarded")
    @example(b"/admin.%2fx%0a", "guarded")
    @example(b"/%255Cb.c%252fpub%u002f%2E./admin/admin", "guarded")
    @example(b"/%2561dmin%2fx%252f\\x//%2e%2e", "guarded")
    @example(b"/%255Ccaf%C3%A9%u002e.%5cpub\\%2e%2e/pub", "open door")
    @example(b"/\\host%2f.%%32f\\admin", "no route")
    @example(b"/pub/../pub/admin", "stripped")
    @example(b"/pub/../pub/pub/..;/admin", "stripped")
    @example(b"/pub//a/admin", "stripped")
    @example(b"/pub%2f..%2fadmin", "stripped")
    @example(b"/pub/..;/", "stripped")
    @example(b"/ADMIN/x", "any case")
    @example(b"/ADMIN/..;/x", "any case")
    def test_nobodyReadsItOtherwise(self, path: bytes, name: str) -> None:
        """What is forwarded is for the route that each origin would take it for, or for one that is its equal."""
        routes = TREES[name]
        try:
            route = Tree(routes).find(b"x", path)
        except AmbiguousPath:
            return
        above = [segment for segment in route.path.split(b"/") if segment] if route and route.strips else []
        forwarded = stripped(path, route.path) if route and route.strips else path
        for model, read in MODELS.items():
            names = read(forwarded)
            if names is not None:
                other = routeOf(above + names, routes)
                self.assertEqual(treatment(other), treatment(route), (model, path, forwarded, names))

    @settings(max_examples=1000, deadline=None)
    @given(st.lists(st.sampled_from([b"admin", b"pub", b"x", b"a", b"ADMIN", b"b.c", b"caf%C3%A9", b"@s%20t"])))
    def test_whatIsPlainPasses(self, names: list[bytes]) -> None:
        """What has only one reading is not refused, and goes where its names say."""
        for routes in TREES.values():
            route = Tree(routes).find(b"x", b"/" + b"/".join(names))
            self.assertIs(route, routeOf(names, routes))
