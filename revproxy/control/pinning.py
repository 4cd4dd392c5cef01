"""
Which version somebody means by a pin.
"""

from __future__ import annotations

from revproxy.config.problems import quoted
from revproxy.control.commands import CommandError
from revproxy.control.state.records import Pin, PluginRecord, PluginRecords, VersionRecord
from revproxy.plan.catalog import Catalog


def shownVersion(text: str) -> str:
    """A version as it was given, if it can be shown so."""
    return text if text.isprintable() else quoted(text)


def digestIn(found: Catalog, name: str, record: PluginRecord) -> str | None:
    """
    Of what a plugin's folder has. Where that cannot be read now, of what it had when it could: it must not seem to be
    something new once it is there again.
    """
    present = found.entries.get(name)
    if present is not None:
        return present.digest
    broken = next((plugin for plugin in found.broken if plugin.name == name), None)
    if broken is not None and broken.digest is not None:
        return broken.digest
    pin = record.pin
    return pin.against if pin is not None and pin.by != "user" else record.running


def meantVersion(records: PluginRecords, name: str, wanted: str | None) -> VersionRecord:
    """
    The version that is meant by a number, by the beginning of a digest, or by none.

    :raises CommandError: there is none, or more than one.
    """
    record = records.get(name)
    if wanted is None:
        running = None if record.running is None else record.find(record.running)
        if running is None:
            raise CommandError(f"{name} does not run; say which version")
        return running
    exact = [kept for kept in record.versions if kept.version == wanted]
    prefixed = [kept for kept in record.versions if len(wanted) >= 4 and kept.digest.startswith(wanted)]
    found = exact or prefixed
    if len(found) != 1:
        known = ", ".join(str(kept.id) for kept in record.versions) or "none"
        if len(exact) > 1:
            problem = "several versions have this number, name one by its digest"
        else:
            problem = "several versions begin so" if found else "no such version"
        raise CommandError(f"{name}: {shownVersion(wanted)}: {problem}; kept are: {known}")
    return found[0]


def broughtBack(records: PluginRecords, name: str, last: VersionRecord | None) -> PluginRecords:
    """
    A plugin without a folder, with what ran last and was well.

    :param last: that, if there is any.
    :raises CommandError: there is nothing of it.
    """
    if last is None:
        raise CommandError(f"{name} has no folder, and no version of it is kept; copy its folder back")
    return records.pinned(name, Pin(last.digest, "rollback"))


__all__ = ["broughtBack", "digestIn", "meantVersion", "shownVersion"]
