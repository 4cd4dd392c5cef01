"""
What people are shown of a difference: of which request it is, and what was and is, without what lets in.

By their names secrets are known in a head, a query, a body. Plugins put them elsewhere, too: what a request has of them
is looked for in all that is shown of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from revproxy.replay.difference import Difference
from revproxy.replay.outcome import Outcome
from revproxy.replay.recordedcall import RecordedCall
from revproxy.replay.recordedrequest import PluginCall, RecordedRequest
from revproxy.replay.redaction import shownDifference, shownRequest
from revproxy.replay.redactionrules import Redaction
from revproxy.replay.secretsearch import LEAST, NotRedacted, SecretSearch
from revproxy.secrets import MASK

_BEGINNING: Final = 32
"""Characters by which a longer secret is known: what is shown may be cut in its midst."""

_NOBODYS: Final = Redaction(b"-")
"""By what rules secrets are found; nothing is put in their place here."""


def exampleOf(difference: Difference, calls: Sequence[tuple[RecordedCall, Outcome]]) -> tuple[str, str, str]:
    """
    Request, before, after.

    :param calls: of the request, with what came of them: where its secrets are.
    """
    shown = shownDifference(difference)
    texts = shownRequest(calls[0][0]), shown.before, shown.after
    try:
        search = SecretSearch(_NOBODYS)
        search.learn(_requestOf(calls))
    except NotRedacted:
        return texts[0].partition("?")[0], MASK, MASK
    forms = [form for secret in search.secrets if len(secret) >= LEAST for form in _formsOf(secret)]
    if not forms:
        return texts
    pattern = re.compile("|".join(sorted(forms, key=len, reverse=True)))
    request, before, after = (pattern.sub(MASK, text) for text in texts)
    return request, before, after


def _requestOf(calls: Sequence[tuple[RecordedCall, Outcome]]) -> RecordedRequest:
    made = tuple(PluginCall("", "", "", call, outcome) for call, outcome in calls)
    return RecordedRequest("", 0.0, "", made, None, 0)


def _formsOf(secret: bytes) -> Iterator[str]:
    """As expressions: a head is read as latin-1, and values of plugins as UTF-8."""
    for encoding in ("latin-1", "utf-8"):
        text = secret.decode(encoding, "replace")
        yield re.escape(text) if len(text) <= _BEGINNING else re.escape(text[:_BEGINNING]) + r"[^\s\"']*"


__all__ = ["exampleOf"]
