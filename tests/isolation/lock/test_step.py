"""
One layer, put on and tried.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock.layers import Layer, Lock
from revproxy.isolation.lock.step import NotHeld, Step, demand

LOCK = Lock(1, 1, ())


class Told(Step):
    """What the tests have it do, one after the other."""

    name = "limits"
    errors: tuple[Exception | None, Exception | None] = (None, None)
    against = ""

    def reasonAgainst(self) -> str:
        return self.against

    def apply(self) -> None:
        if self.errors[0]:
            raise self.errors[0]

    def prove(self) -> str:
        if self.errors[1]:
            raise self.errors[1]
        return "all of it"


class StepTests(SynchronousTestCase):
    """
    What becomes of it.
    """

    def run_(self, **members: object) -> Layer:
        """With those members."""
        return type("Told", (Told,), members)(LOCK).run()

    def test_holds(self) -> None:
        """It was put on and tried."""
        self.assertEqual(self.run_(), Layer("limits", "", "all of it"))

    def test_refused(self) -> None:
        """The kernel's words are the reason, with the file if there is one."""
        self.assertEqual(self.run_(errors=(OSError(1, "unshare: no"), None)).reason, "unshare: no")
        self.assertEqual(self.run_(errors=(OSError(13, "no", "/proc/x"), None)).reason, "no: /proc/x")
        self.assertEqual(self.run_(errors=(OSError(), None)).reason, "OSError")

    def test_doesNotHold(self) -> None:
        """What could be done though it should not is the reason."""
        self.assertEqual(self.run_(errors=(None, NotHeld("a file can be opened"))).reason, "a file can be opened")

    def test_notBegun(self) -> None:
        """With a reason against it nothing is put on."""
        found = self.run_(against="only root can", errors=(AssertionError("it was begun"), None))
        self.assertEqual(found, Layer("limits", "only root can"))

    def test_notUsed(self) -> None:
        """An optional one is put on only if the lock uses it."""

        class Optional(Told):
            name = "landlock"

        self.assertEqual(Optional(LOCK).run(), Layer("landlock", "", "all of it"))
        self.assertEqual(Optional(Lock(1, 1, (), use=frozenset())).run().reason, "not to be used")

    def test_ourMistake(self) -> None:
        """An error of another kind is a mistake of ours, and ends the process that locks itself."""
        self.assertRaises(ZeroDivisionError, self.run_, errors=(ZeroDivisionError(), None))

    def test_demand(self) -> None:
        """Raises with the text, unless it holds."""
        demand(True, "never said")
        self.assertEqual(str(self.assertRaises(NotHeld, demand, False, "said")), "said")
