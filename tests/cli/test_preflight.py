"""Everything short of starting."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from revproxy.bundles.bundle import readBundle
from revproxy.cli.preflight import Findings, checkFile, preflight
from revproxy.cli.templates import writeConfig, writePlugin
from revproxy.config.configfile import parseConfig
from revproxy.config.problems import ConfigErrors
from revproxy.control.state.recordfile import writeRecords
from revproxy.control.state.records import PluginRecords
from revproxy.demo.selfsigned import selfSigned
from revproxy.dropin import DropIn
from revproxy.loading.bundlefinder import ROOT

resource = Resource()

CAREFUL = """\
from zope.interface import implementer
from revproxy.interfaces import IConfigurable, ILifecycle, IMiddleware

@implementer(IMiddleware, IConfigurable, ILifecycle)
class Careful:
    name = "careful"
    def handle(self, context):
        return True
    def validateConfig(self, config):
        if config.get("x") == 2:
            raise ValueError("x cannot be 2")
    def updateConfig(self, config):
        raise AssertionError
    def start(self):
        raise AssertionError("started")
    stop = start

def PluginMain(config):
    return Careful()
"""


class PreflightCase(SynchronousTestCase):
    """A configuration as `init` writes it."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.path = writeConfig(self.root)
        self.folder = self.root / "plugins"

    def check(self, plugins: str = "{}", route: str = "respond: {}", *dropins: DropIn) -> Findings:
        """Check a configuration with the folder; line 2 is ``plugins.config``, line 3 the route."""
        text = f"listeners: [{{endpoint: 'tcp:1'}}]\nplugins: {{directory: plugins, config: {plugins}}}\n" \
               f"routes: [{{{route}}}]\n"
        return preflight(parseConfig(text, "r.yaml", self.root), dropins)

    def refused(self, *arguments: Any) -> list[str]:
        """The messages with which a configuration is refused."""
        return [str(problem) for problem in self.assertRaises(ConfigErrors, self.check, *arguments).problems]


class PreflightTests(PreflightCase):
    """`preflight` and `checkFile`."""

    def test_starters(self) -> None:
        """What ``init`` and ``new-plugin`` write is sound."""
        writePlugin(self.folder, "hello")
        findings = checkFile(self.path)
        self.flushLoggedErrors()
        self.assertEqual([str(manifest) for manifest in findings.manifests], ["hello 0.1.0"])
        self.assertEqual(len(findings.config.routes), 1)

    def test_offered(self) -> None:
        """So are the lines that the configuration of ``init`` offers in comments."""
        text = self.path.read_text(encoding="utf-8")
        keys = "requests|limits|timeouts|host|methods|trusted_proxies"
        offered = re.sub(rf"^( *)# (?=({keys}): )", r"\1", text, flags=re.MULTILINE)
        before, after = parseConfig(text, "r.yaml", self.root), parseConfig(offered, "r.yaml", self.root)
        self.assertEqual(after.timeouts, before.timeouts, "not the defaults")
        self.assertNotEqual(after.limits, before.limits)

    def test_off(self) -> None:
        """What is known and runs nowhere is told, and is not imported."""
        (writePlugin(self.folder, "hello") / "plugin.py").write_text("1 / 0")
        self.assertEqual(self.check("{hello: false}").off, ("hello",))

    def test_nothingLeft(self) -> None:
        """Modules of plugins are gone afterwards; nothing was started."""
        (writePlugin(self.folder, "careful") / "plugin.py").write_text(CAREFUL)
        self.check("{careful: true}", "respond: {}")
        self.assertEqual([name for name in sys.modules if name.startswith(f"{ROOT}.careful")], [])

    def test_everyConfiguration(self) -> None:
        """Each configuration in use is tried, by the schema and by the plugin itself."""
        place = writePlugin(self.folder, "careful")
        (place / "plugin.py").write_text(CAREFUL)
        (place / "plugin.json").write_text('{"name": "careful", "version": "1"}')
        self.assertEqual(self.refused("{}", "respond: {}, plugins: {careful: {x: 2}}"), [
            f"{place}/plugin.py: validateConfig refused the configuration: x cannot be 2 "
            "(plugin careful, configured in r.yaml:3)"])

    def test_pluginsThatFail(self) -> None:
        """All plugins are tried; each failure is one problem."""
        for name in ("one", "two"):
            (writePlugin(self.folder, name) / "plugin.py").write_text(f"raise ValueError('{name}')")
        self.assertEqual(self.refused(), [
            f"{self.folder}/one/plugin.py:1: importing it raised ValueError: one (plugin one)",
            f"{self.folder}/two/plugin.py:1: importing it raised ValueError: two (plugin two)"])

    def test_dependencies(self) -> None:
        """What a plugin needs is looked for, in its vendor/ too, and what it cannot have is told."""
        folder = writePlugin(self.folder, "hello")
        manifest = (folder / "plugin.json").read_text()
        (folder / "plugin.json").write_text(manifest.replace("{", '{"dependencies": ["moon-dust>=2"],', 1))
        [problem] = self.refused()
        self.assertIn("plugin.json:1:19: needs moon-dust>=2, which is not installed; where the edge runs: ", problem)
        (folder / "vendor" / "moon_dust-2.1.dist-info").mkdir(parents=True)
        (folder / "vendor" / "moon_dust-2.1.dist-info" / "METADATA").write_text("Name: moon-dust\nVersion: 2.1\n")
        (folder / "vendor" / "moon.py").write_text("DUST = 1\n")
        code = (folder / "plugin.py").read_text()
        (folder / "plugin.py").write_text(code.replace("from zope", "from moon import DUST\nfrom zope", 1))
        self.assertEqual([str(each) for each in self.check().manifests], ["hello 0.1.0"])
        (folder / "vendor" / "fast.so").write_bytes(b"")
        self.assertIn("vendor/fast.so: is machine code", self.refused()[0])

    def test_dropIns(self) -> None:
        """Drop-ins that are on are made too."""
        broken = DropIn({"name": "d", "version": "1"}, lambda config: config["x"])
        self.assertEqual(self.check("{}", "respond: {}", broken).off, ("d",))
        self.assertEqual(self.refused("{d: {}}", "respond: {}", broken), [
            f"{__name__}: create raised KeyError: 'x' (plugin d, configured in r.yaml:2)"])

    def test_order(self) -> None:
        """Unmet requirements are found."""
        manifest = writePlugin(self.folder, "a") / "plugin.json"
        manifest.write_text('{"name": "a", "version": "1", "requires": {"b": ""}}')
        self.assertIn("a 1 requires b, which is absent", self.refused()[0])

    def test_resources(self) -> None:
        """Dotted names must lead to an IResource."""
        self.check("{}", f"resource: {__name__}.resource")
        self.assertIn('r.yaml:3:11: $.routes[0].resource: "no.such.thing" cannot be imported: ',
                      self.refused("{}", "resource: no.such.thing")[0])
        for name in (f"{__name__}.CAREFUL", "os.path.join"):
            self.assertIn(f'"{name}" is neither an IResource nor makes one without arguments',
                          self.refused("{}", f"resource: {name}")[0])
        self.check("{}", f"resource: {__name__}.Resource")

    def test_certificates(self) -> None:
        """A folder of certificates that is there must be usable; one that is not is a warning."""
        text = "listeners: [{endpoint: 'tcp:1', tls: {certificates: certs}}]\nroutes: [{respond: {}}]\n"
        config = parseConfig(text, "r.yaml", self.root)
        self.assertEqual(preflight(config, []).warnings, (
            "r.yaml:1:39: $.listeners[0].tls.certificates: the folder is not there yet; the edge needs it when it "
            "starts",))
        (self.root / "certs").mkdir()
        error = self.assertRaises(ConfigErrors, preflight, config, [])
        self.assertIn("r.yaml:1:39: $.listeners[0].tls.certificates: ", str(error))
        self.assertIn("no certificate in it", str(error))
        selfSigned(self.root / "certs")
        self.assertEqual(preflight(config, []).warnings, ())

    def test_custody(self) -> None:
        """What others may write is a warning, with the place of the setting if there is one."""
        (self.root / "r.yaml").write_text(
            "listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\nplugins: {directory: plugins}\nstate: s\n")
        before = set(checkFile(self.root / "r.yaml").warnings)
        (self.root / "s").mkdir()
        for path in (self.root / "s", self.folder, self.root / "r.yaml"):
            path.chmod(0o777)
        state, _, file, folder = (one for one in checkFile(self.root / "r.yaml").warnings if one not in before)
        self.assertTrue(state.startswith(f"{self.root / 'r.yaml'}:4:1: $.state: {self.root / 's'}: everybody"), state)
        self.assertTrue(file.startswith(f"{self.root / 'r.yaml'}: everybody"), file)
        self.assertTrue(folder.startswith(f"{self.folder}: everybody"), folder)

    def test_overlooked(self) -> None:
        """A folder with a plugin.py and no plugin.json is a warning; other folders are nobody's business."""
        (self.folder / "library").mkdir()
        (self.folder / "half").mkdir()
        (self.folder / "half" / "plugin.py").write_text("")
        self.assertEqual(self.check().warnings, (
            f"{self.folder}/half: has a plugin.py and no plugin.json, and is passed over",))

    def test_upstreamTLS(self) -> None:
        """The PEM files of an upstream must be what they are for."""
        good = selfSigned(self.root / "certs")
        (self.root / "bad.pem").write_text("bad")
        for ca, certificate, count in ((good, good, 0), ("bad.pem", good, 1), ("bad.pem", "bad.pem", 2)):
            text = "listeners: [{endpoint: 'tcp:1'}]\nupstreams:\n  a:\n    targets: [https://a]\n" \
                   f"    tls: {{ca: {ca}, certificate: {certificate}}}\n"
            config = parseConfig(text, "r.yaml", self.root)
            if not count:
                preflight(config, [])
                continue
            error = self.assertRaises(ConfigErrors, preflight, config, [])
            self.assertEqual(len(error.problems), count)
            self.assertIn("r.yaml:5:11: $.upstreams.a.tls.ca: ", str(error))
            self.assertIn("bad.pem cannot be used: ", str(error))

    def test_stages(self) -> None:
        """Problems of plugins and of resources come together."""
        self.assertEqual(len(self.refused("{nobody: {}}", "resource: no.such.thing")), 2)


class RequiredTests(PreflightCase):
    """Plugins that must not be missing."""

    def test_listed(self) -> None:
        """Names that nobody has, or that guard nothing, are told with their lines."""
        writePlugin(self.folder, "off")
        manifest = self.folder / "off" / "plugin.json"
        manifest.write_text(manifest.read_text().replace('"enabled": true', '"enabled": false'))
        text = "listeners: [{endpoint: 'tcp:1'}]\nplugins:\n  directory: plugins\n  required: [nobody, off]\n" \
               "routes: [{respond: {}}]\n"
        error = self.assertRaises(ConfigErrors, preflight, parseConfig(text, "r.yaml", self.root), ())
        first, second = map(str, error.problems)
        self.assertIn('r.yaml:4:14: $.plugins.required[0]: no plugin named "nobody"', first)
        self.assertIn("r.yaml:4:22: $.plugins.required[1]: off is required, and runs on no route", second)

    def test_folderGone(self) -> None:
        """One that ran, and whose folder is gone, is a warning; that it is off is no mistake."""
        (self.root / "var").mkdir(mode=0o700)
        records = PluginRecords().ran("auth", "d", "1.0", 1.0).requiring("auth", True)
        writeRecords(self.root / "var" / "plugins.json", records)
        (warning,) = self.check().warnings
        self.assertIn(f"{self.folder / 'auth'}: it is gone, and plugin auth is required", warning)
        self.assertEqual(self.check("{auth: false}").warnings, ())


class LockedTests(PreflightCase):
    """Plugins with ``isolation: process``."""

    def plugin(self, code: str) -> Path:
        """:return: a file that the code may write to."""
        place = self.folder / "careful"
        place.mkdir(parents=True, exist_ok=True)
        (place / "plugin.py").write_text(code)
        (place / "plugin.json").write_text('{"name": "careful", "version": "1", "isolation": "process"}')
        return self.root / "touched"

    def test_withoutGrants(self) -> None:
        """One that runs, and goes on without what it asks for, is a warning; one that is new does not run at all."""
        folder = writePlugin(self.folder, "tenant", "process")
        [told] = self.refused()
        self.assertIn("it asks for more than it is granted: write_headers: X-Plugin", told)
        (self.root / "var").mkdir(mode=0o700)
        records = PluginRecords().ran("tenant", readBundle(folder).digest, "0.1.0", 1.0)
        writeRecords(self.root / "var" / "plugins.json", records)
        [told] = self.check().warnings
        self.assertIn("plugin tenant runs without write_headers: X-Plugin: it asks for that, and plugins.grants.tenant "
                      "does not have it", told)

    def test_locked(self) -> None:
        """They are tried in locked processes, each configuration; nothing of them runs here."""
        touched = self.plugin(CAREFUL)
        self.assertEqual([str(manifest) for manifest in self.check().manifests], ["careful 1"])
        [told] = self.refused("{}", "respond: {}, plugins: {careful: {x: 2}}")
        self.assertIn("validateConfig refused the configuration: x cannot be 2 (plugin careful)", told)
        self.plugin(f"open({str(touched)!r}, 'w')\n")
        [told] = self.refused()
        self.assertIn("plugin.py:1: importing it raised PermissionError", told)
        self.assertFalse(touched.exists())
