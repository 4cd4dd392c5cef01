"""
Rehearsals: what would become of a request, tried with the routes, and if that is wanted the plugins, that serve now.

The head is read and refused as on the wire, and goes through an exchange as any other; what is not real about it is in
`revproxy.worker.standins`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from revproxy.context import Peer, Request
from revproxy.dataplane.edge import Edge
from revproxy.dataplane.exchange import Exchange
from revproxy.dataplane.explainer import Explainer
from revproxy.dataplane.http.forwarding import clientBehind
from revproxy.dataplane.http1.requesthead import RequestHead, parseRequestHead
from revproxy.dataplane.listener import Listener
from revproxy.dataplane.net.sockettls import TLSInfo
from revproxy.errors import EdgeError, TargetTooLong
from revproxy.plan.words import Rehearse, Rehearsed
from revproxy.worker.standins import OneRecord, RehearsalGeneration, RehearsalStream

SECONDS: Final = 2.0
"""That plugins may take, all together."""

MOST: Final = 4
"""Rehearsals at once."""

_encoder = msgspec.msgpack.Encoder()


class Rehearsals:
    """
    Answers what would become of requests.

    :ivar running: how many are under way.
    """

    def __init__(
        self,
        clock: Any,
        edge: Edge,
        listenerFor: Callable[[str], Listener | None],
        tell: Callable[[Rehearsed], None],
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param listenerFor: of a scheme, the listener whose rules hold; None if there is none.
        """
        self.running = 0
        self._clock = clock
        self._edge = edge
        self._listenerFor = listenerFor
        self._tell = tell

    def begin(self, word: Rehearse) -> None:
        """Tell what would become of it, now or soon."""
        number, plan = word.number, self._edge.generation.number
        if self.running >= MOST:
            self._tell(Rehearsed(number, plan, refused=f"{MOST} rehearsals are under way: try again in a second"))
            return
        try:
            head = self._head(word)
        except EdgeError as error:
            self._tell(Rehearsed(number, plan, refused=f"{type(error).__name__}: {error}", status=error.status))
            return
        except ValueError as error:
            self._tell(Rehearsed(number, plan, refused=str(error)))
            return
        Rehearsal(self, word, head).begin()

    def _head(self, word: Rehearse) -> RequestHead:
        """
        Read as if it came on the wire.

        :raises EdgeError: it would be refused.
        :raises ValueError: no such line can be sent.
        """
        limits = self._edge.limits
        lines = [f"{word.method} {word.target} HTTP/1.1", f"Host: {word.host}"]
        lines += [f"{name}: {value}" for name, value in word.headers]
        for line in lines:
            if any(octet in line for octet in "\r\n\0"):
                raise ValueError("a method, a target or a field has a line break: nobody can send that")
        try:
            data = "\r\n".join([*lines, "", ""]).encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError("a method, a target or a field is not latin-1: percent-encode it") from None
        if len(data) > limits.maxHeaderBytes:
            raise ValueError(f"it has {len(data)} bytes, and limits.max_header_bytes is {limits.maxHeaderBytes}")
        head = parseRequestHead(data, limits.maxHeaders, limits.keepsUnderscores)
        if len(head.target) > limits.maxTargetBytes:
            raise TargetTooLong("the target is longer than the limit")
        if head.length:
            raise ValueError("a rehearsal has no body: leave Content-Length and Transfer-Encoding out")
        return head

    def over(self, answer: Rehearsed) -> None:
        """One has ended."""
        self.running -= 1
        self._tell(answer)


class Rehearsal:
    """One of them."""

    def __init__(self, all: Rehearsals, word: Rehearse, head: RequestHead) -> None:
        self._all = all
        self._word = word
        self._head = head
        self._generation = RehearsalGeneration(all._edge.generation, word.plugins)
        self._stream = RehearsalStream()
        self._records = OneRecord(self._ended)
        self._isOverdue = False
        self._late: Any = None
        self._exchange: Exchange

    def begin(self) -> None:
        """Send it through."""
        all, real = self._all, self._all._edge
        edge = Edge(
            all._clock, real.deadlines, self._generation, real.limits, real.timeouts,  # type: ignore[arg-type]
            self._records, monotonic=real.monotonic,  # type: ignore[arg-type]
        )  # fmt: skip
        edge.explain = Explainer(0.0, real.monotonic).explain
        listener = all._listenerFor(self._word.scheme)
        guards = None if listener is None else listener.guards
        all.running += 1
        self._late = all._clock.callLater(SECONDS, self._overdue)
        request = self._request(listener)
        self._exchange = self._stream.exchange = Exchange(edge, guards, self._stream, request, self._head.hostname)
        self._exchange.begin()

    def _request(self, listener: Listener | None) -> Request:
        word, head = self._word, self._head
        peer, scheme = Peer(word.client, 0, word.client), word.scheme
        if head.forwarding is not None and listener is not None and listener.trusts(word.client):
            head.fields += head.forwarding
            peer, scheme = clientBehind(head.forwarding, peer, scheme, listener.trusted)  # type: ignore[assignment]
        tls = None
        if word.scheme == "https":
            tls = TLSInfo(word.serverName or None, "TLSv1.3", "", b"", None, False)
        fields = head.section(head.fields)
        request = Request(head.method, head.target, head.host, head.version, scheme, fields, peer, None, tls)
        request._upgrade = head.upgrade
        request.wantsTrailers = head.wantsTrailers
        return request

    def _overdue(self) -> None:
        self._isOverdue = True
        self._exchange.breakingOff(f"the plugins have not come to an end within {SECONDS:g} s")
        self._exchange.clientLost(0, 0)
        if self._records.record_ is None:
            self._ended()

    def _ended(self) -> None:
        """The record is there; the rest of the exchange's end comes right after."""
        self._all._clock.callLater(0, self._answer)

    def _answer(self) -> None:
        if self._late.active():
            self._late.cancel()
        self._generation.chains.release()
        number, plan = self._word.number, self._generation.number
        try:
            record = _encoder.encode(self._records.record_)
        except Exception:  # plugins may have put anything into it
            self._all.over(Rehearsed(number, plan, refused="what came of it cannot be told: it is no text"))
            return
        methods = self._exchange.methods
        self._all.over(
            Rehearsed(
                number,
                plan,
                record,
                self._generation.leaf.isReached,
                "" if self._records.record_ is not None else "its end was lost: see the edge's log",
                self._stream.status,
                tuple(sorted(each.decode("latin-1") for each in methods or ())),
                self._isOverdue,
            )
        )
