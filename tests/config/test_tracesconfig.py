"""The section ``traces``: what is said about everything that is wrong in it."""

from __future__ import annotations

import sys

from revproxy.config import tracesconfig
from revproxy.config.tracesconfig import TracesConfig
from tests.config.test_configfile import START, ConfigTestCase


class TracesTests(ConfigTestCase):
    """The section ``traces`` of revproxy.yaml."""

    def test_receivers(self) -> None:
        """The path is OTLP's own, unless there is another."""
        for given, used in (
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://collector.example/", "https://collector.example/v1/traces"),
            ("https://collector.example/otlp/v1/traces", "https://collector.example/otlp/v1/traces"),
        ):
            self.assertEqual(self.parse(START + f"traces: {{otlp: '{given}'}}").traces.otlp, used)

    def test_secrets(self) -> None:
        """What the receiver asks for may be a secret, and is not shown."""
        (self.base / "key").write_text("s3cret\n")
        config = self.parse(START + "traces: {otlp: 'http://a', headers: {Authorization: {$file: key}}}").traces
        self.assertEqual(config.headers, {"Authorization": "s3cret"})
        self.assertNotIn("s3cret", repr(config))

    def test_off(self) -> None:
        """Without otlp nothing is asked of the machine."""
        self.patch(tracesconfig, "_NEEDED", ("no.such.package",))
        self.assertEqual(self.parse(START + "traces: {accept: never}").traces, TracesConfig(accept="never"))

    def test_missingExtra(self) -> None:
        """Without OpenTelemetry, what to install is said, with the place."""
        self.patch(tracesconfig, "_NEEDED", ("opentelemetry.no.such.package", "json"))
        self.assertEqual(self.refused(START + "traces: {otlp: 'http://127.0.0.1:4318'}"), [
            'r.yaml:3:10: $.traces.otlp: needs OpenTelemetry, which is not installed where the edge runs: '
            f'{sys.executable} -m pip install "revproxy[otel]"'])

    def test_wrong(self) -> None:
        """What is no URL, no share, no field, and what does not go together, is named with its place."""
        for otlp, said in (
            ("127.0.0.1:4318", "no URL of a receiver; write http://127.0.0.1:4318"),
            ("ftp://a", "no URL of a receiver"),
            ("http://", "no URL of a receiver"),
            ("http://a:99999", "no URL of a receiver"),
            ("http://a b", "no URL of a receiver"),
            ("http://u:p@a", "no user, query or fragment"),
            ("http://a?x", "no user, query or fragment"),
        ):
            [problem] = self.refused(START + f"traces: {{otlp: '{otlp}'}}")
            self.assertIn(said, problem)
            self.assertIn("$.traces.otlp", problem)
        self.assertIn("write a share", self.refused(START + "traces: {sample: 0.01}")[0])
        self.assertIn("$.traces.sample", self.refused(START + "traces: {sample: 101%}")[0])
        self.assertIn("$.traces.accept", self.refused(START + "traces: {accept: nobody}")[0])
        self.assertIn("$.traces.headers", self.refused(START + "traces: {headers: {'a b': c}}")[0])
        self.assertIn("take propagate: false away",
                      self.refused(START + "traces: {propagate: false, otlp: 'http://a'}")[0])
