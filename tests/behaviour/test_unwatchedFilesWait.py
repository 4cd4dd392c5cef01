"""``plugins.watch: false``: what is written waits for ``revproxy reload``, whatever else happens meanwhile."""

from __future__ import annotations

import shutil

from revproxy.control.changes import ChangeRequest
from tests.control.test_coordinator import LifecycleCase, code

UNWATCHED = "plugins: {directory: plugins, watch: false, config: CONFIG}\n"

FAILING = code(body="    def handle(self, context): raise ValueError('v')")


class UnwatchedTests(LifecycleCase):
    """With two plugins."""

    def setUp(self) -> None:
        super().setUp()
        self.configure()
        self.bench.write("a")
        self.bench.write("b")
        self.bench.start()

    def configure(self, config: str = "{}", watch: bool = False, routes: str = "[{respond: {}}]") -> None:
        text = UNWATCHED.replace("CONFIG", config)
        self.bench.configure(routes, text if not watch else text.replace("watch: false", "watch: true"))

    def test_waits(self) -> None:
        """A plugin and the configuration; the command takes both up, and says what it refuses."""
        self.bench.write("a", version="2.0.0")
        self.configure("{b: false}")
        self.assertEqual(self.apply().text, ())
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "b 1.0.0"])
        self.call("reload")
        self.assertEqual(self.bench.seen(), ["a 2.0.0"])
        self.bench.write("a", "1 / 0", version="3.0.0")
        self.apply()
        self.assertEqual(self.bench.failure("a"), "")
        self.assertIn("ZeroDivisionError", self.call("reload")["refused"][0]["message"])
        self.bench.write("a", version="4.0.0")
        self.apply()
        self.assertIn("ZeroDivisionError", self.bench.failure("a"))
        self.call("reload")
        self.assertEqual((self.bench.seen(), self.bench.failure("a")), (["a 4.0.0"], ""))

    def test_commands(self) -> None:
        """Other commands do what they say, and take up nothing besides."""
        self.bench.write("a", version="2.0.0")
        self.bench.write("c")
        shutil.rmtree(self.bench.plugins / "b")
        for command, seen in (("disable", ["b 1.0.0"]), ("enable", ["a 1.0.0", "b 1.0.0"])):
            self.call(command, name="a")
            self.assertEqual(self.bench.seen(), seen)
        self.call("reload")
        self.assertEqual(self.bench.seen(), ["a 2.0.0", "c 1.0.0"])
        self.bench.write("a", version="3.0.0")
        self.call("rollback", name="a")
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "c 1.0.0"])
        self.apply()
        self.call("unpin", name="a")
        self.assertEqual(self.bench.seen(), ["a 2.0.0", "c 1.0.0"])

    def test_refusedConfiguration(self) -> None:
        """A file that was refused stays refused until the next command, and what runs is not touched."""
        self.bench.file.write_text("nonsense: 1\n")
        self.assertTrue(self.call("reload")["refused"])
        self.configure("{b: false}")
        self.apply()
        self.call("disable", name="a")
        self.assertEqual(self.bench.seen(), ["b 1.0.0"])
        self.assertEqual(self.call("reload")["refused"], [])
        self.assertEqual(self.bench.seen(), [])

    def test_switched(self) -> None:
        """It is a key like all others: it holds once it is read."""
        self.configure(watch=True)
        self.bench.write("a", version="2.0.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 1.0.0", "b 1.0.0"])
        self.call("reload")
        self.bench.write("a", version="3.0.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 3.0.0", "b 1.0.0"])
        self.configure()
        self.apply()
        self.bench.write("a", version="4.0.0")
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 3.0.0", "b 1.0.0"])
        self.apply(ChangeRequest(reads=True))
        self.assertEqual(self.bench.seen(), ["a 4.0.0", "b 1.0.0"])
