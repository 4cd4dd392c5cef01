"""
``revproxy lock``: which versions may run, written down; or whether that is what is there.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

import revproxy.plugins
from revproxy.bundles.distributions import Altered, distributionsOf, dropInModules
from revproxy.bundles.signature import BadKey, Signers, verify
from revproxy.bundles.untrusted import Untrusted
from revproxy.cli.runcommand import CONFIG
from revproxy.config.configfile import loadConfig
from revproxy.config.document import decodeText
from revproxy.config.lockfile import (
    MAX_BYTES,
    MAX_EARLIER,
    LockedDistribution,
    LockedPlugin,
    LockedVersion,
    LockFile,
    formatLock,
    parseLock,
)
from revproxy.config.problems import ConfigErrors, quoted, suggestion
from revproxy.config.revokedfile import parseRevoked
from revproxy.config.settings import Config
from revproxy.config.trustconfig import TrustConfig
from revproxy.control.catalogreader import readCatalog
from revproxy.control.state.replacement import replaceFile
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.versionid import SHOWN
from revproxy.regularfile import readFile

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Write plugins.lock: which versions may run.")
@click.argument("names", metavar="[NAME...]", nargs=-1)
@click.option("--config", type=_FILE, default=CONFIG, show_default=True, help="The edge's configuration file.")
@click.option("--check", "isCheck", is_flag=True, help="Write nothing; end with 1 if there is something to write.")
@click.option("--earlier", type=click.IntRange(0, MAX_EARLIER), default=5, show_default=True,
              help="How many versions from before stay, for rollbacks.")
def lock(names: Sequence[str], config: Path, isCheck: bool, earlier: int) -> None:
    """Write down which version of each plugin may run: those that are in the folder of plugins now, or of NAME alone.

    The file is that of trust.lock in the configuration. What it had before may still be gone back to. Where plugins are
    signed, a version that is not is refused, and nothing is written. Of what is installed with Python, the distribution
    is written down. Keep the file with the configuration, and let somebody look at what changes: an edge takes up what
    is written at once.
    """
    try:
        made = _made(loadConfig(config), names, earlier)
    except (ConfigErrors, Altered, BadKey, Untrusted) as error:
        raise click.ClickException(str(error)) from None
    path, before, after, told = made
    for line in told:
        click.echo(line)
    if before == after:
        click.echo(f"{path}: is as it should be", err=True)
    elif isCheck:
        raise click.ClickException(f"{path}: is not what is there; `revproxy lock` writes it")
    else:
        _write(path, after)
        click.echo(f"wrote {path}", err=True)


_Made = tuple[Path, str | None, str, list[str]]


def _made(config: Config, names: Sequence[str], earlier: int) -> _Made:
    """The file, what is in it, what is to be in it, and a line for each thing that is different."""
    path = config.trust.lock
    if path is None:
        raise click.ClickException(f"{config.source} has no trust.lock: name the file there, such as ./plugins.lock")
    before = _read(path)
    known = LockFile() if before is None else parseLock(before, str(path))
    found = _found(config)
    strangers = [name for name in names if name not in {*found, *known.plugins}]
    if strangers:
        raise click.ClickException(f"no plugin named {quoted(strangers[0])}{suggestion(strangers[0], found)}")
    wanted = {name: entry for name, entry in found.items() if not names or name in names}
    versions = {name: _locked(entry, config.trust, known.plugins.get(name)) for name, entry in wanted.items()}
    kept = {name: plugin for name, plugin in known.plugins.items() if names and name not in names}
    made = replace(
        known,
        plugins={**kept, **{name: advanced(known.plugins.get(name), each, earlier) for name, each in versions.items()}},
        distributions=known.distributions if names else _distributions(),
    )
    return path, before, formatLock(made), [*_differences(known, made)]


def advanced(before: LockedPlugin | None, now: LockedVersion, earlier: int) -> LockedPlugin:
    """
    With another version, and those from before for rollbacks.

    :param earlier: how many of them.
    """
    past = () if before is None else (before.now, *before.earlier)
    return LockedPlugin(now, tuple(each for each in past if each.digest != now.digest)[:earlier])


def _found(config: Config) -> Mapping[str, CatalogEntry]:
    """:raises ConfigErrors: there is no folder of plugins, or one of them cannot be read."""
    catalog = readCatalog(config.plugins.directory, maxBytes=config.plugins.maxBytes)
    if catalog.problems:
        raise ConfigErrors(catalog.problems)
    return catalog.entries


def _locked(entry: CatalogEntry, trust: TrustConfig, before: LockedPlugin | None) -> LockedVersion:
    """
    :param before: what the file has of it. Of the same version it does not matter that its signer is over by now.
    :raises Untrusted: it has to be signed, and is not.
    :raises BadKey: a signer's key cannot be read.
    """
    bundle = entry.bundle
    assert bundle is not None
    version = LockedVersion(entry.version.number, bundle.digest)
    if not trust.isSigned:
        return version
    now = None if before is not None and before.now.digest == bundle.digest else time.time()
    verdict = verify(bundle, Signers(trust.signers), now=now, revoked=_revoked(trust), manifest=entry.manifest)
    return replace(version, signer=verdict.signer, key=verdict.keyId)


def _revoked(trust: TrustConfig) -> frozenset[str]:
    if trust.revoked is None:
        return frozenset()
    found = parseRevoked((_read(trust.revoked) or "").encode(), str(trust.revoked))
    if found.problems:
        raise ConfigErrors(found.problems)
    return found.entries


def _distributions() -> dict[str, LockedDistribution]:
    """Of drop-ins, but for our own. :raises Altered: one is not what was installed."""
    found, modules = {}, dropInModules(revproxy.plugins)
    for name, installed in distributionsOf(modules).items():
        if installed is None:
            raise click.ClickException(f"{name} belongs to no distribution, so nobody can say which version it is")
        if installed.isOwn:
            continue
        installed.check(modules[name].resolve())
        if installed.name not in found:
            installed.read()
            found[installed.name] = LockedDistribution(installed.version, installed.record)
    return found


def _differences(before: LockFile, after: LockFile) -> Iterator[str]:
    for name in sorted({*before.plugins, *after.plugins}):
        was, now = before.plugins.get(name), after.plugins.get(name)
        if now is None:
            yield f"{name}: runs no more"
        elif was is None:
            yield f"{name}: {_shown(now.now)}"
        elif was.now.digest != now.now.digest:
            yield f"{name}: {_shown(was.now)} → {_shown(now.now)}"
        elif was != now:
            yield f"{name}: {_shown(now.now)}, as before; {_what(was, now)}"
    for name in sorted({*before.distributions, *after.distributions}):
        if before.distributions.get(name) != after.distributions.get(name):
            found = after.distributions.get(name)
            yield f"{name}: {'runs no more' if found is None else f'{found.version} ({found.record[:SHOWN]})'}"


def _what(was: LockedPlugin, now: LockedPlugin) -> str:
    return "the versions from before" if was.now == now.now else f"signed by {now.now.signer or 'nobody'}"


def _shown(version: LockedVersion) -> str:
    by = f", signed by {version.signer}" if version.signer else ""
    return f"{version.number} ({version.digest[:SHOWN]}){by}"


def _read(path: Path) -> str | None:
    """None: it is not there."""
    try:
        return decodeText(readFile(path, MAX_BYTES), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be read: {error.strerror or error}") from None


def _write(path: Path, text: str) -> None:
    """With the mode that it had; a new one is for all to read, for it holds nothing secret."""
    place = Path(os.path.realpath(path))
    mode = 0o644
    with suppress(OSError):
        mode = stat.S_IMODE(os.stat(place).st_mode)
    try:
        replaceFile(place, text.encode())
        os.chmod(place, mode)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error.strerror or error}") from None


COMMANDS: Iterable[click.Command] = (lock,)
"""All of them."""
