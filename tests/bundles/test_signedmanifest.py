"""The list of all that is signed."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import makeBundle
from revproxy.bundles.signedmanifest import checkFiles, checkRepeated, manifestOf, parseSigned
from revproxy.bundles.untrusted import Untrusted
from revproxy.config.manifest import parseManifest
from revproxy.config.problems import ConfigErrors
from tests.bundles.signing import plugin


def encoded(value: Any) -> bytes:
    """As RFC 8785 has it, for what is used here."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class MakeTests(SynchronousTestCase):
    """`manifestOf`."""

    def test_content(self) -> None:
        """What plugin.json says of the version, and each file with size and hash."""
        bundle = makeBundle("hello", {
            "plugin.json": b'{"name": "hello", "version": "1.0", "revision": 7, "edge": ">=0.2", '
                           b'"permissions": {"read_headers": ["X-A"], "respond": true}}',
            "plugin.py": b"abc",
        })  # fmt: skip
        found = json.loads(manifestOf(bundle))
        self.assertEqual(found["files"]["plugin.py"], {
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "size": 3})
        self.assertEqual((found["name"], found["version"], found["revision"], found["edge"], found["format"]),
                         ("hello", "1.0", 7, ">=0.2", "revproxy-plugin@v1"))
        self.assertEqual(found["permissions"], {
            "body": "none", "environment": [], "figures": False, "files": [], "read_headers": ["x-a"], "respond": True,
            "store": False, "upstreams": [], "write_headers": []})

    def test_same(self) -> None:
        """The same bytes each time, in whatever order files were read; the form is that of RFC 8785."""
        one, other = plugin(), plugin()
        turned = makeBundle("hello", dict(reversed(other.files.items())))
        self.assertEqual(manifestOf(one), manifestOf(turned))
        self.assertEqual(manifestOf(one), encoded(json.loads(manifestOf(one))))

    def test_readBack(self) -> None:
        """It fits the bundle that it was made of, whatever its permissions and files are."""
        for more in ({}, {"edge": ">=0.1"}, {"permissions": {}}, {"permissions": {"write_headers": ["*"]}}):
            bundle = plugin(files={"ünï/\U0001f600.txt": b"", "\uffee": b"", "a b,c": b"1"}, **more)
            signed = parseSigned(manifestOf(bundle))
            checkFiles(signed, bundle)
            checkRepeated(signed, parseManifest(bundle.files["plugin.json"], "plugin.json"))

    def test_orderOfKeys(self) -> None:
        """As RFC 8785 has it, by UTF-16: what is beyond the first plane comes before U+E000 to U+FFFF."""
        text = manifestOf(plugin(files={"\U0001f600": b"", "\uffee": b""})).decode()
        self.assertLess(text.index("\U0001f600"), text.index("\uffee"))

    def test_noRevision(self) -> None:
        """Without a revision nothing is signed; it is said what to write."""
        error = self.assertRaises(Untrusted, manifestOf, plugin(revision=None))
        self.assertEqual((error.file, error.rule), ("plugin.json", "revision"))
        self.assertIn('put "revision": 1 into plugin.json', error.message)

    def test_paths(self) -> None:
        """Nothing is signed that would be refused."""
        for path in ("A.py\n", "back\\slash", "inner/A.py", "bad\udc80name"):
            error = self.assertRaises(Untrusted, manifestOf, plugin(files={path: b""}))
            self.assertEqual(error.rule, "path", path)

    def test_mistakes(self) -> None:
        """A plugin.json with mistakes is told with its lines."""
        bundle = makeBundle("hello", {"plugin.json": b'{"name": "hello",\n "x": 1}', "plugin.py": b""})
        self.assertIn("plugin.json:2:", str(self.assertRaises(ConfigErrors, manifestOf, bundle)))


class ParseTests(SynchronousTestCase):
    """`parseSigned`."""

    def setUp(self) -> None:
        self.data = manifestOf(plugin())
        self.value = json.loads(self.data)

    def refused(self, data: bytes) -> Untrusted:
        """The refusal."""
        return self.assertRaises(Untrusted, parseSigned, data)

    def test_noJSON(self) -> None:
        """It is none."""
        for data in (b"", b"{", b"\xff", b"[" * 100_000, b'{"a":"\xed\xa0\x80"}', b"1e400", b"null", b"[]",
                     b'{"a":' + b"9" * 10_000 + b"}"):
            self.assertEqual(self.refused(data).rule, "manifest", data[:20])

    def test_otherForm(self) -> None:
        """Other bytes that mean the same are refused."""
        spaced = json.dumps(self.value, sort_keys=True).encode()
        turned = json.dumps(dict(reversed(self.value.items())), separators=(",", ":")).encode()
        twice = self.data.replace(b'"name":', b'"name":"other","name":')
        for data in (spaced, turned, twice, self.data + b"\n", b"\xef\xbb\xbf" + self.data,
                     self.data.replace(b'"revision":3', b'"revision":3.0'),
                     self.data.replace(b'"hello"', b'"hell\\u006f"')):
            self.assertNotEqual(data, self.data)
            self.assertEqual(self.refused(data).rule, "manifest", data)

    def test_keys(self) -> None:
        """A key that is missing, or too much, is named."""
        for key in self.value:
            error = self.refused(encoded({name: self.value[name] for name in self.value if name != key}))
            self.assertIn(key if key != "format" else "revproxy-plugin@v1", error.message)
        self.assertIn("more", self.refused(encoded({**self.value, "more": 1})).message)

    def test_values(self) -> None:
        """Each value has its type."""
        wrong: dict[str, tuple[Any, ...]] = {
            "format": ("revproxy-plugin@v2", 1), "name": (1, None), "version": (1, None), "edge": (1, []),
            "revision": (-1, True, 1.5, "3", None, 2**53), "permissions": ([], "all", 1),
            "files": ([], None, {str(number): {} for number in range(1001)}),
        }  # fmt: skip
        for key, values in wrong.items():
            for value in values:
                self.assertEqual(self.refused(encoded({**self.value, key: value})).rule, "manifest", (key, value))

    def test_files(self) -> None:
        """Of each file size and hash, and nothing else."""
        sha256 = "0" * 64
        for entry in (None, [], {}, {"size": 1}, {"sha256": sha256}, {"sha256": sha256, "size": -1},
                      {"sha256": sha256, "size": True}, {"sha256": sha256, "size": "1"},
                      {"sha256": sha256.replace("0", "A"), "size": 1}, {"sha256": sha256[1:], "size": 1},
                      {"sha256": f"{sha256}\n", "size": 1}, {"sha256": sha256, "size": 1, "mode": 5}):
            error = self.refused(encoded({**self.value, "files": {"a": entry}}))
            self.assertEqual(error.rule, "manifest", entry)
            self.assertIn('"a"', error.message)

    def test_paths(self) -> None:
        """Paths below the folder, each a single one on every machine."""
        entry = {"sha256": "0" * 64, "size": 1}
        for paths in (("../a",), ("a/../b",), ("/etc/passwd",), ("./a",), ("a//b",), ("a/",), ("",), ("..",),
                      ("a\\b",), ("C:\\a", ), ("a\x00",), ("a\nb",), ("a.py", "A.PY"), ("ß", "SS"),
                      ("\u00e9", "e\u0301"), ("a\u202eb",)):
            error = self.refused(encoded({**self.value, "files": dict.fromkeys(paths, entry)}))
            self.assertEqual(error.rule, "path", paths)

    @given(st.binary(max_size=200) | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
            st.sampled_from(["edge", "files", "format", "name", "permissions", "revision", "version"]) | st.text(),
            inner), max_leaves=12).map(lambda value: json.dumps(value).encode()))
    def test_anything(self, data: bytes) -> None:
        """Whatever it is, it is refused, and nothing else happens."""
        self.refused(data)


class CheckTests(SynchronousTestCase):
    """`checkFiles` and `checkRepeated`."""

    def test_files(self) -> None:
        """A file more, or less; another size, or another hash: each is named."""
        bundle = plugin()
        signed = parseSigned(manifestOf(bundle))
        for path in bundle.files:
            same = bytes(len(bundle.files[path]))
            for files, rule in (
                ({**bundle.files, path: bundle.files[path] + b" "}, "size"),
                ({**bundle.files, path: same}, "sha256"),
                ({name: content for name, content in bundle.files.items() if name != path}, "missing"),
                ({**bundle.files, path + "c": b""}, "unlisted"),
            ):
                error = self.assertRaises(Untrusted, checkFiles, signed, makeBundle("hello", files))
                self.assertEqual((error.rule, error.file), (rule, path + "c" * (rule == "unlisted")))

    def test_repeated(self) -> None:
        """What the manifest says of the version is what plugin.json says."""
        signed = parseSigned(manifestOf(plugin(edge=">=0.1", permissions={"respond": True})))
        for rule, more in (("name", {"name": "other"}), ("version", {"version": "2.0"}), ("revision", {"revision": 4}),
                           ("edge", {"edge": ">=0.2"}), ("permissions", {"permissions": {"body": "write"}})):
            said = {"edge": ">=0.1", "permissions": {"respond": True}, **more}
            manifest = parseManifest(plugin(**said).files["plugin.json"], "plugin.json")
            error = self.assertRaises(Untrusted, checkRepeated, signed, manifest)
            self.assertEqual((error.file, error.rule), ("plugin.manifest.json", rule))


class ToolTests(SynchronousTestCase):
    """Other people's programs."""

    def test_python(self) -> None:
        """A file's hash is what ``sha256sum`` prints; so it can be looked at without us."""
        bundle = plugin()
        listed = parseSigned(manifestOf(bundle)).files["plugin.py"]
        said = subprocess.run(["sha256sum"], input=bundle.files["plugin.py"], stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(said.split()[0].decode(), listed.sha256)
