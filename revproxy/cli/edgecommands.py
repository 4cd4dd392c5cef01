"""
The commands that ask a running edge, or have it change something.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from revproxy.cli.edgeclient import EdgeNotRunning, NoAnswer, callEdge, isGuessed, statePath
from revproxy.cli.repeated import repeat
from revproxy.cli.report import Report, refusal
from revproxy.config.problems import ConfigErrors
from revproxy.control.commands import CommandError
from revproxy.errors import printable

ASK_TIMEOUT = 15.0
"""Seconds that an edge may take to tell something."""

CHANGE_TIMEOUT = 300.0
"""Seconds that an edge may take for a change; the plugins in it have deadlines of their own."""

_CONFIG = Path("revproxy.yaml")
_STATE = Path("var")


class RemoteEdge:
    """
    A running edge, as a command sees it. An error ends the command with status 1 and one line.

    :ivar json: whether results are printed as JSON.
    :ivar indent: of that JSON; None for one line.
    :ivar report: prints them otherwise.
    """

    def __init__(self, socket: Path, json: bool, config: Path | None = None) -> None:
        """:param config: the file that names the state folder, if one does."""
        self._config = config
        self.json = json
        self.indent: int | None = 2
        self.report = Report(sys.stdout.isatty())
        self._socket = socket

    def ask(self, call: str, /, timeout: float = ASK_TIMEOUT, **arguments: Any) -> Any:
        """
        The edge's answer to a call.

        :raises click.ClickException: there is none, or the edge refuses.
        """
        try:
            return callEdge(self._socket, call, arguments, timeout)
        except (EdgeNotRunning, NoAnswer, CommandError) as error:
            text = str(error)
            if isinstance(error, EdgeNotRunning) and self._config is not None and isGuessed(self._config):
                text = f"{self._config} cannot be parsed and names no state folder, so the usual one was tried. {text}"
            raise click.ClickException(printable(" ".join(text.split("\n")))) from None

    def show(self, result: Any, present: Callable[[Any], None]) -> None:
        """Print a result: as JSON if the user wants that, else by ``present``."""
        if self.json:
            click.echo(json.dumps(result, indent=self.indent))
        else:
            present(result)

    def change(self, call: str, /, **arguments: Any) -> None:
        """
        Have the edge change something, and print what it has done and what it refused.

        :raises SystemExit: with status 1, if it refused anything.
        """
        result = self.ask(call, CHANGE_TIMEOUT, **arguments)
        self.show(result, lambda result: self.report.lines(result["text"]))
        for refused in result["refused"]:
            click.echo(refusal(refused), err=True)
        if result["refused"]:
            raise SystemExit(1)


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which edge it is for, and that edge as its first argument."""

    @click.option("--config", type=click.Path(path_type=Path, dir_okay=False),
                  help="The edge's configuration file, which names its state folder.  [default: revproxy.yaml]")
    @click.option("--state", type=click.Path(path_type=Path, file_okay=False),
                  help="The edge's state folder itself.  [default: var, where there is no revproxy.yaml]")
    @click.option("--json", "asJSON", is_flag=True, help="Print the result as JSON.")
    @wraps(command)
    def asking(config: Path | None, state: Path | None, asJSON: bool, **arguments: Any) -> None:
        if config is not None and state is not None:
            raise click.UsageError("--config and --state do not go together: the one names the other")
        if config is None and state is None and _CONFIG.exists():
            config = _CONFIG
        folder = _stateFolder(config) if config is not None else state or _STATE
        command(RemoteEdge(folder / "control.sock", asJSON, config), **arguments)

    return asking


def _stateFolder(config: Path) -> Path:
    try:
        return statePath(config)
    except ConfigErrors as errors:
        raise click.ClickException(str(errors)) from None


@click.command(short_help="What plugins do; all about NAME; what was refused.")
@click.argument("name", required=False)
@click.option("-a", "--all", "removed", is_flag=True, help="Also those that were removed, as far as is remembered.")
@click.option("-w", "--watch", "watching", is_flag=True, help="Again each second, until Ctrl-C.")
@_asking
def plugins(edge: RemoteEdge, name: str | None, removed: bool, watching: bool) -> None:
    """What the plugins of a running edge do; or, with NAME, all about one: its versions and its last failure too."""
    if watching:
        edge.indent = None
        repeat(lambda: _plugins(edge, name, removed))
    else:
        _plugins(edge, name, removed)


def _plugins(edge: RemoteEdge, name: str | None, removed: bool) -> None:
    if name is None:
        edge.show(edge.ask("plugins", **({"removed": True} if removed else {})), edge.report.plugins)
        if not edge.json:
            edge.report.configuration(edge.ask("configuration"))
    else:
        edge.show(edge.ask("plugins", name=name), lambda found: edge.report.plugin(found[0]))


@click.command(short_help="What has happened.")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@_asking
def events(edge: RemoteEdge, count: int) -> None:
    """What has happened to plugins and configuration, the latest last."""
    edge.show(edge.ask("events", count=count), edge.report.events)


@click.command(short_help="Run the version of a plugin before.")
@click.argument("name")
@click.argument("version", required=False)
@_asking
def rollback(edge: RemoteEdge, name: str, version: str | None) -> None:
    """Go back to an earlier version of plugin NAME.

    VERSION is a version or the beginning of a digest (revproxy plugins NAME lists them); left out, it is the one that
    ran well before. It stays until the plugin's folder holds something new, or until unpin.
    """
    edge.change("rollback", name=name, version=version)


@click.command(short_help="Keep a plugin at a version.")
@click.argument("name")
@click.argument("version", required=False)
@_asking
def pin(edge: RemoteEdge, name: str, version: str | None) -> None:
    """Keep plugin NAME at VERSION, whatever its folder holds; left out, at the one that runs."""
    edge.change("pin", name=name, version=version)


@click.command(short_help="Let a plugin follow its folder again.")
@click.argument("name")
@_asking
def unpin(edge: RemoteEdge, name: str) -> None:
    """Let plugin NAME follow its folder again."""
    edge.change("unpin", name=name)


@click.command(short_help="Switch a plugin on.")
@click.argument("name")
@_asking
def enable(edge: RemoteEdge, name: str) -> None:
    """Switch plugin NAME on, on every route that does not say otherwise."""
    edge.change("enable", name=name)


@click.command(short_help="Switch a plugin off.")
@click.argument("name")
@_asking
def disable(edge: RemoteEdge, name: str) -> None:
    """Switch plugin NAME off."""
    edge.change("disable", name=name)


@click.command(short_help="Read all files now; say what was refused.")
@click.option("--without-state", is_flag=True, help="Replace even what cannot hand its state over.")
@_asking
def reload(edge: RemoteEdge, without_state: bool) -> None:
    """Look at the configuration and all plugins again, now; also at those that failed."""
    edge.change("reload", without_state=without_state)


COMMANDS = (plugins, events, rollback, pin, unpin, enable, disable, reload)
"""All of them."""
