"""
A running edge, as commands see it: which one is meant, what it answers, and how a command ends.

A command ends with status 0 when all is done, 1 when the edge has refused something, or does not answer; 2 when it was
given wrongly; 3 when there is no edge.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import click

from revproxy.cli.edgeclient import (
    EdgeClient,
    EdgeNotRunning,
    NoAnswer,
    OutOfReach,
    Refused,
    isGuessed,
    pathOf,
    statePath,
)
from revproxy.cli.report import Report, refusal
from revproxy.config.problems import ConfigErrors
from revproxy.errors import printable

ASK_TIMEOUT = 15.0
"""Seconds that an edge may take to tell something."""

CHANGE_TIMEOUT = 300.0
"""Seconds that an edge may take for a change; the plugins in it have deadlines of their own."""

_TOKEN_LIMIT = 4096
"""Bytes of a file with a token."""

_CONFIG = Path("revproxy.yaml")
_STATE = Path("var")


class NoEdge(click.ClickException):
    """
    There is no edge to ask.

    :ivar mayBe: there may be one all the same, which whoever asks may not reach.
    """

    exit_code = 3
    mayBe = False


class RemoteEdge:
    """
    A running edge. An error ends the command with one line, and the status that the module's docstring says.

    :ivar config: the file that names the state folder, if one does.
    :ivar json: whether results are printed as JSON.
    :ivar indent: of that JSON; None for one line.
    :ivar report: prints them otherwise.
    :ivar folder: the edge's state folder; None: it is asked by its listener.
    :ivar url: of that listener; empty: it is asked by its control socket.
    """

    def __init__(
        self, client: EdgeClient, json: bool, config: Path | None = None, folder: Path | None = None, url: str = ""
    ) -> None:
        """:param config: the file that names the state folder, if one does."""
        self.url = url
        self.config = config
        self.folder = folder
        self.json = json
        self.indent: int | None = 2
        self.report = Report(sys.stdout.isatty())
        self._client = client

    def get(self, *path: str, **query: Any) -> Any:
        """
        What the edge has at a path below ``/api/v1``: ``edge.get("plugins", name)``.

        :param query: None, and a false flag, are left out; a list is given again and again.
        """
        return self.ask("GET", *path, query=query)

    def ask(
        self, method: str, *path: str, query: Any = None, body: Any = None, timeout: float = ASK_TIMEOUT, **more: Any
    ) -> Any:
        """
        The edge's answer to a request.

        :param more: as for `EdgeClient.ask`.
        :raises click.ClickException: there is none, or the edge refuses.
        """
        try:
            return self._client.ask(method, pathOf(*path), query, body, timeout, **more)
        except (EdgeNotRunning, NoAnswer, Refused) as error:
            raise self._ending(error) from None

    def follow(self, *path: str, last: str = "", **query: Any) -> Iterator[tuple[str, Any]]:
        """
        What a stream tells: the id of each event, and its data.

        :param last: the id of the last event that was heard.
        """
        try:
            yield from self._client.follow(pathOf(*path), query, last)
        except (EdgeNotRunning, NoAnswer, Refused) as error:
            raise self._ending(error) from None

    def _ending(self, error: EdgeNotRunning | NoAnswer | Refused) -> click.ClickException:
        text = str(error)
        if isinstance(error, EdgeNotRunning) and self.config is not None and isGuessed(self.config):
            text = f"{self.config} cannot be parsed and names no state folder, so the usual one was tried. {text}"
        if isinstance(error, Refused) and error.status == 401:
            text += "; a token goes into REVPROXY_TOKEN or --token-file, and revproxy token new makes one there"
        text = printable(" ".join(text.split("\n")))
        if not isinstance(error, EdgeNotRunning):
            return click.ClickException(text)
        ending = NoEdge(text)
        ending.mayBe = isinstance(error, OutOfReach)
        return ending

    def show(self, result: Any, present: Callable[[Any], None]) -> None:
        """Print a result: as JSON if the user wants that, else by ``present``."""
        if self.json:
            click.echo(json.dumps(result, indent=self.indent))
        else:
            present(result)

    def change(self, *path: str, **body: Any) -> None:
        """
        Have the edge change something, and print what it has done and what it refused.

        :param body: None, and a false flag, are left out.
        :raises SystemExit: with status 1, if it refused anything.
        """
        content = {name: value for name, value in body.items() if value is not None and value is not False}
        try:
            result = self._client.ask("POST", pathOf(*path), None, content, CHANGE_TIMEOUT)
        except (EdgeNotRunning, NoAnswer) as error:
            raise self._ending(error) from None
        except Refused as error:
            if "refused" not in error.problem:
                raise self._ending(error) from None
            result = {"text": error.problem.get("text", []), "refused": error.problem["refused"]}
        self.show(result, lambda result: self.report.lines(result["text"]))
        for refused in result["refused"]:
            click.echo(refusal(refused), err=True)
        if result["refused"]:
            raise SystemExit(1)


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which edge it is for, and that edge as its first argument."""

    @click.option("--config", type=click.Path(path_type=Path, dir_okay=False),
                  help="The edge's configuration file, which names its state folder.  [default: revproxy.yaml]")
    @click.option("--state", type=click.Path(path_type=Path, file_okay=False),
                  help="The edge's state folder itself.  [default: var, where there is no revproxy.yaml]")
    @click.option("--url", envvar="REVPROXY_URL", help="The edge's admin listener, such as https://edge.example:9900.")
    @click.option("--token-file", "tokenFile", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
                  help="For --url: the file that the token is in, - for standard input.  [default: $REVPROXY_TOKEN]")
    @click.option("--json", "asJSON", is_flag=True, help="Print the result as JSON.")
    @wraps(command)
    def asked(
        config: Path | None, state: Path | None, url: str | None, tokenFile: Path | None, asJSON: bool, **arguments: Any
    ) -> None:
        context = click.get_current_context()
        isNamed = config is not None or state is not None
        if url is not None and isNamed:
            if context.get_parameter_source("url") is not click.core.ParameterSource.ENVIRONMENT:
                raise click.UsageError("--url does not go with --config or --state: each names an edge")
            url = None
        if config is not None and state is not None:
            raise click.UsageError("--config and --state do not go together: the one names the other")
        token = "" if url is None else tokenFrom(tokenFile)
        command(edgeOf(config, state, url, token, asJSON), **arguments)

    return asked


def tokenFrom(file: Path | None, tells: bool = True) -> str:
    """
    The token to ask with: never an argument, which every user of the machine can see.

    :param file: it is in; ``-``: standard input; None: the environment has it, or nobody.
    :param tells: whether to warn of a file that others can read.
    :raises click.ClickException: the file cannot be read, or has none in it.
    """
    if file is None:
        return os.environ.get("REVPROXY_TOKEN", "")
    isStandard = str(file) == "-"
    try:
        with open(0 if isStandard else file, "rb", closefd=not isStandard) as source:
            text = source.read(_TOKEN_LIMIT).decode("ascii").strip()
            if tells and not isStandard and os.fstat(source.fileno()).st_mode & 0o077:
                click.echo(f"{file}: others can read this token; chmod 600 {file}", err=True)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", error)
        raise click.ClickException(f"--token-file: {file} cannot be read: {why}") from None
    if not text:
        raise click.ClickException(f"--token-file: there is no token in {file}; revproxy token new makes one")
    return text


def edgeOf(
    config: Path | None, state: Path | None, url: str | None, token: str, asJSON: bool = False
) -> RemoteEdge:
    """
    The edge that these options name; of several the first, from the end.

    :raises click.ClickException: the configuration file cannot be read.
    """
    if url is not None:
        return RemoteEdge(EdgeClient(url, token), asJSON, url=url)
    if config is None and state is None and _CONFIG.exists():
        config = _CONFIG
    folder = _stateFolder(config) if config is not None else state or _STATE
    return RemoteEdge(EdgeClient(folder / "control.sock"), asJSON, config, folder)


def _stateFolder(config: Path) -> Path:
    try:
        return statePath(config)
    except ConfigErrors as errors:
        raise click.ClickException(str(errors)) from None


__all__ = ["NoEdge", "RemoteEdge", "asking", "edgeOf"]
