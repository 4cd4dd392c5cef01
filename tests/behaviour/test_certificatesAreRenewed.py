"""
Certificates that are renewed are served, and whatever is wrong with new ones is told once, and costs nobody else.

The whole edge: files are read by control, made into contexts and swapped by the worker, and told as events.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.authority import Authority
from tests.control.commands import commanded
from tests.coordinators import Bench

AUTHORITY = Authority()


class RenewalCase(SynchronousTestCase):
    """An edge with a listener for TLS, and a plugin."""

    def setUp(self) -> None:
        self.bench = Bench(Path(self.mktemp()))
        self.folder = self.bench.root / "certificates"
        self.folder.mkdir()
        self.path = self.issue("a.example")
        self.bench.configure(extra=self.listeners())
        self.bench.write("p")
        self.bench.start()
        self.addCleanup(self.bench.stop)

    def listeners(self, more: str = "") -> str:
        return f"listeners: [{{endpoint: 'tcp:0:interface=127.0.0.1', tls: {{certificates: {self.folder}}}{more}}}]\n"

    def issue(self, name: str, file: str = "a.pem") -> Path:
        """A certificate for this host."""
        path = self.folder / file
        path.write_bytes(AUTHORITY.issue(name).pem)
        return path

    def served(self, name: str = "a.example") -> bytes:
        """The certificate that a client which asks for a host is shown."""
        [listening] = self.bench.worker.listeners._running
        assert listening.certificates is not None
        host = listening.certificates.contexts.forName(name)
        certificate = SSL.Connection(host.context).get_certificate(as_cryptography=True)
        assert certificate is not None
        return certificate.fingerprint(certificate.signature_hash_algorithm)  # type: ignore[arg-type]

    def refused(self) -> list[str]:
        """What events say of certificates so far."""
        return [event.text for event in self.bench.events.latest(1000) if event.kind == "certificate-refused"]

    def state(self) -> Any:
        """What control knows of the listener's."""
        [state] = self.bench.control.inbox.certificates.values()
        return state


class RenewedTests(RenewalCase):
    """Files that are good."""

    def test_renewed(self) -> None:
        """It is served after the next look at the files, on the same port; nothing else changes."""
        before, port, built = self.served(), self.bench.worker.listeners.ports[0], self.bench.worker.generations.built
        self.issue("a.example")
        self.bench.apply()
        self.assertNotEqual(self.served(), before)
        self.assertIs(self.bench.worker.listeners.ports[0], port)
        self.assertEqual(self.bench.worker.generations.built.instances, built.instances)  # type: ignore[union-attr]
        self.assertEqual((self.refused(), self.state().names), ([], ("a.example",)))

    def test_unchanged(self) -> None:
        """A look that finds the same files is no change at all."""
        plan = self.bench.coordinator.plan
        os.utime(self.path, (1, 1))
        self.bench.apply()
        self.assertIs(self.bench.coordinator.plan, plan)

    def test_added(self) -> None:
        """A new file adds its hosts; the others keep their certificates."""
        before = self.served()
        self.issue("b.example", "b.pem")
        self.bench.apply()
        self.assertEqual((self.served(), self.state().names), (before, ("a.example", "b.example")))
        self.assertNotEqual(self.served("b.example"), before)

    def test_withOthers(self) -> None:
        """A renewal does not wait for a plugin's change that is refused at the same time."""
        before = self.served()
        self.issue("a.example")
        self.bench.write("p", "1 / 0", version="2.0")
        self.bench.apply()
        self.assertIn("ZeroDivisionError", self.bench.failure("p"))
        self.assertNotEqual(self.served(), before)

    def test_otherConfiguration(self) -> None:
        """With a configuration that is refused, the certificates of the one in force are renewed all the same."""
        taken = "listeners: [{endpoint: 'unix:/no/such/folder/socket'}]\n"
        for refused in (self.listeners(", proxy_protocol: 5"), taken):
            before = self.served()
            self.bench.configure(extra=refused)
            self.bench.apply()
            self.assertEqual(self.served(), before)
            self.issue("a.example")
            self.bench.apply()
            self.assertNotEqual(self.served(), before)


class RefusedTests(RenewalCase):
    """Files that are not."""

    def test_broken(self) -> None:
        """One bad file serves on as it was, beside what is new, and is told once."""
        before = self.served()
        self.path.write_bytes(b"half of it")
        self.issue("b.example", "b.pem")
        for _ in range(3):
            self.bench.apply()
        self.assertEqual(self.served(), before)
        self.assertNotEqual(self.served("b.example"), before)
        self.assertEqual(self.refused(), [f"{self.path}: no certificate in it; what it held before is served on"])

    def test_stillBroken(self) -> None:
        """It is not told again with each change of another file, and is when it is mended and breaks again."""
        self.path.write_bytes(b"half of it")
        self.bench.apply()
        self.issue("b.example", "b.pem")
        self.bench.apply()
        self.assertEqual(len(self.refused()), 1)
        self.issue("a.example")
        self.bench.apply()
        self.assertEqual((len(self.refused()), self.state().problems), (1, ()))
        self.path.write_bytes(b"half of it")
        self.bench.apply()
        self.assertEqual(len(self.refused()), 2)

    def test_allGone(self) -> None:
        """An emptied folder changes nothing that is served; the event says so. A later file is taken."""
        before = self.served()
        self.path.unlink()
        self.bench.apply()
        self.assertEqual(self.served(), before)
        kept = "none of the new ones can be used, and the certificates stay as they were"
        self.assertEqual(self.refused(), [f"{self.folder}: no certificate in it; {kept}"])
        self.assertTrue(self.state().isKept)
        self.issue("a.example")
        self.bench.apply()
        self.assertNotEqual(self.served(), before)
        self.assertFalse(self.state().isKept)

    def test_unreadableFolder(self) -> None:
        """A folder that may not be read any more, as after a change of user: told once, and again when it recurs."""
        before = self.served()

        def forbidden(path: Path) -> Any:
            raise PermissionError(13, "Permission denied")

        for expected in (1, 2):
            listing = self.patch(Path, "iterdir", forbidden)
            for _ in range(3):
                self.bench.apply()
            self.assertEqual(len(self.refused()), expected)
            listing.restore()
            self.bench.apply()
        self.assertEqual(self.served(), before)
        self.assertFalse(self.state().isKept)

    def test_namedPipe(self) -> None:
        """What is no file holds nothing up."""
        before = self.served()
        self.path.unlink()
        os.mkfifo(self.path)
        self.bench.apply()
        self.assertEqual(self.served(), before)
        [text] = self.refused()
        self.assertIn("it is a named pipe and no file; put a plain file there; what it held before is served on", text)

    def test_refusedWithTheRest(self) -> None:
        """What is wrong is told although the change that first met it was refused."""
        self.path.write_bytes(b"half of it")
        self.bench.configure(extra="listeners: [{endpoint: 'unix:/no/such/folder/socket'}]\n")
        self.bench.apply()
        self.bench.configure(extra=self.listeners())
        self.bench.apply()
        self.assertEqual(len(self.refused()), 1)


class ReloadTests(RenewalCase):
    """``revproxy reload`` after a certificate was written, before the watch has seen it."""

    def reload(self) -> Any:
        """What the command says."""
        return self.bench.result(commanded(self.bench.control, "reload"))

    def test_renewed(self) -> None:
        """It says that the certificates have changed, and only when they have."""
        self.issue("a.example")
        self.assertEqual(self.reload(), {"text": [f"{self.folder}: other certificates than before"], "refused": []})
        self.assertEqual(self.reload(), {"text": ["nothing had to change"], "refused": []})

    def test_refused(self) -> None:
        """What is wrong with a new file is told to whoever gave the command, as with a plugin that is refused."""
        self.path.write_text("no certificate")
        (answer,) = self.reload()["refused"]
        self.assertEqual((answer["plugin"], answer["stage"]), ("", "listen"))
        self.assertEqual([answer["message"]], self.refused())
