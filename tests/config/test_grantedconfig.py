"""References in a plugin.json: what is granted."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.document import parseYAML
from revproxy.config.grantedconfig import grantedConfig
from revproxy.config.manifest import ConfigLayer, Manifest, parseManifest
from revproxy.config.settings import GrantConfig
from revproxy.secrets import Secret


class GrantedTests(SynchronousTestCase):
    """`grantedConfig`."""

    def manifest(self, config: str) -> Manifest:
        return parseManifest(f'{{"name": "p", "version": "1",\n"config": {config}}}'.encode(), "plugin.json")

    def test_granted(self) -> None:
        """They have what is granted, by the same name."""
        grant = GrantConfig({"ARTHUR": Secret("Dent-of-Earth")}, {"keys/one": Secret("Vogon-poem")})
        manifest = self.manifest('{"a": {"$env": "ARTHUR"}, "b": [{"$file": "./keys//one"}], "c": 1}')
        config, problems = grantedConfig(manifest, (), grant)
        self.assertEqual((config, problems), ({"a": "Dent-of-Earth", "b": ["Vogon-poem"], "c": 1}, []))
        self.assertIsInstance(config["a"], Secret)
        self.assertEqual(manifest.config["a"], {"$env": "ARTHUR"})

    def test_notGranted(self) -> None:
        """Nobody else's files and variables, and not by the name of another kind; the message says what to write."""
        grant = GrantConfig({"keys/tls.pem": Secret("x")}, {"ARTHUR": Secret("x")})
        manifest = self.manifest('{"a": {"$env": "ARTHUR"},\n "b": [{"$file": "keys/tls.pem"}]}')
        self.assertEqual([str(problem) for problem in grantedConfig(manifest, (), grant)[1]], [
            "plugin.json:2:12: $.config.a: asks for the environment's ARTHUR, which revproxy.yaml does not grant; if "
            'it may have that, write there: plugins: {grants: {p: {environment: ["ARTHUR"]}}}',
            "plugin.json:3:8: $.config.b[0]: asks for the file keys/tls.pem, which revproxy.yaml does not grant; if "
            'it may have that, write there: plugins: {grants: {p: {files: ["keys/tls.pem"]}}}',
        ])
        self.assertEqual(len(grantedConfig(manifest, (), None)[1]), 2)

    def test_whole(self) -> None:
        """A configuration as a whole is none, whatever is granted."""
        grant = GrantConfig({"ARTHUR": Secret("Dent-of-Earth")}, {})
        [problem] = grantedConfig(self.manifest('{"$env": "ARTHUR"}'), (), grant)[1]
        self.assertEqual(str(problem), 'plugin.json:2:12: $.config["$env"]: a configuration has no key $env; its '
                                       "values may be references")

    def test_overridden(self) -> None:
        """What revproxy.yaml overrides is not asked for."""
        manifest = self.manifest('{"a": {"$env": "ARTHUR"}}')
        layer = ConfigLayer({"a": "mine"}, parseYAML("{a: mine}", "r.yaml"), (), "r.yaml")
        self.assertEqual(grantedConfig(manifest, [layer], None), ({"a": "mine"}, []))
