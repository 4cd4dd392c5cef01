"""
What a plugin keeps, in tests of plugins.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from revproxy.host import Host
from revproxy.interfaces import IStore
from revproxy.store import BookedStore, MemoryStore
from revproxy.testing import HostDouble


class MemoryStoreTests(SynchronousTestCase):
    """
    That of a host in a test.
    """

    def setUp(self) -> None:
        self.store: Any = HostDouble().store

    def test_interfaces(self) -> None:
        """
        It is what the interface says.
        """
        for store in (MemoryStore(), self.store):
            self.assertTrue(verifyObject(IStore, store, tentative=True))

    def test_values(self) -> None:
        """
        Values are copies, as they are after a restart.
        """
        value = {"used": [1, 2]}
        self.successResultOf(self.store.set("b", value))
        value["used"].append(3)
        self.successResultOf(self.store.set("a/b", 5))
        self.assertEqual(self.successResultOf(self.store.get("b")), {"used": [1, 2]})
        self.assertEqual(self.successResultOf(self.store.get("none", 7)), 7)
        self.assertEqual(self.successResultOf(self.store.keys()), ["a/b", "b"])
        self.assertEqual(self.successResultOf(self.store.keys("a/")), ["a/b"])
        self.assertEqual([self.successResultOf(self.store.delete("b")) for _ in range(2)], [True, False])

    def test_wrong(self) -> None:
        """
        What the edge does not take, it does not take either.
        """
        self.assertRaises(TypeError, self.store.set, "k", {1, 2})
        self.assertRaises(ValueError, self.store.set, "k", "x" * 70_000)
        self.assertRaises(ValueError, self.store.get, "")
        self.assertRaises(ValueError, self.store.keys, "x" * 300)

    def test_restart(self) -> None:
        """
        Another host goes on with it.
        """
        first = HostDouble()
        self.successResultOf(first.store.set("k", 1))
        second = HostDouble(storeDouble=first.storeDouble)
        self.assertEqual(self.successResultOf(second.store.get("k")), 1)
        self.assertIsNone(self.successResultOf(HostDouble().store.get("k")))


class BookedStoreTests(SynchronousTestCase):
    """
    What an instance waits for ends with it.
    """

    def test_ends(self) -> None:
        """
        At the end of the instance it is cancelled; after it nothing is asked for.
        """
        forever: Deferred[Any] = Deferred()

        class Slow:
            def get(self, key: str, default: Any) -> Deferred[Any]:
                return forever

        host = HostDouble()
        store = BookedStore(Slow(), host)
        waiting = store.get("k")
        failed: list[Any] = []
        waiting.addErrback(failed.append)
        self.assertEqual(host.pending(), {"store get": 1})
        self.assertEqual(self.successResultOf(host.close()), ["1 × store get"])
        failed[0].trap(CancelledError)
        self.assertRaises(RuntimeError, store.get, "k")

    def test_lazy(self) -> None:
        """
        The store is made when it is asked for.
        """
        made: list[int] = []
        host = Host(HostDouble().clock, "p", "1", object, makeStore=lambda: made.append(1) or MemoryStore())
        self.assertEqual(made, [])
        self.assertIs(host.store, host.store)
        self.assertEqual(made, [1])
