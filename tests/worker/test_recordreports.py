"""
Tests for `revproxy.worker.recordreports`: what control is told of requests is bounded, whatever clients send.
"""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.encoding import decode, encode
from revproxy.plan.words import Records
from revproxy.requestrecord import RequestRecord
from revproxy.worker.recordreports import ERROR, METHOD, MOST_BYTES, NAME, NAMES, TARGET, RecordReports
from tests.dataplane.test_accessline import hostileRecords, record

read = msgspec.msgpack.Decoder(list[RequestRecord]).decode


class RecordReportsTests(SynchronousTestCase):
    """
    `RecordReports`.
    """

    def setUp(self) -> None:
        self.told: list[Records] = []
        self.reports = RecordReports(self.told.append)

    def take(self, *batch: RequestRecord) -> list[RequestRecord]:
        """
        What control can read of a batch.
        """
        self.told.clear()
        self.reports.take(list(batch))
        for word in self.told:
            self.assertEqual(decode(encode(word)), word)
            self.assertEqual(word.count, len(read(word.batch)))
        return [entry for word in self.told for entry in read(word.batch)]

    def test_whole(self) -> None:
        """
        All that is known of a request comes over; the values of header fields do not.
        """
        whole = record(fields={"tenant": "shop", "n": 3, "x": None}, generation=7, pool="web", attempts=2)
        (told,) = self.take(whole)
        self.assertEqual(told, msgspec.structs.replace(whole, userAgent=b"", referer=b""))
        (told,) = self.take(record(userAgent=b"me", referer=b"http://secret/"))
        self.assertEqual((told.userAgent, told.referer), (b"", b""))

    def test_bounds(self) -> None:
        """
        Each value that a client or a plugin chooses is cut, by itself.
        """
        long = b"x" * 70_000
        text = long.decode()
        (told,) = self.take(record(
            id=text, peer=text, method=long, target=long, host=long, error=text,
            pluginErrors=("a",) * 100, pluginsSkipped=("b",) * 100,
        ))  # fmt: skip
        self.assertEqual([len(value) for value in (told.id, told.peer, told.host)], [NAME] * 3)
        self.assertEqual((len(told.method), len(told.target), len(told.error or "")), (METHOD, TARGET, ERROR))
        self.assertEqual((len(told.pluginErrors), len(told.pluginsSkipped)), (NAMES, NAMES))
        for alone in ({"target": long}, {"host": long}, {"id": text}, {"method": long}, {"error": text}):
            (told,) = self.take(record(**alone))
            self.assertLess(len(msgspec.msgpack.encode(told)), 3000, alone.keys())

    def test_hostile(self) -> None:
        """
        What breaks lines, terminals and UTF-8 comes over as it is, or escaped.
        """
        self.assertEqual(len(self.take(*hostileRecords())), len(hostileRecords()))

    def test_surrogates(self) -> None:
        """
        Half of a surrogate pair costs nobody a record.
        """
        told = self.take(record(id="1"), record(id="2", error="Odd: \ud800", fields={"a": "\udc00"}), record(id="3"))
        self.assertEqual([(entry.id, entry.error) for entry in told], [("1", None), ("2", "Odd: \\ud800"), ("3", None)])
        self.assertEqual(self.reports.takeLost(), 0)

    def test_unwritable(self) -> None:
        """
        One that cannot be written is counted, said, and costs the others nothing.
        """
        told = self.take(record(id="1"), record(id="2", interruptedBy=object()), record(id="3"))
        self.assertEqual([entry.id for entry in told], ["1", "3"])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertEqual((self.reports.takeLost(), self.reports.takeLost()), (1, 0))
        self.assertEqual(self.told[0].dropped, 1)
        self.take(record())
        self.assertEqual(self.told[0].dropped, 0)

    def test_words(self) -> None:
        """
        No word is larger than so much; the records are in order all the same.
        """
        batch = [record(id=str(number), target=b"/" * TARGET) for number in range(256)]
        self.assertEqual([entry.id for entry in self.take(*batch)], [entry.id for entry in batch])
        self.assertGreater(len(self.told), 1)
        self.assertLessEqual(max(len(word.batch) for word in self.told), MOST_BYTES)

    @given(some.lists(some.builds(
        record,
        id=some.text(some.characters(), max_size=300), method=some.binary(max_size=40),
        target=some.binary(max_size=3000), host=some.binary(max_size=300),
        error=some.none() | some.text(some.characters(), max_size=600),
        fields=some.none() | some.dictionaries(some.text(max_size=9), some.text(some.characters(), max_size=9)),
    ), max_size=8))  # fmt: skip
    @settings(max_examples=60, deadline=None)
    def test_any(self, batch: list[Any]) -> None:
        """
        Any bytes a client sends come over, as many records as there were.
        """
        self.assertEqual(len(self.take(*batch)), len(batch))
