"""
The small languages of ``plugins.rollout``: by what clients are told apart, who chooses a version, which differences
are meant.

Each function returns a value or raises `ValueError` with a message for the person who wrote it; `testersOf` notes it.
"""

from __future__ import annotations

from revproxy.config.problems import quoted, suggestion
from revproxy.config.rolloutpolicy import BY_ADDRESS, ClientKey, Expectation, Testers
from revproxy.config.section import Section
from revproxy.headers import EDGES_OWN, isToken
from revproxy.secrets import Secret

ARM_COOKIE = "revproxy_arm"
"""The name of the cookie that the edge issues by itself."""

LEAST_TOKEN = 16
"""Characters of a testers' token: nobody is to guess it."""

MOST_TOKEN = 512

_TAKEN = EDGES_OWN | {b"host", b"cookie", b"authorization", b"expect", b"range"}
"""Fields that mean something to others, and so choose no version."""

FIELDS = (
    "verdict", "raised", "status", "target", "host", "method", "upstream", "body", "request-body", "rerouted",
    "informational", "others",
)  # fmt: skip
"""What can be different of a call, beside `NAMED`."""

NAMED = ("header:", "request:", "values.", "fields.")
"""Those with a name of their own behind them."""

KINDS = ("added", "removed", "changed", "*")

_HOW = "write address, header:NAME, cookie:NAME, or cookie for one that the edge issues"


def clientKey(text: str) -> ClientKey:
    """By what clients are told apart: ``address``, ``header:NAME``, ``cookie:NAME`` or ``cookie``."""
    kind, colon, name = text.partition(":")
    if text == "address":
        return BY_ADDRESS
    if text == "cookie":
        return ClientKey("issued")
    if not colon or kind not in ("header", "cookie"):
        raise ValueError(f"{quoted(text)} tells no clients apart; {_HOW}")
    if not name.isascii() or not isToken(name.encode()):
        raise ValueError(f"{quoted(name)} is not the name of a {kind}; {_HOW}")
    if kind == "cookie":
        if name == ARM_COOKIE:
            raise ValueError(f"{name} is the cookie that the edge issues by itself: write by: cookie")
        return ClientKey("cookie", name)
    if name.lower() == "cookie":
        raise ValueError("all cookies together change with every visit; write cookie:NAME")
    if name.lower().encode() in EDGES_OWN:
        raise ValueError(f"{name} belongs to the connection and tells no clients apart; {_HOW}")
    return ClientKey("header", name)


def testersOf(section: Section) -> Testers | None:
    """
    Who chooses a version by a header. What is wrong is noted.

    :param section: ``testers``.
    """
    header = section.checked("header", _testersHeader, "")
    token = section.value.get("token")
    if isinstance(token, str) and not isinstance(token, Secret):
        section.refuse(
            "the token stands here in plain text, where whoever reads the file has it; write it into a file, and here "
            "{$file: PATH} or {$env: NAME}", "token"
        )  # fmt: skip
    elif isinstance(token, Secret):
        section.checked("token", _token, "")
    return Testers(header, token) if header and isinstance(token, Secret) else None


def _testersHeader(name: str) -> str:
    if not name.isascii() or not isToken(name.encode()):
        raise ValueError(f"{quoted(name)} is not the name of a header field; write X-Arm, or another of your own")
    if name.lower().encode() in _TAKEN:
        raise ValueError(f"{name} means something else already, and would be taken off requests; write X-Arm")
    return name


def _token(text: str) -> str:
    if not LEAST_TOKEN <= len(text) <= MOST_TOKEN:
        raise ValueError(
            f"the token has {len(text)} characters; it needs {LEAST_TOKEN} at least and {MOST_TOKEN} at most, as "
            "openssl rand -hex 16 makes them"
        )
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a token has visible ASCII characters and no space, as openssl rand -hex 16 makes them")
    return text


def expectation(text: str) -> Expectation:
    """
    A difference that is meant: ``FIELD``, or ``FIELD:KIND``. Both may be globs.

    Names of headers are taken in lower case, as differences have them.
    """
    field, colon, kind = text.rpartition(":")
    if not colon or kind not in KINDS or f"{field}:" in NAMED:
        field, kind = text, "*"
    if field.startswith(("header:", "request:")):
        field = field.lower()
        _, colon, said = field.partition(":")[2].partition(":")
        if colon:
            raise ValueError(f"{quoted(said)} is no kind of difference{suggestion(said, KINDS)}")
    start = field[: min((at for at in map(field.find, "*?[") if at >= 0), default=len(field))]
    isGlob = start != field
    if field in FIELDS or any(field.startswith(name) and field != name for name in NAMED):
        return Expectation(field, kind)
    if isGlob and any(each.startswith(start) for each in (*FIELDS, *NAMED)):
        return Expectation(field, kind)
    known = (*FIELDS, *(f"{name}NAME" for name in NAMED))
    hint = suggestion(field, known) or f"; there are {', '.join(known)}"
    raise ValueError(f"{quoted(field)} is nothing that calls can differ in{hint}")
