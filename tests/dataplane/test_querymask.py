"""Tests for `revproxy.dataplane.querymask`: no spelling of a key slips past the mask, and nothing else is touched."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, quote_from_bytes

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.accessline import formatCombined, formatJSON
from revproxy.dataplane.querymask import QueryMask
from tests.dataplane.test_accessline import record

MASK = QueryMask(["token", "Api_Key", "ключ"])
SECRET = b"s3cr3t"


@some.composite
def spelled(draw: some.DrawFn) -> bytes:
    """The key ``token``, as some origin reads it."""
    out = b""
    for code in b"token":
        letter = bytes([code]).upper() if draw(some.booleans()) else bytes([code])
        for _ in range(draw(some.integers(0, 3))):
            letter = quote_from_bytes(letter, safe="").encode() if b"%" in letter else b"%%%02x" % letter[0]
        out += letter
    spaces = draw(some.sampled_from([b"", b"+", b"%20", b"%2520", b"%0A"]))
    return spaces + out + draw(some.sampled_from([b"", b"[]", b"[a]", b"%5B0%5d"]))


class QueryMaskTests(SynchronousTestCase):
    """`QueryMask`."""

    def test_masked(self) -> None:
        """Values of its keys are stars; keys, other values and all the rest stay byte for byte."""
        for target, wanted in (
            (b"/a?token=s3cr3t", b"/a?token=***"),
            (b"/a?x=1&TOKEN=s3cr3t&y=2#token=s3cr3t", b"/a?x=1&TOKEN=***&y=2#token=s3cr3t"),
            (b"/a?token=s3cr3t&token=s3cr3t;token=s3cr3t", b"/a?token=***&token=***;token=***"),
            (b"/a?t%6Fk%65n=s3cr3t", b"/a?t%6Fk%65n=***"),
            (b"/a?token%5B%5D=s3cr3t&token[x]=s3cr3t", b"/a?token%5B%5D=***&token[x]=***"),
            (b"/a?api%5fkey=s3cr3t&API_KEY=s3cr3t", b"/a?api%5fkey=***&API_KEY=***"),
            (b"/a?%D0%BA%D0%BB%D1%8E%D1%87=s3cr3t", b"/a?%D0%BA%D0%BB%D1%8E%D1%87=***"),
            (b"/a;token=s3cr3t/b", b"/a;token=***"),
            (b"http://h/a?token=s3cr3t", b"http://h/a?token=***"),
            (b"/a?token=", b"/a?token=***"),
            (b"/a?token", b"/a?token"),
            (b"/token=x?tokens=1&atoken=2&token2=3&x=token", b"/token=x?tokens=1&atoken=2&token2=3&x=token"),
            (b"/a?q=%zz%&token=s3cr3t", b"/a?q=%zz%&token=***"),
            (b"*", b"*"),
        ):
            self.assertEqual(MASK.masked(target), wanted)

    @given(some.lists(some.tuples(spelled(), some.sampled_from([b"&", b";"])), min_size=1, max_size=5), some.binary())
    def test_spellings(self, keys: list[tuple[bytes, bytes]], besides: bytes) -> None:
        """However it is spelled, and whatever stands before it, the value is not there afterwards."""
        target = b"/?" + besides + b"".join(joint + key + b"=" + SECRET for key, joint in keys)
        self.assertNotIn(SECRET, MASK.masked(target))

    def test_spaces(self) -> None:
        """Spaces before a key are none of it, wherever they are written."""
        mask = QueryMask([" +token"])
        for before in ("", "+", "%20%2520", "++"):
            self.assertEqual(mask.masked(f"/a?{before}token=s3cr3t".encode()), f"/a?{before}token=***".encode())

    @given(some.lists(some.tuples(some.text("abcxyz%+", max_size=5), some.text("abc=%+", max_size=5)), max_size=5))
    def test_others(self, pairs: list[tuple[str, str]]) -> None:
        """Other keys are left alone."""
        target = b"/?" + "&".join(f"{key}={value}" for key, value in pairs).encode()
        self.assertEqual(MASK.masked(target), target)

    def test_lines(self) -> None:
        """Neither format has it, nor does Referer; records without a query are left as they are."""
        batch = [record(target=b"/?token=s3cr3t", referer=b"https://a/?token=s3cr3t&b=c"), record(target=b"/")]
        MASK.take(batch)
        self.assertEqual(json.loads(formatJSON(batch).splitlines()[0])["target"], "/?token=***")
        for line in (formatJSON(batch), formatCombined(batch)):
            self.assertNotIn(SECRET, line)
        self.assertEqual((batch[0].referer, batch[1].target), (b"https://a/?token=***&b=c", b"/"))

    def test_parsed(self) -> None:
        """Whoever parses the query finds the same keys in it."""
        target = b"/?a=1&token=s3cr3t&b=2"
        before, after = (parse_qsl(each.partition(b"?")[2]) for each in (target, MASK.masked(target)))
        self.assertEqual([key for key, _ in before], [key for key, _ in after])
