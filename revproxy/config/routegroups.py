"""
Lanes: routes that say the same of plugins, and so have the same plugins with the same configurations.

There may be ten thousand routes, and hardly ever more than a few lanes. What is decided for each swap of a plugin
(who runs where, in what order, with which configuration) is decided once for each lane.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from revproxy.config.settings import PluginSetting, RouteConfig


@dataclass(frozen=True, slots=True)
class Lane:
    """
    Some routes of a configuration.

    :ivar plugins: what each of them says of plugins, by name.
    :ivar routes: their indexes, ascending; at least one.
    """

    plugins: Mapping[str, PluginSetting]
    routes: tuple[int, ...]


def lanesOf(routes: Sequence[RouteConfig]) -> tuple[Lane, ...]:
    """Every route is in one lane; lanes are in the order of their first routes."""
    found: dict[str, list[int]] = {}
    for index, route in enumerate(routes):
        # As text, 1, 1.0 and true are three things, as they are to a plugin.
        said = json.dumps(route.plugins, sort_keys=True, default=repr) if route.plugins else ""
        found.setdefault(said, []).append(index)
    return tuple(Lane(routes[indexes[0]].plugins, tuple(indexes)) for indexes in found.values())
