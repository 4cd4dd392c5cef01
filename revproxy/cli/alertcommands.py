"""
``revproxy alerts``: what fires, who is told of it, and what nobody is to be told of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from revproxy.cli.duration import Duration
from revproxy.cli.names import named
from revproxy.cli.remoteedge import RemoteEdge, asking
from revproxy.durations import durationText
from revproxy.errors import printable

TEST_TIMEOUT = 30.0
"""Seconds that a test may take: the receiver has ten."""

Facts = Mapping[str, Any]

_RULE_COLUMNS = ("rule", "text", "for", "severity", "to", "firing", "no traffic")
_RECEIVER_COLUMNS = ("receiver", "kind", "last delivery", "waiting", "given up", "text")


_receivers = named("alerts", of="receivers")


class _Listing(click.Group):
    """Without a command, it is ``list``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command`."""
        if ctx.resilient_parsing:  # a shell wants to know what may come
            return super().parse_args(ctx, args)
        isList = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if isList else args)


@click.group(cls=_Listing, short_help="What fires, and who is told; silences; tests of receivers.")
def alerts() -> None:
    """What fires, and who is told of it. Without a command: the list."""


@alerts.command("list", short_help="What fires, silences, and receivers.")
@click.option("--rules", is_flag=True, help="Also all rules that are in force.")
@click.option("--resolved", is_flag=True, help="Also what is over, the newest first.")
@asking
def listed(edge: RemoteEdge, rules: bool = False, resolved: bool = False) -> None:
    """What fires, what is silenced, and what of each receiver is still to be delivered."""
    edge.show(edge.get("alerts"), lambda found: _show(edge, found, rules, resolved))


@alerts.command(short_help="Tell nobody of what matches, for a time.")
@click.argument("matchers", nargs=-1, required=True, metavar="LABEL=PATTERN...")
@click.option("--for", "seconds", type=Duration(), required=True, help="How long, such as 2h; 30d at most.")
@click.option("--reason", default="", help="Why, for others and for the audit records.")
@asking
def silence(edge: RemoteEdge, matchers: Sequence[str], seconds: float, reason: str) -> None:
    """Tell nobody of alerts that match all of LABEL=PATTERN, LABEL!=PATTERN, with * for anything.

    What was told before and ends meanwhile is told all the same. "alertname=*" is everything.
    """
    body = {"matchers": list(matchers), "for": seconds, "reason": reason}
    made = edge.ask("POST", "alerts", "silences", body=body)
    edge.show(made, lambda _: click.echo(f"silenced until {_time(made['until'])}; to end it: "
                                         f"revproxy alerts unsilence {made['id']}"))


@alerts.command(short_help="End a silence.")
@click.argument("known", metavar="ID", shell_complete=named("alerts", key="id", of="silences"))
@asking
def unsilence(edge: RemoteEdge, known: str) -> None:
    """End the silence ID; what still fires is told then."""
    ended = edge.ask("DELETE", "alerts", "silences", known)
    edge.show(ended, lambda _: click.echo(f"ended: {' '.join(ended['matchers'])}"))


@alerts.command(short_help="Send a receiver a test.")
@click.argument("receiver", shell_complete=_receivers)
@asking
def test(edge: RemoteEdge, receiver: str) -> None:
    """Send RECEIVER a message that says that it is a test, and say what came of it. Exits 1 if it did not take it."""
    found = edge.ask("POST", "alerts", "receivers", receiver, "test", timeout=TEST_TIMEOUT)
    edge.show(found, lambda _: None)
    if not found["is_delivered"]:
        status = "" if found["status"] is None else f"it answered {found['status']}: "
        raise click.ClickException(printable(f"{receiver} did not take it: {status}{found['text']}"))
    if not edge.json:
        click.echo(f"{receiver} took it: {found['status']}")


@alerts.command(short_help="Try again what was given up.")
@click.argument("receiver", shell_complete=_receivers)
@asking
def redeliver(edge: RemoteEdge, receiver: str) -> None:
    """Try again the messages to RECEIVER that were given up after a day."""
    found = edge.ask("POST", "alerts", "receivers", receiver, "redeliver")
    count = found["messages"]
    edge.show(found, lambda _: click.echo(f"{count} message{'' if count == 1 else 's'} tried again; revproxy alerts "
                                          "says what comes of it"))


def _show(edge: RemoteEdge, found: Facts, rules: bool, resolved: bool) -> None:
    report = edge.report
    firing = [*found["firing"], *found["silenced"], *found["pending"]]
    if firing:
        report.table(("state", "severity", "alert", "since", "text"), map(_alertRow, firing))
    else:
        report.lines(["nothing fires"])
    for title, columns, rows in _sections(found, rules, resolved):
        if rows:
            report.lines(["", title])
            report.table(columns, rows)
    report.lines(_remarks(found))


def _sections(
    found: Facts, rules: bool, resolved: bool
) -> Iterator[tuple[str, Sequence[str], list[Sequence[str]]]]:
    if resolved:
        yield "resolved", ("ended", "alert", "text"), [
            (_time(each["ended_at"]), _name(each), each["why"]) for each in found["resolved"]]
    yield "silences", ("id", "until", "by", "matches", "text"), [
        (each["id"], _time(each["until"]), each["by"], " ".join(each["matchers"]), each["reason"])
        for each in found["silences"]]
    if rules:
        yield "rules", _RULE_COLUMNS, [_ruleRow(each) for each in found["rules"]]
    yield "receivers", _RECEIVER_COLUMNS, [_receiverRow(each) for each in found["receivers"]]


def _remarks(found: Facts) -> list[str]:
    """What to do about what stands above."""
    if not found["receivers"]:
        return ["", "nobody is told: there are no receivers (alerts.receivers in revproxy.yaml)"]
    return [
        f"{each['name']} wants nothing any more (410); revproxy alerts test {each['name']} switches it on again"
        for each in found["receivers"] if each["is_disabled"]
    ] + [
        f"what was given up is tried again by: revproxy alerts redeliver {each['name']}"
        for each in found["receivers"] if each["dead_letters"]
    ]


def _alertRow(alert: Facts) -> Sequence[str]:
    state = "silenced" if "silenced_by" in alert else alert["state"]
    return state, alert["labels"].get("severity", ""), _name(alert), _time(alert["since"]), alert["text"]


def _name(alert: Facts) -> str:
    """The rule, and what it is about."""
    labels = alert["labels"]
    about = [labels[name] for name in ("route", "upstream", "target", "plugin", "listener", "receiver")
             if name in labels]
    return " ".join([alert["rule"], *about])


def _ruleRow(rule: Facts) -> Sequence[str]:
    about = ", ".join(rule["on"]) or f"{rule['when']} of {rule['of']}"
    about += "" if rule["only"] == "*" else f" {rule['only']}"
    return (rule["name"], about, durationText(rule["for_seconds"]), rule["severity"], ", ".join(rule["to"]),
            str(rule["firing"]), str(rule["without_traffic"]))


def _receiverRow(receiver: Facts) -> Sequence[str]:
    return (receiver["name"], receiver["kind"], _time(receiver["last_delivery"]) or "never", str(receiver["queued"]),
            str(receiver["dead_letters"]), receiver["last_error"] or "well")


def _time(at: float | None) -> str:
    """Local time."""
    return "" if not at else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


COMMANDS = (alerts,)
"""All of them."""
