"""
Whose folder is whose.

A plugin's name is in its plugin.json, and two folders may claim the same: somebody has made a copy. The one that has
what ran last keeps the name, also when both are edited, and also when the edge is down meanwhile; the alphabet decides
only where nobody knows better.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from revproxy.control.state.records import Ledger
from revproxy.plan.catalog import Catalog
from revproxy.plan.plan import Entries, Plan


def homesOf(running: Entries, ledger: Ledger, plugins: Path | None) -> dict[str, Path]:
    """
    The folders that keep their plugins' names when others claim those.

    :param plugins: the folder that they are in.
    """
    homes = {}
    for name, entry in running.items():
        folder = ledger.get(name).folder
        if plugins is not None and folder is not None:
            homes[name] = plugins / folder
        elif entry.bundle is not None:
            homes[name] = entry.bundle.directory
    return homes


def moved(homes: Mapping[str, Path], running: Entries, found: Catalog) -> dict[str, Path]:
    """
    The same, if while nobody looked a folder was moved and another one took its place; empty if none was.

    :param running: what ran before.
    """
    here = {name: entry.bundle for name, entry in found.entries.items() if entry.bundle is not None}
    stayed = {name for name, bundle in here.items() if bundle.directory == homes.get(name)}
    elsewhere = {
        one.name: one.bundle.directory
        for one in found.broken
        if one.bundle is not None
        and one.name in running
        and one.name not in stayed
        and one.bundle.digest == running[one.name].digest
    }
    return {**homes, **elsewhere} if elsewhere else {}


def housed(ledger: Ledger, plan: Plan, found: Catalog) -> Ledger:
    """What is remembered, with the folders of what runs."""
    for one in plan.selected:
        name = one.manifest.name
        present = found.entries.get(name)
        if present is not None and present.bundle is not None and present.digest == one.entry.digest:
            ledger = ledger.housed(name, present.bundle.directory.name)
    return ledger
