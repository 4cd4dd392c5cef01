"""
The command ``doctor``: of a running edge, and where none runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from revproxy import __version__
from revproxy.admin.doctor.check import STATES, Check, worst
from revproxy.admin.doctor.outside import outsideChecks
from revproxy.cli.remoteedge import NoEdge, RemoteEdge, asking

_SIGNS = {"ok": "ok", "warning": "warning", "failing": "FAILING"}


@click.command(short_help="Whether the edge, its machine and its configuration are well.")
@click.option("--all", "showsAll", is_flag=True, help="Also what is well.")
@asking
def doctor(edge: RemoteEdge, showsAll: bool) -> None:
    """Look at the edge, its machine, its folders and its configuration, and say what to do.

    Where no edge runs, it looks at what can be seen without: the file, the folders, the ports, the machine. Exits 0
    when nothing is failing, else 1.
    """
    result = examined(edge)
    edge.show(result, lambda result: _show(edge, result, showsAll))
    if result["state"] == "failing":
        raise SystemExit(1)

_START = "Start it: revproxy run, or systemctl start revproxy."
_ASK = "Ask as the user that the edge runs as, or as root."


def examined(edge: RemoteEdge) -> dict[str, Any]:
    """What is found, as JSON has it."""
    try:
        result: dict[str, Any] = edge.get("doctor")
        checks = [Check(**check) for check in result["checks"]]
        checks += _version(edge)
    except NoEdge as error:
        advice = f"{_ASK if error.mayBe else _START} What follows can be seen without it."
        checks = [Check("edge", "failing", str(error), advice), *outsideChecks(edge.config)]
    return {"state": worst(checks), "checks": [check.asDict() for check in checks]}


def _version(edge: RemoteEdge) -> Sequence[Check]:
    """Whether the edge is the same revproxy as this command."""
    version = edge.get("status")["version"]
    if version == __version__:
        return ()
    text = f"the edge is revproxy {version}, and this command {__version__}"
    return (Check("version", "warning", text, "Restart the edge, if it is to be the version that is installed."),)


def _show(edge: RemoteEdge, result: Mapping[str, Any], showsAll: bool) -> None:
    checks = sorted(result["checks"], key=lambda check: -STATES.index(check["state"]))
    shown = [check for check in checks if showsAll or check["state"] != "ok"]
    lines: list[str] = []
    for check in shown:
        lines.append(f"{_SIGNS[check['state']]:<9}{check['name']}: {check['text']}")
        if check["advice"]:
            lines.append(f"{'':<9}{check['advice']}")
    edge.report.lines(lines)
    counts = {state: sum(check["state"] == state for check in checks) for state in STATES}
    said = f"{counts['ok']} well, {counts['warning']} to look at, {counts['failing']} failing"
    edge.report.lines([said if showsAll or not counts["ok"] else f"{said}; --all shows those that are well"])


COMMANDS = (doctor,)

__all__ = ["COMMANDS", "examined"]
