"""
Tests for `revproxy.dataplane.accessline`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy import secrets
from revproxy.dataplane.accessline import LINE_LIMIT, formatCombined, formatJSON
from revproxy.requestrecord import RequestRecord
from revproxy.secrets import hide

STARTED = 1795385582.25
"2026-11-22 22:13:02.250 UTC."


def record(**changes: Any) -> RequestRecord:
    """
    A record of an ordinary request, with some fields changed.
    """
    fields: dict[str, Any] = {
        "startedAt": STARTED,
        "duration": 0.0125,
        "id": "a1b2",
        "peer": "192.0.2.7",
        "method": b"GET",
        "target": b"/items?page=2",
        "host": b"shop.example.com",
        "version": "1.1",
        "scheme": "https",
        "status": 200,
    }
    return RequestRecord(**{**fields, **changes})


class JSONFormatTests(SynchronousTestCase):
    """
    One JSON object per line.
    """

    def test_fields(self) -> None:
        """
        Every field of a record appears under its key.
        """
        line = formatJSON(
            [
                record(
                    bytesIn=5,
                    bytesOut=1234,
                    route="shop/items",
                    upstream="http://127.0.0.1:9000",
                    upstreamSeconds=0.011,
                    interruptedBy="auth",
                    pluginErrors=("tenancy",),
                    pluginsSkipped=("bot-rules",),
                    error="client left",
                    userAgent=b"curl/8",
                    referer=b"https://example.com/",
                )
            ]
        )
        self.assertEqual(
            json.loads(line),
            {
                "time": "2026-11-22T22:13:02.250Z",
                "id": "a1b2",
                "peer": "192.0.2.7",
                "method": "GET",
                "scheme": "https",
                "host": "shop.example.com",
                "target": "/items?page=2",
                "version": "1.1",
                "status": 200,
                "bytes_in": 5,
                "bytes_out": 1234,
                "duration_us": 12500,
                "route": "shop/items",
                "upstream": "http://127.0.0.1:9000",
                "upstream_us": 11000,
                "interrupted_by": "auth",
                "plugin_errors": ["tenancy"],
                "plugins_skipped": ["bot-rules"],
                "error": "client left",
                "user_agent": "curl/8",
                "referer": "https://example.com/",
            },
        )

    def test_pluginsFields(self) -> None:
        """
        What plugins have added is an object of its own, without control characters; without any there is none.
        """
        fields: dict[str, Any] = {"tenant": 'a"\x1b\x9b\n', "cached": True, "rows": 5, "share": 0.5, "user": None}
        (line,) = formatJSON([record(fields=fields)]).splitlines()
        self.assertEqual(json.loads(line)["fields"], fields)
        self.assertTrue(line.isascii() and line.decode().isprintable())
        self.assertNotIn(b"fields", formatJSON([record(fields={}), record()]))
        self.assertEqual(formatCombined([record(fields=fields)]), formatCombined([record()]))

    def test_secrets(self) -> None:
        """
        A secret that a plugin has put into the target, for the origin, is not for whoever reads the log.
        """
        hide("Agrajag/7:8")
        entry = record(target=b"/items?key=Agrajag%2F7%3A8&page=2")
        for line in (formatJSON([entry]), formatCombined([entry])):
            self.assertIn(b"/items?key=***&page=2", line)

    def test_unknownIsLeftOut(self) -> None:
        """
        What is empty takes no room in the line.
        """
        self.assertNotIn("upstream_us", json.loads(formatJSON([record()])))

    def test_surrogate(self) -> None:
        """
        A string that is no text costs neither its own line nor the next one.
        """
        first, second = map(json.loads, formatJSON([record(error="\ud800", route="a"), record()]).splitlines())
        self.assertEqual((first["error"], first["route"], second["id"]), ("\\ud800", "a", "a1b2"))

    @given(st.binary(), st.binary(), st.binary())
    def test_anyBytes(self, target: bytes, host: bytes, agent: bytes) -> None:
        """
        Whatever a client sends, there is one line, and it reads back as what was sent.
        """
        out = formatJSON([record(target=target, host=host, userAgent=agent)])
        self.assertEqual(out.count(b"\n"), 1)
        line = json.loads(out)
        self.assertEqual(
            [line.get(key, "").encode("latin-1") for key in ("target", "host", "user_agent")],
            [target, host, agent],
        )


class CombinedFormatTests(SynchronousTestCase):
    """
    The format that existing log tools read.
    """

    def test_line(self) -> None:
        """
        Address, time, request line, status, size, referer, agent.
        """
        self.assertEqual(
            formatCombined([record(bytesOut=1234, userAgent=b"curl/8")]),
            b'192.0.2.7 - - [22/Nov/2026:22:13:02 +0000] "GET /items?page=2 HTTP/1.1" 200 1234 "-" "curl/8"\n',
        )

    def test_noAddress(self) -> None:
        """
        Clients that come by a Unix socket have none; the field is there all the same.
        """
        self.assertTrue(formatCombined([record(peer="")]).startswith(b"- - - ["))

    def test_forgery(self) -> None:
        """
        Line ends, quotes, backslashes, controls and bytes beyond ASCII are written as hexadecimal escapes.
        """
        out = formatCombined([record(userAgent=b'x" 200\r\n1.2.3.4 \\ \x1b[2J \xff')])
        self.assertTrue(out.endswith(b'"x\\x22 200\\x0d\\x0a1.2.3.4 \\x5c \\x1b[2J \\xff"\n'), out)

    @given(st.binary(), st.binary(), st.binary(), st.text())
    def test_anyBytes(self, target: bytes, referer: bytes, agent: bytes, peer: str) -> None:
        """
        Whatever a client sends, there is one line of printable ASCII with six quotes.
        """
        out = formatCombined([record(target=target, referer=referer, userAgent=agent, peer=peer)])
        self.assertTrue(re.fullmatch(rb"[ -~]*\n", out), out)
        self.assertEqual(out.count(b'"'), 6)


HOSTILE = "\x00\x1b\x7f\x80\x9b\xff\"\\"
"Each takes its room in a line, up to six bytes."


def hostileRecords() -> list[RequestRecord]:
    """
    Records in which everything that a stranger, an origin or a plugin has a say in is as long as can be, and longer.
    """
    wire = HOSTILE.encode("latin-1") * 8192
    text = HOSTILE * 8192
    names = tuple(f"plugin-{number:04d}" for number in range(4000))
    return [
        record(target=wire, host=wire, method=wire, version=text, userAgent=wire, referer=wire, peer=text, id=text,
               route=text, upstream=text, interruptedBy=text, error=text, pluginErrors=names, pluginsSkipped=names,
               fields={f"n{number}": "\x7f" * 256 for number in range(16)}),
        *(record(target=char * 40000, userAgent=char * 40000) for char in (b"\0", b"A", b"\x7f", b"\x9b", b"\xff")),
        record(error="\ud800" * 40000),
        record(error="\U0001f600" * 40000),
    ]


class BoundTests(SynchronousTestCase):
    """
    A line has an end, whatever was sent.
    """

    def setUp(self) -> None:
        # Other tests have secrets of many letters.
        self.patch(secrets, "_hidden", secrets.Hidden())

    def test_everyLine(self) -> None:
        """
        No line is longer than the limit, of either format; the lines around it are as they were.
        """
        for format in (formatJSON, formatCombined):
            usual = format([record()])
            for hostile in hostileRecords():
                first, cut, last = format([record(), hostile, record()]).splitlines(keepends=True)
                self.assertEqual((first, last), (usual, usual))
                self.assertLessEqual(len(cut), LINE_LIMIT)

    def test_marked(self) -> None:
        """
        What was cut says how long it was, and the line names what was cut: the target is not the only one.
        """
        line = json.loads(formatJSON([record(target=b"/" + b"a" * 20000, host=b"h" * 600, error="e" * 100)]))
        self.assertEqual(line["target"], "/" + "a" * 8191 + "\u2026(20001 characters)")
        self.assertEqual(line["host"], "h" * 512 + "\u2026(600 characters)")
        self.assertEqual((line["error"], line["cut"]), ("e" * 100, ["host", "target"]))
        line = json.loads(formatJSON([record(error="e" * 20000, pluginErrors=("p",) * 3000)]))
        self.assertEqual(line["plugin_errors"][-1], "\u2026(3000 plugins)")
        self.assertEqual(line["cut"], ["plugin_errors", "error"])
        line = json.loads(formatJSON([record(error="e" * 20000, fields={"a": 1, "b": "c" * 500, "d": 2})]))
        self.assertEqual((line["fields"], line["cut"]), ({"a": 1}, ["error", "fields"]))
        line = json.loads(formatJSON([record(error="e" * 20000, fields={"a": 1, "b": "c"})]))
        self.assertEqual((line["fields"], line["cut"]), ({"a": 1, "b": "c"}, ["error"]))
        combined = formatCombined([record(target=b"/" + b"a" * 20000)])
        self.assertIn(b'"GET /' + b"a" * 8191 + b'...(20001 bytes) HTTP/1.1" 200', combined)

    def test_whole(self) -> None:
        """
        A target of 15 KB fits into a line, and is whole.
        """
        target = b"/" + b"a" * 15000
        line = json.loads(formatJSON([record(target=target)]))
        self.assertEqual((line["target"], "cut" in line), (target.decode(), False))
        self.assertIn(target + b" HTTP/1.1", formatCombined([record(target=target)]))

    def test_edge(self) -> None:
        """
        A line of just the limit is whole, one more byte is too many; the other lines of a batch change nothing.
        """
        room = LINE_LIMIT - len(formatJSON([record(target=b"")]))
        fits, over = (record(target=b"a" * length) for length in (room, room + 1))
        self.assertEqual(len(formatJSON([fits])), LINE_LIMIT)
        for batch in ([fits], [fits] * 3, [record()] * 100 + [fits] + [record()] * 100):
            self.assertNotIn(b'"cut"', formatJSON(batch))
        for batch in ([over], [fits, over, fits], [record()] * 100 + [over] + [record()] * 100):
            self.assertEqual(formatJSON(batch).count(b'"cut"'), 1)


class ControlTests(SynchronousTestCase):
    """
    A line does nothing to the terminal of who reads it.
    """

    def test_controls(self) -> None:
        """
        In JSON, C1 controls and DEL are escaped as others are; what follows them in the same block of Unicode is not.
        """
        for code in (*range(0x20), *range(0x7F, 0xA0)):
            out = formatJSON([record(target=b"/" + bytes([code]), error=chr(code)), record()])
            self.assertEqual(b"".join(re.findall(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", out)), b"", out)
            self.assertEqual(json.loads(out.splitlines()[0])["target"], "/" + chr(code))
        self.assertIn("/\xa0\xe9".encode(), formatJSON([record(target=b"/\xa0\xe9")]))

    def test_backslash(self) -> None:
        """
        A backslash before such a character stays one.
        """
        self.assertEqual(json.loads(formatJSON([record(target=b"\\\x9b\\\x7f")]))["target"], "\\\x9b\\\x7f")
