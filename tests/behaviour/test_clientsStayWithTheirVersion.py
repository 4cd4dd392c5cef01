"""One client meets one version: over requests, connections, further changes, ramps and restarts."""

from __future__ import annotations

from tests.behaviour.rolling import NEVER, RollingCase

RAMP = "[{canary: 10%, until: {fault: 50%}, at_least: 1s}, {canary: 50%, until: {fault: 0.1%}}]"


class ClientsTests(RollingCase):
    """A canary of 25 % that goes on and on."""

    steps = NEVER

    def setUp(self) -> None:
        super().setUp()
        self.save("2")
        self.bench.wait(2)
        self.met = self.marks()

    def test_share(self) -> None:
        """About as many meet the candidate as should; all others what ran."""
        canary = sum(mark == "2" for mark in self.met.values())
        self.assertEqual(set(self.met.values()), {"1", "2"})
        self.assertTrue(25 <= canary <= 80, canary)

    def test_requests(self) -> None:
        """Each meets the same one again, on any connection."""
        self.assertEqual(self.marks(), self.met)
        connection = self.bench.connect()
        for client in list(self.met)[:20]:
            self.assertEqual(self.visit(client, connection), self.met[client], client)

    def test_changes(self) -> None:
        """Another plugin comes, is replaced and goes; nobody changes versions."""
        for mark in "123":
            self.bench.swap("b", mark)
            self.assertEqual(self.marks(50), dict(list(self.met.items())[:50]))
        self.configure(steps=NEVER, others=", config: {b: false}")
        self.assertEqual(self.marks(), self.met)

    def test_restart(self) -> None:
        """The edge ends and begins again."""
        self.bench.wait(2)
        self.bench.stop()
        self.bench.start()
        self.assertEqual(self.state, "canary")
        self.assertEqual(self.marks(), self.met)

    def test_drawnAnew(self) -> None:
        """The next rollout has other clients in its canary."""
        self.say("abort")
        self.save("3")
        self.bench.wait(2)
        met = self.marks()
        before = {client for client, mark in self.met.items() if mark == "2"}
        after = {client for client, mark in met.items() if mark == "3"}
        self.assertTrue(after)
        self.assertNotEqual(before, after)


class RampTests(RollingCase):
    """A canary that grows."""

    steps = RAMP

    def test_onlyAdds(self) -> None:
        """Who met the candidate goes on to meet it; others come to it."""
        self.save("2")
        self.bench.wait(2)
        first = {client for client, mark in self.marks().items() if mark == "2"}
        self.crowd(300)
        self.assertEqual(self.view()["step"]["index"], 2)
        second = {client for client, mark in self.marks().items() if mark == "2"}
        self.assertLess(len(first), len(second))
        self.assertEqual(first - second, set())
