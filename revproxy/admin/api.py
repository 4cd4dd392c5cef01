"""
From a request to its reply, without the wire: what is asked for, by whom, whether it may, and what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from twisted.logger import Logger

from revproxy.admin.door import Door, Entry, Head, Page
from revproxy.admin.operation import Answer
from revproxy.admin.problem import Problem
from revproxy.admin.reply import ALWAYS, JSON, Reply, Turn, jsonReply
from revproxy.admin.role import Role
from revproxy.admin.router import PREFIX, Found, Router
from revproxy.admin.stream import Stream
from revproxy.control.commands import CommandError, NotThere
from revproxy.errors import printable

EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Visit:
    """
    A request that may be made.

    :ivar found: which operation; None: it is a page.
    """

    head: Head
    door: Door
    entry: Entry
    found: Found | None = None
    page: Page | None = None

    @property
    def bodyLimit(self) -> int:
        """Bytes that its body may have."""
        return 0 if self.found is None else self.found.operation.bodyLimit


class Api:
    """
    :ivar router: the table.
    """

    _log = Logger()

    def __init__(self, router: Router, turn: Turn) -> None:
        """:param turn: lets others have their turn."""
        self.router = router
        self._turn = turn

    def visit(self, head: Head, door: Door) -> Visit:
        """
        Look at a request before its body comes.

        :raises Problem: it may not be made.
        """
        door.admit(head)
        if not head.path.startswith(PREFIX):
            page = _page(head, door)
            return Visit(head, door, door.enter(head, page.role), page=page)
        found: Found | None = None
        missing: Problem | None = None
        try:
            found = self.router.find(head.method, head.path)
        except Problem as problem:
            missing = problem
        # Who may not ask anything does not learn either what there is.
        entry = door.enter(head, Role.READ if found is None else found.operation.role)
        if found is None:
            assert missing is not None
            raise missing
        _acceptable(head, EVENT_STREAM if found.operation.streams else JSON)
        return Visit(head, door, entry, found)

    async def perform(self, visit: Visit, body: bytes) -> Reply | Stream:
        """
        :raises Problem: it was not done.
        """
        head, found = visit.head, visit.found
        if found is None:
            assert visit.page is not None
            return visit.page.reply(head)
        if body:
            _typed(head)
        entry, last = visit.entry, head.header("Last-Event-ID")
        call = found.reader.read(
            entry.actor, found.texts, head.query, body, _tag(head.header("If-Match")), last, entry.session,
            entry.expiresAt,
        )  # fmt: skip
        try:
            result = await found.operation.handler(call)
        except NotThere as error:
            raise Problem(404, str(error)) from None
        except CommandError as error:
            raise Problem(409, str(error)) from None
        if isinstance(result, Stream):
            return result
        answer = result if isinstance(result, Answer) else Answer(result)
        if answer.session is not None:
            answer = replace(answer, headers={**answer.headers, "Set-Cookie": visit.door.cookie(answer.session)})
        if answer.etag is not None and head.isReading and _tag(head.header("If-None-Match")) == answer.etag:
            return Reply(304, {**ALWAYS, "ETag": f'"{answer.etag}"'})
        return await jsonReply(answer, self._turn)


def _page(head: Head, door: Door) -> Page:
    page = door.pages.get(head.path)
    if page is None:
        raise Problem(404, f"there is nothing at {printable(head.path, 200)}; the API is below {PREFIX}")
    if not head.isReading:
        raise Problem(405, f"{printable(head.method, 20)} does not go with {head.path}", headers={"Allow": "GET, HEAD"})
    return page


def _acceptable(head: Head, kind: str) -> None:
    """:raises Problem: what there is to be had is not what is wanted."""
    values = head.headers.getRawHeaders(b"accept")
    if not values:
        return
    group = kind.partition("/")[0]
    for wanted in b",".join(values).decode("latin-1").lower().split(","):
        name, *more = (part.strip() for part in wanted.split(";"))
        isRefused = any(part.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for part in more)
        if not isRefused and name in ("*/*", f"{group}/*", kind, "application/problem+json"):
            return
    raise Problem(406, f"it is to be had as {kind} only; say so in Accept, or leave that out")


def _typed(head: Head) -> None:
    """:raises Problem: the body is of another kind than JSON."""
    value = head.header("Content-Type") or ""
    name, *more = (part.strip().lower() for part in value.split(";"))
    if name != JSON or any(each.replace('"', "") not in ("charset=utf-8", "") for each in more):
        raise Problem(415, f"a body is to be {JSON}, in UTF-8; say so in Content-Type")
    if head.header("Content-Encoding") not in (None, "identity"):
        raise Problem(415, "a body is not to be compressed")


def _tag(value: str | None) -> str | None:
    """The first entity tag in a field, without its quotes."""
    if value is None:
        return None
    text = value.split(",", 1)[0].strip().removeprefix("W/")
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


__all__ = ["Api", "Visit"]
