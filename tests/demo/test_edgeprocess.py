"""
Tests for `revproxy.demo.edgeprocess`.
"""

from __future__ import annotations

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.demo.edgeprocess import EdgeProcess


class ProcessDouble:
    """
    A process that is there, or has just gone.
    """

    def __init__(self, gone: bool = False) -> None:
        self.signals: list[str] = []
        self._gone = gone

    def signalProcess(self, name: str) -> None:
        """
        As of `IProcessTransport`.
        """
        if self._gone:
            raise ProcessExitedAlready
        self.signals.append(name)


class EdgeProcessTests(SynchronousTestCase):
    """
    The edge's process, from our side.
    """

    def test_end(self) -> None:
        """
        It is asked to end, and waited for.
        """
        edge, process = EdgeProcess(), ProcessDouble()
        edge.makeConnection(process)
        ended = edge.end()
        self.assertEqual(process.signals, ["TERM"])
        self.assertNoResult(ended)
        edge.processEnded(Failure(ProcessDone(0)))
        self.assertEqual(self.successResultOf(ended), 0)
        self.assertEqual(self.successResultOf(edge.end()), 0)
        self.assertEqual(process.signals, ["TERM"])

    def test_statuses(self) -> None:
        """
        Its status is what it ended with, or the signal that ended it.
        """
        for reason, status in ((ProcessTerminated(3), 3), (ProcessTerminated(None, 9), -9), (ProcessDone(0), 0)):
            edge = EdgeProcess()
            edge.makeConnection(ProcessDouble())
            ended = edge.ended()
            edge.processEnded(Failure(reason))
            self.assertEqual((edge.status, self.successResultOf(ended)), (status, status))

    def test_gone(self) -> None:
        """
        One that has ended a moment ago is waited for all the same; one that never began has nothing to end.
        """
        edge = EdgeProcess()
        self.assertNoResult(edge.end())
        edge = EdgeProcess()
        edge.makeConnection(ProcessDouble(gone=True))
        ended = edge.end()
        edge.processEnded(Failure(ProcessDone(0)))
        self.assertEqual(self.successResultOf(ended), 0)
