"""Heads that are acceptable, and written to cost more than they do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http1 import heads as framing
from revproxy.dataplane.http1 import requesthead
from revproxy.dataplane.http1.requesthead import parseRequestHead
from revproxy.errors import BadRequest, EdgeError


def get(*fields: bytes, host: bytes = b"x") -> bytes:
    return b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


class RepetitionTests(SynchronousTestCase):
    """What is said a thousand times is done once: 32 KB took two seconds."""

    def test_upgrade(self) -> None:
        """The offers are read once."""
        asked: list[bytes] = []

        def offered(upgrade: bytes) -> bytes:
            asked.append(upgrade)
            return b"websocket"

        self.patch(requesthead, "_offered", offered)
        head = parseRequestHead(get(b"Connection: " + b"Upgrade, " * 1000, b"Upgrade: websocket"), 100)
        self.assertEqual(head.upgrade, b"websocket")
        self.assertEqual(len(asked), 1)

    def test_fields(self) -> None:
        """Every field that is named goes, no other."""
        names = b",".join(b"X-%d" % index for index in range(0, 2000, 2))
        fields = [b"X-%d: 1" % index for index in range(50)]
        head = parseRequestHead(get(b"Connection: " + names, *fields), 100)
        self.assertEqual([name for _, name, _ in head.fields], [b"Host", *(b"X-%d" % i for i in range(1, 50, 2))])


class RememberedTests(SynchronousTestCase):
    """What strangers write is remembered only if it is short: caches are bounded in bytes, not only in entries."""

    def test_lists(self) -> None:
        """Long lists are read anew each time."""
        before = framing._rememberedMembers.cache_info().currsize
        parseRequestHead(get(b"Connection: " + b"a" * 1000 + b", b"), 100)
        self.assertEqual(framing._rememberedMembers.cache_info().currsize, before)

    def test_hosts(self) -> None:
        """A host longer than a name can be is none."""
        longest = b".".join([b"a" * 63] * 4)
        self.assertEqual(parseRequestHead(get(host=longest + b":65535"), 100).hostname, longest)
        self.assertRaises(BadRequest, parseRequestHead, get(host=b"a" * 262), 100)


class CauseTests(SynchronousTestCase):
    """Why a head was refused goes to the log, which strangers are not to fill."""

    def test_short(self) -> None:
        """Whatever is quoted of it is cut, and printable."""
        much = b"\x9b\x01" * 16000
        letters = b"x" * 32000
        heads = [
            *(b"GET / HTTP/1" + one + b"\r\nHost: x\r\n\r\n" for one in (much, letters, b".1" + much, b".1" + letters)),
            *(one + b" / HTTP/1.1\r\nHost: x\r\n\r\n" for one in (much, letters)),
            *(b"GET /" + one + b" HTTP/1.1\r\nHost: x\r\n\r\n" for one in (much, b"#" + letters)),
            *(get(name + b": " + value) for value in (much, b"\xff" * 32000, letters)
              for name in (b"Transfer-Encoding", b"Content-Length", b"Expect", b"Host", b"X")),
            *(get(host=value) for value in (much, b"\xff" * 32000, letters)),
            *(get(one + b": x") for one in (much, b"Host", b"Content-Length" * 2000)),
            get(b"Connection: " + b"host," * 6000),
        ]
        refused = 0
        for head in heads:
            try:
                parseRequestHead(head, 100)
            except EdgeError as error:
                refused += 1
                self.assertLess(len(str(error)), 200)
                self.assertTrue(str(error).isprintable(), str(error))
        self.assertGreater(refused, 20)
