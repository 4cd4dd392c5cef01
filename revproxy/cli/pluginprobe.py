"""
``python -m revproxy.cli.pluginprobe FOLDER DESCRIPTOR``: whether the edge would take the plugin in a folder.

A process of its own for `revproxy.cli.plugintests`: the plugin's code may hang or end it. The result is a line of JSON
on the descriptor, and whoever reads no line knows that there is none.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from twisted.logger import globalLogBeginner

from revproxy.cli.loadedplugin import LoadedPlugin, PluginRefused, loadPlugin
from revproxy.cli.lockedcheck import LockedCheck
from revproxy.config.manifest import checkConfig, effectiveConfig
from revproxy.config.trustconfig import TrustConfig
from revproxy.control.catalogreader import readPlugin
from revproxy.permissions import NOTHING, UNASKED, Permissions
from revproxy.plan.catalog import CatalogEntry, Selected
from revproxy.worker.guard.timelimit import noLongerThan

HOLD = 5.0
"""Seconds that the import, or the making of an instance, may take."""


def probe(folder: Path) -> dict[str, str]:
    """
    Load a plugin, and make it with its own configuration.

    :returns: ``refused``: why the edge would not take it; or ``plugin``, its name and version, ``missing``: what of its
        configuration revproxy.yaml has to say, and ``may``: what it asks for where it asks for a locked process.
    """
    try:
        with noLongerThan(HOLD):
            plugin = loadPlugin(folder)
        missing = _missing(plugin)
        if not missing:
            with noLongerThan(HOLD):
                plugin.make()
        if plugin.manifest.isolation != "process":
            return {"plugin": str(plugin.manifest), "missing": missing, "may": ""}
        if not missing:
            _loadLocked(folder, plugin)
    except PluginRefused as refused:
        return {"refused": str(refused)}
    asked = NOTHING.lacks(_permissionsOf(plugin))
    return {"plugin": str(plugin.manifest), "missing": missing, "may": "; ".join(asked) or "nothing"}


def _permissionsOf(plugin: LoadedPlugin) -> Permissions:
    return UNASKED if plugin.manifest.permissions is None else plugin.manifest.permissions


def _loadLocked(folder: Path, plugin: LoadedPlugin) -> None:
    """
    Load it where it is to run: much of what works here does not there.

    :raises PluginRefused: the edge would not take it there.
    """
    if sys.platform != "linux":
        return  # no other system locks processes
    entry = readPlugin(folder)
    assert isinstance(entry, CatalogEntry)
    config = effectiveConfig(plugin.manifest)
    check = LockedCheck(TrustConfig())
    try:
        problems = tuple(check.problems(Selected(entry, config, {}, "process", _permissionsOf(plugin)), config))
    finally:
        check.close()
    if problems:
        raise PluginRefused(tuple(" ".join(str(problem).splitlines()) for problem in problems))


def _missing(plugin: LoadedPlugin) -> str:
    problems = checkConfig(plugin.manifest, effectiveConfig(plugin.manifest))
    return "; ".join(problem.message for problem in problems)


def main(folder: str, descriptor: str) -> None:
    """Probe, and write what came of it."""
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    found = probe(Path(folder))
    with open(int(descriptor), "w", encoding="utf-8") as pipe:
        pipe.write(json.dumps(found) + "\n")
    os._exit(0)  # whatever threads it has begun


if __name__ == "__main__":
    main(*sys.argv[1:])
