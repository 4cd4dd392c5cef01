"""
In what two outcomes differ.

A difference has a field and a kind. Fields: ``verdict``, ``raised``, ``status``, ``header:NAME`` (of the answer),
``request:NAME`` (a header of the request), ``target``, ``host``, ``method``, ``upstream``, ``body`` (of the answer),
``request-body``, ``values.KEY``, ``fields.KEY``, ``rerouted``, ``informational``; ``others`` are all further
ones where there are too many. Kinds: ``added``, ``removed``, ``changed``. Names of headers are in lower case.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

from revproxy.config.secretnames import withoutSecrets
from revproxy.errors import printable
from revproxy.headers import EDGES_OWN
from revproxy.replay.outcome import Outcome, Raised
from revproxy.replay.recordedcall import HeaderPair, RecordedResponse

Kind = Literal["added", "removed", "changed"]

LONGEST: Final = 200
"""Characters of what something was, or is, and of its field."""

MOST: Final = 1_000
"""Of the outcomes of one call; further ones are passed over."""

_VERDICTS: Final = {True: "go on", False: "stop"}


class Difference(NamedTuple):
    """
    One of them.

    :ivar before: what it was in the first outcome, as text; ``after``: in the second. Not redacted, but for members
        of values that have the names of secrets.
    """

    field: str
    kind: Kind
    before: str = ""
    after: str = ""


def differences(before: Sequence[Outcome], after: Sequence[Outcome]) -> tuple[Difference, ...]:
    """
    In what the outcomes of the calls of one request differ from others, in order; each field and kind once.

    Where one has stopped the request, what the other did with the answer is no difference besides.
    """
    found: dict[tuple[str, str], Difference] = {}
    for one, other in zip(before, after, strict=False):
        if one == other:
            continue
        for difference in islice(_between(one, other), MOST):
            found.setdefault(difference[:2], difference)
    return tuple(found.values())


def incomparable(outcomes: Sequence[Outcome]) -> str:
    """Why they cannot be held against others; empty: they can."""
    return next((outcome.incomparable for outcome in outcomes if outcome.incomparable), "")


def _between(one: Outcome, other: Outcome) -> Iterator[Difference]:
    if not _isSameRaise(one.raised, other.raised):
        yield _presence("raised", _raisedText(one.raised), _raisedText(other.raised))
    if one.raised is not None or other.raised is not None:
        return  # what else became of it is a consequence
    if one.verdict is not other.verdict:
        yield Difference("verdict", "changed", _verdictText(one), _verdictText(other))
    yield from _requests(one, other)
    yield from _answers(one.response, other.response, one.verdict is other.verdict)
    yield from _mappings("values.", one.values, other.values)
    yield from _mappings("fields.", one.fields, other.fields)


def _requests(one: Outcome, other: Outcome) -> Iterator[Difference]:
    yield from _headers("request:", one.headers, other.headers)
    for field in ("target", "host", "method"):
        mine, others = getattr(one, field), getattr(other, field)
        if mine != others:
            yield Difference(field, "changed", _text(mine), _text(others))
    if one.upstream != other.upstream:
        yield _presence("upstream", one.upstream, other.upstream)
    if one.bodyDigest != other.bodyDigest:
        yield _presence("request-body", _digestText(one.bodyDigest), _digestText(other.bodyDigest))
    if one.rerouted != other.rerouted:
        yield Difference("rerouted", "added" if other.rerouted else "removed")
    if one.informational != other.informational:
        yield _presence("informational", _list(one.informational), _list(other.informational))


def _answers(one: RecordedResponse | None, other: RecordedResponse | None, isSame: bool) -> Iterator[Difference]:
    """:param isSame: whether both let the request pass, or stop it: else that one has an answer is no news."""
    if one is None or other is None:
        if one is not other and isSame:
            yield Difference("status", "removed" if other is None else "added", _status(one), _status(other))
        return
    if one.status != other.status:
        yield Difference("status", "changed", str(one.status), str(other.status))
    yield from _headers("header:", one.headers, other.headers)
    if (one.body is None and not one.isWhole) or (other.body is None and not other.isWhole):
        return  # made piece by piece: what it is, nobody knows
    if (one.body, one.isWhole) != (other.body, other.isWhole):
        kind: Kind = "added" if one.body is None else "removed" if other.body is None else "changed"
        yield Difference("body", kind, _bodyText(one.body, other.body), _bodyText(other.body, one.body))


def _headers(prefix: str, one: tuple[HeaderPair, ...], other: tuple[HeaderPair, ...]) -> Iterator[Difference]:
    if one == other:
        return
    mine, others = _byName(one), _byName(other)
    for name in [*mine, *(name for name in others if name not in mine)]:
        before, after = mine.get(name), others.get(name)
        if before != after and name not in EDGES_OWN:
            field = prefix + name.decode("latin-1")
            yield _presence(field, _values(before), _values(after), before is None, after is None)


def _byName(pairs: tuple[HeaderPair, ...]) -> dict[bytes, list[bytes]]:
    names: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        names.setdefault(name.lower(), []).append(value)
    return names


def _mappings(prefix: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    if one == other:
        return
    for key in [*one, *(key for key in other if key not in one)]:
        isMissing, isGone = key not in one, key not in other
        if isMissing or isGone or one[key] != other[key]:
            before = "" if isMissing else _json(one[key])
            yield _presence(prefix + key, before, "" if isGone else _json(other[key]), isMissing, isGone)


def _presence(
    field: str, before: str, after: str, isMissing: bool | None = None, isGone: bool | None = None
) -> Difference:
    """:param isMissing: in the first, and ``isGone`` in the second; None: where its text is empty."""
    isMissing = not before if isMissing is None else isMissing
    isGone = not after if isGone is None else isGone
    # Plugins choose what fields are called; that is shown to people.
    name = field if field.isascii() and field.isprintable() and len(field) <= LONGEST else printable(field, LONGEST)
    return Difference(name, "added" if isMissing else "removed" if isGone else "changed", before, after)


def _isSameRaise(one: Raised | None, other: Raised | None) -> bool:
    """Of the same class, from the same line, or, as lines move with every edit, from the same function."""
    if one is None or other is None:
        return one is other
    return one.kind == other.kind and (
        one.where == other.where or (_file(one) == _file(other) and one.function == other.function != "")
    )


def _file(raised: Raised) -> str:
    return raised.where.rpartition(":")[0]


# As text


def _verdictText(outcome: Outcome) -> str:
    if outcome.verdict is False and outcome.response is not None:
        return f"stop, {outcome.response.status}"
    return _VERDICTS[outcome.verdict] if outcome.verdict is not None else "neither"


def _raisedText(raised: Raised | None) -> str:
    if raised is None:
        return ""
    where = f" at {raised.where}" if raised.where else ""
    return (f"{raised.kind}: {raised.message}{where}" if raised.message else f"{raised.kind}{where}")[:LONGEST]


def _status(response: RecordedResponse | None) -> str:
    return "" if response is None else str(response.status)


def _digestText(digest: str) -> str:
    return f"SHA-256 {digest[:16]}…" if digest else ""


def _list(items: tuple[int, ...]) -> str:
    return ", ".join(map(str, items))


def _values(values: list[bytes] | None) -> str:
    return "" if values is None else ", ".join(map(_text, values))[:LONGEST]


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")[:LONGEST]


def _json(value: Any) -> str:
    """Without secrets in it: cut, it is no JSON any more that could be looked through."""
    if isinstance(value, str):
        value = value[:LONGEST]
    try:
        return json.dumps(withoutSecrets(value), ensure_ascii=False)[:LONGEST]
    except (TypeError, ValueError):
        return repr(value)[:LONGEST]


def _bodyText(data: bytes | None, other: bytes | None) -> str:
    """Its length, and what it is from where the two part."""
    if data is None:
        return "as it came"
    at = 0 if other is None else next(
        (at for at, (mine, its) in enumerate(zip(data, other, strict=False)) if mine != its), min(len(data), len(other))
    )
    part = data[max(0, at - 8) : at + 40].decode("latin-1")
    return f"{len(data)} bytes, from {at}: {part!r}"
