"""A plugin of our own that goes through all of it before the first fork."""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.frames import Answered, Done, Loaded, Unchanged, Up
from revproxy.isolation.inside import warmup
from revproxy.loading.bundlefinder import finder


class WarmUpTests(SynchronousTestCase):
    """`warmUp`."""

    def test_whole(self) -> None:
        """Nothing of it fails: else it would warm up the wrong things."""
        said: list[Up] = []
        self.patch(warmup, "encode", lambda frame: (said.append(frame), _encode(frame))[1])
        warmup.warmUp()
        kinds = {type(frame).__name__ for frame in said}
        self.assertNotIn("Failed", kinds)
        self.assertNotIn("FailedOutside", kinds)
        self.assertTrue({"Loaded", "Done", "Answered", "ReadBody", "Waiting", "Piece", "Logged"} <= kinds, kinds)
        count = [sum(isinstance(frame, kind) for frame in said) for kind in (Loaded, Done, Answered, Unchanged)]
        self.assertEqual(count, [1, 3, 2 * warmup.REQUESTS, warmup.REQUESTS])

    def test_nothingLeft(self) -> None:
        """No module, and no bundle."""
        warmup.warmUp()
        self.assertEqual([name for name in (*sys.modules, *finder.bundles) if "warmup_" in name], [])


_encode = warmup.encode
