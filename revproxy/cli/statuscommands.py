"""
The commands that show how the edge is now: ``status``, ``top``, ``connections``.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from revproxy.cli.names import named
from revproxy.cli.remoteedge import RemoteEdge, asking
from revproxy.cli.repeated import repeat
from revproxy.cli.rolloutwords import rolloutLine
from revproxy.config.problems import quoted

Facts = Mapping[str, Any]

NO_ROUTE = "(no route)"
"""What requests without one are shown as."""

_ROUTES = ("route", "upstream", "req/s", "4xx", "5xx", "p50 ms", "p95 ms", "p99 ms", "in flight", "oldest")
_HOUR = ("route", "upstream", "req/s", "requests 1 h", "4xx 1 h", "5xx 1 h", "p50 ms 1 h", "p99 ms 1 h",
         "in flight", "oldest")  # fmt: skip
_CONNECTIONS = ("client", "listener", "http", "age", "requests", "state", "route", "id", "under way")

_ABOVE = 6
"""Lines of a terminal that are not for routes."""

_SORTS: Mapping[str, Callable[[Facts], Any]] = {
    "rate": lambda route: -route["last_10s"]["rate"],
    "errors": lambda route: -route["last_10s"]["share_5xx"] * route["last_10s"]["requests"],
    "p99": lambda route: -(route["last_10s"]["p99_ms"] or 0),
    "in-flight": lambda route: -route["in_flight"],
    "oldest": lambda route: -(route["oldest_seconds"] or 0),
    "route": lambda route: route["route"],
}


@click.command(short_help="How the edge is, and what goes through it.")
@asking
def status(edge: RemoteEdge) -> None:
    """How the edge is now, and what went through each route in the last hour.

    Ends with status 1 where the edge is not ready for requests, and says why.
    """
    found = edge.get("status")
    edge.show(found, lambda found: _showStatus(edge, found))
    if not found["is_ready"]:
        raise SystemExit(1)


@click.command(short_help="What goes through each route, live.")
@click.option("-n", "count", type=click.IntRange(1), help="Routes that are shown.  [default: what fits; 20 in a pipe]")
@click.option("--sort", type=click.Choice(list(_SORTS)), default="rate", show_default=True,
              help="What comes first; of routes that are equal in it, those with most requests in the last hour.")
@click.option("--route", "routes", multiple=True, help="This route only; may be given again.",
              shell_complete=named("status", key="route", of="routes"))
@click.option("--once", is_flag=True, help="Once, instead of each second until Ctrl-C.")
@asking
def top(edge: RemoteEdge, count: int | None, sort: str, routes: Sequence[str], once: bool) -> None:
    """What went through each route in the last ten seconds, again each second, until Ctrl-C.

    With --json, one line each second: for a pipe.
    """
    edge.indent = None

    def show() -> None:
        _top(edge, count, sort, routes)

    if once:
        show()
    else:
        repeat(show)


@click.command(short_help="Connections of clients, as they are now.")
@click.option("-n", "limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@asking
def connections(edge: RemoteEdge, limit: int) -> None:
    """Connections of clients: first those with a request, the oldest request first."""
    now = datetime.now().timestamp()
    edge.show(edge.get("connections", limit=limit), lambda found: _showConnections(edge, found, now))


def _showStatus(edge: RemoteEdge, found: Facts) -> None:
    report = edge.report
    workers = "" if found["workers"] == 1 else f", {found['workers']} workers"
    report.lines([
        f"{found['name']} {found['version']}, Python {found['python']}: {found['state']} for "
        f"{_duration(found['now'] - found['started_at'])}{workers}",
        *(f"  not ready    {text}" for text in found["not_ready"]),
        f"  file         {found['config']['source']}, plan {found['plan']}",
        f"  plugins      {_plugins(found['plugins'])}",
        f"  connections  {found['connections']}; {_underWay(found)}",
    ])
    report.lines(f"  rollout      {rolloutLine(each)}" for each in found.get("rollouts", ()))
    if found["alerts_firing"]:
        report.lines([f"  alerts       {found['alerts_firing']} firing: `revproxy alerts` has them"])
    report.configuration(found["config"])
    report.lines([""])
    total = {**found["total"], "route": "all", "upstream": None}
    report.table(_HOUR, map(_hourRow, [*found["routes"], total]))


def _top(edge: RemoteEdge, count: int | None, sort: str, routes: Sequence[str]) -> None:
    found = edge.get("status")
    chosen = found["routes"]
    if routes:
        known = {route["route"] for route in chosen}
        unknown = [name for name in routes if name not in known]
        if unknown:
            raise click.ClickException(f"no route named {quoted(unknown[0])}; `revproxy status` lists them")
        chosen = [route for route in chosen if route["route"] in routes]
    chosen = sorted(chosen, key=lambda route: (_SORTS[sort](route), -route["last_hour"]["requests"], route["route"]))
    edge.show({**found, "routes": chosen if count is None else chosen[:count]},
              lambda shown: _showTop(edge, shown, count or _fitting(len(found.get("rollouts", ())))))  # fmt: skip


def _showTop(edge: RemoteEdge, found: Facts, count: int) -> None:
    total, report = found["total"], edge.report
    last = total["last_10s"]
    report.lines([
        f"{found['state']} for {_duration(found['now'] - found['started_at'])}; {found['connections']} connections, "
        f"{_underWay(found)}",
        f"{last['rate']:.1f} requests/s, {_share(last, 'share_4xx')} 4xx, {_share(last, 'share_5xx')} 5xx, p50 "
        f"{_ms(last['p50_ms'])} ms, p95 {_ms(last['p95_ms'])} ms, p99 {_ms(last['p99_ms'])} ms",
        *(f"rollout: {rolloutLine(each)}" for each in found.get("rollouts", ())),
        "",
    ])
    report.table(_ROUTES, map(_row, found["routes"][:count]))
    rest = len(found["routes"]) - count
    if rest > 0:
        report.lines([f"and {rest} more"])


def _showConnections(edge: RemoteEdge, found: Facts, now: float) -> None:
    if found["items"]:
        edge.report.table(_CONNECTIONS, [_connectionRow(each, now) for each in found["items"]])
    rest = found["count"] - len(found["items"])
    if rest > 0:
        edge.report.lines([f"and {rest} more"])
    elif not found["items"]:
        edge.report.lines(["no connections"])


def _row(route: Facts) -> Sequence[str]:
    last = route["last_10s"]
    return (
        *_named(route),
        f"{last['rate']:.1f}",
        _share(last, "share_4xx"),
        _share(last, "share_5xx"),
        *(_ms(last[name]) for name in ("p50_ms", "p95_ms", "p99_ms")),
        *_goesOn(route),
    )


def _hourRow(route: Facts) -> Sequence[str]:
    hour = route["last_hour"]
    return (
        *_named(route),
        f"{route['last_10s']['rate']:.1f}",
        str(hour["requests"]),
        _share(hour, "share_4xx"),
        _share(hour, "share_5xx"),
        _ms(hour["p50_ms"]),
        _ms(hour["p99_ms"]),
        *_goesOn(route),
    )


def _named(route: Facts) -> tuple[str, str]:
    return route["route"] or NO_ROUTE, route["upstream"] or ""


def _goesOn(route: Facts) -> tuple[str, str]:
    oldest = route["oldest_seconds"]
    return str(route["in_flight"]), "" if oldest is None else _duration(oldest)


def _connectionRow(connection: Facts, now: float) -> Sequence[str]:
    began = connection["request_at"]
    return (
        connection["peer"] or "-",
        connection["listener"],
        f"{connection['scheme']}/{connection['protocol']}",
        _duration(now - connection["since"]),
        str(connection["requests"]),
        connection["state"],
        "" if began is None else connection["route"] or NO_ROUTE,
        connection["request_id"] or "",
        "" if began is None else _duration(now - began),
    )


def _plugins(plugins: Facts) -> str:
    parts = [f"{count} {state}" for state, count in plugins.items() if count or state == "running"]
    return ", ".join(parts)


def _underWay(found: Facts) -> str:
    count, oldest = found["requests_in_flight"], found["oldest_request_seconds"]
    text = f"{count} request{'' if count == 1 else 's'} under way"
    return text if oldest is None else f"{text}, the oldest for {_duration(oldest)}"


def _share(figures: Facts, name: str) -> str:
    return f"{figures[name] * 100:.3g}%" if figures["requests"] else "-"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _duration(seconds: float) -> str:
    """In the two largest units."""
    whole = int(max(0.0, seconds))
    if whole < 60:
        return f"{max(0.0, seconds):.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def _fitting(more: int) -> int:
    """Routes for which there is room. :param more: lines that are not for routes, besides."""
    return max(1, shutil.get_terminal_size().lines - _ABOVE - more) if sys.stdout.isatty() else 20


COMMANDS = (status, top, connections)

__all__ = ["COMMANDS"]
