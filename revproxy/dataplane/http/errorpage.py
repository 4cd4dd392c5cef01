"""
The answer to an error: a short page, plain text, or problem+json (RFC 9457), by what the client accepts.

It tells the status, a public sentence and the request's id. The cause stays in the log.
"""

from __future__ import annotations

from html import escape
from json import dumps

from revproxy.body import Body
from revproxy.context import Request, Response
from revproxy.errors import REASONS, EdgeError, MethodNotAllowed, Refused
from revproxy.headers import Headers

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{status} {reason}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em;color:#222}}\
code{{color:#666}}</style>
<h1>{status} {reason}</h1>
<p>{text}</p>
<p><code>request {id}</code></p>
</html>
"""


def errorResponse(error: EdgeError, request: Request, id: str) -> Response:
    """
    What the client is told of an error; a plugin that refuses says that itself.

    :param id: the request's id, so that the client can quote it.
    """
    if isinstance(error, Refused):
        return Response(error.status, None, error.headers.copy(), Body.of(error.body))
    status = error.status
    reason = REASONS.get(status, "Error")
    accept = (request.headers.get("accept") or "").lower()
    if "json" in accept:
        kind = b"application/problem+json"
        page = dumps({"type": "about:blank", "title": reason, "status": status, "detail": error.text, "instance": id})
    elif "text/html" in accept:
        kind = b"text/html; charset=utf-8"
        page = _PAGE.format(status=status, reason=reason, text=escape(error.text), id=escape(id))
    else:
        kind = b"text/plain; charset=utf-8"
        page = f"{status} {reason}\n{error.text}\nrequest {id}\n"
    headers = Headers(
        [
            (b"content-type", b"Content-Type", kind),
            (b"cache-control", b"Cache-Control", b"no-store"),
            (b"x-request-id", b"X-Request-Id", id.encode("latin-1", "replace")),
        ]
    )
    if isinstance(error, MethodNotAllowed) and error.allowed:
        headers.fields.append((b"allow", b"Allow", b", ".join(error.allowed)))
    if error.retryAfter is not None:
        headers.fields.append((b"retry-after", b"Retry-After", b"%d" % error.retryAfter))
    return Response(status, None, headers, Body.of(page.encode()))
