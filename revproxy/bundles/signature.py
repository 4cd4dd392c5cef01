"""
Whether somebody who is trusted vouches for a bundle. Pure: bytes in memory in, a verdict out.

What is verified here are the very bytes that are stored, imported and rolled back to::

    signers = Signers(config.trust.signers)
    verdict = verify(bundle, signers, now=time.time())
    print(f"{verdict.signer} has signed revision {verdict.revision}")

Of several envelopes one is enough, by a signer whose word counts for this plugin; so two keys can overlap while one
takes the place of the other. But an envelope that is broken is never passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from revproxy.bundles.bundle import Bundle
from revproxy.bundles.envelope import Envelope, Key, Kind
from revproxy.bundles.minisignenvelope import minisignKey, readMinisignEnvelope
from revproxy.bundles.signaturefiles import ENVELOPES, MANIFEST, MINISIG, SSHSIG
from revproxy.bundles.signedmanifest import SignedManifest, checkFiles, checkRepeated, parseSigned
from revproxy.bundles.sshenvelope import readSSHEnvelope
from revproxy.bundles.sshkey import sshKey
from revproxy.bundles.untrusted import Rule, Untrusted
from revproxy.config.manifest import Manifest, parseManifest
from revproxy.config.problems import ConfigErrors
from revproxy.config.trustconfig import SignerConfig

__all__ = ["BadKey", "Key", "Signers", "Untrusted", "Verdict", "publicKey", "verify"]


class BadKey(ValueError):
    """
    A key that cannot be read.

    :ivar signer: whose it is, as revproxy.yaml calls it.
    :ivar message: what is wrong with it.
    """

    def __init__(self, signer: str, message: str) -> None:
        super().__init__(f"trust.signers.{signer}.key {message}")
        self.signer = signer
        self.message = message


def publicKey(line: str) -> Key:
    """
    From what users write: the line of an OpenSSH public key, or of one of minisign; or the file of that, with its
    comment above.

    :raises ValueError: it is none, or of a kind that does not count.
    """
    text = line.strip()
    if text.startswith("untrusted comment:"):
        text = text.partition("\n")[2].strip()
    if "\n" in text:
        raise ValueError("has more than one line; name each key for itself")
    return minisignKey(text) if text.startswith("RW") and " " not in text else sshKey(text)


class Signers:
    """
    Those whose signatures count, with their keys read.

    :raises BadKey: one cannot be.
    """

    def __init__(self, configs: Iterable[SignerConfig]) -> None:
        self._all: list[tuple[SignerConfig, Key]] = []
        for config in configs:
            try:
                self._all.append((config, publicKey(config.key)))
            except ValueError as error:
                raise BadKey(config.name, str(error)) from None

    def __iter__(self) -> Iterator[tuple[SignerConfig, Key]]:
        return iter(self._all)


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    A bundle is trusted.

    :ivar signer: whose word it is, as revproxy.yaml calls it.
    :ivar keyId: of the key: ``SHA256:…`` as ``ssh-keygen -l`` shows it, or 16 digits as minisign does.
    :ivar envelope: in which it was.
    :ivar revision: that was signed.
    """

    signer: str
    keyId: str
    envelope: Kind
    revision: int


def verify(
    bundle: Bundle,
    signers: Signers,
    *,
    now: float | None,
    revoked: Collection[str] = (),
    lowest: int = 0,
    manifest: Manifest | None = None,
) -> Verdict:
    """
    Whether somebody who is trusted vouches for a bundle, and for each of its files.

    :param now: seconds since the epoch; None: whether a signer's time is over does not matter, because the bundle was
        verified before.
    :param revoked: ``key:ID`` and ``sha256:DIGEST``.
    :param lowest: the least revision that will do.
    :param manifest: of the bundle's plugin.json, where that was read already.
    :raises Untrusted: with the file and the rule.
    """
    try:
        return _verdict(bundle, signers, now, revoked, lowest, manifest)
    except Untrusted as refusal:
        raise Untrusted(refusal.file, refusal.rule, refusal.message, bundle.directory) from None


def _verdict(
    bundle: Bundle,
    signers: Signers,
    now: float | None,
    revoked: Collection[str],
    lowest: int,
    manifest: Manifest | None,
) -> Verdict:
    message = bundle.signature.get(MANIFEST)
    if message is None:
        raise Untrusted(MANIFEST, "unsigned", "it is not there, and only what is signed may run here: revproxy sign")
    signed = _signed(bundle, signers, message)
    listed = parseSigned(message)
    signer, key, kind = _chosen(signed, listed.name, now, revoked)
    if f"sha256:{bundle.digest}" in revoked:
        raise Untrusted(MANIFEST, "revoked", f"the version {bundle.digest} was revoked; take another")
    checkFiles(listed, bundle)
    checkRepeated(listed, manifest or _manifestOf(bundle))
    _checkRevision(listed, lowest)
    return Verdict(signer.name, key.keyId, kind, listed.revision)


_AS_SSH_KEYGEN: Final = f"{MANIFEST}.sig"
"""What ``ssh-keygen -Y sign`` calls its file."""

_Signed = tuple[SignerConfig, Key, Kind]
"""Who has signed, with which key, in which kind of envelope."""

_READERS: Mapping[str, Callable[[bytes], Envelope]] = {SSHSIG: readSSHEnvelope, MINISIG: readMinisignEnvelope}


def _signed(bundle: Bundle, signers: Signers, message: bytes) -> list[_Signed]:
    """Those who are trusted and have signed the message; at least one."""
    present = [file for file in ENVELOPES if file in bundle.signature]
    if not present and _AS_SSH_KEYGEN in bundle.files:
        raise Untrusted(_AS_SSH_KEYGEN, "unsigned", f"nobody looks for a signature there: rename it to {SSHSIG}")
    if not present:
        raise Untrusted(MANIFEST, "unsigned", f"there is neither {' nor '.join(ENVELOPES)}: revproxy sign")
    envelopes = [_READERS[file](bundle.signature[file]) for file in present]
    found = [signed for envelope in envelopes for signed in _behind(envelope, message, signers)]
    if not found:
        ids = " and ".join(envelope.keyId for envelope in envelopes)
        raise Untrusted(present[0], "signer", f"it is of the key {ids}, which is nobody's under trust.signers; if it "
                                              "is to be trusted, name it there")
    return found


def _behind(envelope: Envelope, message: bytes, signers: Signers) -> list[_Signed]:
    """
    Those whose key has made an envelope; nobody, if the key that it names is nobody's.

    :raises Untrusted: the key that it names has not made it.
    """
    found, refusal = [], None
    for signer, key in signers:
        if key.blob == envelope.identity:
            try:
                envelope.check(key, message)
                found.append((signer, key, envelope.kind))
            except Untrusted as error:  # two keys of minisign can have one number
                refusal = error
    if refusal is not None and not found:
        raise refusal
    return found


def _chosen(signed: list[_Signed], plugin: str, now: float | None, revoked: Collection[str]) -> _Signed:
    """The first whose word counts for a plugin."""
    refusals = [_refusal(*each, plugin, now, revoked) for each in signed]
    for each, refusal in zip(signed, refusals, strict=True):
        if refusal is None:
            return each
    raise min(filter(None, refusals), key=lambda refusal: _WORST.index(refusal.rule))


_WORST: Sequence[Rule] = ("revoked", "expired", "scope")
"""Of several refusals, which one is told."""


def _refusal(
    signer: SignerConfig, key: Key, kind: Kind, plugin: str, now: float | None, revoked: Collection[str]
) -> Untrusted | None:
    file, where = f"{MANIFEST}.{kind}", f"trust.signers.{signer.name}"
    if f"key:{key.keyId}" in revoked:
        return Untrusted(file, "revoked", f"the key {key.keyId} of {signer.name} was revoked; sign with another")
    if not signer.signsFor(plugin):
        globs = ", ".join(signer.plugins) or "nothing"
        return Untrusted(file, "scope", f"{signer.name} does not sign for {plugin}, but for {globs} ({where}.plugins)")
    if now is not None and signer.notAfter is not None and now >= signer.notAfter:
        return Untrusted(file, "expired", f"what {signer.name} has signed is taken until {_last(signer.notAfter)}, and "
                                          f"that is over; sign with another key, or move {where}.not_after")
    return None


def _last(end: float) -> str:
    """The last day before a time."""
    return datetime.fromtimestamp(end - 1, UTC).strftime("%Y-%m-%d")


def _manifestOf(bundle: Bundle) -> Manifest:
    try:
        return parseManifest(bundle.files["plugin.json"], "plugin.json")
    except ConfigErrors as errors:
        raise Untrusted("plugin.json", "manifest", str(errors.problems[0])) from None


def _checkRevision(listed: SignedManifest, lowest: int) -> None:
    if listed.revision < lowest:
        raise Untrusted("plugin.json", "downgrade", f"its revision is {listed.revision}, and {lowest} ran before; "
                                                    "revproxy rollback goes back to a version that is stored")
