"""Which plugins there are, and which run where."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import revproxy.plugins
from revproxy.config.configfile import Config, parseConfig
from revproxy.config.problems import ConfigErrors
from revproxy.dropin import DropIn
from revproxy.interfaces import IMiddlewareFactory
from revproxy.plan.catalog import MAX_TOLD, Catalog, Selected, chains, readCatalog


def dropIn(name: str, **more: Any) -> DropIn:
    """A drop-in whose manifest has this name."""
    return DropIn({"name": name, "version": "1", **more}, lambda config: None)  # type: ignore[arg-type,return-value]


def lanesByRoute(config: Config) -> list[int]:
    """For each route the index of its lane."""
    groups = enumerate(config.routeGroups)
    return [lane for _, lane in sorted((index, at) for at, group in groups for index in group.routes)]


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
        return readCatalog(self.folder, dropins)

    def select(self, config: Config, *dropins: DropIn) -> tuple[Selected, ...]:
        """What runs."""
        return self.catalog(*dropins).select(config)

    def running(self, config: Config, *dropins: DropIn) -> dict[str, list[Mapping[str, Any] | None]]:
        """Name to the configuration on each route."""
        return {one.manifest.name: [one.configFor(index) for index in lanesByRoute(config)]
                for one in self.select(config, *dropins)}

    def refused(self, config: Config, *dropins: DropIn) -> list[str]:
        """The messages with which a selection is refused."""
        return [str(problem) for problem in self.assertRaises(ConfigErrors, self.select, config, *dropins).problems]


class ReadTests(CatalogTestCase):
    """`readCatalog`."""

    def test_both(self) -> None:
        """Folders and drop-ins are one catalogue, by name; a folder's own name does not matter."""
        place = self.plugin("b", folder="other")
        catalog = self.catalog(dropIn("a"))
        self.assertEqual(list(catalog.entries), ["a", "b"])
        self.assertEqual([entry.origin for entry in catalog.entries.values()], ["dropin", "directory"])
        self.assertEqual(catalog.entries["b"].source, str(place / "plugin.json"))
        bundle = catalog.entries["b"].bundle
        assert bundle is not None
        self.assertEqual(sorted(bundle.files), ["plugin.json", "plugin.py"])
        self.assertEqual(catalog.entries["a"].source, __name__)

    def test_passedOver(self) -> None:
        """Files, hidden folders and folders without a plugin.json are no plugins."""
        (self.folder / "README").write_text("")
        (self.folder / "empty").mkdir()
        self.plugin("a", folder=".a")
        self.assertEqual(self.catalog(), Catalog({}))

    def test_linkedFolder(self) -> None:
        """A plugin's folder may be a link."""
        self.plugin("a").rename(self.root / "a-1.0")
        (self.folder / "a").symlink_to(self.root / "a-1.0")
        self.assertEqual(list(self.catalog().entries), ["a"])

    def test_noDirectory(self) -> None:
        """Without a folder there are drop-ins only; one that cannot be read is refused."""
        self.assertEqual(list(readCatalog(None, [dropIn("a")]).entries), ["a"])
        error = self.assertRaises(ConfigErrors, readCatalog, self.root / "none", [])
        self.assertIn("none: cannot be read: No such file or directory", str(error))

    def test_broken(self) -> None:
        """Broken plugins do not hide the others; each keeps its problems."""
        self.plugin("good")
        (self.plugin("bad") / "plugin.json").write_text("{")
        (self.plugin("half") / "plugin.py").unlink()
        catalog = self.catalog(dropIn("Bad"))
        self.assertEqual(list(catalog.entries), ["good"])
        self.assertEqual([broken.name for broken in catalog.broken], ["Bad", "bad", "half"])
        self.assertEqual(len(catalog.problems), 3)

    def test_duplicates(self) -> None:
        """A name given twice is refused, naming both places."""
        first, second = self.plugin("a", folder="x"), self.plugin("a", folder="y")
        self.assertEqual(self.refused(self.config(), dropIn("a")), [
            f'{first}/plugin.json:1:2: $.name: "a" is also the name of the plugin in {__name__}; '
            "give one of them another name",
            f'{second}/plugin.json:1:2: $.name: "a" is also the name of the plugin in {__name__}; '
            "give one of them another name"])

    def test_getPlugins(self) -> None:
        """What is found without being given is what Twisted's plugin system finds."""
        found = [factory.manifest["name"] for factory in getPlugins(IMiddlewareFactory, revproxy.plugins)]
        self.flushLoggedErrors()
        self.assertEqual(sorted(readCatalog(None).entries), sorted(found))
        self.flushLoggedErrors()


class SelectTests(CatalogTestCase):
    """`Catalog.select`."""

    def test_enabled(self) -> None:
        """A directory plugin decides itself while nobody names it; a drop-in is off."""
        self.plugin("a", config={"x": 1})
        self.plugin("b", enabled=False)
        self.assertEqual(self.running(self.config(), dropIn("c")), {"a": [{"x": 1}]})

    def test_named(self) -> None:
        """True or a mapping switches on, false off, drop-in or not."""
        self.plugin("a")
        self.plugin("b", enabled=False)
        config = self.config("{a: false, b: {x: 1}, c: {}, d: true, e: false}")
        self.assertEqual(self.running(config, dropIn("c"), dropIn("d"), dropIn("e")),
                         {"b": [{"x": 1}], "c": [{}], "d": [{}]})

    def test_routes(self) -> None:
        """A route's word goes over plugins.config, its mapping over that of plugins.config, key by key."""
        self.plugin("a", config={"x": 1, "y": 1, "z": 1})
        config = self.config("{a: {y: 2, z: 2}}", "{a: {z: 3}}", "{a: false}", "{}", "{a: true}")
        common = {"x": 1, "y": 2, "z": 2}
        self.assertEqual(self.running(config), {"a": [{"x": 1, "y": 2, "z": 3}, None, common, common]})

    def test_onSomeRoutes(self) -> None:
        """What is off elsewhere runs where a route says so."""
        self.plugin("a")
        config = self.config("{a: false}", "{}", "{a: {}, b: {x: 1}}", "{b: true}")
        self.assertEqual(self.running(config, dropIn("b", config={"x": 0})),
                         {"a": [None, {}, None], "b": [None, {"x": 1}, {"x": 0}]})

    def test_switchedOffEverywhere(self) -> None:
        """What every route switches off is not selected, and its common configuration need not be sound."""
        self.plugin("a", config_schema={"required": ["x"]})
        self.assertEqual(self.running(self.config("{}", "{a: false}")), {})
        self.assertEqual(self.running(self.config("{}", "{a: {x: 1}}")), {"a": [{"x": 1}]})

    def test_equalConfigsAreOne(self) -> None:
        """Equal configurations are the same object."""
        self.plugin("a", config={"x": 1})
        config = self.config("{}", "{a: {x: 1}}", "{a: {x: 2}}", "{}", "{a: {x: 2}}")
        first, second, third, fourth = self.running(config)["a"]
        self.assertIs(first, third)
        self.assertIs(second, fourth)

    def test_unknown(self) -> None:
        """A name that is nowhere is refused at each place that has it, with the likely one."""
        self.plugin("rate-limit")
        self.assertEqual([message.partition("; the drop-in")[0]
                          for message in self.refused(self.config("{rate-limt: {}}", "{nobody: false}"))], [
            'r.yaml:2:20: $.plugins.config.rate-limt: no plugin named "rate-limt"; did you mean "rate-limit"?',
            'r.yaml:4:37: $.routes[0].plugins.nobody: no plugin named "nobody"; there is "rate-limit"'])

    def test_badConfig(self) -> None:
        """A configuration the plugin's schema refuses stands where it was written."""
        self.plugin("a", config_schema={"properties": {"x": {"type": "integer"}}})
        self.assertEqual(self.refused(self.config("{a: {x: y}}", "{a: {x: z}}", "{}")), [
            'r.yaml:2:24: $.plugins.config.a.x: expected a whole number, not the text "y" (plugin a)',
            'r.yaml:4:41: $.routes[0].plugins.a.x: expected a whole number, not the text "z" (plugin a)'])

    def test_badOnManyRoutes(self) -> None:
        """Of ten thousand nobody reads each; how many more there are is said."""
        self.plugin("a", config_schema={"properties": {"x": {"type": "integer"}}})
        refused = self.refused(self.config("{}", *["{a: {x: z}, nobody: true}"] * 100))
        self.assertEqual(len(refused), 2 * MAX_TOLD + 1)
        (more,) = (one for one in refused if one.startswith("r.yaml:24:"))
        self.assertIn("$.routes[20].plugins.a: wrong in the same way, here and on 79 other routes", more)

    def test_badOnSeveralRoutes(self) -> None:
        """What several routes say alike is refused on each."""
        self.plugin("a", config_schema={"properties": {"x": {"type": "integer"}}})
        self.assertEqual(self.refused(self.config("{}", "{a: {x: z}}", "{a: {x: 1}}", "{a: {x: z}, nobody: true}")), [
            'r.yaml:4:41: $.routes[0].plugins.a.x: expected a whole number, not the text "z" (plugin a)',
            'r.yaml:6:41: $.routes[2].plugins.a.x: expected a whole number, not the text "z" (plugin a)',
            'r.yaml:6:48: $.routes[2].plugins.nobody: no plugin named "nobody"; there is "a"'])

    def test_brokenAndWanted(self) -> None:
        """A broken plugin refuses the change unless it is switched off; a broken drop-in only when it is named."""
        (self.plugin("bad") / "plugin.json").write_text("{")
        self.assertIn("plugin.json:1:2: not JSON", self.refused(self.config())[0])
        self.assertIn("plugin.json:1:2: not JSON", self.refused(self.config("{bad: {}}"))[0])
        self.assertEqual(self.running(self.config("{bad: false}")), {})
        off = "bad: false"
        broken = dropIn("odd", priorty=1)
        self.assertEqual(self.running(self.config(f"{{{off}}}"), broken), {})
        self.assertIn("$.priorty: unknown key", self.refused(self.config(f"{{{off}, odd: {{}}}}"), broken)[0])

    def test_brokenDropInModule(self) -> None:
        """A drop-in module that cannot be imported, which getPlugins forgives, is named when its plugin is wanted."""
        place = self.root / "revproxy" / "plugins"
        place.mkdir(parents=True)
        (place / "test_broken_one.py").write_text("1 / 0\n")
        revproxy.plugins.__path__.append(str(place))
        self.addCleanup(revproxy.plugins.__path__.remove, str(place))
        self.addCleanup(sys.modules.pop, "revproxy.plugins.test_broken_one", None)
        message = self.refused(self.config("{test-broken-one: {}}"))[0]
        self.assertIn('no plugin named "test-broken-one"', message)
        self.assertIn("the drop-in module revproxy.plugins.test_broken_one cannot be imported: "
                      "ZeroDivisionError: division by zero", message)


class ChainsTests(CatalogTestCase):
    """`chains`."""

    def chains(self, config: Config, *dropins: DropIn) -> list[list[tuple[str, Any]]]:
        """For each route name and configuration of its plugins in order."""
        made = chains(self.select(config, *dropins), config)
        return [[(one.manifest.name, own) for one, own in made[lane]] for lane in lanesByRoute(config)]

    def test_order(self) -> None:
        """Each route has its own plugins with its own configuration, in order."""
        self.plugin("a", after=["b"])
        self.plugin("b", config={"x": 1})
        config = self.config("{}", "{}", "{b: false}", "{b: {x: 2}}")
        self.assertEqual(self.chains(config), [
            [("b", {"x": 1}), ("a", {})], [("a", {})], [("b", {"x": 2}), ("a", {})]])

    def test_shared(self) -> None:
        """Routes with equal plugins and configurations share one tuple."""
        self.plugin("a")
        config = self.config("{}", "{}", "{}", "{a: {x: 1}}")
        made = chains(self.select(config), config)
        first, second, third = (made[lane] for lane in lanesByRoute(config))
        self.assertIs(first, second)
        self.assertIsNot(first, third)

    def test_requirementPerRoute(self) -> None:
        """Switching off what another plugin of the route requires is refused, naming the route."""
        place = self.plugin("a", requires={"b": ""})
        self.plugin("b")
        config = self.config("{}", "{}", "{b: false}")
        error = self.assertRaises(ConfigErrors, self.chains, config)
        self.assertEqual(str(error), f"{place}/plugin.json:1:{_column(place)}: $.requires.b: a 1 requires b, which is "
                         'absent or switched off (on the route "/1")')

    def test_conflictOnDifferentRoutes(self) -> None:
        """Plugins that conflict may run on different routes."""
        self.plugin("a", conflicts={"b": ""})
        self.plugin("b")
        self.assertEqual(self.chains(self.config("{}", "{a: false}", "{b: false}")), [[("b", {})], [("a", {})]])
        self.assertRaises(ConfigErrors, self.chains, self.config())

    def test_manyRoutes(self) -> None:
        """A thousand routes with the same plugins are resolved once."""
        for name in "abcde":
            self.plugin(name)
        config = self.config("{}", *["{}"] * 300)
        self.assertEqual(len(chains(self.select(config), config)), 1)


def _column(place: Path) -> int:
    return (place / "plugin.json").read_text().index('"b"') + 1
