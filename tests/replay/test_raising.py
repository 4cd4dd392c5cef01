"""Tests for `revproxy.replay.raising`: exceptions of plugins may say anything of themselves."""

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.remotefailure import RemoteFailure
from revproxy.replay.raising import LONGEST, LONGEST_NAME, raisedBy


class RaisedTests(SynchronousTestCase):
    """What is told of them is short, and can be sent and shown."""

    def test_remote(self):
        """What a locked process says is believed."""
        raised = raisedBy(RemoteFailure("KeyError", "'a'", "plugin.py:7"))
        self.assertEqual((raised.kind, raised.where), ("KeyError", "plugin.py:7"))

    def test_attributes(self):
        """Of others, attributes of such names mean nothing, and are not even asked for."""

        class Odd(Exception):
            kind, where = "quota", "there"

            def __getattr__(self, name):
                raise AssertionError(name)

        raised = raisedBy(Odd("x"))
        self.assertEqual((raised.kind, raised.message, raised.where), ("Odd", "x", ""))

    def test_texts(self):
        """Names and texts are cut, and what no terminal and no word should have is escaped."""
        raised = raisedBy(type("K" * 9000, (Exception,), {})("\x1b[2J\ud800" + "x" * 9000))
        self.assertEqual(len(raised.kind), LONGEST_NAME)
        self.assertTrue(raised.message.startswith(r"\x1b[2J\ud800xx"))
        self.assertLess(len(raised.message), LONGEST + 20)

    def test_noText(self):
        """One that has no text has none."""

        class Mute(Exception):
            def __str__(self):
                raise SystemExit

        self.assertEqual(raisedBy(Mute()).message, "")
