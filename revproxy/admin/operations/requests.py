"""
The last requests: searched, watched as they end, and one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall

from revproxy.admin.operation import Call, Operation, Parameter, Schema
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, FLAG, NUMBER, TEXT, TIME, items, optional, record
from revproxy.admin.stream import Stream, StreamEvent, Tell
from revproxy.control.control import Control
from revproxy.control.traffic.livetail import MOST_TAILS, Tail
from revproxy.control.traffic.recentrequests import Found, RecentRequests, TooManySearches
from revproxy.control.traffic.recordview import LONG, asDict
from revproxy.control.traffic.requestfilter import FilterError, RequestFilter
from revproxy.requestrecord import RequestRecord

MOST: Final = 1000
"""Requests in one answer."""

GATHERED: Final = 0.1
"""Seconds for which requests are gathered for one who watches."""

SHOWN: Final = 50
"""Requests of an answer that are described between two looks at the clock."""

AT_ONCE: Final = 100
"""Requests that are told to one who watches after these seconds; of others, how many there were."""

_NAMES: Schema = {"type": "array", "items": TEXT}

_ALWAYS = record(
    number={**COUNT, "description": "Counts up over all requests since the edge began."},
    time={**TEXT, "description": "When it began, in UTC."},
    at=TIME,
    id=TEXT,
    peer=TEXT,
    method=TEXT,
    scheme=TEXT,
    host=TEXT,
    target=TEXT,
    version=TEXT,
    status=COUNT,
    bytes_in=COUNT,
    bytes_out=COUNT,
    duration_us=COUNT,
    route=TEXT,
    plan={**COUNT, "description": "The number of the plan that was in force when it came."},
    explained={**FLAG, "description": "Whether more is known of why it went as it did than can be worked out."},
)

REQUEST: Schema = {
    **_ALWAYS,
    "description": "A request that is over, with the keys of the access log.",
    "properties": {
        **_ALWAYS["properties"],
        "upstream": {**TEXT, "description": "The URL of the target that answered, or was tried last."},
        "upstream_name": TEXT,
        "upstream_us": COUNT,
        "attempts": {**COUNT, "description": "How many targets it was sent to, where that is more than one."},
        "interrupted_by": TEXT,
        "plugin_errors": _NAMES,
        "plugins_skipped": _NAMES,
        "error": TEXT,
        "fields": {"type": "object"},
        "trace_id": TEXT,
        "arms": {
            "type": "array",
            "items": record(plugin=TEXT, version=TEXT, arm={"enum": ["candidate", "running"]}),
            "description": "What it met of plugins of which a version is rolled out.",
        },
        "cut": {**_NAMES, "description": "Keys whose values are not whole."},
    },
}

_ONE: Schema = {
    **REQUEST,
    "properties": {**REQUEST["properties"], "others": {**FLAG, "description": "Whether others have this id."}},
    "required": [*REQUEST["required"], "others"],
}


def _text(name: str, description: str) -> Parameter:
    return Parameter(name, description, {"type": "string", "maxLength": 256})


_FILTER = (
    _text("route", "Of this route."),
    _text("host", "For this host, without port, in any case; * stands for anything."),
    _text("status", "5xx, 404 or 400-499; several with commas."),
    _text("plugin", "That this plugin has answered, has failed in, or was passed over in after a failure."),
    _text("arm", "That met a version that is rolled out, or the one beside it: candidate, running, NAME:candidate."),
    _text("client", "From this address or network; several with commas."),
    _text("method", "With this method, in any case."),
    _text("path", "Whose path begins so; or, with * for anything, is so."),
    _text("slower", "That took at least so long: seconds, or 500ms."),
    _text("since", "That began since: 10m, seconds, or a time as 2026-11-28T01:30:00Z."),
)

_SEARCH = (
    *_FILTER,
    _text("id", "With this id."),
    Parameter("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": MOST, "default": 100}),
    Parameter("cursor", "`next` of the answer before.", {"type": "string", "pattern": "^[0-9]{1,15}-[0-9]{1,15}$"}),
)

ID = Parameter(
    "id", "The request's id.", {"type": "string", "minLength": 1, "maxLength": 256}, "path", required=True
)


async def requestWithId(recent: RecentRequests, id: str) -> tuple[int, RequestRecord, bool]:
    """
    The newest request with an id, with its number, and whether others have it.

    :raises Problem: there is none, or too many search.
    """
    found = await _searching(lambda: recent.find(id))
    if not found.items:
        text = f"no request with this id is among the last {recent.count}; the access log may have it"
        raise Problem(404, text)
    [(number, one)] = found.items
    return number, one, found.next is not None


async def _searching(search: Callable[[], Any]) -> Any:
    try:
        return await search()
    except TooManySearches as error:
        raise Problem(429, f"{error}; ask again in a second", headers={"Retry-After": "1"}) from None


def _showing(found: Found, shown: list[dict[str, Any]]) -> Iterator[None]:
    """What was found, some at a time: a thousand of them take ten milliseconds."""
    for number, one in found.items:
        shown.append(asDict(number, one))
        if not len(shown) % SHOWN:
            yield


class _Requests:
    """The handlers."""

    def __init__(self, recent: RecentRequests) -> None:
        self._recent = recent

    async def search(self, call: Call) -> Any:
        recent, wanted = self._recent, self._filter(call)
        before = self._before(call.values["cursor"])
        found = await _searching(lambda: recent.search(wanted, call.values["limit"], before))
        shown: list[dict[str, Any]] = []
        await recent.inSlices(_showing(found, shown))
        return {
            "items": shown,
            "next": None if found.next is None else f"{recent.born}-{found.next}",
            "remembered": recent.count,
            "dropped": recent.dropped,
        }

    async def one(self, call: Call) -> Any:
        number, found, others = await requestWithId(self._recent, call.values["id"])
        return {**asDict(number, found, LONG), "others": others}

    async def live(self, call: Call) -> Stream:
        wanted = self._filter(call)
        if len(self._recent.live.tails) >= MOST_TAILS:
            raise Problem(503, f"{MOST_TAILS} are watching, which are the most; try again later")
        return Stream(lambda tell: _Watcher(self._recent.clock, self._recent.live.follow(wanted), tell).stop)

    def _filter(self, call: Call) -> RequestFilter:
        try:
            return RequestFilter.of({name: call.values.get(name) for name in _PARTS}, self._recent.clock.seconds())
        except FilterError as error:
            where = {"where": f"query parameter {error.name}", "message": str(error)}
            raise Problem(400, str(error), {"problems": [where]}) from None

    def _before(self, cursor: str | None) -> int | None:
        if cursor is None:
            return None
        born, _, number = cursor.partition("-")
        if int(born) != self._recent.born:
            raise Problem(410, "the edge was started anew since, and has forgotten what was on that page: begin anew")
        return int(number)


class _Watcher:
    """Tells one who watches, some times a second."""

    def __init__(self, clock: Any, tail: Tail, tell: Tell) -> None:
        self._clock = clock
        self._tail = tail
        self._tell = tell
        self._due: IDelayedCall | None = None
        tail.onMore = self._more

    def _more(self) -> None:
        self._due = self._clock.callLater(GATHERED, self._flush)

    def _flush(self) -> None:
        row, missed = self._tail.take()
        for number, one in row[:AT_ONCE]:
            self._tell(StreamEvent(asDict(number, one), id=str(number)))
        missed += max(0, len(row) - AT_ONCE)
        if missed:
            self._tell(StreamEvent({"missed": missed}, "missed"))

    def stop(self) -> None:
        """Nobody watches any more."""
        if self._due is not None and self._due.active():
            self._due.cancel()
        self._tail.stop()


_PARTS = frozenset((*(parameter.name for parameter in _FILTER), "id"))


def requestOperations(control: Control) -> tuple[Operation, ...]:
    """All about the last requests."""
    handlers = _Requests(control.recent)
    busy = {429: "Too many searches are under way."}
    return (
        Operation(
            "GET", "/requests", Role.OBSERVE, "listRequests", "The last requests, the newest first.", handlers.search,
            _SEARCH, problems={410: "The cursor is of an edge that was started before.", **busy},
            answer=items(REQUEST, next=optional(TEXT), remembered=COUNT, dropped={
                **COUNT, "description": "Requests of which no record could be made.",
            }),
            description="A request is there half a second after its end, as a rule. How many are remembered, "
            "`logging.remember` says. No value of a header is, but Host.",
        ),
        Operation(
            "GET", "/requests/live", Role.OBSERVE, "streamRequests", "Requests, as they end.", handlers.live, _FILTER,
            answer={"anyOf": [REQUEST, record(missed=NUMBER)]}, streams=True,
            problems={503: "Too many are watching."},
            description="When more end than can be told, or than the client takes, an event `missed` says how many.",
        ),
        Operation(
            "GET", "/requests/{id}", Role.OBSERVE, "getRequest", "One of the last requests.", handlers.one, (ID,),
            answer=_ONE, problems={404: "It is not among the last.", **busy},
            description="Clients can choose ids, where a plugin lets them: of several, this is the newest.",
        ),
    )  # fmt: skip


__all__ = ["ID", "REQUEST", "requestOperations", "requestWithId"]
