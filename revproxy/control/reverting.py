"""
Back to how things stood after a change: the configuration file, pins and switches of then, and the versions of then as
pins, as one change. Whatever of it cannot be had, nothing is changed.

A version that is not what a plugin's folder has is pinned as a rollback pins it: until the folder has something new.
What runs now and did not then is switched off. That is recorded like any change, and so can be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from revproxy.bundles.versionstore import StoreError
from revproxy.config.problems import ConfigErrors
from revproxy.config.settings import Config
from revproxy.control.changes import ChangeRefused
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.configedit import ConfigEdit
from revproxy.control.configfile import ConfigFile, Found, Outcome, Unwritable, Wrong, errorOf
from revproxy.control.coordinator import Coordinator
from revproxy.control.history.history import History
from revproxy.control.history.historyfiles import Entry
from revproxy.control.history.standing import Standing
from revproxy.control.pinning import digestIn
from revproxy.control.planning.switching import runsSomewhere
from revproxy.control.state.records import Pin, PluginRecords
from revproxy.control.steering import Asker
from revproxy.plan.catalog import Catalog


class Lost(CommandError):
    """
    Not all of it can be had.

    :ivar missing: what, and why, a line each.
    """

    def __init__(self, number: int, missing: list[str]) -> None:
        super().__init__(f"change {number} cannot be gone back to, and nothing was changed: {'; '.join(missing)}")
        self.missing = missing


class Reverting:
    """Of one edge."""

    def __init__(self, coordinator: Coordinator, history: History, file: ConfigFile) -> None:
        self._coordinator = coordinator
        self._history = history
        self._file = file

    async def revert(self, asker: Asker, number: int, isTrial: bool = False) -> Outcome:
        """
        :param number: of the change; things are to be as they were after it.
        :param isTrial: only say what would come of it.
        :raises NotThere: no such change is kept.
        :raises Lost: something of it cannot be had.
        :raises CommandError: it was refused otherwise.
        """
        entry, standing, text = await self._wanted(number)
        found = await self._file.read()
        edit, missing = await self._editOf(found, text)
        missing += await self._missing(standing)
        if missing:
            raise Lost(number, missing)
        config = self._coordinator.config if edit is None else edit.config
        change = _Change(standing, config)
        request = asker.request(
            "revert", "", change, subject=str(number), edit=edit, isWhole=True, force=True, withoutState=True,
            isTrial=isTrial,
        )  # fmt: skip
        try:
            report = await self._coordinator.apply(request)
        except ChangeRefused as refused:
            raise errorOf(refused) from None
        outcome = await self._file.outcome(report, found, edit)
        at = datetime.fromtimestamp(entry["at"]).strftime("%Y-%m-%d %H:%M:%S")
        done = f"{'would be' if isTrial else 'is'} as after change {number} of {at}"
        return Outcome((done, *change.told, *outcome.text), outcome.refused, outcome.diff, outcome.etag)

    async def _wanted(self, number: int) -> tuple[Entry, Standing, str]:
        history = self._history
        entry = history.find(number)
        if entry is None:
            first = history.entries[0]["number"] if history.entries else 0
            kept = f"kept are {first} to {history.entries[-1]['number']}" if first else "none is kept"
            raise NotThere(f"there is no change {number}; {kept}")
        try:
            standing, text = await history.standing(entry), await history.config(entry)
        except OSError as error:
            raise CommandError(f"change {number}: {error}") from None
        if standing is None or text is None:
            what = "how things stood" if standing is None else "the text of the configuration"
            raise Lost(number, [f"{what} is not there any more, or was damaged"])
        return entry, standing, text

    async def _editOf(self, found: Found, text: str) -> tuple[ConfigEdit | None, list[str]]:
        """What the file is to be given, if it has something else; and why that cannot be."""
        coordinator = self._coordinator
        running = coordinator.snapshots.textOf(coordinator.config)
        if text == found.text == running:
            return None, []
        try:
            return await self._file.edit(found, text), []
        except Unwritable as error:
            return None, [str(error)] if text != running or self._file.path is not None else []
        except Wrong as error:
            return None, [f"the configuration of then will not do any more: {error}"]

    async def _missing(self, standing: Standing) -> list[str]:
        """Versions that neither run nor are stored."""
        coordinator, missing = self._coordinator, []
        current = {} if coordinator.shown is None else coordinator.shown.entries
        for name, version in standing.plugins.items():
            entry, digest = current.get(name) or coordinator.catalog.entries.get(name), version["digest"]
            if digest is None:
                present = "not installed" if entry is None else entry.version.number
                if entry is None or entry.bundle is not None or entry.version.number != version["version"]:
                    missing.append(f"{name} {version['version']} was installed with Python, and is {present} now: pip")
            elif entry is None or entry.digest != digest:
                why = await self._whyNotStored(name, digest)
                if why:
                    missing.append(f"{name} {version['version']} ({digest[:12]}) is not stored any more: {why}")
        return missing

    async def _whyNotStored(self, name: str, digest: str) -> str:
        keeper = self._coordinator.keeper
        try:
            plugins: Path | None = self._coordinator.config.plugins.directory
            await keeper.disk.do(keeper.stored, name, digest, plugins)
        except (StoreError, ConfigErrors, OSError) as error:
            return str(error)
        return ""


class _Change:
    """
    The records as they were then.

    :ivar told: what is to be said of it besides.
    """

    def __init__(self, standing: Standing, config: Config) -> None:
        self.told: tuple[str, ...] = ()
        self._standing = standing
        self._config = config

    def __call__(self, records: PluginRecords, found: Catalog) -> PluginRecords:
        """From what there is to what was. Called once for each try."""
        then, told = self._standing, []
        switches: dict[str, bool] = dict(then.switches)
        newcomers = []
        for name, entry in found.entries.items():
            if name not in then.plugins and runsSomewhere(entry, self._config, switches):
                newcomers.append(name)
                told.append(f"{name}: switched off, for it did not run then")
        switches.update(dict.fromkeys(newcomers, False))
        for name in {*records.plugins, *switches, *then.plugins, *then.pins}:
            records = _pinnedAs(records, name, then.plugins.get(name), then.pins.get(name), found)
            if records.get(name).enabled != switches.get(name):
                records = records.switched(name, switches.get(name))
        self.told = tuple(told)
        return records


def _pinnedAs(
    records: PluginRecords,
    name: str,
    version: Mapping[str, Any] | None,
    pin: Mapping[str, Any] | None,
    found: Catalog,
) -> PluginRecords:
    """With a plugin's pin as it was; where another version ran than its folder has now, with one to that."""
    here, record = found.entries.get(name), records.get(name)
    digest = None if version is None else version["digest"]
    if pin is not None and pin["by"] == "user":
        pinned = Pin(pin["digest"], "user", digestIn(found, name, record))
        return records.cleared(name, pin["digest"]).pinned(name, pinned)
    wanted = digest or (None if pin is None else pin["digest"])
    if wanted is None or (here is not None and here.digest == wanted):
        return records if record.pin is None else records.unpinned(name)
    pinned = Pin(wanted, "rollback", digestIn(found, name, record))
    return records.cleared(name, wanted).pinned(name, pinned)


__all__ = ["Lost", "Reverting"]
