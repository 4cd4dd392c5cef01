"""Tests for `revproxy.worker.listening`: the certificates of listeners, when there are others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from revproxy.config.document import parseYAML
from revproxy.config.settings import TLSConfig
from revproxy.loop.jobthread import JobThread
from revproxy.worker import certificates
from revproxy.worker.participant import Refused
from tests.authority import Authority
from tests.harness import freePort
from tests.worker.listenerscase import ListenersCase, on


class CertificateTests(ListenersCase):
    """Certificates by difference."""

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority()
        self.folder = self.newFolder()
        self.issue("a.example")
        self.config = on(freePort(), tls=TLSConfig(self.folder))

    def newFolder(self) -> Path:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        return folder

    def issue(self, name: str, file: str = "a.pem") -> Path:
        path = self.folder / file
        path.write_bytes(self.authority.issue(name).pem)
        return path

    def contexts(self, port: Any) -> Any:
        """The hosts of a TLS port, as its transports look them up."""
        certificates = next(each for each in self.set._running if each.port is port).certificates
        assert certificates is not None
        return certificates.contexts

    def start(self) -> Any:
        """With one certificate; what was told of it is forgotten. :return: the contexts."""
        contexts = self.contexts(self.become(self.config)[0])
        self.told.clear()
        return contexts

    def test_told(self) -> None:
        """Control is told what is served, once it is; not what is prepared."""
        self.prepare(self.config)
        self.assertEqual(self.told, [])
        self.set.commit()
        [state] = self.told
        self.assertEqual((state.endpoint, state.place), (self.config.endpoint, str(self.folder)))
        self.assertEqual((state.names, state.problems, state.isKept), (("a.example",), (), False))
        self.assertIsInstance(state.expires, float)

    def test_renewed(self) -> None:
        """A new certificate is served once committed, not before; connections go on."""
        contexts = self.start()
        before = contexts.forName(None)
        factory = self.set.ports[0].factory
        self.issue("b.example")
        self.prepare(self.config)
        self.assertEqual((contexts.forName(None), self.told), (before, []))
        self.set.commit()
        self.assertIsNot(contexts.forName(None), before)
        self.assertIs(self.set.ports[0].factory, factory)
        self.assertEqual([state.names for state in self.told], [("b.example",)])

    def test_renewedInVain(self) -> None:
        """If the change is given up, what was loaded for it is not served, neither with the next change."""
        contexts = self.start()
        before, old = contexts.forName(None), self.word([self.config])
        self.issue("b.example")
        self.prepare(self.config)
        self.done(self.set.abandon())
        self.done(self.set.prepare(old))
        self.set.commit()
        self.assertEqual((contexts.forName(None), self.told), (before, []))
        self.become(self.config)
        self.assertIsNot(contexts.forName(None), before)

    def test_loadedTooLate(self) -> None:
        """What a disk gives after nobody waits for it any more changes nothing."""
        contexts = self.start()
        before, old = contexts.forName(None), self.word([self.config])
        self.issue("b.example")
        jobs: list[Callable[[], Any]] = []

        def later(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
            jobs.append(lambda: function(*arguments))
            return Deferred()

        self.set._files = JobThread(self.reactor, later)
        preparing = self.begin(self.set.prepare(self.word([self.config])))
        self.reactor.advance(3600)
        refusal = self.failureResultOf(preparing, Refused).value.refusals[0]
        self.assertEqual(refusal.stage, "files")
        for job in jobs:
            job()
        self.set._files = JobThread(self.reactor, self.inThread)
        self.done(self.set.abandon())
        self.done(self.set.prepare(old))
        self.set.commit()
        self.assertEqual((contexts.forName(None), self.told), (before, []))

    def test_inThread(self) -> None:
        """Contexts are made in a thread, while clients are served; what makes none waits for no thread."""
        self.start()
        jobs: list[str] = []

        def noted(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
            jobs.append(function.__name__)
            return self.inThread(function, *arguments)

        self.set._files = JobThread(self.reactor, noted)
        other = replace(self.config, trustedProxies=("::1",))
        for configs in ((self.config,), (other,), (other, on(freePort())), (other,)):
            self.become(*configs)
        self.assertEqual(jobs, [])
        self.issue("b.example")
        self.become(other)
        self.become(replace(other, tls=None))
        self.assertEqual(len(jobs), 1)
        self.become(other)
        self.assertEqual(len(jobs), 2)

    def test_broken(self) -> None:
        """A file that is bad now serves on as it was, beside what is new; control is told which it is, once."""
        contexts = self.start()
        before = contexts.forName("a.example").context
        path = self.folder / "a.pem"
        path.write_bytes(path.read_bytes()[:-40])
        self.issue("b.example", "b.pem")
        self.become(self.config)
        self.assertIsNot(contexts.forName("b.example").context, before)
        self.assertEqual(contexts.forName("a.example").clientAuth, "none")
        [state] = self.told
        self.assertEqual((state.names, state.isKept), (("a.example", "b.example"), False))
        [problem] = state.problems
        self.assertTrue(problem.startswith(f"{path}: ") and problem.endswith("; what it held before is served on"))
        self.become(self.config)
        self.assertEqual(len(self.told), 1)

    def test_allGone(self) -> None:
        """An emptied folder changes nothing but what control is told; a later file is taken."""
        contexts = self.start()
        before = contexts.forName("a.example")
        (self.folder / "a.pem").unlink()
        self.become(self.config)
        self.assertIs(contexts.forName("a.example"), before)
        [state] = self.told
        self.assertEqual((state.isKept, state.names), (True, ("a.example",)))
        self.assertEqual(state.problems, (f"{self.folder}: no certificate in it",))
        self.issue("b.example")
        self.become(self.config)
        self.assertIsNot(contexts.forName("b.example"), before)
        self.assertFalse(self.told[-1].isKept)

    def test_recurs(self) -> None:
        """What could not be used and is mended is told, and so is it when it recurs; nothing is served anew."""
        contexts = self.start()
        before = contexts.forName("a.example")
        path = self.folder / "a.pem"
        content = path.read_bytes()
        for isKept in (True, False, True):
            path.unlink() if isKept else path.write_bytes(content)
            self.become(self.config)
            self.become(self.config)
            self.assertEqual(self.told[-1].isKept, isKept)
        self.assertEqual(len(self.told), 3)
        self.assertIs(contexts.forName("a.example"), before)

    def test_refusedInVain(self) -> None:
        """Files that cannot be used are told, although the change that first met them was given up."""
        self.start()
        (self.folder / "a.pem").unlink()
        self.prepare(self.config)
        self.done(self.set.abandon())
        self.become(self.config)
        self.assertEqual([state.isKept for state in self.told], [True])

    def test_unforeseen(self) -> None:
        """Whatever else making contexts raises is told, logged, and holds up no change."""
        contexts = self.start()
        before = contexts.forName("a.example")
        self.issue("a.example")

        def raises(*arguments: Any, **settings: Any) -> None:
            raise OverflowError("oh")

        self.patch(certificates, "serverContext", raises)
        self.become(self.config)
        [state] = self.told
        self.assertEqual((state.isKept, state.problems), (True, (f"{self.folder}: OverflowError: oh",)))
        self.assertIs(contexts.forName("a.example"), before)
        self.assertEqual(len(self.flushLoggedErrors(OverflowError)), 1)

    def test_otherSettings(self) -> None:
        """With the same ``tls`` the certificates stay with the port, even where they could not be read."""
        contexts = self.start()
        (self.folder / "a.pem").unlink()
        for config in (self.config, replace(self.config, trustedProxies=("::/0",))):
            self.assertIs(self.contexts(self.become(config)[0]), contexts)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_otherFolder(self) -> None:
        """Another folder: its certificates."""
        contexts = self.start()
        folder = self.newFolder()
        (folder / "x.pem").write_bytes(self.authority.issue("x.example").pem)
        port = self.become(replace(self.config, tls=TLSConfig(folder)))[0]
        self.assertIsNot(self.contexts(port), contexts)
        self.assertEqual([state.names for state in self.told], [("x.example",)])

    def test_plainAndBack(self) -> None:
        """From TLS to plain text on one port, and back."""
        port = self.become(self.config)[0]
        self.assertEqual(port.factory.scheme, "https")
        self.assertEqual(self.become(replace(self.config, tls=None)), [port])
        self.assertEqual(port.factory.scheme, "http")
        self.assertEqual(self.become(self.config), [port])
        self.assertEqual(port.factory.scheme, "https")

    def test_expired(self) -> None:
        """A certificate whose time is over is served all the same, and a line of the log says so when it is."""
        said: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            said.append(str(event.get("problem", "")))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        expired = self.authority.issue("a.example", lifetime=timedelta(days=-1)).pem
        (self.folder / "a.pem").write_bytes(expired)
        self.prepare(self.config)
        self.assertNotIn("expired on", "".join(said))
        self.set.commit()
        self.become(self.config)
        self.assertEqual("".join(said).count("expired on"), 1)
        self.assertEqual(self.told[0].problems, ())

    def test_problems(self) -> None:
        """All that are missing, with their places; nothing is bound."""
        text = "listeners:\n- endpoint: a\n- tls:\n    certificates: b\n- tls:\n    certificates: c\n"
        configs = [self.config, *(on(freePort(), tls=TLSConfig(self.folder / name)) for name in "bc")]
        preparing = self.begin(self.set.prepare(self.word(configs, parseYAML(text, "r.yaml"))))
        [refusal] = self.failureResultOf(preparing, Refused).value.refusals
        self.assertEqual([problem.line for problem in refusal.problems], [4, 6])
        self.assertIn(f"{self.folder}/b: there is no such folder", refusal.message)
        self.assertEqual(self.reactor.getReaders(), [])
