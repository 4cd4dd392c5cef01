"""
``revproxy replay``: what a version of a plugin does with recorded requests, without an edge.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from twisted.logger import globalLogBeginner

from revproxy.cli.duration import Duration
from revproxy.cli.replayreport import asDict, show
from revproxy.cli.replaysubjects import Found, NotFound, Versions
from revproxy.cli.report import Report as Lines
from revproxy.config.rolloutkeys import expectation
from revproxy.config.rolloutpolicy import Expectation
from revproxy.loading.contract import PluginError
from revproxy.proving.differencegroups import unexpected
from revproxy.proving.orders import Order, Report
from revproxy.proving.provingprocess import ProvingProcess
from revproxy.proving.subjects import withLibraries
from revproxy.replay.corpus import CorpusError, CorpusReader, linesOf

LOOKED_AT = 10_000
"""Requests that are looked at to find which version was recorded."""

class NotRead(click.ClickException):
    """Something cannot be read, or shows nothing."""

    exit_code = 2


def _expectations(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> Sequence[Expectation]:
    try:
        return [expectation(value) for value in values]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(short_help="What a version does with recorded requests; no edge is needed.")
@click.option("--plugin", "name", help="The plugin; with --folder it may be left out.")
@click.option("--version", help="A stored version: its number, or the beginning of its digest.")
@click.option("--folder", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Or a folder on disk.")
@click.option("--against", help="The version that shows what differs by itself.  [default: the one that was recorded]")
@click.option("--against-folder", "againstFolder", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Or a folder on disk.")  # fmt: skip
@click.option("--expect", multiple=True, metavar="FIELD[:KIND]", callback=_expectations,
              help="A difference that is meant, such as header:x-new:added; with * for anything; again for more.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False),
              help="The file with the plugin's configuration, which names the state folder.  [default: revproxy.yaml]")
@click.option("--settings", type=click.Path(path_type=Path, dir_okay=False),
              help="A file with the plugin's configuration alone, instead.")  # fmt: skip
@click.option("--state", type=click.Path(path_type=Path, file_okay=False),
              help="The state folder that the version is in.")  # fmt: skip
@click.option("--timeout", type=Duration(), default="10m", show_default=True, help="How long it may take.")
@click.option("--json", "asJSON", is_flag=True, help="Print the result as JSON.")
@click.argument("corpus", type=click.Path(path_type=Path, dir_okay=False))
def replay(
    name: str | None,
    version: str | None,
    folder: Path | None,
    against: str | None,
    againstFolder: Path | None,
    expect: Sequence[Expectation],
    config: Path | None,
    settings: Path | None,
    state: Path | None,
    timeout: float,
    asJSON: bool,
    corpus: Path,
) -> None:
    """Replay the requests in CORPUS, which revproxy record has made, and print what a version does otherwise.

    It runs in a process of its own, a locked one if it wants that, against what the recording has of origins. Exits 0
    without differences that nobody expects, 1 with some, 2 where something cannot be read or compared.
    """
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    if (version is None) == (folder is None):
        raise click.UsageError("give --version V of what is stored, or --folder DIR")
    if folder is None and name is None:
        raise click.UsageError("of which plugin is this a version? give --plugin NAME")
    if against is not None and againstFolder is not None:
        raise click.UsageError("--against and --against-folder do not go together")
    try:
        versions = Versions(config, state, settings)
        if folder is not None:
            candidate = versions.inFolder(folder, name)
        else:
            candidate = versions.stored(name or "", version or "")
        other, notes = _against(versions, candidate, corpus, against, againstFolder)
        found = _replayed(candidate, other, corpus, timeout)
    except (NotFound, CorpusError, PluginError) as error:
        raise NotRead(str(error)) from None
    if found.cut:
        notes.append(found.cut)
    told = asDict(found, candidate, other, str(corpus), expect, notes)
    if asJSON:
        click.echo(json.dumps(told, indent=2))
    else:
        show(Lines(sys.stdout.isatty()), told)
    if found.problems:
        raise SystemExit(2)
    if not found.replayed:
        raise NotRead(_nothing(found, candidate))
    if unexpected(found.differences, expect) or found.unnamed:
        raise SystemExit(1)


def _against(
    versions: Versions, candidate: Found, corpus: Path, against: str | None, folder: Path | None
) -> tuple[Found | None, list[str]]:
    """What shows the noise, and notes about it."""
    name = candidate.subject.name
    if folder is not None:
        return versions.inFolder(folder, name), []
    if against is not None:
        return versions.stored(name, against), []
    recorded = recordedVersion(corpus, name)
    if recorded is None:
        return None, []
    number, digest = recorded
    found = versions.recorded(name, digest)
    if found is not None:
        return found, []
    return None, [f"{name} {number} ({digest[:12] or 'installed'}), which was recorded, is not stored: what differs by "
                  "itself is not known; --against-folder DIR names it"]  # fmt: skip


def recordedVersion(corpus: Path, name: str) -> tuple[str, str] | None:
    """
    Number and digest of the version whose calls a recording has; None: none of the first has any.

    :raises CorpusError: it is none.
    """
    try:
        with open(corpus, "rb") as file:
            for number, request in enumerate(CorpusReader(str(corpus), linesOf(file))):
                for call in request.calls:
                    if call.plugin == name:
                        return call.version, call.digest
                if number >= LOOKED_AT:
                    break
    except OSError as error:
        raise CorpusError(f"{corpus}: cannot be read: {error.strerror or error}") from None
    return None


def _replayed(candidate: Found, against: Found | None, corpus: Path, seconds: float) -> Report:
    order = Order(
        "replay", withLibraries(candidate.subject), None if against is None else withLibraries(against.subject),
        seconds=seconds, corpus=str(corpus),
    )  # fmt: skip
    return ProvingProcess(order, corpus.absolute()).run()


def _nothing(found: Report, candidate: Found) -> str:
    if not found.calls:
        return f"the recording has no calls of {candidate.subject.name}"
    return f"none of {found.calls} calls could be compared"


COMMANDS = (replay,)
"""All of them."""
