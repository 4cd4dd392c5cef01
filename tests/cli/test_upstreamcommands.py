"""The commands about upstreams and certificates."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.test_edgecommands import CommandCase, Status

FIGURES = {"requests": 0, "rate": 0.0, "share_4xx": 0.0, "share_5xx": 0.0, "p50_ms": None, "p95_ms": None,
           "p99_ms": None}  # fmt: skip


def target(url: str, **changes: Any) -> dict[str, Any]:
    """As the edge tells of one."""
    return {"url": url, "weight": 1, "configured_weight": 1, "state": "up", "since": None, "last_failure": None,
            "drained": None, "weighed": None, "expires_at": None, "in_flight": 0, "queued": 0, "connections": 0,
            "tunnels": 0, "last_10s": FIGURES, **changes}  # fmt: skip


def upstream(name: str, *targets: dict[str, Any], state: str = "up") -> dict[str, Any]:
    """As the edge tells of one."""
    return {"name": name, "policy": "round_robin", "state": state, "targets": list(targets)}


class UpstreamsTests(CommandCase):
    """``revproxy upstreams``."""

    def test_table(self) -> None:
        """A line for each target, with what there is to say of it."""
        said = {"by": "ann", "reason": "new disk", "at": 1.0, "expires_at": None}
        busy = {**FIGURES, "requests": 40, "rate": 4.0, "share_5xx": 0.25, "p99_ms": 12.34}
        self.edge([upstream("web", target("http://a", in_flight=2, last_10s=busy), target(
            "http://b", state="drained", drained=said, weight=5, last_failure={"at": 1.0, "text": "refused"}))])
        first, second = self.run_("upstreams").stdout.splitlines()[1:]
        self.assertEqual(first.split(), ["web", "http://a", "up", "1", "2", "0", "0", "4.0", "25%", "12.3", "-"])
        self.assertEqual(second.split()[:5], ["web", "http://b", "drained", "5", "(1)"])
        self.assertIn("drained by ann: new disk; last failure ", second)
        self.assertIn(": refused", second)

    def test_down(self) -> None:
        """An upstream that nobody answers for is named."""
        self.edge([upstream("web", target("http://a", state="down"), state="down")])
        self.assertIn("\nweb: nobody answers for it\n", self.run_("upstreams").stdout)

    def test_one(self) -> None:
        """One alone; one that there is not; none at all; as JSON."""
        self.edge([upstream("api", target("http://c")), upstream("web", target("http://a"))])
        self.assertNotIn("http://c", self.run_("upstreams", "web").stdout)
        self.assertIn("no upstream named wed; there are api, web", self.run_("upstreams", "wed", status=1).stderr)
        self.assertEqual(json.loads(self.run_("upstreams", "web", "--json").stdout)[0]["name"], "web")

    def test_none(self) -> None:
        """An edge without upstreams."""
        self.edge([])
        self.assertEqual(self.run_("upstreams").stdout, "no upstreams\n")


class SteeringTests(CommandCase):
    """``drain``, ``undrain``, ``weight``."""

    def asked(self, *arguments: str) -> tuple[str, str, Any]:
        """What the edge is asked."""
        edge = self.edge({"text": ["done so"]})
        self.assertEqual(self.run_(*arguments).stdout, "done so\n")
        edge.close()
        (request,) = edge.requests
        return request

    def test_drain(self) -> None:
        """For a time, for a reason, by force; or without all that."""
        path = "upstreams/web/drain"
        self.assertEqual(self.asked("drain", "web", "http://a"), ("POST", path, {"target": "http://a"}))

    def test_drainFor(self) -> None:
        """With all that."""
        self.assertEqual(
            self.asked("drain", "web", "http://a", "--for", "30m", "--reason", "disk", "--force")[2],
            {"target": "http://a", "for": 1800.0, "reason": "disk", "force": True},
        )

    def test_undrain(self) -> None:
        """Back again."""
        self.assertEqual(self.asked("undrain", "web", "http://a", "--reason", "well"), (
            "POST", "upstreams/web/undrain", {"target": "http://a", "reason": "well"}))

    def test_weight(self) -> None:
        """Another weight."""
        self.assertEqual(self.asked("weight", "web", "http://a", "5", "--for", "1h"), (
            "POST", "upstreams/web/weight", {"target": "http://a", "weight": 5, "for": 3600.0}))

    def test_configuredWeight(self) -> None:
        """The configured one."""
        self.assertEqual(self.asked("weight", "web", "http://a")[2], {"target": "http://a"})

    def test_refused(self) -> None:
        """What the edge refuses is said, and the status is 1; what is no time is a matter of usage."""
        self.edge(Status(409, {"title": "Conflict", "status": 409, "detail": "it is the only target"}))
        self.assertIn("it is the only target", self.run_("drain", "web", "http://a", status=1).stderr)
        self.run_("drain", "web", "http://a", "--for", "0s", status=2)
        self.run_("weight", "web", "http://a", "0", status=2)


class CertificatesTests(CommandCase):
    """``revproxy certificates``."""

    def certificate(self, file: str, days: float, **changes: Any) -> dict[str, Any]:
        """As the edge tells of one."""
        return {"file": file, "names": ["a.example"], "serves": ["a.example"], "is_default": False, "is_used": True,
                "subject": "CN=a", "issuer": "CN=b", "chain": [], "serial": "1", "fingerprint": "2", "not_before": 0.0,
                "not_after": days * 86400, "days_left": days, **changes}  # fmt: skip

    def test_table(self) -> None:
        """The first that ends comes first; those that are not used, and what could not be, are named."""
        hosts = [f"{letter}.example" for letter in "abcdefg"]
        self.edge([{
            "listener": "tcp:1", "place": "/c", "read_at": 1.0, "problems": ["/c/d.pem: is empty"], "is_kept": True,
            "expires_at": None, "certificates": [
                self.certificate("b.pem", 90, serves=hosts, issuer="CN=a"),
                self.certificate("a.pem", 1.5, is_default=True),
                self.certificate("c.pem", -3, serves=[], is_used=False),
            ],
        }])  # fmt: skip
        lines = self.run_("certificates").stdout.splitlines()
        self.assertIn("tcp:1: /c, read ", lines[0])
        self.assertEqual([line.split()[0] for line in lines[2:5]], ["c.pem", "a.pem", "b.pem"])
        self.assertIn("not used; expired", lines[2])
        self.assertIn(" 1.5 ", lines[3])
        self.assertIn("expires soon; for all other hosts", lines[3])
        self.assertIn("e.example, and 2 more", lines[4])
        self.assertIn(" itself ", lines[4])
        self.assertEqual(lines[5:], [
            "nothing that is there now can be used: what was there before serves on", "not used: /c/d.pem: is empty"])

    def test_none(self) -> None:
        """Nobody speaks TLS."""
        self.edge([])
        self.assertEqual(self.run_("certificates").stdout, "no listener speaks TLS\n")
