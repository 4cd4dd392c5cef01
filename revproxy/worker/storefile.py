"""
The file in which a plugin's values are kept: a SQLite database of one table, in WAL mode. Everything here blocks.

What was committed outlives the process, however it ends (after a power failure the last commits may be missing, and the
file is whole). Several processes may have it open at once.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from revproxy.store import MAX_KEYS, StoreError

BUSY = 5.0
"""Seconds that another process's transaction is waited for."""

JOURNAL = 1024 * 1024
"""Bytes that the write-ahead log keeps on disk once its content is in the database."""

_LARGE = 20
"""Pages that one value may take."""

_PARTS = ("", "-wal", "-shm")
_SCHEMA = "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"

Operation = Callable[[sqlite3.Connection], Any]
"""Something to do with the table, which gives its result."""


def getting(key: str) -> Operation:
    """The text of a value; None if there is none."""

    def get(connection: sqlite3.Connection) -> str | None:
        row = connection.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    return get


def setting(key: str, text: str) -> Operation:
    """Keep a text."""

    def set(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (key, text))

    return set


def deleting(key: str) -> Operation:
    """Whether there was one."""
    return lambda connection: connection.execute("DELETE FROM kept WHERE key = ?", (key,)).rowcount > 0


def listing(prefix: str) -> Operation:
    """The first keys that begin so."""
    query = "SELECT key FROM kept WHERE key >= ?1 AND substr(key, 1, length(?1)) = ?1 ORDER BY key LIMIT ?2"
    return lambda connection: [key for (key,) in connection.execute(query, (prefix, MAX_KEYS))]


class StoreFile:
    """
    One plugin's.

    :ivar quota: bytes that the database may have.
    :ivar isVolatile: whether there is no file, and what is kept lasts as long as the process.
    """

    def __init__(self, path: Path, quota: int, onEvent: Callable[[str, str], None]) -> None:
        """
        :param onEvent: told of a damaged file, and that there is none: a kind of event, and a text; in the thread.
        """
        self.quota = quota
        self.isVolatile = False
        self._path = path
        self._onEvent = onEvent
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def do(self, operations: Sequence[Operation]) -> list[Any]:
        """
        All of them, in one transaction.

        :returns: the result of each, or the `StoreError` it failed with; then the others were done all the same.
        """
        try:
            return self._together(operations)
        except sqlite3.Error as error:
            if _isDamage(error):
                self._setAside(error)
        return [self._alone(operation) for operation in operations]

    def close(self) -> None:
        """What was done is kept."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _together(self, operations: Sequence[Operation]) -> list[Any]:
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = [operation(connection) for operation in operations]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return results

    def _alone(self, operation: Operation) -> Any:
        try:
            return self._together([operation])[0]
        except sqlite3.Error as error:
            return StoreError(self._described(error))
        except OSError as error:
            return StoreError(f"{self._path}: {error.strerror or error}")

    def _described(self, error: sqlite3.Error) -> str:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            with suppress(sqlite3.Error):
                connection = self._opened()
                # As it is without what did not fit, which may have been a large value.
                used = connection.execute("PRAGMA page_count").fetchone()[0] + _LARGE
                if used >= connection.execute("PRAGMA max_page_count").fetchone()[0]:
                    return (f"{self._path.name} has its {self.quota} bytes (plugins.store_bytes): delete what is not "
                            "needed, or allow more")
            return f"{self._path}: the disk is full"
        return f"{self._path}: {error}"

    # The file

    def _opened(self) -> sqlite3.Connection:
        connection = self._connection
        if connection is None:
            connection = self._open()
        elif self.isVolatile or self._identity != _identityOf(self._path):
            connection = self._moved(connection)
        self._connection = connection
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {max(8, self.quota // size)}")
        return connection

    def _open(self) -> sqlite3.Connection:
        """The file; or, where there can be none, something in memory."""
        try:
            connection = self._openFile()
        except OSError as error:
            if not self.isVolatile:
                self.isVolatile = True
                text = f"{self._path}: cannot be opened: {error.strerror}; what is kept lasts until a restart"
                self._onEvent("plugin-store-volatile", text)
            return _prepared(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False))
        self.isVolatile = False
        return connection

    def _openFile(self) -> sqlite3.Connection:
        """:raises OSError: there can be none. The state folder itself is not ours to make."""
        with suppress(FileExistsError):
            os.mkdir(self._path.parent, 0o700)
        # SQLite gives its other files the mode of this one.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        connection = sqlite3.connect(self._path, BUSY, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {JOURNAL}")
            _prepared(connection).execute("SELECT 1 FROM kept LIMIT 1").fetchone()
        except BaseException:
            connection.close()
            raise
        self._identity = _identityOf(self._path)
        return connection

    def _moved(self, old: sqlite3.Connection) -> sqlite3.Connection:
        """
        There was no file, or it was taken away and what it had is in the connection yet: go on in a new one, if there
        can be one.
        """
        if self.isVolatile:
            try:
                new = self._openFile()
            except OSError:
                return old
            self.isVolatile = False
        else:
            new = self._open()
        try:
            if new.execute("SELECT 1 FROM kept LIMIT 1").fetchone() is None:
                old.backup(new)
        except sqlite3.Error:  # a full disk: it is tried again
            new.close()
            self.isVolatile = True
            return old
        old.close()
        return new

    def _setAside(self, error: sqlite3.Error) -> None:
        """A file that is damaged makes room for a new one; of several, the last is kept."""
        self.close()
        aside = f"{self._path}.damaged"
        try:
            for part in _PARTS:
                with suppress(FileNotFoundError):
                    os.replace(f"{self._path}{part}", f"{aside}{part}")
        except OSError as problem:
            self._onEvent("plugin-store-damaged", f"{self._path}: {error}; it cannot be put aside: {problem.strerror}")
            return
        self._onEvent("plugin-store-damaged", f"{self._path}: {error}; it is {aside} now, and an empty one is begun")


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute(_SCHEMA)
    return connection


def _isDamage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _identityOf(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
