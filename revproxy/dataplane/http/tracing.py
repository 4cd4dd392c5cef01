"""
The trace that a request belongs to (W3C Trace Context, Level 1): continued from whom we believe, or begun here.

A trace is kept as one value: the ``traceparent`` that the first target gets, ``00-TRACE-SPAN-FLAGS``; if the trace was
continued, ``-PARENT`` follows, the span of who called us. The last byte of SPAN is the number of the target, so the
spans of other targets (`traceparentOf`), and ours, which has 0 there (`ownOf`) and is what plugins see, need not be
remembered; and nothing is made of the value on the way of most requests.

Flags: *sampled* (01) is decided here for traces that begin here, by the trace's own random bits, and believed of those
who are believed at all; *random* (02, of Level 2) is on our own ids, and passed on; others are passed on as 0, as the
recommendation demands.

What untrusted peers say is dropped whole, tracestate too. So is what cannot be understood: then a trace begins here.
"""

from __future__ import annotations

from os import urandom
from typing import Literal

from revproxy.headers import Field

TRACEPARENT = b"traceparent"
TRACESTATE = b"tracestate"

TRACE_FIELDS = frozenset((TRACEPARENT, TRACESTATE))
"""Names of the fields that tell of a trace."""

LENGTH = 55
"""Bytes of a traceparent of version 00, and of the part of a trace that is one."""

_COMMON = 50
"""Bytes that all traceparents of a request have in common; and then the number."""

SAMPLED = 1
RANDOM = 2

Accept = Literal["trusted", "always", "never"]
"""Whose traces are continued."""

MOST_MEMBERS = 32
"""Of a tracestate; one with more is dropped, as §3.3.1.1 says."""

LONGEST_STATE = 512
"""Bytes of a tracestate that is passed on; of a longer one members go, as §3.3.1.5 says."""

_LONG_MEMBER = 128
"""Bytes from which on a member goes before others do."""

_BATCH = 64
"""Traces that are made at a time."""

_RANDOM = 23
"""Bytes of a trace that are random: its id, and the span but for its last byte."""

_HEX = b"0123456789abcdef"
_DASHES = b"---"
_NO_TRACE = b"0" * 32
_NO_SPAN = b"0" * 16
_FLAGS = tuple(b"%02x" % flags for flags in range(4))
_TARGETS = tuple(b"%02x" % number for number in (255, *range(1, 255)))


class Tracing:
    """
    Begins and continues traces.

    :ivar fresh: some that have not begun yet: whoever has nothing to continue, may take one without asking.
    """

    __slots__ = ("_accepts", "_least", "fresh")

    def __init__(self, accepts: Accept, share: float) -> None:
        """
        :param share: of the traces that begin here, how many are sampled, from 0 to 1.
        """
        self.fresh: list[bytes] = []
        self._accepts = accepts
        # OpenTelemetry's rule: the last 56 bits are compared, so all who sample by it agree on the same traces.
        self._least = b"%014x" % round((1 - share) * 2**56) if share > 0 else None

    def begin(self, said: list[Field] | None, isTrusted: bool, fields: list[Field]) -> bytes:
        """
        The trace of a request.

        :param said: fields of the client that tell of a trace; None if there are none.
        :param isTrusted: whether the peer is believed.
        :param fields: the others; the tracestate that goes on is added to these.
        """
        if not self.fresh:
            self.fresh = self._made()
        fresh = self.fresh.pop()
        if said is not None and (self._accepts == "always" or (isTrusted and self._accepts == "trusted")):
            before = _continued(said)
            if before is not None:
                fields += _passedOn(said)
                return b"%b%b%b%b" % (before[:36], fresh[36:53], before[53:], before[35:52])
        return fresh

    def _made(self) -> list[bytes]:
        """Some new traces: in one go, so that what they have in common is done once."""
        digits, least = urandom(_RANDOM * _BATCH).hex().encode(), self._least
        return [
            b"00-%b-%b01-%b" % (
                digits[at : at + 32],
                digits[at + 32 : at + 46],
                b"03" if least is not None and digits[at + 18 : at + 32] >= least else b"02",
            )
            for at in range(0, len(digits), 2 * _RANDOM)
        ]  # fmt: skip


def traceparentOf(trace: bytes, attempt: int) -> bytes:
    """
    What a target gets.

    :param attempt: which it is, counted from 1.
    """
    return b"%b%b%b" % (trace[:_COMMON], _TARGETS[attempt % 255], trace[52:LENGTH])


def ownOf(trace: bytes) -> bytes:
    """What plugins see: the edge's own span."""
    return b"%b00%b" % (trace[:_COMMON], trace[52:LENGTH])


def _continued(said: list[Field]) -> bytes | None:
    """
    The trace of a valid traceparent (§3.2.2), with the flags that we pass on; None if there is no such.
    """
    found = None
    for lower, _, value in said:
        if lower == TRACEPARENT:
            if found is not None:
                return None  # whom to believe?
            found = value
    if found is None:
        return None
    if len(found) != LENGTH:
        # A later version may have more behind it, and is read as far as we know it.
        if len(found) < LENGTH or found[:2] == b"00" or found[LENGTH : LENGTH + 1] != b"-":
            return None
        found = found[:LENGTH]
    dashes = found[2:3] + found[35:36] + found[52:53]
    if dashes != _DASHES or found.translate(None, _HEX) != _DASHES:
        return None
    if found[:2] == b"ff" or found[3:35] == _NO_TRACE or found[36:52] == _NO_SPAN:
        return None
    return b"00%b%b" % (found[2:53], _FLAGS[int(found[53:], 16) & (SAMPLED | RANDOM)])


def _passedOn(said: list[Field]) -> list[Field]:
    """
    The tracestate as it goes on (§3.3.1): in one field, and bounded; none if it is not what it must be.
    """
    values = [value for lower, _, value in said if lower == TRACESTATE]
    if not values:
        return []
    members = [member.strip(b" \t") for value in values for member in value.split(b",", MOST_MEMBERS)]
    members = [member for member in members if member]
    keys = {member.partition(b"=")[0] for member in members}
    if not members or len(members) > MOST_MEMBERS or len(keys) < len(members) or not all(map(_isMember, members)):
        return []
    state = b",".join(members)
    if len(state) > LONGEST_STATE:
        state = b",".join(_bounded(members))
    return [(TRACESTATE, TRACESTATE, state)] if state else []


def _isMember(member: bytes) -> bool:
    """Whether it is ``key=value`` in characters that are allowed; what the key means is the vendor's."""
    key, equals, value = member.partition(b"=")
    isKey = 0 < len(key) <= 256 and not key.translate(None, _KEY_OCTETS) and key[:1] not in (b"_", b"-", b"*", b"/")
    return isKey and bool(equals) and 0 < len(value) <= 256 and not value.translate(None, _VALUE_OCTETS)


_KEY_OCTETS = b"abcdefghijklmnopqrstuvwxyz0123456789_-*/@"
_VALUE_OCTETS = bytes(code for code in range(0x20, 0x7F) if code not in b",=")


def _bounded(members: list[bytes]) -> list[bytes]:
    """The long ones go first, then the last."""
    total = sum(map(len, members)) + len(members) - 1
    for member in [member for member in members if len(member) > _LONG_MEMBER]:
        if total <= LONGEST_STATE:
            return members
        members.remove(member)
        total -= len(member) + 1
    while members and total > LONGEST_STATE:
        total -= len(members.pop()) + 1
    return members
