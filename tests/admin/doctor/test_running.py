"""
What control knows of a running edge, and the doctor who asks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from revproxy.admin.doctor import doctor, isolation
from revproxy.admin.doctor.check import Check
from revproxy.admin.doctor.doctor import PATIENCE, Doctor
from revproxy.admin.doctor.running import runningChecks
from revproxy.config.configfile import parseConfig
from revproxy.control.actor import EDGE
from revproxy.control.state.records import Pin, PluginRecord, PluginRecords
from revproxy.plan.catalog import Catalog
from revproxy.plan.counted import ThreadFigures
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import CertificateFacts, CertificateState, Counters, TargetChanged
from tests.admin.metrics.edges import FiguresCase
from tests.control.rolloutcase import RolloutCase
from tests.plan.plans import entry

DAY = 86400.0

TWO = (
    "listeners: [{endpoint: 'tcp:1', tls: {certificates: /nowhere}}]\n"
    "upstreams: {app: {targets: ['http://one.example', 'http://two.example']}}\n"
    "routes: [{host: a.example, upstream: app}, {host: c.example, upstream: app}]\nstate: /nowhere\n"
)


def facts(path: str, days: float, *serves: str) -> CertificateFacts:
    """A certificate that ends in so many days, when it is 1000."""
    names, expires = serves or ("x.example",), 1000 + days * DAY
    return CertificateFacts(path, path, names, serves, False, "", "", (), "1", 0.0, expires)


class RunningTests(FiguresCase):
    """
    An edge in several states.
    """

    def found(self, name: str = "") -> list[tuple[str, str]]:
        """State and text of checks that are not well, of one name."""
        checks = runningChecks(self.control)
        self.assertEqual([check for check in checks if check.state != "ok" and not check.advice], [])
        return [(each.state, each.text) for each in checks if each.state != "ok" and each.name in (name or each.name)]

    def test_starting(self) -> None:
        """
        Before its first plan there is nothing to say.
        """
        self.assertEqual(self.found(), [("warning", "it is starting")])

    def test_well(self) -> None:
        """
        An edge that is as it should be.
        """
        self.control.keeper.isWritable = True
        self.commit(entry("a", "1.0"))
        self.assertEqual(self.found(), [])

    def test_notWritten(self) -> None:
        """
        The state folder is not ours.
        """
        self.commit()
        self.assertEqual(self.found("state"), [("failing", "nothing is written down: the state folder is not ours")])

    def test_refused(self) -> None:
        """
        What stands refused: the file, and a plugin.
        """
        self.commit(entry("a", "1.0"))
        coordinator = self.control.coordinator
        refusals = [Refusal("", "files", "r.yaml:1:1: no"), Refusal("a", "import", "it raised\nat line 5")]
        assert coordinator.plan is not None
        coordinator.refused.note(refusals, coordinator.plan, coordinator.catalog, None)
        self.assertEqual(self.found("drift"), [
            ("failing", "the configuration is refused: r.yaml:1:1: no"),
            ("warning", "a: the last change is refused: it raised"),
        ])  # fmt: skip

    def test_refusedAndOff(self) -> None:
        """
        Where nothing of a plugin runs, its folder is not what is wrong: whoever reads it is sent to the reason.
        """
        coordinator = self.control.coordinator
        self.commit()
        assert coordinator.plan is not None
        object.__setattr__(coordinator.plan, "missing", {"a": (0,)})
        coordinator.refused.note([Refusal("a", "revoked", "its key was revoked")], coordinator.plan, Catalog({}), None)
        advice = {check.name: check.advice for check in runningChecks(self.control) if check.text.startswith("a: ")}
        self.assertIn("nothing of it runs", advice["drift"])
        self.assertIn("has the reason", advice["plugins"])

    def test_drift(self) -> None:
        """
        Another version runs than the folder has: because it is pinned, or for nobody has taken it up.
        """
        old, new = entry("a", "1.0"), entry("a", "2.0")
        self.commit(old)
        self.control.coordinator.catalog = Catalog({"a": new})
        [(_, text)] = self.found("drift")
        self.assertIn("a: 1.0", text)
        self.assertIn("its folder has 2.0", text)
        self.assertTrue(text.endswith("the folder was not taken up"))
        assert old.digest is not None
        pinned = PluginRecord(pin=Pin(old.digest, "user"))
        self.control.keeper.records = PluginRecords({"a": pinned})
        self.assertTrue(self.found("drift")[0][1].endswith("it is pinned by user"))

    def test_plugins(self) -> None:
        """
        A gate, versions that stay in memory, threads that are all busy.
        """
        self.commit(entry("a", "1.0"))
        self.tell(Counters(retired={"a": 3}, gated=("a",), threads=(ThreadFigures("a", 4, 4, 9),)))
        self.assertEqual(self.found("plugins"), [
            ("failing", "a: it failed too often, and requests do not reach it"),
            ("warning", "a: 3 versions that ended are still in memory"),
            ("warning", "a: all 4 threads are busy, and 9 calls wait"),
        ])  # fmt: skip

    def test_nowhere(self) -> None:
        """
        A plugin that is there and runs nowhere, and one that somebody has switched off.
        """
        self.commit()
        plan = self.control.coordinator.plan
        assert plan is not None
        entries: Any = {"a": entry("a", "1.0"), "b": entry("b", "1.0")}
        object.__setattr__(plan, "entries", entries)
        self.control.keeper.records = PluginRecords({"b": PluginRecord(enabled=False)})
        self.assertEqual(self.found("plugins"), [
            ("warning", "a: it runs on no route"), ("warning", "b: it was switched off"),
        ])  # fmt: skip

    def test_upstreams(self) -> None:
        """
        A target that is passed over, one that is drained without an end, and an upstream that nobody answers for.
        """
        self.commit(config=parseConfig(TWO, "b.yaml", Path("/")))
        self.control.overrides.drain("app", "http://two.example", None, "why", EDGE)
        self.tell(TargetChanged("app", "http://one.example", False, "refused"))
        self.assertEqual(self.found("upstreams"), [
            ("failing", "app: no target answers"),
            ("warning", "app: http://one.example is passed over: refused"),
            ("warning", "app: http://two.example is drained, without an end"),
        ])  # fmt: skip
        self.tell(TargetChanged("app", "http://one.example", True))
        self.assertEqual(self.found("upstreams"), [("warning", "app: http://two.example is drained, without an end")])

    def test_certificates(self) -> None:
        """
        One that has expired, one that soon will, one that nobody is shown, and a host that none is for.
        """
        self.commit(config=parseConfig(TWO, "b.yaml", Path("/")))
        state = CertificateState("tcp:1", "/c", (), None, ("/c/z.pem: broken",), certificates=(
            facts("/c/a.pem", -1, "a.example"), facts("/c/b.pem", 5.2, "b.example"), facts("/c/x.pem", 90),
        ))  # fmt: skip
        self.tell(state)
        self.assertEqual(self.found("certificates"), [
            ("warning", "/c/z.pem: broken"),
            ("failing", "/c/a.pem (a.example) has expired"),
            ("warning", "/c/b.pem (b.example) ends in 5 days"),
            ("warning", "/c/x.pem (x.example) is shown to nobody"),
            ("warning", '"c.example" has routes, and no certificate is for it'),
        ])  # fmt: skip



class OnTrialTests(RolloutCase):
    """
    A version takes its steps.
    """

    def test_drift(self) -> None:
        """
        That its folder has something else than runs is as it should be.
        """
        self.save("2.0.0")
        checks = [each for each in runningChecks(self.bench.control) if each.name == "drift"]
        self.assertEqual([(each.state, each.text) for each in checks if each.text.startswith("a: ")],
                         [("ok", "a: a version is on trial; `revproxy rollout a` shows how it goes")])  # fmt: skip

class DoctorTests(FiguresCase):
    """
    The doctor, who looks at files as well.
    """

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "var").mkdir(parents=True)
        self.path = self.folder / "revproxy.yaml"
        self.text = "listeners: [{endpoint: 'tcp:1:interface=127.0.0.1'}]\nroutes: [{respond: {}}]\n"
        self.path.write_text(self.text)
        self.control.configFile.path = self.path
        self.commit(config=parseConfig(self.text, "revproxy.yaml", self.folder))
        self.control.coordinator.config = self.config
        self.doctor = Doctor(self.control, self.clock)

    def examined(self, name: str) -> list[Check]:
        """The checks of one name."""
        checks = self.successResultOf(Deferred.fromCoroutine(self.doctor.examine()))
        return [check for check in checks if check.name == name]

    def test_drift(self) -> None:
        """
        The file is what is in force, or is not, or cannot be read.
        """
        self.assertEqual([check.state for check in self.examined("drift")], ["ok"])
        self.path.write_text(self.text + "# more\n")
        [check] = self.examined("drift")
        self.assertEqual(check.state, "warning")
        self.assertEqual(check.text, f"{self.path} has something else than what is in force")
        self.path.unlink()
        self.assertEqual([check.state for check in self.examined("drift")], ["failing"])

    def test_everything(self) -> None:
        """
        The machine, folders and the configuration are looked at as well.
        """
        checks = self.successResultOf(Deferred.fromCoroutine(self.doctor.examine()))
        names = {each.name for each in checks}
        self.assertLessEqual({"edge", "drift", "config", "state", "interpreter", "kernel"}, names)
        self.assertLessEqual({"process", "isolation"}, names)

    def test_locked(self) -> None:
        """
        What plugins need that run in a locked process is asked for; and it may take long.
        """
        asked: list[bool] = []

        def look(config: Any, isNeeded: bool) -> list[Check]:
            asked.append(isNeeded)
            return []

        self.patch(doctor, "isolationChecks", look)
        self.examined("isolation")
        self.commit(entry("a"), config=self.config)
        plan = self.control.coordinator.plan
        locked = tuple(replace(each, isolation="process") for each in plan.selected)
        self.control.coordinator.plan = replace(plan, selected=locked)
        self.examined("isolation")
        self.assertEqual(asked, [False, True])
        self.doctor._trials.inThread = lambda function, *arguments: Deferred()
        examining = Deferred.fromCoroutine(self.doctor.examine())
        self.clock.advance(isolation.PATIENCE + PATIENCE)
        last = self.successResultOf(examining)[-1]
        self.assertEqual((last.state, last.text), ("warning", "it could not be tried: that took too long"))

    def test_diskIsSilent(self) -> None:
        """
        A disk that does not answer is itself what is told, with all that needs no disk.
        """
        self.doctor._jobs.inThread = lambda function, *arguments: Deferred()
        examining = Deferred.fromCoroutine(self.doctor.examine())
        self.assertNoResult(examining)
        self.clock.advance(PATIENCE)
        checks = self.successResultOf(examining)
        self.assertIn("edge", [check.name for check in checks])
        self.assertEqual((checks[-1].state, checks[-1].text), ("failing", "the disk has not answered for 5 s"))
