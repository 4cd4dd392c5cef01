"""
Recordings as files.
"""

from __future__ import annotations

import io
import json

from twisted.trial.unittest import SynchronousTestCase

from revproxy.replay.corpus import (
    CorpusError,
    CorpusReader,
    End,
    Header,
    endLine,
    headerLine,
    linesOf,
    requestLine,
)
from revproxy.replay.recordedrequest import RecordedRequest
from tests.replay.recordings import call, pluginCall, request

HEADER = Header("r-1", 1_800_000_000.0, "1.0", ("shop",), 0.01)
END = End(1_800_000_600.0, "the time is over", 2, 3)


def read(data: bytes) -> tuple[CorpusReader, list[RecordedRequest]]:
    """All that is in a file."""
    file = io.BytesIO(data)
    file.name = "r-1.jsonl"
    reader = CorpusReader("r-1.jsonl", linesOf(file))
    return reader, list(reader)


class CorpusTests(SynchronousTestCase):
    """What is written, and read again."""

    def setUp(self) -> None:
        self.requests = [request(), request(pluginCall(call(id="r-2", body=b"\xff\x00")))]
        self.whole = headerLine(HEADER) + b"".join(map(requestLine, self.requests)) + endLine(END)

    def test_whole(self) -> None:
        """All comes back: header, requests, end."""
        reader, found = read(self.whole)
        self.assertEqual(found, self.requests)
        self.assertEqual((reader.header.routes, reader.header.share), (("shop",), 0.01))
        self.assertEqual((reader.end, reader.cut), (END, ""))

    def test_firstLine(self) -> None:
        """It says what the file is."""
        first = json.loads(self.whole.partition(b"\n")[0])
        self.assertEqual((first["format"], first["version"], first["name"]), ("revproxy-recording", 1, "r-1"))

    def test_cutInALine(self) -> None:
        """What is before the cut is good, and the cut is told with its place."""
        for length in (len(self.whole) - 1, len(self.whole) - len(endLine(END)) - 5):
            reader, found = read(self.whole[:length])
            self.assertEqual(found, self.requests[: len(found)])
            self.assertIn("cut off", reader.cut)
            self.assertIsNone(reader.end)
        self.assertEqual(reader.cut, "r-1.jsonl:3: the last line is cut off, and passed over")

    def test_cutBetweenLines(self) -> None:
        """Without its end nobody knows whether it is whole."""
        reader, found = read(self.whole[: -len(endLine(END))])
        self.assertEqual(found, self.requests)
        self.assertIn("does not say how it ended", reader.cut)

    def test_nothingOfOurs(self) -> None:
        """Another file is refused at its first line."""
        for data in (b"", b"[]\n", b'{"a": 1}\n', b"\xff\n", b'{"name": "x", "begun": 1}\n'):
            error = self.assertRaises(CorpusError, read, data)
            self.assertIn("r-1.jsonl:1: it is no recording", str(error))

    def test_newerVersion(self) -> None:
        """What a later revproxy has written, and this one cannot read, says so."""
        later = headerLine(HEADER).replace(b'"version":1', b'"version":2')
        error = self.assertRaises(CorpusError, read, later)
        self.assertEqual(str(error), "r-1.jsonl:1: it is of version 2, and this revproxy reads up to 1")

    def test_damaged(self) -> None:
        """A line in the midst that is none names itself."""
        lines = self.whole.splitlines(True)
        for bad, told in (
            (b"{}\n", "there is no id"), (b"nonsense\n", "JSON"), (b"[1]\n", "no JSON object"),
            (b'{"id": 7, "at": 1, "route": "", "calls": [], "origin": null, "status": 1}\n', "Expected `str`"),
            (b'{"id": "", "at": 1, "route": "", "calls": [7], "origin": null, "status": 1}\n', "no object"),
            (b'{"id": "", "at": 1, "route": "", "calls": [{"plugin": "p", "version": "", "digest": "", "call": {"phase'
             b'": "handle", "method": "\xe2\x82\xac"}}], "origin": null, "status": 1}\n', "latin-1"),
        ):  # fmt: skip
            error = self.assertRaises(CorpusError, read, b"".join([lines[0], bad, *lines[2:]]))
            self.assertIn("r-1.jsonl:2: it is no recorded request:", str(error))
            self.assertIn(told, str(error))

    def test_afterTheEnd(self) -> None:
        """Nothing comes after the end."""
        error = self.assertRaises(CorpusError, read, self.whole + requestLine(self.requests[0]))
        self.assertIn("r-1.jsonl:5: there is more", str(error))

    def test_longLine(self) -> None:
        """One without end does not fill the memory."""
        file = io.BytesIO(b"x" * 100)
        file.name = "r"
        error = self.assertRaises(CorpusError, list, linesOf(file, 10))
        self.assertEqual(str(error), "r:1: a line has more than 10 bytes")
