"""
Layers and the level that they make.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock.layers import FLOOR, NAMES, OPTIONAL, ROOMS, Layer, Layers, Lock, Report


def layersWithout(*missing: str) -> Layers:
    """All but these."""
    return Layers(tuple(Layer(name, "not here" if name in missing else "") for name in NAMES))


class LevelTests(SynchronousTestCase):
    """
    What makes which level.
    """

    def test_all(self) -> None:
        """Everything is A."""
        self.assertEqual(layersWithout().level, "A")

    def test_floor(self) -> None:
        """Without any layer of the floor there is no level, whatever else there is."""
        for name in FLOOR:
            self.assertIsNone(layersWithout(name).level, name)

    def test_rooms(self) -> None:
        """Without any of the rooms it is B."""
        for name in ROOMS:
            self.assertEqual(layersWithout(name).level, "B", name)
        self.assertEqual(layersWithout("user-namespace", *ROOMS).level, "B")

    def test_landlock(self) -> None:
        """Without Landlock it is C, even with rooms."""
        self.assertEqual(layersWithout("landlock").level, "C")
        self.assertEqual(layersWithout(*OPTIONAL).level, "C")

    def test_beside(self) -> None:
        """An own user, the namespace of users, and no new code make no level."""
        for name in ("user", "user-namespace", "no-new-code"):
            self.assertEqual(layersWithout(name).level, "A", name)

    def test_nothingTried(self) -> None:
        """What nobody has tried does not hold."""
        self.assertIsNone(Layers().level)
        self.assertEqual(Layers()["seccomp"], Layer("seccomp", "not tried"))
        self.assertEqual([layer.name for layer in Layers().missing], list(NAMES))

    def test_holes(self) -> None:
        """A process that could do what it should not has no level, whatever its layers say."""
        self.assertEqual(Report(layersWithout()).level, "A")
        self.assertIsNone(Report(layersWithout(), ("it could open a file",)).level)


class LackingTests(SynchronousTestCase):
    """
    What a lock asks for and does not get.
    """

    def lacking(self, layers: Layers, uid: int | None = 300000, use: frozenset[str] = frozenset(OPTIONAL)) -> list[str]:
        """Names of those."""
        return [layer.name for layer in layers.lacking(Lock(1, 1, (), uid, use))]

    def test_asked(self) -> None:
        """The floor always, of the others those that it uses."""
        layers = layersWithout("limits", "network", "landlock")
        self.assertEqual(self.lacking(layers), ["limits", "network", "landlock"])
        self.assertEqual(self.lacking(layers, use=frozenset({"network"})), ["limits", "network"])

    def test_noUser(self) -> None:
        """A user is asked for only if there is one to become."""
        self.assertEqual(self.lacking(layersWithout("user")), ["user"])
        self.assertEqual(self.lacking(layersWithout("user"), uid=None), [])


class PlainTests(SynchronousTestCase):
    """
    As plain data, from process to process.
    """

    def test_report(self) -> None:
        """There and back by JSON."""
        report = Report(Layers((Layer("limits", "", "400 MB"), Layer("landlock", "not here"))), ("a hole",))
        self.assertEqual(Report.of(json.loads(json.dumps(report.asDict()))), report)

    def test_usable(self) -> None:
        """Of the optional ones those that hold: that is what the next lock uses."""
        self.assertEqual(layersWithout("root", "limits").usable, frozenset(OPTIONAL) - {"root"})
        self.assertEqual(layersWithout("root").enforced, frozenset(NAMES) - {"root"})
