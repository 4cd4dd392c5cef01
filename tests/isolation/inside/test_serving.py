"""A real process that serves: its stream, its log, its reactor; and one that is locked."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

import revproxy
from revproxy.isolation.frames import (
    MOST_UP,
    Answered,
    Call,
    Done,
    Down,
    Failed,
    FailedOutside,
    FrameReader,
    Loaded,
    Logged,
    Over,
    Step,
    Unchanged,
    Up,
    decodeUp,
    encode,
)
from tests.isolation.inside.rooms import HEAD, changed, load

SERVES = """
import sys
sys.path[:] = {path!r}
from revproxy.isolation.inside.main import serve
class Page:
    def enter(self, number): pass
    def leave(self): pass
{before}
serve({fd}, Page())
"""

LOCKS = """
import os
from revproxy.isolation.lock.layers import Lock
from revproxy.isolation.lock.lockdown import lockDown
report = lockDown(Lock(1 << 30, os.getppid(), (0, 1, 2, {fd})))
assert report.level is not None, report
"""

T = TypeVar("T", bound=Up)


class ServingCase(SynchronousTestCase):
    """A process of its own, by its stream."""

    before = ""

    def setUp(self) -> None:
        self.stream, theirs = socket.socketpair()
        self.stream.settimeout(60)
        path = [str(Path(revproxy.__file__).absolute().parent.parent), *filter(os.path.isabs, sys.path)]
        code = SERVES.format(path=path, fd=theirs.fileno(), before=self.before.format(fd=theirs.fileno()))
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code], env={}, cwd="/", pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        theirs.close()
        self.reader = FrameReader(MOST_UP)
        self.heard: list[Up] = []
        self.addCleanup(self.end)

    def end(self) -> None:
        """It ends when its stream does, by itself."""
        self.stream.close()
        try:
            _, said = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        self.assertEqual((self.process.returncode, said), (0, b""))

    def tell(self, *frames: Down) -> None:
        """Send them together."""
        self.stream.sendall(b"".join(map(encode, frames)))

    def hear(self, kind: type[T]) -> T:
        """The next that it says. :raises AssertionError: it is of another kind."""
        while not self.heard:
            data = self.stream.recv(1 << 16)
            assert data, self.process.communicate()[1].decode()
            self.heard += map(decodeUp, self.reader.feed(data))
        frame = self.heard.pop(0)
        assert isinstance(frame, kind), frame
        return frame


class ServingTests(ServingCase):
    """`serve`."""

    SOURCE = """
        import logging, warnings
        from twisted.internet import reactor
        from twisted.logger import Logger
        @implementer(IMiddleware, ILifecycle)
        class PluginMain:
            name = "guest"
            def __init__(self, config): pass
            def handle(self, context): return True
            def stop(self): pass
            def start(self):
                %s
    """

    def start(self, code: str) -> None:
        """Run code in ``start``."""
        self.tell(load(self.SOURCE % code))
        self.hear(Loaded)
        self.tell(Step(1, "start"))

    def test_together(self) -> None:
        """Many frames at once are answered, each by its number."""
        self.tell(load(self.SOURCE % "pass"), *(Call(number, number, "handle", HEAD) for number in range(1, 201)))
        self.hear(Loaded)
        self.assertEqual([self.hear(Unchanged).number for _ in range(200)], list(range(1, 201)))
        self.tell(*(Over(number) for number in range(1, 201)), Step(201, "stop"))
        self.assertEqual(self.hear(Done).number, 201)

    def test_log(self) -> None:
        """What is logged, printed and warned of in it comes by its stream, with the name of who has said it."""
        self.start("""
                logging.getLogger("library").error("one")
                Logger("other").warn("two")
                print("three")
                warnings.warn("four")
        """)
        lines = [self.hear(Logged) for _ in range(4)]
        self.assertEqual(
            [(line.level, line.text, line.namespace) for line in lines[:3]],
            [("error", "one", ""), ("warn", "two", "other"), ("info", "three", "print")],
        )
        self.assertIn("four", lines[3].text)
        self.hear(Done)

    def test_reactor(self) -> None:
        """The reactor that it imports has time; what it has not says what there is instead."""
        self.start("reactor.callLater(0.01, reactor.callWhenRunning, lambda: reactor.listenTCP(80, None))")
        self.hear(Done)
        failed = self.hear(FailedOutside)
        self.assertEqual(failed.kind, "AttributeError")
        self.assertIn("reactor.listenTCP: the reactor of a locked process has time", failed.text)
        self.assertRegex(failed.where, r"/plugins/guest/plugin.py:\d+$")

    def test_tooMuch(self) -> None:
        """An answer that is longer than may be fails, and the next is as ever."""
        source = self.SOURCE.replace("return True", "return context.respond(200, b'x' * int(context.request.query))")
        self.tell(load(source % "pass"))
        self.hear(Loaded)
        for number, size in ((1, MOST_UP), (2, 5)):
            self.tell(Call(number, number, "handle", changed(HEAD, target=b"/?%d" % size)))
        self.assertIn("are the most that a locked process may answer at once", self.hear(Failed).text)
        made = self.hear(Answered).response
        assert made is not None
        self.assertEqual(made.body, b"xxxxx")


class LockedTests(ServingCase):
    """A process that is locked before its plugin comes."""

    before = LOCKS

    def test_works(self) -> None:
        """A plugin is loaded into it, imports what it wants, and serves; what it may not do fails, and says why."""
        self.tell(load("""
            import csv, statistics, hashlib, asyncio
            from twisted.web.http import CACHED
            @implementer(IMiddleware)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context):
                    import secrets, string, time, uuid, zipfile
                    assert secrets.token_hex(8) != secrets.token_hex(8) and uuid.uuid4() != uuid.uuid4()
                    time.sleep(0.001)
                    if context.request.method == "GET":
                        open("/etc/passwd")
                    return True
        """))
        self.hear(Loaded)
        self.tell(Call(1, 1, "handle", HEAD))
        failed = self.hear(Failed)
        self.assertEqual(failed.kind, "PermissionError")
        self.assertIn("a locked process has no files", failed.text)
        self.assertIn('open("/etc/passwd")', failed.traceback)

    def test_libraries(self) -> None:
        """What it depends on and what it brings along are imported from the bytes that were sent."""
        libraries = {"tiny": {
            "tiny/__init__.py": b"import json, tiny.inner\nVALUE = tiny.inner.VALUE",
            "tiny/inner.py": b"VALUE = 5",
            "tiny-2.1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny\nVersion: 2.1\n",
        }}
        loading = load("""
            import importlib.metadata, importlib.resources, tiny
            from . import words
            @implementer(IMiddleware)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context):
                    text = importlib.resources.files(__package__).joinpath("words.txt").read_text()
                    version = importlib.metadata.version("tiny")
                    return context.respond(200, repr((tiny.VALUE, version, text, words.VALUE)))
        """, libraries=libraries)
        loading.files.update({"words.txt": b"one two", "words.py": b"VALUE = 7"})
        self.tell(loading, Call(1, 1, "handle", HEAD))
        self.hear(Loaded)
        made = self.hear(Answered).response
        assert made is not None
        self.assertEqual(made.body, b"(5, '2.1', 'one two', 7)")

    def test_absent(self) -> None:
        """A module that is not there is told as ever."""
        self.tell(load("import absent_library"))
        failed = self.hear(Failed)
        self.assertEqual(failed.stage, "import")
        self.assertIn("no module named absent_library", failed.text)
        self.assertIn("what plugin.json names under dependencies", failed.text)

    def test_misspelt(self) -> None:
        """What errors need that few have is found late, too."""
        self.tell(load("from . import wrods"))
        self.assertIn("cannot import name 'wrods'", self.hear(Failed).text)

    def test_thread(self) -> None:
        """A thread cannot be made, and the text says why."""
        self.tell(load("import threading\nthreading.Thread(target=len).start()"))
        self.assertIn("a locked process has one thread", self.hear(Failed).text)

    def test_memory(self) -> None:
        """More memory than there may be is a MemoryError of the call, and the next call is as ever."""
        self.tell(load("""
            @implementer(IMiddleware)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context):
                    return len(bytearray(int(context.request.query))) > 0
        """))
        self.hear(Loaded)
        for number, size in ((1, 2 << 30), (2, 5)):
            self.tell(Call(number, number, "handle", changed(HEAD, target=b"/?%d" % size)))
        self.assertEqual(self.hear(Failed).kind, "MemoryError")
        self.assertTrue(self.hear(Unchanged).verdict)
