"""``revproxy``: the commands that are not the server itself. The server is ``twistd revproxy``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from twisted.logger import globalLogBeginner

from revproxy import __version__
from revproxy.cli.locate import statePath
from revproxy.cli.preflight import Findings, checkFile
from revproxy.cli.report import Report, refusal
from revproxy.cli.templates import writeConfig, writePlugin
from revproxy.config.problems import ConfigErrors
from revproxy.control.controlsocket import EdgeNotRunning, NoAnswer, SteeringError, callEdge
from revproxy.errors import printable
from revproxy.loop.interpreter import importBeside

LOOK_TIMEOUT = 15.0
"""Seconds that an edge may take to tell something."""

CHANGE_TIMEOUT = 300.0
"""Seconds that an edge may take for a change; the plugins in it have deadlines of their own."""

_CONFIG = Path("revproxy.yaml")
_STATE = Path("var")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@click.group()
@click.version_option(__version__, prog_name="revproxy")
def main() -> None:
    """A programmable edge. To start it: twistd -n revproxy --config revproxy.yaml"""


@main.command()
@click.argument("file", type=click.Path(path_type=Path, readable=False), default="revproxy.yaml")
def check(file: Path) -> None:
    """Check FILE (default: revproxy.yaml) and all plugins it uses.

    Every problem is one line, FILE:LINE:COLUMN first. Nothing is started. Exits 0 when all is well, else 1; warnings
    do not count.
    """
    # What getPlugins says about drop-ins nobody named is for the server's log; those that are named become problems.
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    importBeside(file)
    try:
        findings = checkFile(file)
    except ConfigErrors as errors:
        for problem in errors.problems:
            click.echo(" ".join(str(problem).splitlines()))
        count = len(errors.problems)
        click.echo(f"{count} problem{'s' if count != 1 else ''}", err=True)
        raise SystemExit(1) from None
    for warning in findings.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(_summary(findings))


def _summary(findings: Findings) -> str:
    config = findings.config
    counts = ((config.listeners, "listener"), (config.upstreams, "upstream"), (config.routes, "route"))
    parts = [f"{len(those)} {word}{'' if len(those) == 1 else 's'}" for those, word in counts]
    names = ", ".join(str(manifest) for manifest in findings.manifests)
    parts.append(f"plugins: {names}" if names else "no plugins")
    if findings.off:
        parts.append(f"off: {', '.join(findings.off)}")
    return f"{config.source}: ok; {'; '.join(parts)}"


@main.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=".")
def init(directory: Path) -> None:
    """Write a commented revproxy.yaml into DIRECTORY (default: here). An existing one is never overwritten."""
    try:
        path = writeConfig(directory)
    except FileExistsError as error:
        raise click.ClickException(f"{error.filename} exists already; it was left as it is") from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(f"wrote {path}; next: revproxy check {path}, then twistd -n revproxy --config {path}")


@main.command("new-plugin")
@click.argument("name")
@click.option("--plugins", "folder", type=click.Path(path_type=Path, file_okay=False), default="plugins",
              show_default=True, help="The folder of plugins.")
def newPlugin(name: str, folder: Path) -> None:
    """Write a small working plugin NAME to start from. An existing one is never overwritten."""
    if not _NAME.fullmatch(name):
        raise click.BadParameter("a name has lower-case letters, digits and hyphens only", param_hint="NAME")
    try:
        path = writePlugin(folder, name)
    except FileExistsError as error:
        raise click.ClickException(f"{error.filename} exists already; it was left as it is") from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(f"wrote {path}: edit {path / 'plugin.py'}; its manifest is {path / 'plugin.json'}")


# What follows asks a running edge.


class Edge:
    """
    A running edge, as a command sees it. What goes wrong ends the command with status 1 and one line.

    :ivar json: whether results are printed as they came.
    """

    def __init__(self, socket: Path, json: bool) -> None:
        self.json = json
        self.report = Report(sys.stdout.isatty())
        self._socket = socket

    def ask(self, call: str, /, timeout: float = LOOK_TIMEOUT, **arguments: Any) -> Any:
        """The result of a call."""
        try:
            return callEdge(self._socket, call, arguments, timeout)
        except (EdgeNotRunning, NoAnswer, SteeringError) as error:
            raise click.ClickException(printable(" ".join(str(error).split("\n")))) from None

    def show(self, result: Any, present: Callable[[Any], None]) -> None:
        """Print a result, as JSON if that is wanted."""
        if self.json:
            click.echo(json.dumps(result, indent=2))
        else:
            present(result)

    def change(self, call: str, /, **arguments: Any) -> None:
        """Have something changed; print what happened, and what was refused, which makes the status 1."""
        result = self.ask(call, CHANGE_TIMEOUT, **arguments)
        self.show(result, lambda result: self.report.lines(result["text"]))
        for one in result["refused"]:
            click.echo(refusal(one), err=True)
        if result["refused"]:
            raise SystemExit(1)


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options that say which edge, and that edge as its first argument."""

    @click.option("--config", type=click.Path(path_type=Path, dir_okay=False),
                  help="The edge's configuration file, which names its state folder.  [default: revproxy.yaml]")
    @click.option("--state", type=click.Path(path_type=Path, file_okay=False),
                  help="The edge's state folder itself.  [default: var, where there is no revproxy.yaml]")
    @click.option("--json", "asJSON", is_flag=True, help="Print the result as JSON.")
    @wraps(command)
    def asking(config: Path | None, state: Path | None, asJSON: bool, **arguments: Any) -> None:
        command(Edge(_stateFolder(config, state) / "control.sock", asJSON), **arguments)

    return asking


def _stateFolder(config: Path | None, state: Path | None) -> Path:
    if config is not None and state is not None:
        raise click.UsageError("--config and --state do not go together: the one names the other")
    if state is None and (config is not None or _CONFIG.exists()):
        try:
            return statePath(config or _CONFIG)
        except ConfigErrors as errors:
            raise click.ClickException(str(errors)) from None
    return state or _STATE


@main.command()
@click.argument("name", required=False)
@_asking
def plugins(edge: Edge, name: str | None) -> None:
    """What the plugins of a running edge do; or, with NAME, all about one: its versions and its last failure too."""
    if name is None:
        edge.show(edge.ask("plugins"), edge.report.plugins)
        if not edge.json:
            edge.report.configuration(edge.ask("configuration"))
    else:
        edge.show(edge.ask("plugins", name=name), lambda found: edge.report.plugin(found[0]))


@main.command()
@click.option("-n", "count", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@_asking
def events(edge: Edge, count: int) -> None:
    """What has happened to plugins and configuration, the latest last."""
    edge.show(edge.ask("events", count=count), edge.report.events)


@main.command()
@click.argument("name")
@click.argument("version", required=False)
@_asking
def rollback(edge: Edge, name: str, version: str | None) -> None:
    """Go back to an earlier version of plugin NAME.

    VERSION is a version or the beginning of a digest (revproxy plugins NAME lists them); left out, it is the one that
    ran well before. It stays until the plugin's folder holds something new, or until unpin.
    """
    edge.change("rollback", name=name, version=version)


@main.command()
@click.argument("name")
@click.argument("version", required=False)
@_asking
def pin(edge: Edge, name: str, version: str | None) -> None:
    """Keep plugin NAME at VERSION, whatever its folder holds; left out, at the one that runs."""
    edge.change("pin", name=name, version=version)


@main.command()
@click.argument("name")
@_asking
def unpin(edge: Edge, name: str) -> None:
    """Let plugin NAME follow its folder again."""
    edge.change("unpin", name=name)


@main.command()
@click.argument("name")
@_asking
def enable(edge: Edge, name: str) -> None:
    """Switch plugin NAME on, on every route that does not say otherwise."""
    edge.change("enable", name=name)


@main.command()
@click.argument("name")
@_asking
def disable(edge: Edge, name: str) -> None:
    """Switch plugin NAME off."""
    edge.change("disable", name=name)


@main.command()
@click.option("--without-state", is_flag=True, help="Replace even what cannot hand its state over.")
@_asking
def reload(edge: Edge, without_state: bool) -> None:
    """Look at the configuration and all plugins again, now; also at those that failed."""
    edge.change("reload", without_state=without_state)


if __name__ == "__main__":
    main()
