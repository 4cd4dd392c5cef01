"""A folder of plugins, what is installed, and a configuration that says who runs where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.problems import ConfigErrors
from revproxy.config.settings import Config
from revproxy.control.catalogreader import readCatalog
from revproxy.control.planning.selection import select
from revproxy.dropin import DropIn
from revproxy.plan.catalog import Catalog, Selected
from revproxy.worker.lifecycle.dropins import DropInFactories


def dropIn(name: str, **more: Any) -> DropIn:
    """A drop-in whose manifest has this name."""
    return DropIn({"name": name, "version": "1", **more}, lambda config: None)  # type: ignore[arg-type,return-value]


def groupsByRoute(config: Config) -> list[int]:
    """For each route the index of its group."""
    groups = enumerate(config.routeGroups)
    return [at for _, at in sorted((index, at) for at, group in groups for index in group.routes)]


class CatalogTestCase(SynchronousTestCase):
    """A folder of plugins and a configuration."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.folder = self.root / "plugins"
        self.folder.mkdir(parents=True)

    def plugin(self, name: str, folder: str | None = None, **more: Any) -> Path:
        """Write a plugin's folder."""
        place = self.folder / (folder or name)
        place.mkdir()
        (place / "plugin.json").write_text(json.dumps({"name": name, "version": "1", **more}))
        (place / "plugin.py").write_text("")
        return place

    def config(self, plugins: str = "{}", *routes: str) -> Config:
        """A configuration whose line 2 is ``plugins.config`` and whose routes' plugins follow from line 4."""
        lines = ["listeners: [{endpoint: 'tcp:1'}]", f"plugins: {{config: {plugins}}}", "routes:"]
        lines += [f"- {{path: /{n}, respond: {{}}, plugins: {each}}}" for n, each in enumerate(routes or ("{}",))]
        return parseConfig("\n".join(lines), "r.yaml", self.root)

    def catalog(self, *dropins: DropIn) -> Catalog:
        """What there is."""
        return readCatalog(self.folder, DropInFactories(dropins).told)

    def select(self, config: Config, *dropins: DropIn) -> tuple[Selected, ...]:
        """What runs."""
        return select(self.catalog(*dropins), config)

    def running(self, config: Config, *dropins: DropIn) -> dict[str, list[Mapping[str, Any] | None]]:
        """Name to the configuration on each route."""
        return {
            plugin.name: [plugin.configFor(group) for group in groupsByRoute(config)]
            for plugin in self.select(config, *dropins)
        }

    def refused(self, config: Config, *dropins: DropIn) -> list[str]:
        """The messages with which a selection is refused."""
        return [str(problem) for problem in self.assertRaises(ConfigErrors, self.select, config, *dropins).problems]
