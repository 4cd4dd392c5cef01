"""
The Unix socket through which a running edge is steered; its client is :mod:`revproxy.cli.edgeclient`.

Each line is a JSON object, up to :data:`LINE_LIMIT` bytes with its line feed. A request names a call and its arguments,
the answer has its result or one text that says why there is none; requests of a connection are answered in turn::

    {"call": "rollback", "arguments": {"name": "hello", "version": null}}
    {"result": {"text": ["hello 1.1.0 (0a1b2c3d4e5f) runs again"], "refused": []}}
    {"error": "there is no plugin \\"helo\\"; did you mean \\"hello\\"?"}

Whoever may open the file may do everything: its mode is 0600. A call that has begun goes on when its client leaves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from zope.interface import implementer

from revproxy.control.commands import RESCUES, CommandError, Commands
from revproxy.control.socketfile import removeStale, shortened
from revproxy.dataplane.net.eagerreactor import EagerReactor
from revproxy.errors import printable

LINE_LIMIT = 65536
"""Bytes of a request."""

CONNECTIONS = 16
"""Clients at a time. For one more, who asks nothing gives way."""

RESCUERS = 4
"""More of them, where all wait for answers, which may take long; these may rescue, and nothing else."""

_FULL = f"{CONNECTIONS} others are connected; try again later, or {', '.join(sorted(RESCUES))}"

IDLE_TIMEOUT = 60.0
"""Seconds that a client may take for a request, its silence before it included, and for taking its answer."""


class ControlSocket:
    """
    The socket of one edge.

    :ivar commands: what carries out the calls.
    :ivar connections: those of the connected clients; the one that has asked nothing for longest comes first.
    :ivar reactor: whose clock and turns are used.
    """

    def __init__(self, reactor: Any, path: Path, commands: Commands) -> None:
        self.commands = commands
        self.connections: dict[ControlProtocol, None] = {}
        self.reactor = reactor
        self._path = path
        self._port: Any = None
        self._shortName = ExitStack()

    def open(self) -> None:
        """
        Listen. Call this in the process that goes on after a daemon has forked. The folder must exist; the file that a
        dead process has left there is replaced.

        :raises OSError: another process listens there, or the file cannot be made.
        """
        removeStale(self._path)
        with ExitStack() as held:
            short = held.enter_context(shortened(self._path))
            # listenUNIX binds the file, sets its mode, and only then listens.
            try:
                self._port = EagerReactor(self.reactor).listenUNIX(short, _ControlFactory(self), mode=0o600)
            except CannotListenError as error:
                reason = error.socketError
                raise OSError(getattr(reason, "errno", None), getattr(reason, "strerror", None), str(self._path))
            self._port.isUrgent = True  # see EdgeReactor
            # The short name is needed again, to remove the file.
            self._shortName = held.pop_all()

    async def reopen(self) -> None:
        """
        Listen anew, where the file was deleted. Connections stay.

        :raises OSError: as :meth:`open`; nobody listens then.
        """
        await self._stopListening()
        self.open()

    async def close(self) -> None:
        """Stop listening, remove the file, end the connections. Does not wait for calls that are running."""
        await self._stopListening()
        for connection in list(self.connections):
            connection.end()

    async def _stopListening(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
            self._shortName.close()


class _ControlFactory(Factory):  # type: ignore[misc]
    noisy = False

    def __init__(self, owner: ControlSocket) -> None:
        self._owner = owner

    def logPrefix(self) -> str:
        """What the log calls the port."""
        return "control socket"

    def buildProtocol(self, addr: Any) -> ControlProtocol:
        """A client connects."""
        return ControlProtocol(self._owner)


class _State(Enum):
    READING = "waits for the rest of a request"
    ANSWERING = "a call is about to run, or runs"
    ENDED = "nothing more is read or answered"


@implementer(IPushProducer)
class ControlProtocol(TimeoutMixin, Protocol):  # type: ignore[misc]
    """
    The connection of one client.

    It reads nothing while a call is running or the client does not take its answers, and it begins one call in each
    turn of the loop. So what a client sends costs others nothing, and there are never more than two requests of it in
    memory.
    """

    transport: Any
    _log = Logger()

    def __init__(self, owner: ControlSocket) -> None:
        self._owner = owner
        self._unread = b""
        self._state = _State.READING
        self._isPaused = False  # the client does not take what was sent
        self._due: IDelayedCall | None = None
        self._hasLogged = False
        self._isExtra = False  # there was room for a rescue only

    def callLater(self, period: float, function: Any) -> Any:
        """Part of TimeoutMixin."""
        return self._owner.reactor.callLater(period, function)

    def connectionMade(self) -> None:
        """A client has connected. If there are too many, this one or the one that was silent longest goes."""
        self.transport.isUrgent = True
        self.transport.registerProducer(self, True)
        connections = self._owner.connections
        if len(connections) >= CONNECTIONS:
            silent = next((other for other in connections if not other.isAnswering), None)
            if silent is not None:
                silent.giveWay()
            elif len(connections) < CONNECTIONS + RESCUERS:
                self._isExtra = True
            else:
                self._send({"error": _FULL})
                self.end()
                return
        connections[self] = None
        self.setTimeout(IDLE_TIMEOUT)

    @property
    def isAnswering(self) -> bool:
        """Whether the client has asked something and waits for the answer."""
        return self._state is _State.ANSWERING

    def giveWay(self) -> None:
        """End, because another client needs the place, and say so."""
        self._owner.connections.pop(self, None)
        self._send({"error": "others need the place of who has asked nothing for longest"})
        self.end()

    def dataReceived(self, data: bytes) -> None:
        """Bytes of requests have come."""
        if self._state is _State.ENDED:
            return
        self._unread += data
        self._advance()

    def connectionLost(self, reason: Any = None) -> None:
        """The client is gone; its call goes on."""
        self._forget()
        self.setTimeout(None)
        self._owner.connections.pop(self, None)

    def timeoutConnection(self) -> None:
        """Part of TimeoutMixin. Answers that the client has not taken yet are lost."""
        self.transport.abortConnection()

    def end(self) -> None:
        """Close when the answers so far are sent, or after :data:`IDLE_TIMEOUT` if the client does not take them."""
        self._forget()
        self.setTimeout(IDLE_TIMEOUT)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _forget(self) -> None:
        self._state = _State.ENDED
        self._unread = b""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    # The transport says whether the client takes its answers.

    def pauseProducing(self) -> None:
        """The client does not take its answers."""
        self._isPaused = True

    def resumeProducing(self) -> None:
        """The client takes its answers again."""
        self._isPaused = False
        if self._state is not _State.ENDED:
            self._advance()

    def stopProducing(self) -> None:
        """The connection is lost; :meth:`connectionLost` follows."""

    def _advance(self) -> None:
        """Begin the next call if there is a whole request, else read on."""
        if self._isPaused or self._state is _State.ANSWERING:
            return
        line, found, rest = self._unread.partition(b"\n")
        if len(line) >= LINE_LIMIT:
            self._logOnce(f"a request has {LINE_LIMIT} bytes at most")
            self._send({"error": f"a request has {LINE_LIMIT} bytes at most"})
            self.end()
        elif found:
            self._unread = rest
            self._state = _State.ANSWERING
            self.transport.pauseProducing()
            self.setTimeout(None)
            self._due = self._owner.reactor.callLater(0, self._begin, line)
        else:
            self.transport.resumeProducing()
            if self.timeOut is None:
                self.setTimeout(IDLE_TIMEOUT)

    def _begin(self, line: bytes) -> None:
        self._due = None
        running = Deferred.fromCoroutine(self._answer(line))
        running.addCallback(self._answered)
        running.addErrback(lambda reason: self._log.failure("control socket", reason))

    def _logOnce(self, reason: str) -> None:
        """Log why something is no request, at most once for each connection."""
        if not self._hasLogged:
            self._hasLogged = True
            self._log.warn("control socket: what a client sent is no request: {reason}", reason=printable(reason, 200))

    async def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            name, arguments = _request(line)
        except CommandError as error:
            self._logOnce(str(error))
            return {"error": str(error)}
        if self._isExtra and len(self._owner.connections) > CONNECTIONS and name not in RESCUES:
            return {"error": _FULL}
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
        if self._state is _State.ENDED:
            return
        self._state = _State.READING
        # It goes to the end of those that may have to give way.
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
    """
    The call and its arguments.

    :raises CommandError: the line is no request.
    """
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
