"""The whole: what happens, what figures say, and what receivers hear of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.alertexpression import parseExpression
from revproxy.config.alertsettings import AlertRule, AlertsConfig
from revproxy.control.alerts.alerts import Alerts
from revproxy.control.alerts.sender import Answer, NotSent
from revproxy.control.state.latestfile import LatestFile
from revproxy.plan.events import EventLog
from tests.control.alerts.doubles import CHAT, OPS, PAGER, FakeMeasures, FakeSender, configOf

DOWN = AlertRule("down", on=("target-down",), wait=30.0, summary="A target is down")
REFUSED = AlertRule("refused", on=("refused",))
STALLED = AlertRule("stalled", on=("stalled",), endsAfter=60.0)
ERRORS = AlertRule("errors", when=parseExpression("error_share > 2%"), of="route", endsAfter=600.0)


class AlertsCase(SynchronousTestCase):
    """An edge's alerts, with a pager."""

    config = configOf(PAGER, rules=(DOWN, REFUSED, STALLED, ERRORS), groupWait=0.0, labels={"site": "fra1"})

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.path = Path(self.mktemp())
        self.sender = FakeSender()
        self.measures = FakeMeasures()
        self.standing: dict[str, bool] = {}
        self.begin()

    def begin(self) -> None:
        """As an edge does at its start."""
        self.events = EventLog(self.clock.seconds)
        stands = {"refused": lambda labels: self.standing.get(labels.get("plugin", ""), True)}
        self.alerts = Alerts(self.events, self.clock, self.measures, stands, self.sender, self.file())
        self.alerts.adopt(self.config)
        self.alerts.start()

    def file(self) -> LatestFile:
        def atOnce(function: Any, *arguments: Any) -> Deferred[Any]:
            return succeed(function(*arguments))

        return LatestFile(self.path, self.clock, atOnce)

    def end(self) -> None:
        """As an edge does at its end."""
        self.alerts.stop()
        self.alerts.save()
        self.successResultOf(Deferred.fromCoroutine(self.alerts.file.end()))

    def restart(self) -> None:
        self.end()
        self.begin()

    def passes(self, seconds: int) -> None:
        self.clock.pump([1] * seconds)

    def goesDown(self, target: str = "http://a", upstream: str = "api") -> None:
        about = {"upstream": upstream, "target": target}
        self.events.add("target-down", f"{target} is passed over: no answer", about=about)

    def comesUp(self, target: str = "http://a", upstream: str = "api") -> None:
        self.events.add("target-up", f"{target} answers again", about={"upstream": upstream, "target": target})

    def states(self) -> list[str]:
        shown = self.alerts.asDict()
        return [f"{each['rule']} {each['state']}" for kind in ("pending", "firing", "silenced") for each in shown[kind]]


class EventTests(AlertsCase):
    """Rules about events."""

    def test_fires(self) -> None:
        """A target that stays down for thirty seconds is told; that it answers again is told, too."""
        self.goesDown()
        self.assertEqual(self.states(), ["down pending"])
        self.passes(29)
        self.assertEqual(self.sender.sent, [])
        self.passes(2)
        self.assertEqual(self.sender.told(), [("down api http://a", "firing")])
        alert = json.loads(self.sender.sent[0].body)["data"]["alerts"][0]
        self.assertEqual(alert["labels"], {
            "alertname": "down", "severity": "warning", "site": "fra1", "event": "target-down", "upstream": "api",
            "target": "http://a"})
        self.assertEqual((alert["summary"], alert["text"]),
                         ("A target is down", "http://a is passed over: no answer"))
        self.comesUp()
        self.passes(300)
        self.assertEqual(self.sender.told(1), [("down api http://a", "resolved")])
        self.assertEqual(self.alerts.asDict()["resolved"][0]["why"], "http://a answers again")

    def test_comesBackSoon(self) -> None:
        """One that answers again before that is not told."""
        self.goesDown()
        self.passes(20)
        self.comesUp()
        self.passes(100)
        self.assertEqual((self.sender.sent, self.states()), ([], []))

    def test_another(self) -> None:
        """Another target that answers ends nothing."""
        self.goesDown("http://a")
        self.goesDown("http://b")
        self.comesUp("http://b")
        self.comesUp("http://a", "shop")
        self.passes(31)
        self.assertEqual(self.sender.told(), [("down api http://a", "firing")])

    def test_sameAgain(self) -> None:
        """What happens again while it goes on is the same alert, whatever its text."""
        for n in range(5):
            self.events.add("stalled", f"held for {n} s", "auth")
            self.passes(10)
        self.assertEqual(self.sender.told(), [("stalled auth", "firing")])
        self.assertEqual(self.alerts.asDict()["firing"][0]["text"], "held for 4 s")

    def test_endsByItself(self) -> None:
        """What nothing ends is over when it has not happened again for as long as the rule says."""
        self.events.add("stalled", "held for 1 s", "auth")
        self.passes(40)
        self.events.add("stalled", "held for 1 s", "auth")
        self.passes(59)
        self.assertEqual(self.states(), ["stalled firing"])
        self.passes(10)
        self.assertEqual(self.states(), [])
        self.assertEqual(self.alerts.asDict()["resolved"][0]["why"], "it has not happened again")

    def test_standsNoMore(self) -> None:
        """What control knows not to stand any more is over."""
        self.events.add("refused", "plugin.py:3: no", "auth")
        self.passes(10)
        self.assertEqual(self.states(), ["refused firing"])
        self.standing["auth"] = False
        self.passes(6)
        self.assertEqual(self.states(), [])

    def test_only(self) -> None:
        """A rule may be about some of them only."""
        self.alerts.adopt(configOf(PAGER, rules=(AlertRule("a", on=("stalled",), only="auth-*"),), groupWait=0.0))
        for plugin in ("auth-1", "quota", ""):
            self.events.add("stalled", "held", plugin)
        self.passes(5)
        self.assertEqual(self.sender.told(), [("a auth-1", "firing")])

    def test_early(self) -> None:
        """What happens before the edge serves is taken up when it does."""
        alerts = Alerts(self.events, self.clock, self.measures, {}, self.sender, self.file())
        alerts.adopt(self.config)
        self.events.add("stalled", "held", "auth")
        self.assertEqual(alerts.asDict()["firing"], [])
        alerts.start()
        self.assertEqual(len(alerts.asDict()["firing"]), 1)


class ConditionTests(AlertsCase):
    """Rules about figures."""

    def figure(self, value: float | None, name: str = "api") -> None:
        self.measures.values["error_share", name] = value

    def test_fires(self) -> None:
        """For each route that is such; that it is over is told with the value."""
        self.figure(0.05)
        self.figure(0.01, "shop")
        self.passes(12)
        self.assertEqual(self.sender.told(), [("errors api", "firing")])
        self.figure(0.0)
        self.passes(310)
        self.assertEqual(self.sender.told(1), [("errors api", "resolved")])
        why = self.alerts.asDict()["resolved"][0]["why"]
        self.assertEqual(why, "error_share is 0% over 5m (rule: error_share > 2%)")

    def test_noTraffic(self) -> None:
        """No traffic never fires and never resolves; after long enough it is over, and says why."""
        self.passes(12)
        self.assertEqual(self.alerts.asDict()["rules"][-1]["without_traffic"], 2)
        self.figure(0.5)
        self.passes(10)
        self.figure(None)
        self.passes(300)
        self.assertEqual(self.states(), ["errors no-traffic"])
        self.assertEqual(self.sender.told(), [("errors api", "firing")])
        self.passes(400)
        self.assertEqual(self.states(), [])
        self.assertIn("no traffic", self.alerts.asDict()["resolved"][0]["why"])

    def test_disk(self) -> None:
        """What goes on as it is, or without traffic, is not written down again and again."""
        self.figure(0.5)
        self.passes(20)
        saved: list[bytes] = []
        self.patch(self.alerts.file, "save", saved.append)
        self.passes(100)
        self.figure(None)
        self.passes(100)
        self.assertEqual(saved, [])

    def test_gone(self) -> None:
        """A route that is not configured any more is over."""
        self.figure(0.5)
        self.passes(12)
        self.measures.known = ["shop"]
        self.passes(6)
        self.assertEqual(self.states(), [])

    def test_ruleGone(self) -> None:
        """So is what a rule said that is not in force any more, and the receiver is told."""
        self.figure(0.5)
        self.passes(12)
        self.alerts.adopt(configOf(PAGER, rules=(DOWN,), groupWait=0.0))
        self.passes(310)
        self.assertEqual(self.sender.told(), [("errors api", "firing"), ("errors api", "resolved")])


    def test_ruleGoneMeanwhile(self) -> None:
        """The same if it was taken away while the edge was not running."""
        self.figure(0.5)
        self.passes(12)
        self.end()
        self.config = configOf(PAGER, rules=(DOWN,), groupWait=0.0)
        self.begin()
        self.passes(310)
        self.assertEqual(self.sender.told(), [("errors api", "firing"), ("errors api", "resolved")])

    def test_ruleChanged(self) -> None:
        """What a rule says with another severity is another alert: the one before is over, for the receiver, too."""
        self.figure(0.5)
        self.goesDown()
        self.passes(40)
        severe = [replace(rule, severity="critical") for rule in (DOWN, ERRORS)]
        self.alerts.adopt(configOf(PAGER, rules=severe, groupWait=0.0, labels={"site": "fra1"}))
        self.passes(400)
        self.assertEqual(sorted(self.states()), ["down firing", "errors firing"])
        self.assertEqual({alert.labels["severity"] for alert in self.alerts.firing}, {"critical"})
        told = self.sender.told()
        self.assertEqual([told.count((name, state)) for name in ("errors api", "down api http://a")
                          for state in ("firing", "resolved")], [2, 1, 2, 1])

    def test_sameRules(self) -> None:
        """A configuration in which they are as they were changes nothing."""
        self.figure(0.5)
        self.goesDown()
        self.passes(40)
        self.alerts.adopt(configOf(PAGER, CHAT, rules=self.config.rules, groupWait=0.0, labels={"site": "fra1"}))
        self.passes(5)
        self.assertEqual(self.alerts.asDict()["resolved"], [])


class ReceiverTests(AlertsCase):
    """Who is told."""

    def test_to(self) -> None:
        """Those that the rule names; left out, all."""
        rules = (AlertRule("a", on=("stalled",), to=("chat",)), AlertRule("b", on=("refused",)))
        self.alerts.adopt(configOf(PAGER, CHAT, rules=rules, groupWait=0.0))
        self.events.add("stalled", "held")
        self.events.add("refused", "no")
        self.passes(5)
        self.assertEqual([(request.url, b"refused" in request.body) for request in self.sender.sent], [
            ("http://chat.test/T/B/x", False), ("http://pager.test/hook", True), ("http://chat.test/T/B/x", True)])

    def test_newReceiver(self) -> None:
        """A receiver that comes is told what fires already; one that stays is not told again."""
        self.events.add("stalled", "held")
        self.passes(2)
        self.alerts.adopt(configOf(PAGER, OPS, rules=self.config.rules, groupWait=0.0))
        self.passes(5)
        self.assertEqual([request.url.partition("/api")[0] for request in self.sender.sent],
                         ["http://pager.test/hook", "http://am1.test", "http://am2.test/prefix"])

    def test_neverAnswers(self) -> None:
        """One that never answers does not hold another."""
        config = configOf(PAGER, CHAT, rules=(STALLED, REFUSED), groupWait=0.0)
        self.alerts.adopt(config)
        self.sender.answer = lambda request: None if request.url == PAGER.urls[0] else Answer(200)
        self.events.add("stalled", "held")
        self.passes(2)
        self.events.add("refused", "no")
        self.passes(2)
        self.assertEqual([request.url for request in self.sender.sent], [PAGER.urls[0], *CHAT.urls * 2])

    def test_event(self) -> None:
        """That a receiver cannot be told is an event, of which another can be told; each once."""
        undelivered = AlertRule("undelivered", on=("alert-undelivered",), to=("chat",))
        stalled = AlertRule("stalled", on=("stalled",), to=("pager",))
        self.alerts.adopt(configOf(PAGER, CHAT, rules=(stalled, undelivered), groupWait=0.0))
        self.sender.answer = lambda request: NotSent("gone") if request.url == PAGER.urls[0] else Answer(200)
        self.events.add("stalled", "held")
        self.passes(600)
        told = [event for event in self.events.latest(100) if event.kind == "alert-undelivered"]
        self.assertEqual(len(told), 1)
        self.assertEqual(told[0].about, {"receiver": "pager"})
        self.assertIn("gone", self.sender.sent[1].body.decode())
        self.assertGreater(self.alerts.receivers.failures["pager"], 5)
        self.assertEqual(self.alerts.receivers.failures["chat"], 0)
        self.sender.says(Answer(200))
        self.passes(1000)
        chat = [json.loads(request.body) for request in self.sender.sent if request.url != PAGER.urls[0]]
        self.assertEqual([each["text"] for each in chat], ["Firing: undelivered", "Resolved: undelivered"])

    def test_people(self) -> None:
        """What they ask for, of a receiver that there is not."""
        self.assertRaises(KeyError, self.alerts.receivers.redeliver, "nobody")
        self.assertEqual(self.alerts.receivers.redeliver("pager"), 0)


class SilenceTests(AlertsCase):
    """What nobody is told of."""

    def test_silenced(self) -> None:
        """Nothing that matches is told until it ends; then, what still fires."""
        self.alerts.silence(["upstream=api"], 100, "ann", "works on it")
        self.goesDown()
        self.passes(60)
        self.assertEqual((self.sender.sent, self.states()), ([], ["down firing"]))
        self.assertEqual(self.alerts.asDict()["silenced"][0]["rule"], "down")
        self.passes(45)
        self.assertEqual(self.sender.told(), [("down api http://a", "firing")])

    def test_resolvedMeanwhile(self) -> None:
        """What was told before and is over now is told all the same: nobody waits for it."""
        self.events.add("stalled", "held")
        self.passes(2)
        silence = self.alerts.silence(["alertname=*"], 6000, "ann", "")
        self.passes(1000)
        self.assertEqual(self.sender.told(), [("stalled", "firing"), ("stalled", "resolved")])
        self.assertEqual(self.alerts.unsilence(silence.id), silence)
        self.assertIsNone(self.alerts.unsilence(silence.id))

    def test_ended(self) -> None:
        """Ended by hand, what fires is told at once."""
        silence = self.alerts.silence(["alertname=stalled"], 6000, "ann", "")
        self.events.add("stalled", "held")
        self.passes(5)
        self.alerts.unsilence(silence.id)
        self.passes(1)
        self.assertEqual(self.sender.told(), [("stalled", "firing")])


class RestartTests(AlertsCase):
    """Over a restart."""

    def test_goesOn(self) -> None:
        """What was told is not told again; that it is over is told after the restart."""
        self.goesDown()
        self.passes(31)
        self.restart()
        self.passes(600)
        self.assertEqual(self.sender.told(), [("down api http://a", "firing")])
        self.assertEqual(self.states(), ["down firing"])
        self.comesUp()
        self.passes(2)
        self.assertEqual(self.sender.told(1), [("down api http://a", "resolved")])

    def test_notDelivered(self) -> None:
        """What was resolved before the restart and could not be told is told after it, with the same id."""
        self.events.add("stalled", "held")
        self.passes(2)
        self.sender.says(NotSent("gone"))
        self.passes(400)
        self.assertEqual(self.states(), [])
        before = self.sender.sent[-1]
        self.assertIn(b"resolved", before.body)
        self.restart()
        self.sender.says(Answer(200))
        count = len(self.sender.sent)
        self.passes(1200)
        self.assertEqual(self.sender.told(count), [("stalled", "resolved")])
        self.assertEqual(self.sender.sent[-1].headers["webhook-id"], before.headers["webhook-id"])

    def test_resolvedAlertmanager(self) -> None:
        """An Alertmanager that was away is told after the restart what was resolved before it."""
        self.alerts.adopt(configOf(OPS, rules=(STALLED,)))
        self.events.add("stalled", "held")
        self.passes(2)
        self.sender.says(NotSent("gone"))
        self.passes(80)
        self.end()
        self.config = configOf(OPS, rules=(STALLED,))
        self.begin()
        self.sender.says(Answer(200))
        count = len(self.sender.sent)
        self.passes(2)
        self.assertEqual([json.loads(request.body)[0]["labels"]["alertname"] for request in self.sender.sent[count:]],
                         ["stalled", "stalled"])

    def test_condition(self) -> None:
        """A condition that does not hold any more after the restart is over."""
        self.measures.values["error_share", "api"] = 0.5
        self.passes(12)
        self.restart()
        self.measures.values["error_share", "api"] = 0.0
        self.passes(310)
        self.assertEqual(self.sender.told(), [("errors api", "firing"), ("errors api", "resolved")])

    def test_pending(self) -> None:
        """What was about to fire has not held while the edge was away: it begins anew, but for a short absence."""
        waits = replace(ERRORS, wait=300.0)
        self.config = configOf(PAGER, rules=(waits,), groupWait=0.0)
        self.alerts.adopt(self.config)
        self.measures.values["error_share", "api"] = 0.5
        self.passes(100)
        self.assertEqual(self.states(), ["errors pending"])
        for away, states in ((3600, ["errors pending"]), (30, ["errors firing"])):
            self.end()
            self.clock.advance(away)
            self.begin()
            self.passes(250)
            self.assertEqual(self.states(), states, str(away))

    def test_standing(self) -> None:
        """What control does not know yet is not taken for over at once, but after a minute."""
        self.events.add("refused", "no", "auth")
        self.passes(5)
        self.standing["auth"] = False
        self.restart()
        self.passes(50)
        self.assertEqual(self.states(), ["refused firing"])
        self.passes(20)
        self.assertEqual(self.states(), [])

    def test_started(self) -> None:
        """A start that is not the first is an event; one after an edge that did not end in order is another."""
        self.assertEqual(self.events.latest(9), [])
        self.restart()
        self.assertEqual([event.kind for event in self.events.latest(9)], ["restarted"])
        self.passes(2)
        self.begin()
        self.assertEqual([event.kind for event in self.events.latest(9)], ["crashed"])

    def test_silences(self) -> None:
        """Silences hold on."""
        silence = self.alerts.silence(["a=b"], 1000, "ann", "")
        self.restart()
        self.assertEqual(list(self.alerts.silences), [silence])

    def test_disabled(self) -> None:
        """A webhook that wants nothing stays so, unless it is another one now."""
        self.sender.says(Answer(410))
        self.events.add("stalled", "held")
        self.passes(2)
        self.restart()
        self.assertTrue(self.alerts.asDict()["receivers"][0]["is_disabled"])

    def test_noSecrets(self) -> None:
        """What opens doors is not in the file."""
        self.sender.says(NotSent("gone"))
        self.events.add("stalled", "held")
        self.passes(2)
        self.end()
        text = self.path.read_text()
        self.assertIn("stalled", text)
        for secret in ("MfKQ9r8", "pager.test"):
            self.assertNotIn(secret, text)

    def test_damaged(self) -> None:
        """A file that nobody understands is put aside, which is an event; the edge comes up."""
        for content in ("{", '{"format": 9}', '{"alerts": [{}]}', "[]", "\x00", '{"receivers": {"pager": 5}}'):
            self.end()
            self.path.write_text(content)
            self.begin()
            self.assertEqual([event.kind for event in self.events.latest(9)], ["ledger-damaged"])
            self.assertEqual(self.alerts.asDict()["firing"], [])


class BoundTests(AlertsCase):
    """Nothing grows for ever."""

    def test_full(self) -> None:
        """Too many alerts are an event, once."""
        self.sender.says(None)
        for n in range(1010):
            self.events.add("stalled", "held", f"plugin{n}")
        self.assertEqual([event.kind for event in self.events.latest(2000)].count("alerts-full"), 1)
        self.assertEqual(len(self.alerts.firing), 1000)

    def test_quiet(self) -> None:
        """At the end nothing is left to happen."""
        self.goesDown()
        self.passes(40)
        self.end()
        self.goesDown("http://b")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing(self) -> None:
        """Without rules and receivers nothing is made of events."""
        self.alerts.adopt(AlertsConfig())
        self.goesDown()
        self.assertEqual(self.states(), [])
