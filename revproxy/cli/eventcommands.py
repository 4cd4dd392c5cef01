"""
``revproxy events``: what has happened, and what happens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from revproxy.cli.names import named
from revproxy.cli.remoteedge import RemoteEdge, asking

Facts = Mapping[str, Any]


@click.command(short_help="What has happened; what happens, live.")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with what happens from now on, until Ctrl-C.")
@click.option("--kind", "kinds", multiple=True, help="Of this kind only, such as refused; may be given again.")
@click.option("--plugin", help="About this plugin only.", shell_complete=named("plugins"))
@asking
def events(
    edge: RemoteEdge, count: int, following: bool = False, kinds: Sequence[str] = (), plugin: str | None = None
) -> None:
    """What has happened to plugins, configuration, targets and the edge, the latest last.

    With --follow and --json, one line each: for a pipe.
    """
    wanted = {"kind": kinds, "plugin": plugin}
    found = edge.get("events", limit=count, **wanted)["items"]
    if not following:
        edge.show(found, edge.report.events)
        return
    for event in found:
        _tell(edge, event)
    last = str(found[-1]["number"]) if found else ""
    try:
        for _, event in edge.follow("events", "stream", last=last, **wanted):
            _tell(edge, event)
    except KeyboardInterrupt:
        return
    raise click.ClickException("the edge has ended it: it is being stopped, or this takes too little of what it tells")


def _tell(edge: RemoteEdge, event: Facts) -> None:
    if edge.json:
        click.echo(json.dumps(event))
    else:
        edge.report.lines([edge.report.event(event)])


COMMANDS = (events,)
"""All of them."""
