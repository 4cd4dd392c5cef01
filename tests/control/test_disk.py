"""Threads for a disk that may never answer."""

from __future__ import annotations

import threading

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.trial.unittest import TestCase

from revproxy.control.disk import DaemonThreads


class DaemonThreadTests(TestCase):
    """`DaemonThreads`, with the reactor."""

    def run_(self, function: object, *arguments: object) -> Deferred[object]:
        return deferToThreadPool(reactor, DaemonThreads(), function, *arguments)

    async def test_result(self) -> None:
        """What the function gives, or raises, comes back; it runs in a thread that keeps no process from ending."""
        isDaemon, name = await self.run_(lambda: (threading.current_thread().daemon, threading.current_thread().name))
        self.assertTrue(isDaemon)
        self.assertNotEqual(name, threading.current_thread().name)
        self.assertEqual(await self.run_(divmod, 7, 2), (3, 1))
        with self.assertRaises(ZeroDivisionError):
            await self.run_(divmod, 7, 0)
