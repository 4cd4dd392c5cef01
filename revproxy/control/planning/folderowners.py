"""
Which folder owns a plugin's name.

The name is in plugin.json, and two folders may claim the same: somebody has made a copy. The one that has what ran last
keeps the name, also when both are edited, and also when the edge is down meanwhile; the alphabet decides only where
nobody knows better.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from revproxy.control.state.records import PluginRecords
from revproxy.plan.catalog import Catalog, Entries


def folderOwners(running: Entries, records: PluginRecords, plugins: Path | None) -> dict[str, Path]:
    """
    By name, the folders that keep their plugins' names when others claim those.

    :param plugins: the folder that they are in.
    """
    owners = {}
    for name, entry in running.items():
        folder = records.get(name).folder
        if plugins is not None and folder is not None:
            owners[name] = plugins / folder
        elif entry.bundle is not None:
            owners[name] = entry.bundle.directory
    return owners


def movedOwners(owners: Mapping[str, Path], running: Entries, found: Catalog) -> dict[str, Path]:
    """
    The same, if a folder was moved while no edge ran, and another one took its place; empty if none was.

    :param running: what ran before.
    """
    here = {name: entry.bundle for name, entry in found.entries.items() if entry.bundle is not None}
    stayed = {name for name, bundle in here.items() if bundle.directory == owners.get(name)}
    elsewhere = {
        broken.name: broken.bundle.directory
        for broken in found.broken
        if broken.bundle is not None
        and broken.name in running
        and broken.name not in stayed
        and broken.bundle.digest == running[broken.name].digest
    }
    return {**owners, **elsewhere} if elsewhere else {}
