"""
Sends spans, in a thread of its own: whatever becomes of the receiver, the event loop waits for nothing.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition, Thread
from typing import Any, Protocol

from revproxy.config.tracesconfig import TracesConfig
from revproxy.requestrecord import RequestRecord

MOST_WAITING = 2048
"""Requests that wait for being sent; of more, the oldest go."""

BATCH = 256
"""Requests whose spans are sent together, at most."""

GATHER = 1.0
"""Seconds that are waited for more of them."""

TIMEOUT = 5.0
"""Seconds that the receiver may take for a batch, with the tries after one that failed."""

_SILENT = logging.NullHandler()
"""Without any, what it logs would go to standard error."""

_OURS = "opentelemetry.exporter.otlp.proto.http"


class Export(Protocol):
    """What the thread sends with."""

    def export(self, records: Sequence[RequestRecord]) -> str:
        """
        Send the spans of these. Blocks.

        :returns: why not; empty if that is done.
        """

    def shutdown(self) -> None:
        """Have an export that is under way come to an end. For any thread."""


class SpanSender:
    """
    A thread, and what waits for it.

    :ivar sent: requests whose spans were sent.
    :ivar failure: why the last batch could not be sent; empty if it could.
    """

    def __init__(self, config: TracesConfig, makeExport: Callable[[TracesConfig], Export]) -> None:
        """:param makeExport: called in the thread."""
        self.sent = 0
        self._tooMany = 0
        self._failed = 0
        self.failure = ""
        self._config = config
        self._makeExport = makeExport
        self._export: Export | None = None
        self._waiting: deque[RequestRecord] = deque()
        self._news = Condition()
        self._isEnding = False
        self._thread = Thread(target=self._run, name="revproxy traces", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Requests whose spans were not sent, for any reason."""
        return self._tooMany + self._failed

    @property
    def config(self) -> TracesConfig:
        """What it was made from."""
        return self._config

    def put(self, records: Sequence[RequestRecord]) -> None:
        """Have these sent; waits for nothing."""
        with self._news:
            self._waiting.extend(records)
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self._tooMany += 1
            if len(self._waiting) >= BATCH:
                self._news.notify()

    def hurry(self) -> None:
        """Send what waits, once, and end; what cannot be sent by then is dropped."""
        with self._news:
            self._isEnding = True
            self._news.notify()

    def wait(self, seconds: float) -> None:
        """Wait for the end, and not longer than so many seconds; then give up what is being sent. Blocks."""
        self._thread.join(seconds)
        if self._thread.is_alive() and self._export is not None:
            self._export.shutdown()

    def _run(self) -> None:
        try:
            self._export = self._makeExport(self._config)
        except Exception as error:  # of foreign code: there is no other sign of it than this
            self.failure = f"{type(error).__name__}: {error}"
        while True:
            records, isEnding = self._take()
            if records:
                self._send(records)
            elif isEnding:
                break
        if self._export is not None:
            self._export.shutdown()

    def _take(self) -> tuple[list[RequestRecord], bool]:
        with self._news:
            if not self._isEnding and len(self._waiting) < BATCH:
                self._news.wait(GATHER)
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))], self._isEnding

    def _send(self, records: list[RequestRecord]) -> None:
        if self._export is not None:
            try:
                self.failure = self._export.export(records)
            except Exception as error:  # as above
                self.failure = f"{type(error).__name__}: {error}"
        if self.failure:
            self._failed += len(records)
        else:
            self.sent += len(records)


class OtlpExport:
    """Sends by OpenTelemetry's own exporter. To be made in the thread that uses it: that takes half a second."""

    def __init__(self, config: TracesConfig) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        from revproxy.control.traces.spans import Spans

        # It says of each batch that it failed; we say it once.
        self._logger = logging.getLogger(_OURS)
        self._said = _LastWord()
        self._logger.addHandler(self._said)
        self._logger.addHandler(_SILENT)
        self._logger.propagate = False
        self._isDown = False
        self._spans = Spans(config.service)
        self._exporter: Any = OTLPSpanExporter(config.otlp, headers=dict(config.headers), timeout=TIMEOUT)

    def export(self, records: Sequence[RequestRecord]) -> str:
        """As :meth:`Export.export`."""
        spans = [span for record in records for span in self._spans.of(record)]
        if self._isDown:
            return "it ends"
        self._said.text = ""
        isDone = self._exporter.export(spans).name == "SUCCESS"
        return "" if isDone else self._said.text or "the receiver does not take them"

    def shutdown(self) -> None:
        """As :meth:`Export.shutdown`."""
        if not self._isDown:
            self._isDown = True
            self._logger.removeHandler(self._said)
            self._exporter.shutdown()


class _LastWord(logging.Handler):
    """Keeps what was logged last."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()
