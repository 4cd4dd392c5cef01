"""
The edge's own cookie by which clients stay with a version: ``revproxy_arm``.

It is given to the clients of both versions, for the share of one that gives it to its own only would grow until all of
them have it. In it is, for each trial that draws by it, the bucket that the client's address had when it came first,
signed: nobody chooses a version by writing a cookie. Who does not send it back is told by address each time, and stays
where the address belongs.

::

    base64url( 1 | tag(4) bucket(2) mac(10) | tag(4) bucket(2) mac(10) … )
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from hmac import compare_digest
from typing import Any, Final

from zope.interface import implementer

from revproxy.dataplane.draw import BUCKETS, Draw, Standing, TestersHeader, cookieIn
from revproxy.dataplane.http.interfaces import IClientStream
from revproxy.dataplane.http.sharedcaches import mayKeep
from revproxy.headers import Headers
from revproxy.messages import Request, Response

COOKIE: Final = b"revproxy_arm"

_WANTED: Final = COOKIE + b"="

SECONDS: Final = 30 * 86400
"""How long clients keep it; a rollout is over by then, and what is left of it means nothing."""

_VERSION: Final = b"\x01"
_TAG, _BUCKET, _MAC = 4, 2, 10
_ENTRY: Final = _TAG + _BUCKET + _MAC
_LONGEST: Final = 256
"""Characters of a cookie that is looked at: a dozen trials."""


class IssuedDraw(Draw):
    """A draw by the edge's own cookie."""

    __slots__ = ("_key", "_tag")

    def __init__(
        self,
        id: str,
        salt: bytes,
        canary: bytes,
        key: bytes,
        testers: TestersHeader | None = None,
        name: str = "",
    ) -> None:
        """:param key: what its part of cookies is signed with: 16 to 64 bytes."""
        super().__init__(id, salt, canary, None, testers, name)
        self._key = key
        self._tag = blake2b(id.encode(), digest_size=_TAG).digest()

    def standingOf(self, request: Request) -> Standing:
        """As :meth:`Draw.standingOf`: by the cookie, or else by address."""
        cookie = cookieIn(request, _WANTED)
        if cookie is not None:
            standing = self._known.get(cookie)
            if standing is not None:
                return standing
            bucket = self._bucketIn(cookie)
            if bucket is not None:
                return self._remember(cookie, self._at(bucket))
        standing = self.byAddress(request._peer.host)
        return Standing(standing.bucket, standing.isCandidate, lacksCookie=True)

    def entry(self, bucket: int) -> bytes:
        """What a cookie has of this trial."""
        body = self._tag + bucket.to_bytes(_BUCKET, "big")
        return body + blake2b(body, key=self._key, digest_size=_MAC, person=b"revproxy-arm").digest()

    def _bucketIn(self, cookie: bytes) -> int | None:
        """None: there is none of this trial, or somebody else has written it."""
        if len(cookie) > _LONGEST:
            return None
        try:
            data = urlsafe_b64decode(cookie + b"=" * (-len(cookie) % 4))
        except ValueError:
            return None
        if data[:1] != _VERSION:
            return None
        for at in range(1, len(data) - _ENTRY + 1, _ENTRY):
            entry = data[at : at + _ENTRY]
            if entry.startswith(self._tag):
                bucket = int.from_bytes(entry[_TAG : _TAG + _BUCKET], "big")
                return bucket if bucket < BUCKETS and compare_digest(entry, self.entry(bucket)) else None
        return None


class Issuer:
    """
    Gives clients their cookie.
    """

    __slots__ = ("_draws",)

    def __init__(self, draws: Iterable[IssuedDraw]) -> None:
        """:param draws: all of a generation, not only those of one route: there is one cookie for all of them."""
        self._draws: Sequence[IssuedDraw] = tuple(draws)

    def cookieFor(self, request: Request) -> bytes:
        """The field's value for the client of a request."""
        entries = [draw.entry(draw.standingOf(request).bucket) for draw in self._draws]
        value = urlsafe_b64encode(b"".join((_VERSION, *entries))).rstrip(b"=")
        secure = b"; Secure" if request._scheme == "https" else b""
        return b"%b=%b; Path=/; Max-Age=%d%b; HttpOnly; SameSite=Lax" % (COOKIE, value, SECONDS, secure)

    def through(self, request: Request) -> Callable[[Any], IssuingStream]:
        """What puts the cookie of a request's client into the answer that a stream is given."""
        cookie = self.cookieFor(request)
        return lambda stream: IssuingStream(stream, request, cookie)


@implementer(IClientStream)
class IssuingStream:
    """
    A client's side of an exchange that gives it a cookie with the answer, if no shared cache may keep that.
    """

    __slots__ = ("_cookie", "_request", "_stream")

    def __init__(self, stream: Any, request: Request, cookie: bytes) -> None:
        self._stream = stream
        self._request = request
        self._cookie = cookie

    @property
    def hasSent(self) -> bool:
        """As the stream's own."""
        return bool(self._stream.hasSent)

    def sendInformational(self, status: int, headers: Headers) -> None:
        """Passed on as it is."""
        self._stream.sendInformational(status, headers)

    def sendResponse(self, response: Response) -> None:
        """With the cookie, unless others might get it from a cache."""
        if not mayKeep(self._request, response):
            # Into fields of its own: a plugin may answer others with these, too.
            response._headers = Headers([*response._headers.fields, (b"set-cookie", b"Set-Cookie", self._cookie)])
        self._stream.sendResponse(response)

    def switchProtocols(self, response: Response, tunnel: Any) -> None:
        """Passed on as it is."""
        self._stream.switchProtocols(response, tunnel)

    def abort(self) -> None:
        """Passed on."""
        self._stream.abort()
