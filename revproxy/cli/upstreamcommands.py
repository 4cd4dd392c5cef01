"""
The commands about upstreams and their targets, and about certificates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from revproxy.cli.duration import Duration
from revproxy.cli.names import named, targets
from revproxy.cli.remoteedge import RemoteEdge, asking
from revproxy.cli.repeated import repeat

Facts = Mapping[str, Any]

_COLUMNS = (
    "upstream", "target", "state", "weight", "in flight", "queued", "connections", "req/s", "5xx", "p99 ms", "note",
)
_CERTIFICATES = ("file", "hosts", "days", "until", "issuer", "note")
_SOON = 30

_for = click.option("--for", "seconds", type=Duration(), help="Until then; left out: until somebody says so.")
_reason = click.option("--reason", help="Why, for the others.")


@click.command(short_help="Targets: which answer, what goes on there.")
@click.argument("name", required=False, shell_complete=named("upstreams"))
@click.option("-w", "--watch", "watching", is_flag=True, help="Again each second, until Ctrl-C.")
@asking
def upstreams(edge: RemoteEdge, name: str | None, watching: bool) -> None:
    """The targets of all upstreams, or of NAME: which of them answer, and what goes on there."""
    if watching:
        edge.indent = None
        repeat(lambda: _upstreams(edge, name))
    else:
        _upstreams(edge, name)


def _upstreams(edge: RemoteEdge, name: str | None) -> None:
    found = edge.get("upstreams")["items"]
    if name is not None:
        known = [upstream["name"] for upstream in found]
        found = [upstream for upstream in found if upstream["name"] == name]
        if not found:
            there = f"there are {', '.join(known)}" if known else "none is configured"
            raise click.ClickException(f"no upstream named {name}; {there}")
    edge.show(found, lambda found: _showUpstreams(edge, found))


def _showUpstreams(edge: RemoteEdge, found: Sequence[Facts]) -> None:
    rows = [_targetRow(upstream["name"], target) for upstream in found for target in upstream["targets"]]
    if rows:
        edge.report.table(_COLUMNS, rows)
    down = [upstream["name"] for upstream in found if upstream["state"] == "down"]
    edge.report.lines([f"{name}: nobody answers for it" for name in down] if rows else ["no upstreams"])


def _targetRow(upstream: str, target: Facts) -> Sequence[str]:
    last, p99 = target["last_10s"], target["last_10s"]["p99_ms"]
    weight = str(target["weight"])
    return (
        upstream,
        target["url"],
        target["state"],
        weight if target["weight"] == target["configured_weight"] else f"{weight} ({target['configured_weight']})",
        str(target["in_flight"]),
        str(target["queued"]),
        str(target["connections"]),
        f"{last['rate']:.1f}",
        f"{last['share_5xx'] * 100:.3g}%" if last["requests"] else "-",
        "-" if p99 is None else f"{p99:.3g}",
        "; ".join(_notes(target)),
    )


def _notes(target: Facts) -> list[str]:
    notes = []
    for key, word in (("drained", "drained"), ("weighed", "weighed")):
        said = target[key]
        if said is not None:
            until = "" if said["expires_at"] is None else f" until {_time(said['expires_at'])}"
            reason = f": {said['reason']}" if said["reason"] else ""
            notes.append(f"{word} by {said['by'] or 'somebody'}{until}{reason}")
    failure = target["last_failure"]
    if failure is not None:
        notes.append(f"last failure {_time(failure['at'])}: {failure['text']}")
    return notes


@click.command(short_help="Have a target take no new requests.")
@click.argument("upstream", shell_complete=named("upstreams"))
@click.argument("target", shell_complete=targets)
@_for
@_reason
@click.option("--force", is_flag=True, help="Also if nobody else is there to answer.")
@asking
def drain(
    edge: RemoteEdge, upstream: str, target: str, seconds: float | None, reason: str | None, force: bool
) -> None:
    """Have TARGET, a URL, of UPSTREAM take no new requests; those that are under way go on.

    It stays so over restarts, until --for is over, undrain, or until the target is taken out of the configuration.
    """
    _change(edge, upstream, "drain", target, {"for": seconds, "reason": reason, "force": force or None})


@click.command(short_help="Have a drained target take requests again.")
@click.argument("upstream", shell_complete=named("upstreams"))
@click.argument("target", shell_complete=targets)
@_reason
@asking
def undrain(edge: RemoteEdge, upstream: str, target: str, reason: str | None) -> None:
    """Have TARGET of UPSTREAM, which is drained, take requests again."""
    _change(edge, upstream, "undrain", target, {"reason": reason})


@click.command(short_help="Give a target another share of requests.")
@click.argument("upstream", shell_complete=named("upstreams"))
@click.argument("target", shell_complete=targets)
@click.argument("weight", type=click.IntRange(1, 1000), required=False)
@_for
@_reason
@asking
def weight(
    edge: RemoteEdge, upstream: str, target: str, weight: int | None, seconds: float | None, reason: str | None
) -> None:
    """Give TARGET of UPSTREAM another WEIGHT, relative to the others; left out, the one that it is configured with."""
    _change(edge, upstream, "weight", target, {"weight": weight, "for": seconds, "reason": reason})


def _change(edge: RemoteEdge, upstream: str, command: str, target: str, more: Mapping[str, Any]) -> None:
    body = {"target": target, **{name: value for name, value in more.items() if value is not None}}
    answer = edge.ask("POST", "upstreams", upstream, command, body=body)
    edge.show(answer, lambda answer: edge.report.lines(answer["text"]))


@click.command(short_help="For whom certificates are, and how long.")
@asking
def certificates(edge: RemoteEdge) -> None:
    """The certificates of each listener: for which hosts, until when, and what could not be read."""
    edge.show(edge.get("certificates")["items"], lambda found: _showCertificates(edge, found))


def _showCertificates(edge: RemoteEdge, listeners: Sequence[Facts]) -> None:
    if not listeners:
        edge.report.lines(["no listener speaks TLS"])
    for count, listener in enumerate(listeners):
        edge.report.lines([*([""] if count else []), f"{listener['listener']}: {listener['place']}, read "
                           f"{_time(listener['read_at'])}"])  # fmt: skip
        rows = [_certificateRow(one) for one in sorted(listener["certificates"], key=lambda one: one["not_after"])]
        if rows:
            edge.report.table(_CERTIFICATES, rows)
        if listener["is_kept"]:
            edge.report.lines(["nothing that is there now can be used: what was there before serves on"])
        edge.report.lines(f"not used: {problem}" for problem in listener["problems"])


def _certificateRow(one: Facts) -> Sequence[str]:
    days = one["days_left"]
    notes = [] if one["is_used"] else ["not used"]
    if days <= 0:
        notes.append("expired")
    elif days <= _SOON:
        notes.append("expires soon")
    if one["is_default"]:
        notes.append("for all other hosts")
    hosts = one["serves"] or one["names"]
    more = f", and {len(hosts) - 5} more" if len(hosts) > 5 else ""
    return (
        one["file"],
        ", ".join(hosts[:5]) + more,
        f"{days:.0f}" if days >= 2 or days <= 0 else f"{days:.1f}",
        _time(one["not_after"]),
        one["issuer"] if one["issuer"] != one["subject"] else "itself",
        "; ".join(notes),
    )


def _time(at: float) -> str:
    """Local time."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


COMMANDS = (upstreams, drain, undrain, weight, certificates)
"""All of them."""
