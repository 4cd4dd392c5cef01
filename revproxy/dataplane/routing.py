"""
The resource tree: host, then path prefix on segment boundaries, to a route.

The tree depends on the configuration alone, and generations share it: which chain a route has is the generation's.

The nodes are :class:`twisted.web.resource.Resource`, so ``twisted.web.resource.getChildForRequest`` walks them; the
hot path, :meth:`Tree.find`, walks the same ``children`` without a request. The longest prefix wins; a host that has
no route for a path falls back to the next less specific one (exact, ``*.example.com``, ``*.com``, any).

Prefixes are matched against the *normalised* path. What is forwarded are the bytes that the client wrote, and an origin
may read these in another way (:mod:`revproxy.readings`). Where another reading chooses a route with another
treatment, other plugins or another leaf, the request is refused: so no spelling of a path slips past its route.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from twisted.web.resource import Resource

from revproxy.casefolding import folded
from revproxy.dataplane.http.interfaces import ILeaf
from revproxy.errors import AmbiguousPath
from revproxy.paths import normalised
from revproxy.readings import reached

# As numbers: Python looks for these in bytes in a sixth of the time.
_PERCENT, _SEMICOLON, _BACKSLASH, _DOT = b"%;\\."


@dataclass(frozen=True, slots=True)
class Route:
    """
    One entry of the tree.

    :ivar name: for logs and plugins.
    :ivar host: lower case; exact, ``*.`` and a name, or empty for any.
    :ivar path: the prefix, starting with a slash.
    :ivar group: of routes that have their chain in common: where it is among the chains of a generation.
    :ivar methods: those it takes; None: every one but TRACE. They do not choose the route.
    :ivar ignoresCase: whether its prefix fits in any case, and those of longer routes below it.
    :ivar strips: whether the origin gets the target without the prefix.
    """

    name: str
    host: bytes
    path: bytes
    leaf: ILeaf
    group: int = 0
    methods: frozenset[bytes] | None = None
    ignoresCase: bool = False
    strips: bool = False

    @property
    def upstream(self) -> str | None:
        """The name of the upstream that its leaf passes requests to; None for another leaf."""
        upstream = getattr(self.leaf, "upstream", None)
        return None if upstream is None else str(upstream.name)


class PathNode(Resource):  # type: ignore[misc]
    """
    One path segment.

    :ivar route: the route of the longest prefix that ends here or above, or None.
    :ivar folded: of a host's root: that of the routes that fit in any case, in one case; None without such.
    """

    def __init__(self, route: Route | None) -> None:
        super().__init__()
        self.route = route
        self.folded: PathNode | None = None

    def getChild(self, path: bytes, request: Any) -> Any:
        """No longer prefix: what answers here answers below. ``path`` goes back, for the leaf to see."""
        request.prepath.pop()
        request.postpath.insert(0, path)
        if self.route is None:
            return super().getChild(path, request)
        return self.route.leaf

    def render(self, request: Any) -> Any:
        """The path ends here."""
        if self.route is None:
            return super().getChild(b"", request).render(request)
        return self.route.leaf.render(request)


def below(path: bytes, prefix: bytes) -> bytes | None:
    """
    What of a normalised path follows its route's prefix: nothing, or a slash and more; None if the prefix is not there.

    :param prefix: without a slash at its end. It may stand there in any case: whether it has to be this one was
        decided with the route.
    """
    rest = path[len(prefix) :]
    if path.startswith(prefix) and rest[:1] in (b"/", b""):
        return rest
    depth = prefix.count(b"/") + 1
    pieces = path.split(b"/", depth)
    if folded(b"/".join(pieces[:depth])) != folded(prefix):
        return None
    return b"/" + pieces[depth] if len(pieces) > depth else b""


def stripped(target: bytes, prefix: bytes) -> bytes:
    """
    The target without its route's prefix. What follows is byte for byte as it was, unless slashes or dot segments stand
    in the way.

    :param prefix: as in :class:`Route`.
    """
    prefix = prefix.rstrip(b"/")
    rest = target[len(prefix) :]
    if target.startswith(prefix) and rest[:1] in (b"/", b"?", b""):
        return rest if rest.startswith(b"/") else b"/" + rest
    path, mark, query = target.partition(b"?")
    depth = prefix.count(b"/") + 1
    pieces = path.split(b"/", depth)
    if folded(unquote_to_bytes(b"/".join(pieces[:depth]))) == folded(prefix):
        return b"/" + b"".join(pieces[depth:]) + mark + query
    plain = normalised(path)[len(prefix) :]
    encoded: bytes = quote_from_bytes(plain, safe="/~!$&'()*+,;=:@").encode()
    return (encoded if encoded.startswith(b"/") else b"/" + encoded) + mark + query


class Tree:
    """All routes. Immutable once built."""

    __slots__ = ("_any", "_exact", "_only", "_wildcard")

    def __init__(self, routes: Iterable[Route]) -> None:
        """:raises ValueError: for two routes of the same host and path, also in any case if one of them fits so."""
        byHost: dict[bytes, list[Route]] = {}
        for route in routes:
            byHost.setdefault(route.host, []).append(route)
        self._any = _hostTree(byHost.pop(b"", []))
        self._exact = {host: _hostTree(some) for host, some in byHost.items() if not host.startswith(b"*.")}
        self._wildcard = {host[2:]: _hostTree(some) for host, some in byHost.items() if host.startswith(b"*.")}
        # One route for everything is common, and then there is nothing to look at.
        self._only = None if byHost or self._any.children else self._any.route

    def find(self, hostname: bytes, target: bytes) -> Route | None:
        """
        The route for a request.

        :param hostname: lower case, without port; empty if the client gave none.
        :param target: as the client wrote it: a path that begins with a slash, and a query; or an asterisk.
        :raises AmbiguousPath: if an origin may take it for another path, whose route is another thing.
        """
        if self._only is not None:
            return self._only
        path = target.partition(b"?")[0]
        if (
            _PERCENT in path
            or _SEMICOLON in path
            or _BACKSLASH in path
            # Not only dot segments: some file systems drop the last dot of a name.
            or path[-1] == _DOT
            or path.find(b"./") >= 0
            or path.find(b"//") >= 0
        ):
            return self._agreed(hostname, path)
        node = self._exact.get(hostname)
        if node is not None:
            route = _longest(node, path)
            if route is not None:
                return route
        if self._wildcard:
            suffix = hostname.partition(b".")[2]
            while suffix:
                node = self._wildcard.get(suffix)
                if node is not None:
                    route = _longest(node, path)
                    if route is not None:
                        return route
                suffix = suffix.partition(b".")[2]
        return _longest(self._any, path)

    def resourceFor(self, hostname: bytes) -> PathNode | None:
        """The root resource of an exactly named host, or of all others."""
        return self._exact.get(hostname, self._any)

    # Paths that are not plain

    def _agreed(self, hostname: bytes, path: bytes) -> Route | None:
        """The route that all readings of a path choose, or that is treated like those which they choose."""
        routes: set[Route | None] = {None}
        for root in self._roots(hostname):
            routes.discard(None)
            routes |= _routesReached(root, root.folded, path)
            if None not in routes:
                break
        if len(routes) == 1:
            [route] = routes
        else:
            plain = normalised(path)
            found = (_longest(root, plain) for root in self._roots(hostname))
            route = next((candidate for candidate in found if candidate is not None), None)
            _checkTreatment(route, routes)
        if route is not None and route.strips:
            self._checkStripped(route, path)
        return route

    def _roots(self, hostname: bytes) -> Iterator[PathNode]:
        """Of the trees that may have a route for a host, in order."""
        if hostname in self._exact:
            yield self._exact[hostname]
        suffix = hostname.partition(b".")[2]
        while suffix:
            if suffix in self._wildcard:
                yield self._wildcard[suffix]
            suffix = suffix.partition(b".")[2]
        yield self._any

    def _checkStripped(self, route: Route, path: bytes) -> None:
        """To the origin, the prefix is the root: it climbs no higher, and it may see two slashes where it begins."""
        host = route.host
        if not host:
            root = self._any
        else:
            root = self._wildcard[host[2:]] if host.startswith(b"*.") else self._exact[host]
        start = _nodeAt(root, route.path)
        assert start is not None
        folds = None if root.folded is None else _nodeAt(root.folded, folded(route.path))
        _checkTreatment(route, _routesReached(start, folds, stripped(path, route.path)))


def _routesReached(root: PathNode, folds: PathNode | None, path: bytes) -> set[Route | None]:
    """
    What the readings of a path choose.

    :param folds: where the routes that fit in any case begin.
    """
    routes: set[Route | None] = {node.route for node in reached(root, path)}
    if folds is None:
        return routes
    inAnyCase: set[Route | None] = {node.route for node in reached(folds, path, folds=True)}
    return {_deeper(route, other) for route in routes for other in inAnyCase}


def _deeper(route: Route | None, other: Route | None) -> Route | None:
    """That of the longer prefix; of equally long ones, the first."""
    if route is None or (other is not None and _depth(other.path) > _depth(route.path)):
        return other
    return route


def _depth(path: bytes) -> int:
    return path.rstrip(b"/").count(b"/")


def _checkTreatment(route: Route | None, others: Iterable[Route | None]) -> None:
    """:raises AmbiguousPath: if it makes a difference which of these is chosen."""
    for other in others:
        if other is not route and (
            route is None
            or other is None
            or other.group != route.group
            or other.leaf is not route.leaf
            or other.methods != route.methods
        ):
            raise AmbiguousPath(f"an origin may read the path as one of {_called(other)}, and not of {_called(route)}")


def _called(route: Route | None) -> str:
    return "no route" if route is None else f"route {route.name}"


def _nodeAt(root: PathNode, path: bytes) -> PathNode | None:
    node: PathNode | None = root
    for segment in path.split(b"/"):
        if segment and node is not None:
            node = node.children.get(segment)
    return node


def _hostTree(routes: list[Route]) -> PathNode:
    root = _pathTree(routes)
    inAnyCase = [route for route in routes if route.ignoresCase]
    if inAnyCase:
        # What ignores case does so all the way down: a longer route in its own case only could be passed by.
        above = _pathTree(inAnyCase, folded)
        root.folded = _pathTree([route for route in routes if _longest(above, folded(route.path))], folded)
    return root


def _pathTree(routes: list[Route], spell: Callable[[bytes], bytes] = bytes) -> PathNode:
    root = PathNode(None)
    # Shorter prefixes first, so that each new node inherits the route above it.
    for route in sorted(routes, key=lambda route: _depth(route.path)):
        node = root
        for segment in spell(route.path).split(b"/"):
            if segment:
                child = node.children.get(segment)
                if child is None:
                    child = PathNode(node.route)
                    node.putChild(segment, child)
                node = child
        if node.route is not None and _depth(node.route.path) == _depth(route.path):
            raise ValueError(f"routes {node.route.name} and {route.name} have the same host and path")
        _inherit(node, node.route, route)
    return root


def _inherit(node: PathNode, old: Route | None, new: Route) -> None:
    if node.route is old:
        node.route = new
        for child in node.children.values():
            _inherit(child, old, new)


def _longest(root: PathNode, path: bytes) -> Route | None:
    node = root
    children = root.children
    if children:
        for segment in path.split(b"/"):
            if segment:
                child = children.get(segment)
                if child is None:
                    break
                node = child
                children = node.children
                if not children:
                    break
    if root.folded is not None:
        return _deeper(node.route, _longest(root.folded, folded(path)))
    return node.route
