"""
What is told of a request to whoever looks at differences: no value that is nobody's business.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_plus

from revproxy.config.secretnames import isSecretName, textWithout
from revproxy.replay.difference import Difference
from revproxy.replay.recordedcall import RecordedCall
from revproxy.secrets import MASK, masked

HIDDEN: Final = frozenset(
    (
        "authorization",
        "proxy-authorization",
        "authentication-info",
        "cookie",
        "set-cookie",
        "x-forwarded-client-cert",
        "x-amz-security-token",
    )
)
"""Header fields whose values let people in."""

PARAMETERS: Final = frozenset(("key", "sig", "signature", "auth", "code", "state", "session", "sid", "otp", "pin"))
"""Names of parameters in queries, forms and JSON, besides those that say that they are secrets."""

_QUERY = re.compile(r"(?<=[?&])([^=&#\s]+)=([^&#\s]*)")


def isHidden(name: str) -> bool:
    """Whether the value of a header field, in lower case, or of a key of this name is nobody's business."""
    return name in HIDDEN or isSecretName(name)


def shownTarget(target: str) -> str:
    """Path and query, or any text, without the values of what has the name of a secret in a query."""
    return textWithout(masked(_QUERY.sub(_parameter, target)))


def _parameter(found: re.Match[str]) -> str:
    name = unquote_plus(found[1]).strip()
    return f"{found[1]}={MASK}" if name.lower() in PARAMETERS or isSecretName(name) else found[0]


def shownDifference(difference: Difference) -> Difference:
    """The same, without what is nobody's business. Of bodies, which may have anything in them, the length is told."""
    field, kind, before, after = difference
    name = field.rpartition(":")[2] if ":" in field else field.rpartition(".")[2]
    if isHidden(name):
        return Difference(field, kind, MASK if before else "", MASK if after else "")
    if field == "body":
        return Difference(field, kind, before.partition(", from")[0], after.partition(", from")[0])
    return Difference(field, kind, shownTarget(before), shownTarget(after))


def shownRequest(call: RecordedCall) -> str:
    """A request in one line."""
    method, host = call.method.decode("latin-1"), call.host.decode("latin-1")
    return f"{method} {host}{shownTarget(call.target.decode('latin-1'))}"[:300]
