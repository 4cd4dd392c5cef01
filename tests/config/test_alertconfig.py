"""The section ``alerts``: what it becomes, and what is said about everything that is wrong in it."""

from __future__ import annotations

import re
from pathlib import Path

from revproxy.config.alertconfig import secretKey
from revproxy.config.alertexpression import Comparison
from revproxy.config.alertsettings import AlertRule, AlertsConfig
from revproxy.config.readymadealerts import EVENTS, READY_MADE
from revproxy.config.schema import publishedSchema
from revproxy.durations import durationText
from revproxy.plan.events import WARNINGS
from revproxy.secrets import Secret
from tests.config.test_configfile import FULL, START, ConfigTestCase

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OPS = "{name: ops, alertmanager: [http://127.0.0.1:9093]}"
DOCS = Path(__file__).parents[2] / "docs"
OPERATIONS, ALERTS = DOCS / "operations.md", DOCS / "alerts.md"


class AlertsTests(ConfigTestCase):
    """Sound ones."""

    def test_nothing(self) -> None:
        """Without receivers no ready-made rule is in force."""
        self.assertEqual(self.parse(START).alerts, AlertsConfig())
        self.assertEqual(self.parse(START + "alerts: {}").alerts, AlertsConfig())

    def test_defaults(self) -> None:
        """The schema's are those of the values."""
        properties = publishedSchema("revproxy")["properties"]["alerts"]["properties"]
        plain = AlertsConfig()
        shown = {key: schema["default"] for key, schema in properties.items() if "default" in schema}
        self.assertEqual(shown, {
            "receivers": [], "rules": [], "ready_made": True, "labels": {}, "group_by": list(plain.groupBy),
            "group_wait": plain.groupWait, "group_interval": plain.groupInterval,
            "repeat_interval": plain.repeatInterval})
        rule = properties["rules"]["items"]["properties"]
        one = AlertRule("x")
        self.assertEqual((rule["over"]["default"], rule["for"]["default"], rule["severity"]["default"],
                          rule["only"]["default"]), (one.over, one.wait, one.severity, one.only))

    def test_receivers(self) -> None:
        """All of each; what opens doors is a secret."""
        ops, pager, chat = self.parse(FULL).alerts.receivers
        self.assertEqual((ops.name, ops.kind, ops.urls, ops.secrets, ops.authorization, ops.ca), (
            "ops", "alertmanager", ("http://127.0.0.1:9093", "http://[::1]:9093/am"), (), "Bearer x", None))
        self.assertEqual((pager.urls, pager.secrets, pager.ca), (
            ("https://pager.example/hook?a=1",), (SECRET,), str(self.base / "ca.pem")))
        self.assertIsInstance(pager.secrets[0], Secret)
        self.assertIsInstance(chat.urls[0], Secret)
        self.assertIsInstance(ops.authorization, Secret)
        for text in (repr(pager), repr(chat), repr(self.parse(FULL))):
            self.assertNotIn("MfKQ9r8", text)
            self.assertNotIn("services/T/B", text)

    def test_references(self) -> None:
        """What comes from a file is a secret, whatever it is."""
        (self.base / "key").write_text(f"{SECRET}\n")
        (self.base / "url").write_text("http://127.0.0.1:1/inbox\n")
        text = START + "alerts: {receivers: [{name: a, webhook: {$file: url}, secret: [{$file: key}]}]}"
        (receiver,) = self.parse(text).alerts.receivers
        self.assertEqual((receiver.urls, receiver.secrets), (("http://127.0.0.1:1/inbox",), (SECRET,)))
        self.assertIsInstance(receiver.urls[0], Secret)

    def test_rules(self) -> None:
        """Ready-made ones, but for what is switched off, and the user's."""
        config = self.parse(FULL).alerts
        self.assertEqual([rule.name for rule in config.rules],
                         [*(name for name in READY_MADE if name != "stalled"), "down", "many"])
        self.assertEqual(config.rules[-2:], (
            AlertRule("down", on=("target-down",), only="http://10.*", wait=30.0, endsAfter=3600.0, to=("ops",)),
            AlertRule("many", when=(Comparison("error_share", True, 0.02),), of="upstream", over=60.0, severity="page",
                      summary="Look", labels={"team": "web"})))
        self.assertEqual((config.labels, config.groupBy, config.groupWait, config.groupInterval, config.repeatInterval),
                         ({"site": "fra1"}, ("alertname", "site"), 1.0, 60.0, 3600.0))

    def test_overriding(self) -> None:
        """A ready-made rule keeps what the rule of its name does not say."""
        text = START + f"alerts: {{receivers: [{OPS}], rules: [{{name: errors, when: 'error_share > 1%', for: 0}}]}}"
        errors = next(rule for rule in self.parse(text).alerts.rules if rule.name == "errors")
        self.assertEqual((errors.when, errors.wait, errors.of, errors.severity),
                         ((Comparison("error_share", True, 0.01),), 0.0, "route", "critical"))

    def test_noneReadyMade(self) -> None:
        """All of them can be switched off at once; those that are named are in force."""
        text = START + f"alerts: {{receivers: [{OPS}], ready_made: false, rules: [{{name: refused}}]}}"
        self.assertEqual([rule.name for rule in self.parse(text).alerts.rules], ["refused"])

    def test_subject(self) -> None:
        """Where a rule says nothing, its figures are of what they are known of first."""
        text = START + "alerts: {rules: [{name: a, when: loop_share > 5%}, {name: b, when: p50 > 1}]}"
        self.assertEqual([rule.of for rule in self.parse(text).alerts.rules], ["plugin", "route"])


class RefusedTests(ConfigTestCase):
    """Everything wrong is told, with its place."""

    def assertProblems(self, alerts: str, *expected: str) -> None:
        self.assertRefused("alerts:\n" + alerts, *(f"r.yaml:{text}" for text in expected))

    def test_receivers(self) -> None:
        """Neither a way nor two; a name twice; URLs that are none, which are not repeated."""
        self.assertProblems(
            "  receivers:\n"
            "    - {name: a}\n"
            "    - {name: a, slack: 'http://x/', webhook: 'http://y/'}\n"
            "    - {name: b, alertmanager: ['http://ok', 'ftp://x', 'http://u:password@x', 'http://x?q']}\n"
            "    - {name: c, slack: 'https://hooks example/secretpart'}\n"
            "    - {name: d, slack: 'http://[', secret: x}\n",
            "5:7: $.alerts.receivers[0]: does not say how it is told; give one of alertmanager, webhook, slack",
            '6:8: $.alerts.receivers[1].name: another receiver has the name "a"',
            "6:17: $.alerts.receivers[1].slack: has webhook and slack; give one of alertmanager, webhook, slack",
            "7:45: $.alerts.receivers[2].alertmanager[1]: is no URL with http:// or https://, and a host",
            "7:56: $.alerts.receivers[2].alertmanager[2]: has a user or a fragment (#…) in it; a password belongs into "
            "authorization",
            "7:79: $.alerts.receivers[2].alertmanager[3]: is to be an Alertmanager's own URL, without a query",
            "8:17: $.alerts.receivers[3].slack: is no URL: it has characters that must be escaped",
            "9:17: $.alerts.receivers[4].slack: is no URL",
            "9:36: $.alerts.receivers[4].secret: has no effect with slack; leave it out",
        )

    def test_secrets(self) -> None:
        """A webhook has one, as Standard Webhooks write it; a wrong one is not repeated."""
        for given in ("", ", secret: hunter2", ", secret: [whsec_aGk=]"):
            (message,) = self.refused(START + f"alerts: {{receivers: [{{name: a, webhook: 'http://x/'{given}}}]}}")
            self.assertIn("openssl rand -base64 32", message)
            self.assertNotIn("hunter2", message)
            self.assertNotIn("aGk", message)

    def test_authorization(self) -> None:
        """What would break a head is refused."""
        text = 'alerts: {receivers: [{name: a, slack: "http://x/", authorization: "Bearer a\\r\\nX: y"}]}'
        (message,) = self.refused(START + text)
        self.assertIn("$.alerts.receivers[0].authorization: is no value of a header field", message)

    def test_rules(self) -> None:
        """Every mistake in a rule stands at its place."""
        self.assertProblems(
            "  rules:\n"
            "    - {name: a}\n"
            "    - {name: a, on: target-dwon}\n"
            "    - {name: b, on: [refused, nothing], when: rate > 1}\n"
            "    - {name: c, when: error_share > 2}\n"
            "    - {name: d, when: loop_share > 2%, of: route, over: 1m}\n"
            "    - {name: e, on: refused, over: 1m, of: plugin, to: [nobody]}\n"
            "    - {name: f, when: rate > 1, labels: {route: x, 1a: y}}\n",
            "5:7: $.alerts.rules[0]: does not say what it is about; give on or when",
            '6:8: $.alerts.rules[1].name: another rule has the name "a"',
            '6:17: $.alerts.rules[1].on: no event is named "target-dwon"; did you mean "target-down"?',
            "7:41: $.alerts.rules[2].when: has on and when; write a rule for each",
            "8:17: $.alerts.rules[3].when: at character 15: '2' is no share; write a share as 5% or 0.5%, 100% at "
            "most",
            "9:40: $.alerts.rules[4].of: loop_share is not known of a route; of plugin",
            "9:51: $.alerts.rules[4].over: has no effect: loop_share looks back plugins.quarantine.window",
            "10:30: $.alerts.rules[5].over: goes with when; an event happens at once, and says itself what it is of",
            "10:40: $.alerts.rules[5].of: goes with when; an event happens at once, and says itself what it is of",
            '10:57: $.alerts.rules[5].to[0]: no receiver is named "nobody"; there are none',
            "11:42: $.alerts.rules[6].labels.route: is a label of the edge's own; choose another name",
            "11:52: $.alerts.rules[6].labels.1a: a label's name has letters, digits and _ only, and begins with no "
            "digit",
        )


class ReadyMadeTests(ConfigTestCase):
    """What is there without being written."""

    def test_events(self) -> None:
        """Rules may name each event that the documentation has, and no other; ready-made ones name such."""
        table = OPERATIONS.read_text("utf-8").partition("## Events")[2].partition("\n## ")[0]
        rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]
        documented = {name for row in rows for name in re.findall("`([a-z-]+)`", row)}
        self.assertEqual(sorted(EVENTS ^ documented), [], "EVENTS of revproxy/config/readymadealerts.py is another")
        self.assertEqual({kind for rule in READY_MADE.values() for kind in rule.on} - EVENTS, set())
        self.assertEqual(WARNINGS - EVENTS, set())

    def test_table(self) -> None:
        """The documentation has each, as it is."""
        lines = ALERTS.read_text("utf-8").splitlines()
        for rule in READY_MADE.values():
            what = ", ".join(f"`{kind}`" for kind in rule.on)
            what = what or f"`{' and '.join(map(str, rule.when))}`, of each {rule.of}"
            wait = durationText(rule.wait) if rule.wait else "at once"
            self.assertIn(f"| `{rule.name}` | {what} | {wait} | {rule.severity} |", lines)

    def test_eachSaysWhat(self) -> None:
        """Each has a sentence for people."""
        self.assertEqual([name for name, rule in READY_MADE.items() if not rule.summary], [])

    def test_key(self) -> None:
        """The bytes of a secret, with or without its prefix and its padding."""
        for text in (SECRET, SECRET.removeprefix("whsec_"), "whsec_" + "AAAA" * 8 + "AAA"):
            self.assertIsNotNone(secretKey(text))
        for text in ("", "whsec_", "whsec_AAAA", "whsec_" + "A" * 200, "whsec_ä"):
            self.assertIsNone(secretKey(text))
