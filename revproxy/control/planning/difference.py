"""What has changed from one moment to the next, as events and commands tell it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from revproxy.plan.plan import isSetAnew
from revproxy.worker.staging import Running


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that has changed.

    :ivar kind: of the event: ``configured``, ``loaded``, ``removed`` or ``replaced``.
    :ivar text: what has.
    :ivar plugin: its name; empty for the configuration file.
    :ivar version: of what runs now, as events have it.
    """

    kind: str
    text: str
    plugin: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.plugin}: {self.text}" if self.plugin else self.text


def differencesOf(before: Running, after: Running) -> Iterator[Difference]:
    """The configuration file first, then plugins by name."""
    if before.plan.config is not after.plan.config:
        yield Difference("configured", f"{after.plan.config.source} is in force")
    old = {one.manifest.name: one for one in before.plan.selected}
    new = {one.manifest.name: one for one in after.plan.selected}
    for name in sorted({*old, *new}):
        was, now = old.get(name), new.get(name)
        label = "" if now is None else now.entry.label
        if was is None:
            yield Difference("loaded", f"{label} runs", name, label)
        elif now is None:
            yield Difference("removed", f"{was.entry.label} runs no more", name)
        elif before.versions.get(name) is not after.versions.get(name):
            yield Difference("replaced", f"{was.entry.label} → {label}", name, label)
        elif was.entry.digest != now.entry.digest or isSetAnew(was, before.plan, now, after.plan):
            yield Difference("configured", f"{label} has another configuration", name, label)
