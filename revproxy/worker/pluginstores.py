"""
What plugins keep over restarts, each in a file and a thread of its own: a slow disk, a damaged file or a plugin that
writes without end is nobody else's business. Nobody waits for these threads: not a command, not a swap, not the end.

A store belongs to a plugin's name. Its versions and instances share it, also during a swap.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from revproxy.config.settings import Config
from revproxy.loop.threads import Threads
from revproxy.plan.words import Notice
from revproxy.store import StoreError, checkedKey, encoded
from revproxy.worker.storefile import Operation, StoreFile, deleting, getting, listing, setting

MOST_WAITING = 1_000
"""Operations of one plugin that may wait; the next fails."""

BATCH = 200
"""Operations that are done in one transaction."""

_Waiting = tuple[Operation, "Deferred[Any]"]


class PluginStore:
    """
    One plugin's; provides `revproxy.interfaces.IStore`.

    Operations are done in the order in which they were asked for; those that came while others were done, together.
    """

    def __init__(self, name: str, file: StoreFile, callFromThread: Callable[..., Any], threads: Any) -> None:
        """
        :param threads: a `Threads` of one.
        """
        self.file = file
        self._name = name
        self._callFromThread = callFromThread
        self._threads = threads
        self._waiting: list[_Waiting] = []
        self._isBusy = True  # until it is opened

    def get(self, key: str, default: Any = None) -> Deferred[Any]:
        """As `IStore.get`."""

        def found(text: str | None) -> Any:
            return default if text is None else json.loads(text)

        return self._ask(getting(checkedKey(key))).addCallback(found)

    def set(self, key: str, value: Any) -> Deferred[None]:
        """As `IStore.set`."""
        key = checkedKey(key)
        return self._ask(setting(key, encoded(key, value)))

    def delete(self, key: str) -> Deferred[bool]:
        """As `IStore.delete`."""
        return self._ask(deleting(checkedKey(key)))

    def keys(self, prefix: str = "") -> Deferred[list[str]]:
        """As `IStore.keys`."""
        return self._ask(listing(checkedKey(prefix) if prefix else ""))

    def open(self) -> None:
        """What waits is done from now on."""
        self._isBusy = False
        self._next()

    def _ask(self, operation: Operation) -> Deferred[Any]:
        if len(self._waiting) >= MOST_WAITING:
            return fail(StoreError(f"store of plugin {self._name}: {MOST_WAITING} operations wait already"))
        # Who does not wait for it any more does not take it back.
        result: Deferred[Any] = Deferred()
        self._waiting.append((operation, result))
        self._next()
        return result

    def _next(self) -> None:
        if self._isBusy or not self._waiting:
            return
        self._isBusy = True
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        done = partial(self._callFromThread, self._done, batch)
        try:
            self._threads.begin(done, self.file.do, [operation for operation, _ in batch])
        except RuntimeError as error:  # the system gives no thread
            self._done(batch, False, Failure(error))

    def _done(self, batch: list[_Waiting], success: bool, results: Any) -> None:
        self._isBusy = False
        for number, (_, waiting) in enumerate(batch):
            result = results[number] if success else StoreError(f"store of plugin {self._name}: {results.value}")
            if isinstance(result, StoreError):
                waiting.errback(result)
            else:
                waiting.callback(result)
        self._next()


class PluginStores:
    """
    Those of a worker.
    """

    def __init__(
        self,
        reactor: Any,
        config: Config,
        tell: Callable[[Notice], None],
        makeThreads: Callable[[str], Any] = lambda name: Threads(name, 1),
    ) -> None:
        """
        :param reactor: in whose thread results arrive.
        :param config: says where they are, and how large.
        :param tell: takes what people may want to know.
        :param makeThreads: makes the thread of one store.
        """
        self._makeThreads = makeThreads
        self._reactor = reactor
        self._tell = tell
        self._folder = config.state / "store"
        self._quota = config.plugins.storeBytes
        self._stores: dict[str, PluginStore] = {}
        self._isOpen = False

    def of(self, name: str) -> PluginStore:
        """The store of a plugin, by its name; the same each time."""
        store = self._stores.get(name)
        if store is None:
            file = StoreFile(self._pathOf(name), self._quota, partial(self._says, name))
            threads = self._makeThreads(f"store of plugin {name}")
            store = self._stores[name] = PluginStore(name, file, self._reactor.callFromThread, threads)
            if self._isOpen:
                store.open()
        return store

    def open(self) -> None:
        """The state folder is ours by now, and the process is the one that stays."""
        self._isOpen = True
        for store in self._stores.values():
            store.open()

    def adopt(self, config: Config) -> None:
        """They may be so large from now on. The folder stays as it is while the edge runs."""
        self._quota = config.plugins.storeBytes
        for store in self._stores.values():
            store.file.quota = self._quota

    def _pathOf(self, name: str) -> Path:
        return self._folder / f"{name}.sqlite"

    def _says(self, name: str, kind: str, text: str) -> None:
        """In a store's thread."""
        self._reactor.callFromThread(self._tell, Notice(kind, text, name))
