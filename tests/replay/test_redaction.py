from twisted.trial.unittest import SynchronousTestCase

from revproxy.replay.difference import Difference, differences
from revproxy.replay.outcome import Outcome
from revproxy.replay.redaction import isHidden, shownDifference, shownRequest
from tests.replay.plugins import callOf


class RedactionTests(SynchronousTestCase):
    """Whoever looks at differences sees no value that is nobody's business."""

    def test_names(self):
        """Fields that let people in, and what is called as secrets are."""
        for name in ("authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token", "client_secret"):
            self.assertTrue(isHidden(name), name)
        for name in ("accept", "x-request-id", "host"):
            self.assertFalse(isHidden(name), name)

    def test_hidden(self):
        """That there is a value is told, and not which."""
        shown = shownDifference(Difference("header:set-cookie", "added", "", "session=1"))
        self.assertEqual(shown, Difference("header:set-cookie", "added", "", "***"))
        shown = shownDifference(Difference("values.api_key", "changed", '"a"', '"b"'))
        self.assertEqual(shown[2:], ("***", "***"))

    def test_bodies(self):
        """Of bodies, the length is told."""
        shown = shownDifference(Difference("body", "changed", "3 bytes, from 1: 'abc'", "4 bytes, from 1: 'abcd'"))
        self.assertEqual(shown[2:], ("3 bytes", "4 bytes"))

    def test_target(self):
        """Of a target, what is no secret."""
        shown = shownDifference(Difference("target", "changed", "/a?token=x&b=1", "/b?b=1"))
        self.assertEqual(shown[2:], ("/a?token=***&b=1", "/b?b=1"))

    def test_within(self):
        """Of values and targets, wherever they stand, what is called as secrets are is not shown."""
        for value in ({"user": "eve", "token": "xyzzy"}, [{"api_key": "xyzzy"}], {"password": {"is": "xyzzy"}}):
            (found,) = differences([Outcome(True)], [Outcome(True, values={"session": value})])
            self.assertNotIn("xyzzy", shownDifference(found).after)
        for field in ("header:location", "request:referer", "host", "raised", "fields.to"):
            shown = shownDifference(Difference(field, "added", "", "/back?code=xyzzy&id=1"))
            self.assertEqual(shown.after, "/back?code=***&id=1")

    def test_others(self):
        """What is no secret is shown."""
        difference = Difference("header:x-new", "changed", "1", "2")
        self.assertEqual(shownDifference(difference), difference)

    def test_request(self):
        """A request is one line."""
        call = callOf("GET", "/path?password=x&q=1")
        self.assertEqual(shownRequest(call), "GET www.example.com/path?password=***&q=1")
