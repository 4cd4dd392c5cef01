"""
What of a choice may run. Pure.

What is new is judged, and where it may not run, what runs already stays, or, before a first plan, what ran before. What
runs was judged when it began; it goes on unless it was revoked, then it goes, wanted or not, and with it what cannot do
without it. Under another configuration it has to stand once more, else the configuration is refused: nobody who
tightens the rules wants to be without a door.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from revproxy.config.problems import Problem
from revproxy.config.settings import Config, documentOf
from revproxy.control.planning.choice import Choice
from revproxy.control.planning.tiers import Bounds, Tier, tierOf
from revproxy.control.trust.policy import Judgement, Policy
from revproxy.plan.catalog import BrokenPlugin, CatalogEntry, Entries
from revproxy.plan.refusal import REVOKED, UNGRANTED, UNTRUSTED, Refusal


@dataclass(frozen=True, slots=True)
class Sifted:
    """
    :ivar choice: of what may run.
    :ivar refusals: what may not, and why.
    :ivar withdrawn: what does not run any more, or would run and must not; whether somebody names it is no matter.
    :ivar running: what may go on of what runs, or ran before a restart.
    :ivar refused: of what did not run, what may not: by source, its digest.
    :ivar strangers: names of those of it that nobody who counts vouches for, nor for what their plugin.json says.
    :ivar problems: why the configuration itself will not do: with it, something that runs may not.
    :ivar bounds: of each plugin that may run.
    """

    choice: Choice
    refusals: tuple[Refusal, ...] = ()
    withdrawn: Entries = field(default_factory=dict)
    running: Entries = field(default_factory=dict)
    refused: Mapping[str, str | None] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    strangers: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How things stand.

    :ivar running: the entries of the plan in force; before a first one, of what ran before a restart.
    :ivar inForce: names of those of them that run; empty before a first plan.
    :ivar isSame: whether the rules are those by which they run.
    :ivar kept: by name, the digest of a version that comes from the store because of its pin.
    :ivar bounds: of each plugin that runs.
    :ivar wouldRun: whether an entry would run somewhere.
    :ivar isNeeded: whether a plugin that cannot be used is not to be left out, by its name.
    :ivar tooWeak: why plugins that run in locked processes may not do so under these rules; empty: they may.
    """

    running: Entries
    inForce: AbstractSet[str]
    isSame: bool
    kept: Mapping[str, str]
    bounds: Mapping[str, Bounds]
    wouldRun: Callable[[CatalogEntry], bool]
    isNeeded: Callable[[str], bool] = lambda name: False
    tooWeak: str = ""


def sift(choice: Choice, policy: Policy, standing: Standing) -> Sifted:
    """:returns: what of a choice may run, under a policy."""
    return _Sieve(choice, policy, standing).run()


class _Sieve:
    """One run of `sift`."""

    def __init__(self, choice: Choice, policy: Policy, standing: Standing) -> None:
        self.choice = choice
        self.policy = policy
        self.standing = standing
        self.entries = dict(choice.entries)
        self.unusable: list[BrokenPlugin] = []
        self.refusals: list[Refusal] = []
        self.withdrawn: dict[str, CatalogEntry] = {}
        self.refused: dict[str, str | None] = {}
        self.problems: list[Problem] = list(policy.problems)
        if standing.tooWeak and not standing.isSame:
            self.problems.append(documentOf(policy.config).problem(("trust", "minimum_level"), standing.tooWeak))
        self.bounds: dict[str, Bounds] = {}
        self.strangers: set[str] = set()

    def run(self) -> Sifted:
        for name, entry in self.choice.entries.items():
            if not self.standing.wouldRun(entry):
                continue
            if self._isInForce(name, entry):
                self._goesOn(name, entry)
            else:
                self._begins(name, entry)
        self._withoutProviders()
        running = {name: entry for name, entry in self.standing.running.items() if self._mayGoOn(name, entry)}
        choice = replace(self.choice, entries=self.entries, broken=(*self.choice.broken, *self.unusable))
        return Sifted(
            choice, tuple(self.refusals), self.withdrawn, running, self.refused, tuple(self.problems), self.bounds,
            self.strangers,
        )  # fmt: skip

    def _mayGoOn(self, name: str, entry: CatalogEntry) -> bool:
        """Whether it may stand in for something that does not go together with the others."""
        if self.withdrawn.get(name) is entry:
            return False
        if name in self.standing.inForce:
            isRevoked = self.policy.judge(entry, True).isRevoked
            if isRevoked:
                self.withdrawn.setdefault(name, entry)
            return not isRevoked
        return not self.standing.wouldRun(entry) or self.policy.judge(entry, True).mayRun

    def _isInForce(self, name: str, entry: CatalogEntry) -> bool:
        return name in self.standing.inForce and self.standing.running.get(name) is entry

    def _goesOn(self, name: str, entry: CatalogEntry) -> bool:
        """What runs. :returns: False if it was revoked."""
        judgement = self.policy.judge(entry, True)
        if judgement.isRevoked:
            self._withdraw(name, entry, judgement)
            return False
        if judgement.mayRun:
            self._bind(name, judgement)
            return True
        self.bounds[name] = self.standing.bounds.get(name, Bounds(None, False))
        if not self.standing.isSame:
            text = f"plugin {name} {entry.version} runs, and would not be trusted: {judgement}"
            self.problems.append(_problem(self.policy.config, text))
        return True

    def _begins(self, name: str, entry: CatalogEntry) -> None:
        """What does not run yet."""
        judgement = self.policy.judge(entry, self._isKept(name, entry))
        refusal = self._refusalOf(name, entry, judgement)
        if refusal is None:
            self._bind(name, judgement)
            return
        self.refusals.append(refusal)
        before = self.standing.running.get(name)
        if before is not None and before is not entry and self._staysInstead(name, before):
            self.entries[name] = before
        elif judgement.isRevoked:
            self._withdraw(name, entry, judgement)
        elif name not in self.withdrawn:
            self._leaveOut(name, entry, refusal)

    def _staysInstead(self, name: str, before: CatalogEntry) -> bool:
        """:returns: whether what runs, or ran before a restart, stands in for what may not run."""
        if name in self.standing.inForce:
            return self._goesOn(name, before)
        if not self.standing.wouldRun(before):
            return True
        judgement = self.policy.judge(before, True)
        if judgement.isRevoked:
            self._withdraw(name, before, judgement)
        elif judgement.mayRun:
            self._bind(name, judgement)
        else:
            text = f"what ran before may not stand in: {judgement}"
            self.refusals.append(Refusal(name, UNTRUSTED, text, before.version))
        return judgement.mayRun

    def _refusalOf(self, name: str, entry: CatalogEntry, judgement: Judgement) -> Refusal | None:
        if not judgement.mayRun:
            stage = REVOKED if judgement.isRevoked else UNTRUSTED
            stored = f"; that is {entry.version} as it is stored" if self._isKept(name, entry) else ""
            return Refusal(name, stage, f"{judgement}{stored}", entry.version)
        if self._isKept(name, entry):
            return None  # it ran with what it is granted
        tier = tierOf(entry, self.policy.config.plugins, boundsOf(judgement, self.policy))
        text = heldText(name, tier, judgement)
        return Refusal(name, UNGRANTED, text, entry.version) if text else None

    def _isKept(self, name: str, entry: CatalogEntry) -> bool:
        isPinned = entry.digest is not None and self.standing.kept.get(name) == entry.digest
        return isPinned or (not self.standing.inForce and self.standing.running.get(name) is entry)

    def _bind(self, name: str, judgement: Judgement) -> None:
        self.bounds[name] = boundsOf(judgement, self.policy)

    def _withdraw(self, name: str, entry: CatalogEntry, judgement: Judgement) -> None:
        """It goes, or does not come."""
        self.entries.pop(name, None)
        self.withdrawn[name] = entry
        if not any(refusal.plugin == name and refusal.stage == REVOKED for refusal in self.refusals):
            self.refusals.append(Refusal(name, REVOKED, str(judgement), entry.version))

    def _leaveOut(self, name: str, entry: CatalogEntry, refusal: Refusal) -> None:
        del self.entries[name]
        problem = Problem(entry.source, 0, 0, "", refusal.message)
        isWanted = self.standing.isNeeded(name)
        self.unusable.append(BrokenPlugin(name, isWanted, entry.source, (problem,), entry.bundle))
        if name not in self.standing.running:
            self.refused[entry.source] = entry.digest
            if refusal.stage == UNTRUSTED:
                self.strangers.add(name)

    def _withoutProviders(self) -> None:
        """What cannot do without something that is withdrawn goes with it."""
        while self.withdrawn:
            lacking = next(self._lacking(), None)
            if lacking is None:
                return
            name, provider = lacking
            entry = self.entries.pop(name)
            self.withdrawn[name] = entry
            text = f"it needs {provider}, which was revoked; it runs again once another version of that does"
            self.refusals.append(Refusal(name, REVOKED, text, entry.version))

    def _lacking(self) -> Iterator[tuple[str, str]]:
        """Plugins, each with what it needs and is gone."""
        for name, entry in self.entries.items():
            if self.standing.wouldRun(entry):
                for needed in entry.manifest.requires:
                    if needed in self._gone() and needed not in self._provided(name):
                        yield name, needed

    def _gone(self) -> set[str]:
        gone = {*self.withdrawn}
        for entry in self.withdrawn.values():
            gone |= {*entry.manifest.provides}
        return gone

    def _provided(self, but: str) -> set[str]:
        found = set()
        for name, entry in self.entries.items():
            if name != but and self.standing.wouldRun(entry):
                found |= {name, *entry.manifest.provides}
        return found


def boundsOf(judgement: Judgement, policy: Policy) -> Bounds:
    """What there is around a version that may run."""
    return Bounds(judgement.signer, policy.trust.mode == "off")


def heldText(name: str, tier: Tier, judgement: Judgement | None = None) -> str:
    """Why a version waits for somebody to grant what it asks for; empty if it does not."""
    if tier.beyond:
        who = "its signer" if judgement is None or judgement.signer is None else judgement.signer.name
        return (
            f"it asks for more than {who} may have granted (trust.signers.{who}.permissions): {'; '.join(tier.beyond)}"
        )
    if tier.missing:
        return f"it asks for more than it is granted: {'; '.join(tier.missing)}. Grant it: `revproxy grant {name}`"
    return ""


def _problem(config: Config, text: str) -> Problem:
    document, paths = documentOf(config), (("trust", "mode"), ("trust",))
    return document.problem(next((path for path in paths if document.has(path)), ()), text)


__all__ = ["Sifted", "Standing", "boundsOf", "heldText", "sift"]
