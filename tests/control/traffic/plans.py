"""
Plans with routes and plugins, for tests of what is remembered of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from revproxy.config.configfile import parseConfig
from revproxy.config.settings import Config
from revproxy.plan.catalog import Selected
from revproxy.plan.plan import Plan
from tests.plan.plans import entry

HEAD = "listeners: [{endpoint: 'tcp:1'}]\nupstreams: {u: {targets: ['http://a']}}\n"


def planOf(number: int, routes: str | Config, *plugins: str, **more: Any) -> Plan:
    """
    A plan whose plugins run on all routes, in this order, each as 1.0.

    :param routes: as revproxy.yaml has them; or the whole configuration.
    """
    config = routes if isinstance(routes, Config) else parseConfig(HEAD + routes, "r.yaml", Path("/"))
    selected = tuple(Selected(entry(name, "1.0"), {}) for name in plugins)
    order = tuple((each, each.config or {}) for each in selected)
    entries = {each.name: each.entry for each in selected}
    return Plan(number, config, entries, selected, (order,) * len(config.routeGroups), **more)
