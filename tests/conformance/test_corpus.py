"""gunicorn's request corpus through the edge, in memory."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.behaviour.pipeline import Pipeline
from tests.conformance.corpus import Entry, entries
from tests.conformance.strict import Reading, readAll


class CorpusTests(SynchronousTestCase):
    """No file misleads the origin."""

    def unsafe(self, bytewise: bool) -> list[str]:
        """The names of the files that do."""
        return [entry.name for entry in entries() if not self.isSafe(entry, bytewise)]

    def isSafe(self, entry: Entry, bytewise: bool) -> bool:
        pipeline = Pipeline()
        client = pipeline.connect()
        (client.sendBytewise if bytewise else client.send)(entry.data)
        pipeline.end()
        got: list[Reading] = []
        for connection in pipeline.origin.connections:
            readings, malformed = readAll(bytes(connection.bytes))
            if malformed:
                return False
            got += readings
        return entry.isSafe(got)

    def test_complete(self) -> None:
        """The corpus is there, and most of what gunicorn calls valid a strict reader can read."""
        every = list(entries())
        self.assertEqual(len(every), 143)
        self.assertGreater(sum(1 for entry in every if entry.readings[0]), 40)

    def test_atOnce(self) -> None:
        """Each file in one piece."""
        self.assertEqual(self.unsafe(bytewise=False), [])

    def test_bytewise(self) -> None:
        """Each file byte by byte."""
        self.assertEqual(self.unsafe(bytewise=True), [])

    def test_notTooStrict(self) -> None:
        """What both gunicorn and a strict reader take for the same requests is passed on."""
        refused = []
        count = 0
        for entry in entries():
            strict, theirs = entry.readings
            if strict and strict == theirs:
                pipeline = Pipeline()
                pipeline.connect().send(entry.data)
                pipeline.end()
                count += 1
                if not pipeline.origin.wholes:
                    refused.append(entry.name)
        self.assertEqual(refused, [])
        self.assertGreater(count, 25)
