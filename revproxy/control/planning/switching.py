"""
Where a plugin is on: by a command, a route, ``plugins.config``, or its own manifest, the first of these that says so.
"""

from __future__ import annotations

from collections.abc import Mapping

from revproxy.config.settings import Config, PluginSetting
from revproxy.plan.catalog import CatalogEntry


def isOn(entry: CatalogEntry, setting: PluginSetting | None) -> bool:
    """What is named with true or a mapping is on; what is not named decides itself, and drop-ins are off."""
    if setting is None:
        return entry.origin == "directory" and entry.manifest.enabled
    return setting if isinstance(setting, bool) else True


def wouldRunOn(entry: CatalogEntry, config: Config, switches: Mapping[str, bool]) -> tuple[int, ...]:
    """The indexes of the route groups on which a plugin is on."""
    name = entry.manifest.name
    if switches.get(name) is False:
        return ()
    everywhere = _isOnEverywhere(entry, config, switches)
    said = ((at, group.plugins.get(name)) for at, group in enumerate(config.routeGroups))
    return tuple(at for at, own in said if (everywhere if own is None else isOn(entry, own)))


def runsSomewhere(entry: CatalogEntry, config: Config, switches: Mapping[str, bool]) -> bool:
    """Whether a plugin is on at all; where there are no routes, whether it would be."""
    if not config.routeGroups:
        return switches.get(entry.manifest.name) is not False and _isOnEverywhere(entry, config, switches)
    return bool(wouldRunOn(entry, config, switches))


def saysOff(name: str, config: Config, switches: Mapping[str, bool]) -> bool:
    """Whether somebody has said that a plugin is off, and nobody that it is on."""
    if name in switches:
        return not switches[name]
    said = [config.plugins.config.get(name), *(group.plugins.get(name) for group in config.routeGroups)]
    return False in said and all(each is None or each is False for each in said)


def _isOnEverywhere(entry: CatalogEntry, config: Config, switches: Mapping[str, bool]) -> bool:
    """Where no route says otherwise."""
    name = entry.manifest.name
    return switches.get(name) is True or isOn(entry, config.plugins.config.get(name))
