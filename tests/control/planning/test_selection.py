"""Which plugins run where, and in what order."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import revproxy.plugins
from revproxy.config.problems import ConfigErrors
from revproxy.config.settings import Config
from revproxy.config.trustconfig import SignerConfig
from revproxy.control.catalogreader import readCatalog
from revproxy.control.planning.selection import MAX_TOLD, orderPerGroup, select
from revproxy.control.planning.tiers import Bounds
from revproxy.dropin import DropIn
from revproxy.permissions import Permissions
from revproxy.worker.lifecycle.dropins import DropInFactories
from tests.control.catalogs import CatalogTestCase, dropIn, groupsByRoute


class SelectTests(CatalogTestCase):
    """`select`."""

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

    def test_requests(self) -> None:
        """What a plugin.json refers to is had if revproxy.yaml grants it, and refused where it stands if not."""
        self.plugin("a", config={"x": {"$file": "r.pem"}})
        (self.root / "r.pem").write_text("Oolon Colluphid")
        config = self.config("{}, grants: {b: {files: [r.pem]}}")
        [message] = self.refused(config)
        self.assertIn('plugin.json:1:42: $.config.x: asks for the file r.pem, which revproxy.yaml does not', message)
        self.assertEqual(self.running(self.config("{a: {x: 5}}")), {"a": [{"x": 5}]})
        config = self.config("{}, grants: {a: {files: [r.pem]}}")
        self.assertEqual(self.running(config), {"a": [{"x": "Oolon Colluphid"}]})

    def test_requestsOfWhatIsSigned(self) -> None:
        """What its signer may not have granted is refused, whatever revproxy.yaml grants."""
        self.plugin("a", config={"x": {"$file": "r.pem"}})
        (self.root / "r.pem").write_text("Oolon Colluphid")
        config = self.config("{}, grants: {a: {files: [r.pem]}}")
        for files, refusals in ((["r.pem"], 0), ([], 1)):
            signer = SignerConfig("alice", "key", permissions=Permissions.of({"files": files}))
            try:
                [selected] = select(self.catalog(), config, bounds={"a": Bounds(signer, False)})
            except ConfigErrors as errors:
                self.assertIn("trust.signers.alice.permissions the same files", str(errors))
                self.assertEqual(refusals, 1)
            else:
                self.assertEqual((selected.config, refusals), ({"x": "Oolon Colluphid"}, 0))

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
        catalog = readCatalog(self.folder, DropInFactories().told)
        self.flushLoggedErrors()
        refused = self.assertRaises(ConfigErrors, select, catalog, self.config("{test-broken-one: {}}"))
        message = str(refused.problems[0])
        self.assertIn('no plugin named "test-broken-one"', message)
        self.assertIn("the drop-in module revproxy.plugins.test_broken_one cannot be imported: "
                      "ZeroDivisionError: division by zero", message)


class OrderTests(CatalogTestCase):
    """`orderPerGroup`."""

    def order(self, config: Config, *dropins: DropIn) -> list[list[tuple[str, Any]]]:
        """For each route name and configuration of its plugins in order."""
        made = orderPerGroup(self.select(config, *dropins), config)
        return [[(plugin.name, own) for plugin, own in made[group]] for group in groupsByRoute(config)]

    def test_order(self) -> None:
        """Each route has its own plugins with its own configuration, in order."""
        self.plugin("a", after=["b"])
        self.plugin("b", config={"x": 1})
        config = self.config("{}", "{}", "{b: false}", "{b: {x: 2}}")
        self.assertEqual(self.order(config), [
            [("b", {"x": 1}), ("a", {})], [("a", {})], [("b", {"x": 2}), ("a", {})]])

    def test_shared(self) -> None:
        """Routes with equal plugins and configurations share one tuple."""
        self.plugin("a")
        config = self.config("{}", "{}", "{}", "{a: {x: 1}}")
        made = orderPerGroup(self.select(config), config)
        first, second, third = (made[group] for group in groupsByRoute(config))
        self.assertIs(first, second)
        self.assertIsNot(first, third)

    def test_requirementPerRoute(self) -> None:
        """Switching off what another plugin of the route requires is refused, naming the route."""
        place = self.plugin("a", requires={"b": ""})
        self.plugin("b")
        config = self.config("{}", "{}", "{b: false}")
        error = self.assertRaises(ConfigErrors, self.order, config)
        self.assertEqual(str(error), f"{place}/plugin.json:1:{_column(place)}: $.requires.b: a 1 requires b, which is "
                         'absent or switched off (on the route "/1")')

    def test_conflictOnDifferentRoutes(self) -> None:
        """Plugins that conflict may run on different routes."""
        self.plugin("a", conflicts={"b": ""})
        self.plugin("b")
        self.assertEqual(self.order(self.config("{}", "{a: false}", "{b: false}")), [[("b", {})], [("a", {})]])
        self.assertRaises(ConfigErrors, self.order, self.config())

    def test_manyRoutes(self) -> None:
        """A thousand routes with the same plugins are resolved once."""
        for name in "abcde":
            self.plugin(name)
        config = self.config("{}", *["{}"] * 300)
        self.assertEqual(len(orderPerGroup(self.select(config), config)), 1)


def _column(place: Path) -> int:
    return (place / "plugin.json").read_text().index('"b"') + 1
