"""
Takes out of recorded requests what lets in: before they are written anywhere.

The value of a field, a cookie, a parameter or a member of JSON whose name is that of a secret is a *stand-in* from then
on, ``redacted-1f0c94ab77e2``: the same value has the same stand-in all through a recording, and no two recordings have
the same ones, for the key that they are made with is kept nowhere. So what a plugin tells apart stays apart. Whatever
stood there is looked for in all that was taken down of the request, and stood in for there, too: a plugin may have put
it into another field.

Where a plugin looks at a stand-in, it cannot do what it did: `Redacted` knows that it was looked at.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import unquote_plus

import msgspec

from revproxy.config.secretnames import isSecretName
from revproxy.replay.outcome import Outcome
from revproxy.replay.recordedcall import HeaderPair, RecordedCall, RecordedResponse
from revproxy.replay.recordedrequest import RecordedRequest
from revproxy.replay.redaction import HIDDEN
from revproxy.secrets import masked

PARAMETERS: Final = frozenset(("key", "sig", "signature", "auth", "code", "state", "session", "sid", "otp", "pin"))
"""Names of parameters in queries, forms and JSON, besides those that say that they are secrets."""

ADDRESSES: Final = frozenset(("x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "cf-connecting-ip"))
"""Fields that have addresses of clients."""

_LEAST = 6
"""Characters of a secret that is looked for elsewhere."""

_MOST = 256
"""Secrets of one request that are looked for elsewhere."""

_NAMES = 4096
"""Names of which it is remembered whether they are secrets'."""

_STAND_IN = re.compile(rb"redacted-[0-9a-f]{12}")
_MEMBER = re.compile(rb'"((?:[^"\\]|\\.)*)"(\s*:\s*)("(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*)')
_PARAMETER = re.compile(rb"(?:(?<=[?&])|\A)([^=&#?]+)=([^&#]*)")
_COOKIE = re.compile(rb"(?:(?<=;)|\A)([^=;]+)=([^;]*)")
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9-]*) +(.+)", re.DOTALL)
_ADDRESS = re.compile(
    rb"(?<![\w.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})(?![\w:])"
)

_Values = dict[bytes, bytes]
"""Secrets, and their stand-ins."""


class NotRedacted(ValueError):
    """There are too many secrets in a request: it is not to be kept."""


class Redaction:
    """
    The rules of one recording.

    :ivar names: redacted besides, in lower case: of fields, cookies, parameters and members alike; ``kept``: not
        redacted, although the usual rules say so.
    :ivar hidesClients: whether addresses of clients have stand-ins: addresses that are nobody's.
    """

    def __init__(
        self, key: bytes, names: Iterable[str] = (), kept: Iterable[str] = (), hidesClients: bool = False
    ) -> None:
        """:param key: of the recording, and of nothing else."""
        self.names = frozenset(name.lower() for name in names)
        self.kept = frozenset(name.lower() for name in kept)
        self.hidesClients = hidesClients
        self._key = key
        self._known: dict[str, bool] = {}

    def of(self, request: RecordedRequest) -> RecordedRequest:
        """
        The same request without what lets in.

        :raises NotRedacted: it would take too long.
        """
        found = _Found(self)
        found.learn(request)
        return found.without(request)

    def isSecret(self, name: str, usual: frozenset[str] = PARAMETERS) -> bool:
        """Whether a value of this name is redacted."""
        if usual is not PARAMETERS:
            return self._isSecret(name, usual)
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _NAMES:
                self._known.clear()
            known = self._known[name] = self._isSecret(name, usual)
        return known

    def _isSecret(self, name: str, usual: frozenset[str]) -> bool:
        lower = name.strip().lower()
        if lower in self.kept:
            return False
        return lower in self.names or lower in usual or isSecretName(name.strip())

    def standIn(self, secret: bytes) -> bytes:
        """What stands for it."""
        return b"redacted-" + self._digest(secret).hex()[:12].encode()

    def numberFor(self, digits: bytes) -> bytes:
        """A number of as many digits."""
        number = int.from_bytes(self._digest(digits)) % 10 ** max(len(digits), 1)
        return str(number).zfill(len(digits)).replace("0", "1").encode()

    def address(self, address: bytes) -> bytes:
        """An address that is nobody's: of RFC 2544's range, or RFC 3849's."""
        digest = self._digest(address)
        if b":" in address:
            return b"2001:db8::" + digest[:2].hex().encode() + b":" + digest[2:4].hex().encode()
        return b"198.%d.%d.%d" % (18 + digest[0] % 2, digest[1], digest[2])

    def _digest(self, value: bytes) -> bytes:
        return blake2b(value, key=self._key, digest_size=12).digest()


class _Found:
    """What there is to be taken out of one request."""

    def __init__(self, rules: Redaction) -> None:
        self._rules = rules
        self._secrets: _Values = {}
        self._pattern: re.Pattern[bytes] | None = None
        # Most plugins leave the head as it was, and the target: each is looked at once.
        self._learned: set[Any] = set()
        self._heads: dict[tuple[HeaderPair, ...], tuple[HeaderPair, ...]] = {}
        self._known: dict[Any, Any] = {}

    # What there is

    def learn(self, request: RecordedRequest) -> None:
        """Find all secrets in it."""
        for call in request.calls:
            self._learnCall(call.call)
            self._learnOutcome(call.outcome)
        self._learnResponse(request.origin)
        long = sorted((secret for secret in self._secrets if len(secret) >= _LEAST), key=len, reverse=True)
        if len(long) > _MOST:
            raise NotRedacted(f"it has {len(long)} secrets")
        self._pattern = re.compile(b"|".join(map(re.escape, long))) if long else None

    def _learnCall(self, call: RecordedCall) -> None:
        if self._rules.hidesClients:
            self._learnAddress(call.peer[0].encode())
        self._learnTarget(call.target)
        self._learnHead(call.headers)
        self._learnBody(call.body)
        self._learnValue(call.values)
        self._learnResponse(call.response)
        for told in call.told:
            self._learnTarget(told.url.encode("utf-8", "surrogatepass"))
            self._learnHead(told.headers)
            self._learnBody(told.body)

    def _learnOutcome(self, outcome: Outcome) -> None:
        self._learnTarget(outcome.target)
        self._learnHead(outcome.headers)
        self._learnValue(outcome.values)
        self._learnValue(outcome.fields)
        self._learnResponse(outcome.response)

    def _learnResponse(self, response: RecordedResponse | None) -> None:
        if response is not None:
            self._learnHead(response.headers)
            self._learnBody(response.body)

    def _learnHead(self, headers: tuple[HeaderPair, ...]) -> None:
        if headers in self._learned:
            return
        self._learned.add(headers)
        for name, value in headers:
            lower = name.decode("latin-1").lower()
            if self._rules.isSecret(lower, HIDDEN):
                for secret in self._secretsIn(lower, value):
                    self._put(secret)
            elif lower in ("cookie", "set-cookie"):  # kept as a whole, but for those that are named
                self._pairs(_COOKIE, value)
            elif lower in ("referer", "location", "origin"):
                self._learnTarget(value)
            if self._rules.hidesClients and lower in ADDRESSES:
                for address in _ADDRESS.findall(value):
                    self._learnAddress(address)

    def _secretsIn(self, name: str, value: bytes) -> Iterator[bytes]:
        if name in ("cookie", "set-cookie"):
            pairs = _COOKIE.findall(value)
            first = pairs[:1] if name == "set-cookie" else pairs
            kept = self._rules.kept
            yield from (each.strip() for label, each in first if label.decode("latin-1").strip().lower() not in kept)
            return
        scheme = _SCHEME.fullmatch(value.strip())
        yield scheme[2] if scheme else value.strip()
        if scheme and scheme[1].lower() == b"basic":
            yield from _passwordIn(scheme[2])

    def _learnTarget(self, target: bytes) -> None:
        _, mark, query = target.partition(b"?")
        if mark:
            self._pairs(_PARAMETER, query)

    def _pairs(self, pattern: re.Pattern[bytes], text: bytes) -> None:
        for name, value in pattern.findall(text):
            if self._rules.isSecret(unquote_plus(name.decode("latin-1"))):
                self._put(value)

    def _learnBody(self, body: bytes | None) -> None:
        if not body or body in self._learned:
            return
        self._learned.add(body)
        start = body.lstrip()[:1]
        if start in (b"{", b"["):
            for name, _, value in _MEMBER.findall(body):
                if self._rules.isSecret(name.decode("utf-8", "replace")):
                    self._put(value.strip(b'"'), value[:1] != b'"')
            self._learnValue(_parsed(body))
        elif b"=" in body[:1024]:
            self._pairs(_PARAMETER, body)

    def _learnValue(self, value: Any, isSecret: bool = False, depth: int = 0) -> None:
        if depth > 40:
            return
        if isinstance(value, dict):
            for name, inner in value.items():
                self._learnValue(inner, isSecret or self._rules.isSecret(str(name)), depth + 1)
        elif isinstance(value, list | tuple):
            for inner in value:
                self._learnValue(inner, isSecret, depth + 1)
        elif isSecret and isinstance(value, str | int | float) and not isinstance(value, bool):
            self._put(str(value).encode("utf-8", "surrogatepass"), not isinstance(value, str))

    def _learnAddress(self, address: bytes) -> None:
        if address:
            self._secrets.setdefault(address, self._rules.address(address))

    def _put(self, secret: bytes, isNumber: bool = False) -> None:
        if secret and not _STAND_IN.fullmatch(secret):
            standsFor = self._rules.numberFor if isNumber else self._rules.standIn
            self._secrets.setdefault(secret, standsFor(secret))

    # The same without it

    def without(self, request: RecordedRequest) -> RecordedRequest:
        """The same request with stand-ins."""
        calls = []
        for call in request.calls:
            made = self._value(call.call)
            outcome = self._value(call.outcome)
            if made.body != call.call.body and outcome.bodyDigest:
                outcome = msgspec.structs.replace(outcome, incomparable="its body had what was redacted")
            calls.append(msgspec.structs.replace(call, call=made, outcome=outcome))
        return msgspec.structs.replace(
            request, calls=tuple(calls), origin=None if request.origin is None else self._value(request.origin)
        )

    def _value(self, value: Any) -> Any:
        """Of any kind that a record has, with all in it."""
        if isinstance(value, msgspec.Struct):
            changed: dict[str, Any] = {
                name: self._head(getattr(value, name)) if name == "headers" else self._value(getattr(value, name))
                for name in value.__struct_fields__
            }
            for name in ("target", "url"):
                if name in changed:
                    changed[name] = self._target(changed[name])
            if "body" in changed:
                changed["body"] = self._body(changed["body"])
            for name in ("values", "fields"):
                if name in changed:
                    changed[name] = self._named(changed[name])
            return type(value)(**changed)
        if isinstance(value, bytes | str):
            made = self._known.get(value)
            if made is None:
                made = self._octets(value) if isinstance(value, bytes) else self._text(value)
                self._known[value] = made
            return made
        if isinstance(value, dict):
            return {self._text(str(name)): self._value(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._value(inner) for inner in value)
        return value

    def _named(self, value: Any, isSecret: bool = False, depth: int = 0) -> Any:
        """Members under names of secrets, also short ones."""
        if depth > 40:
            return None
        if isinstance(value, dict):
            return {
                name: self._named(inner, isSecret or self._rules.isSecret(str(name)), depth + 1)
                for name, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._named(inner, isSecret, depth + 1) for inner in value]
        if isSecret and isinstance(value, str | int | float) and not isinstance(value, bool):
            return self._exact(str(value).encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
        return value

    def _head(self, headers: tuple[HeaderPair, ...]) -> tuple[HeaderPair, ...]:
        made = self._heads.get(headers)
        if made is None:
            made = self._heads[headers] = tuple(
                (name, self._field(name.decode("latin-1").lower(), value)) for name, value in headers
            )
        return made

    def _field(self, name: str, value: bytes) -> bytes:
        if name in ("cookie", "set-cookie"):
            isWhole = self._rules.isSecret(name, HIDDEN)
            value = _COOKIE.sub(self._cookie(isWhole, name == "set-cookie"), value)
        elif self._rules.isSecret(name, HIDDEN):
            scheme = _SCHEME.fullmatch(value.strip())
            return scheme[1] + b" " + self._exact(scheme[2]) if scheme else self._exact(value.strip())
        elif name in ("referer", "location", "origin"):
            value = self._target(value)
        return self._octets(value)

    def _cookie(self, isWhole: bool, isFirstOnly: bool) -> Callable[[re.Match[bytes]], bytes]:
        def stood(found: re.Match[bytes]) -> bytes:
            name = found[1].decode("latin-1").strip()
            isSecret = name.lower() not in self._rules.kept if isWhole else self._rules.isSecret(name)
            if not isSecret or (isFirstOnly and found.start() > 0):
                return found[0]
            return found[1] + b"=" + self._exact(found[2].strip())

        return stood

    def _target(self, target: Any) -> Any:
        octets = target.encode("utf-8", "surrogatepass") if isinstance(target, str) else target
        path, mark, query = octets.partition(b"?")
        if not mark:
            return target
        changed = path + mark + _PARAMETER.sub(self._parameter, query)
        return changed.decode("utf-8", "replace") if isinstance(target, str) else changed

    def _parameter(self, found: re.Match[bytes]) -> bytes:
        if not self._rules.isSecret(unquote_plus(found[1].decode("latin-1"))):
            return found[0]
        return found[1] + b"=" + self._exact(found[2])

    def _body(self, body: bytes | None) -> bytes | None:
        if not body:
            return body
        if body.lstrip()[:1] in (b"{", b"["):
            return _MEMBER.sub(self._member, body)
        return _PARAMETER.sub(self._parameter, body) if b"=" in body[:1024] else body

    def _member(self, found: re.Match[bytes]) -> bytes:
        if not self._rules.isSecret(found[1].decode("utf-8", "replace")):
            return found[0]
        isText = found[3][:1] == b'"'
        stood = b'"' + self._exact(found[3].strip(b'"')) + b'"' if isText else self._rules.numberFor(found[3])
        return b'"' + found[1] + b'"' + found[2] + stood

    def _exact(self, secret: bytes) -> bytes:
        """The stand-in of what is a secret as a whole."""
        if not secret or _STAND_IN.fullmatch(secret):
            return secret
        known = self._secrets.get(secret)
        if known is not None:
            return known
        # Part of it has a stand-in already.
        return secret if _STAND_IN.search(secret) else self._rules.standIn(secret)

    def _octets(self, octets: bytes) -> bytes:
        if self._pattern is not None:
            octets = self._pattern.sub(lambda found: self._secrets[found[0]], octets)
        hidden = masked(text := octets.decode("latin-1"))
        return hidden.encode("latin-1", "replace") if hidden != text else octets

    def _text(self, text: str) -> str:
        octets = text.encode("utf-8", "surrogatepass")
        if self._pattern is not None:
            octets = self._pattern.sub(lambda found: self._secrets[found[0]], octets)
        return masked(octets.decode("utf-8", "surrogatepass"))


class Redacted(bytes):
    """
    The value of a field that has a stand-in.

    :ivar seen: is told the name of the field when somebody looks at it.
    """

    name: str
    seen: Callable[[str], None]

    def decode(self, *arguments: Any, **named: Any) -> str:
        """As of `bytes`: what plugins get is decoded."""
        self.seen(self.name)
        return super().decode(*arguments, **named)

    def rstrip(self, *arguments: Any) -> bytes:
        """As of `bytes`: that of the first field of a name is."""
        self.seen(self.name)
        return super().rstrip(*arguments)


def watched(headers: Iterable[HeaderPair], seen: Callable[[str], None]) -> tuple[HeaderPair, ...]:
    """
    The same fields; of those whose values have stand-ins it is told when they are looked at.

    :param seen: called with the name of the field.
    """

    def value(name: bytes, octets: bytes) -> bytes:
        if not _STAND_IN.search(octets):
            return octets
        redacted = Redacted(octets)
        redacted.name, redacted.seen = name.decode("latin-1").lower(), seen
        return redacted

    return tuple((name, value(name, octets)) for name, octets in headers)


def _passwordIn(credentials: bytes) -> Iterator[bytes]:
    try:
        _, colon, password = b64decode(credentials).partition(b":")
    except (binascii.Error, ValueError):
        return
    if colon:
        yield password


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


__all__ = ["ADDRESSES", "PARAMETERS", "NotRedacted", "Redacted", "Redaction", "watched"]
