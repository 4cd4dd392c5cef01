"""
Names that a shell completes: of plugins, routes, upstreams and whatever else a running edge has.

The edge that the words before name is asked. Where there is none, or it does not answer at once, nothing is completed,
and nothing is said: somebody is typing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click

from revproxy.cli.remoteedge import RemoteEdge, edgeOf, tokenFrom

WAIT = 1.0
"""Seconds that somebody waits for a completion."""

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def named(*path: str, key: str = "name", of: str = "items") -> Complete:
    """
    What completes with what the edge has in a list.

    :param path: where it has that, below ``/api/v1``.
    :param key: of each, what it is called.
    :param of: the list.
    """
    return _completing(lambda context, edge: [each[key] for each in edge.ask("GET", *path, timeout=WAIT)[of]])


def _targets(context: click.Context, edge: RemoteEdge) -> Iterator[str]:
    upstream = context.params.get("upstream")
    for each in edge.ask("GET", "upstreams", timeout=WAIT)["items"]:
        if each["name"] == upstream:
            yield from (target["url"] for target in each["targets"])


def _completing(found: Callable[[click.Context, RemoteEdge], Any]) -> Complete:
    def complete(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
        config, state, url, file = (context.params.get(name) for name in ("config", "state", "url", "tokenFile"))
        try:
            # Standard input is the terminal of who types.
            token = "" if url is None or str(file) == "-" else tokenFrom(file, tells=False)
            edge = edgeOf(config, state, url, token)
            return sorted(name for name in found(context, edge) if name and name.startswith(begun))
        except (click.ClickException, LookupError, TypeError):
            return []

    return complete


targets = _completing(_targets)
"""What completes with the targets of the upstream that is named before."""
