"""
Whether the folder of plugins is empty because its disk is not mounted.

A mount that is lost leaves an empty folder behind. So when all plugins are gone at once, nobody has removed them: if
there were two or more, or if the folder is another one than that in which the last was seen. A single plugin that is
deleted from the folder it was in is gone. What was lost so runs on until it comes back, each by itself: copies of many
folders take their time.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from revproxy.plan.catalog import Catalog, Entries

Place = tuple[int, int]
"""A folder, whatever its name: device and inode."""


@dataclass(slots=True)
class LostMount:
    """
    What is known of the folder of plugins.

    :ivar lost: the names of the plugins that went with all others, and have not come back.
    """

    lost: AbstractSet[str] = frozenset()
    _place: Place | None = None

    def judge(self, found: Catalog, place: Place | None, running: Entries, isAnother: bool) -> None:
        """
        The folder was read.

        :param running: what runs, or ran before a restart.
        :param isAnother: whether it is not the one of the configuration that is in force.
        """
        ran = {name for name, entry in running.items() if entry.origin == "directory"}
        if isAnother:
            self.lost = frozenset()  # somebody wants that
            self._place = None
        elif _hasFolders(found):
            self._place = place
            self.lost = self.lost & ran - found.entries.keys()
        elif self.lost or len(ran) > 1 or self._isElsewhere(place):
            self.lost = ran

    def _isElsewhere(self, place: Place | None) -> bool:
        return place is not None and self._place is not None and place != self._place


def _hasFolders(found: Catalog) -> bool:
    broken = (Path(plugin.source).name == "plugin.json" for plugin in found.broken)
    return any(entry.origin == "directory" for entry in found.entries.values()) or any(broken)
