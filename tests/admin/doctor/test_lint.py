"""
What is allowed in a configuration, and most likely not meant.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.doctor.lint import lintChecks, listensEverywhere
from revproxy.config.configfile import parseConfig


class LintTests(SynchronousTestCase):
    """
    Configurations.
    """

    start = "listeners: [{endpoint: 'tcp:8080:interface=127.0.0.1'}]\n"

    def found(self, text: str, start: str | None = None) -> list[str]:
        """What is said of it, but for advice."""
        base = Path(self.mktemp()).absolute()
        (base / "certs").mkdir(parents=True)
        checks = lintChecks(parseConfig((self.start if start is None else start) + text, "r.yaml", base))
        self.assertTrue(all(check.advice for check in checks if check.state != "ok"))
        return [check.text for check in checks]

    def test_well(self) -> None:
        """
        One that is as it should be.
        """
        text = "upstreams: {a: {targets: ['http://x.example']}}\nroutes: [{upstream: a}]\n"
        self.assertEqual(self.found(text), ["nothing in the configuration looks like a mistake"])

    def test_unusedUpstream(self) -> None:
        """
        An upstream that no route leads to, with its line.
        """
        text = "upstreams:\n  a: {targets: ['http://x']}\n  b: {targets: ['http://y']}\nroutes: [{upstream: a}]\n"
        self.assertEqual(self.found(text), ['r.yaml:4:3: $.upstreams.b: no route leads to "b"'])

    def test_secrets(self) -> None:
        """
        A secret that is written out, wherever plugins and receivers are configured; not what stands elsewhere.
        """
        os.environ["REVPROXY_LINT"] = "x"
        self.addCleanup(os.environ.pop, "REVPROXY_LINT")
        text = (
            "routes:\n- {respond: {}, plugins: {quota: {api_key: abc}}}\n"
            "plugins:\n  config:\n    auth: {deep: [{client-secret: hush, token_lifetime: 5, keys: many}]}\n"
            "    other: {password: {$env: REVPROXY_LINT}, passwords_file: x, secret: ''}\n"
        )
        self.assertEqual(self.found(text), [
            "r.yaml:6:20: $.plugins.config.auth.deep[0].client-secret: a secret stands here in plain text",
            "r.yaml:3:35: $.routes[0].plugins.quota.api_key: a secret stands here in plain text",
        ])  # fmt: skip

    def test_listeners(self) -> None:
        """
        Plain HTTP for everybody, and metrics for everybody.
        """
        start = (
            "listeners:\n- {endpoint: 'tcp:80'}\n- {endpoint: 'tcp:443', tls: {certificates: certs}}\n"
            "- {endpoint: 'tcp:81', trusted_proxies: [10.0.0.0/8]}\n"
        )
        self.assertEqual(self.found("routes: [{respond: {}}]\nmetrics: {endpoint: 'tcp:9901'}\n", start), [
            "r.yaml:2:3: $.listeners[0]: everybody is listened to here, without TLS",
            "r.yaml:6:11: $.metrics.endpoint: everybody may read the metrics",
        ])  # fmt: skip

    def test_trust(self) -> None:
        """
        Everybody is believed; nobody is checked.
        """
        start = "listeners: [{endpoint: 'tcp:1:interface=127.0.0.1', trusted_proxies: [0.0.0.0/0, 10.0.0.1]}]\n"
        text = "upstreams: {a: {targets: ['https://x'], tls: {verify: false}}, b: {targets: ['http://y'], " \
               "tls: {verify: false}}}\nroutes: [{upstream: a}, {path: /b, upstream: b}]\n"
        self.assertEqual(self.found(text, start), [
            "r.yaml:1:71: $.listeners[0].trusted_proxies[0]: everybody is believed who they are",
            "r.yaml:2:47: $.upstreams.a.tls.verify: certificates of the targets are not checked",
        ])  # fmt: skip

    def test_options(self) -> None:
        """
        What is no file has no lines, and can be looked at all the same.
        """
        for endpoint, everywhere in (
            ("tcp:80", True), ("tcp6:80", True), ("tcp:80:interface=0.0.0.0", True), (r"tcp6:80:interface=\:\:", True),
            ("tcp:80:interface=127.0.0.1", False), (r"tcp6:80:interface=\:\:1", False), ("unix:/x", False),
            ("tcp:port=80:backlog=5", True), ("systemd:domain=INET:index=0", False),
        ):  # fmt: skip
            self.assertEqual(listensEverywhere(endpoint), everywhere, endpoint)
