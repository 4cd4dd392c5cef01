"""When what happens is over."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.watch.settling import Settling


class SettlingTests(SynchronousTestCase):
    """`Settling`: a quarter of a second, eight at the longest."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.quiet: list[float] = []
        self.settling = Settling(self.clock, lambda: self.quiet.append(self.clock.seconds()), 0.25, 8.0)

    def test_course(self) -> None:
        """It is due from the first event until the end, and under way until it is quiet."""
        courses = [(self.settling.isDue, self.settling.isUnderWay)]
        self.settling.begin()
        courses.append((self.settling.isDue, self.settling.isUnderWay))
        self.clock.advance(0.25)
        courses.append((self.settling.isDue, self.settling.isUnderWay))
        self.settling.end()
        courses.append((self.settling.isDue, self.settling.isUnderWay))
        self.assertEqual(courses, [(False, False), (True, True), (True, False), (False, False)])
        self.assertEqual(self.quiet, [0.25])

    def test_anew(self) -> None:
        """Each event begins the wait anew, in the end in vain."""
        for _ in range(63):
            self.settling.begin()
            self.clock.advance(0.125)
        self.assertEqual(self.quiet, [])
        self.assertFalse(self.settling.isOverdue)
        self.settling.begin()
        self.clock.advance(0.125)
        self.assertEqual(self.quiet, [8.0])
        self.assertTrue(self.settling.isOverdue)

    def test_endMeanwhile(self) -> None:
        """What happened before the end, and is waited for, is due after it, with all the time there is."""
        self.settling.begin()
        self.clock.advance(0.25)
        self.settling.begin()
        self.settling.end()
        self.assertTrue(self.settling.isDue)
        self.clock.advance(0.25)
        self.assertEqual(self.quiet, [0.25, 0.5])

    def test_open(self) -> None:
        """A file that is being written is waited for, until it is closed."""
        self.settling.note({"/a": True, "/b": False})
        self.settling.begin()
        self.clock.advance(1)
        self.assertEqual(self.quiet, [])
        self.settling.note({"/a": False})
        self.settling.begin()
        self.clock.advance(0.25)
        self.assertEqual(self.quiet, [1.25])

    def test_neverClosed(self) -> None:
        """One that is never closed is waited for no longer than anything is."""
        self.settling.note({"/a": True})
        self.settling.begin()
        self.clock.pump([0.25, 7.5])
        self.assertEqual(self.quiet, [])
        self.clock.advance(0.25)
        self.assertEqual(self.quiet, [8.0])

    def test_openInAFolder(self) -> None:
        """Of a folder that something became of, the files that are gone are waited for no more; others are."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        there, gone = folder / "there", folder / "gone"
        there.touch()
        self.settling.note({str(there): True, str(gone): True, f"{folder}x": True})
        self.settling.note({str(folder): False})
        self.assertEqual(set(self.settling.open), {str(there), f"{folder}x"})

    def test_stop(self) -> None:
        """After the end nothing is called."""
        self.settling.begin()
        self.settling.stop()
        self.clock.advance(10)
        self.assertEqual((self.quiet, self.clock.getDelayedCalls()), ([], []))

    def test_otherTime(self) -> None:
        """Another time holds from the next event on."""
        self.settling.begin()
        self.settling.settle = 1.0
        self.clock.advance(0.25)
        self.settling.begin()
        self.clock.advance(0.75)
        self.assertEqual(self.quiet, [0.25])
        self.clock.advance(0.25)
        self.assertEqual(self.quiet, [0.25, 1.25])
