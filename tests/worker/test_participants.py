"""
A failure at any step of any participant of a worker leaves all as it was, and does not stand in the way of what comes
next.

A change that all participants have a part in is tried; one step of one of them fails, before it has done its work or
after, in a way that was foreseen or in one that was not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from revproxy.config.settings import Config
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Answer, CertificateState, Commit, Prepare, Ready
from revproxy.worker.participant import Refused
from tests.authority import Authority
from tests.harness import freePort
from tests.worker.workers import UPDATED, WorkerCase, entry

PARTICIPANTS = ("routes", "staging", "listeners", "accessLogging", "bounds", "generations")
"""As attributes of a worker."""

MOMENTS = ("instead", "afterwards")
"""When a step fails: it has done nothing, or all that it does."""

KINDS: dict[str, Callable[[], Exception]] = {
    "refused": lambda: Refused(Refusal("", "build", "injected")),
    "unforeseen": lambda: ZeroDivisionError("injected"),
}
"""How it fails."""

AUTHORITY = Authority()


class ChangeCase(WorkerCase):
    """A worker that runs, and another plan that changes all of it."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.root / "certificates"
        self.folder.mkdir()
        self.stays, self.secure, self.comes = freePort(), freePort(), freePort()
        self.renew()
        self.updated = entry("b", body=UPDATED, interfaces="IConfigurable", config={"mark": " old"})
        self.gated = entry("c", on_error="open")
        self.first = self.plan(1, self.firstConfig(), entry("a"), self.updated, self.gated)
        self.become(self.first)
        self.told.clear()
        self.renew()
        self.second = self.secondPlan(2)

    def renew(self) -> None:
        (self.folder / "a.pem").write_bytes(AUTHORITY.issue("a.example").pem)

    def listeners(self, *others: str, settings: str = "") -> str:
        tls = f"{{endpoint: 'tcp:{self.secure}:interface=127.0.0.1', tls: {{certificates: {self.folder}}}}}"
        plain = f"{{endpoint: 'tcp:{self.stays}:interface=127.0.0.1'{settings}}}"
        return f"listeners: [{', '.join([plain, tls, *others])}]\n"

    def firstConfig(self) -> Config:
        return self.config(
            self.listeners() + "upstreams: {app: {targets: ['http://127.0.0.1:1']}}\n"
            "routes: [{path: /, upstream: app}]\nlogging: {access: first.log}\n"
        )

    def secondPlan(self, number: int) -> Plan:
        comes = f"{{endpoint: 'tcp:{self.comes}:interface=127.0.0.1'}}"
        config = self.config(
            self.listeners(comes, settings=", trusted_proxies: ['::1']")
            + "upstreams: {app: {targets: ['http://127.0.0.1:2']}}\n"
            "routes: [{path: /, upstream: app}, {path: /x, respond: {}}]\n"
            "logging: {access: second.log, format: combined}\n"
            "limits: {max_connections: 7}\ntimeouts: {drain: 3}\n"
        )
        updated = entry("b", body=UPDATED, interfaces="IConfigurable", config={"mark": " new"})
        return self.plan(number, config, entry("a", "2.0"), updated, self.gated, gates={"c": number})

    def inject(self, participant: str, step: str, moment: str, error: Exception) -> Callable[[], None]:
        """A step fails from now on. :returns: what mends it."""
        target = getattr(self.worker, participant)
        work = getattr(target, step)

        async def fails(*arguments: Any) -> None:
            if moment == "afterwards":
                await work(*arguments)
            raise error

        def failsAtOnce() -> None:
            if moment == "afterwards":
                work()
            raise error

        restore: Callable[[], None] = self.patch(target, step, failsAtOnce if step == "commit" else fails).restore
        return restore

    def assertSame(self, before: dict[str, Any], *parts: str) -> None:
        """All is as it was; or those parts of it."""
        after = self.picture()
        for part in parts or before:
            self.assertEqual(after[part], before[part], part)

    def assertChanged(self, plan: Plan) -> None:
        """The change went through, in all participants."""
        worker = self.worker
        self.settle()
        after = self.picture()
        self.assertEqual((after["generation"].number, after["running"].plan), (plan.number, plan))
        self.assertEqual(after["table"].config, plan.config)
        self.assertEqual(after["bounds"], (plan.config.limits, plan.config.timeouts, 3))
        self.assertEqual(after["log"][2], plan.config.logging)
        self.assertTrue(worker.edge.logsAgents)
        numbers = [port.getHost().port for port in worker.listeners.ports]
        self.assertEqual(numbers, [self.stays, self.secure, self.comes])
        self.assertTrue(all(isReading for *_, isReading in after["ports"]))
        self.assertEqual(after["next"], (None, None))
        self.assertEqual(self.seen("/x"), ["a 2.0", "b 1.0 new"])
        self.assertEqual([len(after["gates"]), len(after["modules"])], [1, 6])
        opened = [name for name in after["files"] if name.startswith(str(self.root))]
        self.assertEqual(opened, [str(self.root / "second.log")])

    def flush(self, kind: str) -> int:
        """How often the injected error was logged, as a bug of ours."""
        return len(self.flushLoggedErrors(Refused if kind == "refused" else ZeroDivisionError))


class NoFailureTests(ChangeCase):
    """The change itself."""

    def test_takesEffect(self) -> None:
        """All of it takes effect; what was updated in place is the same instance."""
        before = self.picture()
        self.become(self.second)
        self.assertChanged(self.second)
        after = self.picture()
        for part in before:
            if part != "next":
                self.assertNotEqual(after[part], before[part], f"the change does not touch {part}, so no test does")
        self.assertIs(after["instances"][1][1], before["instances"][1][1])
        self.assertEqual([type(word) for word in self.told if not isinstance(word, Answer)], [CertificateState])
        del before, after
        self.settle(3)
        self.assertEqual(self.worker.retirement.counts(), {})

    def test_abandoned(self) -> None:
        """Given up after each step, it has left nothing behind."""
        before = self.picture()
        for steps in ((), (Ready,)):
            self.assertEqual(self.prepare(self.second), ())
            for step in steps:
                self.assertEqual(self.step(step(self.transaction)), ())
            self.abandon()
            self.assertSame(before)
            self.assertEqual(self.seen(), ["a 1.0", "b 1.0 old", "c 1.0"])
            self.settle(3)
            self.assertEqual(self.worker.retirement.counts(), {})
        self.become(self.second)
        self.assertChanged(self.second)

    def test_preparedOnly(self) -> None:
        """Requests see nothing of what is prepared, nor of what is ready but for the updates in place."""
        before = self.picture()
        visible = ("generation", "bounds", "log", "ports", "contexts", "table", "running", "gates")
        self.prepare(self.second)
        self.assertSame(before, *visible, "instances")
        self.step(Ready(self.transaction))
        self.assertSame(before, *visible)
        self.abandon()


class OfOthersTests(ChangeCase):
    """This worker has done a step, and another one of the crew has refused it."""

    def setUp(self) -> None:
        super().setUp()
        self.before = self.picture()
        self.assertEqual(self.prepare(self.second), ())
        self.assertEqual(self.step(Ready(self.transaction)), ())

    def test_withoutTheChange(self) -> None:
        """What is tried instead, with the configuration as it was, has nothing of the first try."""
        instead = self.plan(2, self.first.config, entry("a", "3.0"), self.updated, self.gated)
        for word in (Prepare(self.transaction, instead), Ready(self.transaction), Commit(self.transaction)):
            self.assertEqual(self.step(word), ())
        self.settle()
        self.assertEqual(self.seen(), ["a 3.0", "b 1.0 old", "c 1.0"])
        self.assertSame(self.before, "bounds", "log", "table", "gates", "files", "readers")

    def test_again(self) -> None:
        """The same is tried once more, and takes effect once."""
        for word in (Prepare(self.transaction, self.second), Ready(self.transaction), Commit(self.transaction)):
            self.assertEqual(self.step(word), ())
        self.assertChanged(self.second)

    def test_abandoned(self) -> None:
        """What was tried instead is given up, too: all is as it was, also what the first try had updated in place."""
        self.assertEqual(self.step(Prepare(self.transaction, self.first)), ())
        self.abandon()
        self.assertSame(self.before)
        self.assertEqual(self.seen(), ["a 1.0", "b 1.0 old", "c 1.0"])


class PrepareTests(ChangeCase):
    """`Prepare` fails."""

    def check(self, participant: str, moment: str, kind: str) -> None:
        before = self.picture()
        mend = self.inject(participant, "prepare", moment, KINDS[kind]())
        [reason] = self.prepare(self.second)
        self.assertIn("injected", reason)
        self.assertEqual(self.flush(kind), kind == "unforeseen")
        self.abandon()
        self.assertSame(before)
        mend()
        self.become(self.second)
        self.assertChanged(self.second)


class ReadyTests(ChangeCase):
    """`Ready` fails."""

    def check(self, participant: str, moment: str, kind: str) -> None:
        before = self.picture()
        mend = self.inject(participant, "ready", moment, KINDS[kind]())
        self.assertEqual(self.prepare(self.second), ())
        [reason] = self.step(Ready(self.transaction))
        self.assertIn("injected", reason)
        self.assertEqual(self.flush(kind), kind == "unforeseen")
        self.abandon()
        self.assertSame(before)
        mend()
        self.become(self.second)
        self.assertChanged(self.second)


class AgainTests(ChangeCase):
    """`Prepare` and `Ready` fail, and the same transaction is tried again."""

    def check(self, participant: str, moment: str, kind: str) -> None:
        self.transaction += 1
        mend = self.inject(participant, "prepare", moment, KINDS[kind]())
        self.assertEqual(len(self.step(Prepare(self.transaction, self.second))), 1)
        mend()
        mend = self.inject(participant, "ready", moment, KINDS[kind]())
        self.assertEqual(self.step(Prepare(self.transaction, self.second)), ())
        self.assertEqual(len(self.step(Ready(self.transaction))), 1)
        mend()
        self.flush(kind)
        for step in (Prepare(self.transaction, self.second), Ready(self.transaction), Commit(self.transaction)):
            self.assertEqual(self.step(step), ())
        self.assertChanged(self.second)


class InsteadTests(ChangeCase):
    """`Prepare` or `Ready` fails, and the transaction goes on with what there was, but for one plugin."""

    def check(self, participant: str, moment: str, kind: str) -> None:
        before = self.picture()
        other = self.plan(2, self.first.config, entry("a", "2.0"), self.updated, self.gated)
        for step in ("prepare", "ready"):
            mend = self.inject(participant, step, moment, KINDS[kind]())
            self.assertEqual(len(self.prepare(self.second) or self.step(Ready(self.transaction))), 1)
            mend()
        self.flush(kind)
        for word in (Prepare(self.transaction, other), Ready(self.transaction), Commit(self.transaction)):
            self.assertEqual(self.step(word), ())
        self.settle()
        self.assertEqual(self.seen(), ["a 2.0", "b 1.0 old", "c 1.0"])
        self.assertSame(before, "bounds", "log", "table", "gates", "files", "readers")
        self.assertEqual(self.picture()["instances"][1][1], before["instances"][1][1])


class AbandonTests(ChangeCase):
    """`Abandon` fails, which it never should."""

    def check(self, participant: str, moment: str, kind: str) -> None:
        before = self.picture()
        mend = self.inject(participant, "abandon", moment, KINDS[kind]())
        self.assertEqual(self.prepare(self.second), ())
        self.abandon()
        self.assertEqual(self.flush(kind), 1)
        visible = ("generation", "bounds", "log", "ports", "contexts", "table", "running", "instances", "gates")
        self.assertSame(before, *(() if moment == "afterwards" else visible))
        mend()
        self.become(self.second)
        self.assertChanged(self.second)


class CommitTests(ChangeCase):
    """`Commit` fails, which it never should."""

    def check(self, participant: str, moment: str, kind: str) -> None:
        mend = self.inject(participant, "commit", moment, KINDS[kind]())
        self.become(self.second)
        self.assertEqual(self.flush(kind), 1)
        mend()
        if moment == "afterwards":
            self.assertChanged(self.second)
        third = self.secondPlan(3)
        self.become(third)
        self.assertChanged(third)


def _addTests(case: type[ChangeCase], kinds: Iterable[str] = KINDS) -> None:
    """One for each participant, moment and kind."""
    for participant, moment, kind in itertools.product(PARTICIPANTS, MOMENTS, kinds):

        def test(self: Any, participant: str = participant, moment: str = moment, kind: str = kind) -> None:
            self.check(participant, moment, kind)

        test.__doc__ = f"{participant}: {kind}, {moment}."
        setattr(case, f"test_{participant}_{kind}_{moment}", test)


for _case in (PrepareTests, ReadyTests, AbandonTests, CommitTests):
    _addTests(_case)
for _case in (AgainTests, InsteadTests):
    _addTests(_case, ("refused",))
