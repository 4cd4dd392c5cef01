"""
What plugins keep, as they are given it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from revproxy.config.configfile import parseConfig
from revproxy.config.settings import Config
from revproxy.interfaces import IStore
from revproxy.loop.threads import Threads
from revproxy.plan.words import Notice
from revproxy.store import StoreError
from revproxy.worker.pluginstores import BATCH, MOST_WAITING, PluginStores


class ThreadDouble:
    """
    A thread that works when it is told to.

    :ivar sizes: of what it was given.
    """

    def __init__(self) -> None:
        self.jobs: list[Any] = []
        self.sizes: list[int] = []
        self.fails: BaseException | None = None

    def begin(self, onResult: Callable[[bool, Any], None], function: Callable[..., Any], *arguments: Any) -> None:
        """As that of `Threads`."""
        if self.fails is not None:
            raise self.fails
        self.sizes.append(len(arguments[0]))
        self.jobs.append((onResult, function, arguments))

    def work(self) -> None:
        """Until there is nothing to do."""
        while self.jobs:
            onResult, function, arguments = self.jobs.pop(0)
            try:
                result = function(*arguments)
            except Exception:
                onResult(False, Failure())
            else:
                onResult(True, result)


class ReactorDouble:
    """At once."""

    def callFromThread(self, function: Callable[..., Any], *arguments: Any) -> None:
        """As the reactor's."""
        function(*arguments)


class StoresCase(SynchronousTestCase):
    """
    Stores below a folder, and one thread for all.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "var").mkdir(parents=True)
        self.thread = ThreadDouble()
        self.told: list[Notice] = []
        self.stores = self.made()
        self.stores.open()

    def config(self, more: str = "") -> Config:
        """Whose state folder is there."""
        return parseConfig(f"listeners: [{{endpoint: 'tcp:1'}}]\nroutes: [{{respond: {{}}}}]\n{more}", "r", self.folder)

    def made(self) -> PluginStores:
        """As after a restart."""
        stores = PluginStores(ReactorDouble(), self.config(), self.told.append, lambda name: self.thread)
        self.addCleanup(lambda: [store.file.close() for store in stores._stores.values()])
        return stores

    def result(self, waiting: Deferred[Any]) -> Any:
        """Of what the thread does."""
        self.thread.work()
        return self.successResultOf(waiting)


class StoreTests(StoresCase):
    """
    One plugin's.
    """

    def test_interface(self) -> None:
        """
        It is what the interface says.
        """
        self.assertTrue(verifyObject(IStore, self.stores.of("a"), tentative=True))

    def test_values(self) -> None:
        """
        What JSON can hold is kept, by the plugin's name, over a restart; each plugin has its own.
        """
        store = self.stores.of("a")
        self.assertIs(self.stores.of("a"), store)
        value = {"used": [1, 2.5, None, True, "ü\U0001f600"], "": {}}
        self.assertIsNone(self.result(store.set("k", value)))
        for stores in (self.stores, self.made()):
            stores.open()
            self.assertEqual(self.result(stores.of("a").get("k")), value)
            self.assertIsNone(self.result(stores.of("b").get("k")))
        self.assertEqual(self.result(store.get("none", 5)), 5)
        self.result(store.set("null", None))
        self.assertIsNone(self.result(store.get("null", 5)))
        self.assertEqual(self.result(store.keys()), ["k", "null"])
        self.assertEqual(self.result(store.keys("n")), ["null"])
        self.assertEqual([self.result(store.delete("k")), self.result(store.delete("k"))], [True, False])
        self.assertTrue((self.folder / "var" / "store" / "a.sqlite").is_file())

    def test_wrong(self) -> None:
        """
        Keys and values that are none are refused at once.
        """
        store = self.stores.of("a")
        for key in ("", "k" * 257, "ä" * 129, "a\0b", "\udc80"):
            self.assertRaises(ValueError, store.get, key)
        self.assertRaises(TypeError, store.delete, b"k")
        for value in ("x" * 65535, float("nan"), "\udc80"):
            self.assertRaises(ValueError, store.set, "k", value)
        self.assertRaises(TypeError, store.set, "k", {"a": object()})
        loop: list[Any] = []
        loop.append(loop)
        self.assertRaises(ValueError, store.set, "k", loop)
        self.result(store.set("k", "x" * 65534))
        self.assertEqual(self.thread.sizes, [1])

    def test_together(self) -> None:
        """
        What comes while something is done is done together, in order; not too much at once.
        """
        store = self.stores.of("a")
        for number in range(3 * BATCH):
            store.set("k", number)
        self.assertEqual(self.result(store.get("k")), 3 * BATCH - 1)
        self.assertEqual(self.thread.sizes, [1, BATCH, BATCH, BATCH])

    def test_tooMany(self) -> None:
        """
        Where the disk does not answer, a bounded number waits; the next fails, and other plugins have their own.
        """
        store = self.stores.of("a")
        waiting = [store.set("k", number) for number in range(MOST_WAITING + 1)]
        failure = self.failureResultOf(store.set("k", 0), StoreError)
        self.assertIn("1000 operations wait already", failure.getErrorMessage())
        self.result(waiting[-1])
        self.result(store.set("k", 0))

    def test_notYet(self) -> None:
        """
        Nothing is touched before the state folder is ours.
        """
        stores = self.made()
        waiting = stores.of("a").set("k", 1)
        self.thread.work()
        self.assertNoResult(waiting)
        self.assertEqual(list((self.folder / "var").iterdir()), [])
        stores.open()
        self.assertIsNone(self.result(waiting))

    def test_noThread(self) -> None:
        """
        Where the system gives no thread, it fails, and the next is tried.
        """
        self.thread.fails = RuntimeError("can't start new thread")
        failure = self.failureResultOf(self.stores.of("a").get("k"), StoreError)
        self.assertIn("can't start new thread", failure.getErrorMessage())
        self.thread.fails = None
        self.assertIsNone(self.result(self.stores.of("a").get("k")))

    def test_cancelled(self) -> None:
        """
        Who does not wait any more is not told, and what was asked for is done.
        """
        store = self.stores.of("a")
        waiting = store.set("k", 1)
        waiting.cancel()
        waiting.addErrback(lambda failure: None)
        self.assertEqual(self.result(store.get("k")), 1)

    def test_quota(self) -> None:
        """
        The configuration says how much it may be, from its change on.
        """
        store = self.stores.of("a")
        self.stores.adopt(self.config("plugins: {store_bytes: 65536}\n"))
        waiting = [store.set(f"k{number}", "x" * 30000) for number in range(4)]
        self.thread.work()
        self.assertIn("plugins.store_bytes", self.failureResultOf(waiting[-1], StoreError).getErrorMessage())
        self.stores.adopt(self.config())
        self.assertIsNone(self.result(store.set("k9", "x" * 30000)))
        for each in waiting:
            each.addErrback(lambda failure: failure.trap(StoreError))

    def test_damaged(self) -> None:
        """
        A damaged file is told of, under the plugin's name.
        """
        (self.folder / "var" / "store").mkdir()
        (self.folder / "var" / "store" / "a.sqlite").write_bytes(b"x" * 5000)
        self.result(self.stores.of("a").set("k", 1))
        self.assertEqual([(word.kind, word.plugin) for word in self.told], [("plugin-store-damaged", "a")])


class ThreadTests(StoresCase):
    """
    In a real thread.
    """

    def test_real(self) -> None:
        """
        It is a daemon, one for each store.
        """
        results: list[Any] = []
        done = Threads("store", 1)
        stores = PluginStores(ReactorDouble(), self.config(), self.told.append, lambda name: done)
        stores.open()
        self.addCleanup(lambda: stores.of("a").file.close())
        event = threading.Event()
        store = stores.of("a")
        store.set("k", 1)
        store.get("k").addCallback(results.append).addCallback(lambda _: event.set())
        self.assertTrue(event.wait(30))
        self.assertEqual(results, [1])
