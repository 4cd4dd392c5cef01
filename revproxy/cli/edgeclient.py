"""
Which edge a command is for, and the client of that edge's control socket; see :mod:`revproxy.control.controlsocket` for
what goes through it.

The socket is in the edge's state folder, which its configuration file names. A mistake in that file must not keep
anybody from asking the edge, which still runs with what the file said before; so the line that names the folder is
enough.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


class NoAnswer(Exception):
    """The edge was asked and has not answered; it may still do what it was asked."""


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


def callEdge(socketPath: Path, name: str, arguments: Mapping[str, Any], timeout: float = 120.0) -> Any:
    """
    Give a running edge a command, and wait for its answer. Blocks.

    :param socketPath: ``control.sock`` in the edge's state folder.
    :param name: of the command, such as ``"rollback"``.
    :param timeout: seconds for each of connecting, and waiting for the answer.
    :return: the result of the command, as JSON can say it.
    :raises EdgeNotRunning: nobody listens there, or not for us.
    :raises NoAnswer: the edge ends, or takes too long; it may still do what it was asked.
    :raises CommandError: the edge refuses; with its reason.
    """
    request = json.dumps({"call": name, "arguments": dict(arguments)}).encode() + b"\n"
    with _connected(socketPath, timeout) as client:
        try:
            client.sendall(request)
            line = _line(client)
        except TimeoutError:
            raise NoAnswer(f"no answer within {timeout:g} s; the edge may still do it: see revproxy events") from None
        except OSError as error:
            raise NoAnswer(f"the edge has broken off: {error.strerror}; see its log") from None
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        raise NoAnswer("the edge ended before it had answered; see its log") from None
    if not isinstance(answer, dict) or not answer.keys() & {"error", "result"}:
        raise NoAnswer(f"{socketPath}: what listens there is no edge: it does not answer as one")
    if "error" in answer:
        raise CommandError(str(answer["error"]))
    return answer["result"]


def _connected(socketPath: Path, timeout: float) -> socket.socket:
    """:raises EdgeNotRunning: nobody listens there, or not for us."""
    try:
        return connect(socketPath, timeout)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise EdgeNotRunning(
            f"{socketPath}: no edge listens there; start one with revproxy run, or name its configuration "
            "with --config FILE or its state folder with --state DIR; an edge whose state folder cannot be written has "
            "no socket"
        ) from None
    except OSError as error:
        reason = error.strerror or "it does not take the connection"
        raise EdgeNotRunning(f"{socketPath}: {reason}; the user that the edge runs as can reach it") from None


def _line(client: socket.socket) -> bytes:
    """What is sent up to a line feed, or to the end of the connection."""
    data = bytearray()
    while not data.endswith(b"\n") and len(data) < _ANSWER_LIMIT and (more := client.recv(65536)):
        data += more
    return bytes(data)


__all__ = ["EdgeNotRunning", "NoAnswer", "callEdge", "isGuessed", "statePath"]
