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
from revproxy.config.manifest import checkConfig, effectiveConfig
from revproxy.worker.guard.timelimit import noLongerThan

HOLD = 5.0
"""Seconds that the import, or the making of an instance, may take."""


def probe(folder: Path) -> dict[str, str]:
    """
    Load a plugin, and make it with its own configuration.

    :returns: ``refused``: why the edge would not take it; or ``plugin``, its name and version, and ``missing``: what of
        its configuration revproxy.yaml has to say.
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
    return {"plugin": str(plugin.manifest), "missing": missing}


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
