"""
A request as it is shown.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.traffic.recordview import asDict
from revproxy.requestrecord import ArmMet
from revproxy.secrets import hide
from tests.control.traffic.records import record


class ViewTests(SynchronousTestCase):
    """
    The keys are those of the access log.
    """

    def test_least(self) -> None:
        """
        What all have; the rest is left out.
        """
        self.assertEqual(
            asDict(7, record("x", target=b"/a?b")),
            {
                "number": 7,
                "time": "1970-01-01T00:16:40.000Z",
                "at": 1000.0,
                "id": "x",
                "peer": "192.0.2.7",
                "method": "GET",
                "scheme": "http",
                "host": "shop",
                "target": "/a?b",
                "version": "1.1",
                "status": 200,
                "bytes_in": 0,
                "bytes_out": 0,
                "duration_us": 10000,
                "route": "shop",
                "plan": 1,
                "explained": False,
            },
        )

    def test_arms(self) -> None:
        """
        Which of two versions it met of each plugin of which one is rolled out.
        """
        shown = asDict(1, record(arms=(ArmMet("auth", "2.0", True), ArmMet("tag", "1.0", False))))
        self.assertEqual(shown["arms"], [
            {"plugin": "auth", "version": "2.0", "arm": "candidate"},
            {"plugin": "tag", "version": "1.0", "arm": "running"},
        ])

    def test_most(self) -> None:
        """
        What some have.
        """
        shown = asDict(
            1,
            record(
                upstream="http://a",
                pool="api",
                upstreamSeconds=0.25,
                attempts=2,
                interruptedBy="auth",
                pluginErrors=("p",),
                pluginsSkipped=("q",),
                error="Unavailable: no",
                fields={"tenant": "a"},
                trace=b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                explained=b"\x90",
            ),
        )
        self.assertEqual(
            {key: shown[key] for key in list(shown)[17:]},
            {
                "upstream": "http://a",
                "upstream_name": "api",
                "upstream_us": 250000,
                "attempts": 2,
                "interrupted_by": "auth",
                "plugin_errors": ["p"],
                "plugins_skipped": ["q"],
                "error": "Unavailable: no",
                "fields": {"tenant": "a"},
                "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            },
        )
        self.assertTrue(shown["explained"])

    def test_agents(self) -> None:
        """
        No value of a header but Host, even where the access log has some.
        """
        shown = asDict(1, record(userAgent=b"curl", referer=b"http://secret"))
        self.assertNotIn("curl", str(shown))
        self.assertNotIn("http://secret", str(shown))

    def test_cut(self) -> None:
        """
        What a client sends is cut where it is long, and that is said.
        """
        shown = asDict(1, record(target=b"/" + b"x" * 3000, host=b"h" * 2000))
        self.assertEqual(shown["cut"], ["host", "target"])
        self.assertTrue(shown["target"].endswith("x\u2026(3001 characters)"))
        self.assertNotIn("cut", asDict(1, record(target=b"/" + b"x" * 3000), 8192))

    def test_secrets(self) -> None:
        """
        What is known to be secret is masked.
        """
        hide("correct-horse-battery")
        self.assertIn("?key=***", asDict(1, record(target=b"/?key=correct-horse-battery"))["target"])
