"""
The resource tree: host, then path prefix on segment boundaries, to a route.

The tree depends on the configuration alone, and generations share it: which chain a route has is the generation's.

The nodes are :class:`twisted.web.resource.Resource`, so ``twisted.web.resource.getChildForRequest`` walks them; the
hot path, :meth:`Tree.find`, walks the same ``children`` without a request. The longest prefix wins; a host that has
no route for a path falls back to the next less specific one (exact, ``*.example.com``, ``*.com``, any).

Prefixes are matched against the *normalised* path, so that no spelling of a path slips past the plugins of its route.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from twisted.web.resource import Resource

from revproxy.interfaces import ILeaf


@dataclass(frozen=True, slots=True)
class Route:
    """
    One entry of the tree.

    :ivar name: for logs and plugins.
    :ivar host: lower case; exact, ``*.`` and a name, or empty for any.
    :ivar path: the prefix, starting with a slash.
    :ivar lane: where its chain is among those of a generation.
    :ivar methods: those it takes; None: every one but TRACE. They do not choose the route.
    """

    name: str
    host: bytes
    path: bytes
    leaf: ILeaf
    lane: int = 0
    methods: frozenset[bytes] | None = None


class PathNode(Resource):  # type: ignore[misc]
    """
    One path segment.

    :ivar route: the route of the longest prefix that ends here or above, or None.
    """

    def __init__(self, route: Route | None) -> None:
        super().__init__()
        self.route = route

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


def normalised(path: bytes) -> bytes:
    """
    The path as it is matched: percent-decoded once, without empty and dot segments (RFC 3986 §5.2.4, §6.2.2).

    A trailing slash stays. What climbs above the root stays at the root.
    """
    if b"%" not in path and b"//" not in path and b"/." not in path:
        return path
    kept: list[bytes] = []
    last = b""
    for last in unquote_to_bytes(path).split(b"/"):
        if last == b"..":
            if kept:
                kept.pop()
        elif last and last != b".":
            kept.append(last)
    tail = b"/" if kept and last in (b"", b".", b"..") else b""
    return b"/" + b"/".join(kept) + tail


def stripped(target: bytes, prefix: bytes) -> bytes:
    """
    The target without its route's prefix; byte for byte if the prefix stands there as it is configured.

    :param prefix: as in :class:`Route`.
    """
    prefix = prefix.rstrip(b"/")
    rest = target[len(prefix) :]
    if target.startswith(prefix) and rest[:1] in (b"/", b"?", b""):
        return rest if rest.startswith(b"/") else b"/" + rest
    path, mark, query = target.partition(b"?")
    plain = normalised(path)[len(prefix) :]
    encoded: bytes = quote_from_bytes(plain, safe="/~!$&'()*+,;=:@").encode()
    return (encoded if encoded.startswith(b"/") else b"/" + encoded) + mark + query


class Tree:
    """All routes. Immutable once built."""

    __slots__ = ("_any", "_exact", "_only", "_wildcard")

    def __init__(self, routes: Iterable[Route]) -> None:
        """:raises ValueError: for two routes of the same host and path."""
        byHost: dict[bytes, list[Route]] = {}
        for route in routes:
            byHost.setdefault(route.host, []).append(route)
        self._any = _pathTree(byHost.pop(b"", []))
        self._exact = {host: _pathTree(some) for host, some in byHost.items() if not host.startswith(b"*.")}
        self._wildcard = {host[2:]: _pathTree(some) for host, some in byHost.items() if host.startswith(b"*.")}
        # One route for everything is common, and then there is nothing to look at.
        self._only = None if byHost or self._any.children else self._any.route

    def find(self, hostname: bytes, target: bytes) -> Route | None:
        """
        The route for a request.

        :param hostname: lower case, without port; empty if the client gave none.
        :param target: as the client wrote it.
        """
        if self._only is not None:
            return self._only
        path = target.partition(b"?")[0]
        if b"%" in path or b"//" in path or b"/." in path:
            path = normalised(path)
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


def _pathTree(routes: list[Route]) -> PathNode:
    root = PathNode(None)
    # Shorter prefixes first, so that each new node inherits the route above it.
    for route in sorted(routes, key=lambda route: route.path.rstrip(b"/").count(b"/")):
        node = root
        for segment in route.path.split(b"/"):
            if segment:
                child = node.children.get(segment)
                if child is None:
                    child = PathNode(node.route)
                    node.putChild(segment, child)
                node = child
        if node.route is not None and node.route.path.rstrip(b"/") == route.path.rstrip(b"/"):
            raise ValueError(f"routes {node.route.name} and {route.name} have the same host and path")
        _inherit(node, node.route, route)
    return root


def _inherit(node: PathNode, old: Route | None, new: Route) -> None:
    if node.route is old:
        node.route = new
        for child in node.children.values():
            _inherit(child, old, new)


def _longest(node: PathNode, path: bytes) -> Route | None:
    children = node.children
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
    return node.route
