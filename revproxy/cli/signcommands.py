"""
Signatures of plugins: ``revproxy keygen``, ``sign`` and ``verify``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from revproxy.bundles.bundle import LARGEST, Bundle, readBundle
from revproxy.bundles.signature import BadKey, Signers, publicKey
from revproxy.bundles.signature import verify as verdictOn
from revproxy.bundles.signaturefiles import ENVELOPES, MANIFEST, SSHSIG
from revproxy.bundles.signedmanifest import SignedManifest, manifestOf, parseSigned
from revproxy.bundles.sshenvelope import readSSHEnvelope
from revproxy.bundles.untrusted import Untrusted
from revproxy.cli.signingkey import (
    LIMIT,
    KeyProblem,
    NewKey,
    Passphrase,
    SigningKey,
    newMinisignKey,
    newSSHKey,
    readSigningKey,
)
from revproxy.config.configfile import loadConfig
from revproxy.config.problems import ConfigErrors
from revproxy.config.trustconfig import SignerConfig
from revproxy.errors import printable
from revproxy.regularfile import readFile

_SIGNERS = 1 << 20
"""Bytes of a file with public keys."""

_FILE = click.Path(path_type=Path, dir_okay=False)

_passphraseFile = click.option(
    "--passphrase-file", "passphraseFile", type=_FILE,
    help="A file whose first line is the key's passphrase.  [default: it is asked for]",
)  # fmt: skip


@click.command(short_help="Make a key that signs plugins.")
@click.argument("file", type=_FILE)
@click.option("--minisign", "isMinisign", is_flag=True, help="A key of minisign, not of OpenSSH.")
@click.option("--no-passphrase", "isOpen", is_flag=True, help="Whoever has the file can sign: for machines that build.")
@_passphraseFile
def keygen(file: Path, isMinisign: bool, isOpen: bool, passphraseFile: Path | None) -> None:
    """Make a key that signs plugins: FILE is the private one, FILE.pub the public one.

    Nothing is overwritten. What is printed last goes into revproxy.yaml of the edges where what it signs may run. Any
    key of ssh-keygen will do as well, those of security keys included: ssh-keygen -t ed25519-sk.
    """
    if isOpen and passphraseFile is not None:
        raise click.UsageError("--no-passphrase and --passphrase-file do not go together")
    public = file.with_name(f"{file.name}.pub")
    for path in (file, public):
        if os.path.lexists(path):
            raise click.ClickException(f"{path} exists already; it was left as it is")
    secret = "" if isOpen else _read(passphraseFile) if passphraseFile is not None else _newPassphrase()
    made = newMinisignKey(secret) if isMinisign else newSSHKey(file.name, secret)
    _writeKey(file, public, made)
    keyId = publicKey(made.line).keyId
    click.echo(f"wrote {file}, which is for nobody else, and {public}; its id is {keyId}", err=True)
    click.echo(f'trust:\n  mode: signed\n  signers:\n    {_signerName(file)}: {{key: "{made.line}", plugins: ["*"]}}')


def _writeKey(file: Path, public: Path, made: NewKey) -> None:
    try:
        for path, content, mode in ((file, made.private, 0o600), (public, made.public, 0o644)):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with open(descriptor, "wb") as opened:
                os.fchmod(descriptor, mode)
                opened.write(content)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None


def _signerName(file: Path) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in file.stem) or "signer"


def _newPassphrase() -> str:
    if not sys.stdin.isatty():
        raise click.ClickException("a passphrase cannot be asked for here: give --passphrase-file, or --no-passphrase")
    return str(click.prompt("Passphrase (empty for none)", hide_input=True, confirmation_prompt=True, default="",
                            show_default=False, err=True))


def _read(path: Path) -> str:
    """The first line of a file."""
    try:
        text = readFile(path, LIMIT).decode("utf-8").partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise click.ClickException(f"{path}: is not UTF-8") from None
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be read: {error.strerror}") from None
    if not text:
        raise click.ClickException(f"{path}: its first line is empty")
    return text


def _passphrase(path: Path | None) -> Passphrase:
    def ask(what: str) -> str:
        return _read(path) if path is not None else str(
            click.prompt(f"Passphrase of {what}", hide_input=True, err=True))

    return ask


@click.command(short_help="Sign plugins: what is in their folders now.")
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True,
                type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--key", type=_FILE, required=True,
              help="The private key, of OpenSSH or minisign; or FILE.pub of one that ssh-agent has.")
@_passphraseFile
def sign(folders: tuple[Path, ...], key: Path, passphraseFile: Path | None) -> None:
    """Sign the plugin in each FOLDER, as its files are now.

    Writes plugin.manifest.json, which lists each file, and beside it the signature: .sshsig, or .minisig. To sign the
    same again with another kind of key adds to it. plugin.json has to have a revision, which counts up with each
    release. With security keys, and keys that an agent has, ssh-keygen signs.
    """
    try:
        signing = readSigningKey(key, _passphrase(passphraseFile))
        for folder in folders:
            _signFolder(folder, signing)
    except (KeyProblem, ConfigErrors, Untrusted) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: cannot be written: {error.strerror}") from None


def _signFolder(folder: Path, key: SigningKey) -> None:
    bundle = readBundle(folder, LARGEST)
    manifest = manifestOf(bundle)
    signed = parseSigned(manifest)
    _warnOfRevision(bundle, signed)
    envelope = key.sign(manifest)
    isSame = bundle.signature.get(MANIFEST) == manifest
    kept = {file: bundle.signature[file] for file in ENVELOPES if isSame and file in bundle.signature}
    signature = {MANIFEST: manifest, **kept, key.envelope: envelope}
    line = key.public if key.envelope != SSHSIG else readSSHEnvelope(envelope).line
    own = replace(bundle, signature={MANIFEST: manifest, key.envelope: envelope})
    keyId = verdictOn(own, Signers([SignerConfig("it", line)]), now=None).keyId
    _writeSignature(folder, signature)
    count = len(signed.files)
    click.echo(f"{folder}: {signed.name} {signed.version}, revision {signed.revision}: "
               f"{count} file{'s' if count != 1 else ''} signed by {keyId}")


def _warnOfRevision(bundle: Bundle, signed: SignedManifest) -> None:
    """What is signed twice under one revision cannot be told apart by it."""
    with suppress(KeyError, Untrusted):
        before = parseSigned(bundle.signature[MANIFEST])
        if before.revision >= signed.revision and before.files != signed.files:
            click.echo(f"warning: {bundle.directory}: revision {before.revision} was signed before with other files; "
                       "count it up in plugin.json", err=True)


def _writeSignature(folder: Path, signature: dict[str, bytes]) -> None:
    """Each whole, or not there: first those go that vouch for something else."""
    for file in ENVELOPES:
        if file not in signature:
            (folder / file).unlink(missing_ok=True)
    for file, content in signature.items():
        new = folder / f".{file}.new"
        new.unlink(missing_ok=True)
        with open(new, "xb") as opened:
            opened.write(content)
        os.replace(new, folder / file)


@click.command(short_help="Whether somebody who is trusted has signed plugins.")
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True,
                type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--signers", "keys", type=_FILE,
              help="A file with public keys, one a line.  [default: trust.signers of revproxy.yaml]")
@click.option("--config", type=_FILE, default="revproxy.yaml", show_default=True, help="That file.")
@click.option("--json", "asJSON", is_flag=True, help="Print the result as JSON.")
def verify(folders: tuple[Path, ...], keys: Path | None, config: Path, asJSON: bool) -> None:
    """Whether the plugin in each FOLDER is what somebody has signed who is trusted.

    No edge is needed, and nothing is asked of anybody. Each refusal is one line: the file, the rule that it breaks, and
    what to do. Exits 0 when each of them is trusted, else 1.
    """
    try:
        signers = _signersIn(keys) if keys is not None else _signersOf(config)
    except (BadKey, ConfigErrors) as error:
        raise click.ClickException(str(error)) from None
    found = [_verified(folder, signers) for folder in folders]
    if asJSON:
        click.echo(json.dumps(found, indent=2))
    else:
        for each in found:
            click.echo(_told(each), err=not each["trusted"])
    if not all(each["trusted"] for each in found):
        raise SystemExit(1)


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


def _signersOf(path: Path) -> Signers:
    if not path.exists():
        raise click.ClickException(f"there is no {path} whose trust.signers could count: give --signers or --config")
    signers = loadConfig(path).trust.signers
    if not signers:
        raise click.ClickException(f"{path}: names nobody under trust.signers; name them there, or give --signers FILE")
    return Signers(signers)


def _verified(folder: Path, signers: Signers) -> dict[str, Any]:
    try:
        bundle = readBundle(folder, LARGEST)
        verdict = verdictOn(bundle, signers, now=time.time())
    except ConfigErrors as errors:
        problem = errors.problems[0]
        return {"folder": str(folder), "trusted": False, "file": problem.source, "rule": "folder",
                "message": problem.message}
    except Untrusted as refusal:
        return {"folder": str(folder), "trusted": False, "file": str(folder / refusal.file), "rule": refusal.rule,
                "message": refusal.message}
    signed = parseSigned(bundle.signature[MANIFEST])
    return {
        "folder": str(folder), "trusted": True, "name": signed.name, "version": signed.version,
        "revision": verdict.revision, "digest": bundle.digest, "files": len(signed.files), "signer": verdict.signer,
        "key_id": verdict.keyId, "envelope": verdict.envelope, "permissions": signed.permissions,
    }  # fmt: skip


def _told(each: dict[str, Any]) -> str:
    if not each["trusted"]:
        return printable(f"{each['file']}: {each['rule']}: {each['message']}")
    about = f"{each['name']} {each['version']}, revision {each['revision']}"
    return printable(f"{each['folder']}: {about}: signed by {each['signer']} ({each['key_id']})")


COMMANDS = (keygen, sign, verify)
"""All of them."""
