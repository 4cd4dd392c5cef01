"""
The Unix socket through which a running edge is steered; its client is :mod:`revproxy.cli.edgeclient`.

Each line is a JSON object, up to :data:`LINE_LIMIT` bytes with its line feed. A request names a call and its arguments,
the answer has its result or one text that says why there is none; requests of a connection are answered in turn::

    {"call": "rollback", "arguments": {"name": "hello", "version": null}}
    {"result": {"text": ["hello 1.1.0 (0a1b2c3d4e5f) runs again"], "refused": []}}
    {"error": "there is no plugin \\"helo\\"; did you mean \\"hello\\"?"}

Who may open the file may do everything: its mode is 0600. A call that has begun goes on when its client leaves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from zope.interface import implementer

from revproxy.control.commands import CommandError, Commands
from revproxy.control.socketfile import removeStale, shortened
from revproxy.dataplane.net.eagerreactor import EagerReactor
from revproxy.errors import printable

LINE_LIMIT = 65536
"""Bytes of a request."""

CONNECTIONS = 16
"""Clients at a time. For one more, who asks nothing gives way."""

IDLE_TIMEOUT = 60.0
"""Seconds that a client may take for a request, its silence before it included, and for taking its answer."""


class ControlSocket:
    """
    The socket of one edge.

    :ivar connections: of clients that are connected; who has asked nothing for longest comes first.
    """

    def __init__(self, reactor: Any, path: Path, commands: Commands) -> None:
        self.commands = commands
        self.connections: dict[ControlProtocol, None] = {}
        self.reactor = reactor
        self._path = path
        self._port: Any = None
        self._held = ExitStack()

    def open(self) -> None:
        """
        Listen. To be called by the process that goes on, after a daemon has forked; the folder has to be there. What a
        dead process has left is replaced.

        :raises OSError: if another process listens there, or the file cannot be made.
        """
        removeStale(self._path)
        with ExitStack() as held:
            short = held.enter_context(shortened(self._path))
            # Bound, its mode set, and only then listened on.
            try:
                self._port = EagerReactor(self.reactor).listenUNIX(short, _ControlFactory(self), mode=0o600)
            except CannotListenError as error:
                reason = error.socketError
                raise OSError(getattr(reason, "errno", None), getattr(reason, "strerror", None), str(self._path))
            # The short name is needed again, to remove the file.
            self._held = held.pop_all()

    async def close(self) -> None:
        """Listen no more, remove the file, end the connections. Calls that are running are not waited for."""
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
            self._held.close()
        for connection in list(self.connections):
            connection.end()


class _ControlFactory(Factory):  # type: ignore[misc]
    noisy = False

    def __init__(self, owner: ControlSocket) -> None:
        self._owner = owner

    def logPrefix(self) -> str:
        """What the log calls the port."""
        return "control socket"

    def buildProtocol(self, addr: Any) -> ControlProtocol:
        """Somebody connects."""
        return ControlProtocol(self._owner)


@implementer(IPushProducer)
class ControlProtocol(TimeoutMixin, Protocol):  # type: ignore[misc]
    """
    One client. While its call is running, or its answers are not taken, it is not read; it has one call in each turn of
    the loop. So what it sends costs others nothing, and of it there is never more in memory than two requests.
    """

    transport: Any
    _log = Logger()

    def __init__(self, owner: ControlSocket) -> None:
        self._owner = owner
        self._unread = b""
        self._busy = False
        self._held = False
        self._gone = False
        self._next: Any = None
        self._told = False

    def callLater(self, period: float, function: Any) -> Any:
        """Part of TimeoutMixin."""
        return self._owner.reactor.callLater(period, function)

    def connectionMade(self) -> None:
        """Somebody has connected."""
        self.transport.registerProducer(self, True)
        connections = self._owner.connections
        if len(connections) >= CONNECTIONS:
            silent = next((one for one in connections if not one.isAnswering), None)
            if silent is None:
                self._send({"error": f"{CONNECTIONS} others are connected; try again later"})
                self.end()
                return
            silent.giveWay()
        connections[self] = None
        self.setTimeout(IDLE_TIMEOUT)

    @property
    def isAnswering(self) -> bool:
        """Whether it has asked, and waits for the answer."""
        return self._busy or self._next is not None

    def giveWay(self) -> None:
        """Somebody else needs the place."""
        self._owner.connections.pop(self, None)
        self._send({"error": "others need the place of who has asked nothing for longest"})
        self.end()

    def dataReceived(self, data: bytes) -> None:
        """Some bytes of requests."""
        if self._gone:
            return
        self._unread += data
        self._advance()

    def connectionLost(self, reason: Any = None) -> None:
        """The client is gone; its call goes on."""
        self._forget()
        self.setTimeout(None)
        self._owner.connections.pop(self, None)

    def timeoutConnection(self) -> None:
        """Part of TimeoutMixin. What was sent is not waited for any more either."""
        self.transport.abortConnection()

    def end(self) -> None:
        """Close, once what was answered is sent; in time, if the client does not take it."""
        self._forget()
        self.setTimeout(IDLE_TIMEOUT)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _forget(self) -> None:
        self._gone = True
        self._unread = b""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    # Of the transport: whether the client takes its answers

    def pauseProducing(self) -> None:
        """It does not."""
        self._held = True

    def resumeProducing(self) -> None:
        """It does."""
        self._held = False
        if not self._gone:
            self._advance()

    def stopProducing(self) -> None:
        """There is nobody any more; :meth:`connectionLost` comes."""

    def _advance(self) -> None:
        """Begin the next call if there is one, else read on."""
        if self._busy or self._held or self._next is not None:
            return
        line, found, rest = self._unread.partition(b"\n")
        if len(line) >= LINE_LIMIT:
            self._tell(f"a request has {LINE_LIMIT} bytes at most")
            self._send({"error": f"a request has {LINE_LIMIT} bytes at most"})
            self.end()
        elif found:
            self._unread = rest
            self.transport.pauseProducing()
            self.setTimeout(None)
            self._next = self._owner.reactor.callLater(0, self._begin, line)
        else:
            self.transport.resumeProducing()
            if self.timeOut is None:
                self.setTimeout(IDLE_TIMEOUT)

    def _begin(self, line: bytes) -> None:
        self._next = None
        self._busy = True
        running = Deferred.fromCoroutine(self._answer(line))
        running.addCallback(self._answered)
        running.addErrback(lambda reason: self._log.failure("control socket", reason))

    def _tell(self, reason: str) -> None:
        """The log, once for each client."""
        if not self._told:
            self._told = True
            self._log.warn("control socket: what a client sent is no request: {reason}", reason=printable(reason, 200))

    async def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            name, arguments = _request(line)
        except CommandError as error:
            self._tell(str(error))
            return {"error": str(error)}
        try:
            return {"result": await self._owner.commands.call(name, arguments)}
        except CommandError as error:
            return {"error": str(error)}
        except GeneratorExit:
            raise
        except BaseException as error:  # a mistake of ours must cost neither the connection nor the edge
            self._log.failure("control socket: {name} failed", name=name)
            return {"error": f"{name}: {type(error).__name__}: {error}; the edge's log has more"}

    def _answered(self, answer: Mapping[str, Any]) -> None:
        self._busy = False
        if self._gone:
            return
        # Last of those who might give way.
        self._owner.connections.pop(self, None)
        self._owner.connections[self] = None
        self.setTimeout(IDLE_TIMEOUT)
        self._send(answer)
        self._advance()

    def _send(self, answer: Mapping[str, Any]) -> None:
        try:
            text = json.dumps(answer)
        except (TypeError, ValueError, RecursionError) as error:
            self._log.failure("control socket: a result that JSON cannot say")
            text = json.dumps({"error": f"the result cannot be written: {error}"})
        self.transport.write(text.encode() + b"\n")


def _request(line: bytes) -> tuple[str, Mapping[str, Any]]:
    """:raises CommandError: if it is none."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"a request is a line of JSON: {error}") from None
    if not isinstance(request, dict) or not request.keys() <= {"call", "arguments"}:
        raise CommandError('a request is {"call": NAME, "arguments": {…}} and has nothing else')
    name, arguments = request.get("call"), request.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise CommandError('"call" is a text and "arguments" an object')
    return name, arguments


__all__ = ["ControlSocket"]
