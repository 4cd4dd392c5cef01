"""
A process that proves a version, as it is seen from outside.

It is a Python of its own: all that it begins ends with it, however it ends, and so do the temporary files. What it
prints is kept as far as the last lines go. Blocks: for a thread, or for a command.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import IO, Any, Final

import msgspec

import revproxy
from revproxy.loop.offspring import endOffspring
from revproxy.proving.orders import Order, Report

MOST_REPORT: Final = 16 << 20
"""Bytes of a report."""

MOST_OUTPUT: Final = 16384
"""Bytes of the last that it has printed."""

_LINES: Final = 40


class ProvingProcess:
    """One of them, for one order."""

    def __init__(
        self, order: Order, corpus: Path | None = None, onOutput: Callable[[bytes], Any] | None = None
    ) -> None:
        """
        :param corpus: the recording; it is opened here.
        :param onOutput: is given what it prints, as it comes.
        """
        self._order = order
        self._corpus = corpus
        self._onOutput = onOutput or (lambda data: None)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._place = ""
        self._isEnded = False

    def run(self) -> Report:
        """
        Have it done.

        :returns: the report. That it cannot be started, dies, or takes too long is a problem in it.
        """
        if self._corpus is None:
            return self._run(None)
        try:
            with open(self._corpus, "rb") as corpus:
                return self._run(corpus)
        except OSError as error:
            return Report((f"{self._corpus}: cannot be read: {error.strerror or error}",))

    def end(self) -> None:
        """End it, now or as soon as it begins. For any thread."""
        with self._lock:
            self._isEnded = True
            self._kill()

    def _run(self, corpus: IO[bytes] | None) -> Report:
        try:
            place = tempfile.TemporaryDirectory(prefix="revproxy-proving-", ignore_cleanup_errors=True)
        except OSError as error:
            return Report((f"there is no place for temporary files: {error.strerror or error}",))
        reading, writing = os.pipe()
        with place as self._place, open(reading, "rb", buffering=0) as said:
            try:
                self._begin(writing, corpus)
            except OSError as error:
                return Report((f"no process can be started to prove it in: {error.strerror or error}",))
            finally:
                os.close(writing)
            return self._result(said)

    def _begin(self, writing: int, corpus: IO[bytes] | None) -> None:
        order, descriptors = self._order, [writing]
        if corpus is not None:
            descriptors.append(corpus.fileno())
        locked = order.minimumLevel if order.isLocked else "-"
        command = [sys.executable, "-P", "-m", "revproxy.proving.main", locked, *map(str, (os.getpid(), *descriptors))]
        with tempfile.TemporaryFile() as told:
            told.write(order.encoded())
            told.seek(0)
            with self._lock:
                if self._isEnded:
                    raise OSError(0, "it was given up")
                self._process = subprocess.Popen(
                    command, stdin=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/",
                    env=_environment(order.isLocked, self._place), pass_fds=descriptors, start_new_session=True,
                )  # fmt: skip

    def _result(self, said: IO[bytes]) -> Report:
        process = self._process
        assert process is not None and process.stdout is not None
        late = monotonic() + self._order.seconds
        report, output = bytearray(), bytearray()
        with selectors.DefaultSelector() as selector, process.stdout as printed:
            selector.register(said, selectors.EVENT_READ, report)
            selector.register(printed, selectors.EVENT_READ, output)
            # What it has begun may have its output, not its report: that ends with it.
            while said in (key.fileobj for key in selector.get_map().values()):
                found = selector.select(max(late - monotonic(), 0))
                if not found and monotonic() >= late:
                    break
                for key, _ in found:
                    self._read(selector, key)
            isLate = monotonic() >= late and not report
            self._finish(process, selector, output)
        text = _lastLines(output)
        if self._isEnded:
            return Report(("it was given up",), output=text)
        if isLate:
            return Report((f"it has not come to an end within {self._order.seconds:g} s",), output=text)
        return self._parsed(bytes(report), process.returncode, text)

    def _read(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        into: bytearray = key.data
        data = os.read(key.fd, 65536)
        if not data or len(into) > MOST_REPORT:
            selector.unregister(key.fileobj)
            return
        into += data
        if key.fileobj is getattr(self._process, "stdout", None):
            self._onOutput(data)
            del into[:-MOST_OUTPUT]

    def _finish(self, process: subprocess.Popen[bytes], selector: selectors.BaseSelector, output: bytearray) -> None:
        """It is over: so is all that it has begun, and what was printed is read."""
        try:
            process.wait(1.0)  # it ends right after its report
        except subprocess.TimeoutExpired:
            pass
        with self._lock:
            self._kill()
            process.wait()
            self._process = process
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        for key in list(selector.get_map().values()):
            if key.fileobj is process.stdout:
                self._drain(key.fd, output)

    def _drain(self, descriptor: int, output: bytearray) -> None:
        try:
            while data := os.read(descriptor, 65536):
                self._onOutput(data)
                output += data
                del output[:-MOST_OUTPUT]
        except BlockingIOError:
            return

    def _kill(self) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            endOffspring(process.pid)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return

    def _parsed(self, data: bytes, status: int | None, output: str) -> Report:
        try:
            report = msgspec.msgpack.decode(data, type=Report)
        except msgspec.DecodeError:
            return Report((f"its process ended {_how(status or 0)}, and has told nothing",), output=output)
        return msgspec.structs.replace(report, output=output)


def _environment(isLocked: bool, place: str) -> dict[str, str]:
    """
    Where it finds modules is where this process does; a locked one has nothing else of ours.

    :param place: of its temporary files.
    """
    own = str(Path(revproxy.__file__).absolute().parent.parent)
    path = [own, *(each for each in sys.path if os.path.isabs(each) and each != own)]
    kept = {} if isLocked else {**os.environ, "TMPDIR": place}
    return {**kept, "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}


def _how(status: int) -> str:
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"


def _lastLines(output: bytes | bytearray) -> str:
    lines = bytes(output).decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-_LINES:])


__all__ = ["ProvingProcess"]
