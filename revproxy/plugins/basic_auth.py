"""
``basic-auth``: user names and passwords (RFC 7617), checked against hashes.

A good password hash takes long on purpose, so checking happens in threads of the plugin's own, never in the reactor's.
Three things keep that from being a way to bring the edge down: a bounded queue (503 when it is full), one check for
many requests with the same credentials, and a cache of credentials that were right. The cache knows credentials only
by a keyed digest, with a key that lives as long as the process.

An unknown user costs the same time as a known one: a hash is checked for it all the same, and the result thrown away.
"""

from __future__ import annotations

import os
import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from revproxy.context import Context, Headers
from revproxy.dropin import DropIn
from revproxy.durations import DURATION, parseDuration
from revproxy.headers import Field, isJoined
from revproxy.interfaces import IHost, IHosted, ILifecycle, IMiddleware
from revproxy.plugins._passwords import PasswordHash, UserTable, checkUser, parseUsers
from revproxy.regularfile import readFile

MAX_CREDENTIALS = 2048
"""Bytes of an Authorization value; longer ones are refused unread."""

FILE_LIMIT = 16 << 20
"""Bytes of a file of users: more than 100,000 of them."""


def decodeCredentials(value: bytes) -> tuple[bytes, bytes] | None:
    """User and password of an Authorization value, or None if it has none that are sound (RFC 7617 §2)."""
    scheme, _, encoded = value.partition(b" ")
    if scheme.lower() != b"basic" or len(value) > MAX_CREDENTIALS:
        return None
    try:
        decoded = b64decode(encoded.strip(b" "), validate=True)
    except Base64Error:
        return None
    user, colon, password = decoded.partition(b":")
    if not colon or any(octet < 0x20 or octet == 0x7F for octet in decoded):
        return None
    return user, password


class Remembered:
    """Credentials that were right, for some time; bounded, the least recently learnt go first."""

    def __init__(self, seconds: float, size: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._size = size
        self._now = clock
        self._users: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    def user(self, digest: bytes) -> str | None:
        """Whose they are, if they are remembered."""
        entry = self._users.get(digest)
        if entry is None:
            return None
        if entry[0] < self._now():
            del self._users[digest]
            return None
        return entry[1]

    def learn(self, digest: bytes, user: str) -> None:
        """Remember them from now on."""
        if self._seconds <= 0 or self._size <= 0:
            return
        self._users.pop(digest, None)
        if len(self._users) >= self._size:
            self._users.popitem(last=False)
        self._users[digest] = (self._now() + self._seconds, user)


class Busy(Exception):
    """Too many checks are waiting."""


class Verifier:
    """
    Checks credentials in threads.

    :param host: whose thread gets the results.
    :param limit: checks that may be under way or waiting.
    """

    def __init__(self, host: Any, pool: Any, users: UserTable, limit: int) -> None:
        self._host = host
        self._pool = pool
        self._users = users
        self._limit = limit
        self._waiting: dict[bytes, list[Deferred[str | None]]] = {}
        self._closed = False

    def verify(self, digest: bytes, user: bytes, password: bytes) -> Deferred[str | None]:
        """
        The user's name if the password is right, else None. Requests with the same credentials share one check;
        cancelling leaves it to the others.

        :raises Busy: if there are too many others (as a failure).
        """
        result: Deferred[str | None] = Deferred(lambda gone: self._forget(digest, gone))
        waiting = self._waiting.get(digest)
        if waiting is not None:
            waiting.append(result)
            return result
        if len(self._waiting) >= self._limit or self._closed:
            result.errback(Busy())
            return result
        self._waiting[digest] = [result]
        checking = deferToThreadPool(self._host, self._pool, self._check, user, password)
        checking.addBoth(self._done, digest)
        return result

    def close(self) -> None:
        """Check no more; what waits fails with :class:`Busy`."""
        self._closed = True

    def _check(self, user: bytes, password: bytes) -> str | None:
        # In a thread.
        if self._closed:
            raise Busy
        hash, name = self._users.find(user)
        right = hash.verify(password)
        return name if right else None

    def _done(self, result: str | Failure | None, digest: bytes) -> None:
        for waiting in self._waiting.pop(digest):
            if isinstance(result, Failure):
                waiting.errback(result)
            else:
                waiting.callback(result)

    def _forget(self, digest: bytes, gone: Deferred[str | None]) -> None:
        waiting = self._waiting.get(digest, [])
        if gone in waiting:
            waiting.remove(gone)


@implementer(IMiddleware, IHosted, ILifecycle)
class BasicAuth:
    """
    Lets those pass who know a password; answers 401 to others.

    :param makePool: makes the thread pool.
    """

    name = "basic-auth"

    def __init__(
        self,
        config: Mapping[str, Any],
        clock: Callable[[], float] = time.monotonic,
        makePool: Callable[[int], Any] = lambda size: ThreadPool(1, size, "basic-auth"),
    ) -> None:
        """
        Reads the file: here, so that a check of the configuration finds what is wrong with it.

        :raises ValueError: for hashes that cannot be used; says which, why, and what to do.
        :raises OSError: if the file cannot be read.
        """
        self._users = _usersOf(config)
        self._challenge = _challenge(config.get("realm", "restricted"))
        self._forward = bool(config.get("forward", False))
        name = config.get("user_header")
        self._userField: Field | None = None if name is None else Headers.of({name: ""}).fields[0]
        if self._userField is not None and isJoined(self._userField[0]):
            # A client's own field with hyphens, which the edge lets through, would be the same to them.
            raise ValueError(f"basic-auth: user_header: origins join {name!r} with other names; use hyphens")
        seconds, size = parseDuration(config.get("cache_seconds", 300)), int(config.get("cache_size", 10_000))
        self._remembered = Remembered(seconds, size, clock)
        self._threads = int(config.get("threads", 2))
        self._queue = int(config.get("queue", 64))
        self._key = os.urandom(32)
        self._host: IHost | None = None
        self._makePool = makePool
        self._pool: Any = None
        self._verifier: Verifier | None = None

    def attach(self, host: IHost) -> None:
        """Be told whose thread gets the results."""
        self._host = host

    def start(self) -> None:
        """Start the threads. :raises RuntimeError: if there was no `attach`."""
        if self._host is None:
            raise RuntimeError("basic-auth was not attached to a host")
        self._pool = self._makePool(self._threads)
        self._pool.start()
        self._verifier = Verifier(self._host, self._pool, self._users, self._queue)

    def stop(self) -> Deferred[None] | None:
        """End the threads; a check that is running ends first, those that wait are dropped."""
        if self._host is None or self._verifier is None or self._pool is None:
            return None
        self._verifier.close()
        pool, self._pool = self._pool, None
        # It waits for its threads, so another thread has to wait for it.
        return self._host.callInThread(pool.stop)

    def handle(self, context: Context) -> bool | Deferred[bool]:
        """Let pass, at once for credentials that are remembered; or answer 401, or 503 when too many wait."""
        value: bytes | None = None
        for lower, _, given in context.request.headers.fields:
            if lower == b"authorization":
                if value is not None:
                    return self._refuse(context)
                value = given
        if value is None:
            return self._refuse(context)
        digest = blake2b(value, key=self._key, digest_size=32).digest()
        user = self._remembered.user(digest)
        if user is not None:
            return self._pass(context, user)
        credentials = decodeCredentials(value)
        if credentials is None:
            return self._refuse(context)
        if self._verifier is None:
            raise RuntimeError("basic-auth was not started")
        checked = self._verifier.verify(digest, *credentials)
        return checked.addCallbacks(self._checked, self._failed, (context, digest), {}, (context,))

    def _checked(self, user: str | None, context: Context, digest: bytes) -> bool:
        if user is None:
            return self._refuse(context)
        self._remembered.learn(digest, user)
        return self._pass(context, user)

    def _failed(self, failure: Failure, context: Context) -> bool:
        failure.trap(Busy)
        return context.respond(503, "Too many logins at once. Try again.\n", {"Retry-After": "1"})

    def _pass(self, context: Context, user: str) -> bool:
        context.values["user"] = user
        headers = context.request.headers
        if not self._forward:
            headers.removeRaw(b"authorization")
        if self._userField is not None:
            # Set, not added: whatever the client claims to be is gone.
            headers.setRaw(self._userField[0], self._userField[1], user.encode())
        return True

    def _refuse(self, context: Context) -> bool:
        return context.respond(401, "A user name and password are needed.\n", {"WWW-Authenticate": self._challenge})


def _usersOf(config: Mapping[str, Any]) -> UserTable:
    allowSHA1 = bool(config.get("allow_sha1", False))
    users: dict[bytes, PasswordHash] = dict(
        checkUser(user, hash, f"basic-auth: users: {user}", allowSHA1)
        for user, hash in config.get("users", {}).items()
    )
    file: str | None = config.get("file")
    if file is not None:
        users.update(parseUsers(readFile(file, FILE_LIMIT).decode("utf-8"), file, allowSHA1))
    if not users:
        raise ValueError("basic-auth has no users: give users, or a file with users in it")
    return UserTable(users)


def _challenge(realm: str) -> str:
    if any(ord(char) < 0x20 or ord(char) > 0x7E for char in realm):
        raise ValueError(f"basic-auth: realm: {realm!r} has characters other than printable ASCII")
    quoted = realm.replace("\\", "\\\\").replace('"', '\\"')
    return f'Basic realm="{quoted}", charset="UTF-8"'


def _whole(description: str, least: int, most: int) -> dict[str, Any]:
    return {"description": description, "type": "integer", "minimum": least, "maximum": most}


basicAuth = DropIn(
    {
        "name": "basic-auth",
        "version": "1.0.0",
        "description": "User names and passwords, checked against bcrypt or argon2 hashes.",
        "priority": 50,
        "provides": ["auth"],
        "config": {"realm": "restricted", "forward": False},
        "limits": {"timeout_ms": 10_000},
        "required": True,
        "config_schema": {
            "type": "object",
            "additionalProperties": False,
            "anyOf": [{"required": ["users"]}, {"required": ["file"]}],
            "properties": {
                "users": {
                    "description": "User name to hash: $2b$… (htpasswd -B), $argon2id$…",
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": {"type": "string"},
                },
                "file": {
                    "description": "A file of lines user:hash, as htpasswd writes it; read at start.",
                    "type": "string",
                    "minLength": 1,
                },
                "realm": {"description": "What the browser's dialogue calls this place.", "type": "string"},
                "forward": {
                    "description": "Whether the origin gets the Authorization header.",
                    "type": "boolean",
                },
                "user_header": {
                    "description": "A header that tells the origin the user's name; a client's own is replaced.",
                    "type": "string",
                    "minLength": 1,
                },
                "cache_seconds": {
                    **DURATION,
                    "description": "For how long right credentials are remembered (default 5m; 0: never).",
                    "minimum": 0,
                },
                "cache_size": _whole("Credentials remembered at most (default 10000).", 0, 10_000_000),
                "threads": _whole("Threads that check passwords (default 2).", 1, 64),
                "queue": _whole("Checks under way or waiting before 503 is answered (default 64).", 1, 100_000),
                "allow_sha1": {
                    "description": "Whether {SHA} hashes are taken. They can be guessed by the billion per second.",
                    "type": "boolean",
                },
            },
        },
    },
    BasicAuth,
)
