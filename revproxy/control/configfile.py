"""
revproxy.yaml as somebody reads and writes it through the edge.

What is written takes the way of any save, but all of it or nothing: it is read as the edge reads it, prepared, and only
then put into the file, together with the change. So a text that is refused is never in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from revproxy.config.configfile import configOf, parseConfig
from revproxy.config.document import MAX_BYTES, Document, decodeText
from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.settings import Config
from revproxy.config.yamledit import NotEdited, edited
from revproxy.control.changes import ChangeRefused, ChangeReport
from revproxy.control.commands import CommandError
from revproxy.control.configedit import CHANGED, UNWRITABLE, ConfigEdit, etagOf, whyUnwritable
from revproxy.control.configview import effective, shownValue
from revproxy.control.coordinator import Coordinator
from revproxy.control.history.difference import textDifference
from revproxy.control.history.standing import configText
from revproxy.control.steering import Asker
from revproxy.plan.refusal import Refusal
from revproxy.regularfile import readFile


class Stale(CommandError):
    """The file is not what the edit was made of."""


class Unwritable(CommandError):
    """The file cannot be written."""


class Wrong(CommandError):
    """
    The text is no configuration.

    :ivar problems: each with its place.
    """

    def __init__(self, text: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(text)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Found:
    """
    What the file has.

    :ivar etag: another one with every byte that changes.
    :ivar unwritable: why it cannot be written; empty if it can.
    """

    data: bytes
    text: str
    etag: str
    unwritable: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What came of a change.

    :ivar text: a line for each thing that was done, or, for a trial, would be.
    :ivar refused: what was not.
    :ivar diff: between the text before and after.
    :ivar etag: of what the file has now.
    """

    text: tuple[str, ...]
    refused: tuple[Refusal, ...]
    diff: str
    etag: str


class ConfigFile:
    """That of one edge."""

    def __init__(self, coordinator: Coordinator, path: Path | None) -> None:
        """:param path: None where there is none."""
        self._coordinator = coordinator
        self.path = None if path is None else path.absolute()

    # Reading

    async def read(self) -> Found:
        """
        What the file has now; where there is none, what the options say.

        :raises CommandError: it cannot be read.
        """
        if self.path is None:
            text = configText(self._coordinator.config)
            data, why = text.encode(), "the edge was started with options, and has no configuration file"
            return Found(data, text, etagOf(data), why)
        try:
            found: Found = await self._coordinator.files.do(self._read, self.path)
        except OSError as error:
            raise CommandError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        except ConfigErrors as errors:
            raise CommandError(str(errors)) from None
        return found

    def _read(self, path: Path) -> Found:
        data = readFile(path, MAX_BYTES)
        return Found(data, decodeText(data, str(path)), etagOf(data), whyUnwritable(path))

    async def effective(self) -> dict[str, Any]:
        """What is in force, with all defaults; secrets are masked."""
        shown: dict[str, Any] = await self._coordinator.files.do(effective, self._coordinator.config)
        return shown

    async def drift(self) -> dict[str, Any]:
        """Whether what runs is what the file says, and if not, what is different and why."""
        coordinator = self._coordinator
        running = coordinator.snapshots.textOf(coordinator.config)
        refusal = coordinator.refused.of("")
        failure = "" if refusal is None else refusal.message
        try:
            found = await self.read()
        except CommandError as error:
            return {"same": False, "path": str(self.path), "failure": str(error), "diff": ""}
        diff = "" if found.text == running else await coordinator.files.do(textDifference, running, found.text)
        path = None if self.path is None else str(self.path)
        return {"same": found.text == running, "path": path, "failure": failure, "diff": diff}

    # Writing

    async def write(
        self,
        asker: Asker,
        text: str,
        etag: str,
        isTrial: bool = False,
        action: str = "config",
        name: str = "",
        document: Document | None = None,
    ) -> Outcome:
        """
        Give the file another text, and have the edge take it up; all of it or nothing.

        :param etag: of what it is made of.
        :param isTrial: only say what would come of it.
        :param name: of the plugin that it is about.
        :param document: the text, if it was parsed already: that of two thousand routes takes a second.
        :raises Stale: the file is another one by now.
        :raises Unwritable: it cannot be written.
        :raises Wrong: the text is no configuration, or not one that goes with the plugins.
        :raises CommandError: it was refused otherwise.
        """
        found = await self.read()
        if found.etag != etag:
            raise Stale(f"{self.path} is another one by now; read it again, and make the change in that")
        edit = await self.edit(found, text, document)
        request = asker.request(action, edit=edit, isTrial=isTrial, subject=name)
        try:
            report = await self._coordinator.apply(request)
        except ChangeRefused as refused:
            raise errorOf(refused) from None
        return await self.outcome(report, found, edit)

    async def edit(self, found: Found, text: str, document: Document | None = None) -> ConfigEdit:
        """
        :raises Unwritable: the file cannot be written.
        :raises Wrong: the text is no configuration.
        """
        if self.path is None or found.unwritable:
            raise Unwritable(found.unwritable)
        try:
            text.encode()
            config: Config = await self._coordinator.files.do(self._parse, self.path, text, document)
        except UnicodeEncodeError:
            raise Wrong("the text has half of a surrogate pair", ()) from None
        except ConfigErrors as errors:
            raise Wrong(str(errors), errors.problems) from None
        return ConfigEdit(self.path, found.data, text, config)

    def _parse(self, path: Path, text: str, document: Document | None) -> Config:
        """The one that is in force, if only comments are others."""
        if len(text.encode()) > MAX_BYTES:
            raise ConfigErrors([Problem(str(path), 0, 0, "", f"it has more than {MAX_BYTES} bytes")])
        running = self._coordinator.config
        if document is None:
            config = parseConfig(text, running.source, path.parent)
        else:
            config = configOf(document, path.parent)
        return running if config == running else config

    async def outcome(self, report: ChangeReport, found: Found, edit: ConfigEdit | None) -> Outcome:
        """What is told of a change with this edit."""
        refused = report.refused
        if report.unwritten:
            message = f"in force, but not written down: {report.unwritten}; lost with a restart until it can be"
            refused = (*refused, Refusal("", "state", message))
        if edit is None:
            return Outcome(report.text, refused, "", found.etag)
        diff = await self._coordinator.files.do(textDifference, found.text, edit.text)
        return Outcome(report.text, refused, diff, etagOf(edit.text.encode()))

    # What it says of one plugin

    async def ofPlugin(self, name: str) -> dict[str, Any]:
        """What the file says of a plugin, and what comes of it. :raises CommandError: the file cannot be read."""
        found, plan = await self.read(), self._coordinator.shown
        document = self._coordinator.config.document
        said = {} if document is None else ((document.value or {}).get("plugins") or {}).get("config") or {}
        entry = None if plan is None else plan.entries.get(name)
        entry = entry or self._coordinator.catalog.entries.get(name)
        selected = None if plan is None else plan.find(name)
        routes = self._coordinator.config.routes
        groups = [] if plan is None or selected is None else [
            {"routes": [routes[route].name for route in group.routes], "config": shownValue(selected.configFor(at))}
            for at, group in enumerate(plan.config.routeGroups)
        ]
        return {
            "name": name,
            "config": said.get(name),
            "defaults": None if entry is None else shownValue(entry.manifest.config),
            "schema": None if entry is None else entry.manifest.configSchema,
            "groups": groups,
            "etag": found.etag,
            "is_writable": not found.unwritable,
        }

    async def writePlugin(
        self, asker: Asker, name: str, value: Any, etag: str | None = None, isTrial: bool = False
    ) -> Outcome:
        """
        As :meth:`write`, with another value of ``plugins.config.NAME``, and all else as it is.

        :param etag: None: whatever the file has now.
        """
        return await self.writeValue(asker, ("plugins", "config", name), value, "plugin-config", name, etag, isTrial)

    async def writeValue(
        self,
        asker: Asker,
        path: tuple[str, ...],
        value: Any,
        action: str,
        name: str,
        etag: str | None = None,
        isTrial: bool = False,
    ) -> Outcome:
        """
        As :meth:`write`, with another value for one key, and all else as it is.

        :param path: keys of mappings, one in the other.
        :param etag: None: whatever the file has now.
        """
        found = await self.read()
        if etag is not None and found.etag != etag:
            raise Stale(f"{self.path} is another one by now; read it again, and make the change in that")
        try:
            source = self._coordinator.config.source
            made: Document = await self._coordinator.files.do(partial(edited, found.text, path, value, source))
        except NotEdited as error:
            raise Unwritable(f"{self.path}: {'.'.join(path)}: {error}") from None
        except ConfigErrors as errors:
            raise Wrong(str(errors), errors.problems) from None
        return await self.write(asker, made.text or "", found.etag, isTrial, action, name, made)


def errorOf(refused: ChangeRefused) -> CommandError:
    """Why a change with another text for the file was not made."""
    text = str(refused)
    stages = {refusal.stage for refusal in refused.refusals}
    if CHANGED in stages:
        return Stale(text)
    if UNWRITABLE in stages:
        return Unwritable(text)
    problems = tuple(problem for refusal in refused.refusals for problem in refusal.problems)
    return Wrong(text, problems) if problems else CommandError(text)


__all__ = ["ConfigFile", "Found", "Outcome", "Stale", "Unwritable", "Wrong", "errorOf"]
