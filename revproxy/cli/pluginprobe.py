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
from revproxy.cli.trustreport import permissionText
from revproxy.config.manifest import checkConfig, effectiveConfig
from revproxy.config.trustconfig import TrustConfig
from revproxy.control.catalogreader import readPlugin
from revproxy.plan.catalog import CatalogEntry, Selected
from revproxy.worker.guard.timelimit import noLongerThan

HOLD = 5.0
"""Seconds that the import, or the making of an instance, may take."""


def probe(folder: Path) -> dict[str, str]:
    """
    Load a plugin, and make it with its own configuration.

    :returns: ``refused``: why the edge would not take it; or ``plugin``, its name and version, ``missing``: what of its
        configuration revproxy.yaml has to say, and ``place``: where it runs, and what it asks for, if it says so.
    """
    try:
        with noLongerThan(HOLD):
            plugin = loadPlugin(folder)
        missing = _missing(plugin)
        if not missing:
            with noLongerThan(HOLD):
                plugin.make()
    except PluginRefused as refused:
        return {"refused": str(refused)}
    if not missing and (refusedThere := _lockedProblems(folder, plugin)):
        return {"refused": f"in a locked process: {refusedThere}"}
    return {"plugin": str(plugin.manifest), "missing": missing, "place": _placeOf(plugin)}


def _lockedProblems(folder: Path, plugin: LoadedPlugin) -> str:
    """Why a plugin that wants a locked process cannot be loaded in one."""
    if plugin.manifest.isolation != "process":
        return ""
    from revproxy.cli.lockedcheck import LockedCheck

    entry = readPlugin(folder)
    assert isinstance(entry, CatalogEntry)
    config = effectiveConfig(plugin.manifest)
    selected = Selected(entry, config, isolation="process", permissions=plugin.permissions)
    check = LockedCheck(TrustConfig())
    try:
        return "; ".join(map(str, check.problems(selected, config)))
    finally:
        check.close()


def _placeOf(plugin: LoadedPlugin) -> str:
    manifest = plugin.manifest
    asks = "" if manifest.permissions is None else f"asks for: {permissionText(manifest.permissions.asDict())}"
    if manifest.isolation == "process":
        return f"it runs in a locked process, and {asks or 'asks for nothing: it sees method and path, and may answer'}"
    return f"it {asks}" if asks else ""


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
