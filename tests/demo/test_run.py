"""
Tests for `revproxy.demo.run`: what is decided before anything runs.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.demo.run import Setting, configuration, grantsIn, introduction, options, takenPorts


class RunTests(SynchronousTestCase):
    """
    The parts that need no processes.
    """

    def setting(self) -> Setting:
        """
        With unusual folders.
        """
        base = Path(self.mktemp())
        plugins = base / "it's: plugins"
        (plugins / "html-banner").mkdir(parents=True)
        (plugins / "html-banner" / "plugin.json").write_text("{}")
        return Setting(8081, 8444, 9001, plugins, base / "#state")

    def test_configuration(self) -> None:
        """
        What is written is a valid configuration that says what was asked for, whatever the folders are called.
        """
        setting = self.setting()
        config = parseConfig(configuration(setting), "demo", Path("/elsewhere"))
        plain, encrypted = config.listeners
        self.assertEqual(plain.endpoint, "tcp:8081:interface=127.0.0.1")
        self.assertEqual(encrypted.endpoint, "tcp:8444:interface=127.0.0.1")
        assert encrypted.tls is not None
        self.assertEqual(encrypted.tls.certificates, setting.certificates.resolve())
        self.assertEqual([target.port for target in config.upstreams["demo"].targets], [9001])
        self.assertEqual(config.plugins.directory, setting.plugins.resolve())
        self.assertEqual(dict(config.plugins.config), {"request-id": True, "html-banner": True})

    def test_otherPlugins(self) -> None:
        """
        With a folder of other plugins none is named that is not there.
        """
        setting = self.setting()
        setting.banner.unlink()
        config = parseConfig(configuration(setting), "demo", Path("/elsewhere"))
        self.assertEqual(dict(config.plugins.config), {"request-id": True})

    def test_grants(self) -> None:
        """
        What plugins were granted is not lost with the next start; of a file that is none, nothing is.
        """
        setting = self.setting()
        grants = {"tenant": {"read_headers": ["X-Tenant"], "store": True}}
        text = configuration(setting, grants)
        granted = parseConfig(text, "demo", Path("/elsewhere")).plugins.grants["tenant"].permissions
        self.assertEqual((granted.readHeaders, granted.store), ({"x-tenant"}, True))
        file = setting.plugins / "revproxy.yaml"
        for written, found in ((text, grants), (configuration(setting), {}), ("[1", {}), ("plugins: 1", {})):
            file.write_text(written)
            self.assertEqual(grantsIn(file), found)
        self.assertEqual(grantsIn(setting.plugins / "none"), {})

    def test_introduction(self) -> None:
        """
        It names both URLs, a plugin that exists, and a command that finds the edge.
        """
        setting = self.setting()
        text = introduction(setting)
        self.assertIn("http://127.0.0.1:8081/", text)
        self.assertIn("https://127.0.0.1:8444/", text)
        self.assertIn("http://127.0.0.1:9900/\n", text)
        self.assertIn("http://127.0.0.1:9900/#login=xyz\n", introduction(setting, "xyz"))
        self.assertIn(str(setting.banner), text)
        self.assertRegex(text, rf"revproxy plugins --state {re.escape(str(setting.state))}\n")

    def test_takenPorts(self) -> None:
        """
        A port that someone listens on is found before the edge stumbles over it.
        """
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            self.assertEqual(takenPorts([0, port]), [port])

    def test_options(self) -> None:
        """
        Every default can be overridden.
        """
        self.assertEqual(options([]), Setting(8080, 8443, 9000, Path("plugins"), Path("var")))
        given = ["--http", "1", "--https", "2", "--origin", "3", "--plugins", "p", "--state", "s"]
        self.assertEqual(options(given), Setting(1, 2, 3, Path("p"), Path("s")))
