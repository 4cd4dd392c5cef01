"""The lock file."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.lockfile import (
    LockedDistribution,
    LockedPlugin,
    LockedVersion,
    LockFile,
    formatLock,
    parseLock,
)
from revproxy.config.problems import ConfigErrors

A, B = "a" * 64, "b" * 64

_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
_digests = st.text("0123456789abcdef", min_size=64, max_size=64)
_versions = st.builds(LockedVersion, _texts, _digests, st.just("alice"), st.just("SHA256:x")) | st.builds(
    LockedVersion, _texts, _digests
)


class LockFileTests(SynchronousTestCase):
    """What is written is read."""

    def test_format(self) -> None:
        """It is for people: one thing a line, in the order of names, so that a difference is small."""
        lock = LockFile(
            {
                "quota": LockedPlugin(LockedVersion("1.3.0", A, "alice", "SHA256:x"), (LockedVersion("1.2.0", B),)),
                "auth": LockedPlugin(LockedVersion("2.0", B)),
            },
            {"acme-revproxy": LockedDistribution("2.1.0", A)},
        )
        self.assertEqual(formatLock(lock).splitlines()[2:], [
            "plugins:",
            "  auth:",
            '    version: "2.0"',
            f'    digest: "sha256:{B}"',
            "  quota:",
            '    version: "1.3.0"',
            f'    digest: "sha256:{A}"',
            '    signer: "alice"',
            '    key: "SHA256:x"',
            "    earlier:",
            f'      - {{version: "1.2.0", digest: "sha256:{B}"}}',
            "distributions:",
            f'  acme-revproxy: {{version: "2.1.0", record: "sha256:{A}"}}',
        ])
        self.assertEqual(parseLock(formatLock(lock), "plugins.lock"), lock)

    @given(st.dictionaries(_texts, st.builds(LockedPlugin, _versions), max_size=4))
    def test_any(self, plugins: dict[str, LockedPlugin]) -> None:
        """Whatever names and versions are, it is read as it was written."""
        self.assertEqual(parseLock(formatLock(LockFile(plugins)), "plugins.lock").plugins, plugins)

    def test_empty(self) -> None:
        """An empty file lets nothing run."""
        self.assertEqual(parseLock("", "plugins.lock"), LockFile())

    def test_refused(self) -> None:
        """What is wrong is told with its line."""
        for text, place in (
            ("plugins: {a: {version: '1'}}", "1:11"),
            (f"plugins:\n  a: {{version: '1', digest: {A}}}", "2:21"),
            ("plugins: []", "1:1"),
            ("plugin: {}", "1:1"),
            (f"plugins:\n  a: {{version: 1, digest: 'sha256:{A}'}}", "2:7"),
            (f"plugins:\n  a:\n    version: '1'\n    digest: sha256:{A}\n    earlier:\n"
             f"      - {{version: '1', digest: sha256:{A}}}", "2:3"),
            ("distributions: {a: {version: '1', record: x}}", "1:35"),
        ):
            errors = self.assertRaises(ConfigErrors, parseLock, text, "plugins.lock")
            self.assertIn(f"plugins.lock:{place}: ", str(errors), text)

    def test_find(self) -> None:
        """A version that may run is found by its digest."""
        plugin = LockedPlugin(LockedVersion("2", A), (LockedVersion("1", B),))
        self.assertEqual(plugin.find(B), LockedVersion("1", B))
        self.assertIsNone(plugin.find("c" * 64))
        self.assertIsNone(plugin.find(None))
