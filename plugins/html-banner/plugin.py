"""
A body filter: changes a body while it streams through, holding a few bytes at most.

A filter is called with each piece as it arrives and whether it is the last, and gives what goes on instead. The edge
takes care of lengths and framing; headers that describe the old bytes are the plugin's to correct.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

from zope.interface import implementer

from revproxy.context import Context, Headers
from revproxy.interfaces import IMiddleware, IResponseMiddleware

TAG = b"</body"
STALE = ("Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges")


class InsertBefore:
    """Inserts once before the first TAG, also when that is cut across pieces. One of these per body."""

    def __init__(self, insertion: bytes) -> None:
        self.insertion = insertion
        self.held = b""
        self.done = False

    def __call__(self, data: bytes, last: bool) -> bytes:
        if self.done:
            return data
        data, self.held = self.held + data, b""
        lower = data.lower()
        at = lower.find(TAG)
        if at >= 0:
            self.done = True
            return data[:at] + self.insertion + data[at:]
        cut = lower.rfind(b"<", max(0, len(lower) - len(TAG) + 1))
        if not last and cut >= 0 and TAG.startswith(lower[cut:]):
            data, self.held = data[:cut], data[cut:]
        return data


@implementer(IMiddleware, IResponseMiddleware)
class HTMLBanner:
    name = "html-banner"

    def __init__(self, config: Mapping[str, Any]) -> None:
        text = escape(config.get("text", "served through revproxy"))
        # ASCII with references reads the same in every encoding that pages have.
        self.insertion = f'<p class="banner">{text}</p>\n'.encode("ascii", "xmlcharrefreplace")
        self.uncompressed = config.get("uncompressed", False)

    def handle(self, context: Context) -> bool:
        if self.uncompressed:
            context.request.headers.set("Accept-Encoding", "identity")
        return True

    def handleResponse(self, context: Context) -> None:
        response = context.response
        if not self.wants(response.headers) or response.status == 206:
            return
        # All of this goes for HEAD and 304 too, whose fields describe the page that GET would give.
        for name in STALE:
            response.headers.remove(name)
        etag = response.headers.get("ETag")
        if etag and not etag.startswith("W/"):
            response.headers.set("ETag", "W/" + etag)
        response.body.addFilter(InsertBefore(self.insertion))

    def wants(self, headers: Headers) -> bool:
        contentType = (headers.get("Content-Type") or "").lower()
        return (
            contentType.partition(";")[0].strip() == "text/html"
            and "utf-16" not in contentType
            and all(coding.strip().lower() == "identity" for coding in headers.getAll("Content-Encoding"))
            # RFC 9111 §5.2.2.6: the origin forbids it.
            and not any("no-transform" in value.lower() for value in headers.getAll("Cache-Control"))
        )


PluginMain = HTMLBanner
