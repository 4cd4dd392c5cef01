"""
The life of a rollout.
"""

from __future__ import annotations

from automat import NoTransition
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.machine import ENDS, MOST_TRANSITIONS, Passage, Transition, lifeOf, moveOn

KINDS = ("preflight", "shadow", "canary")


class LifeTests(SynchronousTestCase):
    """
    What may become of it.
    """

    def test_all(self) -> None:
        """
        Through all steps, some of them several times, to its end; each transition is kept.
        """
        passage = Passage(lambda: 7.0)
        passage.enter("waiting", "it is new", "files")
        life = lifeOf(passage)
        way = ("preflight", "shadow", "shadow", "canary", "canary", "promoted")
        for state in way:
            moveOn(life, state, "why", "edge")
            self.assertEqual(passage.state, state)
        self.assertEqual([each.after for each in passage.transitions], ["waiting", *way])
        self.assertEqual(passage.transitions[2], Transition(7.0, "preflight", "shadow", "why", "edge"))

    def test_ends(self) -> None:
        """
        It can be ended at any time, but what has met no request cannot be worse; what is over stays so.
        """
        for state in ("waiting", *KINDS):
            for end in ENDS:
                passage = Passage(lambda: 7.0, state)
                if end == "rolled-back" and state in ("waiting", "preflight"):
                    self.assertRaises(NoTransition, moveOn, lifeOf(passage), end, "", "edge")
                    continue
                moveOn(lifeOf(passage), end, "", "edge")
                for more in (*KINDS, *ENDS):
                    self.assertRaises(NoTransition, moveOn, lifeOf(passage), more, "", "edge")

    def test_held(self) -> None:
        """
        That it is held, and goes on, is told between its states; it is in none other by that.
        """
        passage = Passage(lambda: 7.0, "shadow")
        passage.hold("to look at it", "jane")
        self.assertEqual(passage.state, "shadow")
        passage.resume("seen", "joe")
        moveOn(lifeOf(passage), "canary", "", "edge")
        self.assertEqual(
            [(each.before, each.after, each.by) for each in passage.transitions],
            [("shadow", "held", "jane"), ("held", "shadow", "joe"), ("shadow", "canary", "edge")],
        )

    def test_bounded(self) -> None:
        """
        However often it is held, the first transition is kept, and the last.
        """
        passage = Passage(lambda: 7.0)
        passage.enter("waiting", "it is new", "files")
        for number in range(MOST_TRANSITIONS):
            passage.hold(str(number), "jane")
        self.assertEqual(len(passage.transitions), MOST_TRANSITIONS)
        self.assertEqual(passage.transitions[0].after, "waiting")
        self.assertEqual(passage.transitions[-1].reason, str(MOST_TRANSITIONS - 1))

    def test_never(self) -> None:
        """
        No step comes after one of a later kind.
        """
        for at, later in enumerate(KINDS):
            for earlier in KINDS[: at + (later == "preflight")]:
                self.assertRaises(NoTransition, moveOn, lifeOf(Passage(lambda: 7.0, later)), earlier, "", "edge")
