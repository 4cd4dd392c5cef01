"""``revproxy init``, ``new-plugin``, ``test-plugin`` and ``schema``: to begin with, where no edge is needed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from revproxy.cli import plugintests
from revproxy.cli.duration import Duration
from revproxy.cli.templates import writeConfig, writePlugin
from revproxy.config.schema import editorSchema

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@click.command(short_help="Print a JSON Schema, for an editor.")
@click.argument("name", metavar="[revproxy|plugin]", type=click.Choice(["revproxy", "plugin"]), default="revproxy")
def schema(name: str) -> None:
    """Print the JSON Schema of revproxy.yaml, or of plugin.json, for an editor."""
    click.echo(json.dumps(editorSchema(name), indent=2, ensure_ascii=False))


@click.command(short_help="Write a commented revproxy.yaml to start from.")
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


@click.command("new-plugin", short_help="Write a small plugin and its test to start from.")
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


@click.command("test-plugin", short_help="Load a plugin as the edge does, and run its tests.")
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


COMMANDS = (schema, init, newPlugin, testPlugin)
"""All of them."""
