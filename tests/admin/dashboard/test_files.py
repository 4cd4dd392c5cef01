"""The dashboard's files: their size, and that nothing comes from elsewhere or would be refused by the policy."""

from __future__ import annotations

import gzip
import re

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.dashboard.double import FILES

SERVED = (".js", ".css", ".html", ".svg")


class FileTests(SynchronousTestCase):
    """All of them."""

    def setUp(self) -> None:
        self.files = {path: path.read_text() for path in FILES.rglob("*") if path.suffix in SERVED}
        self.own = {path: text for path, text in self.files.items() if path.parent.name != "vendor"}

    def test_size(self) -> None:
        """All that a browser can load is 200 KB at most, as it is sent."""
        self.assertLess(sum(len(gzip.compress(text.encode())) for text in self.files.values()), 200_000)

    def test_nothingFromElsewhere(self) -> None:
        """No file names another host."""
        for path, text in self.own.items():
            hosts = set(re.findall(r"https?://([\w.-]+)", text)) - {"www.w3.org", "shop.example.com"}
            self.assertEqual(hosts, set(), path.name)

    def test_nothingInline(self) -> None:
        """No script, style or handler stands in the page itself."""
        page = (FILES / "index.html").read_text()
        self.assertEqual(re.findall(r"<script(?! (?:type=\"module\" )?src=)|<style|\son\w+=|\sstyle=", page), [])
        for path, text in self.own.items():
            self.assertNotRegex(
                text, r"innerHTML|dangerouslySetInnerHTML|\beval\(|new Function|setAttribute\(\"style", path.name
            )

    def test_preloaded(self) -> None:
        """What is preloaded is there."""
        page = (FILES / "index.html").read_text()
        for name in re.findall(r"(?:href|src)=\"([^\"]+)\"", page):
            self.assertTrue((FILES / name).is_file(), name)
