"""
Signatures of plugins: ``revproxy keygen`` and ``sign``; ``verify`` is in `revproxy.cli.verifycommand`.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from revproxy.bundles.bundle import LARGEST, Bundle, readBundle
from revproxy.bundles.signature import Signers, publicKey, verify
from revproxy.bundles.signaturefiles import ENVELOPES, MANIFEST, SSHSIG
from revproxy.bundles.signedmanifest import FORMAT, SignedManifest, manifestOf, parseSigned
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
from revproxy.config.problems import ConfigErrors
from revproxy.config.trustconfig import SignerConfig
from revproxy.regularfile import readFile

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
    name = _signerName(file)
    made = newMinisignKey(secret) if isMinisign else newSSHKey(name, secret)
    _writeKey(file, public, made)
    keyId = publicKey(made.line).keyId
    click.echo(f"wrote {file}, which is for nobody else, and {public}; its id is {keyId}", err=True)
    click.echo(f'trust:\n  mode: signed\n  signers:\n    {name}: {{key: "{made.line}", plugins: ["*"]}}')


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
    """What its owner is called where the key is named: a word that YAML takes for text."""
    name = re.sub("[^A-Za-z0-9_-]+", "-", file.stem)
    return name if re.match("[A-Za-z]", name) and name.lower() not in ("null", "true", "false") else f"key-{name}"


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
@click.option("--key", type=_FILE,
              help="The private key, of OpenSSH or minisign; or FILE.pub of one that ssh-agent has.")
@_passphraseFile
@click.option("--manifest-only", "isList", is_flag=True,
              help="Write plugin.manifest.json alone: it is signed elsewhere, by ssh-keygen or minisign.")
def sign(folders: tuple[Path, ...], key: Path | None, passphraseFile: Path | None, isList: bool) -> None:
    """Sign the plugin in each FOLDER, as its files are now.

    Writes plugin.manifest.json, which lists each file, and beside it the signature: .sshsig, or .minisig. To sign the
    same again with another kind of key adds to it. plugin.json has to have a revision, which counts up with each
    release. With security keys, and keys that an agent has, ssh-keygen signs.
    """
    if (key is None) != isList:
        raise click.UsageError("give either --key or --manifest-only")
    try:
        signing = None if key is None else readSigningKey(key, _passphrase(passphraseFile))
        for folder in folders:
            _signFolder(folder, signing)
    except (KeyProblem, ConfigErrors, Untrusted) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: cannot be written: {error.strerror}") from None


def _signFolder(folder: Path, key: SigningKey | None) -> None:
    """:param key: None: it is signed elsewhere."""
    bundle = readBundle(folder, LARGEST)
    manifest = manifestOf(bundle)
    signed = parseSigned(manifest)
    _warnOfRevision(bundle, signed)
    isSame = bundle.signature.get(MANIFEST) == manifest
    kept = {file: bundle.signature[file] for file in ENVELOPES if isSame and file in bundle.signature}
    about = f"{folder}: {signed.name} {signed.version}, revision {signed.revision}: {_count(len(signed.files))}"
    if key is None:
        _writeSignature(folder, {MANIFEST: manifest, **kept})
        click.echo(f"{about} to be signed for {FORMAT} in {folder / MANIFEST}")
        return
    envelope = key.sign(manifest)
    keyId = _checked(bundle, manifest, key, envelope)
    _writeSignature(folder, {MANIFEST: manifest, **kept, key.envelope: envelope})
    click.echo(f"{about} signed by {keyId}")


def _checked(bundle: Bundle, manifest: bytes, key: SigningKey, envelope: bytes) -> str:
    """
    What will be written is what an edge takes.

    :returns: the id of the key.
    """
    line = readSSHEnvelope(envelope).line if key.envelope == SSHSIG else key.public
    own = replace(bundle, signature={MANIFEST: manifest, key.envelope: envelope})
    return verify(own, Signers([SignerConfig("it", line)]), now=None).keyId


def _count(files: int) -> str:
    return f"{files} file{'s' if files != 1 else ''}"


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


COMMANDS = (keygen, sign)
"""All of them."""
