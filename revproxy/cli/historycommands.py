"""
The commands about what was changed, by whom, and back again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from revproxy.cli.remoteedge import CHANGE_TIMEOUT, RemoteEdge, asking
from revproxy.control.history.chain import Head
from revproxy.control.history.verification import verify

Facts = Mapping[str, Any]

_CHANGES = ("#", "time", "who", "what", "plugin", "result", "text")
_RECORDS = ("#", "time", "who", "from", "what", "of", "result", "text")

_PAGE = 500
"""Audit records that are asked for at once."""


class _Head(click.ParamType[Head]):
    name = "SEQ:HASH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Head:
        try:
            return value if isinstance(value, Head) else Head.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(short_help="What was changed, by whom, why.")
@click.argument("number", required=False, type=click.IntRange(1))
@click.option("-n", "--count", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@asking
def history(edge: RemoteEdge, number: int | None, count: int) -> None:
    """
    What was changed, the latest last: by whom, and why; what was refused, too. Or all about the change NUMBER, with how
    things stood after it.
    """
    if number is None:
        found = edge.get("history", limit=count)["items"][::-1]
        edge.show(found, lambda found: _showChanges(edge, found))
    else:
        edge.show(edge.get("history", str(number)), lambda change: _showChange(edge, change))


@click.command(short_help="What is different between two changes.")
@click.argument("first", metavar="A", type=click.IntRange(1))
@click.argument("last", metavar="[B]", required=False, type=click.IntRange(1))
@asking
def diff(edge: RemoteEdge, first: int, last: int | None) -> None:
    """What is different between how things stood after change A, and after change B; without B, now."""
    edge.show(edge.get("diff", **{"from": first, "to": last}), lambda told: _showDifference(edge, told))


@click.command(short_help="Go back to how things stood.")
@click.argument("number", type=click.IntRange(1))
@click.option("--dry-run", "isTrial", is_flag=True, help="Only say what would come of it.")
@click.option("--reason", help="Why, for the others.")
@asking
def revert(edge: RemoteEdge, number: int, isTrial: bool, reason: str | None) -> None:
    """
    Go back to how things stood after change NUMBER: the configuration file, pins and switches of then, and its versions
    as pins. All of it is done, or nothing; and `revert` of the change before takes it back.
    """
    body = {"to": number, "dry_run": isTrial, **({} if reason is None else {"reason": reason})}
    told = edge.ask("POST", "revert", body=body, timeout=CHANGE_TIMEOUT)
    edge.show(told, lambda told: edge.report.lines([*told["text"], *told["diff"].splitlines()]))
    if told["refused"]:
        raise click.ClickException("; ".join(one["message"] for one in told["refused"]))


@click.command(short_help="Audit records; are they all there?")
@click.argument("what", type=click.Choice(["list", "verify"]), default="list")
@click.option("-n", "--count", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many.")
@click.option("--head", type=_Head(), help="With verify: that was noted elsewhere, such as by an event.")
@asking
def audit(edge: RemoteEdge, what: str, count: int, head: Head | None) -> None:
    """
    Who changed what, the latest last; more than `history`: also logins, tokens, targets, and what was refused.

    With `verify`, whether that is all that was written, and as it was written, also where no edge runs; if not, the
    status is 1.
    """
    if what == "list":
        found = _records(edge, count)[::-1]
        edge.show(found, lambda found: _showRecords(edge, found))
        return
    verdict = _verdict(edge, head)
    edge.show(verdict, lambda verdict: _showVerdict(edge, verdict))
    if not verdict["whole"]:
        raise SystemExit(1)


def _records(edge: RemoteEdge, count: int) -> list[Facts]:
    found: list[Facts] = []
    cursor = None
    while len(found) < count:
        page = edge.get("audit", limit=min(_PAGE, count - len(found)), cursor=cursor)
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    return found


def _verdict(edge: RemoteEdge, head: Head | None) -> Any:
    """By the edge; where there is none, from its files."""
    try:
        return edge.get("audit", "verify", head=None if head is None else str(head))
    except click.ClickException as error:
        if error.exit_code != 3 or edge.folder is None or not (edge.folder / "audit").is_dir():
            raise
    return _fromFiles(edge.folder / "audit", head)


def _fromFiles(folder: Path, head: Head | None) -> Any:
    try:
        return verify(folder, head).asDict()
    except OSError as error:
        raise click.ClickException(f"{folder}: cannot be read: {error.strerror or error}") from None


# What is printed


def _showChanges(edge: RemoteEdge, found: Sequence[Facts]) -> None:
    if not found:
        edge.report.lines(["nothing was changed yet"])
        return
    rows = [
        (str(one["number"]), _time(one["at"]), _who(one["actor"]), one["action"], one["plugin"] or "-", one["result"],
         _text(one))
        for one in found
    ]  # fmt: skip
    edge.report.table(_CHANGES, rows)


def _showChange(edge: RemoteEdge, change: Facts) -> None:
    lines = [f"change {change['number']} of {_time(change['at'])}: {change['action']} {change['plugin']}".rstrip(),
             f"by {_who(change['actor'])}: {change['result']}"]  # fmt: skip
    if change["reason"]:
        lines.append(f"because: {change['reason']}")
    lines += change["text"]
    lines += [f"refused: {one['plugin'] or 'configuration'}: {one['message']}" for one in change["refused"]]
    stood = change["stood"]
    if stood is None:
        lines.append("how things stood then is not there any more")
    else:
        for name, version in sorted(stood["plugins"].items()):
            digest = f" ({version['digest'][:12]})" if version["digest"] else ""
            lines.append(f"{name}: {version['version']}{digest} ran")
        lines += [f"{name}: pinned by {pin['by']}" for name, pin in sorted(stood["pins"].items())]
        lines += [f"{name}: switched {'on' if on else 'off'}" for name, on in sorted(stood["switches"].items())]
        lines += [f"{name}: in quarantine" for name in sorted(stood["gates"])]
    edge.report.lines(lines)


def _showDifference(edge: RemoteEdge, told: Facts) -> None:
    lines = [*told["lines"], *told["config"].splitlines()]
    edge.report.lines(lines or ["nothing is different"])


def _showRecords(edge: RemoteEdge, found: Sequence[Facts]) -> None:
    if not found:
        edge.report.lines(["there are no records yet"])
        return
    rows = [
        (str(one["seq"]), _time(one["time"]), _who(one["actor"]), one["actor"]["address"] or one["actor"]["via"],
         one["action"], one["target"] or "-", one["result"], _reasoned(one["text"], one["reason"]))
        for one in found
    ]  # fmt: skip
    edge.report.table(_RECORDS, rows)


def _showVerdict(edge: RemoteEdge, verdict: Facts) -> None:
    if verdict["whole"]:
        edge.report.lines([
            f"{verdict['records']} records, from {verdict['first']} on: all there, and as they were written",
            f"head {verdict['head']}",
        ])
    else:
        edge.report.lines([*verdict["problems"], f"last good record: {verdict['head']}"])


def _who(actor: Facts) -> str:
    return str(actor["name"] or actor["via"])


def _text(change: Facts) -> str:
    refused = [f"{one['plugin'] or 'configuration'}: {one['message']}" for one in change["refused"]]
    return _reasoned("; ".join([*change["text"], *refused]), change["reason"])


def _reasoned(text: str, reason: str) -> str:
    return f"{text} (because: {reason})" if reason else text


def _time(at: float) -> str:
    """Local time."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


COMMANDS = (history, diff, revert, audit)
"""All of them."""
