"""
Listeners, targets, processes, and what has become of the configuration.
"""

from __future__ import annotations

import platform
from pathlib import Path

from revproxy import __version__
from revproxy.config.configfile import parseConfig
from revproxy.plan.counted import EdgeCounters, ProcessNow, RouteNow, TargetNow
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import CertificateFacts, CertificateState, Counters, TargetChanged
from tests.admin.metrics.edges import FiguresCase
from tests.admin.metrics.reading import ofName, value

TWO = (
    "listeners: [{endpoint: 'tcp:1'}]\n"
    "upstreams: {app: {targets: ['http://one.example', 'http://two.example']}}\nstate: /nowhere\n"
)


class EdgeFiguresTests(FiguresCase):
    """
    What is told of the edge itself.
    """

    def test_config(self) -> None:
        """
        When the configuration took effect that is in force, and whether another one stands refused.
        """
        self.commit()
        self.clock.advance(100)
        self.commit()
        found = self.read()
        self.assertEqual(value(found, "revproxy_config_last_change_timestamp_seconds"), 1000)
        self.assertEqual(value(found, "revproxy_plan_number"), 2)
        self.assertEqual(value(found, "revproxy_config_refused"), 0)
        self.assertEqual(value(found, "revproxy_info", version=__version__, python=platform.python_version()), 1)
        coordinator = self.control.coordinator
        coordinator.refused.note([Refusal("", "files", "no")], coordinator.plan, coordinator.catalog, None)
        self.assertEqual(value(self.read(), "revproxy_config_refused"), 1)
        self.commit(config=parseConfig(TWO, "b.yaml", Path("/")))
        self.assertEqual(value(self.read(), "revproxy_config_last_change_timestamp_seconds"), 1100)

    def test_events(self) -> None:
        """
        Events are counted by kind.
        """
        for kind in ("loaded", "loaded", "refused"):
            self.events.add(kind, "a text")
        found = self.read()
        self.assertEqual(value(found, "revproxy_events_total", kind="loaded"), 2)
        self.assertEqual(value(found, "revproxy_events_total", kind="refused"), 1)

    def test_listeners(self) -> None:
        """
        What workers count at listeners is added up; what is now is the sum of what each told last.
        """
        self.tell(Counters(edge=EdgeCounters(5, 10, 1, 2, 3, 4, 6, 7, 8)))
        self.tell(Counters(edge=EdgeCounters(2, 1)), 1)
        self.tell(Counters(edge=EdgeCounters(4, 1)))
        found = self.read()
        names = {
            "revproxy_connections": 6,
            "revproxy_connections_accepted_total": 12,
            "revproxy_connections_turned_away_total": 1,
            "revproxy_requests_refused_total": 2,
            "revproxy_tls_handshakes_total": 3,
            "revproxy_tls_handshakes_resumed_total": 4,
            "revproxy_tls_handshakes_failed_total": 6,
            "revproxy_series_dropped_total": 7,
            "revproxy_records_lost_total": 8,
        }
        self.assertEqual({name: value(found, name) for name in names}, names)

    def test_routes(self) -> None:
        """
        Requests under way, and how old the oldest is.
        """
        self.tell(Counters(routes=(RouteNow("main", 3, 990.0), RouteNow("", 1, 999.0))))
        self.tell(Counters(routes=(RouteNow("main", 1, 995.0),)), 1)
        found = self.read()
        self.assertEqual(value(found, "revproxy_requests_in_flight", http_route="main"), 4)
        self.assertEqual(value(found, "revproxy_requests_in_flight", http_route="-"), 1)
        self.assertEqual(value(found, "revproxy_oldest_request_seconds", http_route="main"), 10)
        self.tell(Counters())
        self.assertEqual(value(self.read(), "revproxy_requests_in_flight", http_route="main"), 1)
        self.tell(Counters(), 1)
        found = self.read()
        self.assertEqual(value(found, "revproxy_requests_in_flight", http_route="main"), 0)
        self.assertEqual(value(found, "revproxy_oldest_request_seconds", http_route="main"), 0)
        self.commit()
        found = self.read()
        self.assertEqual(ofName(found, "revproxy_requests_in_flight"), {frozenset({("http_route", "-")}): 0})

    def test_targets(self) -> None:
        """
        Targets that are configured, with zeros where nobody told anything of them.
        """
        self.commit(config=parseConfig(TWO, "b.yaml", Path("/")))
        one = {"upstream": "app", "target": "http://one.example"}
        two = {"upstream": "app", "target": "http://two.example"}
        self.tell(Counters(targets=(TargetNow("app", one["target"], 1, 2, 3, 4, 5),)))
        self.tell(Counters(targets=(TargetNow("app", one["target"], 1, 0, 1, 0, 7),)), 1)
        self.tell(TargetChanged("app", two["target"], False, "refused"))
        found = self.read()
        for name, number in (("in_flight", 2), ("queued", 2), ("connections", 4), ("tunnels", 4)):
            self.assertEqual(value(found, f"revproxy_upstream_target_{name}", **one), number)
            self.assertEqual(value(found, f"revproxy_upstream_target_{name}", **two), 0)
        self.assertEqual(value(found, "revproxy_upstream_target_failures_total", **one), 12)
        self.assertEqual(value(found, "revproxy_upstream_target_up", **one), 1)
        self.assertEqual(value(found, "revproxy_upstream_target_up", **two), 0)
        self.assertEqual(value(found, "revproxy_upstream_up", upstream="app"), 1)
        self.tell(TargetChanged("app", one["target"], False, "refused"))
        self.assertEqual(value(self.read(), "revproxy_upstream_up", upstream="app"), 0)

    def test_failuresGoOn(self) -> None:
        """
        A target that is made anew counts from nothing; what is told goes on.
        """
        self.commit(config=parseConfig(TWO, "b.yaml", Path("/")))
        target = "http://one.example"
        for failures in (3, 5, 2, 2, 4):
            self.tell(Counters(targets=(TargetNow("app", target, failures=failures),)))
        name = "revproxy_upstream_target_failures_total"
        self.assertEqual(value(self.read(), name, upstream="app", target=target), 9)

    def test_targetsGone(self) -> None:
        """
        Targets that are not configured any more are not told of.
        """
        self.commit(config=parseConfig(TWO, "b.yaml", Path("/")))
        self.tell(Counters(targets=(TargetNow("app", "http://one.example", 1, 1, 1, 1, 1),)))
        self.commit(config=parseConfig(TWO.replace("one.example", "three.example"), "c.yaml", Path("/")))
        targets = {dict(labels)["target"] for labels in ofName(self.read(), "revproxy_upstream_target_in_flight")}
        self.assertEqual(targets, {"http://three.example", "http://two.example"})

    def test_certificates(self) -> None:
        """
        When each certificate ends.
        """
        facts = CertificateFacts(
            "/c/a.pem", "ff", ("a.example", "b.example"), (), True, "CN=a", "CN=x", (), "1", 0.0, 5000.0
        )
        state = CertificateState("tcp:443", "/c", ("a.example",), 5000.0, ("/c/b.pem: no",), certificates=(facts,))
        self.tell(state)
        found = self.read()
        name = "revproxy_certificate_not_after_timestamp_seconds"
        self.assertEqual(value(found, name, listener="tcp:443", certificate="a.example", path="/c/a.pem"), 5000)
        self.assertEqual(value(found, "revproxy_certificate_problems", listener="tcp:443"), 1)

    def test_processes(self) -> None:
        """
        What each worker's process takes, under the names that Prometheus' own libraries have for it.
        """
        self.tell(Counters(process=ProcessNow(900.0, 1.5, 1000, 20, 1024, 0.002)))
        self.tell(Counters())
        found = self.read()
        for name, number in (
            ("process_cpu_seconds_total", 1.5),
            ("process_resident_memory_bytes", 1000),
            ("process_open_fds", 20),
            ("process_max_fds", 1024),
            ("process_start_time_seconds", 900),
            ("revproxy_loop_lag_seconds", 0.002),
        ):
            self.assertEqual(value(found, name, worker="0"), number)
