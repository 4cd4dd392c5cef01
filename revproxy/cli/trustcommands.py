"""
Whose code runs on an edge, and granting what a plugin asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from revproxy.cli.names import named
from revproxy.cli.offlinegrant import grantInFile
from revproxy.cli.remoteedge import CHANGE_TIMEOUT, NoEdge, RemoteEdge, asking
from revproxy.cli.report import refusal
from revproxy.cli.trustreport import permissionText

Facts = Mapping[str, Any]

_SIGNERS = ("signer", "key", "plugins", "tier", "until", "signed")
_PLUGINS = ("name", "state", "signer", "runs in", "may", "note")


@click.command(short_help="Whose code runs, where, and what it may touch.")
@asking
def trust(edge: RemoteEdge) -> None:
    """Whose code runs on an edge: the rules, the keys, what locks processes on this machine, and each plugin."""
    edge.show(edge.get("trust"), lambda found: _show(edge, found))


@click.command(short_help="Grant a plugin what it asks for.")
@click.argument("name", shell_complete=named("plugins"))
@click.option("--dry-run", "isTrial", is_flag=True, help="Only say what would come of it.")
@click.option("-y", "--yes", "isSure", is_flag=True, help="Do not ask.")
@click.option("--reason", help="Why, for the others.")
@asking
def grant(edge: RemoteEdge, name: str, isTrial: bool, isSure: bool, reason: str | None) -> None:
    """Grant plugin NAME all that it asks for, and does not have.

    It is shown, and asked about, first; then it is written into the edge's configuration file, under plugins.grants. A
    version that has waited for it runs at once; if its folder has another version by then, nothing is granted.
    """
    try:
        found = edge.get("plugins", name)["trust"]
    except NoEdge as error:
        if error.mayBe or edge.url or edge.config is None:
            raise
        grantInFile(edge.config, name, lambda missing: _isWanted(edge, name, missing, isSure, isTrial), isTrial)
        return
    waiting = found["waiting"] if found["waiting"] is not None and found["waiting"]["asked"] is not None else None
    wanted = (waiting or found["permissions"])["missing"]
    if not _isWanted(edge, name, wanted, isSure, isTrial):
        return
    body = {key: value for key, value in (("reason", reason), ("digest", waiting and waiting["digest"])) if value}
    told = edge.ask(
        "POST", "plugins", name, "grant", query={"dry_run": isTrial}, body=body, timeout=CHANGE_TIMEOUT
    )
    edge.show(told, lambda told: edge.report.lines([*told["text"], *told["diff"].splitlines()]))
    mine = [each for each in told["refused"] if each["plugin"] in ("", name)]
    for each in mine:
        click.echo(refusal(each), err=True)
    if mine:
        raise SystemExit(1)


def _isWanted(edge: RemoteEdge, name: str, missing: Sequence[str], isSure: bool, isTrial: bool) -> bool:
    """Whether there is something to be granted. :raises click.Abort: somebody does not want to."""
    if not edge.json:
        lines = missing or ["nothing that it does not have"]
        edge.report.lines([f"{name} asks for:", *(f"  {what}" for what in lines)])
    if missing and not (isSure or isTrial):
        click.confirm("Grant it?", abort=True, err=True)
    return bool(missing)


def _show(edge: RemoteEdge, found: Facts) -> None:
    report = edge.report
    report.lines(_rules(found))
    if found["signers"]:
        report.lines([""])
        report.table(_SIGNERS, map(_signerRow, found["signers"]))
    if found["plugins"]:
        report.lines([""])
        report.table(_PLUGINS, map(_pluginRow, found["plugins"]))


def _rules(found: Facts) -> Iterator[str]:
    yield f"mode      {found['mode']}"
    if found["lock"] is not None:
        yield f"lock      {found['lock']['path']}: {len(found['lock']['plugins'])} plugins"
    if found["revoked"] is not None:
        yield f"revoked   {found['revoked']['path']}: {len(found['revoked']['entries'])} entries"
    yield from (f"problem   {problem}" for problem in found["problems"])
    if found["layers"]:
        level = found["level"] or "below what may be used"
        yield f"level     {level}; at least {found['minimum_level']} is wanted"
        width = max(len(layer["name"]) for layer in found["layers"])
        for layer in found["layers"]:
            yield f"  {layer['name']:<{width}}  {'yes' if layer['enforced'] else layer['reason']}"


def _signerRow(signer: Facts) -> tuple[str, ...]:
    end = signer["not_after"]
    until = "" if end is None else datetime.fromtimestamp(end - 1, UTC).strftime("%Y-%m-%d")
    note = "revoked" if signer["is_revoked"] else f"{until}, over" if signer["is_over"] else until
    return (signer["name"], signer["key"], ", ".join(signer["plugins"]), signer["tier"], note,
            ", ".join(signer["signed"]))  # fmt: skip


def _pluginRow(plugin: Facts) -> tuple[str, ...]:
    tier = plugin["tier"] if plugin["level"] is None else f"{plugin['tier']}, level {plugin['level']}"
    tier = "nowhere" if plugin["state"] == "revoked" else tier
    waiting, missing = plugin["waiting"], plugin["permissions"]["missing"]
    if waiting is not None:
        verb = "waits" if waiting["stage"] == "grant" else "does not run"
        note = f"{waiting['version']} {verb}: {waiting['message']}"
    else:
        note = f"without {'; '.join(missing)}" if missing else ""
    return (plugin["name"], plugin["state"], plugin["signer"] or "", tier,
            permissionText(plugin["permissions"]["granted"]), note or plugin["message"] or "")  # fmt: skip


COMMANDS = (trust, grant)
"""All of them."""
