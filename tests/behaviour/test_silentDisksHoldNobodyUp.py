"""A disk that does not answer: what runs goes on, changes are refused, and the edge can end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.changes import ChangeRefused
from revproxy.control.commands import CommandError
from revproxy.control.steering import Asker
from revproxy.loop.jobthread import HURRY, READING
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Ready
from tests.authority import Authority
from tests.behaviour.test_changesAreRecorded import UPSTREAMS, Recorded
from tests.control.test_coordinator import LifecycleCase


class PluginFolderTests(LifecycleCase):
    """The folder of plugins is on a disk that does not answer."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.bench.write("a", version="2.0")
        self.answers = self.bench.coordinator.files.inThread
        self.bench.coordinator.files.inThread = self.hang
        self.done = self.bench.later(self.bench.coordinator.apply())

    def hang(self, *job: Any) -> Deferred[Any]:
        self.job = Deferred[Any]()
        self.run_ = lambda: self.job.callback(job[0](*job[1:]))
        return self.job

    def test_refused(self) -> None:
        """What runs goes on; the change is refused, and so is the next one, at once."""
        self.bench.clock.advance(READING)
        refused = self.failureResultOf(self.done, ChangeRefused).value
        self.assertIn(f"the files cannot be looked at: the disk has not answered for {READING:g} s", str(refused))
        self.assertEqual((self.bench.seen(), self.bench.kinds()), (["a 1.0.0"], [("refused", "")]))
        self.failureResultOf(self.bench.later(self.bench.coordinator.apply()), ChangeRefused)

    def test_back(self) -> None:
        """Once it has answered, the next change is made."""
        self.bench.clock.advance(READING)
        self.failureResultOf(self.done, ChangeRefused)
        self.bench.coordinator.files.inThread = self.answers
        self.run_()
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 2.0"])

    def test_end(self) -> None:
        """The end of the edge does not wait for it for long."""
        ended = self.bench.later(self.bench.end())
        self.bench.clock.advance(HURRY - 1)
        self.assertNoResult(ended)
        self.bench.clock.advance(1)
        self.successResultOf(ended)
        self.failureResultOf(self.done, ChangeRefused)


class ConfigurationFileTests(LifecycleCase):
    """The configuration file, which somebody writes through the edge, is on a disk that does not answer."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.file = self.bench.file
        self.then = self.file.read_text()
        self.new = f"{self.then}timeouts: {{idle: 7}}\n"
        self.answers = self.bench.coordinator.files.inThread
        self.hanging = "write"
        self.bench.coordinator.files.inThread = self.inThread

    def inThread(self, function: Any, *arguments: Any) -> Deferred[Any]:
        if function.__name__ != self.hanging:
            return self.answers(function, *arguments)
        self.job = Deferred[Any]()
        self.run_ = lambda: self.answers(function, *arguments).chainDeferred(self.job)
        return self.job

    def put(self) -> Deferred[Any]:
        config = self.bench.control.configFile
        etag = self.bench.result(config.read()).etag
        return self.bench.later(config.write(Asker(), self.new, etag))

    def rescue(self) -> None:
        """Is done at once."""
        done = self.bench.later(self.bench.control.steering.disable(Asker(), "a"))
        self.assertEqual(self.successResultOf(done)["text"][0], "a: switched off")
        self.assertEqual(self.bench.seen(), [])

    def test_rescue(self) -> None:
        """Who switches a plugin off does not wait for it; then it is written after all."""
        done = self.put()
        self.rescue()
        self.assertEqual(self.file.read_text(), self.then)
        self.hanging = ""
        self.run_()
        self.assertEqual(self.successResultOf(done).text, (f"{self.file} is in force",))
        self.assertEqual((self.file.read_text(), self.bench.coordinator.config.timeouts.idle), (self.new, 7))

    def test_silent(self) -> None:
        """After so long it is refused; when the disk comes back, the file is as it was."""
        done = self.put()
        self.bench.clock.advance(READING)
        self.failureResultOf(done, CommandError)
        self.hanging = ""
        self.run_()
        self.assertEqual((self.file.read_text(), self.bench.seen()), (self.then, ["a 1.0.0"]))

    def test_puttingBack(self) -> None:
        """Nor does anybody wait for its being put back, once what comes last has been refused."""
        self.hanging = "undo"
        refused = (Refusal("", "listen", "no port"),)
        ready, real = Deferred[Any](), self.bench.coordinator.crew.do
        self.patch(self.bench.coordinator.crew, "do", lambda word: ready if isinstance(word, Ready) else real(word))
        done = self.put()
        self.assertEqual(self.file.read_text(), self.new)
        self.patch(self.bench.coordinator.crew, "do", real)
        ready.callback(refused)
        self.rescue()
        self.assertEqual(self.file.read_text(), self.new)
        self.hanging = ""
        self.run_()
        self.successResultOf(done)
        self.assertEqual((self.file.read_text(), self.bench.coordinator.config.timeouts.idle), (self.new, 7))


class UpstreamFileTests(LifecycleCase):
    """The certificate authority of an upstream is on a disk that does not answer any more."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.root.joinpath("ca.pem").write_bytes(Authority("one").own.certificatePEM)
        upstream = "{targets: ['https://127.0.0.1:1'], tls: {ca: ca.pem}}"
        self.bench.configure("[{upstream: app}]", f"upstreams: {{app: {upstream}}}\n")
        self.bench.write("a")
        self.bench.start()
        self.bench.write("a", version="2.0")
        answers = self.bench.worker._files.inThread

        def inThread(function: Any, *arguments: Any) -> Deferred[Any]:
            return Deferred() if function.__name__ == "isSame" else answers(function, *arguments)

        self.bench.worker._files.inThread = inThread
        self.done = self.bench.later(self.bench.coordinator.apply())
        self.bench.clock.advance(0)
        self.assertNoResult(self.done)

    def test_refused(self) -> None:
        """The change is refused, and what runs goes on."""
        self.bench.clock.advance(READING)
        self.failureResultOf(self.done, ChangeRefused)
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])

    def test_end(self) -> None:
        """The edge ends."""
        ended = self.bench.later(self.bench.end())
        self.bench.clock.advance(HURRY)
        self.successResultOf(ended)
        self.failureResultOf(self.done, ChangeRefused)


class StateFolderTests(SynchronousTestCase):
    """The disk of the state folder does not answer any more, and much is to be written."""

    def test_end(self) -> None:
        """The edge waits for it once for its records, once for all that is kept besides, and once for the events."""
        bench = Recorded(Path(self.mktemp()), "[{upstream: o}]", UPSTREAMS)
        bench.write("a")
        bench.begin()
        control = bench.control
        control.eventKeeper.begin()
        control.alerts.start()
        everywhere = (*control.files, control.history, control.audit, control.eventKeeper)
        for jobs in (control.keeper.disk, *(part._jobs for part in everywhere)):
            jobs.inThread = lambda *job: Deferred()
        bench.ask("drainTarget", body={"target": "http://127.0.0.1:1"}, name="o")
        bench.ask("disablePlugin", body={}, name="a")
        control.stop()
        ended = bench.later(self.end(bench))
        bench.clock.pump([0.5] * int(3 * HURRY / 0.5))
        self.successResultOf(ended)

    async def end(self, bench: Recorded) -> None:
        await bench.end()
        await bench.control.end()
