"""
Looks for what lets in, in a recorded request: under the names of secrets, and in the forms in which it travels.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from revproxy.replay.outcome import Outcome
from revproxy.replay.recordedcall import HeaderPair, RecordedCall, RecordedResponse
from revproxy.replay.recordedrequest import RecordedRequest
from revproxy.replay.redaction import HIDDEN
from revproxy.replay.redactionrules import ADDRESSES, STAND_IN, Redaction

LEAST = 6
"""Characters of a secret that is looked for elsewhere."""

_MOST = 256
"""Secrets of one request that are looked for elsewhere."""

MEMBER = re.compile(rb'"((?:[^"\\]|\\.)*)"(\s*:\s*)("(?:[^"\\]|\\.)*(?:"|\\?\Z)|-?[0-9][0-9.eE+-]*)')
"""The value may be cut off by the end of what is kept."""

PARAMETER = re.compile(rb"(?:(?<=[?&])|\A)([^=&#?]+)=([^&#]*)")
COOKIE = re.compile(rb"(?:(?<=;)|\A)([^=;]+)=([^;]*)")
SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9-]*) +(.+)", re.DOTALL)
_ADDRESS = re.compile(
    rb"(?<![\w.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})(?![\w:])"
)

Secrets = dict[bytes, bytes]
"""Secrets, and their stand-ins."""


class NotRedacted(ValueError):
    """There are too many secrets in a request: it is not to be kept."""


class SecretSearch:
    """
    What there is to be taken out of one request.

    :ivar secrets: each with its stand-in; ``pattern`` finds those that are looked for elsewhere; None: there are none.
    """

    def __init__(self, rules: Redaction) -> None:
        self._rules = rules
        self.secrets: Secrets = {}
        self.pattern: re.Pattern[bytes] | None = None
        # Most plugins leave the head as it was, and the target: each is looked at once.
        self._learned: set[Any] = set()

    def learn(self, request: RecordedRequest) -> None:
        """
        Find all secrets in it.

        :raises NotRedacted: there are too many.
        """
        for call in request.calls:
            self._learnCall(call.call)
            self._learnOutcome(call.outcome)
        self._learnResponse(request.origin)
        long = sorted((secret for secret in self.secrets if len(secret) >= LEAST), key=len, reverse=True)
        if len(long) > _MOST:
            raise NotRedacted(f"it has {len(long)} secrets")
        self.pattern = re.compile(b"|".join(map(re.escape, long))) if long else None

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
                self._pairs(COOKIE, value)
            elif lower in ("referer", "location", "origin"):
                self._learnTarget(value)
            if self._rules.hidesClients and lower in ADDRESSES:
                for address in _ADDRESS.findall(value):
                    self._learnAddress(address)

    def _secretsIn(self, name: str, value: bytes) -> Iterator[bytes]:
        if name in ("cookie", "set-cookie"):
            pairs = COOKIE.findall(value)
            first = pairs[:1] if name == "set-cookie" else pairs
            kept = self._rules.kept
            yield from (each.strip() for label, each in first if label.decode("latin-1").strip().lower() not in kept)
            return
        scheme = SCHEME.fullmatch(value.strip())
        yield scheme[2] if scheme else value.strip()
        if scheme and scheme[1].lower() == b"basic":
            yield from _passwordIn(scheme[2])

    def _learnTarget(self, target: bytes) -> None:
        _, mark, query = target.partition(b"?")
        if mark:
            self._pairs(PARAMETER, query)

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
            for name, _, value in MEMBER.findall(body):
                if self._rules.isSecret(name.decode("utf-8", "replace")):
                    self._put(value.strip(b'"'), value[:1] != b'"')
            self._learnValue(_parsed(body))
        elif b"=" in body[:1024]:
            self._pairs(PARAMETER, body)

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
            self.secrets.setdefault(address, self._rules.address(address))

    def _put(self, secret: bytes, isNumber: bool = False) -> None:
        if secret and not STAND_IN.fullmatch(secret):
            standsFor = self._rules.numberFor if isNumber else self._rules.standIn
            self.secrets.setdefault(secret, standsFor(secret))


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


__all__ = ["COOKIE", "LEAST", "MEMBER", "PARAMETER", "SCHEME", "NotRedacted", "SecretSearch"]
