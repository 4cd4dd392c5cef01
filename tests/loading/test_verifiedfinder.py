"""Modules from bytes that were compared."""

from __future__ import annotations

import importlib
import py_compile
from typing import Any

from revproxy.loading.verifiedfinder import serve
from tests.installing import ACME, InstallingCase


class VerifiedFinderTests(InstallingCase):
    """The distribution of a drop-in is served from memory."""

    def setUp(self) -> None:
        super().setUp()
        self.install()

    def serve(self) -> None:
        serve(self.site, ACME, {"acme"})

    def test_bytes(self) -> None:
        """What is on disk by then does not matter, nor does bytecode."""
        self.serve()
        stamp = self.site / "acme" / "stamp.py"
        stamp.write_text("raise SystemExit('evil')")
        py_compile.compile(str(stamp), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        module: Any = importlib.import_module("acme.stamp")
        self.assertEqual(module.Stamp.name, "acme")
        self.assertEqual(module.__file__, str(stamp))

    def test_unlisted(self) -> None:
        """In a package that is its own, what was not installed is not there."""
        self.serve()
        (self.site / "acme" / "extra.py").write_text("raise SystemExit('evil')")
        importlib.invalidate_caches()
        self.assertRaises(ModuleNotFoundError, importlib.import_module, "acme.extra")

    def test_others(self) -> None:
        """Everything else is found as ever."""
        self.serve()
        self.assertEqual(importlib.import_module("wsgiref.headers").__name__, "wsgiref.headers")

    def test_early(self) -> None:
        """What was imported before is not what was compared."""
        importlib.import_module("acme.stamp")
        error = self.assertRaises(ImportError, self.serve)
        self.assertIn("acme was imported before", str(error))
