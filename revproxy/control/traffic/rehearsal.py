"""
What would become of a request: asked of a worker, and told as `revproxy.control.traffic.explanation` tells of others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, Literal

import msgspec

from revproxy.control.traffic.chainstory import chainStory, changesDict
from revproxy.control.traffic.explanation import routeStory
from revproxy.control.traffic.pastplans import PastPlan
from revproxy.explained import Explained, decodeExplained
from revproxy.plan.words import Rehearse, Rehearsed
from revproxy.requestrecord import RequestRecord
from revproxy.secrets import masked

_URL: Final = re.compile(r"(https?)://([^/?#\s]+)([^#\s]*)\Z", re.IGNORECASE)

_record = msgspec.msgpack.Decoder(RequestRecord)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """
    A request that is to be tried.

    :ivar headers: names and values, in order.
    :ivar serverName: of the TLS handshake; None: as the host.
    """

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    client: str
    serverName: str | None
    plugins: bool

    def word(self, number: int) -> Rehearse:
        """
        The question to a worker.

        :raises ValueError: the URL, or the address, is none.
        """
        match = _URL.match(self.url)
        if match is None or "@" in match[2]:
            raise ValueError("url: write http://HOST/PATH or https://HOST/PATH, without user and fragment")
        if any(name.lower() == "host" for name, _ in self.headers):
            raise ValueError("headers: the host is in the url; leave Host out")
        try:
            ip_address(self.client)
        except ValueError:
            raise ValueError(f"client: {self.client[:64]!r} is no address") from None
        scheme: Literal["http", "https"] = "https" if match[1].lower() == "https" else "http"
        target = match[3] if match[3].startswith("/") else f"/{match[3]}"
        serverName = re.sub(r":[0-9]*\Z", "", match[2]).lower() if self.serverName is None else self.serverName.lower()
        return Rehearse(
            number, self.method, target, match[2], scheme, tuple(self.headers), self.client, serverName, self.plugins
        )


def outcome(
    asked: Rehearse, word: Rehearsed, plan: PastPlan | None, rules: Mapping[str, str]
) -> dict[str, Any]:
    """
    As JSON can say it.

    :param plan: with which it was tried.
    :param rules: of plugins by name, why they stand where they do.
    """
    record = _record.decode(word.record) if word.record else None
    told = Explained("") if record is None or not record.explained else decodeExplained(record.explained)
    chosen = "" if record is None else record.route
    host, target = asked.host.encode("latin-1", "replace"), asked.target.encode("latin-1", "replace")
    route = routeStory(plan, host, target, chosen, told)
    return {
        "plan": word.plan,
        "refused": masked(word.refused) or None,
        "status": word.status or None,
        "is_sent_on": word.reached,
        "route": route,
        "methods": list(word.methods),
        "plugins": [] if record is None else _plugins(record, told, plan, asked.plugins, rules),
        "request_headers": changesDict(told.request),
        "response_headers": changesDict(told.response),
        "chosen_upstream": told.upstream or None,
        "chosen_target": told.origin or None,
        "answered_by": _answeredBy(record, word, route, told),
        "error": None if record is None or record.error is None else masked(record.error),
        "notes": list(_notes(word, told)),
    }


def _plugins(
    record: RequestRecord, told: Explained, plan: PastPlan | None, ran: bool, rules: Mapping[str, str]
) -> list[dict[str, Any]]:
    plugins = chainStory(record, told, plan)
    for each in plugins:
        each["rule"] = rules.get(each["name"])
        if not ran and each["decision"] in ("passed", "unknown"):
            each.update(decision="not tried", ran=False, why=None)
    return plugins


def _answeredBy(
    record: RequestRecord | None, word: Rehearsed, route: Mapping[str, Any], told: Explained
) -> dict[str, Any]:
    if word.isOverdue:
        return {"kind": "nobody", "name": None}
    if record is None:
        return {"kind": "edge", "name": word.refused.partition(":")[0]}
    if record.interruptedBy is not None:
        return {"kind": "plugin", "name": record.interruptedBy}
    if record.error is not None:
        return {"kind": "edge", "name": record.error.partition(":")[0]}
    answers = f"upstream {told.upstream}" if told.upstream else route["answers"] or ""
    kind = "upstream" if answers.startswith("upstream ") else "route"
    return {"kind": kind, "name": told.origin or answers.removeprefix("upstream ")}


def _notes(word: Rehearsed, told: Explained) -> Sequence[str]:
    notes = [f"{plugin}: {text}" for plugin, text in told.notes if text.startswith("rerouted")]
    if word.isOverdue:
        notes.append("the plugins did not come to an end in time")
    return notes
