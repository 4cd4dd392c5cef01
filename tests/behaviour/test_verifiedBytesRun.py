"""The bytes that were verified are the bytes that run, whatever becomes of the files meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import makeBundle
from tests.behaviour.swapping import GOOD
from tests.bundles.signing import signed, sshKey

ROOT = Path(__file__).parents[2]


class SwappedCase(SynchronousTestCase):
    """A signed plugin, and somebody who may write into its folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "hello"
        bundle = signed(makeBundle("hello", GOOD))
        for path, content in {**bundle.files, **bundle.signature}.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(content)
        (self.folder.parent / "key").write_text(sshKey().line)

    def loaded(self, loads: int, how: str, seconds: float) -> dict[str, Any]:
        """What has happened after so many loads of verified bytes."""
        done = subprocess.run([sys.executable, "-m", "tests.behaviour.swapping", self.folder, str(loads), how,
                               str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, check=True)
        seen: dict[str, Any] = json.loads(done.stdout)
        return seen

    def verified(self, loads: int) -> dict[str, Any]:
        """The edge's own way: nothing foreign is compiled, nothing is opened again, nothing foreign runs."""
        seen = self.loaded(loads, "bytes", 1200)
        self.assertEqual({key: seen[key] for key in ("loads", "foreign", "opened", "ran")},
                         {"loads": loads, "foreign": 0, "opened": 0, "ran": 0}, seen)
        self.assertEqual(seen["compiled"], 7 * loads)  # five files, and two packages that have none
        return seen


class SwappedTests(SwappedCase):
    """A hundred loads; three thousand are in tests.thorough."""

    def test_verified(self) -> None:
        """Loads of verified bytes run these and no others; of what the attacker has put there, some is refused."""
        self.verified(100)

    def test_byPath(self) -> None:
        """The same with files that are read again after they were verified: foreign bytes are seen, and run."""
        seen = self.loaded(100, "path", 120)
        self.assertGreater(seen["foreign"], 0, seen)
        self.assertGreater(seen["opened"], 0, seen)
