"""
Whether a version may run under a configuration. Nothing here waits or reads; what is asked is remembered by what it
depends on, so that a change of one plugin does not verify all others again.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Literal

from revproxy.bundles.bundle import Bundle
from revproxy.bundles.signature import BadKey, Signers, Verdict, verify
from revproxy.bundles.untrusted import Untrusted
from revproxy.config.lockfile import LockFile
from revproxy.config.problems import Problem
from revproxy.config.settings import Config, documentOf
from revproxy.config.trustconfig import SignerConfig
from revproxy.control.trust.memory import Memory, Verified
from revproxy.control.trust.trustfiles import Lists
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.installedrule import whyNotInstalled
from revproxy.plan.versionid import SHOWN

MAX_KNOWN = 1000
"""Answers of `verify` that are remembered."""

State = Literal["unchecked", "trusted", "untrusted", "revoked"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    Of one version.

    :ivar state: ``"unchecked"``: nobody has to vouch for it.
    :ivar signer: whose word it is; None: no signature was needed.
    :ivar key: the key's id.
    :ivar envelope: in which the signature was.
    :ivar revision: that was signed.
    :ivar file: which file is the reason that it is not trusted.
    :ivar rule: by which rule.
    :ivar message: what is wrong, and what to do.
    """

    state: State
    signer: SignerConfig | None = None
    key: str = ""
    envelope: str = ""
    revision: int | None = None
    file: str = ""
    rule: str = ""
    message: str = ""

    @property
    def mayRun(self) -> bool:
        """Whether it is taken."""
        return self.state in ("unchecked", "trusted")

    @property
    def isRevoked(self) -> bool:
        """Whether it is not even to go on where it runs."""
        return self.state == "revoked"

    def __str__(self) -> str:
        return f"{self.file}: {self.rule}: {self.message}" if self.file else self.message

    def asVerified(self, entry: CatalogEntry, now: float) -> Verified | None:
        """What is to be remembered of it, if a signature was verified."""
        if self.signer is None or self.revision is None:
            return None
        return Verified(now, entry.version.number, self.signer.name, self.key, self.envelope, self.revision)


UNCHECKED: Final = Judgement("unchecked")

_Answer = Verdict | Untrusted


class Answers:
    """What `verify` has said, by all that it depends on. For any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[Any, _Answer] = OrderedDict()

    def of(self, bundle: Bundle, signers: Signers, isExpired: tuple[bool, ...] | None, **given: Any) -> _Answer:
        """
        :param isExpired: of each signer; None: that does not matter.
        :param given: as for `verify`.
        """
        rules = tuple((config, key.keyId) for config, key in signers)
        key = bundle.digest, _digestOf(bundle.signature), rules, isExpired, given["revoked"], given["lowest"]
        found = self._known.get(key)
        if found is None:
            try:
                found = verify(bundle, signers, **given)
            except Untrusted as error:
                error.__traceback__ = error.__context__ = None  # they have the bundle
                found = error
            self._known[key] = found
            while len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return found


class Policy:
    """
    What holds under one configuration.

    :ivar problems: why nothing can be judged by it.
    """

    def __init__(
        self, config: Config, lists: Lists, memory: Memory, now: float, answers: Answers, signatures: Any
    ) -> None:
        """
        :param now: seconds since the epoch.
        :param signatures: name and digest to signatures that were seen of the same files, or None.
        """
        self.config = config
        self.trust = config.trust
        self.lists = lists
        self._memory = memory
        self._now = max(now, memory.seen)
        self._answers = answers
        self._signatures = signatures
        self.problems, self._signers = _signersOf(config)
        if not lists.isComplete:
            self.problems = (*self.problems, *lists.problems)

    @property
    def isOff(self) -> bool:
        """Whether everything may run."""
        return self.trust.mode == "off" and not self.lists.revoked

    def isOver(self, signer: SignerConfig) -> bool:
        """Whether nothing new is taken that somebody has signed."""
        return signer.notAfter is not None and self._now >= signer.notAfter

    def keyId(self, signer: SignerConfig) -> str:
        """The id of a signer's key; empty where the key cannot be read."""
        return next((key.keyId for config, key in self._signers if config == signer), "")

    def judge(self, entry: CatalogEntry, isKept: bool) -> Judgement:
        """
        :param isKept: whether it comes from the store, or runs; else it is what a folder has, or is installed.
        """
        if self.isOff:
            return UNCHECKED
        return self._installed(entry) if entry.bundle is None else self._bundled(entry, entry.bundle, isKept)

    def _bundled(self, entry: CatalogEntry, bundle: Bundle, isKept: bool) -> Judgement:
        name, key = entry.manifest.name, ""
        if f"sha256:{bundle.digest}" in self.lists.revoked:
            return _revoked(bundle.directory, f"the version {bundle.digest} was revoked; take another")
        if self.trust.isLocked:
            refused = self._notLocked(entry, isKept)
            if refused is not None:
                # What runs goes on where it is locked no more, but not where its key is revoked.
                signed = self._signed(entry, bundle, isKept, "") if self.trust.isSigned else refused
                return signed if signed.isRevoked else refused
            assert self.lists.lock is not None
            key = self.lists.lock.plugins[name].find(bundle.digest).key  # type: ignore[union-attr]
            if key and f"key:{key}" in self.lists.revoked:
                return _revoked(self.trust.revoked, f"the key {key} that has signed it was revoked")
        if not self.trust.isSigned:
            return Judgement("trusted") if self.trust.isLocked else UNCHECKED
        return self._signed(entry, bundle, isKept, key)

    def _notLocked(self, entry: CatalogEntry, isKept: bool) -> Judgement | None:
        if self.lists.lock is None:
            return _untrusted(str(self.trust.lock), "lock", "it was never read; `revproxy lock` writes it")
        return _notLocked(self.lists.lock, entry, isKept)

    def _signed(self, entry: CatalogEntry, bundle: Bundle, isKept: bool, lockedKey: str) -> Judgement:
        signers = self._signers
        if lockedKey:
            configs = [config for config, key in signers if key.keyId == lockedKey]
            if not configs:
                text = f"it says that {lockedKey} has signed {entry.version}, which is nobody's under trust.signers; "
                where = "" if self.lists.lock is None else self.lists.lock.source
                return _untrusted(where, "lock", f"{text}`revproxy lock {entry.manifest.name}` writes who it is now")
            signers = Signers(configs)
        name, answer = entry.manifest.name, self._answer(entry, bundle, signers, isKept)
        seen = self._signatures(name, bundle.digest)
        if isinstance(answer, Untrusted) and seen is not None and seen != bundle.signature:
            answer = self._answer(entry, replace(bundle, signature=seen), signers, isKept)
        if isinstance(answer, Untrusted):
            state: State = "revoked" if answer.rule == "revoked" else "untrusted"
            return Judgement(state, file=_place(bundle, answer), rule=answer.rule, message=answer.message)
        signer = next(config for config, _ in signers if config.name == answer.signer)
        return Judgement("trusted", signer, answer.keyId, answer.envelope, answer.revision)

    def _answer(self, entry: CatalogEntry, bundle: Bundle, signers: Signers, isKept: bool) -> _Answer:
        name = entry.manifest.name
        isKnown = self._memory.verified(name, bundle.digest) is not None
        isExpired = None if isKnown else tuple(self.isOver(config) for config, _ in signers)
        return self._answers.of(
            bundle, signers, isExpired,
            now=None if isKnown else self._now,
            revoked=self.lists.revoked,
            lowest=0 if isKept else self._memory.highest(name, self.lists.revoked),
            manifest=entry.manifest,
        )  # fmt: skip

    def _installed(self, entry: CatalogEntry) -> Judgement:
        """A drop-in, which was looked at before it was imported."""
        lists, found = self.lists, entry.distribution
        refused = whyNotInstalled(entry.source, found, self.trust, lists.lock, lists.revoked)
        if refused is not None:
            state: State = "revoked" if refused.rule == "revoked" else "untrusted"
            return Judgement(state, file=refused.file, rule=refused.rule, message=refused.message)
        return UNCHECKED if self.trust.mode == "off" or (found is not None and found.isOwn) else Judgement("trusted")


def _digestOf(signature: Mapping[str, bytes]) -> bytes:
    """Short, where the lists of a thousand versions are not to be kept."""
    digest = hashlib.sha256()
    for name, content in sorted(signature.items()):
        digest.update(b"%d:%b%d:" % (len(name), name.encode(), len(content)))
        digest.update(content)
    return digest.digest()


def _notLocked(lock: LockFile, entry: CatalogEntry, isKept: bool) -> Judgement | None:
    """Why a lock file does not let a version run; None: it does."""
    name = entry.manifest.name
    locked = lock.plugins.get(name)
    found = None if locked is None else locked.find(entry.digest)
    if locked is None:
        text = f"it has no {name}; if {entry.version} is to run, `revproxy lock {name}`"
    elif found is None:
        text = (
            f"it has {locked.now.number} ({locked.now.digest[:SHOWN]}), and this is {entry.version}; if that is to "
            f"run, `revproxy lock {name}`"
        )
    elif found is not locked.now and not isKept:
        text = f"{entry.version} is an earlier version there: `revproxy rollback {name}` goes back to it"
    else:
        return None
    return _untrusted(lock.source, "lock", text)


def _signersOf(config: Config) -> tuple[tuple[Problem, ...], Signers]:
    """Those whose keys can be read; and what is wrong with the others."""
    signers, bad = _readable(config.trust.signers)
    document = documentOf(config)
    return tuple(document.problem(("trust", "signers", name, "key"), text) for name, text in bad), signers


@lru_cache(maxsize=16)
def _readable(configs: tuple[SignerConfig, ...]) -> tuple[Signers, tuple[tuple[str, str], ...]]:
    """The same, without places. Reading keys takes a while, and they are asked for often."""
    good, bad = [], []
    for signer in configs:
        try:
            Signers([signer])
            good.append(signer)
        except BadKey as error:
            bad.append((signer.name, error.message))
    return Signers(good), tuple(bad)


def _place(bundle: Bundle, refusal: Untrusted) -> str:
    return str(bundle.directory / refusal.file)


def _revoked(file: object, message: str) -> Judgement:
    return Judgement("revoked", file=str(file), rule="revoked", message=message)


def _untrusted(file: str, rule: str, message: str) -> Judgement:
    return Judgement("untrusted", file=file, rule=rule, message=message)


__all__ = ["UNCHECKED", "Answers", "Judgement", "Policy"]
