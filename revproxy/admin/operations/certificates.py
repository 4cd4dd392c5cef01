"""
Certificates of listeners: for whom they are, and how long they last.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Call, Operation
from revproxy.admin.role import Role
from revproxy.admin.shapes import FLAG, NUMBER, TEXT, TIME, items, optional, record
from revproxy.control.control import Control
from revproxy.plan.words import CertificateFacts, CertificateState

_TEXTS = {"type": "array", "items": TEXT}

CERTIFICATE = record(
    file=TEXT,
    names={**_TEXTS, "description": "The hosts that it is for."},
    serves={**_TEXTS, "description": "The hosts that are shown it. None, and no default: it is not used."},
    is_default={**FLAG, "description": "Shown to clients that ask for no host, or for one that none is for."},
    is_used=FLAG,
    subject=TEXT,
    issuer=TEXT,
    chain={**_TEXTS, "description": "The subjects of the certificates behind it."},
    serial={**TEXT, "description": "In hexadecimal digits."},
    fingerprint={**TEXT, "description": "SHA-256, in hexadecimal digits."},
    not_before={**TIME, "description": "When all of the chain are valid, in seconds since the epoch."},
    not_after={**TIME, "description": "When the first of the chain ends, in seconds since the epoch."},
    days_left={**NUMBER, "description": "Less than nothing: it has expired."},
)

LISTENER = record(
    listener={**TEXT, "description": "Its endpoint."},
    place={**TEXT, "description": "The folder, or the file."},
    read_at={**TIME, "description": "When it was read last, as something had changed; seconds since the epoch."},
    problems={**_TEXTS, "description": "What could not be used then, each with its file."},
    is_kept={**FLAG, "description": "Whether nothing could be used, and what was there before serves on."},
    expires_at=optional({**TIME, "description": "When the first of them ends."}),
    certificates={"type": "array", "items": CERTIFICATE},
)


def certificateOperations(control: Control) -> tuple[Operation, ...]:
    """All about certificates."""
    times = control.certificates

    async def listeners(call: Call) -> Any:
        now = control.coordinator.now()
        return {"items": [
            _listener(state, times.readAt[endpoint], now) for endpoint, state in sorted(times.states.items())
        ]}  # fmt: skip

    return (
        Operation(
            "GET", "/certificates", Role.READ, "listCertificates", "The certificates of each listener.", listeners,
            answer=items(LISTENER),
        ),
    )  # fmt: skip


def _listener(state: CertificateState, readAt: float, now: float) -> dict[str, Any]:
    return {
        "listener": state.endpoint,
        "place": state.place,
        "read_at": readAt,
        "problems": list(state.problems),
        "is_kept": state.isKept,
        "expires_at": state.expires,
        "certificates": [_certificate(facts, now) for facts in state.certificates],
    }


def _certificate(facts: CertificateFacts, now: float) -> dict[str, Any]:
    return {
        "file": facts.path,
        "names": list(facts.names),
        "serves": list(facts.serves),
        "is_default": facts.isDefault,
        "is_used": bool(facts.serves) or facts.isDefault,
        "subject": facts.subject,
        "issuer": facts.issuer,
        "chain": list(facts.chain),
        "serial": facts.serial,
        "fingerprint": facts.fingerprint,
        "not_before": facts.begins,
        "not_after": facts.expires,
        "days_left": (facts.expires - now) / 86400,
    }


__all__ = ["LISTENER", "certificateOperations"]
