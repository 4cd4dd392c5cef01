"""The end of what does not come back while no reactor runs. The alarm is rung by hand, so nothing takes any time."""

from __future__ import annotations

import signal
import threading

from twisted.trial.unittest import SynchronousTestCase

from revproxy.errors import PluginStalled
from revproxy.worker.guard.timelimit import noLongerThan

LONG = 3600.0


def ring() -> None:
    """What happens in the main thread when the timer is over."""
    signal.raise_signal(signal.SIGALRM)


class TimeLimitTests(SynchronousTestCase):
    """`noLongerThan`."""

    def assertUntouched(self) -> None:
        """Neither the timer nor the signal's handler is anybody's."""
        self.assertEqual(signal.getitimer(signal.ITIMER_REAL), (0.0, 0.0))
        self.assertEqual(signal.getsignal(signal.SIGALRM), signal.SIG_DFL)

    def test_inTime(self) -> None:
        """What comes back in time is not disturbed, and leaves nothing behind."""
        with noLongerThan(LONG):
            seconds, again = signal.getitimer(signal.ITIMER_REAL)
        self.assertTrue(LONG - 60 < seconds <= LONG, seconds)
        self.assertEqual(round(again, 3), 0.1)
        self.assertUntouched()

    def test_late(self) -> None:
        """What does not is ended where it is, with the limit as the reason."""
        reached: list[str] = []

        def hang() -> None:
            reached.append("before")
            ring()
            reached.append("after")

        with self.assertRaises(PluginStalled) as caught, noLongerThan(2.5):
            hang()
        self.assertEqual(str(caught.exception), "it did not come back within 2.5 s")
        self.assertEqual(reached, ["before"])
        self.assertUntouched()

    def test_swallowed(self) -> None:
        """Code that swallows the exception is struck by the next one."""
        struck: list[str] = []

        def stubborn() -> None:
            try:
                ring()
            except BaseException as error:
                struck.append(str(error))
            ring()

        with self.assertRaises(PluginStalled), noLongerThan(LONG):
            stubborn()
        self.assertEqual(len(struck), 1)
        self.assertUntouched()

    def test_raises(self) -> None:
        """What the block raises itself goes on."""
        with self.assertRaises(KeyError), noLongerThan(LONG):
            raise KeyError
        self.assertUntouched()

    def test_taken(self) -> None:
        """Where somebody else uses the signal, that stays so: nothing is bounded."""
        rung: list[int] = []
        self.addCleanup(signal.signal, signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
        with noLongerThan(LONG):
            self.assertEqual(signal.getitimer(signal.ITIMER_REAL), (0.0, 0.0))
            ring()
        self.assertEqual(rung, [signal.SIGALRM])

    def test_otherThread(self) -> None:
        """In another thread nothing is bounded, for no signal comes there."""
        seen: list[object] = []

        def run() -> None:
            with noLongerThan(LONG):
                seen.append((signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        self.assertEqual(seen, [(signal.SIG_DFL, (0.0, 0.0))])
