"""
Which clients meet a version on trial.

A keyed hash of what tells a client apart puts it into one of :data:`BUCKETS` buckets, and some of those are the new
version's. Nothing of Python's ``hash()`` is in it: that is another one after each restart.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from hmac import compare_digest
from socket import AF_INET6, inet_pton
from typing import Final

from revproxy.messages import Request

BUCKETS: Final = 4096

MOST_KNOWN: Final = 32_768
"""Clients whose bucket is remembered, for each draw; when there are more, it begins anew."""

LONGEST_KNOWN: Final = 256
"""Bytes of a header or cookie from which on its bucket is worked out each time: clients choose how long they are."""

_MAPPED: Final = bytes(10) + b"\xff\xff"


class Standing:
    """
    Where a client stands in one trial.

    :ivar bucket: 0 to :data:`BUCKETS` - 1.
    :ivar isCandidate: whether the new version serves it.
    :ivar isTester: whether it has chosen what serves it, in this trial or another.
    :ivar isChosen: whether in this one.
    :ivar lacksCookie: whether it is to get the edge's own cookie.
    """

    __slots__ = ("bucket", "isCandidate", "isChosen", "isTester", "lacksCookie")

    def __init__(self, bucket: int, isCandidate: bool, lacksCookie: bool = False) -> None:
        self.bucket = bucket
        self.isCandidate = isCandidate
        self.isTester = self.isChosen = False
        self.lacksCookie = lacksCookie

    def __repr__(self) -> str:
        return f"<Standing {self.bucket} {'candidate' if self.isCandidate else 'running'}>"

    def ofTester(self, choice: bool | None = None) -> Standing:
        """
        The same one, of somebody who chooses.

        :param choice: whether the new version, in this trial; None: in another.
        """
        standing = Standing(self.bucket, self.isCandidate if choice is None else choice)
        standing.isTester, standing.isChosen = True, choice is not None
        return standing


class TestersHeader:
    """
    The header by which people choose a version for themselves: ``TOKEN candidate`` or ``TOKEN running``.

    :ivar name: in lower case.
    """

    __slots__ = ("_token", "name")

    def __init__(self, name: bytes, token: bytes) -> None:
        self.name = name.lower()
        self._token = token

    def choice(self, request: Request) -> bool | None:
        """Whether the new version is wanted; None: nothing is, or the token is wrong."""
        value = request._headers.find(self.name)
        if value is None:
            return None
        token, _, arm = value.strip().rpartition(b" ")
        # Compared in any case: how long that takes tells nothing.
        isRight = compare_digest(token.strip(), self._token)
        return arm.lower() == b"candidate" if isRight and arm.lower() in (b"candidate", b"running") else None


class Draw:
    """
    One trial's draw: by the client's address, or what ``keyOf`` finds.

    :ivar id: of the trial.
    :ivar name: of what is on trial, for people.
    :ivar testers: by what people choose; None: they do not.
    """

    __slots__ = ("_canary", "_keyOf", "_known", "_salt", "id", "name", "testers")

    def __init__(
        self,
        id: str,
        salt: bytes,
        canary: bytes,
        keyOf: Callable[[Request], bytes | None] | None = None,
        testers: TestersHeader | None = None,
        name: str = "",
    ) -> None:
        """
        :param salt: what the hash is keyed with: 16 to 64 bytes.
        :param canary: a bit for each bucket (bit ``b % 8`` of byte ``b // 8``): whether the new version serves it.
        :param keyOf: what tells a request's client apart; where it finds nothing, and if left out, the address does.
        """
        self.id = id
        self.name = name
        self.testers = testers
        self._salt = salt
        self._canary = canary
        self._keyOf = keyOf
        self._known: dict[bytes | str, Standing] = {}

    def standingOf(self, request: Request) -> Standing:
        """Where the client of a request stands, whatever testers say."""
        key = None if self._keyOf is None else self._keyOf(request)
        standing = self._known.get(key or request._peer.host)
        if standing is not None:
            return standing
        if not key:
            return self.byAddress(request._peer.host)
        return self._remember(key, self._at(self.bucketOf(b"k" + key)))

    def byAddress(self, host: str) -> Standing:
        """Where a client of this address stands that is not told apart otherwise."""
        standing = self._known.get(host)
        return self._remember(host, self._at(self.bucketOf(addressKey(host)))) if standing is None else standing

    def bucketOf(self, key: bytes) -> int:
        """The bucket of what tells a client apart."""
        return int.from_bytes(blake2b(key, key=self._salt, digest_size=2).digest(), "big") % BUCKETS

    def _at(self, bucket: int) -> Standing:
        return Standing(bucket, bool(self._canary[bucket >> 3] >> (bucket & 7) & 1))

    def _remember(self, key: bytes | str, standing: Standing) -> Standing:
        known = self._known
        if len(known) >= MOST_KNOWN:
            known.clear()
        if len(key) <= LONGEST_KNOWN:
            known[key] = standing
        return standing


def addressKey(host: str) -> bytes:
    """
    What an address is hashed as. Of IPv6 the first half: the other one, clients change every few hours by themselves.
    """
    if ":" not in host:
        return b"a" + host.encode("utf-8", "replace")
    try:
        packed = inet_pton(AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):
        return b"a" + host.encode("utf-8", "replace")
    if packed.startswith(_MAPPED):
        return b"a%d.%d.%d.%d" % tuple(packed[12:])
    return b"6" + packed[:8]


def headerKey(name: bytes) -> Callable[[Request], bytes | None]:
    """Clients are told apart by a header."""
    lower = name.lower()
    return lambda request: request._headers.find(lower)


def cookieKey(name: bytes) -> Callable[[Request], bytes | None]:
    """Clients are told apart by a cookie that somebody else sets."""
    wanted = name + b"="
    return lambda request: cookieIn(request, wanted)


def cookieIn(request: Request, wanted: bytes) -> bytes | None:
    """
    The first cookie of a name that a request has (RFC 6265 §5.4), as it is on the wire; None: there is none.

    :param wanted: the name, and ``=``.
    """
    for lower, _, value in request._headers.fields:
        if lower == b"cookie":
            at = value.find(wanted)
            while at >= 0:
                if at == 0 or value[:at].rstrip(b" \t")[-1:] in (b"", b";"):
                    end = value.find(b";", at)
                    begin = at + len(wanted)
                    return (value[begin:] if end < 0 else value[begin:end]).rstrip(b" \t")
                at = value.find(wanted, at + 1)
    return None
