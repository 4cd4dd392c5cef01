"""
``revproxy rollout``: how new versions earn their place, and what somebody may do about it.

The plugin comes first, as one thinks of it: ``revproxy rollout quota hold``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from revproxy.cli.names import named
from revproxy.cli.remoteedge import RemoteEdge, asking
from revproxy.cli.repeated import INTERVAL, repeat
from revproxy.cli.rolloutreport import show, showAll, showPlan
from revproxy.cli.rolloutwords import ENDS, transition, waitsFor
from revproxy.config.document import parseYAML, readText
from revproxy.config.problems import ConfigErrors

STEERING = ("step", "hold", "resume", "promote", "abort")
"""What is done to one that goes on."""

COMMANDS_OF_ONE = ("status", "plan", "start", *STEERING)


@click.command(short_help="How new versions come into service; steer that.")
@click.argument("name", required=False, shell_complete=named("plugins"))
@click.argument("command", required=False, type=click.Choice(COMMANDS_OF_ONE))
@click.argument("version", required=False)
@click.option("--all", "isAll", is_flag=True, help="status: also differences that are noise.")
@click.option("-w", "--watch", "isWatching", is_flag=True, help="status: again each second, until Ctrl-C.")
@click.option("--wait", "isWaiting", is_flag=True,
              help="status, start: until it ends; ends with status 1 if it is not promoted.")  # fmt: skip
@click.option("--step", "steps", multiple=True, metavar="STEP",
              help="start, plan: a step as in revproxy.yaml, '{canary: 5%, until: {fault: 1%}}'; again for more.")
@click.option("--policy", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
              help="start, plan: a file with what revproxy.yaml has under plugins.rollout.plugins.NAME.")  # fmt: skip
@click.option("--from", "left", type=click.IntRange(1), metavar="N",
              help="step: only if step N is the one that ends, as status has it; it may have gone on by itself.")
@click.option("--reason", help="Why, for the others.")
@asking
def rollout(
    edge: RemoteEdge,
    name: str | None,
    command: str | None,
    version: str | None,
    isAll: bool,
    isWatching: bool,
    isWaiting: bool,
    steps: Sequence[str],
    policy: Path | None,
    left: int | None,
    reason: str | None,
) -> None:
    """How a new version of plugin NAME earns its place; without NAME, of all plugins.

    \b
    status   what was seen of it, and what is judged of that; the default
    plan     how long the steps would take by the traffic of the last hour, and
             what they cannot show; nothing is begun
    start    begin with VERSION, one that is stored or the beginning of its
             digest; left out: with that of the folder
    step     go on to the next step now, whatever was seen
    hold     stay in this step; a candidate that is worse still goes back
    resume   go on by what is seen
    promote  have it serve everybody, now
    abort    have it serve nobody, now
    """
    command = command or "status"
    _check(name, command, version, status=isWatching or isAll, wait=isWaiting, policy=bool(steps) or policy is not None,
           left=left is not None, reason=reason is not None)  # fmt: skip
    if isWaiting:
        edge.indent = None  # start and its end, a line each
    if name is None:
        _repeated(edge, isWatching, lambda: _all(edge))
    elif command == "status" and isWaiting:
        _wait(edge, name)
    elif command == "status":
        _repeated(edge, isWatching, lambda: _one(edge, name, isAll))
    elif command == "plan":
        found = _planned(edge, name, version, _policy(steps, policy))
        edge.show(found, lambda found: showPlan(edge.report, found))
    elif command == "start":
        edge.change("rollouts", name, "start", version=version, policy=_policy(steps, policy), reason=reason)
        if isWaiting:
            _wait(edge, name)
    elif command == "step":
        edge.change("rollouts", name, "step", reason=reason, **{"from": _current(edge, name) if left is None else left})
    else:
        edge.change("rollouts", name, command, reason=reason)


def _check(name: str | None, command: str, version: str | None, **given: bool) -> None:
    """:raises click.UsageError: what was given does not go together."""
    if name in COMMANDS_OF_ONE and command == "status":
        raise click.UsageError(f"the plugin's name comes first: revproxy rollout NAME {name}")
    goes = {
        "status": (command == "status" and not given["wait"], "--watch and --all go with status, and not with --wait"),
        "wait": (command in ("status", "start") and name is not None, "--wait goes with status and start of a plugin"),
        "policy": (command in ("start", "plan"), "--step and --policy go with start and plan"),
        "left": (command == "step", "--from goes with step"),
        "reason": (command == "start" or command in STEERING, "--reason goes with what changes something"),
    }
    for key, (isRight, text) in goes.items():
        if given[key] and not isRight:
            raise click.UsageError(text)
    if version is not None and command not in ("start", "plan"):
        raise click.UsageError(f"{command} takes no version: {version}")


def _repeated(edge: RemoteEdge, isWatching: bool, act: Any) -> None:
    if not isWatching:
        act()
        return
    edge.indent = None
    repeat(act)


def _all(edge: RemoteEdge) -> None:
    edge.show(edge.get("rollouts")["items"], lambda found: showAll(edge.report, found))


def _one(edge: RemoteEdge, name: str, isAll: bool) -> None:
    edge.show(edge.get("rollouts", name), lambda found: show(edge.report, found, time.time(), isAll))


def _current(edge: RemoteEdge, name: str) -> int | None:
    """The step in which it is, from 1; None: it is in none. The edge goes on from no other."""
    step = edge.get("rollouts", name)["step"]
    return None if step is None else int(step["index"])


def _planned(edge: RemoteEdge, name: str, version: str | None, policy: Any) -> Any:
    if policy is None:
        return edge.get("rollouts", name, "plan", version=version)
    body = {"policy": policy} if version is None else {"version": version, "policy": policy}
    return edge.ask("POST", "rollouts", name, "plan", body=body)


def _policy(steps: Sequence[str], file: Path | None) -> Any:
    """
    What is to be done this time, as JSON can say it; None: as revproxy.yaml has it.

    :raises click.ClickException: it is no YAML.
    """
    if file is None:
        return {"steps": [_yaml(text, "--step") for text in steps]} if steps else None
    if steps:
        raise click.UsageError("--step and --policy do not go together: a policy has steps")
    try:
        text = sys.stdin.read() if str(file) == "-" else readText(file, str(file))
    except ConfigErrors as errors:
        raise click.ClickException(str(errors)) from None
    return _yaml(text, str(file))


def _yaml(text: str, source: str) -> Any:
    try:
        return parseYAML(text, source).value
    except ConfigErrors as errors:
        raise click.ClickException(str(errors)) from None


def _wait(edge: RemoteEdge, name: str) -> None:
    """
    Until it is over; what happens is told as it happens.

    :raises SystemExit: with status 1, if the candidate is not promoted.
    """
    told = 0
    while True:
        found = edge.get("rollouts", name)
        for each in found["transitions"][told:]:
            if not edge.json:
                edge.report.lines([transition(each)])
        if not edge.json and found["held"] and len(found["transitions"]) > told:
            edge.report.lines([waitsFor(name)])
        told = len(found["transitions"])
        if found["state"] in ENDS:
            break
        time.sleep(INTERVAL)
    if edge.json:
        edge.show(found, lambda _: None)
    if found["state"] != "promoted":
        raise SystemExit(1)


COMMANDS = (rollout,)
"""All of them."""
