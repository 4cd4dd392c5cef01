"""Whatever is wrong with a signature, its manifest or the folder: it is refused, by file and by rule."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import Bundle, makeBundle, readBundle
from revproxy.bundles.signature import Signers, Untrusted, Verdict, publicKey, verify
from revproxy.bundles.signaturefiles import MANIFEST, MINISIG, SSHSIG
from revproxy.bundles.signedmanifest import manifestOf
from revproxy.config.problems import ConfigErrors
from tests.bundles.signing import (
    Key,
    minisigned,
    minisignKey,
    minisignLine,
    plugin,
    signed,
    signedByMinisign,
    signer,
    sshKey,
)
from tests.bundles.test_signedmanifest import encoded

YEAR = 365 * 86400.0
NOW = 1.8e9
SECURITY = "sk-ssh-ed25519@openssh.com"

SIGNERS = [
    signer("alice", notAfter=NOW + YEAR),
    signer("mini", minisignLine(), plugins=("hel*",)),
    signer("other", sshKey(number=2).line, plugins=("other-*",)),
    signer("old", sshKey(number=3).line, notAfter=NOW - 1),
    signer("gone", sshKey(number=4).line),
    signer("key", sshKey(SECURITY).line),
    signer("rsa", sshKey("ssh-rsa").line),
]
REVOKED = {f"key:{publicKey(sshKey(number=4).line).keyId}", f"sha256:{plugin(revision=9).digest}"}

Bad = tuple[str, Bundle, str, str]
"""What is wrong, the bundle, and the file and the rule that are named."""


def judged(bundle: Bundle, **options: Any) -> Verdict:
    """The edge's answer."""
    return verify(bundle, Signers(SIGNERS), **{"now": NOW, "revoked": REVOKED, "lowest": 2, **options})


def sealed(**options: Any) -> Bundle:
    """With an envelope that is not quite right."""
    bundle = plugin()
    manifest = manifestOf(bundle)
    key = options.pop("by", sshKey())
    return replace(bundle, signature={MANIFEST: manifest, SSHSIG: key.envelope(options.pop("of", manifest), **options)})


def stating(**changes: Any) -> Bundle:
    """With a manifest, rightly signed, that says something else of the version; ``...``: nothing."""
    value = json.loads(manifestOf(plugin()))
    value.update(changes)
    return signed(manifest=encoded({key: said for key, said in value.items() if said is not ...}))


def listing(paths: Mapping[str, Any]) -> Bundle:
    """With a manifest, rightly signed, that has some more files."""
    return stating(files={**json.loads(manifestOf(plugin()))["files"], **paths})


def changed(path: str, content: bytes | None) -> Bundle:
    """Signed, and then a file was changed, added, or taken away."""
    before = signed()
    files = {name: data for name, data in before.files.items() if name != path}
    return makeBundle("hello", files if content is None else {**files, path: content}, signature=before.signature)


def bits() -> Iterator[Bad]:
    """Each file that is signed with one bit turned."""
    for path, content in plugin().files.items():
        for at in (0, len(content) - 1):
            turned = content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]
            yield f"bit {at} of {path}", changed(path, turned), path, "sha256"


def manifests() -> Iterator[Bad]:
    """Rightly signed, and still no manifest of this plugin."""
    for rule, said in (("name", "hallo"), ("version", "1.2.1"), ("revision", 4), ("edge", ">=9"),
                       ("permissions", {"body": "write"})):
        yield f"another {rule}", stating(**{rule: said}), MANIFEST, rule
    for key in ("name", "version", "revision", "edge", "permissions", "files", "format"):
        yield f"no {key}", stating(**{key: ...}), MANIFEST, "manifest"
        yield f"{key} of another type", stating(**{key: [1]}), MANIFEST, "manifest"
    yield "a key that nobody knows", stating(more=1), MANIFEST, "manifest"
    yield "another format", stating(format="revproxy-plugin@v2"), MANIFEST, "manifest"
    manifest = manifestOf(plugin())
    for what, data in (("spaces", json.dumps(json.loads(manifest)).encode()), ("a line break", manifest + b"\n"),
                       ("a key twice", manifest.replace(b'"name"', b'"name":"x","name"')), ("nothing", b""),
                       ("no JSON", b"PK\3\4"), ("deep JSON", b"[" * 200_000)):
        yield what, signed(manifest=data), MANIFEST, "manifest"


def paths() -> Iterator[Bad]:
    """Rightly signed, with paths that are none, or entries that are none."""
    entry = {"sha256": "0" * 64, "size": 1}
    for path in ("../../etc/cron.d/x", "a/../../b", "/etc/passwd", "./plugin.py", "inner//a.py", "a\\..\\b", "", "a\0b",
                 "PLUGIN.PY", "inner/A.py"):
        yield f"the path {path!r}", listing({path: entry}), MANIFEST, "path"
    yield "twins by accent", listing({"\u00e9": entry, "e\u0301": entry}), MANIFEST, "path"
    for wrong in ({}, {"size": 1}, {"sha256": "0" * 64, "size": -1}, {"sha256": "F" * 64, "size": 1}):
        yield f"the entry {wrong}", listing({"x": wrong}), MANIFEST, "manifest"
    yield "a file that is not there", listing({"x.py": entry}), "x.py", "missing"


def files() -> Iterator[Bad]:
    """Files that were changed after they were signed."""
    yield from bits()
    for path, content in plugin().files.items():
        yield f"{path} longer", changed(path, content + b"\n"), path, "size"
        if path != "plugin.json":
            yield f"{path} taken away", changed(path, None), path, "missing"
    for path in ("more.py", "plugin/__init__.py", "vendor/x/__init__.py", ".pluginignore", "inner/plugin.json"):
        yield f"{path} added", changed(path, b"x = 1\n"), path, "unlisted"


def envelopes() -> Iterator[Bad]:
    """Envelopes that are none, or not of this."""
    for what, options, rule in (
        ("made for git", {"namespace": b"git"}, "namespace"), ("made for nothing", {"namespace": b""}, "namespace"),
        ("of a later format", {"namespace": b"revproxy-plugin@v2"}, "namespace"),
        ("with SHA-1", {"hashName": b"sha1"}, "hash"), ("with MD5", {"hashName": b"md5"}, "hash"),
        ("of another message", {"of": b"x"}, "signature"), ("without a signature", {"signature": b""}, "signature"),
        ("of another version", {"version": b"\0\0\0\2"}, "envelope"), ("with more", {"after": b"x"}, "envelope"),
        ("with what is reserved", {"reserved": b"x"}, "envelope"),
        ("of a key that is not ours, which says it is", {"by": sshKey(number=9), "key": sshKey().blob}, "signature"),
        ("of nobody", {"by": sshKey(number=9)}, "signer"), ("of a key that is none", {"key": b"x"}, "signer"),
        ("by RSA with SHA-1", {"by": sshKey("ssh-rsa"), "algorithm": b"ssh-rsa"}, "signature"),
    ):  # fmt: skip
        yield what, sealed(**options), SSHSIG, rule
    untouched = Key(SECURITY)
    untouched.private, untouched.flags = sshKey(SECURITY).private, 0
    yield "by a key that nobody touched", sealed(by=untouched), SSHSIG, "touch"
    good = signed()
    before = b"x\n" + good.signature[SSHSIG]
    for what, data in (("empty", b""), ("text", b"signed by alice"), ("with text before", before)):
        yield what, replace(good, signature={**good.signature, SSHSIG: data}), SSHSIG, "envelope"
    yield "of another plugin", replace(good, signature=signed(plugin("helge")).signature), "plugin.json", "sha256"
    yield "that was there before", replace(plugin(revision=4), signature=good.signature), "plugin.json", "sha256"
    yield "alone", replace(good, signature={SSHSIG: good.signature[SSHSIG]}), MANIFEST, "unsigned"
    yield "missing", replace(good, signature={MANIFEST: good.signature[MANIFEST]}), MANIFEST, "unsigned"
    yield "missing, and the manifest, too", plugin(), MANIFEST, "unsigned"


def minisigs() -> Iterator[Bad]:
    """The same of minisign."""
    manifest = manifestOf(plugin())
    commented = minisigned(manifest, comment="x").replace(b": x", b": revproxy-plugin@v1")
    for what, data, rule in (
        ("of another message", minisigned(b"x"), "signature"),
        ("of nobody", minisigned(manifest, key=minisignKey(9)), "signer"),
        ("made for something else", minisigned(manifest, comment="timestamp:1\tfile:x"), "namespace"),
        ("whose comment was changed", commented, "signature"),
        ("of the old kind", minisigned(manifest, prehash=False), "hash"), ("nothing", b"", "envelope"),
        ("cut", minisigned(manifest)[:-40], "envelope"), ("with more", minisigned(manifest) * 2, "envelope"),
    ):  # fmt: skip
        yield f"minisign: {what}", replace(plugin(), signature={MANIFEST: manifest, MINISIG: data}), MINISIG, rule
    good = signed()
    both = replace(good, signature={**good.signature, MINISIG: minisigned(b"x")})
    yield "a broken one beside a good one", both, MINISIG, "signature"


def signers() -> Iterator[Bad]:
    """Rightly signed, by somebody whose word does not count for it."""
    yield "out of scope", signed(key=sshKey(number=2)), SSHSIG, "scope"
    yield "out of scope, of minisign", signedByMinisign(plugin("other-x")), MINISIG, "scope"
    yield "too late", signed(key=sshKey(number=3)), SSHSIG, "expired"
    yield "by a key that was revoked", signed(key=sshKey(number=4)), SSHSIG, "revoked"
    yield "a version that was revoked", signed(plugin(revision=9)), MANIFEST, "revoked"
    yield "a lower revision", signed(plugin(revision=1)), "plugin.json", "downgrade"


GROUPS: tuple[Callable[[], Iterator[Bad]], ...] = (manifests, paths, files, envelopes, minisigs, signers)


class BytesTests(SynchronousTestCase):
    """What is in memory."""

    def test_good(self) -> None:
        """What all of them are made of is trusted."""
        for bundle, name in (
            (signed(), "alice"), (sealed(), "alice"), (stating(), "alice"), (listing({}), "alice"),
            (changed("plugin.py", plugin().files["plugin.py"]), "alice"), (signed(plugin(revision=2)), "alice"),
            (signedByMinisign(), "mini"), (signed(key=sshKey(SECURITY)), "key"),
            (signed(key=sshKey("ssh-rsa")), "rsa"), (signed(plugin("other-x"), sshKey(number=2)), "other"),
        ):  # fmt: skip
            self.assertEqual(judged(bundle).signer, name)

    def test_bad(self) -> None:
        """Each is refused, by the file and the rule that are wrong."""
        cases = [case for group in GROUPS for case in group()]
        wrong = [(what, file, rule, said) for what, bundle, file, rule in cases
                 if (said := self.said(bundle)) != (file, rule)]
        self.assertEqual(wrong, [])
        self.assertGreaterEqual(len(cases), 60)
        self.assertEqual(len({what for what, *_ in cases}), len(cases))

    def test_beforeOrNot(self) -> None:
        """All of them but the one that came too late are refused as well where the time does not matter."""
        wrong = [what for group in GROUPS for what, bundle, *_ in group()
                 if not self.said(bundle, now=None)[1]]
        self.assertEqual(wrong, ["too late"])

    def said(self, bundle: Bundle, **options: Any) -> tuple[str, str]:
        """File and rule of the refusal; of what is trusted, the signer."""
        try:
            return judged(bundle, **options).signer, ""
        except Untrusted as refusal:
            return refusal.file, refusal.rule


class FolderTests(SynchronousTestCase):
    """What is on the disk."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "hello"
        self.write(signed())

    def write(self, bundle: Bundle) -> None:
        """A folder, with its signature."""
        for path, content in {**bundle.files, **bundle.signature}.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(content)

    def said(self) -> tuple[str, str]:
        """File and rule of the refusal; where the folder cannot be read, what is wrong there."""
        try:
            return judged(readBundle(self.folder)).signer, ""
        except Untrusted as refusal:
            return refusal.file, refusal.rule
        except ConfigErrors as errors:
            problem = errors.problems[0]
            return str(Path(problem.source).relative_to(self.folder)), problem.message

    def test_bad(self) -> None:
        """Links, pipes, huge files, twins, byte code, machine code: whatever is put into the folder."""
        link, special, large = "is a symbolic link", "is neither a file nor a folder", "more than the 16777216 bytes"
        twin = self.folder / "Plugin.py"
        cases: tuple[tuple[str, Callable[[Path], Any], str], ...] = (
            ("plugin.py", lambda path: self.instead(path, lambda: path.symlink_to("inner/a.py")), link),
            ("inner/a.py", lambda path: self.instead(path, lambda: path.symlink_to("/etc/passwd")), link),
            ("more", lambda path: path.symlink_to("/etc"), link),
            ("more.py", os.mkfifo, special),
            ("plugin.py", lambda path: self.instead(path, lambda: os.mkfifo(path)), special),
            ("more.bin", lambda path: self.sparse(path), large),
            ("plugin.py", lambda path: self.sparse(path), large),
            ("more.so", lambda path: path.write_bytes(b"\x7fELF"), "is machine code"),
            (twin.name, lambda path: path.write_bytes(b""), "unlisted"),
            ("plugin/__init__.py", lambda path: (path.parent.mkdir(), path.write_bytes(b"")), "unlisted"),
            (".pluginignore", lambda path: path.write_bytes(b"inner/\n"), "unlisted"),
            ("inner/plugin.manifest.json", lambda path: path.write_bytes(b"{}"), "unlisted"),
            (MANIFEST, lambda path: self.instead(path, lambda: path.symlink_to("plugin.json")), link),
            (SSHSIG, lambda path: self.instead(path, lambda: os.mkfifo(path)), "is no plain file"),
            (MANIFEST, lambda path: self.sparse(path), "more than 1048576 bytes"),
            (SSHSIG, lambda path: self.sparse(path), "more than 16384 bytes"),
            (MINISIG, lambda path: path.write_bytes(b"x"), "envelope"),
            (MINISIG, lambda path: path.mkdir(), "is no plain file"),
            (MANIFEST, lambda path: path.unlink(), "unsigned"),
            ("inner/a.py", lambda path: path.unlink(), "missing"),
        )
        for file, change, rule in cases:
            self.assertEqual(self.said(), ("alice", ""))
            change(self.folder / file)
            found, said = self.said()
            self.assertEqual(found, file, (rule, said))
            self.assertIn(rule, said, file)
            self.setUp()

    @staticmethod
    def instead(path: Path, make: Callable[[], Any]) -> None:
        """Something in the place of a file."""
        path.unlink()
        make()

    @staticmethod
    def sparse(path: Path) -> None:
        """Ten gigabytes, and nothing in them."""
        path.touch()
        os.truncate(path, 10 << 30)

    def test_passedOver(self) -> None:
        """What is passed over is not signed, and does not matter: never read, never run, never kept."""
        for path in ("__pycache__/plugin.cpython-311.pyc", ".hidden", "plugin.py~", "README.md", "docs/a.md"):
            (self.folder / path).parent.mkdir(exist_ok=True)
            (self.folder / path).write_bytes(b"\0")
        (self.folder / ".link").symlink_to("/etc/passwd")
        os.mkfifo(self.folder / "pipe.tmp")
        self.assertEqual(self.said(), ("alice", ""))
        bundle = readBundle(self.folder)
        self.assertEqual(bundle.files, plugin().files)
