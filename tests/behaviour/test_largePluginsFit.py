"""How large a plugin may be, vendored libraries included, is for revproxy.yaml to say."""

from __future__ import annotations

from revproxy.bundles.bundle import LARGEST, MAX_BYTES
from revproxy.cli.preflight import preflight
from revproxy.config.configfile import parseConfig
from revproxy.config.problems import ConfigErrors
from revproxy.config.settings import PluginsConfig
from tests.witnesses import WitnessCase


class BoundTests(WitnessCase):
    """`plugins.max_bytes`."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bound(65536)
        self.bench.start()

    def bound(self, most: int) -> None:
        self.bench.configure(extra=f"plugins: {{directory: plugins, max_bytes: {most}}}\n")

    def grow(self, size: int, version: str) -> None:
        folder = self.bench.write("a", version=version)
        (folder / "vendor").mkdir(exist_ok=True)
        (folder / "vendor" / "big.txt").write_bytes(b"x" * size)

    def test_default(self) -> None:
        """Where nothing is said, it is what it always was."""
        self.assertEqual(PluginsConfig().maxBytes, MAX_BYTES)

    def test_refused(self) -> None:
        """What is larger is refused with the key's name, and what runs goes on."""
        self.grow(70_000, "2.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])
        big = self.bench.plugins / "a" / "vendor" / "big.txt"
        message = f"{big}: the plugin has more than the 65536 bytes of plugins.max_bytes"
        self.assertEqual(self.bench.failure("a"), message)

    def test_raised(self) -> None:
        """A larger bound takes effect with the same change; with a lower one again, what runs goes on."""
        self.grow(MAX_BYTES, "2.0")
        self.bound(2 * MAX_BYTES)
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 2.0"])
        self.bound(65536)
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 2.0"])
        self.assertIn("the 65536 bytes of plugins.max_bytes", self.bench.failure("a"))

    def test_stored(self) -> None:
        """A version that was within the bound is had from the store, whatever the bound is now."""
        self.grow(MAX_BYTES, "2.0")
        self.bound(2 * MAX_BYTES)
        self.apply()
        self.bench.write("a", "1 / 0", version="3.0")
        self.bound(65536)
        self.restart()
        self.assertEqual(self.bench.seen(), ["a 2.0"])

    def test_preflight(self) -> None:
        """``revproxy check`` knows the bound."""
        self.grow(70_000, "2.0")
        config = parseConfig(self.bench.file.read_text(), str(self.bench.file), self.bench.root)
        self.assertIn("plugins.max_bytes", str(self.assertRaises(ConfigErrors, preflight, config, ())))
        self.bound(80_000)
        preflight(parseConfig(self.bench.file.read_text(), str(self.bench.file), self.bench.root), ())

    def test_bounds(self) -> None:
        """Of the bound itself."""
        for most in (65535, LARGEST + 1):
            self.bound(most)
            with self.assertRaises(ConfigErrors) as caught:
                parseConfig(self.bench.file.read_text(), str(self.bench.file), self.bench.root)
            self.assertIn("max_bytes", str(caught.exception))
