"""
Whose code runs on one edge: what was verified, what is remembered of it, and what there is to tell.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from revproxy.config.problems import Problem
from revproxy.config.settings import Config
from revproxy.control.planning.choice import Choice
from revproxy.control.planning.tiers import Bounds, Tier, tierOf
from revproxy.control.trust.memory import Memory
from revproxy.control.trust.policy import UNCHECKED, Answers, Judgement, Policy
from revproxy.control.trust.sieve import Sifted, Standing, sift
from revproxy.control.trust.trustfiles import TrustFiles
from revproxy.plan.catalog import Catalog, CatalogEntry, Entries, Selected
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.words import Locking


class Trust:
    """
    That of one edge.

    Its events are ``tier-lowered``, ``permission-missing``, ``trust-file`` and ``trust-file-read``.

    :ivar files: what the files say that the section ``trust`` names.
    :ivar memory: what is remembered.
    :ivar judgements: of what runs, by name.
    """

    def __init__(self, files: TrustFiles, memory: Memory, events: EventLog, now: Callable[[], float]) -> None:
        """:param now: seconds since the epoch."""
        self.files = files
        self.memory = memory
        self.judgements: dict[str, Judgement] = {}
        self._locking: Locking | None = None
        self._events = events
        self._now = now
        self._answers = Answers()
        # Signatures of files in the folder: of what runs there may be another one by now. It is kept, and goes on when
        # the folder has another version.
        self._signatures: dict[tuple[str, str], Mapping[str, bytes]] = {}
        self._kept: dict[tuple[str, str], Mapping[str, bytes]] = {}
        self._told: tuple[Problem, ...] = ()

    def heard(self, word: Locking) -> None:
        """How well processes can be locked here."""
        self._locking = word

    def under(self, config: Config) -> Policy:
        """What holds under a configuration."""
        signatures = {**self._kept, **self._signatures}
        return Policy(
            config, self.files.of(config.trust), self.memory, self._now(), self._answers,
            lambda name, digest: signatures.get((name, digest)),
        )  # fmt: skip

    def found(self, catalog: Catalog) -> None:
        """This is in the folders."""
        self._signatures = {
            (name, entry.bundle.digest): entry.bundle.signature
            for name, entry in catalog.entries.items()
            if entry.bundle is not None and entry.bundle.signature
        }

    def prepare(self, config: Config, entries: Iterable[CatalogEntry]) -> None:
        """Verify what is going to be asked for. For a thread: of a large plugin it takes milliseconds."""
        policy = self.under(config)
        for entry in () if policy.isOff else entries:
            policy.judge(entry, False)
            policy.judge(entry, True)

    def whyNot(self, entry: CatalogEntry, config: Config) -> str:
        """Why a version from the store may not run; empty if it may."""
        judgement = self.under(config).judge(entry, True)
        return "" if judgement.mayRun else str(judgement)

    def sift(
        self,
        choice: Choice,
        config: Config,
        before: Plan | None,
        running: Entries,
        kept: Mapping[str, str],
        wouldRun: Callable[[CatalogEntry], bool],
        isNeeded: Callable[[str], bool],
    ) -> Sifted:
        """
        What of a choice may run under a configuration.

        :param before: the plan in force; None before a first one.
        :param running: its entries, or those that ran before a restart.
        :param kept: by name, the digest of a pinned version.
        :param wouldRun: whether an entry would run somewhere.
        :param isNeeded: whether a plugin that cannot be used is not to be left out, by its name.
        """
        inForce: AbstractSet[str] = frozenset() if before is None else {each.name for each in before.selected}
        isSame = before is None or config.trust == before.config.trust
        bounds = {name: Bounds(each.signer, config.trust.mode == "off") for name, each in self.judgements.items()}
        standing = Standing(running, inForce, isSame, kept, bounds, wouldRun, isNeeded, self._tooWeak(config, before))
        return sift(choice, self.under(config), standing)

    def _tooWeak(self, config: Config, before: Plan | None) -> str:
        """Why what runs in locked processes may not do so under a configuration; empty: it may, or nobody knows."""
        level = None if self._locking is None else self._locking.level
        if before is None or level is None or level <= config.trust.minimumLevel:
            return ""
        names = [each.name for each in before.selected if each.isolation == "process"]
        if not names:
            return ""
        return (
            f"this machine locks processes by level {level}, and {', '.join(names)} would need "
            f"{config.trust.minimumLevel}: `revproxy trust` says which layers it has"
        )

    def tierOf(self, selected: Selected, config: Config) -> Tier:
        """Where a plugin that runs does so, and what it may touch there."""
        judgement = self.judgements.get(selected.name, UNCHECKED)
        return tierOf(selected.entry, config.plugins, Bounds(judgement.signer, config.trust.mode == "off"))

    # What has happened

    def committed(self, before: Plan | None, plan: Plan) -> None:
        """This runs now."""
        policy, judgements = self.under(plan.config), self.judgements
        self.judgements = {}
        for each in plan.selected:
            judgement = policy.judge(each.entry, True)
            was = None if before is None else before.find(each.name)
            if not judgement.mayRun and was is not None and was.entry is each.entry:
                judgement = judgements.get(each.name, judgement)  # by what it began to run
            self.judgements[each.name] = judgement
            verified, digest = judgement.asVerified(each.entry, self._now()), each.entry.digest
            if verified is not None and digest is not None:
                self.memory.ran(each.name, digest, verified)
            self._tell(each, was, plan)
        for _, candidate in plan.candidates():
            verified = policy.judge(candidate.entry, True).asVerified(candidate.entry, self._now())
            if verified is not None and candidate.entry.digest is not None:
                self.memory.ran(candidate.name, candidate.entry.digest, verified)
        self.memory.save()

    def signedAnew(self, plan: Plan) -> Iterator[tuple[str, str, Mapping[str, bytes]]]:
        """
        Names and digests of what runs and has another signature in its folder than it began with; those that are good,
        and each once. They are to be kept: the one before may be of a key that is about to go.
        """
        policy = self.under(plan.config)
        running = {(each.name, each.entry.digest) for each in plan.selected}
        self._kept = {key: signature for key, signature in self._kept.items() if key in running}
        for each in plan.selected if policy.trust.isSigned else ():
            bundle = each.entry.bundle
            seen = None if bundle is None else self._signatures.get((each.name, bundle.digest))
            if bundle is None or seen is None or seen in (bundle.signature, self._kept.get((each.name, bundle.digest))):
                continue
            if policy.judge(replace(each.entry, bundle=replace(bundle, signature=seen)), True).mayRun:
                self._kept[each.name, bundle.digest] = seen
                yield each.name, bundle.digest, seen

    def looked(self, config: Config, stored: Container[tuple[str, str]] = ()) -> None:
        """
        The files were read: tell what is wrong with them, once.

        :param stored: names and digests of the versions that are kept.
        """
        problems = self.files.of(config.trust).problems
        for problem in problems:
            if problem not in self._told:
                self._events.add("trust-file", str(problem))
        if self._told and not problems:
            self._events.add("trust-file-read", "the lock file, and the file of what is revoked, can be read again")
        self._told = problems
        self.memory.keepOnly(stored)
        self.memory.save()

    def _tell(self, now: Selected, was: Selected | None, plan: Plan) -> None:
        """What is not as its author, or revproxy.yaml, has it."""
        tier, entry = self.tierOf(now, plan.config), now.entry
        isNew = was is None or was.entry.digest != entry.digest
        if tier.isolation != tier.wanted and (isNew or was is None or was.isolation != now.isolation):
            signer = self.judgements[now.name].signer
            who = "" if signer is None else signer.name
            text = f"it runs in a locked process, for that is the highest tier of {who} (trust.signers.{who}.tier)"
            self._events.add("tier-lowered", text, now.name, entry.version)
        if tier.missing and (isNew or was is None or was.permissions != now.permissions):
            text = f"it runs without: {'; '.join(tier.missing)}. Grant it: `revproxy grant {now.name}`"
            self._events.add("permission-missing", text, now.name, entry.version)


__all__ = ["Trust"]
