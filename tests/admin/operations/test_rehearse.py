"""What would become of requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from revproxy.admin.callreader import CallReader
from revproxy.admin.operations.rehearse import MOST, PATIENCE
from revproxy.admin.problem import Problem
from revproxy.explained import Explained, Step, encodeExplained
from revproxy.plan.words import Down, Rehearse, Rehearsed
from tests.admin.operations.operationcase import ANN, OperationCase
from tests.control.conversations import FakeLink
from tests.control.traffic.plans import planOf
from tests.control.traffic.records import record

ROUTES = "routes: [{name: shop, host: shop, upstream: u}, {name: api, host: shop, path: /api, upstream: u}]\n"


class RehearseTests(OperationCase):
    """A worker that answers as it is told, with a plan that has two plugins."""

    def setUp(self) -> None:
        plan = planOf(1, ROUTES, "auth", "tag")
        self.begin(plan.config)
        self.control.coordinator.plan = plan
        self.control.pastPlans.committed(plan, 0)
        self.answers: dict[str, Any] = {"record": msgspec.msgpack.encode(record(route="api")), "reached": True}

    def _told(self, word: Down) -> None:
        super()._told(word)
        if isinstance(word, Rehearse) and self.answers:
            self.crew.heard(0, Rehearsed(word.number, 1, status=200, **self.answers))

    def test_routed(self) -> None:
        """The route, why not the others, and the chain with the rule of each place; nothing is said to have run."""
        told = self.call("rehearseRequest", {"url": "http://shop:80/api/x?y"})
        word = self.words[-1]
        self.assertEqual(word, Rehearse(word.number, "GET", "/api/x?y", "shop:80", "http", serverName="shop"))  # type: ignore[union-attr]
        self.assertEqual((told["route"]["name"], told["is_sent_on"]), ("api", True))
        self.assertEqual([other["why"] for other in told["route"]["others"]], ["its path, /, is shorter than /api"])
        tried = [(each["name"], each["decision"], each["ran"], each["rule"]) for each in told["plugins"]]
        self.assertEqual(tried, [(name, "not tried", False, "priority 100") for name in ("auth", "tag")])
        self.assertEqual(told["answered_by"], {"kind": "upstream", "name": "u"})

    def test_plugins(self) -> None:
        """Through the plugins: what each has decided, and how long it took."""
        told = Explained("sample", (Step("auth", "1.0", "handle", 0.0005),))
        one = record(route="api", interruptedBy="auth", status=401, explained=encodeExplained(told))
        self.answers = {"record": msgspec.msgpack.encode(one)}
        told_ = self.call("rehearseRequest", {
            "method": "PUT", "url": "https://shop", "headers": {"X-A": ["1", "2"], "X-B": "3"}, "client": "192.0.2.1",
            "server_name": "Blog", "plugins": True,
        })  # fmt: skip
        word = self.words[-1]
        assert isinstance(word, Rehearse)
        fields = (("X-A", "1"), ("X-A", "2"), ("X-B", "3"))
        self.assertEqual(word, Rehearse(word.number, "PUT", "/", "shop", "https", fields, "192.0.2.1", "blog", True))
        first, second = told_["plugins"]
        self.assertEqual((first["decision"], second["decision"]), ("answered", "not asked"))
        self.assertEqual(first["request"]["us"], 500)
        self.assertEqual(told_["answered_by"], {"kind": "plugin", "name": "auth"})

    def test_refused(self) -> None:
        """What the edge would not take for a request."""
        self.answers = {"refused": "BadRequest: the method is no token"}
        told = self.call("rehearseRequest", {"url": "http://shop/", "method": "G("})
        self.assertEqual((told["refused"], told["plugins"]), ("BadRequest: the method is no token", []))
        self.assertEqual(told["answered_by"], {"kind": "edge", "name": "BadRequest"})

    def test_wrong(self) -> None:
        """What is no URL; and what is in it already."""
        for url in ("shop/", "ftp://shop/", "http://", "http://a@shop/", "http://shop/#x", "http://shop/ x", "//shop"):
            self.assertIn("url: write http://HOST/PATH", self.refused("rehearseRequest", Problem, {"url": url}))
        text = self.refused("rehearseRequest", Problem, {"url": "http://shop/", "headers": {"HOST": "x"}})
        self.assertIn("leave Host out", text)
        text = self.refused("rehearseRequest", Problem, {"url": "http://shop/", "client": "shop"})
        self.assertEqual(text, "client: 'shop' is no address")
        self.assertIn("url", self.refused("rehearseRequest", Problem, {}))
        self.assertIn("colour", self.refused("rehearseRequest", Problem, {"url": "http://shop/", "colour": "red"}))

    def test_role(self) -> None:
        """Plugins are run for those only who may change something."""
        operation = self.operations["rehearseRequest"]
        for role, plugins, isAllowed in (("observe", True, False), ("operate", True, True), ("observe", False, True)):
            body = msgspec.json.encode({"url": "http://shop/", "plugins": plugins})
            call = CallReader(operation).read(replace(ANN, role=role), {}, "", body)
            answer = Deferred.fromCoroutine(operation.handler(call))
            if isAllowed:
                self.successResultOf(answer)
            else:
                problem = self.failureResultOf(answer, Problem).value
                self.assertEqual(problem.status, 403)

    def pending(self, **body: Any) -> Deferred[Any]:
        """One that is under way."""
        operation = self.operations["rehearseRequest"]
        call = CallReader(operation).read(ANN, {}, "", msgspec.json.encode({"url": "http://shop/", **body}))
        return Deferred.fromCoroutine(operation.handler(call))

    def test_silent(self) -> None:
        """A worker that does not answer is waited for as long as it may take; another is asked, but not for plugins."""
        self.answers = {}
        self.crew.employ([FakeLink(self._told), FakeLink(self._told)])
        asked = len(self.words)
        one, other = self.pending(), self.pending(plugins=True)
        self.clock.advance(PATIENCE)
        self.assertEqual(self.failureResultOf(other, Problem).value.status, 503)
        self.clock.advance(PATIENCE)
        self.assertEqual(self.failureResultOf(one, Problem).value.status, 503)
        self.assertEqual(len([word for word in self.words[asked:] if isinstance(word, Rehearse)]), 3)

    def test_most(self) -> None:
        """So many at once, and no more."""
        self.answers = {}
        waiting = [self.pending() for _ in range(MOST)]
        self.assertEqual(self.failureResultOf(self.pending(), Problem).value.status, 429)
        self.clock.advance(PATIENCE)
        for each in waiting:
            self.failureResultOf(each, Problem)
        self.answers = {"record": msgspec.msgpack.encode(record(route="api"))}
        self.successResultOf(self.pending())
