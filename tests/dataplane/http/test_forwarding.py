"""The head that goes to the origin: what we say of the client, what we believe of others, and nothing else."""

from __future__ import annotations

import string

import h11
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.addresses import AddressSet
from revproxy.body import Body
from revproxy.context import Peer, Request
from revproxy.dataplane.http.forwarding import clientBehind, upstreamHead
from revproxy.dataplane.http1.requesthead import parseRequestHead
from revproxy.errors import EdgeError
from revproxy.headers import Field, Headers

CLIENT = Peer("192.0.2.1", 50000, "192.0.2.1")
PROXY = Peer("10.0.0.1", 50000, "10.0.0.1")
TRUSTED = AddressSet(["10.0.0.0/8", "fd00::/8"])


def arrived(head: bytes, peer: Peer = CLIENT, trusted: bool = False, scheme: str = "http") -> Request:
    """A request as the server connection makes it of a head."""
    parsed = parseRequestHead(head, 100)
    if parsed.forwarding is not None and trusted:
        parsed.fields += parsed.forwarding
        peer, scheme = clientBehind(parsed.forwarding, peer, scheme, TRUSTED)
    request = Request(
        parsed.method, parsed.target, parsed.host, parsed.version, scheme, Headers(parsed.fields), peer, None
    )
    request._upgrade = parsed.upgrade
    request.wantsTrailers = parsed.wantsTrailers
    return request


def sent(request: Request, host: bytes | None = None, chunked: bool = False) -> bytes:
    return upstreamHead(request, request.rawTarget, host, chunked)


def fields(head: bytes) -> dict[str, list[str]]:
    """Values by lower-case name."""
    found: dict[str, list[str]] = {}
    for line in head.decode("latin-1").split("\r\n")[1:-2]:
        name, _, value = line.partition(": ")
        found.setdefault(name.lower(), []).append(value)
    return found


class HopTests(SynchronousTestCase):
    """X-Forwarded-*, Forwarded and Via."""

    def test_direct(self) -> None:
        """A client that comes directly."""
        got = fields(sent(arrived(b"GET /a HTTP/1.1\r\nHost: shop:8080\r\n\r\n", scheme="https")))
        self.assertEqual(
            got,
            {
                "host": ["shop:8080"],
                "x-forwarded-for": ["192.0.2.1"],
                "x-forwarded-proto": ["https"],
                "x-forwarded-host": ["shop:8080"],
                "forwarded": ['for=192.0.2.1;proto=https;host="shop:8080"'],
                "via": ["1.1 revproxy"],
            },
        )

    def test_address6(self) -> None:
        """An IPv6 client is written in brackets and quotes (RFC 7239 §6)."""
        got = fields(sent(arrived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Peer("2001:db8::1", 1, "2001:db8::1"))))
        self.assertEqual(got["x-forwarded-for"], ["2001:db8::1"])
        self.assertEqual(got["forwarded"], ['for="[2001:db8::1]";proto=http;host=x'])

    def test_untrusted(self) -> None:
        """What a client says of those before it is dropped, in any spelling."""
        got = fields(
            sent(
                arrived(
                    b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-PROTO: https\r\n"
                    b"Forwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\nX-Forwarded-Host: evil\r\n\r\n"
                )
            )
        )
        self.assertEqual(got["x-forwarded-for"], ["192.0.2.1"])
        self.assertNotIn("1.1.1.1", str(got))
        self.assertNotIn("evil", str(got))
        self.assertEqual(got["x-forwarded-proto"], ["http"])

    def test_trusted(self) -> None:
        """What a trusted proxy says is kept and added to."""
        request = arrived(
            b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n"
            b"X-Forwarded-Host: shop\r\nForwarded: for=192.0.2.7;proto=https\r\nVia: 1.0 front\r\n\r\n",
            PROXY,
            True,
        )
        self.assertEqual([request.peer.host, request.scheme], ["192.0.2.7", "https"])
        got = fields(sent(request))
        self.assertEqual(got["x-forwarded-for"], ["6.6.6.6, 192.0.2.7, 10.0.0.1"])
        self.assertEqual(got["x-forwarded-proto"], ["https"])
        self.assertEqual(got["x-forwarded-host"], ["shop"])
        self.assertEqual(got["forwarded"], ["for=192.0.2.7;proto=https, for=10.0.0.1;proto=https;host=x"])
        self.assertEqual(got["via"], ["1.0 front, 1.1 revproxy"])

    def test_oneOfTwo(self) -> None:
        """A trusted proxy that writes only one of the two: the other names the client all the same."""
        hop = fields(sent(arrived(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n", PROXY, True)))
        self.assertTrue(hop["forwarded"][0].startswith("for=192.0.2.7"), hop)
        two = fields(sent(arrived(b"GET / HTTP/1.1\r\nHost: x\r\nForwarded: for=192.0.2.7\r\n\r\n", PROXY, True)))
        self.assertEqual(two["x-forwarded-for"], ["192.0.2.7, 10.0.0.1"])

    def test_noHost(self) -> None:
        """A 1.0 client without Host, with a Via or not: no empty fields."""
        for via in (b"", b"Via: 1.0 a\r\n"):
            got = fields(sent(arrived(b"GET / HTTP/1.0\r\n" + via + b"\r\n"), b"origin"))
            self.assertEqual(got["host"], ["origin"])
            self.assertNotIn("x-forwarded-host", got)
            self.assertTrue(got["via"][0].endswith("1.0 revproxy"), got)

    def test_noAddress(self) -> None:
        """A client of a UNIX socket has no address."""
        for via in (b"", b"Via: 1.0 a\r\n"):
            got = fields(sent(arrived(b"GET / HTTP/1.1\r\nHost: x\r\n" + via + b"\r\n", Peer("", 0, ""))))
            self.assertNotIn("x-forwarded-for", got)
            self.assertEqual(got["forwarded"], ["for=unknown;proto=http;host=x"])


class ClientBehindTests(SynchronousTestCase):
    """Who is believed to be the client."""

    def behind(self, *pairs: tuple[str, str]) -> tuple[str, str]:
        given: list[Field] = [(name.lower().encode(), name.encode(), value.encode("latin-1")) for name, value in pairs]
        peer, scheme = clientBehind(given, PROXY, "http", TRUSTED)
        self.assertEqual(peer.connected, "10.0.0.1")
        return peer.host, scheme

    def test_lastUntrusted(self) -> None:
        """The last that is no proxy of ours: those before it may say what they like."""
        for value, host in (
            ("192.0.2.7", "192.0.2.7"),
            ("1.1.1.1, 192.0.2.7", "192.0.2.7"),
            ("1.1.1.1, 192.0.2.7, 10.0.0.2,10.0.0.3", "192.0.2.7"),
            ("10.0.0.9, 10.0.0.2", "10.0.0.9"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("192.0.2.7:1234", "192.0.2.7"),
            ("", "10.0.0.1"),
            ("nonsense", "10.0.0.1"),
            ("1.1.1.1, unknown", "10.0.0.1"),
        ):
            self.assertEqual(self.behind(("X-Forwarded-For", value))[0], host, value)

    def test_forwarded(self) -> None:
        """Quoted strings, several elements, several fields."""
        for value, host in (
            ('for="[2001:db8::1]:80";proto=https', "2001:db8::1"),
            ('For=192.0.2.7;by="a,b;c"', "192.0.2.7"),
            ("for=1.1.1.1, for=192.0.2.7", "192.0.2.7"),
            ('for="\\1\\9\\2.0.2.7"', "192.0.2.7"),
            ("for=_hidden", "10.0.0.1"),
        ):
            self.assertEqual(self.behind(("Forwarded", value))[0], host, value)
        self.assertEqual(self.behind(("Forwarded", "for=1.1.1.1"), ("Forwarded", "for=192.0.2.7"))[0], "192.0.2.7")

    def test_strangePorts(self) -> None:
        """What is no port is none: neither an error, nor a reason not to believe the address."""
        for port in ("\xb2", "8\xb9", "a", "-1", "+1", "123456", ""):
            for node in (f"192.0.2.7:{port}", f"[2001:db8::1]:{port}"):
                address = node.rpartition(":")[0].strip("[]")
                self.assertEqual(self.behind(("X-Forwarded-For", node))[0], address, node)
                self.assertEqual(self.behind(("Forwarded", f'for="{node}"'))[0], address, node)

    def test_scheme(self) -> None:
        """http or https, the last; anything else is not believed."""
        for value, scheme in (("https", "https"), ("http, HTTPS", "https"), ("gopher", "http"), ("", "http")):
            self.assertEqual(self.behind(("X-Forwarded-Proto", value), ("X-Forwarded-For", "1.1.1.1"))[1], scheme)
        self.assertEqual(self.behind(("Forwarded", "for=1.1.1.1;proto=https"))[1], "https")

    def test_openQuotes(self) -> None:
        """What a client leaves open before the proxy's own element takes nothing of that in."""
        for before in ('for="', 'for="a', 'for=1.1.1.1;by="x\\', '"', 'for="a\\"', "for=1.1.1.1;host=\"a,b"):
            value = before + ', for=192.0.2.7;proto=https;host="a\\",for=6.6.6.6;b=\\\\"'
            self.assertEqual(self.behind(("Forwarded", value)), ("192.0.2.7", "https"), value)

    def test_noAddress(self) -> None:
        """An element without an address: nobody vouches for what stands before it."""
        for value in ("for=1.1.1.1, proto=https", "for=1.1.1.1, for=unknown", "for=1.1.1.1, by=a", 'for="1.1.1.1'):
            self.assertEqual(self.behind(("Forwarded", value))[0], "10.0.0.1", value)

    def test_schemeOfStrangers(self) -> None:
        """The scheme is what a trusted proxy says, not what stands before it."""
        self.assertEqual(self.behind(("Forwarded", "for=1.1.1.1;proto=https, for=192.0.2.7")), ("192.0.2.7", "http"))
        value = "for=1.1.1.1;proto=https, for=10.0.0.2"
        self.assertEqual(self.behind(("Forwarded", value)), ("1.1.1.1", "https"))

    def test_manyHops(self) -> None:
        """The hundredth trusted proxy counts as the client; what stands before it is not read."""
        hops = ["192.0.2.7", *(f"10.0.1.{number}" for number in range(100))]
        for pairs in (
            [("X-Forwarded-For", ", ".join(hops))],
            [("X-Forwarded-For", hop) for hop in hops],
            [("Forwarded", ", ".join("for=" + hop for hop in hops))],
            [("Forwarded", ", ".join(f'for="{hop}"' for hop in hops))],
        ):
            self.assertEqual(self.behind(*pairs)[0], "10.0.1.0")
        for pairs in (
            [("X-Forwarded-For", ", ".join(["6.6.6.6"] * 5000 + [hops[0]] + hops[2:]))],
            [("Forwarded", ", ".join(["for=6.6.6.6"] * 5000 + ["for=" + hop for hop in [hops[0], *hops[2:]]]))],
        ):
            self.assertEqual(self.behind(*pairs)[0], "192.0.2.7")
        self.assertEqual(self.behind(("X-Forwarded-For", "192.0.2.7" + "," * 5000))[0], "10.0.0.1")

    def test_manyHopsAreNotLookedUp(self) -> None:
        """However many there are, a hundred addresses are looked up, and the time is no square of the length."""
        asked: list[str] = []

        class Counting:
            def contains(self, host: str) -> bool:
                asked.append(host)
                return True

        for name, value in (
            ("X-Forwarded-For", b"10.0.0.2," * 50000),
            ("Forwarded", b"for=10.0.0.2," * 50000),
            ("Forwarded", b'for="10.0.0.2";by="",' * 50000),
            ("Forwarded", b'"' + b"\\" * 500000),
            ("Forwarded", b'";' * 250000),
        ):
            del asked[:]
            clientBehind([(name.lower().encode(), name.encode(), value)], PROXY, "http", Counting())
            self.assertLessEqual(len(asked), 100, name)

    @given(st.text(st.characters(max_codepoint=255), max_size=60), st.sampled_from(["X-Forwarded-For", "Forwarded"]))
    def test_anything(self, value: str, name: str) -> None:
        """Whatever it is, there is an address or the proxy's own."""
        given: list[Field] = [(name.lower().encode(), name.encode(), value.encode("latin-1"))]
        peer, scheme = clientBehind(given, PROXY, "http", TRUSTED)
        self.assertTrue(set(peer.host) <= set(string.hexdigits + ":."), peer.host)
        self.assertIn(scheme, ("http", "https"))


class HeadTests(SynchronousTestCase):
    """The rest of the head."""

    def test_host(self) -> None:
        """One Host: the client's, or the one given."""
        request = arrived(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        self.assertEqual(fields(sent(request))["host"], ["shop"])
        got = fields(sent(request, b"inner:1"))
        self.assertEqual([got["host"], got["x-forwarded-host"]], [["inner:1"], ["shop"]])

    def test_bodies(self) -> None:
        """A length that holds is kept; one that does not, or was none, is made anew."""
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
        request = arrived(head)
        request._body = Body.of(b"abc")
        request._body.framed = True
        self.assertEqual(fields(sent(request))["content-length"], ["3"])
        request._body.replace(b"abcdef")
        self.assertEqual(fields(sent(request))["content-length"], ["6"])
        request._body.replace(b"")
        self.assertEqual(fields(sent(request))["content-length"], ["0"])
        request._body = Body(None, None)
        request._body._announced = b"Digest"
        got = fields(sent(request, chunked=True))
        self.assertNotIn("content-length", got)
        self.assertEqual([got["transfer-encoding"], got["trailer"]], [["chunked"], ["Digest"]])

    def test_connectionFields(self) -> None:
        """Upgrade and TE are said anew, nothing else of the connection."""
        got = fields(sent(arrived(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")))
        self.assertEqual([got["connection"], got["upgrade"]], [["Upgrade"], ["websocket"]])
        got = fields(sent(arrived(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: te, close\r\nTE: trailers, x\r\n\r\n")))
        self.assertEqual([got["connection"], got["te"]], [["TE"], ["trailers"]])
        got = fields(sent(arrived(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTE: x\r\nUpgrade: y\r\n\r\n")))
        self.assertFalse({"connection", "te", "upgrade"} & set(got))


NAMES = st.text(string.ascii_letters + string.digits + "-_!~", min_size=1, max_size=12) | st.sampled_from(
    [
        "X-Forwarded-For",
        "Forwarded",
        "Via",
        "Host",
        "Connection",
        "Content-Length",
        "Transfer-Encoding",
        "TE",
        "Upgrade",
        "Expect",
        "Keep-Alive",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
    ]
)
VALUES = st.text(st.characters(max_codepoint=255), max_size=20) | st.sampled_from(
    [
        "close",
        "keep-alive, X-A",
        "chunked",
        "5",
        "trailers",
        "for=1.1.1.1",
        "1.1.1.1",
        "a\r\nX-Evil: 1",
        "x\n y",
        "100-continue",
    ]
)
TARGETS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F), max_size=20).map(lambda text: "/" + text)


class AnythingTests(SynchronousTestCase):
    """Whatever a client sends: an independent parser reads of our head exactly what was meant."""

    @given(
        st.sampled_from(["GET", "POST", "PURGE", "get", "OPTIONS"]),
        TARGETS,
        st.lists(st.tuples(NAMES, VALUES), max_size=6),
        st.booleans(),
    )
    def test_anything(self, method: str, target: str, pairs: list[tuple[str, str]], trusted: bool) -> None:
        """No field is injected, no line is split, each field of the hop is there once."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in [("Host", "x.example"), *pairs])
        head = f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
        head = head[: head.index(b"\r\n\r\n") + 4]
        try:
            request = arrived(head, PROXY if trusted else CLIENT, trusted)
        except EdgeError:
            return
        out = sent(request)
        origin = h11.Connection(h11.SERVER)
        origin.receive_data(out)
        event = origin.next_event()
        assert isinstance(event, h11.Request), event
        self.assertEqual([event.method, event.target], [request.rawMethod, request.rawTarget])
        self.assertEqual(out.count(b"\r\n\r\n"), 1)
        self.assertEqual(out.count(b"\n"), out.count(b"\r\n"))
        got = [name for name, _ in event.headers]
        for name in (b"host", b"x-forwarded-for", b"x-forwarded-proto", b"forwarded", b"via"):
            self.assertEqual(got.count(name), 1, name)
        own = {b"host", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"via"}
        own |= {b"connection", b"upgrade", b"te"}
        meant = [lower for lower, _, _ in request.headers.fields if lower not in own]
        self.assertEqual([name for name in got if name not in own], meant)
        values = dict(event.headers)
        self.assertTrue(values[b"x-forwarded-for"].endswith(request.peer.connected.encode()))
        if not trusted:
            self.assertEqual(values[b"x-forwarded-for"], b"192.0.2.1")
