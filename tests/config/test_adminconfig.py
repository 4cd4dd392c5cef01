"""The section ``admin``: what is said about everything that is wrong in it."""

from __future__ import annotations

from revproxy.config.adminconfig import isOfThisMachine
from revproxy.config.settings import AdminConfig, TLSConfig
from tests.config.test_configfile import START, ConfigTestCase


class AdminTests(ConfigTestCase):
    """The section ``admin`` of revproxy.yaml."""

    def test_all(self) -> None:
        """All that can be said; paths start at the file's folder."""
        text = (
            "admin:\n  endpoint: tcp:9900\n  tls: {certificates: certs, minimum_version: TLSv1.3}\n"
            "  tokens: [more.yaml, /etc/tokens.json]\n  dashboard: false\n  hosts: [Admin.Example.COM]\n"
            "  trusted_origins: ['https://admin.example.com', 'http://localhost:8080']\n"
        )
        self.assertEqual(
            self.parse(START + text).admin,
            AdminConfig(
                "tcp:9900", TLSConfig(self.base / "certs", "TLSv1.3"),
                (self.base / "more.yaml", self.base.__class__("/etc/tokens.json")), False, ("admin.example.com",),
                ("https://admin.example.com", "http://localhost:8080"),
            ),
        )  # fmt: skip

    def test_elsewhere(self) -> None:
        """Who can be reached from elsewhere needs TLS: tokens do not travel in the clear."""
        for endpoint in ("tcp:9900", "tcp:9900:interface=192.0.2.1", r"tcp6:9900:interface=\:\:", "tcp:1:interface=x"):
            (problem,) = self.refused(START + f"admin: {{endpoint: '{endpoint}'}}")
            self.assertIn("tokens would travel in the clear: add tls:", problem)
            self.assertFalse(isOfThisMachine(endpoint))
            self.parse(START + f"admin: {{endpoint: '{endpoint}', tls: {{certificates: c}}}}")

    def test_here(self) -> None:
        """This machine does not."""
        for endpoint in ("tcp:9900:interface=127.0.0.1", "tcp:1:interface=127.8.8.8", r"tcp6:1:interface=\:\:1",
                         "tcp:1:interface=localhost", "unix:admin.sock"):
            self.parse(START + f"admin: {{endpoint: '{endpoint}'}}")

    def test_wrong(self) -> None:
        """What is no name, no origin, or no path is named with its place."""
        start = START + "admin: {endpoint: 'unix:x', "
        for text, said in (
            ("hosts: ['a/b']}", "$.admin.hosts[0]: "),
            ("trusted_origins: ['https://a/']}", "$.admin.trusted_origins[0]: \"https://a/\": write https://NAME"),
            ("trusted_origins: ['HTTPS://a']}", "$.admin.trusted_origins[0]"),
            ("trusted_origins: ['*']}", "$.admin.trusted_origins[0]"),
            ('tokens: ["a\\0"]}', "$.admin.tokens[0]: a path has no NUL in it"),
            ("tokens: x}", "$.admin.tokens: expected a list"),
            ("tls: {}}", "$.admin.tls: missing \"certificates\""),
            ("token: []}", 'unknown key; did you mean "tokens"?'),
        ):
            self.assertIn(said, self.refused(start + text)[0])
