"""
Gives a plugin what it asks for: writes it under ``plugins.grants`` in revproxy.yaml, as any edit through the edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from revproxy.config.document import parseYAML
from revproxy.config.problems import ConfigErrors, quoted, suggestion
from revproxy.config.settings import Config, GrantConfig
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.configfile import ConfigFile, Outcome
from revproxy.control.coordinator import Coordinator
from revproxy.control.planning.tiers import Bounds, tierOf
from revproxy.control.steering import Asker
from revproxy.control.trust.policy import Policy
from revproxy.plan.catalog import CatalogEntry


class Granting:
    """Of one edge."""

    def __init__(self, coordinator: Coordinator, file: ConfigFile) -> None:
        self._coordinator = coordinator
        self._file = file

    async def grant(self, asker: Asker, name: str, digest: str | None = None, isTrial: bool = False) -> Outcome:
        """
        Grant all that a plugin asks for: what its folder has, else what runs of it.

        :param digest: of the version that somebody has looked at; None: whatever is there.
        :param isTrial: only say what would come of it.
        :raises NotThere: there is no such plugin.
        :raises CommandError: it asks for nothing, or for what its signer may not have granted; or the file cannot be
            written, or with it nothing would go.
        """
        entry = self._entry(name)
        if digest is not None and entry.digest != digest:
            raise CommandError(f"{name} has another version by now: {entry.version}; look at what that asks for")
        asked = entry.manifest.permissions
        if asked is None:
            raise CommandError(f"{name} {entry.version} asks for nothing: its plugin.json has no permissions")
        config = self._coordinator.config
        checkTrusted(entry, self._coordinator.trust.under(config), self._runs(name, entry))
        found = await self._file.read()
        value = await self._coordinator.files.do(granted, found.text, config, entry)
        return await self._file.writeValue(asker, pathOf(name), value, "grant", name, found.etag, isTrial)

    def _runs(self, name: str, entry: CatalogEntry) -> bool:
        plan = self._coordinator.shown
        return plan is not None and name in plan.entries and plan.entries[name].digest == entry.digest

    def _entry(self, name: str) -> CatalogEntry:
        coordinator = self._coordinator
        plan = coordinator.shown
        known = {**({} if plan is None else plan.entries), **coordinator.catalog.entries}
        if name not in known:
            raise NotThere(f"no plugin named {quoted(name)}{suggestion(name, known)}")
        return known[name]


def pathOf(name: str) -> tuple[str, ...]:
    """Where revproxy.yaml has what a plugin is granted."""
    return "plugins", "grants", name


def checkTrusted(entry: CatalogEntry, policy: Policy, runs: bool = False) -> None:
    """
    :param runs: whether it does already.
    :raises CommandError: a version may not run, or asks for more than its signer may have granted.
    """
    judgement = policy.judge(entry, runs)
    if not judgement.mayRun:
        raise CommandError(f"{entry.manifest.name} {entry.version} may not run, so nothing is granted: {judgement}")
    signer = judgement.signer
    beyond = tierOf(entry, policy.config.plugins, Bounds(signer, False)).beyond
    if beyond and signer is not None:
        raise CommandError(
            f"{entry.manifest.name} {entry.version} asks for more than {signer.name} may have granted: "
            f"{'; '.join(beyond)}; if it is to have that, write it under trust.signers.{signer.name}.permissions"
        )


def granted(text: str, config: Config, entry: CatalogEntry) -> dict[str, Any]:
    """
    What is to stand under a plugin's grants: what does now, and what it asks for besides.

    :param text: of the configuration file.
    :param config: the one by which it is not granted yet.
    :raises CommandError: the text cannot be read.
    """
    name, asked = entry.manifest.name, entry.manifest.permissions
    said = _saidAt(text, config.source, pathOf(name))
    value = {key: list(each) if isinstance(each, list) else each for key, each in said.items()}
    has = config.plugins.grants.get(name, GrantConfig()).permissions
    for missing in () if asked is None else has.lacks(asked):
        key, _, what = missing.partition(": ")
        if key == "body":
            value[key] = what
        elif what:
            value.setdefault(key, []).append(what)
        else:
            value[key] = True
    return value


def _saidAt(text: str, source: str, path: tuple[str, ...]) -> Mapping[str, Any]:
    try:
        value = parseYAML(text, source).value
    except ConfigErrors as errors:
        raise CommandError(str(errors)) from None
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


__all__ = ["Granting", "checkTrusted", "granted", "pathOf"]
