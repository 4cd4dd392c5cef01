"""
In what two outcomes differ.

A difference has a field and a kind. Fields: ``verdict``, ``raised``, ``status``, ``header:NAME`` (of the answer),
``request:NAME`` (a header of the request), ``target``, ``host``, ``method``, ``upstream``, ``body`` (of the answer),
``request-body``, ``values.KEY``, ``fields.KEY``, ``rerouted``, ``informational``. Kinds: ``added``, ``removed``,
``changed``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from revproxy.replay.outcome import Outcome

Kind = Literal["added", "removed", "changed"]


class Difference(NamedTuple):
    """
    One of them.

    :ivar before: what it was in the first outcome, as text; ``after``: in the second. Not redacted.
    """

    field: str
    kind: Kind
    before: str = ""
    after: str = ""


def differences(before: Sequence[Outcome], after: Sequence[Outcome]) -> tuple[Difference, ...]:
    """In what the outcomes of the calls of one request differ from others, in order; each field once."""
    raise NotImplementedError
