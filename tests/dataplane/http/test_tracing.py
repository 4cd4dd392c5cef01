"""Tests for `revproxy.dataplane.http.tracing`: whose trace goes on, and what of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http.tracing import LONGEST_STATE, MOST_MEMBERS, Accept, Tracing, ownOf, traceparentOf
from revproxy.headers import Field

TRACE, PARENT = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"
SAID = b"00-%b-%b-01" % (TRACE, PARENT)
OWN = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{14}01-0[0-3]\Z")


def said(*traceparents: bytes, states: Sequence[bytes] = ()) -> list[Field]:
    """What a client says."""
    fields = [(b"traceparent", b"Traceparent", value) for value in traceparents]
    return fields + [(b"tracestate", b"Tracestate", value) for value in states]


class TracingCase(SynchronousTestCase):
    """What becomes of what is said."""

    def begin(
        self, fields: list[Field] | None, trusted: bool = True, accepts: Accept = "trusted", share: float = 0.0
    ) -> tuple[bytes, list[Field]]:
        """The trace, and what is seen of it."""
        seen: list[Field] = []
        trace = Tracing(accepts, share).begin(fields, trusted, seen)
        return trace, [(b"traceparent", b"traceparent", trace[:55]), *seen]

    def assertBegins(self, fields: list[Field] | None, trusted: bool = True, accepts: Accept = "trusted") -> None:
        """A trace of our own begins, and nothing is left of what was said."""
        trace, seen = self.begin(fields, trusted, accepts)
        self.assertRegex(trace, OWN)
        self.assertEqual(seen, [(b"traceparent", b"traceparent", trace)])
        self.assertNotIn(TRACE, trace)

    def state(self, *states: bytes) -> bytes | None:
        """The tracestate that goes on."""
        trace, seen = self.begin(said(SAID, states=states))
        self.assertEqual((trace[3:35], seen[0][2]), (TRACE, trace[:55]))
        self.assertLess(len(seen), 3)
        return seen[1][2] if len(seen) == 2 else None


class BeginningTests(TracingCase):
    """Traces that begin here."""

    def test_own(self) -> None:
        """Each is another, with the random flag, and not sampled where nobody exports."""
        tracing = Tracing("trusted", 0.0)
        traces = [tracing.begin(None, False, []) for _ in range(1000)]
        for trace in traces:
            self.assertRegex(trace, OWN)
            self.assertTrue(trace.endswith(b"-02"))
        self.assertEqual(len({trace[3:35] for trace in traces}), 1000)
        self.assertEqual(len({trace[36:52] for trace in traces}), 1000)

    def test_sampled(self) -> None:
        """As many as are wanted are sampled, by the trace's own bits: none, some, all."""
        for share, least, most in ((0.0, 0, 0), (0.1, 200, 500), (1.0, 3200, 3200)):
            tracing = Tracing("trusted", share)
            traces = [tracing.begin(None, False, []) for _ in range(3200)]
            sampled = {trace for trace in traces if trace.endswith(b"-03")}
            self.assertTrue(least <= len(sampled) <= most, (share, len(sampled)))
            bound = round((1 - share) * 2**56)
            self.assertEqual(sampled, {trace for trace in traces if int(trace[21:35], 16) >= bound})

    def test_strangers(self) -> None:
        """Nobody's word counts who is not trusted; nobody's at all, if it is to be so."""
        self.assertBegins(said(SAID, states=(b"a=1",)), trusted=False)
        self.assertBegins(said(SAID, states=(b"a=1",)), accepts="never")

    def test_always(self) -> None:
        """Everybody's, if it is to be so."""
        trace, _ = self.begin(said(SAID), trusted=False, accepts="always")
        self.assertEqual(trace[3:35], TRACE)

    def test_malformed(self) -> None:
        """What is no traceparent begins another, and takes the tracestate with it."""
        for wrong in (
            b"",
            b"00",
            SAID[:-1],
            SAID + b"-",
            SAID + b"-01",
            SAID.upper(),
            SAID.replace(b"4bf9", b"4bF9"),
            SAID.replace(b"-", b"_"),
            SAID.replace(b"00-", b"ff-", 1),
            SAID.replace(b"00-", b"0g-", 1),
            SAID.replace(b"00-", b"0_-", 1),
            SAID.replace(TRACE, b"0" * 32),
            SAID.replace(PARENT, b"0" * 16),
            SAID.replace(TRACE, b"-" + TRACE[1:]),
            SAID[:35] + b"0-" + SAID[37:],
            SAID.replace(b"-01", b"-0x"),
            SAID.replace(b"-01", b"- 1"),
            SAID.replace(b"-01", b"-+1"),
            SAID.replace(TRACE, TRACE[:30] + "ü".encode("latin-1") * 2),
            b" " + SAID[1:],
            SAID + b", " + SAID,
            b"cc" + SAID[2:] + b"x",
            b"cc" + SAID[2:] + b",01-x",
            b"cc" + SAID[2:-1],
        ):
            self.assertBegins(said(wrong, states=(b"a=1",)))

    def test_several(self) -> None:
        """Of several nobody knows which; also where they are the same."""
        self.assertBegins(said(SAID, SAID))
        self.assertBegins(said(SAID, b""))

    def test_stateAlone(self) -> None:
        """A tracestate without a traceparent is nothing."""
        self.assertBegins(said(states=(b"a=1",)))

    @given(st.binary(max_size=80), st.lists(st.binary(max_size=40), max_size=4))
    def test_anything(self, parent: bytes, states: list[bytes]) -> None:
        """Whatever is said, what is seen of it is well-formed."""
        _, seen = self.begin(said(parent, states=states))
        self.assertRegex(seen[0][2], rb"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]\Z")
        self.assertTrue(all(0x20 <= octet < 0x7F for _, _, value in seen for octet in value))


class ContinuedTests(TracingCase):
    """Traces that go on."""

    def test_continued(self) -> None:
        """The trace stays, the span is ours, and who called is remembered."""
        trace, seen = self.begin(said(SAID, states=(b"a=1,b=2",)))
        self.assertRegex(trace, rb"00-%b-[0-9a-f]{14}01-01-%b\Z" % (TRACE, PARENT))
        self.assertEqual(seen, [
            (b"traceparent", b"traceparent", trace[:55]), (b"tracestate", b"tracestate", b"a=1,b=2")])

    def test_flags(self) -> None:
        """Sampled and random go on as they are, whatever is sampled here; others as 0."""
        for flags, passed in ((b"00", b"00"), (b"01", b"01"), (b"02", b"02"), (b"03", b"03"), (b"ff", b"03"),
                              (b"f0", b"00"), (b"0d", b"01")):
            trace, _ = self.begin(said(SAID[:-2] + flags), share=1.0)
            self.assertEqual(trace[53:55], passed)

    def test_laterVersions(self) -> None:
        """A later version is read as far as we know it, and goes on as ours."""
        for later in (b"01" + SAID[2:], b"cc" + SAID[2:] + b"-what-the-future-will-be", b"fe" + SAID[2:] + b"-"):
            trace, _ = self.begin(said(later))
            self.assertEqual((trace[:36], trace[55:]), (b"00-" + TRACE + b"-", b"-" + PARENT))

    def test_attempts(self) -> None:
        """Each target has a span of its own, which is not ours; without end."""
        for trace in (self.begin(said(SAID))[0], self.begin(None)[0]):
            attempts = [traceparentOf(trace, attempt) for attempt in range(1, 256)]
            self.assertEqual((attempts[0], len({*attempts, ownOf(trace)})), (trace[:55], 256))
            for attempt in (*attempts, traceparentOf(trace, 256), traceparentOf(trace, 100_000)):
                self.assertEqual((attempt[:50], attempt[52:]), (trace[:50], trace[52:55]))
                self.assertNotEqual(attempt, ownOf(trace))


class StateTests(TracingCase):
    """tracestate."""

    def test_oneList(self) -> None:
        """Several fields are one list; what is empty in it goes."""
        self.assertEqual(self.state(b"a=1 ,\tb=2,", b"", b" c=3"), b"a=1,b=2,c=3")
        self.assertIsNone(self.state(b"", b" , ,"))

    def test_members(self) -> None:
        """As many as may be; one more, and none is passed on."""
        most = [b"k%d=v" % at for at in range(MOST_MEMBERS)]
        self.assertEqual(self.state(b",".join(most)), b",".join(most))
        self.assertIsNone(self.state(b",".join([*most, b"x=y"])))
        self.assertIsNone(self.state(*[b"k%d=v" % at for at in range(99)]))
        self.assertIsNone(self.state(b"," * 50 + b"a=1" + b",b=2" * 40))

    def test_malformed(self) -> None:
        """What is no list of members is dropped; the trace goes on."""
        for wrong in (b"a", b"=1", b"a=", b"a=1,a=2", b"A=1", b"a=1=2", b"a=\xfc", b"a=1\t2", b"a b=1", b"_a=1",
                      b"a" * 257 + b"=1", b"a=" + b"1" * 257):
            self.assertIsNone(self.state(b"ok=1", wrong), wrong)

    def test_vendors(self) -> None:
        """Keys of vendors and tenants."""
        state = b"fw529a3039@dt=FfAAAA,congo=t61rcWkgMzE,1-2_3*4/5=a b!\"#$"
        self.assertEqual(self.state(state), state)

    def test_long(self) -> None:
        """Of what is too long, long members go first, then the last; what is left fits."""
        short = [b"k%02d=%b" % (at, b"v" * 40) for at in range(8)]
        self.assertEqual(self.state(b",".join([short[0], b"long=" + b"v" * 200, *short[1:]])), b",".join(short))
        many = [b"k%02d=%b" % (at, b"v" * 40) for at in range(20)]
        state = self.state(b",".join(many))
        assert state is not None
        self.assertTrue(state.split(b",") == many[: len(state.split(b","))] and len(state) > LONGEST_STATE - 45)
        self.assertLessEqual(len(state), LONGEST_STATE)
