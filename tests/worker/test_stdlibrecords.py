"""
What plugins say through `logging` and `warnings`.
"""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.logger import LogLevel, STDLibLogObserver, formatEvent, globalLogPublisher

from revproxy.plan.plan import Plan
from revproxy.worker.stdlibrecords import StdlibRecords
from tests.worker.workers import WorkerCase, entry

CODE = """
import logging, logging.handlers, queue, warnings
import tests.worker.test_stdlibrecords as library
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

log = logging.getLogger("any.name")

class Awful:
    def __str__(self):
        raise RuntimeError("no text")

@implementer(IMiddleware)
class PluginMain:
    name = "a"
    def __init__(self, config): pass
    def handle(self, context):
        return {"levels": self.levels, "library": self.library, "hostile": self.hostile, "warn": self.warn,
                "stack": self.stack, "queue": self.queue, "captured": self.captured, "force": self.force,
               }[context.request.path[1:]]() or True
    def levels(self):
        for level in (5, 10, 20, 30, 40, 50, 60):
            log.log(level, "at %s", level)
        logging.warning("root")
    def library(self):
        library.talks()
    def hostile(self):
        log.warning("%d and %d", "x")
        log.warning(Awful())
        log.warning("%s", Awful())
        log.warning("\\x1b[2J" + "y" * 100000)
        log.warning("w", exc_info=(None, None, None))
        log.warning("w", exc_info=(1, 2, 3))
        record = logging.LogRecord(None, 30, None, 0, "z", (), None)
        record.args = 5
        log.handle(record)
    def stack(self):
        try:
            {}["k"]
        except KeyError:
            log.exception("it failed")
        log.warning("here", stack_info=True)
    def warn(self):
        for number in range(3):
            warnings.warn(f"number {number}")
        warnings.warn("other", FutureWarning)
    def queue(self):
        waiting = queue.SimpleQueue()
        handler = logging.handlers.QueueHandler(waiting)
        record = logging.getLogger("q").makeRecord("q", 30, self.queue.__code__.co_filename, 1, "queued", (), None)
        handler.emit(record)
        library.later(waiting.get())
    def captured(self):
        logging.captureWarnings(True)
        warnings.warn("captured")
        logging.captureWarnings(False)
    def force(self):
        logging.basicConfig(force=True, handlers=[logging.NullHandler()])
"""


def talks() -> None:
    """
    As a library does.
    """
    log = logging.getLogger("some.library")
    log.debug("a detail")
    log.info("on my way")
    log.warning("look here")


def later(record: logging.LogRecord) -> None:
    """
    Handle a record in another thread.
    """
    thread = threading.Thread(target=logging.getLogger().handle, args=(record,))
    thread.start()
    thread.join(10)


class RecordCase(WorkerCase):
    """
    A plugin that does what its request's path says.
    """

    def setUp(self) -> None:
        super().setUp()
        self.heard: list[dict[str, Any]] = []
        globalLogPublisher.addObserver(self.heard.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.heard.append)
        self.become(self.planned(1))

    def planned(self, number: int, level: str = "info", version: str = "1.0") -> Plan:
        """
        A plan with the plugin.
        """
        return self.plan(
            number, self.config(f"logging: {{access: off, level: {level}}}\n"), entry("a", version, code=CODE)
        )

    def says(self, path: str) -> list[tuple[str, str, str]]:
        """
        Namespace, level and text of what is logged while the plugin does something.
        """
        self.heard.clear()
        running = self.worker.staging.running
        assert running is not None
        (instance,) = running.members.values()
        getattr(instance.object, path)()
        return [(event["log_namespace"], event["log_level"].name, formatEvent(event)) for event in self.heard]


class RecordTests(RecordCase):
    """
    Records of `logging`.
    """

    def test_levels(self) -> None:
        """
        They are the plugin's, whatever their logger is called, each of its level; once.
        """
        self.assertEqual(self.says("levels"), [
            ("plugin.a", "info", "at 20"), ("plugin.a", "warn", "at 30"), ("plugin.a", "error", "at 40"),
            ("plugin.a", "critical", "at 50"), ("plugin.a", "critical", "at 60"), ("plugin.a", "warn", "root"),
        ])  # fmt: skip
        event = self.heard[0]
        self.assertEqual((event["plugin"], event["version"].number, event["logger"]), ("a", "1.0", "any.name"))

    def test_chosen(self) -> None:
        """
        Another level holds at once.
        """
        self.become(self.planned(2, "error"))
        self.assertEqual([text for _, _, text in self.says("levels")], ["at 40", "at 50", "at 60"])
        self.become(self.planned(3, "debug"))
        self.assertEqual(next(text for _, _, text in self.says("levels")), "at 10")

    def test_libraries(self) -> None:
        """
        A library's records keep the name of its logger, with the plugin that called it; what it tells on its way is
        for whoever wants to see everything.
        """
        self.assertEqual(self.says("library"), [("some.library", "warn", "look here")])
        self.assertEqual(self.heard[0]["plugin"], "a")
        self.become(self.planned(2, "debug"))
        self.assertEqual([level for _, level, _ in self.says("library")], ["debug", "info", "warn"])
        self.heard.clear()
        talks()
        self.assertNotIn("plugin", self.heard[0])

    def test_hostile(self) -> None:
        """
        Records that cannot be shown as they are, are shown as far as it goes.
        """
        texts = [text for _, _, text in self.says("hostile")]
        self.assertEqual(len(texts), 7)
        self.assertIn("%d and %d (cannot be formatted: TypeError", texts[0])
        self.assertIn("(Awful whose text cannot be had: RuntimeError)", texts[1])
        self.assertIn("%s (cannot be formatted: RuntimeError: no text)", texts[2])
        self.assertTrue(texts[3].startswith("\\x1b[2Jyyy"))
        self.assertLess(len(texts[3]), 9000)
        self.assertEqual(texts[4], "w")
        self.assertIn("w\n(its traceback cannot be shown", texts[5])

    def test_tracebacks(self) -> None:
        """
        Tracebacks and stacks stand below.
        """
        (_, level, failed), (_, _, here) = self.says("stack")
        self.assertEqual(level, "error")
        self.assertEqual(failed.splitlines()[:2], ["it failed", "Traceback (most recent call last):"])
        self.assertIn("KeyError: 'k'", failed)
        self.assertIn("Stack (most recent call last)", here)

    def test_otherThread(self) -> None:
        """
        A record that is handled in another thread is known by the file it came from.
        """
        self.assertEqual(self.says("queue"), [("plugin.a", "warn", "queued")])

    def test_loop(self) -> None:
        """
        Where somebody has events of Twisted's logged by `logging`, they do not come back.
        """
        bridge = STDLibLogObserver()
        globalLogPublisher.addObserver(bridge)
        self.addCleanup(globalLogPublisher.removeObserver, bridge)
        self.assertEqual(len(self.says("levels")), 6)

    def test_cleared(self) -> None:
        """
        Who clears the handlers of the root is without ours until the next change; the root's level is ours then.
        """
        self.assertEqual(self.says("force"), [])
        self.assertEqual(self.says("levels"), [])
        self.become(self.planned(2, version="1.1"))
        self.assertEqual(len(self.says("levels")), 6)

    def test_locks(self) -> None:
        """
        Nobody waits for who holds logging's lock, or logs something whose text does not come back.
        """
        held, free = threading.Event(), threading.Event()

        class Endless:
            def __str__(self) -> str:
                return str(held.set() or free.wait(60))

        thread = threading.Thread(target=logging.getLogger().warning, args=(Endless(),))
        thread.start()
        held.wait(10)
        self.assertEqual(len(self.says("levels")), 6)
        free.set()
        thread.join(10)
        with self.lockedByAnother():
            began = time.monotonic()
            self.become(self.planned(2, "error"))
            self.become(self.planned(3, "debug"))
            self.worker._records.remove()
            self.become(self.planned(4, "error"))
            self.assertLess(time.monotonic() - began, 2)
        self.worker._records._placing.join(10)  # type: ignore[union-attr]
        self.assertEqual([text for _, _, text in self.says("levels")], ["at 40", "at 50", "at 60"])

    @contextmanager
    def lockedByAnother(self) -> Iterator[None]:
        """
        Another thread holds logging's lock.
        """
        held, free = threading.Event(), threading.Event()

        def hold() -> None:
            with logging._lock:  # type: ignore[attr-defined]
                held.set()
                free.wait(60)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(10)
        try:
            yield
        finally:
            free.set()
            thread.join(10)

    def test_oneHandler(self) -> None:
        """
        However many there were, one is in place; at the end there is none, and the level is what it was.
        """
        root = logging.getLogger()
        another = StdlibRecords(self.worker._culprits)
        another.adopt(self.config().logging)
        ours = [handler for handler in root.handlers if isinstance(handler, StdlibRecords)]
        self.assertEqual(ours, [another])
        another.remove()
        self.assertEqual((root.level, [each for each in root.handlers if isinstance(each, StdlibRecords)]),
                         (logging.WARNING, []))


class WarningTests(RecordCase):
    """
    What is warned of.
    """

    def hear(self) -> None:
        """
        Trial has put a function of its own there for each test, to collect warnings; ours takes its place.
        """
        self.others: list[Any] = []
        self.enterContext(warnings.catch_warnings())
        warnings.showwarning = lambda *told: self.others.append(told)  # type: ignore[assignment]
        warnings.simplefilter("always")
        self.worker.start()

    def test_once(self) -> None:
        """
        One line for each place of a version, whatever its text; the next version's is another place.
        """
        self.hear()
        self.assertEqual([(name, level) for name, level, _ in self.says("warn")], [("plugin.a", "warn")] * 2)
        texts = [formatEvent(event) for event in self.heard]
        self.assertRegex(texts[0], r"^UserWarning: number 0, at /nowhere/plugins/a/plugin\.py:\d+$")
        self.assertIn("FutureWarning: other", texts[1])
        self.assertEqual(self.says("warn"), [])
        self.become(self.planned(2, version="1.1"))
        self.assertEqual(len(self.says("warn")), 2)
        self.assertEqual(self.others, [])

    def test_others(self) -> None:
        """
        Those of other code go where they went before.
        """
        self.hear()
        self.heard.clear()
        warnings.warn("not a plugin's", stacklevel=1)
        warnings.showwarning("to a file", UserWarning, "plugin.py", 1, self.others)  # type: ignore[arg-type]
        self.assertEqual((len(self.others), self.heard), (2, []))

    def test_captured(self) -> None:
        """
        Where a plugin has `logging` capture them, they come as its records.
        """
        self.hear()
        ((name, level, text),) = self.says("captured")
        self.assertEqual((name, level), ("plugin.a", "warn"))
        self.assertIn("UserWarning: captured", text)


class LevelTests(RecordCase):
    """
    Levels between the levels.
    """

    def test_between(self) -> None:
        """
        A level of one's own is the one below it.
        """
        self.heard.clear()
        logging.getLogger("x").log(35, "between")
        self.assertEqual([event["log_level"] for event in self.heard], [LogLevel.warn])
