"""``revproxy check``: what `preflight` finds, in lines."""

from __future__ import annotations

from pathlib import Path

import click
from twisted.logger import globalLogBeginner

from revproxy.cli.preflight import Findings, checkFile
from revproxy.cli.runcommand import CONFIG
from revproxy.config.problems import ConfigErrors
from revproxy.loop.interpreter import importBeside


@click.command(short_help="Check revproxy.yaml and the plugins it uses; start nothing.")
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


COMMANDS = (check,)
"""All of them."""
