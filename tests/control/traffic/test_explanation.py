"""
Why requests went as they did.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.traffic.explanation import explanation
from revproxy.control.traffic.pastplans import PastPlans
from revproxy.explained import Changes, Explained, Step, Try, encodeExplained
from revproxy.requestrecord import ArmMet
from revproxy.secrets import hide
from tests.control.traffic.plans import planOf
from tests.control.traffic.records import record
from tests.plan.plans import entry
from tests.plan.trials import trialOf, withTrials

ROUTES = "routes: [{name: shop, host: shop, upstream: u}, {name: api, host: shop, path: /api, respond: {}}]\n"


class ExplanationCase(SynchronousTestCase):
    """
    Plan 1 has the plugins a, b and c on two routes.
    """

    missing: dict[str, tuple[int, ...]] = {}

    def setUp(self) -> None:
        self.past = PastPlans()
        self.past.committed(planOf(1, ROUTES, "a", "b", "c", missing=self.missing), 5.0)

    def explain(self, told: Explained | None = None, **more: Any) -> dict[str, Any]:
        """
        What is said of a request.
        """
        encoded = b"" if told is None else encodeExplained(told)
        one = record(explained=encoded, **more)
        return explanation(one, self.past.find(one.generation), 1)

    def decisions(self, *arguments: Any, **more: Any) -> list[tuple[str, str, bool | None]]:
        """
        Of each plugin.
        """
        plugins = self.explain(*arguments, **more)["plugins"]
        return [(each["name"], each["decision"], each["ran"]) for each in plugins]


class PluginsTests(ExplanationCase):
    """
    What became of it at each plugin.
    """

    def test_passed(self) -> None:
        """
        A request that reached its origin has passed all of them.
        """
        passed = [(name, "passed", True) for name in "abc"]
        self.assertEqual(self.decisions(upstream="http://a", upstreamSeconds=0.1), passed)
        self.assertEqual(self.decisions(), passed)

    def test_answered(self) -> None:
        """
        Those behind the one that has answered were not asked.
        """
        found = self.explain(interruptedBy="b", status=401)
        self.assertEqual([each["decision"] for each in found["plugins"]], ["passed", "answered", "not asked"])
        self.assertEqual(found["plugins"][1]["why"], "it has answered 401 itself")
        self.assertEqual(found["plugins"][2]["why"], "b stands before it, and has answered")
        self.assertEqual(found["answered_by"], {"kind": "plugin", "name": "b"})

    def test_failed(self) -> None:
        """
        With what it has failed with; on the way out, the others were asked before.
        """
        told = Explained("failed", notes=(("b", "failed: no such tenant"),))
        found = self.explain(told, pluginErrors=("b",), status=500, error="PluginFailed: b 1.0: no such tenant")
        self.assertEqual([each["decision"] for each in found["plugins"]], ["passed", "failed", "not asked"])
        self.assertEqual(found["plugins"][1]["why"], "failed: no such tenant")
        self.assertEqual(found["answered_by"], {"kind": "edge", "name": "PluginFailed"})
        late = self.decisions(told, pluginErrors=("b",), status=500, upstream="http://a", error="PluginFailed: b")
        self.assertEqual([decision for _, decision, _ in late], ["passed", "failed", "passed"])

    def test_open(self) -> None:
        """
        One that failed and is passed over, and one that is in quarantine.
        """
        told = Explained("failed", notes=(("a", "failed: odd"), ("b", "quarantine")))
        found = self.explain(told, pluginsSkipped=("a", "b"))["plugins"]
        self.assertEqual([(each["decision"], each["ran"]) for each in found],
                         [("failed open", True), ("passed over", False), ("passed", True)])  # fmt: skip
        self.assertEqual([each["why"] for each in found],
                         ["failed: odd", "it is in quarantine, and its on_error is open", None])  # fmt: skip

    def test_quarantined(self) -> None:
        """
        In quarantine, and nobody may pass; and one that was a probe.
        """
        told = Explained("failed", notes=(("b", "quarantine"),))
        self.assertEqual(
            self.decisions(told, status=503, error="PluginQuarantined: b is out of service"),
            [("a", "passed", True), ("b", "refused", False), ("c", "not asked", False)],
        )
        told = Explained("slow", notes=(("b", "probe"),))
        self.assertIn("this was a probe", self.explain(told)["plugins"][1]["why"])

    def test_refused(self) -> None:
        """
        A request that its route refuses comes to no plugin.
        """
        found = self.explain(status=405, error="MethodNotAllowed: PUT on this route")["plugins"]
        self.assertEqual({each["decision"] for each in found}, {"not asked"})
        self.assertIn("refused before: MethodNotAllowed: PUT", found[0]["why"])

    def test_unknown(self) -> None:
        """
        How far one came whose client left, nobody knows; in the sample, it is known.
        """
        gone = {"status": 499, "error": "ClientGone: the client left"}
        self.assertEqual(self.decisions(**gone), [(name, "unknown", None) for name in "abc"])
        told = Explained("failed", (Step("a", "1.0", "handle", 0.001), Step("b", "1.0", "handle", 0.001)))
        known = [decision for _, decision, _ in self.decisions(told, **gone)]
        self.assertEqual(known, ["passed", "passed", "not asked"])
        self.assertEqual(self.explain(**gone)["answered_by"], {"kind": "nobody", "name": None})

    def test_awaited(self) -> None:
        """
        Whose client left while a plugin's answer was awaited: nobody below it was asked; on the way out, all were.
        """
        gone = {"status": 499, "error": "ClientGone: the client left"}
        for steps in ((), tuple(Step(name, "1.0", "handle", 0.001) for name in "ab")):
            told = Explained("failed", steps, notes=(("b", "awaited in handle"),))
            self.assertEqual(
                self.decisions(told, **gone), [("a", "passed", True), ("b", "awaited", True), ("c", "not asked", False)]
            )
        found = self.explain(told, **gone)["plugins"]
        self.assertEqual(found[1]["why"], "the request ended before its answer came")
        self.assertEqual(found[2]["why"], "b stands before it, and had not answered")
        told = Explained("failed", notes=(("b", "awaited in handleResponse"),))
        self.assertEqual(self.decisions(told, **gone), [(name, "passed", True) for name in "abc"])
        why = "the request ended before its answer came, on the way out"
        self.assertEqual(self.explain(told, **gone)["plugins"][1]["why"], why)

    def test_figures(self) -> None:
        """
        Times, and names of fields, where they were noted.
        """
        step = Step("a", "1.0", "handle", 0.00025, 0.5, Changes(("x-a",), (), ("cookie",)))
        back = Step("a", "1.0", "handleResponse", 0.0001, None, Changes())
        first, second, _ = self.explain(Explained("sample", (step, back)))["plugins"]
        headers = {"added": ["x-a"], "changed": [], "removed": ["cookie"], "more": 0}
        self.assertEqual(first["request"], {"us": 250, "waited_us": 500000, "headers": headers})
        self.assertEqual((first["response"]["us"], second["request"]), (100, None))

    def test_forgotten(self) -> None:
        """
        Where the plan is forgotten, what was noted is shown, and that the rest is not known.
        """
        found = self.explain(Explained("sample", (Step("z", "3.0", "handle", 0.1),)), generation=9)
        self.assertEqual([(each["name"], each["version"]) for each in found["plugins"]], [("z", "3.0")])
        self.assertEqual(found["plan"], {"number": 9, "is_current": False, "is_known": False})
        self.assertIn("plan 9 is not remembered any more: only what the record says is known", found["notes"])

    def test_gone(self) -> None:
        """
        A plan that others have followed is remembered.
        """
        self.past.committed(planOf(2, ROUTES, "other"), 6.0)
        found = explanation(record(), self.past.find(1), 2)
        self.assertEqual(found["plan"], {"number": 1, "is_current": False, "is_known": True})
        self.assertEqual([each["name"] for each in found["plugins"]], ["a", "b", "c"])


class ArmTests(ExplanationCase):
    """
    Where a version of b is rolled out.
    """

    def setUp(self) -> None:
        super().setUp()
        plan = withTrials(planOf(0, ROUTES, "a", "b", "c"), (trialOf("b"), {"b": entry("b", "2.0")}))
        self.past.committed(plan, 6.0)

    def test_candidate(self) -> None:
        """
        Who met it sees it, with its version, in its place.
        """
        plugins = self.explain(arms=(ArmMet("b", "2.0", True),))["plugins"]
        self.assertEqual([(each["name"], each["version"], each["arm"]) for each in plugins],
                         [("a", "1.0", None), ("b", "2.0", "candidate"), ("c", "1.0", None)])

    def test_running(self) -> None:
        """
        Who did not sees what runs, and that another one was there.
        """
        plugins = self.explain(arms=(ArmMet("b", "1.0", False),))["plugins"]
        self.assertEqual([(each["version"], each["arm"]) for each in plugins],
                         [("1.0", None), ("1.0", "running"), ("1.0", None)])

    def test_noTrial(self) -> None:
        """
        On a route that has nothing to do with it, nothing is said of it.
        """
        self.assertEqual({each["arm"] for each in self.explain()["plugins"]}, {None})


class MissingTests(ExplanationCase):
    """
    A required plugin that cannot be had.
    """

    missing = {"door": (0,)}

    def test_missing(self) -> None:
        """
        It stands first, and nobody else was asked.
        """
        decisions = self.decisions(status=503, error="PluginQuarantined: door cannot be had")
        self.assertEqual(decisions[0], ("door", "missing", False))
        self.assertEqual({decision for _, decision, _ in decisions[1:]}, {"not asked"})


class RestTests(ExplanationCase):
    """
    Route, upstream, who has answered, and what is not known.
    """

    def test_route(self) -> None:
        """
        The one that was chosen, and why not the others.
        """
        found = self.explain(target=b"/api/x", route="api")["route"]
        (other,) = found.pop("others")
        self.assertEqual(found, {"name": "api", "host": "shop", "path": "/api", "answers": "respond"})
        self.assertEqual((other["name"], other["why"]), ("shop", "its path, /, is shorter than /api"))

    def test_noRoute(self) -> None:
        """
        Where there was none, those that come near.
        """
        found = self.explain(host=b"blog", route="", status=404, error="NotFound: no route for this host and path")
        self.assertEqual((found["route"]["name"], found["plugins"]), (None, []))
        self.assertEqual(found["route"]["others"][0]["why"], "its host, shop, is not blog")
        self.assertEqual(found["answered_by"], {"kind": "edge", "name": "NotFound"})

    def test_tries(self) -> None:
        """
        Each target, with why it was lost.
        """
        told = Explained("retried", tries=(Try("http://one", "ConnectFailed: refused"),), sent=0.001)
        found = self.explain(told, upstream="http://two", pool="u", attempts=2, upstreamSeconds=0.004)
        self.assertEqual(found["upstream"]["tries"], [
            {"target": "http://one", "outcome": "lost", "why": "ConnectFailed: refused"},
            {"target": "http://two", "outcome": "answered", "why": None},
        ])  # fmt: skip
        self.assertEqual(
            found["phases"], {"before_us": 1000, "upstream_us": 4000, "after_us": 5000, "duration_us": 10000}
        )
        self.assertEqual(found["answered_by"], {"kind": "upstream", "name": "http://two"})

    def test_allLost(self) -> None:
        """
        The last one that was lost is not told of twice.
        """
        told = Explained("failed", tries=(Try("http://one", "ConnectFailed: refused"),))
        found = self.explain(told, upstream="http://one", status=502, error="ConnectFailed: refused")
        self.assertEqual([each["outcome"] for each in found["upstream"]["tries"]], ["lost"])

    def test_well(self) -> None:
        """
        Of one that went well it is said why there is nothing more.
        """
        self.assertEqual(self.explain()["notes"], [
            "it went well and was not in the sample: times of plugins and names of fields were not noted"
        ])  # fmt: skip

    def test_answeredBadly(self) -> None:
        """
        A bad answer that is not the edge's own failure is not said to have gone well.
        """
        self.assertEqual(self.explain(status=503, upstream="http://one", upstreamSeconds=0.001)["notes"], [
            "the edge itself did not fail, and it was not in the sample: times of plugins and names of fields were not "
            "noted"
        ])  # fmt: skip

    def test_broken(self) -> None:
        """
        What cannot be read is not shown, and keeps nothing else from being.
        """
        one = explanation(record(explained=b"\xc1"), self.past.find(1), 1)
        self.assertIn("what was noted of it cannot be read", one["notes"])
        self.assertEqual(len(one["plugins"]), 3)

    def test_rerouted(self) -> None:
        """
        By whom, and from where.
        """
        told = Explained("rerouted", notes=(("a", "rerouted from shop to api"),))
        found = self.explain(told, route="api")
        self.assertIn("a: rerouted from shop to api", found["notes"])
        self.assertEqual(found["plugins"][0]["decision"], "rerouted")
        why = "it was taken first: a has had the route chosen anew"
        self.assertEqual([(each["name"], each["why"]) for each in found["route"]["others"]], [("shop", why)])

    def test_secrets(self) -> None:
        """
        What is known to be secret is masked.
        """
        hide("correct-horse-staple")
        told = Explained("failed", notes=(("a", "failed: correct-horse-staple"),))
        found = self.explain(told, pluginErrors=("a",), error="PluginFailed: correct-horse-staple")
        self.assertNotIn("correct-horse-staple", str(found))
