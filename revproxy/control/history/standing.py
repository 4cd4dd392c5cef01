"""
How things stand at one moment: which configuration, which versions, what is pinned, switched, and in quarantine.

It is what a plan and the records say, without the code and without the text of the configuration, of which it has the
hash. Two of them are compared; from the differences, one after the other, the last one can be made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from revproxy.config.settings import Config
from revproxy.control.history.chain import canonical, hashOf
from revproxy.control.state.records import PluginRecords
from revproxy.plan.plan import Plan

Named = Mapping[str, Any]
"""By the name of the plugin, what JSON can say."""


@dataclass(frozen=True, slots=True)
class Standing:
    """
    :ivar config: the SHA-256 of the configuration's text; empty: there was none.
    :ivar plugins: version and digest of each that runs; of one that is installed with Python, the digest is None.
    :ivar pins: digest, and by whom.
    :ivar switches: what ``revproxy enable`` and ``disable`` said.
    :ivar gates: true for each that is in quarantine with nothing in its place.
    """

    config: str = ""
    plugins: Named = field(default_factory=dict)
    pins: Named = field(default_factory=dict)
    switches: Named = field(default_factory=dict)
    gates: Named = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan, records: PluginRecords, text: str | None = None) -> Standing:
        """
        What is in force.

        :param text: of the configuration; None: as its document has it.
        """
        pins = {
            name: {"digest": record.pin.digest, "by": record.pin.by}
            for name, record in records.plugins.items()
            if record.pin is not None
        }
        return cls(
            hashOfText(configText(plan.config) if text is None else text),
            {
                each.name: {"version": each.entry.version.number, "digest": each.entry.digest}
                for each in plan.selected
            },
            pins,
            {name: each.enabled for name, each in records.plugins.items() if each.enabled is not None},
            dict.fromkeys(plan.gates, True),
        )

    @classmethod
    def fromDict(cls, value: Mapping[str, Any]) -> Standing:
        """:raises TypeError: it is none."""
        if not isinstance(value.get("config", ""), str):
            raise TypeError("config is no text")
        for name in ("plugins", "pins", "switches", "gates"):
            if not isinstance(value.get(name, {}), dict):
                raise TypeError(f"{name} is no object")
        return cls(**value)

    def asDict(self) -> dict[str, Any]:
        """As JSON says it."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def hash(self) -> str:
        """Of all of it."""
        return str(hashOf(self.asDict()))

    def encoded(self) -> bytes:
        """As it is kept; the hash is of this."""
        return canonical(self.asDict())

    @classmethod
    def decoded(cls, data: bytes) -> Standing:
        """:raises ValueError: it is none. :raises TypeError: it is none."""
        value = json.loads(data)
        if not isinstance(value, dict):
            raise TypeError("it is no object")
        return cls.fromDict(value)


NOTHING = Standing()
"""Before anything was."""


def differenceOf(before: Standing, after: Standing) -> dict[str, Any]:
    """
    What makes the one of the other: pairs of before and after, of the plugins by name. What is the same is not in it.
    """
    found: dict[str, Any] = {}
    if before.config != after.config:
        found["config"] = [before.config, after.config]
    for part in ("plugins", "pins", "switches", "gates"):
        old, new = getattr(before, part), getattr(after, part)
        names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
        if names:
            found[part] = {name: [old.get(name), new.get(name)] for name in names}
    return found


def applied(before: Standing, difference: Mapping[str, Any]) -> Standing:
    """The other one again."""
    made = before.asDict()
    if "config" in difference:
        made["config"] = difference["config"][1]
    for part in ("plugins", "pins", "switches", "gates"):
        values = dict(made[part])
        for name, (_, new) in difference.get(part, {}).items():
            values.pop(name, None)
            if new is not None:
                values[name] = new
        made[part] = values
    return Standing.fromDict(made)


def linesOf(difference: Mapping[str, Any]) -> list[str]:
    """The same for people, but for the configuration."""
    lines = []
    for part, shown in (("plugins", _version), ("pins", _pin), ("switches", _switch), ("gates", _gate)):
        for name, (old, new) in difference.get(part, {}).items():
            lines.append(f"{name}: {shown(old, new)}")
    return lines


def _version(old: Any, new: Any) -> str:
    if old is None or new is None:
        return f"{_named(new)} runs" if old is None else f"{_named(old)} runs no more"
    return f"{_named(old)} → {_named(new)}"


def _named(version: Mapping[str, Any]) -> str:
    digest = version.get("digest")
    return str(version.get("version")) + (f" ({digest[:12]})" if digest else "")


def _pin(old: Any, new: Any) -> str:
    return "not pinned any more" if new is None else f"pinned to {new['digest'][:12]} by {new['by']}"


def _switch(old: Any, new: Any) -> str:
    return "switched as the configuration says" if new is None else f"switched {'on' if new else 'off'}"


def _gate(old: Any, new: Any) -> str:
    return "out of quarantine" if new is None else "in quarantine, with nothing in its place"


def configText(config: Config) -> str:
    """What the configuration file says; of options, the same as JSON."""
    document = config.document
    if document is None:
        return ""
    return document.text if document.text is not None else json.dumps(document.value, indent=1, sort_keys=True)


def hashOfText(text: str) -> str:
    """Of a configuration; of none it is empty."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() if text else ""


__all__ = [
    "NOTHING", "Standing", "applied", "configText", "differenceOf", "hashOfText", "linesOf",
]  # fmt: skip
