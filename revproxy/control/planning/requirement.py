"""
Plugins that requests must not pass without, and what keeps them: a required plugin leaves only where somebody says so.

That its folder is gone is nobody's word: a copy may be under way, or a disk not mounted. All is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from revproxy.config.settings import Config
from revproxy.control.planning.choice import Choice
from revproxy.control.planning.switching import runsSomewhere, wouldRunOn
from revproxy.control.state.records import PluginRecords
from revproxy.plan.catalog import Catalog, CatalogEntry, Entries
from revproxy.plan.refusal import HELD_BY_MOUNT, HELD_BY_REQUIREMENT, Refusal
from revproxy.plan.versionid import VersionId


def isRequired(entry: CatalogEntry, config: Config) -> bool:
    """Whether requests must not pass without a plugin, where it runs."""
    return entry.manifest.required or entry.manifest.name in config.plugins.required


def isNeededAtStart(name: str, records: PluginRecords, config: Config) -> bool:
    """
    Whether the edge does not start without a plugin: it may be the one that guards the door. If nothing ever ran here,
    that is every one; after that, those that ran, and those that revproxy.yaml requires.
    """
    record = records.get(name)
    isKnown = record.running is not None or record.pin is not None or name in config.plugins.required
    return isKnown or not records.plugins


@dataclass(frozen=True, slots=True)
class Retention:
    """
    What runs on although its folder is gone.

    :ivar lost: the names of those that went with all others, as with a disk that is not mounted any more.
    """

    running: Entries
    switches: Mapping[str, bool]
    lost: AbstractSet[str] = frozenset()

    def kept(self, choice: Choice, config: Config) -> tuple[Choice, tuple[Refusal, ...]]:
        """
        A choice with what is to run on under a configuration.

        :returns: with why, for each that runs somewhere.
        """
        entries = dict(choice.entries)
        reasons: list[Refusal] = []
        for name, entry in self.running.items():
            if name in entries or self.switches.get(name) is False:
                continue
            runs = runsSomewhere(entry, config, self.switches)
            if name in self.lost:
                entries[name] = entry
                if runs:
                    reasons.append(_reason(entry, HELD_BY_MOUNT, _allGone(config)))
            elif runs and isRequired(entry, config):
                entries[name] = entry
                reasons.append(_reason(entry, HELD_BY_REQUIREMENT, _requiredGone(name, config)))
        return replace(choice, entries=entries), tuple(reasons)


def missingIn(
    found: Catalog | None, entries: Entries, config: Config, switches: Mapping[str, bool]
) -> dict[str, tuple[int, ...]]:
    """
    Required plugins that are there, and cannot be had.

    :param entries: of the plan.
    :returns: by name, the indexes of the route groups that must not be served without it.
    """
    absent = {} if found is None else {name: each for name, each in found.entries.items() if name not in entries}
    missing = {
        name: wouldRunOn(entry, config, switches) for name, entry in absent.items() if isRequired(entry, config)
    }
    return {name: groups for name, groups in missing.items() if groups}


def _requiredGone(name: str, config: Config) -> str:
    return (
        f"no folder in {config.plugins.directory} has it any more; as it is required, it runs on. Copy its folder "
        f"back, or switch it off: `revproxy disable {name}`, or {name}: false under plugins.config in {config.source}"
    )


def _allGone(config: Config) -> str:
    return (
        f"all folders in {config.plugins.directory} were gone at once, as if its disk was not mounted: the plugins run "
        "on. Mount it, or copy the folders back; one that is to go is switched off by `revproxy disable NAME`, or "
        f"NAME: false under plugins.config in {config.source}"
    )


def _reason(entry: CatalogEntry, stage: str, text: str) -> Refusal:
    return Refusal(entry.manifest.name, stage, text, VersionId(entry.version.number))
