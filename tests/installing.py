"""Distributions that are installed for a test: with drop-ins, and a RECORD."""

from __future__ import annotations

import base64
import hashlib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import revproxy.plugins
from revproxy.loading import verifiedfinder
from revproxy.loading.verifiedfinder import VerifiedFinder

DROPIN = b"""
from revproxy.dropin import DropIn
from acme.stamp import Stamp
acme = DropIn({"name": "acme", "version": "2.1.0"}, Stamp)
"""

STAMP = b"""
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class Stamp:
    name = "acme"
    def __init__(self, config): pass
    def handle(self, context):
        context.values.setdefault("seen", []).append("acme")
        return True
"""

ACME: Mapping[str, bytes] = {"revproxy/plugins/acme.py": DROPIN, "acme/__init__.py": b"", "acme/stamp.py": STAMP}


class InstallingCase(SynchronousTestCase):
    """
    With a folder that Python looks in.

    :ivar site: the folder.
    """

    def setUp(self) -> None:
        super().setUp()
        self.site = Path(self.mktemp()).absolute()
        (self.site / "revproxy" / "plugins").mkdir(parents=True)
        self.patch(sys, "path", [str(self.site), *sys.path])
        self.patch(revproxy.plugins, "__path__", [*revproxy.plugins.__path__, str(self.site / "revproxy" / "plugins")])
        self.patch(verifiedfinder, "FINDER", VerifiedFinder())
        self.patch(sys, "meta_path", list(sys.meta_path))
        before = set(sys.modules)
        self.addCleanup(self._forget, before)
        importlib.invalidate_caches()

    def _forget(self, before: set[str]) -> None:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "acme" or name == "revproxy.plugins.acme":
                del sys.modules[name]
        vars(revproxy.plugins).pop("acme", None)

    def install(self, files: Mapping[str, bytes] = ACME, version: str = "2.1.0", name: str = "Acme_RevProxy") -> Path:
        """As pip does it. :returns: the dist-info."""
        info = self.site / f"{name}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        all_ = {**files, f"{info.name}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()}
        lines = []
        for path, content in all_.items():
            place = self.site / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={digest},{len(content)}\n")
        lines.append(f"{info.name}/RECORD,,\n")
        (info / "RECORD").write_text("".join(lines))
        importlib.invalidate_caches()
        return info
