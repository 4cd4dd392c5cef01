"""
Which rollouts there are, and what was told of those that are over; kept over a restart.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from revproxy.bundles.versionstore import StoreError
from revproxy.config.configfile import parseConfig
from revproxy.config.problems import ConfigErrors
from revproxy.config.settings import Config
from revproxy.control.history.standing import configText
from revproxy.control.planning.settings import Former
from revproxy.control.rollout.rollout import Rollout
from revproxy.control.rollout.rolloutfile import (
    FORMAT,
    SavedFormer,
    SavedRollout,
    SavedRollouts,
    encoded,
    parsed,
    restored,
    saved,
)
from revproxy.control.rolloutview import viewOf
from revproxy.control.state.keeper import StateKeeper
from revproxy.control.state.latestfile import LatestFile
from revproxy.plan.events import EventLog

MOST_OVER = 200
"""Plugins of which the last rollout is remembered."""

MOST_DIFFERENCES = 50
"""Of a rollout that is over: the weightiest of what the versions differed in."""


class RolloutBook:
    """
    That of one edge.

    :ivar cookieKey: 32 bytes that cookies of the edge's own are signed with. One for all rollouts, and for all times:
        a client that has such a cookie is known again.
    :ivar former: by name, what plugins run by, though the configuration says otherwise.
    :ivar config: that in force, or in force last, if what is said of plugins takes steps; None: it is not known.
    """

    def __init__(self, file: LatestFile, keeper: StateKeeper, events: EventLog, now: Callable[[], float]) -> None:
        """:param now: seconds since the epoch."""
        self.cookieKey = os.urandom(32)
        self.former: Mapping[str, Former] = {}
        self.config: Config | None = None
        self._file = file
        self._keeper = keeper
        self._events = events
        self._now = now
        self._going: dict[str, Rollout] = {}
        self._over: dict[str, dict[str, Any]] = {}
        self._hasChanged = False

    @property
    def going(self) -> list[Rollout]:
        """Those that go on, in the order in which they began."""
        return list(self._going.values())

    @property
    def over(self) -> Mapping[str, dict[str, Any]]:
        """By plugin, what was told of its last rollout when it ended; the last to end comes last."""
        return self._over

    def get(self, id: str) -> Rollout | None:
        """One that goes on, by its id."""
        return self._going.get(id)

    def find(self, name: str) -> Rollout | None:
        """The one that a plugin is in, if it goes on."""
        return next((each for each in self._going.values() if name in each.newcomer.candidates), None)

    def add(self, rollout: Rollout) -> None:
        """It goes on from now on."""
        self._going[rollout.id] = rollout
        self._hasChanged = True

    def close(self, rollout: Rollout) -> None:
        """It is over; what can be told of it is kept."""
        del self._going[rollout.id]
        for name in rollout.newcomer.candidates:
            self._over.pop(name, None)
        view = viewOf(rollout, self._now())
        self._over[rollout.name] = {**view, "differences": view["differences"][:MOST_DIFFERENCES]}
        while len(self._over) > MOST_OVER:
            del self._over[next(iter(self._over))]
        self._hasChanged = True

    def restore(self, plugins: Path | None, path: Path | None) -> None:
        """
        Go on with those that there were. Before there is a plan; reads files, and blocks.

        :param plugins: the folder of plugins.
        :param path: the configuration file: what is kept of one before is as if it stood there.
        """
        kept, damaged = self._file.read(parsed, None)
        if damaged is not None:
            self._events.add("ledger-damaged", damaged)
        if kept is None:
            return
        self.cookieKey = kept.cookieKey or self.cookieKey
        self._over = {view["plugin"]: view for view in kept.over if isinstance(view.get("plugin"), str)}
        stored, readConfig = partial(self._keeper.stored, plugins=plugins), _Reading(path)
        self.former = dict(self._formers(kept.former, readConfig))
        self.config = self._inForceLast(kept.config, readConfig)
        for each in kept.going:
            if self._isOver(each):
                continue
            try:
                self._going[each.id] = restored(each, stored, readConfig, self._now, self.cookieKey)
            except (StoreError, ConfigErrors, ValueError, ArithmeticError) as error:  # figures may be anything
                name = each.candidates[0].name if each.candidates else ""
                self._events.add("rollout-aborted", f"it cannot go on after the restart: {error}", name)

    def _isOver(self, kept: SavedRollout) -> bool:
        """Whether it ended, and an edge was killed before that was written into this file."""
        known = [self._keeper.records.get(each.name).find(each.digest) for each in kept.candidates]
        trials = [each.trial for each in known if each is not None and each.trial is not None]
        return any(trial.state != "going" and trial.at >= kept.began for trial in trials)

    def _inForceLast(self, text: str, readConfig: Callable[[str], Config]) -> Config | None:
        try:
            return readConfig(text) if text else None
        except (ConfigErrors, OSError) as error:
            told = f"what revproxy.yaml said before cannot be read any more, so what it says now comes at once: {error}"
            self._events.add("rollout-aborted", told)
            return None

    def _formers(
        self, kept: Mapping[str, SavedFormer], readConfig: Callable[[str], Config]
    ) -> Iterator[tuple[str, Former]]:
        for name, former in kept.items():
            try:
                yield name, Former(readConfig(former.text), former.rejected)
            except (ConfigErrors, OSError) as error:
                text = f"what it ran by cannot be read any more, so it runs by what the configuration says: {error}"
                self._events.add("rollout-aborted", text, name)

    def inForce(self, config: Config) -> None:
        """This configuration is."""
        before, self.config = self.config, config if config.plugins.rollout.config else None
        if before is not self.config:
            self.save()

    def save(self, isDue: bool = True) -> None:
        """
        Write down how things stand; nobody waits for that.

        :param isDue: also if nothing has changed since.
        """
        if not (isDue or self._hasChanged or any(each.hasChanged for each in self._going.values())):
            return
        going = tuple(saved(each, configText) for each in self._going.values())
        self._hasChanged = False
        for each in self._going.values():
            each.hasChanged = False
        former = {name: SavedFormer(configText(each.config), each.rejected) for name, each in self.former.items()}
        over, config = tuple(self._over.values()), "" if self.config is None else configText(self.config)
        self._file.save(encoded(SavedRollouts(FORMAT, self.cookieKey, going, over, former, config)))


class _Reading:
    """
    Reads texts of configurations; equal ones become one object.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, Config] = {}

    def __call__(self, text: str) -> Config:
        """:raises ConfigErrors: it is none any more: a file it names may be gone."""
        if text not in self._known:
            path = Path("revproxy.yaml").absolute() if self._path is None else self._path.absolute()
            self._known[text] = parseConfig(text, str(self._path or path.name), path.parent)
        return self._known[text]


__all__ = ["RolloutBook"]
