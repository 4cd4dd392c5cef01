"""
What scrapers say they take.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.metrics.accept import takesGzip, takesOpenMetrics

PROMETHEUS_2 = (
    b"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    b"text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    b"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    b"application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    b"text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


class AcceptTests(SynchronousTestCase):
    """
    Fields as they come.
    """

    def test_openMetrics(self) -> None:
        """
        OpenMetrics 1.0 is for whoever wants it at least as much.
        """
        for field in (
            PROMETHEUS_2,
            PROMETHEUS_3,
            b"application/openmetrics-text",
            b'APPLICATION/OpenMetrics-Text; Version="1.0.0"',
            b"text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0",
        ):
            self.assertTrue(takesOpenMetrics(field), field)

    def test_text(self) -> None:
        """
        All others get the text format.
        """
        for field in (
            b"",
            b"*/*",
            b"text/plain",
            b"text/html,application/xhtml+xml",
            b"application/openmetrics-text;version=0.0.1",
            b"application/openmetrics-text;version=2.0.0",
            b"application/openmetrics-text;q=0",
            b"application/openmetrics-text;q=0.1,text/plain;version=0.0.4;q=0.5",
            b"application/openmetrics-text;q=much",
            b"application/openmetrics-text;q=nan",
            b"x," * 10_000 + b"application/openmetrics-text",
        ):
            self.assertFalse(takesOpenMetrics(field), field[:100])

    def test_gzip(self) -> None:
        """
        An answer is compressed for whoever names it, and not with a weight of nothing.
        """
        for field in (b"gzip", b"deflate, GZIP;q=0.5", b"x-gzip"):
            self.assertTrue(takesGzip(field), field)
        for field in (b"", b"identity", b"gzip;q=0", b"gzip; q=0.0, deflate", b"*", b"br"):
            self.assertFalse(takesGzip(field), field)
