"""Tests for :mod:`revproxy.headers`."""

from string import ascii_letters, digits

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.headers import HOP_BY_HOP, TOKEN, Headers, isFieldValue, isToken

NAMES = st.text(alphabet=st.sampled_from(sorted(map(chr, TOKEN))), min_size=1, max_size=6).filter(
    lambda name: name.lower().encode() not in HOP_BY_HOP | {b"content-length"}
)
VALUES = st.text(
    alphabet=st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=12
).map(lambda value: value.strip(" \t"))
PAIRS = st.lists(st.tuples(st.sampled_from(["A", "a", "B", "x-Long"]) | NAMES, VALUES), max_size=8)


def lowered(headers: Headers) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers]


class HeadersTests(SynchronousTestCase):
    """An ordered, case-insensitive list of fields."""

    def test_getIgnoresCase(self) -> None:
        """A field is found under any spelling of its name; the first one counts."""
        headers = Headers.of([("X-One", "1"), ("x-one", "2")])
        self.assertEqual(headers.get("X-ONE"), "1")
        self.assertEqual(headers.getAll("x-One"), ["1", "2"])
        self.assertIn("X-oNe", headers)

    def test_absent(self) -> None:
        """What is not there is None, or the default, and not contained."""
        headers = Headers.of({"A": "1"})
        self.assertIsNone(headers.get("B"))
        self.assertEqual(headers.get("B", "x"), "x")
        self.assertEqual(headers.getAll("B"), [])
        self.assertNotIn("B", headers)
        self.assertNotIn(b"a", headers)

    def test_emptyValueIsThere(self) -> None:
        """An empty value differs from no value."""
        headers = Headers.of({"A": ""})
        self.assertEqual(headers.get("A", "default"), "")
        self.assertIn("A", headers)

    def test_setKeepsPlace(self) -> None:
        """Setting replaces the first field in place and takes out the others of that name only."""
        headers = Headers.of([("A", "1"), ("B", "2"), ("a", "3"), ("C", "4"), ("A", "5")])
        headers.set("a", "new")
        self.assertEqual(list(headers), [("a", "new"), ("B", "2"), ("C", "4")])

    def test_setAppends(self) -> None:
        """Setting what is not there appends it."""
        headers = Headers.of({"A": "1"})
        headers.set("B", "2")
        self.assertEqual(list(headers), [("A", "1"), ("B", "2")])

    def test_removeAll(self) -> None:
        """Removing takes out every field of that name; none is no error."""
        headers = Headers.of([("A", "1"), ("B", "2"), ("a", "3")])
        headers.remove("A")
        headers.remove("A")
        self.assertEqual(list(headers), [("B", "2")])

    def test_refusesInjection(self) -> None:
        """Values that would end the field, or that a parser of ours would refuse, cannot be set."""
        headers = Headers()
        for value in ("a\r\nX: y", "a\nb", "a\rb", "a\0b", "\x01", "a\x7f", "\x0b"):
            for put in (headers.set, headers.add):
                self.assertRaises(ValueError, put, "A", value)
        self.assertEqual(len(headers), 0)

    def test_errorDoesNotShowValue(self) -> None:
        """The message of a refused value does not repeat it: it may be a secret, and messages end in logs."""
        error = self.assertRaises(ValueError, Headers().set, "Authorization", "s3cret\n")
        self.assertNotIn("s3cret", str(error))

    def test_tabAndLatin1(self) -> None:
        """Tabs inside and octets above 0x7f are allowed; white space around the value is not part of it."""
        headers = Headers.of({"A": " a\tb\xe9 \t"})
        self.assertEqual(headers.fields, [(b"a", b"A", b"a\tb\xe9")])

    def test_refusesWideText(self) -> None:
        """Text outside latin-1 cannot be sent."""
        self.assertRaises(ValueError, Headers().set, "A", "€")

    def test_refusesBadNames(self) -> None:
        """A name is a token."""
        for name in ("", "A B", "A:", "A\r\n", "é", "(x)", "A\0"):
            self.assertRaises(ValueError, Headers().set, name, "1")
            self.assertRaises(ValueError, Headers().add, name, "1")

    def test_refusesFraming(self) -> None:
        """What belongs to the connection or delimits the body can be neither set, added nor removed."""
        for name in ("Connection", "transfer-encoding", "Content-Length", "TE", "Upgrade", "Keep-Alive", "Trailer"):
            self.assertRaises(ValueError, Headers().set, name, "1")
            self.assertRaises(ValueError, Headers().add, name, "1")
            self.assertRaises(ValueError, Headers().remove, name)

    def test_copyIsIndependent(self) -> None:
        """Changing a copy leaves the original alone."""
        headers = Headers.of({"A": "1"})
        copy = headers.copy()
        copy.set("A", "2")
        copy.add("B", "3")
        self.assertEqual(list(headers), [("A", "1")])

    def test_reprHidesValues(self) -> None:
        """The repr shows names, not values."""
        self.assertEqual(repr(Headers.of({"Cookie": "s3cret"})), "<Headers Cookie>")

    @given(PAIRS)
    def test_orderIsKept(self, pairs: list[tuple[str, str]]) -> None:
        """What was added comes out in the same order, spelling and number."""
        self.assertEqual(list(Headers.of(pairs)), pairs)

    @given(PAIRS, NAMES | st.just("A"), VALUES)
    def test_setModel(self, pairs: list[tuple[str, str]], name: str, value: str) -> None:
        """Setting leaves exactly one field of the name and all others as they were, in order."""
        headers = Headers.of(pairs)
        headers.set(name, value)
        self.assertEqual(headers.getAll(name.swapcase()), [value])
        others = [pair for pair in Headers.of(pairs) if pair[0].lower() != name.lower()]
        self.assertEqual([pair for pair in headers if pair[0].lower() != name.lower()], others)

    @given(PAIRS, NAMES | st.just("a"))
    def test_removeModel(self, pairs: list[tuple[str, str]], name: str) -> None:
        """Removing leaves no field of the name and all others as they were, in order."""
        headers = Headers.of(pairs)
        headers.remove(name)
        wanted = [(other.lower(), value) for other, value in pairs if other.lower() != name.lower()]
        self.assertEqual(lowered(headers), wanted)

    @given(st.text(max_size=20), st.text(max_size=20))
    def test_nothingUnsoundGetsIn(self, name: str, value: str) -> None:
        """Whatever is set either raises ValueError or is a token and a value without control characters."""
        headers = Headers()
        try:
            headers.set(name, value)
        except ValueError:
            self.assertEqual(headers.fields, [])
            return
        ((lower, raw, octets),) = headers.fields
        self.assertTrue(raw and TOKEN.issuperset(raw))
        self.assertEqual(lower, raw.lower())
        self.assertFalse([octet for octet in octets if (octet < 0x20 and octet != 9) or octet == 0x7F])


class RuleTests(SynchronousTestCase):
    """What may be a name, and what a value: the same for whoever asks."""

    def test_tokens(self) -> None:
        """Letters, digits and fifteen other characters, at least one."""
        allowed = {octet for octet in range(256) if isToken(bytes([octet]))}
        self.assertEqual(allowed, set(b"!#$%&'*+-.^_`|~" + digits.encode() + ascii_letters.encode()))
        self.assertFalse(isToken(b""))
        self.assertFalse(isToken(b"a b"))

    def test_values(self) -> None:
        """All but control characters; a tab is none, and a value may be empty."""
        refused = {octet for octet in range(256) if not isFieldValue(b"a" + bytes([octet]))}
        self.assertEqual(refused, set(range(0x20)) - {0x09} | {0x7F})
        self.assertTrue(isFieldValue(b""))

    @given(st.text(max_size=20))
    def test_setSaysTheSame(self, value: str) -> None:
        """What can be set is what the rule allows, in latin-1."""
        try:
            Headers().set("A", value)
            isSet = True
        except ValueError:
            isSet = False
        self.assertEqual(isSet, all(ord(c) < 256 for c in value) and isFieldValue(value.encode("latin-1")))
