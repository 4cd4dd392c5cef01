"""
What is taken out of recordings.
"""

from __future__ import annotations

import re
from base64 import b64encode
from time import process_time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.headers import Headers
from revproxy.replay.corpusredaction import redacted
from revproxy.replay.corpustext import recordText
from revproxy.replay.recordedcall import RecordedCall, RecordedExchange, RecordedResponse
from revproxy.replay.recordedrequest import RecordedRequest
from revproxy.replay.redactionrules import Redaction
from revproxy.replay.secretsearch import NotRedacted
from revproxy.replay.watchedfields import watched
from revproxy.secrets import hide
from tests.replay.recordings import call, outcome, pluginCall, replaced, request

KEY = b"k" * 32
STAND_IN = re.compile(rb"redacted-[0-9a-f]{12}")


def head(*pairs: tuple[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    """Fields."""
    return tuple((name.encode(), value.encode()) for name, value in pairs)


class RedactionTests(SynchronousTestCase):
    """By the usual rules."""

    def of(self, made: RecordedRequest, **more: Any) -> RecordedRequest:
        return redacted(made, Redaction(KEY, **more))

    def call(self, more: dict[str, Any] | None = None, **members: Any) -> RecordedCall:
        """A call, redacted. :param more: of the rules."""
        return self.of(request(pluginCall(call(**members))), **(more or {})).calls[0].call

    def value(self, name: str, value: str, **more: Any) -> bytes:
        """A field, redacted."""
        return self.call(more, headers=head((name, value))).headers[0][1]

    def test_nothing(self) -> None:
        """What has no secret is as it was."""
        fields = head(("accept", "*/*"), ("x-trace", "abcdefgh"))
        plain = request(pluginCall(call(target=b"/a?b=c&page=2", headers=fields, body=b'{"name": "x", "n": 12}')))
        self.assertEqual(self.of(plain), plain)

    def test_credentials(self) -> None:
        """The scheme stays, the credentials do not; the same ones have the same stand-in."""
        found = self.value("Authorization", "Bearer abcdef123456")
        self.assertRegex(found, rb"\ABearer redacted-[0-9a-f]{12}\Z")
        self.assertEqual(self.value("Authorization", "Bearer abcdef123456"), found)
        self.assertNotEqual(self.value("Authorization", "Bearer abcdef123457"), found)
        of = call(headers=head(("Authorization", "Bearer abcdef123456")))
        self.assertNotEqual(redacted(request(pluginCall(of)), Redaction(b"other")).calls[0].call.headers[0][1], found)

    def test_names(self) -> None:
        """Fields whose names say what they are."""
        for name in ("X-Api-Key", "X-Auth-Token", "Proxy-Authorization", "Client-Secret"):
            self.assertRegex(self.value(name, "opensesame"), rb"\Aredacted-[0-9a-f]{12}\Z", name)

    def test_cookies(self) -> None:
        """Names and attributes stay, values do not."""
        sent = self.value("Cookie", "a=1; session=abcdefgh")
        self.assertRegex(sent, rb"\Aa=redacted-\w{12}; session=redacted-\w{12}\Z")
        set_ = self.value("Set-Cookie", "session=abcdefgh; Path=/; HttpOnly")
        self.assertRegex(set_, rb"\Asession=redacted-\w{12}; Path=/; HttpOnly\Z")

    def test_cut(self) -> None:
        """A secret that the end of what is kept of a body cuts in two is taken out as far as it is there."""
        for body in (b'{"a": 1, "token": "opensesa', b'{"token": "opensesa\\', b"a=1&token=opensesa"):
            made = self.call(body=body, isWhole=False).body or b""
            self.assertNotIn(b"opensesa", made)
            self.assertIn(b"token", made)

    def test_shortNumbers(self) -> None:
        """A number stays a number of as many digits."""
        made = self.call(body=b'{"pin": 1234, "price": 1234}').body or b""
        self.assertRegex(made, rb'\A{"pin": [1-9]{4}, "price": 1234}\Z')
        self.assertNotIn(b'"pin": 1234', made)

    def test_queries(self) -> None:
        """Of the target, of what it refers to, of what plugins have asked others."""
        made = self.call(
            target=b"/a?page=2&token=abcdefgh#x", headers=head(("referer", "https://a/?q=1&sig=qrstuvwx")),
            told=(RecordedExchange("GET", "http://auth/?api_key=ijklmnop&u=7", 200, (), b""),),
        )  # fmt: skip
        self.assertRegex(made.target, rb"\A/a\?page=2&token=redacted-\w{12}#x\Z")
        self.assertRegex(made.headers[0][1], rb"\Ahttps://a/\?q=1&sig=redacted-\w{12}\Z")
        self.assertRegex(made.told[0].url, r"\Ahttp://auth/\?api_key=redacted-\w{12}&u=7\Z")

    def test_bodies(self) -> None:
        """JSON, also where it is cut off, and forms; the rest of it stays octet by octet."""
        body = b'{ "user":"ada",\n "password" : "correct \\"horse", "deep": {"apiKey": ["abcdefgh", "short"]}}'
        made = self.call(body=body).body or b""
        self.assertTrue(made.startswith(b'{ "user":"ada",\n "password" : "redacted-'), made)
        self.assertNotIn(b"horse", made)
        self.assertNotIn(b"abcdefgh", made)
        cut = self.call(body=b'{"a": 1, "password": "correct horse", "b": "xy', isWhole=False).body or b""
        self.assertRegex(cut, rb'\A{"a": 1, "password": "redacted-\w{12}", "b": "xy\Z')
        form = self.call(body=b"user=ada&password=horse&x=1").body or b""
        self.assertRegex(form, rb"\Auser=ada&password=redacted-\w{12}&x=1\Z")

    def test_values(self) -> None:
        """What plugins leave each other, and log."""
        of = call(values={"user": {"id": 7, "token": "abcdefgh"}})
        made = self.of(request(pluginCall(of, outcome(of, fields={"password": "x", "tenant": "a"})))).calls[0]
        self.assertEqual(made.call.values["user"]["id"], 7)
        self.assertRegex(made.call.values["user"]["token"], r"\Aredacted-\w{12}\Z")
        self.assertEqual(made.outcome.values, made.call.values)
        self.assertRegex(made.outcome.fields["password"], r"\Aredacted-\w{12}\Z")
        self.assertEqual(made.outcome.fields["tenant"], "a")

    def test_elsewhere(self) -> None:
        """A secret that a plugin has put into another field is found there, too, and in what it answers."""
        of = call(headers=head(("Authorization", "Bearer abcdef123456")))
        did = outcome(of, headers=head(("x-user", "is abcdef123456!")), response=RecordedResponse(
            200, head(("x-echo", "abcdef123456")), b"you sent abcdef123456"))  # fmt: skip
        made = self.of(request(pluginCall(of, did), origin=RecordedResponse(200, (), b"abcdef123456")))
        self.assertNotIn(b"abcdef123456", recordText(made))
        stand = made.calls[0].call.headers[0][1].rpartition(b" ")[2]
        self.assertEqual(made.calls[0].outcome.headers, head(("x-user", f"is {stand.decode()}!")))

    def test_basic(self) -> None:
        """A password is not behind base64 either."""
        credentials = b64encode(b"ada:correct-horse").decode()
        of = call(headers=head(("Authorization", f"Basic {credentials}")), values={"asked": "correct-horse"})
        written = recordText(self.of(request(pluginCall(of))))
        self.assertNotIn(b"correct-horse", written)
        self.assertNotIn(credentials.encode(), written)

    def test_changedBodies(self) -> None:
        """What a plugin has made of a body that was redacted cannot be held against anything."""
        of = call(body=b'{"password": "horse-horse"}')
        did = outcome(of, bodyDigest="d" * 64)
        self.assertIn("redacted", self.of(request(pluginCall(of, did))).calls[0].outcome.incomparable)
        same = call(body=b'{"pass_": "horse-horse"}')
        made = self.of(request(pluginCall(same, outcome(same, bodyDigest="d" * 64))))
        self.assertEqual(made.calls[0].outcome.incomparable, "")

    def test_hidden(self) -> None:
        """What the configuration has as a secret is hidden wherever it is."""
        hide("of-the-configuration")
        self.assertEqual(self.value("x-upstream", "of-the-configuration"), b"***")

    def test_asked(self) -> None:
        """Names may be added, and taken off."""
        self.assertRegex(self.value("X-Tenant", "abc", names=["x-tenant"]), rb"\Aredacted-\w{12}\Z")
        self.assertEqual(self.value("Authorization", "Bearer abc", kept=["Authorization"]), b"Bearer abc")
        self.assertRegex(self.value("Cookie", "ab=1; sid=2", kept=["ab"]), rb"\Aab=1; sid=\w+")
        kept = self.value("Cookie", "ab=1; session=xyz", kept=["cookie"])
        self.assertRegex(kept, rb"\Aab=1; session=redacted-\w{12}\Z")

    def test_clients(self) -> None:
        """Addresses have stand-ins where that is asked for: the same for the same, wherever they are."""
        more = {"hidesClients": True}
        members: dict[str, Any] = {
            "peer": ("203.0.113.9", 4711), "headers": head(("X-Forwarded-For", "203.0.113.9, 2a00::17")),
            "values": {"seen": "203.0.113.9"},
        }  # fmt: skip
        made = self.call(more, **members)
        self.assertRegex(made.peer[0], r"\A198\.1[89]\.\d+\.\d+\Z")
        self.assertEqual(made.values["seen"], made.peer[0])
        self.assertRegex(made.headers[0][1], rb"\A198\.1[89]\.\d+\.\d+, 2001:db8::[0-9a-f:]+\Z")
        self.assertEqual(self.call(**members).peer[0], "203.0.113.9")

    def test_twice(self) -> None:
        """What is redacted stays as it is when it is redacted again."""
        once = self.of(request(pluginCall(call(
            target=b"/?token=abcdefgh", headers=head(("Authorization", "Bearer abcdefgh"), ("Cookie", "a=bcdefghi")),
        ))))  # fmt: skip
        self.assertEqual(self.of(once), once)

    def test_tooMany(self) -> None:
        """One with hundreds of secrets is not kept: to look for all of them would take too long."""
        body = b"&".join(b"token=abcdefgh%d" % number for number in range(257))
        self.assertRaises(NotRedacted, self.call, body=body)

    def test_hostile(self) -> None:
        """What is long and odd takes no longer than what is long."""
        for made in (b" " * 60000, b'"' * 60000, b'{"' + b"\\" * 60000, b"{" + b'"a":' * 20000, b"?=&" * 20000):
            started = process_time()
            self.call(body=made, target=made, headers=((b"cookie", made), (b"authorization", made)))
            self.assertLess(process_time() - started, 1.0)

    def test_anything(self) -> None:
        """Whatever comes is written, and what is under the name of a secret is not in it."""
        octets = st.binary(max_size=30)

        @given(octets, octets, octets, octets, st.text("abcdefgh ij:=;&", min_size=8))
        def isWritten(target: bytes, name: bytes, value: bytes, body: bytes, secret: str) -> None:
            key = secret.strip().encode() or b"abcdefgh"
            of = call(target=target, headers=((name, value), (b"X-Api-Key", key)), body=body)
            made = self.of(request(pluginCall(of)))
            recordText(made)
            self.assertTrue(STAND_IN.search(made.calls[0].call.headers[1][1]))

        isWritten()


class WatchedTests(SynchronousTestCase):
    """Whether a plugin has looked at what was taken out."""

    def test_seen(self) -> None:
        """It is told when it is looked at, however that is done; and of the others nothing."""
        seen: list[str] = []
        sent = "redacted-0123456789ab"
        fields = head(("Accept", "*/*"), ("Authorization", f"Bearer {sent}"), ("Cookie", f"a={sent}"))
        headers = Headers([(name.lower(), name, value) for name, value in watched(fields, seen.append)])
        headers.get("accept")
        self.assertEqual(seen, [])
        self.assertEqual(headers.get("Authorization"), "Bearer redacted-0123456789ab")
        self.assertEqual(headers.getAll("cookie"), ["a=redacted-0123456789ab"])
        self.assertEqual(seen, ["authorization", "cookie"])

    def test_equal(self) -> None:
        """Otherwise they are the same octets."""
        fields = head(("Authorization", "Bearer redacted-0123456789ab"),)
        self.assertEqual(watched(fields, lambda name: None), fields)
        self.assertEqual(replaced(call(), headers=watched(fields, lambda name: None)), call(headers=fields))
