"""
Versions that did not come through their steps do not come by themselves, whatever becomes of the plugin meanwhile.
"""

from __future__ import annotations

import shutil

from revproxy.control.steering import Asker
from tests.control.rolloutcase import RolloutCase


class HeldBackTests(RolloutCase):
    """
    1.0.0 runs; 2.0.0 is in the folder.
    """

    def setUp(self) -> None:
        super().setUp()
        self.save("2.0.0")
        self.folder = self.bench.plugins / "a"
        self.aside = self.bench.plugins.parent / "aside"

    def switch(self, isOn: bool) -> None:
        """As a person does."""
        steering = self.bench.control.steering
        self.bench.result((steering.enable if isOn else steering.disable)(Asker(), "a"))
        self.settle()

    def move(self) -> None:
        """The folder goes, and comes again."""
        shutil.move(self.folder, self.aside)
        self.bench.apply()
        self.assertEqual(self.runs(), "")
        shutil.move(self.aside, self.folder)
        self.bench.apply()
        self.settle()

    def assertOut(self) -> None:
        """What ran before runs, and it is said why."""
        self.assertEqual((self.runs(), self.bench.seen()), ("1.0.0", ["a 1.0.0"]))
        self.assertIn("`revproxy rollout a start` tries it again", self.bench.failure("a"))

    def test_switchedOff(self) -> None:
        """
        When its plugin is switched off and on, what ran before runs.
        """
        self.do("abort")
        self.switch(False)
        self.bench.apply()
        self.assertEqual(self.runs(), "")
        self.switch(True)
        self.assertOut()

    def test_configuredOff(self) -> None:
        """
        So it is when the configuration does that.
        """
        self.do("abort")
        extra = "plugins: {directory: plugins, config: {a: %s}}"
        self.bench.configure(extra=extra % "false")
        self.bench.apply()
        self.assertEqual(self.runs(), "")
        self.bench.configure(extra=extra % "true")
        self.bench.apply()
        self.assertOut()

    def test_folderAway(self) -> None:
        """
        When its folder goes and comes again, what ran before runs, out of the store.
        """
        self.do("abort")
        self.move()
        self.assertOut()
        self.bench.apply()
        self.assertOut()
        self.do("start")
        self.assertEqual(self.state(), "shadow")

    def test_restartedOff(self) -> None:
        """
        So it is when the edge was restarted while the plugin was off.
        """
        self.do("abort")
        self.switch(False)
        self.restart()
        self.assertEqual(self.runs(), "")
        self.switch(True)
        self.assertOut()

    def test_nothingStored(self) -> None:
        """
        Where nothing that ran before can be had, nothing of it runs, and it is said what to type.
        """
        self.do("abort")
        shutil.move(self.folder, self.aside)
        self.bench.apply()
        for path in (self.bench.root / "var").rglob("plugin.py"):
            path.unlink()
        shutil.move(self.aside, self.folder)
        self.bench.apply()
        self.assertEqual(self.runs(), "")
        self.assertIn("`revproxy pin a 2.0.0`", self.bench.failure("a"))

    def test_onTrial(self) -> None:
        """
        A version on trial whose plugin is switched off, or its folder moved, is not what runs after that.
        """
        self.switch(False)
        self.assertEqual((self.state(), self.runs()), ("aborted", ""))
        self.bench.apply()
        self.switch(True)
        self.assertOut()
        self.do("start")
        self.assertEqual(self.state(), "shadow")
        self.move()
        self.assertOut()

    def test_savedWhileOff(self) -> None:
        """
        Nor is what was saved meanwhile: what ran runs, and that takes its steps.
        """
        self.switch(False)
        self.save("3.0.0")
        self.switch(True)
        self.assertEqual((self.runs(), self.view()["candidate"]["version"], self.state()), ("1.0.0", "3.0.0", "shadow"))

    def test_wanted(self) -> None:
        """
        Whoever pins it has it.
        """
        self.do("abort")
        self.switch(False)
        self.bench.result(self.bench.control.steering.pin(Asker(), "a", "2.0.0"))
        self.switch(True)
        self.assertEqual(self.runs(), "2.0.0")
