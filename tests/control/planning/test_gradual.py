"""
Which versions take steps, and what ends that.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.rolloutpolicy import USUAL, RolloutConfig
from revproxy.control.planning.gradual import Graded, Scene, grade
from revproxy.control.planning.ongoing import Ending, Move, Newcomer, Ongoing
from revproxy.control.state.records import OnTrial, Pin, PluginRecords
from tests.plan.plans import entry

CONFIG = parseConfig("listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\n", "r.yaml", Path("/"))
STEPS = replace(CONFIG, plugins=replace(CONFIG.plugins, rollout=RolloutConfig(USUAL)))

OLD, NEW, NEWER = entry("a", "1.0.0"), entry("a", "2.0.0"), entry("a", "3.0.0")


class GradualCase(SynchronousTestCase):
    """
    a 1.0.0 runs, and its folder has 2.0.0.
    """

    def setUp(self) -> None:
        self.scene = Scene({"a": NEW}, {"a": OLD}, {"a"}, (), STEPS, {}, PluginRecords())
        self.ongoing = Ongoing("r1", Newcomer({"a": NEW}, USUAL, {"a": NEW.digest}), {"a": OLD.digest})

    def grade(self, wanted: Any = NEW, move: Move | None = None, goes: bool = False, **scene: Any) -> Graded:
        """
        What becomes of it.

        :param goes: whether 2.0.0 is on trial.
        """
        ongoing = (self.ongoing,) if goes else ()
        return grade({} if wanted is None else {"a": wanted}, replace(self.scene, **scene), ongoing, move)

    def assertStays(self, graded: Graded) -> None:
        """What runs goes on."""
        self.assertIs(graded.entries["a"], OLD)

    def assertEnds(self, state: str, blocks: bool = False, **given: Any) -> Graded:
        """The rollout is over. :returns: with what."""
        graded = self.grade(goes=True, **given)
        self.assertEqual(graded.ongoing, ())
        ending = graded.ended["r1"]
        self.assertEqual((ending.state, ending.blocks), (state, blocks), ending)
        return graded


class NewTests(GradualCase):
    """
    Something new is in the folder.
    """

    def test_steps(self) -> None:
        """
        What runs stays, and the new version is a newcomer.
        """
        graded = self.grade()
        self.assertStays(graded)
        (newcomer,) = graded.newcomers
        self.assertEqual((newcomer.candidates, newcomer.policy, newcomer.found), ({"a": NEW}, USUAL, {"a": NEW.digest}))
        self.assertTrue(newcomer.isFolders("a"))

    def test_atOnce(self) -> None:
        """
        It comes at once where there are no steps for it; where nothing of it runs, or will run; where somebody wants
        this very version; and where it is installed with Python.
        """
        pinned = PluginRecords().pinned("a", Pin(str(NEW.digest), "rollback"))
        off = entry("a", "2.0.0", enabled=False)
        installed = replace(OLD, origin="dropin", bundle=None)
        cases: list[dict[str, Any]] = [
            {"config": CONFIG}, {"running": {}, "inForce": ()}, {"inForce": ()}, {"records": pinned}, {"wanted": off},
            {"running": {"a": installed}}, {"gated": ("a",)},
        ]  # fmt: skip
        for case in cases:
            graded = self.grade(**case)
            self.assertEqual((graded.newcomers, graded.entries["a"] is OLD), ((), False), case)

    def test_configuration(self) -> None:
        """
        Another configuration in plugin.json takes steps where that is asked for.
        """
        same = entry("a", "1.0.0", config={"x": 1})
        self.assertEqual(self.grade(same).newcomers, ())
        asked = replace(STEPS, plugins=replace(STEPS.plugins, rollout=RolloutConfig(USUAL, True)))
        self.assertEqual(len(self.grade(same, config=asked).newcomers), 1)

    def test_tied(self) -> None:
        """
        Plugins that need each other come together, if one of them takes steps; others by themselves.
        """
        b, b2 = entry("b", requires={"a": ""}), entry("b", "2.0.0", requires={"a": ">=2"})
        c, c2 = entry("c", after=["a"]), entry("c", "2.0.0", after=["a"])
        only = replace(STEPS, plugins=replace(STEPS.plugins, rollout=RolloutConfig(None, plugins={"b": USUAL})))
        running, wanted = {"a": OLD, "b": b, "c": c}, {"a": NEW, "b": b2, "c": c2}
        scene = replace(self.scene, running=running, inForce=set(running), found=wanted)
        self.assertEqual([list(each.candidates) for each in grade(wanted, scene).newcomers], [["a", "b"], ["c"]])
        graded = grade(wanted, replace(scene, config=only))
        self.assertEqual([list(each.candidates) for each in graded.newcomers], [["a", "b"]])
        self.assertIs(graded.entries["c"], c2)

    def test_heldBack(self) -> None:
        """
        What did not come through is not tried again by itself, whatever is configured; what could not be made ready is,
        when all is tried again.
        """
        for state, retries, begins in (("rolled-back", True, 0), ("refused", False, 0), ("refused", True, 1)):
            records = PluginRecords().onTrial("a", str(NEW.digest), "2.0.0", 1.0)
            records = records.trialEnded("a", str(NEW.digest), OnTrial(state, "it was worse", 2.0, True))
            graded = self.grade(records=records, retries=retries)
            self.assertStays(graded)
            self.assertEqual(len(graded.newcomers), begins)
            if not begins:
                (refusal,) = graded.refusals
                self.assertIn("it was worse; `revproxy rollout a start`", refusal.message)
                self.assertStays(self.grade(records=records, config=CONFIG))


class GoingTests(GradualCase):
    """
    2.0.0 is on trial.
    """

    def test_goesOn(self) -> None:
        """
        As long as its folder has it, cannot be read, or has what it had.
        """
        for case in ({}, {"wanted": OLD, "found": {}}, {"wanted": None, "lost": ("a",)}):
            graded = self.grade(goes=True, **case)  # type: ignore[arg-type]
            self.assertEqual((graded.ongoing, graded.newcomers), ((self.ongoing,), ()), case)
        self.assertStays(self.grade(goes=True))

    def test_ends(self) -> None:
        """
        What somebody says of the plugin, and what becomes of what runs, ends it.
        """
        self.assertEnds("aborted", wanted=OLD, found={"a": OLD})
        self.assertEnds("aborted", wanted=None, blocks=True)
        self.assertEnds("aborted", switches={"a": False}, blocks=True)
        self.assertEnds("aborted", running={"a": NEWER})
        self.assertEnds("aborted", gated=("a",), blocks=True)
        self.assertEnds("aborted", wanted=OLD, records=PluginRecords().pinned("a", Pin(str(OLD.digest), "user")))

    def test_withoutBase(self) -> None:
        """
        What runs was revoked: it is told what there is in its place.
        """
        for wanted, text in (
            (NEW, "what ran of a may not run any more; 2.0.0 takes its place at once"),
            (None, "what ran of a may not run any more, and nothing takes its place"),
        ):
            graded = self.assertEnds("aborted", wanted=wanted, running={})
            self.assertEqual((graded.ended["r1"].reason, graded.entries.get("a")), (text, wanted))

    def test_pinned(self) -> None:
        """
        Whoever pins it wants it to run; and the pin that there was does not end it.
        """
        graded = self.assertEnds("promoted", records=PluginRecords().pinned("a", Pin(str(NEW.digest), "user")))
        self.assertIs(graded.entries["a"], NEW)
        pin = Pin(str(OLD.digest), "rollback")
        self.ongoing = replace(self.ongoing, newcomer=replace(self.ongoing.newcomer, pins={"a": pin}))
        self.assertEqual(self.grade(goes=True, records=PluginRecords().pinned("a", pin)).ended, {})

    def test_newer(self) -> None:
        """
        A newer version takes its place, or waits.
        """
        graded = self.assertEnds("superseded", wanted=NEWER, found={"a": NEWER})
        self.assertEqual([each.candidates for each in graded.newcomers], [{"a": NEWER}])
        policy = replace(USUAL, onNewer="refuse")
        self.ongoing = replace(self.ongoing, newcomer=replace(self.ongoing.newcomer, policy=policy))
        graded = self.grade(NEWER, goes=True, found={"a": NEWER})
        self.assertEqual((len(graded.ongoing), graded.newcomers, len(graded.refusals)), (1, (), 1))
        self.assertStays(graded)

    def test_stored(self) -> None:
        """
        One that is not the folder's goes on while the folder has what it had.
        """
        self.ongoing = replace(self.ongoing, newcomer=replace(self.ongoing.newcomer, found={"a": OLD.digest}))
        self.assertEqual(self.grade(OLD, goes=True, found={"a": OLD}).ended, {})
        self.assertEnds("superseded", wanted=NEWER, found={"a": NEWER})

    def test_asked(self) -> None:
        """
        What is asked for of it comes true: the end keeps what runs, and what is promoted runs.
        """
        aborted = Move("r1", ends=Ending("aborted", "no", True))
        self.assertStays(self.assertEnds("aborted", move=aborted, blocks=True))
        promoted = self.assertEnds("promoted", move=Move("r1", ends=Ending("promoted", "yes")))
        self.assertEqual((promoted.entries["a"], promoted.newcomers), (NEW, ()))

    def test_another(self) -> None:
        """
        One that is started takes the place of another of the same plugin.
        """
        newcomer = Newcomer({"a": NEWER}, USUAL, {"a": NEW.digest})
        graded = self.assertEnds("superseded", move=Move("", begins=newcomer))
        self.assertEqual(graded.newcomers, (newcomer,))
        self.assertStays(graded)
