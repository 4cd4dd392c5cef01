"""
The commands about requests that are over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from revproxy.cli.explainreport import show, showOutcome
from revproxy.cli.names import named
from revproxy.cli.remoteedge import RemoteEdge, asking
from revproxy.cli.requestreport import COLUMNS, cells, line

Facts = Mapping[str, Any]

_PAGE = 1000

_NAMES = {"route": named("status", key="route", of="routes"), "plugin": named("plugins")}
"""What completes the values of an option."""


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say which requests are wanted."""
    for name, description in reversed((
        ("route", "Of this route."),
        ("host", "For this host; * stands for anything."),
        ("status", "5xx, 404 or 400-499; several with commas."),
        ("plugin", "That this plugin answered, failed in, or was passed over in after a failure."),
        ("arm", "That met a version that is rolled out: candidate, or running; NAME:candidate of one plugin."),
        ("client", "From this address or network; several with commas."),
        ("method", "With this method."),
        ("path", "Whose path begins so; or is so, with * for anything."),
        ("slower", "That took so long at least: 500ms, 2s."),
        ("since", "That began since: 10m, 1h, or a time as 2026-11-28T01:30:00Z."),
    )):
        command = click.option(f"--{name}", help=description, shell_complete=_NAMES.get(name))(command)
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
        edge.report.lines(["no requests" if not any(wanted.values()) else "no request matches"])


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


@click.command(short_help="Why a request went as it did, or how one would go.")
@click.argument("id", required=False)
@click.option("--request", "asked", metavar="'GET URL'", help="How this would go: method and URL.")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A field; again for more.")
@click.option("--client", help="The address that it comes from.  [default: 127.0.0.1]")
@click.option("--server-name", help="The name that its TLS handshake was for.  [default: the host of the URL]")
@click.option("--plugins", is_flag=True, help="Run it through the plugins; what they do besides answering is real.")
@asking
def explain(
    edge: RemoteEdge,
    id: str | None,
    asked: str | None,
    headers: Sequence[str],
    client: str | None,
    server_name: str | None,
    plugins: bool,
) -> None:
    """Why the request with this ID went as it did: its route, each plugin, its targets, who has answered.

    Or with --request, how one would go, which nobody has sent: revproxy explain --request 'GET https://shop/api/x'.
    No origin hears of it.
    """
    if (id is None) == (asked is None):
        raise click.UsageError("give the ID of a request (revproxy requests shows them), or --request 'GET URL'")
    if id is not None:
        if headers or client or server_name or plugins:
            raise click.UsageError("--header, --client, --server-name and --plugins go with --request")
        edge.show(edge.get("requests", id, "explain"), lambda told: show(edge.report, told))
        return
    method, _, url = (asked or "").strip().rpartition(" ")
    body = {"method": method.strip(), "url": url, "headers": _fields(headers), "client": client, "plugins": plugins,
            "server_name": server_name}  # fmt: skip
    body = {name: value for name, value in body.items() if value}
    told = edge.ask("POST", "explain", body=body)
    edge.show(told, lambda told: showOutcome(edge.report, asked or "", told))


def _fields(headers: Sequence[str]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for text in headers:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise click.UsageError(f"{text}: write a field as 'NAME: VALUE'")
        fields.setdefault(name.strip(), []).append(value.strip())
    return fields


COMMANDS: Iterable[click.Command] = (requests, explain)
"""All of them."""
