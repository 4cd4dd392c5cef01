"""The routes of revproxy.yaml as frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from revproxy.casefolding import folded
from revproxy.config import syntax
from revproxy.config.problems import quoted, suggestion
from revproxy.config.section import Section
from revproxy.config.settings import PluginSetting, RedirectConfig, RespondConfig, RouteConfig, UpstreamConfig

LEAVES = ("upstream", "redirect", "respond", "health", "static", "resource")
"""The keys of which a route has one: what answers."""


def routesOf(root: Section, upstreams: Mapping[str, UpstreamConfig]) -> tuple[RouteConfig, ...]:
    """All routes; their problems are added to the section's. Without any routes, the one to the only upstream."""
    sections = list(root.items("routes"))
    if not sections and not root.value.get("routes"):
        return _onlyRoute(root, upstreams)
    routes: list[RouteConfig] = []
    kept: list[Section] = []
    places: dict[tuple[str | None, str], str] = {}
    names: set[str] = set()
    for section in sections:
        route = _route(section, upstreams)
        where = (route.host, route.path.rstrip("/"))
        if not any(section.has(leaf) for leaf in LEAVES):
            continue
        if where in places:
            section.refuse(f"host and path are those of the route {quoted(places[where])}; only one of them can answer")
        elif route.name in names:
            section.refuse(f"another route has the name {quoted(route.name)}", "name")
        places.setdefault(where, route.name)
        names.add(route.name)
        routes.append(route)
        kept.append(section)
    if any(route.case == "insensitive" for route in routes):
        _checkCase(kept, routes)
    return tuple(routes)


def _checkCase(sections: Sequence[Section], routes: Sequence[RouteConfig]) -> None:
    """A route below one that ignores case ignores it, too; so two routes there must differ in more than case."""
    paths = [folded(route.path.rstrip("/").encode()) for route in routes]
    inAnyCase = {
        (route.host, path): route for route, path in zip(routes, paths, strict=True) if route.case == "insensitive"
    }
    seen: dict[tuple[str | None, bytes], RouteConfig] = {}
    for section, route, path in zip(sections, routes, paths, strict=True):
        names = path.split(b"/")
        above = [inAnyCase.get((route.host, b"/".join(names[:depth]))) for depth in range(1, len(names) + 1)]
        first = next((other for other in above if other is not None), None)
        if first is None:
            continue
        other = seen.setdefault((route.host, path), route)
        if other is not route and other.path.rstrip("/") != route.path.rstrip("/"):
            section.refuse(f"differs from the route {quoted(other.name)} in case only, which is ignored here", "path")
        elif section.has("case") and route.case == "sensitive":
            section.refuse(f"is below the route {quoted(first.name)}, which ignores case; leave it out here", "case")


def _onlyRoute(root: Section, upstreams: Mapping[str, UpstreamConfig]) -> tuple[RouteConfig, ...]:
    if len(upstreams) == 1:
        return (RouteConfig(host=None, path="/", name="/", upstream=next(iter(upstreams))),)
    if upstreams:
        root.refuse("there are several upstreams and no routes; say under routes what goes where")
    elif not root.problems:
        root.refuse("nothing to serve: give routes, or one upstream that everything goes to")
    return ()


def _route(section: Section, upstreams: Mapping[str, UpstreamConfig]) -> RouteConfig:
    host = section.checked("host", lambda text: syntax.hostName(text, wildcard=True), "") or None
    path = section.checked("path", syntax.routePath, "/")
    leaf = _leafKind(section)
    return RouteConfig(
        host=host,
        path=path,
        name=section.text("name") or f"{host or ''}{path}",
        upstream=_upstreamName(section, upstreams),
        redirect=_redirect(section.expanded("redirect", "url")) if section.has("redirect") else None,
        respond=_respond(section.section("respond")) if section.has("respond") else None,
        health=cast(Any, section.text("health") or None),
        static=section.pathAt("static", "folder"),
        resource=section.checked("resource", syntax.dottedName, "") or None,
        stripPrefix=_stripPrefix(section, leaf),
        methods=_methods(section),
        case=section.text("case", "sensitive"),
        plugins=pluginSettings(section, "plugins"),
    )


def _methods(section: Section) -> frozenset[str] | None:
    given = section.value.get("methods")
    if not isinstance(given, list):
        return None
    methods = set()
    for index, text in enumerate(given):
        if not isinstance(text, str) or not text:
            # The schema has said so.
            continue
        try:
            methods.add(syntax.method(str(text)))
        except ValueError as error:
            section.refuse(str(error), "methods", index)
    if "GET" in methods:
        # RFC 9110 §9.3.2: HEAD is GET without the content.
        methods.add("HEAD")
    return frozenset(methods)


def _leafKind(section: Section) -> str | None:
    given = [leaf for leaf in LEAVES if section.has(leaf)]
    if not given:
        section.refuse(f"does not say what answers; give one of {', '.join(LEAVES)}")
    elif len(given) > 1:
        section.refuse(f"has {' and '.join(given)}; only one of them can answer", given[1])
    return given[0] if given else None


def _stripPrefix(section: Section, leaf: str | None) -> bool:
    strip = section.flag("strip_prefix", False)
    if strip and leaf in ("redirect", "respond", "health"):
        section.refuse(f"has no effect with {leaf}; leave it out", "strip_prefix")
    return strip


def _upstreamName(section: Section, upstreams: Mapping[str, UpstreamConfig]) -> str | None:
    name = section.text("upstream")
    if not name:
        return None
    if name not in upstreams:
        section.refuse(f"no upstream named {quoted(name)}{_available(name, list(upstreams))}", "upstream")
    return name


def _available(name: str, known: Sequence[str]) -> str:
    if not known:
        return "; there are none"
    if len(known) > 4:
        return suggestion(name, known)
    return f"; there {'is' if len(known) == 1 else 'are'} {', '.join(quoted(upstream) for upstream in sorted(known))}"


def _redirect(section: Section) -> RedirectConfig:
    return RedirectConfig(section.checked("url", syntax.location, "/"), section.integer("status", 302))


def _respond(section: Section) -> RespondConfig:
    headers: dict[str, str] = {}
    given = section.section("headers").value
    for name, value in given.items():
        try:
            field, text = syntax.headerField(name, str(value))
        except ValueError as error:
            section.refuse(str(error), "headers", name)
        else:
            headers[field] = text
    status, body = section.integer("status", 200), section.text("body")
    if body and status in (204, 205, 304):
        section.refuse(f"an answer {status} has no body", "body")
    return RespondConfig(status, body, headers)


def pluginSettings(section: Section, key: str) -> Mapping[str, PluginSetting]:
    """What users say of plugins at ``key``, by the plugins' names."""
    return {
        name: value for name, value in section.section(key).value.items() if isinstance(value, (bool, dict))
    }
