"""
Where a plugin runs, and what it may touch there: pure.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from revproxy.config.settings import GrantConfig, Isolation, PluginsConfig
from revproxy.permissions import UNASKED, Permissions
from revproxy.plan.catalog import CatalogEntry


def isolationOf(entry: CatalogEntry, plugins: PluginsConfig) -> Isolation:
    """What revproxy.yaml says; where it says nothing, what plugin.json does."""
    name = entry.manifest.name
    globs = sorted((glob for glob in plugins.isolation if fnmatchcase(name, glob)), key=len)
    if globs:
        return plugins.isolation[globs[-1]]
    return "process" if entry.manifest.isolation == "process" else "inline"


def permissionsOf(entry: CatalogEntry, plugins: PluginsConfig, isolation: Isolation) -> Permissions | None:
    """
    What it may touch; None: everything.

    In the edge's own process they are a guard against mistakes, and what a plugin asks for it has. In a locked process
    it has what it asks for and is granted.
    """
    asked = entry.manifest.permissions
    if isolation == "inline":
        return asked
    if asked is None:
        return UNASKED
    return asked.within(plugins.grants.get(entry.manifest.name, GrantConfig()).permissions)
