"""
What a door has beside the operations: probes, the description of the API, and the files of the dashboard.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from revproxy.admin.door import Head, Page
from revproxy.admin.reply import ALWAYS, Reply
from revproxy.admin.role import Role

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""What the dashboard's pages may do in a browser."""

KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
    "woff2": "font/woff2",
}
"""By suffix, the files that a browser gets; others stay where they are."""

_SMALL = 512
"""Bytes of a file below which compressing it gains nothing."""


@dataclass(frozen=True, slots=True)
class TextPage:
    """:ivar answer: the status and a word, for probes."""

    answer: Callable[[], tuple[int, str]]
    role: Role | None = None

    def reply(self, head: Head) -> Reply:
        """To a GET."""
        status, text = self.answer()
        return Reply(status, {**ALWAYS, "Content-Type": "text/plain; charset=utf-8"}, [f"{text}\n".encode()])


@dataclass(frozen=True, slots=True)
class BytesPage:
    """Something that is the same as long as the edge runs."""

    kind: str
    content: bytes
    compressed: bytes
    etag: str
    policy: str = ALWAYS["Content-Security-Policy"]
    role: Role | None = None

    @classmethod
    def of(cls, kind: str, content: bytes, policy: str = POLICY, role: Role | None = None) -> BytesPage:
        """Compressed once."""
        compressed = gzip.compress(content, 9, mtime=0) if len(content) >= _SMALL else b""
        return cls(kind, content, compressed, f'"{sha256(content).hexdigest()[:32]}"', policy, role)

    def reply(self, head: Head) -> Reply:
        """To a GET; it is asked for again each time, and not sent again."""
        headers = {
            **ALWAYS,
            "Cache-Control": "no-cache",
            "Content-Security-Policy": self.policy,
            "Content-Type": self.kind,
            "Cross-Origin-Opener-Policy": "same-origin",
            "ETag": self.etag,
            "Vary": "Accept-Encoding",
        }
        known = head.headers.getRawHeaders(b"if-none-match") or []
        if any(tag.strip().removeprefix(b"W/") == self.etag.encode() for tag in b",".join(known).split(b",")):
            return Reply(304, headers)
        accepted = b",".join(head.headers.getRawHeaders(b"accept-encoding") or []).lower()
        if self.compressed and any(part.split(b";")[0].strip() == b"gzip" for part in accepted.split(b",")):
            return Reply(200, {**headers, "Content-Encoding": "gzip"}, [self.compressed])
        return Reply(200, headers, [self.content])


def dashboardPages() -> dict[str, Page]:
    """The dashboard's files by their paths. Blocks."""
    found: dict[str, Page] = {}
    _gather(files("revproxy.admin") / "dashboard", "/", found)
    if "/index.html" in found:
        found["/"] = found["/index.html"]
    return found


def _gather(folder: Traversable, path: str, found: dict[str, Page]) -> None:
    for each in folder.iterdir():
        kind = KINDS.get(each.name.rpartition(".")[2])
        if each.name.startswith((".", "_")):
            continue
        if each.is_dir():
            _gather(each, f"{path}{each.name}/", found)
        elif kind is not None:
            found[f"{path}{each.name}"] = BytesPage.of(kind, each.read_bytes())


def probes(isReady: Callable[[], bool]) -> Mapping[str, Page]:
    """:param isReady: whether the edge is ready for requests."""
    return {
        "/healthz": TextPage(lambda: (200, "ok")),
        "/readyz": TextPage(lambda: (200, "ready") if isReady() else (503, "not ready")),
    }


__all__ = ["BytesPage", "TextPage", "dashboardPages", "probes"]
