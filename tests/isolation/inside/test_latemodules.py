"""Modules that are imported when no file can be opened any more."""

from __future__ import annotations

import hmac
import os
import py_compile
import subprocess
import sys
import zlib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import revproxy
from revproxy.isolation.inside.latemodules import LateModules, filesBelow, mapped

WITHOUT_FILES = """
import sys
sys.path[:] = {path!r}
import revproxy.isolation.inside.main

def refuse(event, arguments):
    if event in ("open", "os.listdir", "os.scandir", "socket.__new__", "subprocess.Popen"):
        raise PermissionError(1, "Operation not permitted", *arguments[:1])

sys.addaudithook(refuse)
"""


def alone(code: str) -> str:
    """What code prints in a process as a locked one, in which nothing can be opened, once it has been made ready."""
    path = [str(Path(revproxy.__file__).absolute().parent.parent), *filter(os.path.isabs, sys.path)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", WITHOUT_FILES.format(path=path) + code],
        env={}, capture_output=True, text=True, timeout=120, check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class LateModuleTests(SynchronousTestCase):
    """`LateModules`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.late = LateModules()
        sys.meta_path.insert(0, self.late)
        self.addCleanup(sys.meta_path.remove, self.late)
        self.addCleanup(self._forget)

    def _forget(self) -> None:
        for name in [name for name in sys.modules if name.startswith("late_")]:
            del sys.modules[name]

    def write(self, path: str, text: str) -> Path:
        """A file in the folder."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def add(self) -> None:
        """Map all there is, and delete it."""
        self.late.add(filesBelow(str(self.folder), "", frozenset({"late_left"})))

    def test_packages(self) -> None:
        """Modules and packages are found by name, and run when they are imported."""
        self.write("late_package/__init__.py", "from .inner import VALUE")
        self.write("late_package/inner.py", "VALUE = 5")
        self.write("late_package/tests/__init__.py", "VALUE = 5")
        self.write("late_left.py", "")
        self.add()
        self.assertEqual(sorted(self.late.modules), ["late_package", "late_package.inner"])
        self.assertNotIn("late_package", sys.modules)
        module = __import__("late_package")
        self.assertEqual((module.VALUE, module.__file__), (5, str(self.folder / "late_package/__init__.py")))

    def test_compiled(self) -> None:
        """What Python has compiled of this very file is taken, and what it has of another is not."""
        file = self.write("late_module.py", "VALUE = 1")
        py_compile.compile(str(file), doraise=True)
        module = mapped(str(file), False)
        assert module is not None
        self.assertTrue(module._isCompiled)
        os.utime(file, (1, 1))
        module = mapped(str(file), False)
        assert module is not None
        self.assertFalse(module._isCompiled)
        self.assertEqual(module.code().co_filename, str(file))

    def test_absent(self) -> None:
        """What is not there, or empty, is passed over."""
        self.assertIsNone(mapped(str(self.folder / "absent.py"), False))
        self.assertIsNone(mapped(str(self.write("empty.py", "")), False))
        self.assertEqual(list(filesBelow(str(self.folder / "absent"), "", frozenset())), [])

    def test_known(self) -> None:
        """What is imported already is not mapped, unless it is asked for."""
        file = str(self.write("late_module.py", ""))
        self.late.add([("os", file, False)])
        self.assertEqual(self.late.modules, {})


class ReadyTests(SynchronousTestCase):
    """A process that was made ready by `revproxy.isolation.inside.main`, and cannot open anything any more."""

    def test_late(self) -> None:
        """The standard library, Twisted and asyncio can be imported in it; the light ones are whole when asked."""
        self.assertEqual(alone("""
import csv, email.message, html.parser, statistics, textwrap, xml.etree.ElementTree, zoneinfo
import http.cookiejar, tempfile, asyncio, asyncio.queues
from twisted.web.http import CACHED
from twisted.web.template import Element
assert http.cookiejar.CookieJar() is not None and tempfile.gettempprefix() == "tmp"
assert asyncio.Queue is asyncio.queues.Queue and asyncio.iscoroutinefunction(len) is False
import html, html.entities, attr
assert html.unescape("&eacute;&notit;") == "é¬it;" and html.entities.html5["eacute"] == "é"
assert attr.validators.instance_of(int) is not None
assert "é".encode("cp1252") == b"\\xe9"
print(statistics.mean([1, 3]), asyncio.CancelledError.__module__)
"""), "2 asyncio.exceptions")

    def test_compiled(self) -> None:
        """Modules in C that plugins use are there; hashes and random numbers work."""
        self.assertEqual(alone("""
import decimal, hashlib, hmac, secrets, uuid, zlib, random, bisect, heapq, struct, unicodedata, math, array, json
hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2)
hashlib.sha3_256(b"x"), hashlib.blake2b(b"x"), hashlib.md5(b"x")
print(hmac.new(b"k", b"m", "sha256").hexdigest(), len(secrets.token_hex(4)), zlib.crc32(b"x"))
"""), f"{hmac.new(b'k', b'm', 'sha256').hexdigest()} 8 {zlib.crc32(b'x')}")

    def test_descriptors(self) -> None:
        """What is mapped keeps no descriptor: a template has few of them, where ``ulimit -n`` is small."""
        path = [str(Path(revproxy.__file__).absolute().parent.parent), *filter(os.path.isabs, sys.path)]
        code = f"import os, sys; sys.path[:] = {path!r}; import revproxy.isolation.inside.main"
        code += "\nprint(len(os.listdir('/proc/self/fd')))"
        said = subprocess.check_output([sys.executable, "-I", "-S", "-c", code], env={}, text=True, timeout=120)
        self.assertLess(int(said), 16)

    def test_hints(self) -> None:
        """A file that a plugin opens: the error's text says that there are none."""
        self.assertIn("a locked process has no files", alone("""
from pathlib import Path
from revproxy.isolation.inside.failures import failed
try:
    open("/etc/passwd")
except OSError as error:
    print(failed(1, error, Path("/p")).text)
"""))

    def test_small(self) -> None:
        """Nothing is in memory that only the edge needs."""
        self.assertEqual(alone("import gc; print(gc.isenabled())"), "True")
        heavy = "asyncio.base_events", "jsonschema", "packaging", "pathspec", "ruamel", "OpenSSL", "treq", "http.client"
        self.assertEqual(alone(f"import sys; print([name for name in {heavy!r} if name in sys.modules])"), "[]")
