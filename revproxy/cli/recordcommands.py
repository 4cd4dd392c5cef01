"""
``revproxy record``, which has an edge take requests down, and ``revproxy recordings``, about those that there are.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from revproxy.cli.duration import Duration
from revproxy.cli.names import named
from revproxy.cli.remoteedge import RemoteEdge, asking
from revproxy.durations import durationText, parseShare

INTERVAL = 1.0
"""Seconds between two looks at how far it is."""

LONGEST = 86_400.0
"""Seconds that a recording may take."""

_COLUMNS = ("name", "state", "begun", "requests", "MB", "of", "why")

_name = click.argument("name", shell_complete=named("recordings"))
_reason = click.option("--reason", help="Why, for the audit records.")


@click.command(short_help="Take requests down, to replay them with other versions.")
@click.option("--route", "routes", multiple=True, shell_complete=named("status", key="route", of="routes"),
              help="Of this route; again for more.  [default: of all]")  # fmt: skip
@click.option("--share", default="100%", show_default=True, help="This share of its requests.")
@click.option("--for", "seconds", type=Duration(), default="10m", show_default=True, help="How long, at most.")
@click.option("--name", help="What the recording is called.  [default: the route, and the time]")
@click.option("--requests", type=click.IntRange(1), help="How many requests, at most.  [default: 10000]")
@click.option("--mb", type=click.IntRange(1), help="How large it may be, in MB.  [default: 64]")
@click.option("--body-bytes", "bodyBytes", type=click.IntRange(0, 65536), help="Of each body.  [default: 65536]")
@click.option("--redact", multiple=True, metavar="NAME",
              help="Take out values of this name, too: of fields, cookies, parameters, members of JSON.")
@click.option("--keep", multiple=True, metavar="NAME", help="Keep them, though their name says that they are secrets.")
@click.option("--hide-clients", "hidesClients", is_flag=True, help="Put made-up addresses in place of clients'.")
@click.option("--detach", is_flag=True, help="Wait for nothing; revproxy recordings tells how far it is.")
@_reason
@asking
def record(
    edge: RemoteEdge,
    routes: Sequence[str],
    share: str,
    seconds: float,
    name: str | None,
    requests: int | None,
    mb: int | None,
    bodyBytes: int | None,
    redact: Sequence[str],
    keep: Sequence[str],
    hidesClients: bool,
    detach: bool,
    reason: str | None,
) -> None:
    """Take down a share of requests, with what each plugin did in them, and what the origin answered.

    What lets in (credentials, cookies, tokens) is taken out before it is written; the recording is bounded, and stays
    in the edge's state folder. Ctrl-C ends it.
    """
    _check(share, seconds)
    body: dict[str, Any] = {
        "routes": list(routes), "share": share, "for": seconds, "name": name, "requests": requests,
        "bytes": None if mb is None else mb << 20, "body_bytes": bodyBytes, "redact": list(redact), "keep": list(keep),
        "hides_clients": hidesClients or None, "reason": reason,
    }  # fmt: skip
    begun = edge.ask("POST", "recordings", body={key: value for key, value in body.items() if value not in (None, [])})
    if detach:
        edge.show(begun, lambda begun: edge.report.lines([f"recording {begun['name']}: {begun['path']}"]))
        return
    ended = _waited(edge, begun)
    edge.show(ended, lambda ended: edge.report.lines(_told(ended)))
    if not ended["requests"]:
        raise click.ClickException("nothing was recorded: nobody came to it; revproxy requests shows who does")


def _check(share: str, seconds: float) -> None:
    """:raises click.BadParameter: that is no share, or too long; said as it was typed."""
    try:
        part = parseShare(share)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--share") from None
    if not part:
        raise click.BadParameter(f"{share!r} of the requests are none", param_hint="--share")
    if not 0 < seconds <= LONGEST:
        raise click.BadParameter(f"{durationText(seconds)}: more than nothing, and a day at most", param_hint="--for")


def _waited(edge: RemoteEdge, begun: Any) -> Any:
    """How it is once it has ended."""
    name, isTerminal = begun["name"], sys.stderr.isatty() and not edge.json
    if not edge.json:
        longest = durationText(round(begun["until"] - begun["begun"]) or 1)
        click.echo(f"recording {name} for {longest} at most; Ctrl-C ends it", err=True)
    while True:
        try:
            time.sleep(INTERVAL)
        except KeyboardInterrupt:
            edge.ask("POST", "recordings", name, "stop", body={})
        now = next((each for each in edge.get("recordings")["items"] if each["name"] == name), None)
        if now is None:
            raise click.ClickException(f"the recording {name} was deleted")
        if isTerminal:
            click.echo(f"\r{_progress(now)}   ", nl=False, err=True)
        if now["state"] in ("ended", "cut"):
            if isTerminal:
                click.echo("", err=True)
            return now


def _progress(now: Any) -> str:
    left = "" if now["until"] is None else f", {max(now['until'] - time.time(), 0):.0f} s left"
    return f"{now['requests']} requests, {_megabytes(now['bytes'])} MB{left}"


def _told(ended: Any) -> Sequence[str]:
    dropped = f", {ended['dropped']} were dropped" if ended["dropped"] else ""
    told = f"{ended['requests']} requests, {_megabytes(ended['bytes'])} MB{dropped}: {ended['why']}"
    return [told] if not ended["requests"] else [
        told,
        ended["path"],
        f"next: revproxy replay --plugin NAME --version V {ended['path']}",
    ]


@click.group(short_help="The recordings that there are.", invoke_without_command=True)
@asking
@click.pass_context
def recordings(context: click.Context, edge: RemoteEdge) -> None:
    """The recordings of an edge, the latest first. Those that were made with revproxy record."""
    if context.invoked_subcommand is None:
        edge.show(edge.get("recordings")["items"], lambda found: _list(edge, found))


def _list(edge: RemoteEdge, found: Any) -> None:
    if not found:
        edge.report.lines(["no recordings; revproxy record makes one"])
        return
    edge.report.table(_COLUMNS, [_row(each) for each in found])


def _row(each: Any) -> Sequence[str]:
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(each["begun"])) if each["begun"] else "-"
    share = f"{each['share'] * 100:g}% of {', '.join(each['routes']) or 'all'}"
    requests = "-" if each["requests"] is None else str(each["requests"])
    return each["name"], each["state"], begun, requests, _megabytes(each["bytes"]), share, each["why"] or ""


@recordings.command(short_help="Copy one to a file here.")
@_name
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
              help="The file; - for standard output.  [default: NAME.jsonl]")  # fmt: skip
@asking
def fetch(edge: RemoteEdge, name: str, output: Path | None) -> None:
    """Copy the recording NAME to a file here: from another machine, most often."""
    place = output or Path(f"{name}.jsonl")
    if str(place) == "-":
        for line in _lines(edge, name):
            click.echo(line)
        return
    lines = _lines(edge, name)
    first = next(lines, None)  # before there is a file: an edge that refuses leaves none
    try:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.ClickException(f"{place} exists already; name another file with --output") from None
    except OSError as error:
        raise click.ClickException(f"{place}: {error.strerror}") from None
    count = 0
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        for line in [first, *lines] if first is not None else []:
            file.write(f"{line}\n")
            count += 1
    edge.show({"path": str(place), "lines": count}, lambda made: edge.report.lines([f"wrote {place}"]))


def _lines(edge: RemoteEdge, name: str) -> Any:
    offset: int | None = 0
    while offset is not None:
        page = edge.get("recordings", name, "content", offset=offset)
        yield from page["items"]
        offset = page["next"]


@recordings.command(short_help="End one before its time.")
@_name
@_reason
@asking
def stop(edge: RemoteEdge, name: str, reason: str | None) -> None:
    """End the recording NAME; what it has stays."""
    body = {"reason": reason} if reason else {}
    edge.show(edge.ask("POST", "recordings", name, "stop", body=body),
              lambda now: edge.report.lines([f"{now['name']}: {now['why']}"]))  # fmt: skip


@recordings.command(short_help="Remove one.")
@_name
@asking
def delete(edge: RemoteEdge, name: str) -> None:
    """Remove the recording NAME. One that goes on ends."""
    edge.show(edge.ask("DELETE", "recordings", name), lambda done: edge.report.lines(done["text"]))


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):.1f}"


COMMANDS = (record, recordings)
"""All of them."""
