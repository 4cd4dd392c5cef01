"""
Whether plugins are signed by somebody who is trusted: ``revproxy verify``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click

from revproxy.bundles.bundle import LARGEST, readBundle
from revproxy.bundles.signature import BadKey, Signers, publicKey
from revproxy.bundles.signature import verify as verdictOn
from revproxy.bundles.signaturefiles import MANIFEST
from revproxy.bundles.signedmanifest import parseSigned
from revproxy.bundles.untrusted import Untrusted
from revproxy.cli.names import named
from revproxy.cli.remoteedge import RemoteEdge, asking
from revproxy.config.configfile import loadConfig
from revproxy.config.problems import ConfigErrors
from revproxy.config.revokedfile import MAX_BYTES, parseRevoked
from revproxy.config.trustconfig import SignerConfig
from revproxy.errors import printable
from revproxy.regularfile import readFile

_SIGNERS = 1 << 20
"""Bytes of a file with public keys."""


@click.command(short_help="Whether somebody who is trusted has signed plugins.")
@click.argument("plugins", metavar="[FOLDER|NAME]...", nargs=-1, shell_complete=named("plugins"))
@click.option("--signers", "keys", type=click.Path(path_type=Path, dir_okay=False),
              help="For folders: a file with public keys, one a line.  [default: trust.signers of revproxy.yaml]")
@asking
def verify(edge: RemoteEdge, plugins: tuple[str, ...], keys: Path | None) -> None:
    """Whether plugins are what somebody has signed who is trusted.

    For a FOLDER no edge is needed, and nobody is asked: its files are read and compared. For a NAME, and for all
    plugins where none is named, the edge says what it has found. Each refusal is one line: the file, the rule that it
    breaks, and what to do. Exits 0 when each plugin is trusted, and so is what its folder has by now; else 1.
    """
    folders = [each for each in plugins if os.path.isdir(each) or os.sep in each]
    found: dict[str, dict[str, Any]] = {}
    if folders:
        signers, revoked = _trustFor(edge, keys)
        found = {each: _verified(Path(each), signers, revoked) for each in folders}
    if len(folders) < len(plugins) or not plugins:
        found |= _onEdge(edge, [each for each in plugins if each not in folders])
    results = [found[each] for each in dict.fromkeys(plugins)] if plugins else list(found.values())
    edge.show(results, _tell)
    if not all(each["trusted"] for each in results):
        raise SystemExit(1)


def _tell(found: list[dict[str, Any]]) -> None:
    for each in found:
        click.echo(printable(_told(each)), err=not each["trusted"])
        if not each["trusted"] and (waiting := _refusedOf(each)):
            click.echo(printable(f"{each['plugin']}: {waiting['version']} in its folder does not run: "
                                 f"{waiting['message']}"), err=True)  # fmt: skip


def _onEdge(edge: RemoteEdge, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What an edge has found about plugins, by name; if none is named, of those that somebody has to vouch for."""
    answer = edge.get("trust")
    known = {each["name"]: each for each in answer["plugins"]}
    for name in names:
        if name not in known:
            raise click.ClickException(f"the edge has no plugin {printable(name)}, and there is no folder of that name")
    wanted = names or [name for name, each in known.items() if each["state"] != "unchecked" or _refusedOf(each)]
    if not wanted:
        raise click.ClickException(f"nobody has to vouch for what runs on the edge: trust.mode is {answer['mode']}")
    return {name: {"plugin": name, "trusted": _isTrusted(known[name]), **known[name]} for name in wanted}


def _isTrusted(each: dict[str, Any]) -> bool:
    return each["state"] == "trusted" and _refusedOf(each) is None


def _refusedOf(each: dict[str, Any]) -> dict[str, Any] | None:
    """What is in a plugin's folder, and does not run because it is not trusted; None: nothing."""
    waiting: dict[str, Any] | None = each.get("waiting")
    return waiting if waiting is not None and waiting["stage"] in ("trust", "revoked") else None


def _trustFor(edge: RemoteEdge, keys: Path | None) -> tuple[Signers, Collection[str]]:
    """Who counts for what is in folders, and what does not count any more."""
    try:
        if keys is not None:
            return _signersIn(keys), ()
        return _trustOf(edge.config)
    except (BadKey, ConfigErrors) as error:
        raise click.ClickException(str(error)) from None


def _signersIn(path: Path) -> Signers:
    """Whoever has a line in a file; they are called by the comments of their keys."""
    try:
        lines = readFile(path, _SIGNERS).decode("utf-8", "replace").splitlines()
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be read: {error.strerror}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith(("#", "untrusted comment:")):
            try:
                key = publicKey(line)
            except ValueError as error:
                raise click.ClickException(f"{path}:{number}: {error}") from None
            comment = line.strip().removeprefix(key.line).strip()
            found.append(SignerConfig(comment or key.keyId, key.line))
    if not found:
        raise click.ClickException(f"{path}: there is no key in it; put public keys there, one a line")
    return Signers(found)


def _trustOf(path: Path | None) -> tuple[Signers, Collection[str]]:
    if path is None:
        text = "there is no revproxy.yaml whose trust.signers could count: give --signers or --config"
        raise click.ClickException(text)
    trust = loadConfig(path).trust
    if not trust.signers:
        raise click.ClickException(f"{path}: names nobody under trust.signers; name them there, or give --signers FILE")
    return Signers(trust.signers), () if trust.revoked is None else _revokedIn(trust.revoked)


def _revokedIn(path: Path) -> Collection[str]:
    try:
        found = parseRevoked(readFile(path, MAX_BYTES), str(path))
    except OSError as error:
        text = f"{path}: cannot be read: {error.strerror}; until it can, nothing is trusted"
        raise click.ClickException(text) from None
    if found.problems:
        raise ConfigErrors(found.problems)
    return found.entries


def _verified(folder: Path, signers: Signers, revoked: Collection[str]) -> dict[str, Any]:
    try:
        bundle = readBundle(folder, LARGEST)
        verdict = verdictOn(bundle, signers, now=time.time(), revoked=revoked)
    except ConfigErrors as errors:
        problem = errors.problems[0]
        return _refused(folder, problem.source, "folder", problem.message)
    except Untrusted as refusal:
        return _refused(folder, str(folder / refusal.file), refusal.rule, refusal.message)
    signed = parseSigned(bundle.signature[MANIFEST])
    return {
        "folder": str(folder), "trusted": True, "name": signed.name, "version": signed.version,
        "revision": verdict.revision, "digest": bundle.digest, "files": len(signed.files), "signer": verdict.signer,
        "key": verdict.keyId, "envelope": verdict.envelope, "permissions": signed.permissions,
    }  # fmt: skip


def _refused(folder: Path, file: str, rule: str, message: str) -> dict[str, Any]:
    return {"folder": str(folder), "trusted": False, "file": file, "rule": rule, "message": message}


def _told(each: dict[str, Any]) -> str:
    place = each.get("folder") or each["plugin"]
    if each.get("state", "trusted" if each["trusted"] else "") == "trusted":
        by = f"signed by {each['signer']} ({each['key']})" if each["signer"] else "trusted; no signature was needed"
        about = f"{each['name']} {each['version']}, " if "folder" in each else ""
        revision = "" if each["revision"] is None else f"revision {each['revision']}: "
        return f"{place}: {about}{revision}{by}"
    if each.get("state") == "unchecked":
        return f"{place}: unchecked: nobody has to vouch for it"
    return f"{each['file'] or place}: {each['rule']}: {each['message']}"


COMMANDS = (verify,)
"""All of them."""
