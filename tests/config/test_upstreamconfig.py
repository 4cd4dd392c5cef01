"""Upstreams: what is said about everything that is wrong in them; what they become is in test_configfile."""

from __future__ import annotations

from tests.config.test_configfile import ConfigTestCase


class UpstreamTests(ConfigTestCase):
    """The upstreams of revproxy.yaml."""

    def test_literalHost(self) -> None:
        """The Host for an upstream may be a name with a port."""
        text = "upstreams: {a: {targets: [http://x], host: 'Origin.example:81'}}\nlisteners: [{endpoint: 'tcp:1'}]"
        self.assertEqual(self.parse(text).upstreams["a"].host, "origin.example:81")

    def test_targets(self) -> None:
        """A target is scheme, host and port, and nothing else."""
        for url, part in (
            ("ftp://a", "a target is http://host:port"),
            ("127.0.0.1:9000", "a target is http://host:port"),
            ("http:a", "a target is http://host:port"),
            ("http://a/", "has no path and no query"),
            ("http://a?x", "has no path and no query"),
            ("http://a#", "has no path and no query"),
            ("http://", "has no host"),
            ("http://a:0", "port 0"),
            ("http://a:99999", "is not a URL"),
            ("http://a:b", "is not a URL"),
            ("http://a b", "has a space"),
            ("http://1.2.3", "neither a host name nor an IPv4 address"),
            ("http://[::g]", "is not"),
            ("http://*.a", "no wildcard is possible here"),
            ("http://münchen.example", '"xn--mnchen-3ya.example"'),
        ):
            text = f"listeners: [{{endpoint: 'tcp:1'}}]\nupstreams: {{a: {{targets: ['{url}']}}}}"
            messages = self.refused(text)
            self.assertTrue(messages[0].startswith("r.yaml:2:27: $.upstreams.a.targets[0]: "), messages)
            self.assertIn(part, messages[0])

    def test_passwordIsNotShown(self) -> None:
        """User and password in a target are refused and not repeated."""
        text = "listeners: [{endpoint: 'tcp:1'}]\nupstreams: {a: {targets: ['http://u:secret@a']}}"
        self.assertIn("a target has no user and password", self.refused(text)[0])
        self.assertNotIn("secret", self.refused(text)[0])

    def test_targetTwice(self) -> None:
        """The same target twice is a weight."""
        text = "listeners: [{endpoint: 'tcp:1'}]\nupstreams: {a: {targets: ['http://a', {url: 'http://A:80'}]}}"
        self.assertEqual(self.refused(text), [
            "r.yaml:2:40: $.upstreams.a.targets[1].url: is a target already; give it more weight instead"])
