"""A configuration as it is shown."""

from __future__ import annotations

import json
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.control.configview import effective, shownValue
from revproxy.secrets import Secret

TEXT = """
listeners: [{endpoint: "tcp:80", trusted_proxies: ["10.0.0.0/8"]}]
upstreams: {o: {targets: ["http://a:1"]}}
routes: [{path: /, upstream: o, methods: [GET, POST], plugins: {auth: {secret: {$env: REVPROXY_TEST_SECRET}}}}]
traces: {otlp: "http://127.0.0.1:4318", headers: {Authorization: "Bearer Krikkit-Peace"}}
"""


class EffectiveTests(SynchronousTestCase):
    """`effective`."""

    def setUp(self) -> None:
        os.environ["REVPROXY_TEST_SECRET"] = "Krikkit-War"
        self.addCleanup(os.environ.pop, "REVPROXY_TEST_SECRET")

    def test_shown(self) -> None:
        """With defaults, in the words of the file, as JSON; what came by a reference, and what lets in, is masked."""
        shown = effective(parseConfig(TEXT, "r.yaml", Path("/nowhere")))
        text = json.dumps(shown)
        self.assertNotIn("Krikkit", text)
        [route] = shown["routes"]
        self.assertEqual((route["methods"], route["strip_prefix"]), (["GET", "HEAD", "POST"], False))
        self.assertEqual(route["plugins"]["auth"]["secret"], "***")
        self.assertEqual(shown["traces"]["headers"], {"Authorization": "***"})
        self.assertEqual(shown["upstreams"]["o"]["max_connections"], 1024)
        self.assertEqual(shown["timeouts"]["drain"], 30)
        self.assertNotIn("document", shown)

    def test_writtenOut(self) -> None:
        """What stands under the name of a secret is masked, and who logs in by a URL."""
        text = TEXT.replace("{auth: {secret: {$env: REVPROXY_TEST_SECRET}}}", (
            "{auth: {apiKey: Krikkit-1, deep: [{tokens: {ann: Krikkit-2}}], password: 424242, key: plain, "
            "url: 'http://u:Krikkit-3@h/'}}"
        ))  # fmt: skip
        shown = effective(parseConfig(text, "r.yaml", Path("/nowhere")))
        self.assertNotIn("Krikkit", json.dumps(shown))
        self.assertEqual(shown["routes"][0]["plugins"]["auth"], {
            "apiKey": "***", "deep": [{"tokens": {"ann": "***"}}], "password": "***", "key": "plain",
            "url": "http://***@h/",
        })  # fmt: skip

    def test_anything(self) -> None:
        """Whatever there is in a configuration is shown as something that JSON has."""
        value = {"a": (1, 2.5, None, True), 2: {b"x"}, "p": Path("/p"), "s": Secret("Krikkit-War"), "o": object}
        self.assertEqual(json.loads(json.dumps(shownValue(value)))["s"], "***")
