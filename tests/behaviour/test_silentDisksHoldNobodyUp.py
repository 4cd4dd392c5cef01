"""A disk that does not answer: what runs goes on, changes are refused, and the edge can end."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from revproxy.control.changes import ChangeRefused
from revproxy.loop.jobthread import HURRY, READING
from tests.authority import Authority
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
