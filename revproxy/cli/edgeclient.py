"""
The client of a running edge's control socket; see :mod:`revproxy.control.controlsocket` for what goes through it.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from revproxy.control.commands import CommandError
from revproxy.control.socketfile import connect

_ANSWER_LIMIT = 64 << 20
"""Bytes of an answer."""


class EdgeNotRunning(Exception):
    """There is no edge to ask; the text says at which socket, and what to do."""


class NoAnswer(Exception):
    """The edge was asked and has not answered; it may still do what it was asked."""


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
    try:
        client = connect(socketPath, timeout)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise EdgeNotRunning(
            f"{socketPath}: no edge listens there; start one with twistd -n revproxy, or name its configuration "
            "with --config FILE or its state folder with --state DIR; an edge whose state folder cannot be written has "
            "no socket"
        ) from None
    except OSError as error:
        reason = error.strerror or "it does not take the connection"
        raise EdgeNotRunning(f"{socketPath}: {reason}; the user that the edge runs as can reach it") from None
    with client:
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


def _line(client: socket.socket) -> bytes:
    """What is sent up to a line feed, or to the end of the connection."""
    data = bytearray()
    while not data.endswith(b"\n") and len(data) < _ANSWER_LIMIT and (more := client.recv(65536)):
        data += more
    return bytes(data)


__all__ = ["EdgeNotRunning", "NoAnswer", "callEdge"]
