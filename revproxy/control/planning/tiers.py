"""
Where a plugin runs, and what it may touch there: pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from revproxy.config.settings import GrantConfig, Isolation, PluginsConfig
from revproxy.config.trustconfig import SignerConfig
from revproxy.permissions import UNASKED, Permissions
from revproxy.plan.catalog import CatalogEntry


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    What there is around a plugin, besides what revproxy.yaml says of it.

    :ivar signer: who has signed it; None: no signature was needed.
    :ivar isGranting: whether a plugin in the edge's own process has what it asks for: nobody has to vouch for it.
    """

    signer: SignerConfig | None = None
    isGranting: bool = True


FREE = Bounds()
"""Where trust is off."""


@dataclass(frozen=True, slots=True)
class Tier:
    """
    Where a plugin runs, and what it may touch.

    :ivar isolation: where.
    :ivar wanted: where revproxy.yaml, or its plugin.json, has it run.
    :ivar asked: what it asks for; None: it does not say.
    :ivar permissions: what it may touch; None: everything.
    :ivar missing: what it asks for and is not granted, in words.
    :ivar beyond: what of that its signer may not have granted.
    """

    isolation: Isolation
    wanted: Isolation
    asked: Permissions | None
    permissions: Permissions | None
    missing: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()


def tierOf(entry: CatalogEntry, plugins: PluginsConfig, bounds: Bounds = FREE) -> Tier:
    """Where a version runs, and what it may touch there."""
    wanted = wantedIsolation(entry, plugins)
    isolation: Isolation = "process" if bounds.signer is not None and bounds.signer.tier == "process" else wanted
    asked, most = entry.manifest.permissions, None if bounds.signer is None else bounds.signer.permissions
    if asked is None:
        return Tier(isolation, wanted, None, _unasked(isolation, most))
    beyond = () if most is None else most.lacks(asked)
    if isolation == "inline" and bounds.isGranting:
        return Tier(isolation, wanted, asked, asked)
    name = entry.manifest.name
    missing = plugins.grants.get(name, GrantConfig()).permissions.lacks(asked)
    return Tier(isolation, wanted, asked, asked.within(grantOf(name, plugins, bounds).permissions), missing, beyond)


def grantOf(name: str, plugins: PluginsConfig, bounds: Bounds = FREE) -> GrantConfig:
    """What a plugin is granted, as far as its signer may have that granted."""
    grant = plugins.grants.get(name, GrantConfig())
    most = None if bounds.signer is None else bounds.signer.permissions
    if most is None:
        return grant
    return replace(
        grant,
        permissions=grant.permissions.within(most),
        environment={key: value for key, value in grant.environment.items() if key in most.environment},
        files={path: value for path, value in grant.files.items() if path in most.files},
    )


def wantedIsolation(entry: CatalogEntry, plugins: PluginsConfig) -> Isolation:
    """
    What revproxy.yaml says; where it says nothing, what plugin.json does.

    What is installed with Python runs in the edge's own process, for there it is imported.
    """
    if entry.bundle is None:
        return "inline"
    glob = globFor(entry.manifest.name, plugins)
    if glob is not None:
        return plugins.isolation[glob]
    return "process" if entry.manifest.isolation == "process" else "inline"


def globFor(name: str, plugins: PluginsConfig) -> str | None:
    """Which line of ``plugins.isolation`` is about a plugin: of several, the longest; None: none is."""
    globs = [glob for glob in plugins.isolation if fnmatchcase(name, glob)]
    return max(globs, key=lambda glob: (glob == name, len(glob), glob), default=None)


def _unasked(isolation: Isolation, most: Permissions | None) -> Permissions | None:
    """
    What a plugin may that does not ask: in the edge's own process everything, and so all that its signer may have
    granted; in a locked one, what nobody has to ask for.
    """
    if isolation == "inline":
        return most
    return UNASKED if most is None else UNASKED.within(most)
