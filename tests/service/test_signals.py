"""Signals, in this process; with an edge in one of its own in test_service."""

from __future__ import annotations

import os
import pty
import signal
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from revproxy.service import signals
from revproxy.service.signals import EarlySignals, Signals, Terminal


class ReactorDouble:
    """Notes what is to be called in its thread."""

    def __init__(self) -> None:
        self.asked: list[Callable[[], object]] = []

    def callFromThread(self, function: Callable[[], object]) -> None:
        self.asked.append(function)


class SignalTests(SynchronousTestCase):
    """`Signals`."""

    def setUp(self) -> None:
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))
        self.before: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, frame: self.before.append(number))
        self.reactor = ReactorDouble()
        self.signals = Signals(self.reactor)

    def test_heed(self) -> None:
        """Each time that it comes the reactor is asked to call, and who heeded it before is called, too."""
        self.signals.heed(signal.SIGUSR1, len)
        for _ in range(3):
            signal.raise_signal(signal.SIGUSR1)
        self.assertEqual((self.reactor.asked, self.before), ([len] * 3, [signal.SIGUSR1] * 3))

    def test_ignored(self) -> None:
        """One that was ignored before is heeded all the same."""
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        self.signals.heed(signal.SIGUSR1, len)
        signal.raise_signal(signal.SIGUSR1)
        self.assertEqual(self.reactor.asked, [len])

    def test_restore(self) -> None:
        """Afterwards all is as it was."""
        known = signal.getsignal(signal.SIGUSR1)
        self.signals.heed(signal.SIGUSR1, len)
        self.signals.restore()
        self.assertIs(signal.getsignal(signal.SIGUSR1), known)
        signal.raise_signal(signal.SIGUSR1)
        self.assertEqual((self.reactor.asked, len(self.before)), ([], 1))


class TerminalTests(SynchronousTestCase):
    """`Terminal`."""

    def setUp(self) -> None:
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.ours, theirs = pty.openpty()
        self.addCleanup(os.close, theirs)
        self.patch(signals, "_isTerminal", lambda: os.isatty(theirs))

    def test_gone(self) -> None:
        """It is gone once it was hung up, not before."""
        terminal = Terminal()
        self.assertFalse(terminal.isGone)
        os.close(self.ours)
        self.assertTrue(terminal.isGone)

    def test_never(self) -> None:
        """Where there was none, or its end was to be ignored, none is ever gone."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        ignored = Terminal()
        os.close(self.ours)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.assertEqual((ignored.isGone, Terminal().isGone), (False, False))


class EarlySignalsTests(SynchronousTestCase):
    """`EarlySignals`."""

    def setUp(self) -> None:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.ends: list[int] = []
        self.patch(os, "_exit", self.ends.append)
        self.hasTerminal = True
        self.patch(signals, "_isTerminal", lambda: self.hasTerminal)

    def test_early(self) -> None:
        """What asks for the end ends the process, with 0; nothing else does anything."""
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        EarlySignals(signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGUSR1)
        self.assertEqual(self.ends, [])
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        self.assertEqual(self.ends, [0, 0])
        self.hasTerminal = False
        signal.raise_signal(signal.SIGHUP)
        self.assertEqual(self.ends, [0, 0, 0])

    def test_ignored(self) -> None:
        """What was ignored by whoever has started us stays so."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        EarlySignals(signal.SIGHUP)
        self.assertIs(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)

    def test_over(self) -> None:
        """Once the edge heeds a signal, and the reactor SIGINT, they do what those do."""
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        early = EarlySignals(signal.SIGHUP, signal.SIGINT)
        reactor = ReactorDouble()
        Signals(reactor).heed(signal.SIGHUP, len)
        early.handOver()
        self.hasTerminal = False
        signal.raise_signal(signal.SIGHUP)
        self.assertEqual((self.ends, reactor.asked), ([], [len]))
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)
