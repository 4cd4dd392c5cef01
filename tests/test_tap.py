"""The options of ``twistd revproxy``."""

from __future__ import annotations

import gc
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from revproxy.tap import Options, makeService


def parsed(*arguments: str) -> Any:
    options = Options()
    options.parseOptions(list(arguments))
    return options


class OptionsTests(SynchronousTestCase):
    """What is understood."""

    def test_lists(self) -> None:
        """--listen and --upstream may be given again; each parse begins with none."""
        options = parsed("--listen", "tcp:1", "-l", "tcp:2", "--upstream", "http://a", "-u", "http://b")
        self.assertEqual([options["listen"], options["upstream"]], [["tcp:1", "tcp:2"], ["http://a", "http://b"]])
        self.assertEqual(parsed("-l", "tcp:3")["listen"], ["tcp:3"])

    def test_refused(self) -> None:
        """Nothing at all, and a file together with what it says."""
        for arguments in (
            (),
            ("-c", "x", "-l", "tcp:1"),
            ("-c", "x", "-u", "http://a"),
            ("-c", "x", "-p", "d"),
            ("-c", "x", "--access-log", "l"),
            ("x",),
        ):
            self.assertRaises(UsageError, parsed, *arguments)

    def test_problems(self) -> None:
        """A configuration that will not do: every problem on standard error, status 1."""
        path = Path(self.mktemp())
        path.write_text("listeners: []\nnonsense: 1\nlimits: {max_headers: many}\n")
        said = StringIO()
        self.patch(sys, "stderr", said)
        exit_ = self.assertRaises(SystemExit, makeService, parsed("-c", str(path)))
        self.assertEqual(exit_.code, 1)
        for words in ("nonsense", "max_headers", f"{path}:2:1"):
            self.assertIn(words, said.getvalue())


class MakeServiceTests(SynchronousTestCase):
    """`makeService`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.file = self.folder / "r.yaml"
        self.patch(sys, "path", list(sys.path))

    def make(self, text: str) -> str:
        """:return: what was said when it was refused."""
        self.file.write_text(text)
        said = StringIO()
        self.patch(sys, "stderr", said)
        error = self.assertRaises(SystemExit, makeService, parsed("--config", str(self.file)))
        self.assertEqual(error.code, 1)
        return said.getvalue()

    def test_accessLog(self) -> None:
        """Without a file the access log goes where the option says, else to standard output."""
        command = ("--listen", "tcp:1", "--upstream", "http://127.0.0.1:1")
        for given, expected in (((), "-"), (("--access-log", "off"), None)):
            service: Any = makeService(parsed(*command, *given))
            self.assertEqual(service.config.logging.access, expected)

    def test_interpreter(self) -> None:
        """Threads give the interpreter back soon, and the program itself is not looked at by the collector."""
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        sys.setswitchinterval(0.005)
        gc.unfreeze()
        # What holds a version is searched for among what is not frozen, in other tests too.
        self.addCleanup(gc.unfreeze)
        makeService(parsed("--listen", "tcp:0", "--upstream", "http://127.0.0.1:9"))
        self.assertLess(sys.getswitchinterval(), 0.001)
        self.assertGreater(gc.get_freeze_count(), 10_000)

    def test_resourceBesideTheFile(self) -> None:
        """A module in the configuration's folder can be mounted, wherever the edge is started."""
        (self.folder / "beside_tap_test.py").write_text("from twisted.web.resource import Resource as root\n")
        self.addCleanup(sys.modules.pop, "beside_tap_test", None)
        self.file.write_text("listeners: [{endpoint: 'tcp:1'}]\nroutes: [{resource: beside_tap_test.root}]\n")
        makeService(parsed("--config", str(self.file)))

    def test_certificates(self) -> None:
        """Certificates that are not there are a problem at a place of the file, like any other."""
        text = "listeners:\n- endpoint: tcp:1\n  tls: {certificates: absent}\nroutes: [{respond: {}}]\n"
        expected = f"{self.file}:3:9: $.listeners[0].tls.certificates: {self.folder}/absent: there is no such folder\n"
        self.assertEqual(self.make(text), expected)

    def test_resourceThatExits(self) -> None:
        """A resource whose making ends the process is named before it does."""
        (self.folder / "exits_tap_test.py").write_text("raise SystemExit(7)\n")
        text = "listeners: [{endpoint: 'tcp:1'}]\nroutes: [{resource: exits_tap_test.root}]\n"
        self.assertIn("r.yaml:2:11: $.routes[0].resource: ", self.make(text))
