"""Values that stand elsewhere: in the environment, in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy import secrets
from revproxy.config.configfile import parseConfig
from revproxy.config.problems import ConfigErrors
from revproxy.config.references import MAX_BYTES, isCurrent
from revproxy.config.settings import Config, GrantConfig
from revproxy.permissions import Permissions
from revproxy.secrets import masked

START = "listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\n"


class ReferencesTestCase(SynchronousTestCase):
    """A folder, and a variable of the environment."""

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        (self.base / "keys").mkdir(parents=True)
        self.patch(os, "environ", {"ARTHUR": "Dent-of-Earth", "EDGE": "tcp:4242", "WAIT": "5m", "ODD": "\udc80"})

    def write(self, content: bytes, name: str = "keys/one") -> None:
        (self.base / name).write_bytes(content)

    def parse(self, text: str) -> Config:
        return parseConfig(START + text, "r.yaml", self.base)

    def refused(self, text: str) -> list[str]:
        """What is wrong with a configuration that begins with two lines."""
        return [str(problem) for problem in self.assertRaises(ConfigErrors, self.parse, text).problems]

    def pluginConfig(self, text: str) -> Any:
        """What ``$.plugins.config.p`` becomes."""
        return self.parse(f"plugins: {{config: {{p: {text}}}}}\n").plugins.config["p"]


class OwnTests(ReferencesTestCase):
    """Those of revproxy.yaml."""

    def test_plugins(self) -> None:
        """In a plugin's configuration they may stand anywhere, and become secrets; what has none stays what it is."""
        self.write(b"\xef\xbb\xbfzwei\xc3\xa9 Zeilen\n\n")
        found = self.pluginConfig("{a: {$env: ARTHUR}, b: [1, {c: {$file: keys/one}}], d: {e: [x]}}")
        self.assertEqual(found, {"a": "Dent-of-Earth", "b": [1, {"c": "zweié Zeilen\n"}], "d": {"e": ["x"]}})
        self.assertEqual(repr(found), "{'a': '***', 'b': [1, {'c': '***'}], 'd': {'e': ['x']}}")

    def test_newlines(self) -> None:
        """One newline at the end is not part of the value."""
        for content, value in ((b"Tricia\n", "Tricia"), (b"Tricia\r\n", "Tricia"), (b"Tricia", "Tricia"),
                               (b"\n\n", "\n")):
            self.write(content)
            self.assertEqual(self.pluginConfig("{a: {$file: keys/one}}"), {"a": value})

    def test_everywhere(self) -> None:
        """They stand for any text that the edge itself reads, and are checked like it."""
        self.write(b"http://127.0.0.1:4243\n")
        text = "upstreams: {a: {targets: [{$file: keys/one}]}}\ntimeouts: {idle: {$env: WAIT}}\nstate: {$env: ARTHUR}\n"
        config = self.parse(text)
        self.assertEqual((config.upstreams["a"].targets[0].port, config.timeouts.idle, config.state),
                         (4243, 300, self.base / "Dent-of-Earth"))
        self.assertEqual(parseConfig("listeners: [{endpoint: {$env: EDGE}}]\nroutes: [{respond: {}}]", "r", self.base)
                         .listeners[0].endpoint, "tcp:4242")

    def test_routes(self) -> None:
        """Also in what a route says of a plugin, and through aliases."""
        text = ("plugins: {config: {p: {a: &it {$env: ARTHUR}}}}\n")
        config = parseConfig(f"listeners: [{{endpoint: 'tcp:1'}}]\n{text}routes: [{{respond: {{}}, plugins: "
                             "{p: {a: *it}}}]\n", "r.yaml", self.base)
        self.assertEqual(config.routes[0].plugins, {"p": {"a": "Dent-of-Earth"}})

    def test_documentKeepsThem(self) -> None:
        """The document, which others are shown, has references; so has the text."""
        config = self.parse("plugins: {config: {p: {a: {$env: ARTHUR}}}}\n")
        assert config.document is not None
        self.assertEqual(config.document.value["plugins"]["config"]["p"], {"a": {"$env": "ARTHUR"}})
        self.assertNotIn("Dent", repr(config) + str(config.document.text))
        self.assertEqual(config.secrets, ("Dent-of-Earth",))

    def test_reprOfAll(self) -> None:
        """What a configuration shows of itself has no secret in it; files that were referred to are not shown."""
        self.write(b"Dent")
        config = self.parse("plugins: {config: {p: {a: {$file: keys/one}}}, grants: {p: {environment: [ARTHUR]}}}\n")
        self.assertNotIn("Dent", repr(config))

    def test_settings(self) -> None:
        """Settings of the edge are no secrets: whoever reads the log is told of folders and addresses."""
        self.patch(secrets, "_hidden", secrets.Hidden())
        self.patch(os, "environ", {"FOLDER": "./Milliways", "TARGET": "http://127.0.0.1:4244"})
        config = self.parse("state: {$env: FOLDER}\nupstreams: {a: {targets: [&it {$env: TARGET}]}}\n")
        self.assertEqual((config.secrets, masked("http://127.0.0.1:4244 ./Milliways")),
                         ((), "http://127.0.0.1:4244 ./Milliways"))
        self.assertIn("Milliways", repr(config))
        text = "upstreams: {a: {targets: [&it {$env: TARGET}]}}\nplugins: {config: {p: {a: *it}}}\n"
        self.assertEqual(self.parse(text).secrets, ("http://127.0.0.1:4244",))
        self.assertEqual(masked("is http://127.0.0.1:4244"), "is ***")

    def test_empty(self) -> None:
        """What is empty is no value: a file that is about to be written must not become the key that everybody has."""
        self.patch(os, "environ", {"NOTHING": ""})
        for content in (b"", b"\n", b"\r\n", b"\xef\xbb\xbf"):
            self.write(content)
            self.assertEqual(self.refused("plugins: {config: {p: {a: {$file: keys/one}}}}\n"),
                             ["r.yaml:3:24: $.plugins.config.p.a: the file keys/one is empty"])
        self.assertEqual(self.refused("plugins: {config: {p: {a: {$env: NOTHING}}}}\n"),
                         ["r.yaml:3:24: $.plugins.config.p.a: NOTHING in the environment is empty; "
                          "set it where the edge is started"])

    def test_refused(self) -> None:
        """What is not there, or cannot be had, is told where the reference is; nothing follows from it."""
        os.mkfifo(self.base / "keys" / "pipe")
        self.write(b"x" * (MAX_BYTES + 1), "keys/large")
        self.write(b"\xff", "keys/binary")
        for reference, message in (
            ("{$env: FORD}", "the environment has no FORD; set it where the edge is started"),
            ("{$env: ODD}", "ODD in the environment is not UTF-8 text"),
            ("{$env: A-B}", '"A-B" is no name of a variable; it has letters, digits and _ only'),
            ("{$env: [A]}", "a reference has one key and text: {$env: NAME} or {$file: PATH}"),
            ("{$env: ARTHUR, $file: x}", "a reference has one key and text: {$env: NAME} or {$file: PATH}"),
            ("{a: 1, $file: x}", "a reference has one key and text: {$env: NAME} or {$file: PATH}"),
            ("{$file: keys/none}", "the file keys/none cannot be read: No such file or directory"),
            ("{$file: keys}", "the file keys cannot be read: it is a folder and no file; put a plain file there"),
            ("{$file: keys/pipe}",
             "the file keys/pipe cannot be read: it is a named pipe and no file; put a plain file there"),
            ("{$file: keys/large}",
             f"the file keys/large cannot be read: it has more than {MAX_BYTES} bytes, the most it may have"),
            ("{$file: keys/binary}", "the file keys/binary is not UTF-8 text"),
            ('{$file: "a\\0b"}', "the file a\0b cannot be read: embedded null byte"),
        ):
            self.assertEqual(self.refused(f"plugins:\n  directory: {reference}\n"),
                             [f"r.yaml:4:3: $.plugins.directory: {message}"])

    def test_valuesAreMasked(self) -> None:
        """What is wrong with a value is told without it."""
        self.write(b"no endpoint, Prefect!")
        for text in ("admin: {endpoint: {$file: keys/one}}\n", "upstreams: {a: {targets: [{$file: keys/one}]}}\n",
                     "timeouts: {idle: {$file: keys/one}}\n", "logging: {format: {$file: keys/one}}\n",
                     "limits: {$file: keys/one}\n", "upstreams: {$file: keys/one}\n",
                     "limits: {max_headers: {$file: keys/one}}\n"):
            [message] = self.refused(text)
            self.assertTrue(message.startswith("r.yaml:3:"), message)
            self.assertNotIn("Prefect", message)
            self.assertIn("***", message)

    def test_current(self) -> None:
        """Whether the files have in them what was read."""
        self.write(b"Deep\n")
        files = self.parse("plugins: {config: {p: {a: {$file: keys/one}}}}\n").referredFiles
        self.assertEqual(list(files), [str(self.base / "keys/one")])
        self.assertTrue(isCurrent(files))
        self.write(b"Deep")
        self.assertTrue(isCurrent(files))
        self.write(b"Thought")
        self.assertFalse(isCurrent(files))
        (self.base / "keys/one").unlink()
        self.assertFalse(isCurrent(files))

    def test_grants(self) -> None:
        """What is granted is had when revproxy.yaml is read; what cannot be had is wrong there."""
        self.write(b"Vogon-poem")
        plugins = self.parse("plugins: {grants: {p: {environment: [ARTHUR], files: [keys/one]}, q: {}}}\n").plugins
        self.assertEqual(plugins.grants, {"p": GrantConfig(
            {"ARTHUR": "Dent-of-Earth"}, {"keys/one": "Vogon-poem"},
            Permissions(environment=frozenset(["ARTHUR"]), files=frozenset(["keys/one"]))),
                                          "q": GrantConfig()})
        self.assertEqual(self.refused("plugins:\n  grants: {p: {environment: [FORD, 5], files: [keys/two], x: 1}}\n"), [
            "r.yaml:4:30: $.plugins.grants.p.environment[0]: the environment has no FORD; "
            "set it where the edge is started",
            "r.yaml:4:36: $.plugins.grants.p.environment[1]: expected text, not 5",
            "r.yaml:4:48: $.plugins.grants.p.files[0]: the file keys/two cannot be read: No such file or directory",
            'r.yaml:4:59: $.plugins.grants.p.x: unknown key',
        ])
