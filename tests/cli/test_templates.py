"""What ``init`` and ``new-plugin`` write; that it passes ``check`` is in test_preflight and test_main."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import revproxy
from revproxy.bundles.bundle import readBundle
from revproxy.cli.templates import CONFIG, pluginFiles, schemaLine, writeConfig, writePlugin
from revproxy.config.configfile import parseConfig
from revproxy.config.document import parseYAML
from revproxy.config.manifest import parseManifest

SCHEMA = Path(revproxy.__file__).parent / "config" / "schemas" / "revproxy.schema.json"


class TemplateTests(SynchronousTestCase):
    """Files to begin with."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()

    def test_config(self) -> None:
        """The folder is made with one for plugins, and the text is the template."""
        path = writeConfig(self.root / "a" / "b")
        line, _, text = path.read_text(encoding="utf-8").partition("\n")
        self.assertEqual((path.name, text), ("revproxy.yaml", CONFIG))
        schema = line.removeprefix("# yaml-language-server: $schema=file://")
        self.assertTrue(Path(schema).samefile(SCHEMA), line)
        self.assertTrue((path.parent / "plugins").is_dir())

    def test_comments(self) -> None:
        """What is a comment at its end is a configuration, too, as soon as it is none."""
        head, mark, rest = CONFIG.partition("# admin:")
        text = "".join(line.removeprefix("# ") for line in (mark + rest).splitlines(keepends=True))
        config = parseConfig(head + text.partition("traces:")[0], "revproxy.yaml", writeConfig(self.root).parent)
        self.assertEqual(config.admin and config.admin.endpoint, "tcp:9900:interface=127.0.0.1")
        self.assertEqual([receiver.name for receiver in config.alerts.receivers], ["ops"])
        self.assertIn("otlp", parseYAML(text, "").value["traces"])

    def test_schemaBelow(self) -> None:
        """Where the schema is below the file, its name there is enough, and the folder may move."""
        line = schemaLine(SCHEMA.parents[3])
        self.assertEqual(line, "# yaml-language-server: $schema=revproxy/config/schemas/revproxy.schema.json\n")

    def test_configStays(self) -> None:
        """A file that is there stays as it is."""
        path = writeConfig(self.root)
        path.write_text("mine")
        self.assertRaises(FileExistsError, writeConfig, self.root)
        self.assertEqual(path.read_text(), "mine")

    def test_plugin(self) -> None:
        """It is a bundle whose manifest bears its name, and Python that says so."""
        bundle = readBundle(writePlugin(self.root, "my-own"))
        manifest = parseManifest(bundle.files["plugin.json"], "plugin.json")
        self.assertEqual((str(manifest), manifest.enabled), ("my-own 0.1.0", True))
        module = ast.parse(bundle.files["plugin.py"])
        self.assertTrue((ast.get_docstring(module) or "").startswith("my-own: "))

    def test_locked(self) -> None:
        """One for a locked process asks for what it does there; each can be signed as it is."""
        manifest = json.loads(pluginFiles("x", "process")["plugin.json"])
        self.assertEqual(manifest["isolation"], "process")
        self.assertEqual(manifest["permissions"], {"write_headers": [manifest["config"]["header"]]})
        inline = json.loads(pluginFiles("x")["plugin.json"])
        self.assertEqual((manifest["revision"], inline["revision"]), (1, 1))
        self.assertNotIn("permissions", inline)

    def test_pluginStays(self) -> None:
        """So does whatever has the plugin's name."""
        self.root.mkdir()
        (self.root / "x").write_text("mine")
        self.assertRaises(FileExistsError, writePlugin, self.root, "x")
        self.assertEqual((self.root / "x").read_text(), "mine")

    def test_schema(self) -> None:
        """The configuration that it has fits its own schema: every key is described."""
        manifest = json.loads(pluginFiles("x")["plugin.json"])
        self.assertEqual(manifest["config"].keys(), manifest["config_schema"]["properties"].keys())
