"""``revproxy``: the commands. The edge itself is ``run``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from twisted.logger import globalLogBeginner

from revproxy import __version__
from revproxy.cli import (
    alertcommands,
    bundlecommand,
    completion,
    doctorcommand,
    eventcommands,
    historycommands,
    lockcommand,
    plugintests,
    requestcommands,
    signcommands,
    statuscommands,
    tokencommands,
    trustcommands,
    upstreamcommands,
    verifycommand,
)
from revproxy.cli.duration import Duration
from revproxy.cli.edgecommands import COMMANDS
from revproxy.cli.preflight import Findings, checkFile
from revproxy.cli.runcommand import CONFIG, run
from revproxy.cli.templates import writeConfig, writePlugin
from revproxy.config.problems import ConfigErrors
from revproxy.config.schema import editorSchema
from revproxy.loop.interpreter import importBeside

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


SECTIONS: Mapping[str, Sequence[str]] = {
    "Begin": ("init", "check", "run", "new-plugin", "test-plugin", "schema", "completion"),
    "Trust": ("keygen", "sign", "verify", "lock", "trust", "grant"),
    "See": ("status", "top", "requests", "explain", "connections", "plugins", "upstreams", "certificates", "events",
            "alerts", "history", "diff", "audit", "doctor", "bundle"),
    "Change": ("rollback", "disable", "enable", "pin", "unpin", "reload", "revert", "drain", "undrain", "weight",
               "login", "token"),
}  # fmt: skip
"""All commands, in the order in which they are listed."""


class _Commands(click.Group):
    """Lists its commands by what they are for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See `click.Group`."""
        return [name for names in SECTIONS.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See `click.Group`."""
        longest = max(map(len, self.commands))
        limit = formatter.width - 6 - longest
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(longest), self.commands[name].get_short_help_str(limit))
                                    for name in names])  # fmt: skip


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="revproxy")
def main() -> None:
    """A programmable edge. To start it: revproxy run"""


@main.command(short_help="Check revproxy.yaml and the plugins it uses; start nothing.")
@click.argument("file", type=click.Path(path_type=Path, readable=False), required=False)
@click.option("--config", "-c", type=click.Path(path_type=Path, readable=False), help="The same as FILE.")
def check(file: Path | None, config: Path | None) -> None:
    """Check FILE (default: revproxy.yaml) and all plugins it uses.

    Every problem is one line, FILE:LINE:COLUMN first. Nothing is started. Exits 0 when all is well, else 1; warnings
    do not count.
    """
    # What getPlugins logs about drop-ins that nobody named is for the server; those that are named become problems.
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    if file is not None and config is not None:
        raise click.UsageError("FILE and --config are the same: give one of them")
    file = file or config or CONFIG
    if file == CONFIG and not file.exists():
        raise click.ClickException(f"there is no {CONFIG} here: name the file (revproxy init writes one)")
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


@main.command(short_help="Print a JSON Schema, for an editor.")
@click.argument("name", metavar="[revproxy|plugin]", type=click.Choice(["revproxy", "plugin"]), default="revproxy")
def schema(name: str) -> None:
    """Print the JSON Schema of revproxy.yaml, or of plugin.json, for an editor."""
    click.echo(json.dumps(editorSchema(name), indent=2, ensure_ascii=False))


@main.command(short_help="Write a commented revproxy.yaml to start from.")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=".")
def init(directory: Path) -> None:
    """Write a commented revproxy.yaml into DIRECTORY (default: here). An existing one is never overwritten."""
    try:
        path = writeConfig(directory)
    except FileExistsError as error:
        raise click.ClickException(f"{error.filename} exists already; it was left as it is") from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    where = "" if path == Path("revproxy.yaml") else f" --config {path}"
    click.echo(f"wrote {path}; next: revproxy check {path}, then revproxy run{where}")


@main.command("new-plugin", short_help="Write a small plugin and its test to start from.")
@click.argument("name")
@click.option("--plugins", "folder", type=click.Path(path_type=Path, file_okay=False), default="plugins",
              show_default=True, help="The folder of plugins.")
@click.option("--isolation", type=click.Choice(["inline", "process"]), default="inline", show_default=True,
              help="Where it is to run: in the edge's own process, or in a locked one, with what it asks for.")
def newPlugin(name: str, folder: Path, isolation: str) -> None:
    """Write a small working plugin NAME to start from. An existing one is never overwritten."""
    if not _NAME.fullmatch(name):
        proposed = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
        hint = f'; for example "{proposed}"' if _NAME.fullmatch(proposed) else ""
        raise click.BadParameter(f"a name has lower-case letters, digits and hyphens only{hint}", param_hint="NAME")
    try:
        path = writePlugin(folder, name, isolation)
    except FileExistsError as error:
        raise click.ClickException(f"{error.filename} exists already; it was left as it is") from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(
        f"wrote {path}: edit {path / 'plugin.py'}; its manifest is {path / 'plugin.json'}; "
        f"next: revproxy test-plugin {path}"
        + (f"; an edge runs it after: revproxy grant {name}" if isolation == "process" else "")
    )


@main.command("test-plugin", short_help="Load a plugin as the edge does, and run its tests.")
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--timeout", type=Duration(), default="2m", show_default=True,
              help="How long the tests may take, together.")
def testPlugin(directory: Path, timeout: float) -> None:
    """Load the plugin in DIRECTORY as the edge does, then run its tests (test_*.py, *_test.py).

    No edge is needed. The tests run in a process of their own, by trial; by pytest, if some are functions. Exits 0 when
    the edge would take the plugin and all tests pass, else 1.
    """
    folder = directory.absolute()
    try:
        found = plugintests.probed(folder)
        click.echo(f"{found['plugin']}: the edge takes it")
        if found["missing"]:
            click.echo(f"its own configuration is not enough, revproxy.yaml has to complete it: {found['missing']}")
        if found["place"]:
            click.echo(found["place"])
        files = plugintests.testFiles(folder)
        if not files:
            click.echo(f"no tests: {directory} has no test_*.py (revproxy new-plugin writes one)")
            return
        plugintests.run(folder, files, timeout)
    except plugintests.TestsFailed as failed:
        raise click.ClickException(str(failed)) from None


for command in (
    run, *statuscommands.COMMANDS, *COMMANDS, *eventcommands.COMMANDS, *requestcommands.COMMANDS,
    *upstreamcommands.COMMANDS, *historycommands.COMMANDS, *alertcommands.COMMANDS, *tokencommands.COMMANDS,
    *doctorcommand.COMMANDS, *bundlecommand.COMMANDS, *signcommands.COMMANDS, *verifycommand.COMMANDS,
    *lockcommand.COMMANDS, *trustcommands.COMMANDS, *completion.COMMANDS,
):  # fmt: skip
    main.add_command(command)


if __name__ == "__main__":
    main()
