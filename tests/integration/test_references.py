"""Files that revproxy.yaml refers to, and a process that notices when they are renewed."""

from __future__ import annotations

import os

from tests.service.test_foreground import RunCase


class RenewedTests(RunCase):
    """The answer of a route is what is in a file."""

    def test_noticed(self) -> None:
        """A file that is written, replaced, or a link into a folder that is switched (as in a mounted ConfigMap)."""
        body = self.folder / "body"
        body.write_text("first\n")
        self.write("{$file: body}")
        edge = self.running()
        self.assertEqual(self.answer(), b"first")
        body.write_text("second\n")
        self.until(lambda: self.answer() == b"second", edge.said())
        (self.folder / "new").write_text("third\n")
        (self.folder / "new").rename(body)
        self.until(lambda: self.answer() == b"third", edge.said())
        for number in ("4", "5"):
            (self.folder / f"..{number}").mkdir()
            (self.folder / f"..{number}" / "body").write_text(f"number {number}\n")
        (self.folder / "..data").symlink_to("..4")
        body.unlink()
        body.symlink_to("..data/body")
        self.until(lambda: self.answer() == b"number 4", edge.said())
        (self.folder / "..tmp").symlink_to("..5")
        os.rename(self.folder / "..tmp", self.folder / "..data")
        self.until(lambda: self.answer() == b"number 5", edge.said())
        body.unlink()
        self.until(lambda: "the file body cannot be read" in edge.said(), edge.said())
        self.assertEqual(self.answer(), b"number 5")
        said = self.ended(edge)
        for secret in ("second", "third", "number 5"):
            self.assertNotIn(secret, said)

    def test_missing(self) -> None:
        """A file that is not there when revproxy.yaml begins to refer to it is taken once it comes."""
        (self.folder / "body").write_text("first\n")
        self.write("{$file: body}")
        edge = self.running()
        self.write("{$file: later}")
        self.until(lambda: "the file later cannot be read" in edge.said(), edge.said())
        (self.folder / "later").write_text("it came\n")
        self.until(lambda: self.answer() == b"it came", edge.said())
        self.ended(edge)
