"""The plugins under ``plugins/``, loaded as the edge loads them."""

from pathlib import Path
from typing import Any

from revproxy.bundles.bundle import readBundle
from revproxy.config.manifest import Manifest, checkConfig, effectiveConfig, parseManifest
from revproxy.loading.loader import loadBundle, unload

FOLDER = Path(__file__).resolve().parents[2] / "plugins"


def manifestOf(name: str) -> Manifest:
    """:raises ConfigErrors: if plugin.json has any problem."""
    return parseManifest((FOLDER / name / "plugin.json").read_bytes(), f"plugins/{name}/plugin.json")


def mainOf(case: Any, name: str) -> Any:
    """The plugin's PluginMain; unloaded when the test is over."""
    module = loadBundle(readBundle(FOLDER / name), manifestOf(name))
    case.addCleanup(unload, module)
    return module.main.PluginMain


def problemsOf(manifest: Manifest, config: dict[str, Any]) -> list[str]:
    """What the plugin's schema says to this configuration over its own."""
    return [str(problem) for problem in checkConfig(manifest, {**effectiveConfig(manifest), **config})]
