"""
The faulty answers of ``tests/behaviour/faultyanswers.py`` over sockets, through any proxy.

``python -m tests.conformance.faults HOST:PORT ORIGINPORT``, where the proxy passes everything on to ORIGINPORT on
127.0.0.1. *Contained* means: nothing is passed on as whole that is not, nothing unasked is passed on at all, and the
next request, on the same connection where it is still there and on another, gets the answer to itself. A proxy may
always answer with 5xx or break off instead.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import h11

from tests.behaviour.faultyanswers import BEHAVIOURS, BROKEN, CLOSE, CUT, PAUSE, RESET, SILENCE

PATIENCE = 4.0
"""Seconds that a client waits for more of a faulty answer."""
LONG = 60.0
"""Seconds that it waits for an answer that has to come."""
PAUSES = 0.3
"""Seconds of a pause; the proxy's time limits should be above that."""


class FaultyOrigin:
    """Answers ``/faulty/N`` as the Nth behaviour says, and everything else well."""

    def __init__(self, port: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", port), backlog=256)
        self._changed = threading.Condition()
        self._begun: Counter[int] = Counter()
        self._ended: Counter[int] = Counter()
        threading.Thread(target=self._accept, daemon=True).start()

    def awaitEnd(self, number: int, seconds: float) -> None:
        """Return when all has been said that belongs to a behaviour, or when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._begun[number] == self._ended[number] > 0, seconds)

    def _accept(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        try:
            while more := connection.recv(65536):
                data += more
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    target = head.split(b" ")[1]
                    if not target.startswith(b"/faulty/"):
                        body = b"answer to " + target
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                    elif not self._misbehave(connection, int(target[8:])):
                        return
        except OSError:
            pass
        finally:
            connection.close()

    def _misbehave(self, connection: socket.socket, number: int) -> bool:
        """:return: whether the connection goes on."""
        with self._changed:
            self._begun[number] += 1
        try:
            return self._perform(connection, BEHAVIOURS[number][1])
        finally:
            with self._changed:
                self._ended[number] += 1
                self._changed.notify_all()

    def _perform(self, connection: socket.socket, steps: list[str]) -> bool:
        for step in steps:
            if step == PAUSE:
                time.sleep(PAUSES)
            elif step == SILENCE:
                return True
            elif step == CLOSE:
                return False
            elif step in (RESET, CUT):
                # Let what was sent arrive first: a reset overtakes it.
                time.sleep(0.05)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            else:
                connection.sendall(step.replace("@", "\r\n").encode("latin-1"))
                time.sleep(0.002)
        return True


class Client:
    """One connection to the proxy. :ivar patience: seconds to wait for more."""

    def __init__(self, address: tuple[str, int], patience: float) -> None:
        self._socket = socket.create_connection(address, timeout=LONG)
        self.patience = patience
        self.got = b""
        self.usable = True

    def ask(self, target: str) -> tuple[int, bytes, bool]:
        """:return: status, body, and whether it looks whole."""
        reader = h11.Connection(h11.CLIENT)
        reader.send(h11.Request(method="GET", target=target, headers=[("Host", "x")]))
        reader.send(h11.EndOfMessage())
        status, body = 0, b""
        self._socket.settimeout(self.patience)
        try:
            self._socket.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            while True:
                event = reader.next_event()
                if event is h11.NEED_DATA:
                    data = self._socket.recv(65536)
                    self.got += data
                    reader.receive_data(data)
                elif isinstance(event, h11.Response):
                    status = event.status_code
                    self.usable = reader.their_state is not h11.MUST_CLOSE
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    self.usable = reader.their_state is h11.DONE
                    return status, body, True
                elif isinstance(event, h11.ConnectionClosed):
                    break
        except (OSError, h11.RemoteProtocolError):
            pass
        self.usable = False
        return status, body, False

    def close(self) -> None:
        self._socket.close()


def judgeAll(address: tuple[str, int], origin: FaultyOrigin, patience: float = PATIENCE) -> list[str | None]:
    """
    Try every behaviour: those that take time together, the others one after the other.

    So nobody's request is on its way when an origin says what it was not asked for; which no proxy could tell from the
    answer to that request.

    :return: what is wrong with each, None for nothing.
    """
    slow = [number for number, (_, steps, _) in enumerate(BEHAVIOURS) if SILENCE in steps or PAUSE in steps]
    fast = [number for number in range(len(BEHAVIOURS)) if number not in slow]
    with ThreadPoolExecutor(len(slow)) as pool:
        problems = list(pool.map(lambda number: judge(address, origin, number, patience), slow))
    return problems + [judge(address, origin, number, patience) for number in fast]


def judge(address: tuple[str, int], origin: FaultyOrigin, number: int, patience: float) -> str | None:
    """:return: what is wrong with how the proxy took the behaviour of this number."""
    name, _, expected = BEHAVIOURS[number]
    client = Client(address, patience)
    status, body, whole = client.ask(f"/faulty/{number}")
    problems = []
    if whole and status < 500 and (expected == BROKEN or isinstance(expected, int)):
        problems.append(f"passed on as whole: {status} {body[:40]!r}")
    if whole and status < 500 and isinstance(expected, tuple) and (status, body) != expected:
        problems.append(f"{status} {body[:40]!r}")
    origin.awaitEnd(number, patience)
    time.sleep(0.02)
    client.patience = LONG
    for one in (client, Client(address, LONG)):
        if one.usable:
            target = f"/next/{number}"
            answer = one.ask(target)
            # A connection that the proxy has closed meanwhile is no answer, and no wrong one.
            if answer != (200, f"answer to {target}".encode(), True) and (one is not client or answer[0]):
                problems.append(f"next: {answer}")
        if b"evil" in one.got:
            problems.append("evil")
        one.close()
    return f"{name}: {'; '.join(problems)}" if problems else None


def main(arguments: list[str]) -> int:
    """Try everything, print what was not contained and how much was."""
    host, _, port = arguments[0].rpartition(":")
    origin = FaultyOrigin(int(arguments[1]))
    problems = judgeAll((host, int(port)), origin)
    for problem in filter(None, problems):
        print(problem)
    contained = problems.count(None)
    print(f"contained: {contained} of {len(problems)}")
    return 0 if contained == len(problems) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
