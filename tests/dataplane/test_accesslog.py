"""
Tests for `revproxy.dataplane.accesslog`.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.accessline import formatCombined
from revproxy.dataplane.accesslog import AccessLog
from tests.dataplane.test_accessline import record


class AccessLogTests(SynchronousTestCase):
    """
    Lines for a sink.
    """

    def setUp(self) -> None:
        self.written: list[bytes] = []

    def test_batch(self) -> None:
        """
        The lines of a batch reach the sink together.
        """
        AccessLog(self.written.append, "json").take([record(id="1"), record(id="2")])
        (lines,) = self.written
        self.assertEqual([json.loads(line)["id"] for line in lines.splitlines()], ["1", "2"])

    def test_unwritable(self) -> None:
        """
        A record that no line can be made of costs its own line, and says so, and not those of others.
        """
        batch = [record(id="1"), record(id="2", interruptedBy=object()), record(id="3")]
        AccessLog(self.written.append, "json").take(batch)
        self.assertEqual([json.loads(line)["id"] for line in b"".join(self.written).splitlines()], ["1", "3"])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_combined(self) -> None:
        """
        The format is chosen by name.
        """
        AccessLog(self.written.append, "combined").take([record()])
        self.assertEqual(self.written, [formatCombined([record()])])
