"""Listeners: what is said about everything that is wrong in them; what they become is in test_configfile."""

from __future__ import annotations

from tests.config.test_configfile import ConfigTestCase


class ListenerTests(ConfigTestCase):
    """The listeners of revproxy.yaml."""

    def test_endpoints(self) -> None:
        """Endpoint strings are parsed by those who will use them; TLS is not theirs to do."""
        for text, part in (
            ("8080", 'did you mean "tcp:8080"?'),
            ("tcpp:8080", 'there is no kind "tcpp"; write tcp:8080'),
            ("tcp:http8080", "is no server endpoint"),
            ("tcp:99999", "port 99999 is not between 0 and 65535"),
            ("tcp:1:foo=2", "an argument is missing or unknown"),
            ("ssl:443:privateKey=x", 'the certificates in a "tls" section'),
            ("unix:/" + 107 * "x", "the path has 108 bytes, and Unix sockets take 107"),
            ("unix:/" + 54 * "é", "the path has 109 bytes"),
        ):
            self.assertIn(part, self.refused(f"listeners: [{{endpoint: '{text}'}}]\nroutes: [{{respond: {{}}}}]")[0])

    def test_endpointTwice(self) -> None:
        """Two listeners, or a listener and the admin API, cannot have one endpoint."""
        text = "listeners: [{endpoint: 'unix:x'}, {endpoint: 'unix:x'}]\nroutes: [{respond: {}}]\n" \
               "admin: {endpoint: 'unix:x'}"
        self.assertEqual(self.refused(text), [
            'r.yaml:1:36: $.listeners[1].endpoint: "unix:x" is listened on already',
            "r.yaml:3:9: $.admin.endpoint: \"unix:x\" is a listener's endpoint already"])

    def test_trustedProxies(self) -> None:
        """Networks must be networks; PROXY headers need somebody to trust."""
        text = "listeners:\n- {endpoint: 'tcp:1', trusted_proxies: [10.0.0.1/8, localhost, 5]}\n" \
               "- {endpoint: 'tcp:2', proxy_protocol: true}\nroutes: [{respond: {}}]"
        self.assertEqual(self.refused(text), [
            'r.yaml:2:41: $.listeners[0].trusted_proxies[0]: "10.0.0.1/8" has bits set beyond its prefix; '
            "did you mean 10.0.0.0/8?",
            'r.yaml:2:53: $.listeners[0].trusted_proxies[1]: "localhost" is neither an address nor a network '
            "such as 10.0.0.0/8",
            "r.yaml:2:64: $.listeners[0].trusted_proxies[2]: expected text, not 5",
            "r.yaml:3:23: $.listeners[1].proxy_protocol: needs trusted_proxies: PROXY headers are taken from nobody "
            "else"])

    def test_clientCertificates(self) -> None:
        """Asking for certificates needs authorities that exist, and authorities need to be asked for."""
        for tls, part in (
            ("client_auth: required", "$.listeners[0].tls.client_auth: needs client_ca"),
            ("client_ca: ca.pem", "$.listeners[0].tls.client_ca: needs client_auth"),
            ("client_ca: nope.pem, client_auth: optional", f"there is no file {self.base / 'nope.pem'}"),
            ("hosts: {a.example: {client_auth: required}}", "$.listeners[0].tls.hosts[\"a.example\"]: needs client_ca"),
            ("hosts: {a.example: {client_ca: ca.pem}}", 'missing "client_auth"'),
            ("hosts: {'a b': {client_ca: ca.pem, client_auth: optional}}", "is not a host name"),
            ("client_ca: ca.pem, hosts: {a: {client_auth: optional}, A: {client_auth: required}}", "given twice"),
        ):
            text = f"listeners:\n- endpoint: tcp:1\n  tls: {{certificates: c, {tls}}}\nroutes: [{{respond: {{}}}}]"
            messages = self.refused(text)
            self.assertEqual(len(messages), 1, messages)
            self.assertIn(part, messages[0])
