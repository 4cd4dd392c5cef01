"""
Gives a plugin what it asks for: writes it under ``plugins.grants`` in revproxy.yaml, as any edit through the edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from revproxy.config.document import parseYAML
from revproxy.config.problems import ConfigErrors, quoted, suggestion
from revproxy.config.settings import GrantConfig
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.configfile import ConfigFile, Outcome
from revproxy.control.coordinator import Coordinator
from revproxy.control.planning.tiers import Bounds, tierOf
from revproxy.control.steering import Asker
from revproxy.permissions import Permissions
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
        judgement = self._coordinator.trust.under(config).judge(entry, False)
        tier = tierOf(entry, config.plugins, Bounds(judgement.signer, False))
        if tier.beyond and judgement.signer is not None:
            who = judgement.signer.name
            raise CommandError(
                f"{name} {entry.version} asks for more than {who} may have granted: {'; '.join(tier.beyond)}; if it is "
                f"to have that, write it under trust.signers.{who}.permissions"
            )
        path = ("plugins", "grants", name)
        found = await self._file.read()
        said = await self._coordinator.files.do(_saidAt, found.text, self._coordinator.config.source, path)
        value = _withAll(said, asked, config.plugins.grants.get(name, GrantConfig()).permissions)
        return await self._file.writeValue(asker, path, value, "grant", name, found.etag, isTrial)

    def _entry(self, name: str) -> CatalogEntry:
        coordinator = self._coordinator
        plan = coordinator.shown
        known = {**({} if plan is None else plan.entries), **coordinator.catalog.entries}
        if name not in known:
            raise NotThere(f"no plugin named {quoted(name)}{suggestion(name, known)}")
        return known[name]


def _saidAt(text: str, source: str, path: tuple[str, ...]) -> Mapping[str, Any]:
    """What a file says at a place. :raises CommandError: it cannot be read."""
    try:
        value = parseYAML(text, source).value
    except ConfigErrors as errors:
        raise CommandError(str(errors)) from None
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _withAll(said: Mapping[str, Any], asked: Permissions, granted: Permissions) -> dict[str, Any]:
    """What is written, with what is missing of what is asked for; names of fields as people write them."""
    value = {key: list(each) if isinstance(each, list) else each for key, each in said.items()}
    for missing in granted.lacks(asked):
        key, _, what = missing.partition(": ")
        if key == "body":
            value[key] = what
        elif what:
            value.setdefault(key, []).append(what)
        else:
            value[key] = True
    return value


__all__ = ["Granting"]
