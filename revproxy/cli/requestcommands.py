"""
The commands about requests that are over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from revproxy.cli.explainreport import show
from revproxy.cli.remoteedge import RemoteEdge, asking
from revproxy.cli.requestreport import COLUMNS, cells, line

Facts = Mapping[str, Any]

_PAGE = 1000


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say which requests are wanted."""
    for name, description in reversed((
        ("route", "Of this route."),
        ("host", "For this host; * stands for anything."),
        ("status", "5xx, 404 or 400-499; several with commas."),
        ("plugin", "That this plugin answered, failed in, or was passed over in after a failure."),
        ("client", "From this address or network; several with commas."),
        ("method", "With this method."),
        ("path", "Whose path begins so; or is so, with * for anything."),
        ("slower", "That took so long at least: 500ms, 2s."),
        ("since", "That began since: 10m, 1h, or a time as 2026-11-28T01:30:00Z."),
    )):
        command = click.option(f"--{name}", help=description)(command)
    return command


@click.command(short_help="The last requests: search, and watch.")
@_filters
@click.option("--id", "id", help="With this id.")
@click.option("-n", "count", type=click.IntRange(0, 1_000_000), default=20, show_default=True, help="How many.")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with what ends from now on, until Ctrl-C.")
@asking
def requests(edge: RemoteEdge, count: int, following: bool, **wanted: str | None) -> None:
    """The last requests that an edge has answered, the latest last; a line each, also as JSON.

    revproxy explain ID says why one of them went as it did.
    """
    found = _found(edge, count, wanted)
    if edge.json:
        for one in found:
            click.echo(json.dumps(one))
    elif found and not following:
        edge.report.table(COLUMNS, map(cells, found))
    else:
        edge.report.lines(map(line, found))
    if following:
        _follow(edge, wanted)
    elif not found and not edge.json:
        edge.report.lines(["no requests" if not any(wanted.values()) else "no requests that are so"])


def _found(edge: RemoteEdge, count: int, wanted: Mapping[str, str | None]) -> list[Facts]:
    """The newest, page by page; the latest last."""
    found: list[Facts] = []
    cursor = None
    while len(found) < count:
        limit = min(_PAGE, count - len(found))
        page = edge.get("requests", **wanted, limit=limit, cursor=cursor)
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    return found[::-1]


def _follow(edge: RemoteEdge, wanted: Mapping[str, str | None]) -> None:
    if wanted["id"]:
        raise click.UsageError("--id is of requests that are over; leave out --follow")
    query: dict[str, Any] = {name: text for name, text in wanted.items() if name != "id"}
    try:
        for _, told in edge.follow("requests", "live", **query):
            if edge.json:
                click.echo(json.dumps(told))
            else:
                edge.report.lines([_told(told)])
    except KeyboardInterrupt:
        return
    raise click.ClickException("the edge has ended it: it is being stopped, or this takes too little of what it tells")


def _told(told: Facts) -> str:
    return f"… {told['missed']} more" if "missed" in told else line(told)


@click.command(short_help="Why a request went as it did.")
@click.argument("id")
@asking
def explain(edge: RemoteEdge, id: str) -> None:
    """Why the request with this ID went as it did: its route, each plugin, its targets, who has answered.

    revproxy requests shows the ids.
    """
    edge.show(edge.get("requests", id, "explain"), lambda told: show(edge.report, told))


COMMANDS: Iterable[click.Command] = (requests, explain)
"""All of them."""
