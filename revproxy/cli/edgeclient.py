"""
Which edge a command is for, and the client of that edge's API: over its control socket, or its admin listener.

The socket is in the edge's state folder, which its configuration file names. A mistake in that file must not keep
anybody from asking the edge, which still runs with what the file said before; so the line that names the folder is
enough.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from revproxy.config.document import parseYAML, readText
from revproxy.config.problems import ConfigErrors
from revproxy.config.references import OwnReferences
from revproxy.control.commands import CommandError
from revproxy.control.socketfile import connect

DEFAULT_STATE = "var"
"""The state folder, relative to the configuration file, where that names none."""

LONG = 64 * 1024
"""Characters of a configuration file from which on the line is tried first: to parse 10,000 routes takes seconds."""

_ANSWER_LIMIT = 64 << 20
"""Bytes of an answer."""

_STATE_LINE = re.compile(r"^state[ \t]*:[ \t].*$", re.MULTILINE)

_CONTINUATION = re.compile(r"\n\s*[ \t][^\s#]")
"""What follows a line if a later one belongs to its value."""


class EdgeNotRunning(Exception):
    """There is no edge to ask; the text says at which socket, and what to do."""


class OutOfReach(EdgeNotRunning):
    """There may be one, and whoever asks may not."""


class NoAnswer(Exception):
    """The edge was asked and has not answered; it may still do what it was asked."""


class Refused(CommandError):
    """
    The edge has refused.

    :ivar status: of its answer.
    :ivar problem: all that it says about it, as RFC 9457 has it.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or f"status {status}"))
        self.status = status
        self.problem = problem


def statePath(file: Path) -> Path:
    """
    The state folder that a configuration file names, as well as that can be told when the file is broken.

    :raises ConfigErrors: the file cannot be read.
    """
    text = readText(file, str(file))
    tried = [text]
    found = _STATE_LINE.search(text)
    if found is not None:
        isEnough = len(text) > LONG and not _CONTINUATION.match(text, found.end())
        tried.insert(0 if isEnough else 1, found[0])
    base = file.absolute().parent
    named = next((state for each in tried if (state := _stateIn(each, base)) is not None), "")
    return base / (named or DEFAULT_STATE)


def isGuessed(file: Path) -> bool:
    """Whether a configuration file is too broken to name a state folder, and `statePath` is the usual one."""
    try:
        text = readText(file, str(file))
        if _STATE_LINE.search(text) is None:
            parseYAML(text, "")
    except ConfigErrors:
        return True
    return False


def _stateIn(text: str, base: Path) -> str | None:
    """What the YAML text says; None if it cannot be parsed, or names no path."""
    try:
        document = parseYAML(text, "")
    except ConfigErrors:
        return None
    value: Any = document.value
    state = OwnReferences(document, base).resolve(value.get("state")) if isinstance(value, dict) else None
    return str(state) if isinstance(state, str) and "\0" not in state else None


class EdgeClient:
    """
    Asks one edge. Blocks.
    """

    def __init__(self, place: Path | str, token: str = "") -> None:
        """
        :param place: ``control.sock`` in the edge's state folder; or the URL of its admin listener.
        :param token: for the latter.
        """
        self._place = place
        self._headers = {"Accept": "application/json, text/event-stream", "User-Agent": "revproxy"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        timeout: float = 120.0,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """
        :param path: below ``/api/v1/``; see `pathOf`.
        :param query: values; None, and a false flag, are left out; a list is given again and again.
        :param body: what JSON can say; None: no body.
        :param timeout: seconds for each of connecting, and waiting for the answer.
        :returns: the result, as JSON can say it; None where there is none.
        :raises EdgeNotRunning: nobody listens there, or not for us.
        :raises NoAnswer: the edge ends, or takes too long; it may still do what it was asked.
        :raises Refused: the edge refuses; with its reason.
        """
        with closing(self._connection(timeout)) as connection, _brokenOff(timeout):
            response = self._asked(connection, method, path, query, body, headers or {})
            return self._answer(response)

    def follow(
        self, path: str, query: Mapping[str, Any] | None = None, last: str = "", silence: float = 60.0
    ) -> Iterator[tuple[str, Any]]:
        """
        What a stream tells, until it is over: the id of each event, and its data.

        :param last: the id of the last event that was heard.
        :param silence: seconds without anything after which the edge is taken for gone; it sends something more often.
        :raises: as `ask`.
        """
        with closing(self._connection(silence)) as connection, _brokenOff(silence):
            headers = {"Last-Event-ID": last} if last else {}
            response = self._asked(connection, "GET", path, query, None, headers)
            if response.status != 200:
                self._answer(response)
            yield from _events(response)

    def _connection(self, timeout: float) -> HTTPConnection:
        if isinstance(self._place, Path):
            return _SocketConnection(self._place, timeout)
        parts = urlsplit(self._place)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EdgeNotRunning(f"{self._place}: a URL such as https://edge.example:9900 is wanted")
        if parts.scheme == "http" and "Authorization" in self._headers and not _isHere(parts.hostname):
            raise EdgeNotRunning(f"{self._place}: a token would travel in the clear; https is wanted")
        if parts.scheme == "https":
            return HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=ssl.create_default_context())
        return HTTPConnection(parts.hostname, parts.port, timeout=timeout)

    def _asked(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Any,
        headers: Mapping[str, str],
    ) -> HTTPResponse:
        target = f"/api/v1/{path}{_queryText(query or {})}"
        every = {**self._headers, **headers}
        sent = None
        if body is not None:
            sent = json.dumps(body).encode()
            every["Content-Type"] = "application/json"
        self._connect(connection)
        # Who is refused a place may hear of it before all is sent.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, target, sent, every)
        return connection.getresponse()

    def _connect(self, connection: HTTPConnection) -> None:
        """:raises EdgeNotRunning: nobody listens there, or not for us."""
        place = self._place
        try:
            connection.connect()
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            if not isinstance(place, Path):
                text = f"{place}: nobody listens there; see `admin` in the edge's revproxy.yaml"
                raise EdgeNotRunning(text) from None
            raise EdgeNotRunning(
                f"{place}: no edge listens there; start one with revproxy run, or name its configuration "
                "with --config FILE or its state folder with --state DIR; an edge whose state folder cannot be written "
                "has no socket"
            ) from None
        except OSError as error:
            reason = error.strerror or str(error) or "it does not take the connection"
            advice = "; the user that the edge runs as can reach it" if isinstance(place, Path) else ""
            kind = OutOfReach if isinstance(error, PermissionError) else EdgeNotRunning
            raise kind(f"{place}: {reason}{advice}") from None

    def _answer(self, response: HTTPResponse) -> Any:
        """:raises Refused: it is a problem."""
        data = response.read(_ANSWER_LIMIT)
        if response.length:
            raise IncompleteRead(data)
        kind = (response.headers.get("Content-Type") or "").partition(";")[0]
        if response.status in (204, 304):
            return None
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            answer = None
        if not kind.endswith("json") or answer is None:
            raise NoAnswer(f"{self._place}: what listens there is no edge: it does not answer as one")
        if response.status >= 400:
            raise Refused(response.status, answer if isinstance(answer, dict) else {})
        return answer


class _SocketConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("edge", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect. :raises OSError: as `socket.socket.connect`."""
        if self.sock is None:
            self.sock: socket.socket = connect(self._path, self.timeout)


@contextmanager
def _brokenOff(timeout: float) -> Iterator[None]:
    """:raises NoAnswer: the connection does not last until there is an answer."""
    try:
        yield
    except TimeoutError:
        raise NoAnswer(f"no answer within {timeout:g} s; the edge may still do it: see revproxy events") from None
    except (HTTPException, ConnectionError):
        raise NoAnswer("the edge ended before it had answered; see its log") from None
    except OSError as error:
        raise NoAnswer(f"the edge has broken off: {error.strerror or error}; see its log") from None


def _isHere(host: str) -> bool:
    """Whether that is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def pathOf(*parts: str) -> str:
    """A path below ``/api/v1/``."""
    return "/".join(quote(part, safe="") for part in parts)


def _queryText(values: Mapping[str, Any]) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        for each in value if isinstance(value, (list, tuple)) else (value,):
            if each is not None and each is not False:
                pairs.append((name, "true" if each is True else str(each)))
    return f"?{urlencode(pairs)}" if pairs else ""


def _events(response: HTTPResponse) -> Iterator[tuple[str, Any]]:
    """The events of a stream. :raises HTTPException: what comes is none."""
    last, data = "", b""
    while line := response.readline(_ANSWER_LIMIT):
        name, _, value = line.rstrip(b"\r\n").partition(b": ")
        if name == b"id":
            last = value.decode()
        elif name == b"data":
            data += value
        elif not name and data:
            try:
                told = json.loads(data)
            except ValueError:
                raise HTTPException("no event") from None
            data = b""
            yield last, told


__all__ = ["EdgeClient", "EdgeNotRunning", "NoAnswer", "OutOfReach", "Refused", "isGuessed", "pathOf", "statePath"]
