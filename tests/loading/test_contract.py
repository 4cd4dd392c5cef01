"""What an entry point may return: declared, complete, and nothing that would never be called."""

from __future__ import annotations

from revproxy.loading.loader import instantiate
from tests.loading.test_loader import GOOD, LoaderTestCase, manifest


class MiddlewareTests(LoaderTestCase):
    """`verifyMiddleware`, as `instantiate` calls it."""

    def test_nothing(self) -> None:
        """What is no middleware is refused by what it is."""
        self.assertIn("PluginMain returned nothing", str(self.refused("def PluginMain(config): pass\n")))
        self.assertIn("PluginMain returned 5, which does not provide IMiddleware",
                      str(self.refused("def PluginMain(config): return 5\n")))
        self.assertIn("PluginMain returned the class Middleware; return an instance",
                      str(self.refused(GOOD.replace("return Middleware(config)", "return Middleware"))))

    def test_undeclared(self) -> None:
        """A class that has ``handle`` and declares nothing is told what to write."""
        error = self.refused(GOOD.replace("@implementer(IMiddleware)", ""))
        self.assertEqual(error.message, "plugin.Middleware has handle but does not declare IMiddleware; "
                         "write @implementer(IMiddleware) above its class")

    def test_incomplete(self) -> None:
        """Missing members and methods that take the wrong arguments are named."""
        error = self.refused(GOOD.replace('name = "p"', "pass").replace("self, context", "self"))
        self.assertIn("plugin.Middleware does not fulfil IMiddleware: ", error.message)
        self.assertIn('it has no name; write name = "…" in the class', error.message)
        self.assertIn("handle does not take what it is given; write def handle(self, context)", error.message)
        self.assertRegex(self.refused(GOOD.replace("self, context", "self")).where, r"plugin\.py:\d+$")
        self.assertIn("it has no handle; write def handle(self, context)",
                      self.refused(GOOD.replace("def handle", "def handl")).message)
        for text in (GOOD.replace('name = "p"', "pass"), GOOD.replace("self, context", "self")):
            self.assertNotIn("<", self.refused(text).message, "addresses and private names tell nobody anything")

    def test_companions(self) -> None:
        """Declared companions are verified too."""
        both = GOOD.replace("import IMiddleware", "import *").replace("(IMiddleware)", "(IMiddleware, ILifecycle)")
        self.assertIn("does not fulfil ILifecycle", self.refused(both).message)
        sound = both.replace("    def handle", "    def start(self): pass\n    def stop(self): pass\n    def handle")
        self.assertEqual(instantiate(self.load(sound), manifest(), {}).name, "p")

    def test_companionNobodyWouldCall(self) -> None:
        """A companion's methods without its declaration would silently do nothing: refused, with what to write."""
        text = GOOD.replace("    def handle", "    def handleResponse(self, context): pass\n    def handle")
        self.assertEqual(self.refused(text).message, "plugin.Middleware has handleResponse but does not declare "
                         "IResponseMiddleware, so it would never be called; write "
                         "@implementer(IMiddleware, IResponseMiddleware)")
