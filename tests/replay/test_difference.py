from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from revproxy.replay.difference import MOST, Difference, differences, incomparable
from revproxy.replay.outcome import Outcome, Raised
from revproxy.replay.recordedcall import RecordedResponse

PASSED = Outcome(True, target=b"/", host=b"h", method=b"GET", headers=((b"A", b"1"),))
ANSWER = RecordedResponse(200, ((b"X", b"1"), (b"Y", b"1")), None, True)
ANSWERED = replace(PASSED, verdict=None, response=ANSWER)
REFUSED = replace(PASSED, verdict=False, response=RecordedResponse(403, (), b"no"))


def between(one, other):
    return [tuple(each) for each in differences((one,), (other,))]


class DifferenceTests(SynchronousTestCase):
    """What differs is named by field and kind, and told as it was and is."""

    def test_none(self):
        """Equal outcomes differ in nothing, however long they took."""
        self.assertEqual(between(PASSED, replace(PASSED, seconds=9.0)), [])

    def test_verdict(self):
        """Who stops a request is told with the status; that it has an answer is no difference besides."""
        self.assertEqual(between(PASSED, REFUSED), [("verdict", "changed", "go on", "stop, 403")])

    def test_requestHeaders(self):
        """Fields are known by their names, whatever their case, with all their values."""
        other = replace(PASSED, headers=((b"a", b"1"), (b"a", b"2"), (b"B", b"3")))
        self.assertEqual(
            between(PASSED, other), [("request:a", "changed", "1", "1, 2"), ("request:b", "added", "", "3")]
        )

    def test_answerHeaders(self):
        """Of the answer, too; what delimits its body is the edge's."""
        other = replace(ANSWERED, response=replace(ANSWER, headers=((b"x", b"2"), (b"Content-Length", b"7"))))
        self.assertEqual(
            between(ANSWERED, other), [("header:x", "changed", "1", "2"), ("header:y", "removed", "1", "")]
        )

    def test_emptyValue(self):
        """A field that is there and empty is there."""
        other = replace(PASSED, headers=((b"A", b""),))
        self.assertEqual(between(PASSED, other), [("request:a", "changed", "1", "")])

    def test_status(self):
        """Another status."""
        other = replace(ANSWERED, response=replace(ANSWER, status=404))
        self.assertEqual(between(ANSWERED, other), [("status", "changed", "200", "404")])

    def test_where(self):
        """Target, host, method, upstream, another route, interim answers."""
        other = replace(
            PASSED, target=b"/x", host=b"i", method=b"PUT", upstream="u", rerouted=True, informational=(103,)
        )
        self.assertEqual(
            [each[:2] for each in between(PASSED, other)],
            [("target", "changed"), ("host", "changed"), ("method", "changed"), ("upstream", "added"),
             ("rerouted", "added"), ("informational", "added")],
        )  # fmt: skip

    def test_mappings(self):
        """Values and log fields, each by its key."""
        one = replace(PASSED, values={"a": 1, "b": None}, fields={"t": "x"})
        other = replace(PASSED, values={"b": None, "c": [2]}, fields={"t": "y"})
        self.assertEqual(
            between(one, other),
            [("values.a", "removed", "1", ""), ("values.c", "added", "", "[2]"), ("fields.t", "changed", '"x"', '"y"')],
        )

    def test_requestBody(self):
        """Another body of the request."""
        self.assertEqual(between(PASSED, replace(PASSED, bodyDigest="ab" * 32))[0][:2], ("request-body", "added"))

    def test_body(self):
        """Bodies are told from where they part."""
        one = replace(ANSWERED, response=replace(ANSWER, body=b"0123456789abc"))
        other = replace(ANSWERED, response=replace(ANSWER, body=b"0123456789abX"))
        self.assertEqual(
            between(one, other),
            [("body", "changed", "13 bytes, from 12: '456789abc'", "13 bytes, from 12: '456789abX'")],
        )
        self.assertEqual(between(ANSWERED, one)[0][:2], ("body", "added"))

    def test_unknownBody(self):
        """One that is made piece by piece is held against none."""
        one = replace(ANSWERED, response=replace(ANSWER, body=None, isWhole=False))
        self.assertEqual(between(one, replace(ANSWERED, response=replace(ANSWER, body=b"x"))), [])

    def test_raised(self):
        """Who raises; nothing else is told then."""
        raised = replace(PASSED, verdict=None, raised=Raised("KeyError", "'x'", "plugin.py:7", "P.handle"))
        self.assertEqual(between(PASSED, raised), [("raised", "added", "", "KeyError: 'x' at plugin.py:7")])

    def test_sameRaise(self):
        """The same class from the same function is the same: lines move with every edit. Another class is not."""
        one = replace(PASSED, raised=Raised("KeyError", "1", "plugin.py:7", "P.handle"))
        moved = replace(PASSED, raised=Raised("KeyError", "2", "plugin.py:9", "P.handle"))
        other = replace(PASSED, raised=Raised("ValueError", "1", "plugin.py:7", "P.handle"))
        elsewhere = replace(PASSED, raised=Raised("KeyError", "1", "plugin.py:9", "P.other"))
        self.assertEqual(between(one, moved), [])
        self.assertEqual([each[:2] for each in between(one, other)], [("raised", "changed")])
        self.assertEqual([each[:2] for each in between(one, elsewhere)], [("raised", "changed")])

    def test_phases(self):
        """What differs in both phases is told once."""
        one, other = replace(PASSED, values={"a": 1}), replace(PASSED, values={"a": 2})
        self.assertEqual(
            differences((one, one), (other, other)), (Difference("values.a", "changed", "1", "2"),)
        )

    def test_incomparable(self):
        """The first reason there is."""
        self.assertEqual(incomparable((PASSED, replace(PASSED, incomparable="why"))), "why")
        self.assertEqual(incomparable((PASSED,)), "")


class ForeignTextTests(SynchronousTestCase):
    """Plugins choose names and texts; what is told of them can be shown, and sent."""

    def test_names(self):
        """Control characters and halves of surrogate pairs are escaped, and what is long is cut."""
        other = replace(PASSED, values={"a\x1b[2J": 1, "n" * 100_000: 1})
        (escaped, *_), (cut, *_) = between(PASSED, other)
        self.assertEqual(escaped, r"values.a\x1b[2J")
        self.assertLess(len(cut), 250)

    def test_texts(self):
        """However long a value is, or the name of an exception's class."""
        (difference,) = between(PASSED, replace(PASSED, values={"a": "x" * 1_000_000}))
        self.assertEqual(len(difference[3]), 200)
        (difference,) = between(PASSED, replace(PASSED, verdict=None, raised=Raised("K" * 1_000_000, "")))
        self.assertEqual(len(difference[3]), 200)

    def test_secretMembers(self):
        """Members of values that have the names of secrets are not told."""
        (difference,) = between(PASSED, replace(PASSED, values={"user": {"name": "a", "password": "hunter2"}}))
        self.assertEqual(difference[3], '{"name": "a", "password": "***"}')

    def test_many(self):
        """Of the outcomes of one call no more than so many are told."""
        other = replace(PASSED, headers=tuple((b"X-%d" % number, b"1") for number in range(MOST + 50)))
        self.assertEqual(len(between(PASSED, other)), MOST)
