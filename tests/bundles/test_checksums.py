"""The checksums beside a kept version."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import makeBundle
from revproxy.bundles.checksums import formatSums, parseSums, sumsOf
from tests.tools import needs

FILES = {"plugin.json": b"{}", "a/b c.txt": b"", "back\\slash": b"1", "line\nbreak": b"2", "ret\rurn": b"3", "ä": b"4"}

NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=8)


class ChecksumTests(SynchronousTestCase):
    """`formatSums`, `sumsOf` and `parseSums`."""

    @needs("sha256sum")
    def test_tool(self) -> None:
        """``sha256sum --check`` understands the lines, whatever names the files have."""
        bundle = makeBundle("x", FILES)
        folder = Path(self.mktemp())
        for path, content in FILES.items():
            file = folder / bundle.digest / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        (folder / "sums").write_bytes(formatSums(bundle))
        command = ["sha256sum", "--check", "--strict", "sums"]
        checked = subprocess.run(command, cwd=folder, capture_output=True, timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertEqual(checked.stdout.count(b"OK"), len(FILES))

    @given(st.dictionaries(NAMES, st.binary(max_size=4), max_size=4))
    @settings(max_examples=60, deadline=None)
    def test_back(self, files: dict[str, bytes]) -> None:
        """What was written is read again."""
        bundle = makeBundle("x", files)
        self.assertEqual(parseSums(formatSums(bundle), bundle.digest), sumsOf(files))

    def test_damaged(self) -> None:
        """Lines that are none are passed over, and what cannot be decoded is no error."""
        self.assertEqual(parseSums(b"\n\\\nx\n\xff  d/a\n", "d"), {"a": "\ufffd"})
