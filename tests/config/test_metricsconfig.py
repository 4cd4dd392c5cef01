"""The section ``metrics``: what is said about everything that is wrong in it."""

from __future__ import annotations

from revproxy.config.metricsconfig import MetricsConfig
from tests.config.test_configfile import START, ConfigTestCase


class MetricsTests(ConfigTestCase):
    """The section ``metrics`` of revproxy.yaml."""

    def test_nothingListens(self) -> None:
        """Without an endpoint the rest counts all the same."""
        self.assertEqual(self.parse(START + "metrics: {count: false}").metrics, MetricsConfig(None, 0, False))
        self.assertEqual(self.parse(START + "metrics: {top_hosts: 3}").metrics, MetricsConfig(None, 3, True))

    def test_ownEndpoint(self) -> None:
        """Metrics have a listener of their own, which is neither for clients nor for the admin API."""
        start = "listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\n"
        self.assertEqual(self.refused(start + "metrics: {endpoint: 'tcp:1'}"), [
            "r.yaml:3:11: $.metrics.endpoint: \"tcp:1\" is a listener's endpoint already"])
        self.assertEqual(self.refused(start + "admin: {endpoint: 'unix:x'}\nmetrics: {endpoint: 'unix:x'}"), [
            'r.yaml:4:11: $.metrics.endpoint: "unix:x" is the endpoint of admin already: metrics have one of their '
            "own"])

    def test_wrong(self) -> None:
        """What is no endpoint, no number, or out of bounds is named with its place."""
        self.assertIn('did you mean "tcp:9901"?', self.refused(START + "metrics: {endpoint: '9901'}")[0])
        self.assertIn("$.metrics.top_hosts", self.refused(START + "metrics: {top_hosts: 1001}")[0])
        self.assertIn("$.metrics.count", self.refused(START + "metrics: {count: sometimes}")[0])
        self.assertIn('did you mean "top_hosts"?', self.refused(START + "metrics: {top_host: 1}")[0])
