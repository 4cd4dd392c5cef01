"""What has changed from one plan to the next, as events and commands tell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from revproxy.config.settings import Config
from revproxy.config.trustconfig import TrustConfig
from revproxy.plan.catalog import Selected
from revproxy.plan.plan import Plan
from revproxy.plan.versionid import UNKNOWN, VersionId


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that has changed.

    :ivar kind: of the event: ``configured``, ``loaded``, ``removed``, ``replaced``, or one of ``required-off``,
        ``required-ended``, ``required-missing``.
    :ivar text: what has.
    :ivar plugin: its name; empty for the configuration file.
    :ivar version: what runs now.
    """

    kind: str
    text: str
    plugin: str = ""
    version: VersionId = UNKNOWN

    def __str__(self) -> str:
        return f"{self.plugin}: {self.text}" if self.plugin else self.text


def differencesOf(before: Plan, after: Plan) -> Iterator[Difference]:
    """The configuration file first, then plugins by name."""
    if before.config is not after.config:
        trust = "; ".join(trustDifferences(before.config.trust, after.config.trust))
        more = f"; trust is another: {trust}" if trust else ""
        yield Difference("configured", f"{after.config.source} is in force{more}")
    old = {plugin.name: plugin for plugin in before.selected}
    new = {plugin.name: plugin for plugin in after.selected}
    for name in sorted({*old, *new}):
        was, now = old.get(name), new.get(name)
        if was is None and now is not None:
            yield Difference("loaded", f"{now.entry.version} runs", name, now.entry.version)
        elif was is not None and now is None:
            yield Difference("removed", f"{was.entry.version} runs no more", name)
        elif was is not None and now is not None:
            yield from _between(was, before, now, after)


def trustDifferences(before: TrustConfig, after: TrustConfig) -> Iterator[str]:
    """Which rules of whose code may run are others: whoever makes them wider is seen."""
    for name, was, now in (
        ("mode", before.mode, after.mode), ("minimum_level", before.minimumLevel, after.minimumLevel),
        ("lock", before.lock, after.lock), ("revoked", before.revoked, after.revoked),
    ):  # fmt: skip
        if was != now:
            yield f"{name}: {was or 'none'} → {now or 'none'}"
    old, new = ({each.name: each for each in trust.signers} for trust in (before, after))
    signers = [
        *(f"+{name}" for name in new if name not in old), *(f"-{name}" for name in old if name not in new),
        *(f"other {name}" for name, each in new.items() if old.get(name, each) != each),
    ]  # fmt: skip
    if signers:
        yield f"signers: {', '.join(signers)}"


def _between(was: Selected, before: Plan, now: Selected, after: Plan) -> Iterator[Difference]:
    version = now.entry.version
    if not was.entry.isCodeOf(now.entry):
        yield Difference("replaced", f"{was.entry.version} → {version}", now.name, version)
    elif was.entry.digest != now.entry.digest or isSetAnew(was, before, now, after):
        yield Difference("configured", f"{version} has another configuration", now.name, version)


def isSetAnew(was: Selected, before: Plan, now: Selected, after: Plan) -> bool:
    """Whether a plugin has another configuration, on any route, than it had in another plan."""
    if was.config != now.config:
        return True
    if before.config is after.config:
        return was.perGroup != now.perGroup
    return _onRoutes(was, before.config) != _onRoutes(now, after.config)


def _onRoutes(plugin: Selected, config: Config) -> dict[str, Mapping[str, Any] | None]:
    groups = config.routeGroups
    places = ((route, settings) for group, settings in plugin.perGroup.items() for route in groups[group].routes)
    return {config.routes[route].name: settings for route, settings in places}


def renewedIn(before: Plan, after: Plan) -> list[str]:
    """A line for each place whose certificates are not what they were. No event: what is wrong with them is one."""
    known = before.certificates
    return [
        f"{files.place}: other certificates than before"
        for key, files in after.certificates.items()
        if key in known and files != known[key]
    ]
