"""
The recording that goes on, and how recordings are shown.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from revproxy.control.recordingfiles import RecordingFile
from revproxy.plan.words import Recorded
from revproxy.replay.corpus import Header
from revproxy.replay.redactionrules import Redaction

USUAL_REQUESTS: Final = 10_000

USUAL_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What somebody wants to have recorded.

    :ivar name: empty: one is made up.
    :ivar routes: the names of those whose requests are meant; empty: all.
    :ivar share: of them, above 0 and up to 1.
    :ivar redact: names of fields, cookies, parameters and members that are redacted besides; ``keep``: that are not.
    """

    seconds: float
    share: float = 1.0
    routes: tuple[str, ...] = ()
    name: str = ""
    requests: int = USUAL_REQUESTS
    bytes: int = USUAL_BYTES
    bodyBytes: int = 65536
    redact: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    hidesClients: bool = False


@dataclass(slots=True)
class CurrentRecording:
    """
    The one that goes on.

    :ivar why: why it has ended; empty: it goes on.
    """

    wanted: Wanted
    header: Header
    redaction: Redaction
    until: float
    requests: int = 0
    dropped: int = 0
    bytes: int = 0
    why: str = ""
    waiting: deque[Recorded] = field(default_factory=deque)
    waitingBytes: int = 0
    timer: Any = None


def viewOf(current: CurrentRecording, folder: Path) -> dict[str, Any]:
    """The one that goes on, as JSON can say it."""
    wanted = current.wanted
    return {
        **_about(current.header, folder),
        "state": "ending" if current.why else "recording",
        "until": current.until,
        "ended": None,
        "why": current.why or None,
        "requests": current.requests,
        "dropped": current.dropped,
        "bytes": current.bytes,
        "most_requests": wanted.requests,
        "most_bytes": wanted.bytes,
    }


def viewOfFile(file: RecordingFile, folder: Path) -> dict[str, Any]:
    """One that is over."""
    end = file.end
    return {
        **_about(file.header, folder),
        "name": file.name,
        "state": "ended" if end is not None else "cut",
        "until": None,
        "ended": None if end is None else end.ended,
        "why": (file.problem or "it was cut off") if end is None else end.why,
        "requests": None if end is None else end.requests,
        "dropped": None if end is None else end.dropped,
        "bytes": file.bytes,
        "most_requests": None,
        "most_bytes": None,
    }


def _about(header: Header, folder: Path) -> dict[str, Any]:
    return {
        "name": header.name,
        "path": str(folder / f"{header.name}.jsonl"),
        "begun": header.begun,
        "routes": list(header.routes),
        "share": header.share,
        "redact": list(header.redacted),
        "keep": list(header.kept),
        "hides_clients": header.hidesClients,
    }


__all__ = ["USUAL_BYTES", "USUAL_REQUESTS", "CurrentRecording", "Wanted", "viewOf", "viewOfFile"]
