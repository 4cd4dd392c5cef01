"""Operations on upstreams and targets."""

from __future__ import annotations

from typing import Any

from revproxy.admin.problem import Problem
from revproxy.control.commands import CommandError
from revproxy.control.targetoverrides import LastTarget, UnknownTarget
from revproxy.plan.counted import AttemptSeries, TargetNow
from revproxy.plan.words import Counters, Target, TargetChanged
from tests.admin.operations.operationcase import NOW, OperationCase
from tests.control.conversations import makeConfig

A, B = "http://a", "http://b"
TWO = makeConfig(f"upstreams: {{web: {{targets: ['{A}', {{url: '{B}', weight: 3}}]}}, api: {{targets: ['{A}']}}}}\n")


class UpstreamsTests(OperationCase):
    """Two upstreams."""

    def setUp(self) -> None:
        self.begin(TWO)

    def targets(self) -> dict[str, Any]:
        """Of the upstream that has two: its targets by URL."""
        [_, web] = self.call("listUpstreams")["items"]
        return {target["url"]: target for target in web["targets"]}

    def test_untouched(self) -> None:
        """What is configured, and nothing against it."""
        api, web = self.call("listUpstreams")["items"]
        self.assertEqual((api["name"], web["name"], web["policy"], web["state"]), ("api", "web", "round_robin", "up"))
        target = web["targets"][1]
        figures = target.pop("last_10s")
        self.assertEqual(target, {
            "url": B, "weight": 3, "configured_weight": 3, "state": "up", "since": None, "last_failure": None,
            "drained": None, "weighed": None, "expires_at": None,
            "in_flight": 0, "queued": 0, "connections": 0, "tunnels": 0,
        })  # fmt: skip
        self.assertEqual((figures["requests"], figures["share_5xx"], figures["p99_ms"]), (0, 0.0, None))

    def test_down(self) -> None:
        """Since when, and why; and the upstream, with the last."""
        for url in (A, B):
            self.crew.heard(0, TargetChanged("web", url, False, "refused"))
        api, web = self.call("listUpstreams")["items"]
        self.assertEqual((api["state"], web["state"]), ("up", "down"))
        target = web["targets"][0]
        self.assertEqual((target["state"], target["since"], target["last_failure"]),
                         ("down", NOW, {"at": NOW, "text": "refused"}))

    def test_figures(self) -> None:
        """What goes on there now is added up over workers; what went there in the last ten seconds."""
        self.clock.advance(60)
        self.crew.heard(1, Counters(targets=(TargetNow("web", A, 2, 3, 4, 1),)))
        self.counted = {"targets": (TargetNow("web", A, 20, 30, 40, 10),), "attempts": (
            AttemptSeries("web", A, "GET", 200, "", 30, 0.3, {10: 30}),
            AttemptSeries("web", A, "GET", 502, "x", 10, 1, {20: 10}),
        )}  # fmt: skip
        target = self.targets()[A]
        self.assertEqual([target[key] for key in ("in_flight", "queued", "connections", "tunnels")], [22, 33, 44, 11])
        figures = target["last_10s"]
        self.assertEqual((figures["requests"], figures["rate"], figures["share_5xx"]), (40, 4.0, 0.25))
        self.assertLess(figures["p50_ms"], figures["p99_ms"])

    def test_drain(self) -> None:
        """Drained for a time, with a reason; undrained. Workers and the audit hear of both."""
        answer = self.call("drainTarget", {"target": A, "for": "30m", "reason": "new disk"}, name="web")
        self.assertIn("http://a takes no new requests until ", answer["text"][0])
        target = self.targets()[A]
        said = {"by": "ann", "reason": "new disk", "at": NOW, "expires_at": NOW + 1800}
        self.assertEqual((target["state"], target["drained"], target["expires_at"]), ("drained", said, NOW + 1800))
        self.call("undrainTarget", {"target": A}, name="web")
        self.assertEqual(self.targets()[A]["state"], "up")
        self.assertEqual([word for word in self.words if isinstance(word, Target)], [
            Target("web", A, False), Target("web", A, True)])
        self.assertEqual(self.audited, [
            ("drain", "web http://a", "new disk", "done"), ("undrain", "web http://a", "", "done")])

    def test_weight(self) -> None:
        """Another weight, beside the configured one; and that again."""
        self.call("weighTarget", {"target": B, "weight": 7, "for": 60}, name="web")
        target = self.targets()[B]
        self.assertEqual((target["weight"], target["configured_weight"], target["expires_at"]), (7, 3, NOW + 60))
        self.call("weighTarget", {"target": B, "weight": None}, name="web")
        self.assertEqual((self.targets()[B]["weight"], self.targets()[B]["weighed"]), (3, None))

    def test_last(self) -> None:
        """The last is drained by force only; that it was refused is recorded."""
        body = {"target": A, "reason": "why not"}
        self.assertIn("with force", self.refused("drainTarget", LastTarget, body, name="api"))
        self.assertEqual(self.audited, [("drain", "api http://a", "why not", "refused")])
        answer = self.call("drainTarget", {**body, "force": True}, name="api")
        self.assertIn("nobody else answers for api", answer["text"][0])
        self.assertEqual(self.call("listUpstreams")["items"][0]["state"], "down")

    def test_refused(self) -> None:
        """What there is not, and what makes no sense, is refused with what to do."""
        self.assertIn('did you mean "web"?', self.refused("drainTarget", UnknownTarget, {"target": A}, name="wed"))
        self.assertIn("it has http://a", self.refused("undrainTarget", UnknownTarget, {"target": B}, name="api"))
        self.assertIn("not drained", self.refused("undrainTarget", CommandError, {"target": A}, name="api"))
        for body in ({}, {"target": A, "for": "soon"}, {"target": A, "for": "0s"}, {"target": A, "for": "400d"},
                     {"target": A, "for": -1}, {"target": 1}, {"target": A, "why": "x"}, {"target": A, "force": "yes"},
                     {"target": A, "reason": "x" * 501}):
            self.refused("drainTarget", Problem, body, name="web")
        for weight in (0, 1001, 1.5, "2"):
            self.refused("weighTarget", Problem, {"target": A, "weight": weight}, name="web")
        self.assertEqual([word for word in self.words if isinstance(word, Target)], [])

    def test_notWritten(self) -> None:
        """What is in force and could not be written down is said."""
        answer = self.call("drainTarget", {"target": A}, name="web")
        self.assertIn("in force, but not written down: ", answer["text"][1])
