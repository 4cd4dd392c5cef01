"""
What a configuration says of one plugin, held against what another one says. Pure.

Where a plugin's settings take steps, what runs keeps those of the configuration before, though another one is in force.
Routes are told apart by their names: what is said of a plugin on a route that there was not is as it is said now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from revproxy.config.settings import Config, PluginSetting


@dataclass(frozen=True, slots=True)
class Former:
    """
    What a plugin runs by, though the configuration in force says otherwise: that did not come through its steps.

    :ivar config: says what it runs by.
    :ivar rejected: the `fingerprint` of what did not.
    """

    config: Config
    rejected: str


def fingerprint(name: str, config: Config) -> str:
    """What a configuration says of a plugin, as 64 hexadecimal digits: it may have secrets in it."""
    routes = {route.name: route.plugins[name] for route in config.routes if name in route.plugins}
    said = json.dumps([config.plugins.config.get(name), routes], sort_keys=True, default=repr)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def isSetOtherwise(name: str, before: Config, after: Config) -> bool:
    """Whether two configurations say different things of a plugin, for all routes or for one that both have."""
    if _said(before.plugins.config.get(name)) != _said(after.plugins.config.get(name)):
        return True
    old = {route.name: route.plugins.get(name) for route in before.routes}
    return any(
        route.name in old and _said(old[route.name]) != _said(route.plugins.get(name)) for route in after.routes
    )


def settingsOf(name: str, former: Config, config: Config) -> Mapping[int, PluginSetting] | None:
    """
    What another configuration says of a plugin, for each route group of the one in force that it says anything of.

    :returns: None: that cannot be, for routes of one group were set differently.
    """
    old = {route.name: route.plugins.get(name) for route in former.routes}
    found: dict[int, PluginSetting] = {}
    for index, group in enumerate(config.routeGroups):
        names = [config.routes[route].name for route in group.routes]
        said = {_said(each): each for each in (old.get(route, group.plugins.get(name)) for route in names)}
        if len(said) > 1:
            return None
        setting = next(iter(said.values()), None)
        if setting is not None:
            found[index] = setting
    return found


def _said(setting: Any) -> str:
    """As text, 1, 1.0 and true are three things, as they are to a plugin."""
    return json.dumps(setting, sort_keys=True, default=repr)


__all__ = ["Former", "fingerprint", "isSetOtherwise", "settingsOf"]
