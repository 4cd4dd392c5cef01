"""
Tokens: ``revproxy token new``, ``list`` and ``revoke``; and ``revproxy login``.
"""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import datetime
from typing import Any

import click

from revproxy.admin.role import Role
from revproxy.admin.token import digestOf, newToken
from revproxy.cli.duration import Duration
from revproxy.cli.names import named
from revproxy.cli.remoteedge import RemoteEdge, asking
from revproxy.durations import durationText
from revproxy.errors import printable

_ID = re.compile("[0-9A-Za-z]{8}")
_TCP = re.compile(r"tcp6?:(?:port=)?([0-9]+)")
_INTERFACE = re.compile(r":interface=((?:\\.|[^:\\])+)")
_ROLES = [str(role) for role in Role]
_USUAL = 90 * 86400.0


@click.group(short_help="Who may use the admin API from elsewhere.")
def token() -> None:
    """Tokens for the admin listener. By the control socket nobody needs one, and so the first is made there."""


@token.command(short_help="Make a token; it is shown once.")
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), required=True, help="What it may do.")
@click.option("--expires", type=Duration(), default="90d", show_default=True, help="After this it is good for nothing.")
@click.option("--reason", help="Why, for the audit records.")
@click.option("--for-file", "forFile", is_flag=True,
              help="Ask no edge: print the token, and below it the entry for a file that admin.tokens names.")
@asking
def new(edge: RemoteEdge, name: str, role: str, expires: float, reason: str | None, forFile: bool) -> None:
    """Make a token called NAME, and show it this once.

    Roles: read (figures and states), observe (also requests), operate (also enable, disable, rollback, pin, rollout,
    record, drain), configure (also the configuration: whoever has it can run code), admin (also tokens and audit
    records). Each may what those before it may.
    """
    if forFile:
        edge.show(_entry(name, role, time.time() + expires), _printEntry)
        return
    body = {"name": name, "role": role, "expires_in": expires, **({"reason": reason} if reason else {})}
    made = edge.ask("POST", "tokens", body=body)
    edge.show(made, lambda made: _printNew(made))
    if made.get("unwritten"):  # an older edge does not say it
        sys.exit(1)


def _printNew(made: Any) -> None:
    click.echo(made["token"])
    about = f"{made['name']} ({made['id']}): {made['role']}, until {_day(made['expires_at'])}"
    click.echo(f"{about}; it is not shown again", err=True)
    if made.get("unwritten"):
        click.echo(f"not written down: {made['unwritten']}; it is lost with a restart until it can be", err=True)


def _entry(name: str, role: str, until: float) -> dict[str, Any]:
    number, text = newToken()
    entry = {"id": number, "name": name, "role": role, "sha256": digestOf(text), "expires_at": round(until)}
    return {"token": text, "entry": entry}


def _printEntry(made: Any) -> None:
    click.echo(made["token"])
    click.echo(f"tokens:\n- {json.dumps(made['entry'])}")


@token.command("list", short_help="All tokens, without what makes one.")
@asking
def list_(edge: RemoteEdge) -> None:
    """All tokens: what they may do, until when, and when they were used last."""
    edge.show(edge.get("tokens")["items"], lambda found: _printList(edge, found))


def _printList(edge: RemoteEdge, found: Any) -> None:
    if not found:
        click.echo("no tokens; revproxy token new NAME --role ROLE makes one")
        return
    rows = [
        (
            each["id"], each["name"], each["role"],
            "expired" if each["is_expired"] else f"in {durationText(_rounded(each['expires_at'] - time.time()))}",
            "never" if each["last_used_at"] is None else _time(each["last_used_at"]), each["file"] or "-",
        )
        for each in found
    ]  # fmt: skip
    edge.report.table(("id", "name", "role", "expires", "last used", "file"), rows)


@token.command(short_help="End a token.")
@click.argument("identifier", metavar="ID", shell_complete=named("tokens", key="id"))
@click.option("--reason", help="Why, for the audit records.")
@asking
def revoke(edge: RemoteEdge, identifier: str, reason: str | None) -> None:
    """End the token ID, the sessions that it has begun, and what it follows."""
    if not _ID.fullmatch(identifier):
        raise click.ClickException(f"{printable(identifier)} is no id of a token; revproxy token list shows them")
    edge.show(edge.ask("DELETE", "tokens", identifier, query={"reason": reason}),
              lambda done: edge.report.lines(done["text"]))


@click.command(short_help="A code for signing in to the dashboard, once.")
@click.option("--role", type=click.Choice(_ROLES), default="admin", show_default=True, help="What the session may do.")
@asking
def login(edge: RemoteEdge, role: str) -> None:
    """Print a code for signing in to the dashboard: behind #login= of its address, once, within five minutes."""
    made = edge.ask("POST", "login-codes", body={"role": role})
    edge.show(made, lambda made: _printCode(edge, made["code"]))


def _printCode(edge: RemoteEdge, code: str) -> None:
    click.echo(code)
    try:
        address = edge.url or _address(edge.get("config", "effective")["admin"])
    except (click.ClickException, LookupError, TypeError):
        return
    if address:
        click.echo(f"it signs in at {printable(address.rstrip('/'))}/#login={code}", err=True)
    else:
        click.echo("there is no listener to sign in at: add `admin: {endpoint: …}` to revproxy.yaml", err=True)


def _address(admin: Any) -> str:
    """Where browsers find the dashboard; empty: nowhere."""
    if admin is None or not (found := _TCP.match(admin["endpoint"])):
        return ""
    scheme = "http" if admin["tls"] is None else "https"
    here = _INTERFACE.search(admin["endpoint"])
    host = next(iter(admin["hosts"]), here[1].replace("\\:", ":") if here else "localhost")
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{found[1]}"


def _rounded(seconds: float) -> float:
    return round(seconds / 86400) * 86400.0 if seconds > 86400 else round(seconds)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d")


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")


COMMANDS = (token, login)
"""All of them."""
