"""
Grants a plugin what it asks for where no edge runs: before a first start, most often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from revproxy.config.configfile import loadConfig, parseConfig
from revproxy.config.document import MAX_BYTES, decodeText
from revproxy.config.problems import ConfigErrors, quoted, suggestion
from revproxy.config.settings import Config, GrantConfig
from revproxy.config.yamledit import NotEdited, withValue
from revproxy.control.catalogreader import readCatalog
from revproxy.control.changes import ChangeRefused
from revproxy.control.commands import CommandError
from revproxy.control.configedit import ConfigEdit
from revproxy.control.granting import checkTrusted, granted, pathOf
from revproxy.control.history.difference import textDifference
from revproxy.control.trust.checking import policyOf
from revproxy.plan.catalog import CatalogEntry
from revproxy.regularfile import readFile


def grantInFile(path: Path, name: str, isWanted: Callable[[Sequence[str]], bool], isTrial: bool) -> None:
    """
    Write it into the configuration file, and print what was changed.

    :param isWanted: is told what is missing, and says whether that is to be granted.
    :param isTrial: only print it.
    :raises click.ClickException: it cannot be done, and nothing was written.
    """
    try:
        config = loadConfig(path)
        entry = _entry(config, name)
        checkTrusted(entry, policyOf(config))
        if isWanted(_missing(config, entry)):
            _write(path, config, entry, isTrial)
    except (ConfigErrors, CommandError, NotEdited, ChangeRefused) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be read: {error.strerror or error}") from None


def _entry(config: Config, name: str) -> CatalogEntry:
    catalog = readCatalog(config.plugins.directory, maxBytes=config.plugins.maxBytes)
    for broken in catalog.broken:
        if broken.name == name:
            raise ConfigErrors(broken.problems)
    if name not in catalog.entries:
        raise click.ClickException(f"no plugin named {quoted(name)}{suggestion(name, catalog.entries)}")
    return catalog.entries[name]


def _missing(config: Config, entry: CatalogEntry) -> Sequence[str]:
    asked = entry.manifest.permissions
    has = config.plugins.grants.get(entry.manifest.name, GrantConfig()).permissions
    return () if asked is None else has.lacks(asked)


def _write(path: Path, config: Config, entry: CatalogEntry, isTrial: bool) -> None:
    before = readFile(path, MAX_BYTES)
    text = decodeText(before, str(path))
    after = withValue(text, pathOf(entry.manifest.name), granted(text, config, entry))
    made = parseConfig(after, str(path), path.absolute().parent)
    if not isTrial:
        edit = ConfigEdit(path.absolute(), before, after, made)
        edit.begin()
        edit.write()
    click.echo(textDifference(text, after))
    if not isTrial:
        click.echo(f"wrote {path}; no edge runs by it now", err=True)


__all__ = ["grantInFile"]
