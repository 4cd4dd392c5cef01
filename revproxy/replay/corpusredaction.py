"""
Takes out of recorded requests what lets in: before they are written anywhere.

The value of a field, a cookie, a parameter or a member of JSON whose name is that of a secret is a *stand-in* from then
on, ``redacted-1f0c94ab77e2``: the same value has the same stand-in all through a recording, and no two recordings have
the same ones, for the key that they are made with is kept nowhere. So what a plugin tells apart stays apart. Whatever
stood there is looked for in all that was taken down of the request, and stood in for there, too: a plugin may have put
it into another field.

Where a plugin looks at a stand-in, it cannot do what it did: `revproxy.replay.watchedfields` tells of that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from revproxy.replay.recordedcall import HeaderPair
from revproxy.replay.recordedrequest import RecordedRequest
from revproxy.replay.redaction import HIDDEN
from revproxy.replay.redactionrules import STAND_IN, Redaction
from revproxy.replay.secretsearch import COOKIE, MEMBER, PARAMETER, SCHEME, SecretSearch
from revproxy.secrets import masked


def redacted(request: RecordedRequest, rules: Redaction) -> RecordedRequest:
    """
    The same request without what lets in.

    :raises NotRedacted: it would take too long.
    """
    search = SecretSearch(rules)
    search.learn(request)
    return _Without(rules, search).of(request)


class _Without:
    """One request with stand-ins."""

    def __init__(self, rules: Redaction, found: SecretSearch) -> None:
        self._rules = rules
        self._found = found
        # Most plugins leave the head as it was, and the target: each is looked at once.
        self._heads: dict[tuple[HeaderPair, ...], tuple[HeaderPair, ...]] = {}
        self._known: dict[Any, Any] = {}

    def of(self, request: RecordedRequest) -> RecordedRequest:
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
            value = COOKIE.sub(self._cookie(isWhole, name == "set-cookie"), value)
        elif self._rules.isSecret(name, HIDDEN):
            scheme = SCHEME.fullmatch(value.strip())
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
        changed = path + mark + PARAMETER.sub(self._parameter, query)
        return changed.decode("utf-8", "replace") if isinstance(target, str) else changed

    def _parameter(self, found: re.Match[bytes]) -> bytes:
        if not self._rules.isSecret(unquote_plus(found[1].decode("latin-1"))):
            return found[0]
        return found[1] + b"=" + self._exact(found[2])

    def _body(self, body: bytes | None) -> bytes | None:
        if not body:
            return body
        if body.lstrip()[:1] in (b"{", b"["):
            return MEMBER.sub(self._member, body)
        return PARAMETER.sub(self._parameter, body) if b"=" in body[:1024] else body

    def _member(self, found: re.Match[bytes]) -> bytes:
        if not self._rules.isSecret(found[1].decode("utf-8", "replace")):
            return found[0]
        isText = found[3][:1] == b'"'
        stood = b'"' + self._exact(found[3].strip(b'"')) + b'"' if isText else self._rules.numberFor(found[3])
        return b'"' + found[1] + b'"' + found[2] + stood

    def _exact(self, secret: bytes) -> bytes:
        """The stand-in of what is a secret as a whole."""
        if not secret or STAND_IN.fullmatch(secret):
            return secret
        known = self._found.secrets.get(secret)
        if known is not None:
            return known
        # Part of it has a stand-in already.
        return secret if STAND_IN.search(secret) else self._rules.standIn(secret)

    def _octets(self, octets: bytes) -> bytes:
        if self._found.pattern is not None:
            octets = self._found.pattern.sub(lambda found: self._found.secrets[found[0]], octets)
        hidden = masked(text := octets.decode("latin-1"))
        return hidden.encode("latin-1", "replace") if hidden != text else octets

    def _text(self, text: str) -> str:
        octets = text.encode("utf-8", "surrogatepass")
        if self._found.pattern is not None:
            octets = self._found.pattern.sub(lambda found: self._found.secrets[found[0]], octets)
        return masked(octets.decode("utf-8", "surrogatepass"))


__all__ = ["redacted"]
