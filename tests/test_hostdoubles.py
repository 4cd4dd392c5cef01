"""Tests for :mod:`revproxy.hostdoubles`; `HostDouble` is what the tests of :mod:`revproxy.host` run on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy import testing
from revproxy.hostdoubles import ClientAnswer, HostDouble, ToolboxDouble
from revproxy.testing import makeContext


class ToolboxDoubleTests(SynchronousTestCase):
    """What a plugin reaches through its context."""

    def test_client(self) -> None:
        """Requests are recorded and answered with what was laid ready; anything else fails the test."""
        tools = ToolboxDouble()
        tools.client.answers("GET", "http://auth/", ClientAnswer(200, b'{"ok": true}'))
        tools.client.answers("POST", "http://auth/", OSError("refused"))
        client = makeContext(toolbox=tools).client
        answer = self.successResultOf(client.get("http://auth/", headers={"A": "1"}))
        self.assertEqual((answer.code, self.successResultOf(answer.json())), (200, {"ok": True}))
        self.failureResultOf(client.post("http://auth/"), OSError)
        self.assertEqual(tools.client.requests[0], ("GET", "http://auth/", {"headers": {"A": "1"}}))
        self.assertRaises(AssertionError, client.get, "http://other/")

    def test_log(self) -> None:
        """What is logged can be looked at."""
        tools = ToolboxDouble()
        makeContext(toolbox=tools).log.info("hello {who}", who="you")
        self.assertEqual([event["who"] for event in tools.events], ["you"])


class HostDoubleTests(SynchronousTestCase):
    """What a plugin gets by ``attach``."""

    def test_work(self) -> None:
        """Nothing runs in a thread until the test says so; a failure there is one of the Deferred."""
        host = HostDouble()
        answers = [host.callInThread(divmod, 7, divisor) for divisor in (2, 0)]
        self.assertNoResult(answers[0])
        host.work()
        self.assertEqual(self.successResultOf(answers[0]), (3, 1))
        self.failureResultOf(answers[1], ZeroDivisionError)

    def test_clientAndLog(self) -> None:
        """The client answers what was laid ready, and what is logged is kept."""
        host = HostDouble()
        host.clientDouble.answers("GET", "http://a/", ClientAnswer(204))
        self.assertEqual(self.successResultOf(host.client.get("http://a/")).code, 204)
        host.log.info("hello {who}", who="you")
        self.assertEqual([event["who"] for event in host.events], ["you"])

    def test_names(self) -> None:
        """Plugins' authors find them where all doubles are."""
        self.assertEqual((testing.HostDouble, testing.ToolboxDouble), (HostDouble, ToolboxDouble))
