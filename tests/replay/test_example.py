"""Tests for `revproxy.replay.example`: what lets in is not shown, wherever a plugin has put it."""

from twisted.trial.unittest import SynchronousTestCase

from revproxy.replay.difference import Difference
from revproxy.replay.example import exampleOf
from revproxy.replay.outcome import Outcome
from tests.replay.plugins import callOf

JWT = "eyJhbGciOiJIUzI1NiJ9." + "c2VjcmV0" * 60


class ExampleTests(SynchronousTestCase):
    def shown(self, after, field="header:x-debug", outcome=None, target="/a", **headers):
        call = callOf("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return exampleOf(Difference(field, "added", "", after), [(call, outcome or Outcome(True))])[2]

    def test_plain(self):
        """What is nobody's secret is shown."""
        self.assertEqual(self.shown("a=1", Authorization="Bearer abcdef123"), "a=1")

    def test_elsewhere(self):
        """What stands in a field that lets in, in any other one."""
        self.assertEqual(self.shown("for abcdef123!", Authorization="Bearer abcdef123"), "for ***!")
        self.assertEqual(self.shown("sid is s3cr3t99", Cookie="sid=s3cr3t99"), "sid is ***")
        self.assertEqual(self.shown("KeyError: 'abcdef123'", "raised", X_Api_Key="abcdef123"), "KeyError: '***'")

    def test_cut(self):
        """Also where only its beginning is shown, or more was put behind it."""
        self.assertEqual(self.shown(f"got {JWT}"[:200], Authorization=f"Bearer {JWT}"), "got ***")

    def test_query(self):
        """Parameters of such names, also in addresses without a host, and in other forms of the name."""
        self.assertEqual(self.shown("/cb?code=abc&x=1", "header:location"), "/cb?code=***&x=1")
        self.assertEqual(self.shown("/cb?%74oken=abc", "header:location"), "/cb?%74oken=***")
        self.assertEqual(self.shown("was abcdef99", target="/a?sig=abcdef99"), "was ***")

    def test_itsOwn(self):
        """And what the version itself has given out."""
        made = Outcome(True, headers=((b"Set-Cookie", b"id=abcdef77; Path=/"),))
        self.assertEqual(self.shown("abcdef77", "values.id", made), "***")
