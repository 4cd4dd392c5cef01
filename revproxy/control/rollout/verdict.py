"""
What a judge says.
"""

from __future__ import annotations

from typing import Literal

import msgspec

VerdictKind = Literal["regression", "no-regression", "undecided", "no-traffic", "broken-measurement"]
"""
The candidate is worse; it is not, by as much as was asked for; nothing is shown yet; nobody came to one of the arms;
what was measured cannot be believed. The last two are never success.
"""


class Verdict(msgspec.Struct, frozen=True):
    """
    What a judge says.

    :ivar reason: in plain words, for people: what was seen, on how many clients, against what.
    :ivar family: that decided: one of `revproxy.plan.evidence.FAMILIES`, ``median``, ``fingerprint``, ``stall``,
        ``content``, ``pair-time``, ``leak``; empty: none did.
    :ivar odds: how much likelier what was seen is if the candidate is worse than if it is not; 0: no statistics.
    """

    kind: VerdictKind
    reason: str
    family: str = ""
    odds: float = 0.0
