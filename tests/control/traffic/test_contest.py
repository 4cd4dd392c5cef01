"""
Who could have won, and why the others lost.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.traffic.contest import MOST, candidates, losers
from revproxy.control.traffic.pastplans import routesOf
from revproxy.dataplane.routing import Route, Tree
from revproxy.errors import AmbiguousPath
from tests.control.traffic.plans import planOf
from tests.dataplane.doubles import RecordingLeaf

ROUTES = """routes:
- {name: shop, host: shop.example.com, upstream: u}
- {name: api, host: shop.example.com, path: /api/, upstream: u}
- {name: wild, host: "*.example.com", upstream: u}
- {name: deep, host: "*.example.com", path: /api/v1, upstream: u}
- {name: any, path: /, respond: {}}
- {name: files, path: /files, case: insensitive, respond: {}}
"""


class LosersTests(SynchronousTestCase):
    """
    The other routes, each with its reason.
    """

    def setUp(self) -> None:
        self.routes = routesOf(planOf(1, ROUTES).config)

    def why(self, host: str, target: str, chosen: str | None) -> dict[str, str]:
        """
        By the names of the routes.
        """
        return {each.route.name: each.why for each in losers(self.routes, host, target.encode(), chosen)}

    def test_reasons(self) -> None:
        """
        A shorter path, a less specific host; in the order in which they would have been chosen.
        """
        why = self.why("shop.example.com", "/api/v1/x?y", "api")
        self.assertEqual(list(why.items()), [
            ("shop", "its path, /, is shorter than /api/"),
            ("deep", "its host, *.example.com, is less specific than shop.example.com"),
            ("wild", "its host, *.example.com, is less specific than shop.example.com"),
            ("any", "its host, any, is less specific than shop.example.com"),
        ])  # fmt: skip

    def test_case(self) -> None:
        """
        What ignores case fits in any.
        """
        self.assertEqual(list(self.why("other", "/FILES/x", "files")), ["any"])

    def test_noneFits(self) -> None:
        """
        Where there is none, those that come near.
        """
        self.routes = routesOf(planOf(1, "routes: [{name: a, host: shop, path: /a, upstream: u}]").config)
        self.assertEqual(self.why("shop", "/b", None), {"a": "its path, /a, is no prefix of the request's"})
        self.assertEqual(self.why("blog", "/a", None), {"a": "its host, shop, is not blog"})

    def test_refused(self) -> None:
        """
        Where the request was refused, all that fit.
        """
        self.assertEqual(
            set(self.why("other", "/files/..%2fx", None).values()), {"it fits, but was not taken: see the error"}
        )

    def test_bounded(self) -> None:
        """
        Neither many routes nor long requests make it long.
        """
        many = "routes: [" + ", ".join(f"{{host: h, path: /{index}, respond: {{}}}}" for index in range(1000)) + "]"
        self.routes = routesOf(planOf(1, many).config)
        self.assertEqual(len(losers(self.routes, "h", b"/x", None)), MOST)
        self.assertEqual(losers(self.routes, "h." * 5000, b"/a" * 5000, None)[:0], [])


PARTS = st.lists(st.sampled_from(["a", "b", "A"]), max_size=3).map(lambda parts: "/" + "/".join(parts))
HOSTS = st.sampled_from(["", "x.com", "*.x.com", "*.com", "y.x.com"])


class AgreementTests(SynchronousTestCase):
    """
    What explains says what chooses.
    """

    @settings(deadline=None, max_examples=400)
    @given(
        st.dictionaries(st.tuples(HOSTS, PARTS), st.booleans(), max_size=8),
        st.sampled_from(["x.com", "y.x.com", "z.y.x.com", "com", "other", ""]),
        st.lists(st.sampled_from(["a", "b", "A", "", ".", "..", "%61", "a;x"]), max_size=4),
    )
    def test_agree(self, places: Any, host: str, path: list[str]) -> None:
        """
        The first of the candidates is the one that the tree finds, unless that refuses the path.
        """
        leaf = RecordingLeaf()
        routes = [
            Route(f"{at} {name}", at.encode(), name.encode(), leaf, ignoresCase=ignores)
            for (at, name), ignores in places.items()
        ]
        try:
            tree = Tree(routes)
        except ValueError:
            return
        past = routesOf(_config(places))
        target = ("/" + "/".join(path)).encode()
        try:
            found = tree.find(host.encode(), target)
        except AmbiguousPath:
            return
        fitting = candidates(past, host, target)
        self.assertEqual(fitting[0].name if fitting else None, None if found is None else found.name)


def _config(places: Any) -> Any:
    """
    As much of a configuration as is looked at.
    """
    from types import SimpleNamespace

    routes = [
        SimpleNamespace(
            name=f"{at} {name}", host=at or None, path=name, upstream="u", redirect=None, respond=None, static=None,
            resource=None, methods=None, case="insensitive" if ignores else "sensitive",
        )
        for (at, name), ignores in places.items()
    ]  # fmt: skip
    groups = (SimpleNamespace(routes=tuple(range(len(routes)))),) if routes else ()
    return SimpleNamespace(routes=routes, routeGroups=groups)
