"""What the names of fields decide, in heads of requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http.fieldnames import FORWARDING, FORWARDING_PREFIXES, NOTED, PLAIN, PROXY, isForwarding
from revproxy.dataplane.http1.requesthead import RequestHead, parseRequestHead
from revproxy.dataplane.http1.responsehead import parseResponseHead
from revproxy.headers import TOKEN, isJoined, joined

NAMES = (
    st.text(sorted(chr(octet) for octet in TOKEN), min_size=1, max_size=20).map(str.encode)
    | st.sampled_from([b"X_Forwarded_For", b"x-forwarded_for", b"X.Real.IP", b"Proxy", b"PROXY", b"X-Forwarded-A_B"])
    | st.sampled_from(sorted(FORWARDING | NOTED))
)


def request(*names: bytes, keeps: bool = False) -> RequestHead:
    lines = b"".join(name + b": a\r\n" for name in names)
    return parseRequestHead(b"GET / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n", 100, keeps)


def kept(*names: bytes, keeps: bool = False) -> list[bytes]:
    """The names of the fields that go on, as written."""
    return [name for _, name, _ in request(*names, keeps=keeps).fields[1:]]


class DroppedTests(SynchronousTestCase):
    """Names that go no further than the edge."""

    def test_forwarding(self) -> None:
        """What only a proxy says is set aside: by prefix, and by the published list."""
        names = [prefix + b"anything" for prefix in FORWARDING_PREFIXES] + sorted(FORWARDING)
        for name in names:
            for spelling in (name, name.title(), name.upper()):
                head = request(spelling)
                self.assertEqual(len(head.fields), 1, spelling)
                self.assertEqual(head.forwarding, [(name, spelling, b"a")])

    def test_named(self) -> None:
        """Those that were found to pass."""
        for name in (
            b"X-Forwarded-Prefix", b"X-Forwarded-Scheme", b"X-Forwarded-Protocol", b"X-Forwarded-User",
            b"X-Forwarded-Email", b"X-Forwarded-Client-Cert", b"X-Forwarded-Access-Token", b"X-Forwarded-Path",
            b"X-Forwarded-Uri", b"X-Client-IP", b"True-Client-IP", b"X-Original-URL", b"X-Rewrite-URL", b"Client-Cert",
        ):  # fmt: skip
            self.assertEqual(kept(name), [], name)

    def test_proxy(self) -> None:
        """Nobody may set what CGI makes HTTP_PROXY of; a trusted proxy neither."""
        head = request(b"Proxy", b"proxy", b"PROXY")
        self.assertEqual((len(head.fields), head.forwarding), (1, None))
        self.assertEqual(kept(b"Proxy", keeps=True), [])

    def test_underscores(self) -> None:
        """Names with an underscore, or a dot, which PHP makes one of; values and cookies are another matter."""
        self.assertEqual(kept(b"X_User", b"a_b", b"_", b"_a", b"a_", b"X.User", b"X-Re.mote_User"), [])
        # lighttpd makes one of whatever is no letter and no digit.
        for octet in b"!#$%&'*+.^_`|~":
            self.assertEqual(kept(b"X%cUser" % octet, b"%c" % octet), [], octet)
        head = parseRequestHead(b"GET /a_b HTTP/1.1\r\nHost: x\r\nCookie: a_b=c.d\r\nA: b_c\r\n\r\n", 100)
        self.assertEqual([value for _, _, value in head.fields[1:]], [b"a_b=c.d", b"b_c"])

    def test_keep(self) -> None:
        """Kept, as they are written; but no lookalike of what the edge acts upon, or says itself."""
        self.assertEqual(kept(b"X_User", b"a_b", b"X.User", keeps=True), [b"X_User", b"a_b", b"X.User"])
        for name in sorted(NOTED | FORWARDING | {b"x-forwarded-new"}):
            if b"-" in name:
                for joint, most in ((b"_", 9), (b".", 1), (b"_", 1), (b"~", 9)):
                    spelling = name.replace(b"-", joint, most)
                    head = request(spelling, keeps=True)
                    self.assertEqual((len(head.fields), head.forwarding), (1, None), spelling)

    def test_keptIsTheSame(self) -> None:
        """What is kept is found, set and taken out under the name that a gateway makes of it."""
        head = request(b"X_User", b"X-User", b"x.user", keeps=True)
        headers = head.section(head.fields)
        self.assertEqual(headers.getAll("X-User"), ["a", "a", "a"])
        self.assertEqual((headers.get("X_USER"), headers.find(b"x_user")), ("a", b"a"))
        self.assertIn("X_User", headers)
        copy = headers.copy()
        copy.add("x_user", "b")
        self.assertEqual(copy.getAll("x.user"), ["a", "a", "a", "b"])
        copy.remove("X.User")
        self.assertEqual(list(copy), [("Host", "x")])
        headers.set("X-User", "me")
        self.assertEqual(list(headers), [("Host", "x"), ("X-User", "me")])

    def test_nominated(self) -> None:
        """Connection takes out what it names, as it is written, and not another spelling of it."""
        head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: X_One\r\nX_One: 1\r\nX-One: 2\r\n\r\n"
        for keeps in (False, True):
            self.assertEqual([name for _, name, _ in parseRequestHead(head, 100, keeps).fields], [b"Host", b"X-One"])

    def test_answers(self) -> None:
        """What an origin says is like any other field, framing apart."""
        names = [b"X-Forwarded-Prefix", b"X_User", b"Proxy", b"content_length", b"X-Real-IP"]
        lines = b"".join(name + b": 1\r\n" for name in names)
        head = parseResponseHead(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n", b"GET", 100)
        self.assertEqual([name for _, name, _ in head.fields], names)

    @given(st.lists(NAMES, max_size=5), st.booleans())
    def test_anything(self, names: list[bytes], keeps: bool) -> None:
        """No gateway can take what goes on for what we say ourselves, nor for what belongs to the connection."""
        names = [name for name in names if joined(name.lower()) not in NOTED]
        head = request(*names, keeps=keeps)
        for lower, name, _ in head.fields[1:]:
            self.assertFalse(isForwarding(joined(name.lower())), name)
            self.assertNotEqual(name.lower(), PROXY)
            self.assertIn(lower, (name.lower(), joined(name.lower())))
            self.assertTrue(keeps or name.replace(b"-", b"").isalnum() or set(name) == set(b"-"), name)


class PlainTests(SynchronousTestCase):
    """Names that are looked at no closer."""

    def test_plain(self) -> None:
        """None of them is anything else."""
        for name, lower in PLAIN.items():
            self.assertEqual(name.lower(), lower)
            self.assertNotIn(lower, NOTED | {PROXY})
            self.assertFalse(isForwarding(lower) or isJoined(lower), lower)

    def test_learnt(self) -> None:
        """Strangers cannot make it grow without end, nor learn it a name that is dropped."""
        before = dict(PLAIN)
        try:
            for number in range(3000):
                request(b"A-%d" % number, b"X_%d" % number, b"X-Forwarded-%d" % number, b"L" * 100)
            self.assertLessEqual(len(PLAIN), len(before) + 1024)
            self.assertLessEqual(max(map(len, PLAIN)), 40)
            self.test_plain()
        finally:
            PLAIN.clear()
            PLAIN.update(before)
