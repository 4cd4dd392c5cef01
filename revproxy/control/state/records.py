"""What is remembered of plugins over restarts: which versions ran and when, what is pinned, switched, quarantined.

`PluginRecords` are a value; each method gives another one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from revproxy.plan.versionid import UNKNOWN, VersionId

#: How many versions of one plugin are remembered, and how many characters a reason may have.
MAX_VERSIONS = 100
MAX_REASON = 1000

PROVEN = 3600.0
"""Seconds after which a version that served, and was not taken out, has proved itself."""

#: Who pinned a version.
PinnedBy = Literal["user", "rollback", "quarantine", "rollout"]


@dataclass(frozen=True, slots=True)
class OnTrial:
    """A version came into service by steps, or did not come through them.

    :ivar state: ``going``, or how it ended: ``rolled-back``, ``aborted``, ``superseded``, ``refused``.
    :ivar reason: why it ended so.
    :ivar at: when it began, or ended, in seconds since the epoch.
    :ivar blocks: whether it does not begin again by itself while its folder has it.
    """

    state: str
    reason: str = ""
    at: float = 0.0
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version of a plugin that ran.

    :ivar digest: of its bundle.
    :ivar version: as its manifest says.
    :ivar ranAt: when it began to run last, in seconds since the epoch.
    :ivar quarantined: why it was taken out; ``None``: it was not.
    :ivar served: seconds for which it served, in all, since it was taken out last.
    :ivar trial: of one that never came to run for all: what became of its rollout; ``None``: it did run.
    """

    digest: str
    version: str
    ranAt: float
    quarantined: str | None = None
    served: float = 0.0
    trial: OnTrial | None = None

    @property
    def isProven(self) -> bool:
        """Whether it has served for an hour, and was not taken out since."""
        return self.quarantined is None and self.served >= PROVEN

    @property
    def id(self) -> VersionId:
        """Which version it is."""
        return VersionId(self.version, self.digest)


@dataclass(frozen=True, slots=True)
class Pin:
    """A plugin runs this version, whatever its directory has.

    :ivar by: a user's pin stays until it is taken away; the others end when the directory has other content.
    :ivar against: the digest of the directory's content at that time, or, where that could not be read, of what ran;
        ``None``: nobody knows.
    :ivar left: the digests that rollbacks have gone back from, one after the other.
    """

    digest: str
    by: PinnedBy
    against: str | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """What is remembered of one plugin.

    :ivar versions: no digest twice; what began to run last comes last.
    :ivar running: the digest of what runs, or ran when the edge ended.
    :ivar enabled: switched by a command; ``None``: as the configuration says.
    :ivar folder: the name of the folder that had what ran last; ``None``: not known.
    :ivar required: whether what runs, or ran when the edge ended, is required.
    :ivar endedAt: when nothing of it ran any more, in seconds since the epoch; ``None``: it runs, or that is not known.
    :ivar endedBecause: why that was, in a few words.
    """

    versions: tuple[VersionRecord, ...] = ()
    running: str | None = None
    pin: Pin | None = None
    enabled: bool | None = None
    folder: str | None = None
    required: bool = False
    endedAt: float | None = None
    endedBecause: str | None = None

    def find(self, digest: str) -> VersionRecord | None:
        """The record of a version."""
        return next((known for known in self.versions if known.digest == digest), None)

    @property
    def pinnedTo(self) -> VersionId:
        """The version that is pinned; `UNKNOWN` when none is."""
        if self.pin is None:
            return UNKNOWN
        known = self.find(self.pin.digest)
        return VersionId(known.version if known else "", self.pin.digest)


@dataclass(frozen=True, slots=True)
class PluginRecords:
    """Everything that is remembered.

    :ivar plugins: by name; those of which there is nothing to remember are not in it. To be left unchanged.
    """

    plugins: Mapping[str, PluginRecord] = field(default_factory=dict)

    def get(self, name: str) -> PluginRecord:
        """What is remembered of a plugin; an empty record when nothing is."""
        return self.plugins.get(name, PluginRecord())

    def only(self, name: str) -> PluginRecords:
        """What is remembered of this one alone."""
        return PluginRecords({name: self.plugins[name]} if name in self.plugins else {})

    def ran(self, name: str, digest: str, version: str, now: float) -> PluginRecords:
        """A version has begun to run. What is known of its quarantine stays.

        :param now: seconds since the epoch.
        """
        record = self.get(name)
        known = record.find(digest)
        newest = replace(known or VersionRecord(digest, version, now), version=version, ranAt=now, trial=None)
        versions = _withNewest(record, newest, record.pin.digest if record.pin else None)
        return self._with(
            name, replace(record, versions=versions, running=digest, endedAt=None, endedBecause=None)
        )

    def onTrial(self, name: str, digest: str, version: str, now: float) -> PluginRecords:
        """A version is on trial beside what runs. Where it ran before, it counts as one that does not, until it does.

        :param now: seconds since the epoch.
        """
        record = self.get(name)
        known = record.find(digest) or VersionRecord(digest, version, now)
        newest = replace(known, version=version, trial=OnTrial("going", at=now))
        return self._with(name, replace(record, versions=_withNewest(record, newest, record.running)))

    def trialEnded(self, name: str, digest: str, end: OnTrial) -> PluginRecords:
        """A version on trial is not any more, and did not come to run for all; nothing changes if it was not."""
        record, text = self.get(name), end.reason[:MAX_REASON].encode("utf-8", "replace").decode("utf-8")
        versions = tuple(
            replace(known, trial=replace(end, reason=text)) if known.digest == digest and known.trial else known
            for known in record.versions
        )
        return self._with(name, replace(record, versions=versions))

    def stopped(self, name: str, now: float, because: str | None = None) -> PluginRecords:
        """Nothing of the plugin runs any more, and nothing is to run after a restart because it ran now.

        :param now: seconds since the epoch.
        :param because: why, in a few words.
        """
        record = self.get(name)
        return self._with(
            name, replace(record, running=None, required=False, endedAt=now, endedBecause=because)
        )

    def pinned(self, name: str, pin: Pin) -> PluginRecords:
        """In the place of the pin there may be."""
        return self._with(name, replace(self.get(name), pin=pin))

    def unpinned(self, name: str) -> PluginRecords:
        """Without its pin."""
        return self._with(name, replace(self.get(name), pin=None))

    def switched(self, name: str, enabled: bool | None) -> PluginRecords:
        """On, off, or again as the configuration says (``None``)."""
        return self._with(name, replace(self.get(name), enabled=enabled))

    def requiring(self, name: str, required: bool) -> PluginRecords:
        """Whether requests must not pass without what runs of a plugin."""
        record = self.get(name)
        return self if record.required == required else self._with(name, replace(record, required=required))

    def foundIn(self, name: str, folder: str) -> PluginRecords:
        """What runs is what a folder has; it is the plugin's own from now on."""
        return self._with(name, replace(self.get(name), folder=folder))

    def served(self, name: str, digest: str, seconds: float) -> PluginRecords:
        """A version has served for so long; nothing changes when it never ran, or is marked as taken out."""
        record = self.get(name)
        versions = tuple(
            replace(known, served=known.served + seconds)
            if known.digest == digest and known.quarantined is None else known
            for known in record.versions
        )
        return self._with(name, replace(record, versions=versions))

    def quarantined(self, name: str, digest: str, reason: str) -> PluginRecords:
        """A version was taken out; nothing changes when it never ran."""
        text = reason[:MAX_REASON].encode("utf-8", "replace").decode("utf-8")
        return self._marked(name, digest, text)

    def cleared(self, name: str, digest: str) -> PluginRecords:
        """A version's quarantine was lifted."""
        return self._marked(name, digest, None)

    def forgotten(self, name: str, digests: Collection[str]) -> PluginRecords:
        """Versions that are not in the store any more. What runs and what is pinned stays as it is."""
        record = self.get(name)
        versions = tuple(known for known in record.versions if known.digest not in digests)
        return self._with(name, replace(record, versions=versions))

    def longGone(self, here: Collection[str], keep: int) -> list[str]:
        """Plugins that are not worth remembering: neither there, nor running, pinned or switched, and not among the
        last that went. The first that went comes first.

        :param here: names of plugins that are there, running or not.
        :param keep: how many of the last.
        """
        gone = [
            (record.endedAt or max((known.ranAt for known in record.versions), default=0.0), name)
            for name, record in self.plugins.items()
            if name not in here and record.running is None and record.pin is None and record.enabled is None
        ]
        return [name for _, name in sorted(gone)[: max(0, len(gone) - keep)]]

    def without(self, name: str) -> PluginRecords:
        """Nothing is remembered of a plugin."""
        return PluginRecords({each: record for each, record in self.plugins.items() if each != name})

    def goodBefore(self, name: str, digest: str) -> tuple[VersionRecord, ...]:
        """Where to go back to from a version: what ran before it and is not quarantined. What ran last comes first.

        :param digest: of a version that never ran: what ran last of all is before it.
        """
        versions = self.get(name).versions
        end = next((index for index, known in enumerate(versions) if known.digest == digest), len(versions))
        return tuple(known for known in reversed(versions[:end]) if known.quarantined is None and known.trial is None)

    def toKeep(self, name: str, count: int) -> set[str]:
        """The digests that the store must not lose: what runs, what is on trial, what is pinned, the last ``count``
        others, and the last of the others that has proved itself, however many were tried since.
        """
        record = self.get(name)
        keep = {record.running, record.pin.digest if record.pin else None} - {None}
        keep |= {known.digest for known in record.versions if known.trial is not None and known.trial.state == "going"}
        others = [known for known in record.versions if known.digest not in keep]
        last = [known.digest for known in others[max(0, len(others) - count):]]
        return {digest for digest in (*keep, *last, _lastProven(others)) if digest is not None}

    def _marked(self, name: str, digest: str, reason: str | None) -> PluginRecords:
        record = self.get(name)
        versions = tuple(
            replace(known, quarantined=reason, served=0.0 if reason is not None else known.served)
            if known.digest == digest else known
            for known in record.versions
        )
        return self._with(name, replace(record, versions=versions))

    def _with(self, name: str, record: PluginRecord) -> PluginRecords:
        plugins = {**self.plugins, name: record}
        if replace(record, folder=None, endedAt=None, endedBecause=None) == PluginRecord():
            del plugins[name]
        return PluginRecords(plugins)


def _withNewest(record: PluginRecord, newest: VersionRecord, staying: str | None) -> tuple[VersionRecord, ...]:
    """The versions of a plugin, this one last; where they are too many, without the oldest that nobody needs."""
    others = [other for other in record.versions if other.digest != newest.digest]
    needed = {staying, record.pin.digest if record.pin else None, _lastProven(others)}
    while len(others) >= MAX_VERSIONS:
        del others[next(index for index, other in enumerate(others) if other.digest not in needed)]
    return (*others, newest)


def _lastProven(versions: Collection[VersionRecord]) -> str | None:
    """The digest of the last of these that has proved itself, if one has."""
    return next((known.digest for known in reversed(tuple(versions)) if known.isProven), None)
