"""Spans on their way to a receiver, in a thread."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.tracesconfig import TracesConfig
from revproxy.control.traces import spansender
from revproxy.control.traces.spansender import BATCH, MOST_WAITING, OtlpExport, SpanSender
from revproxy.requestrecord import RequestRecord
from tests.control.traces.receiver import SPAN, TRACE, Receiver, attributesOf, record
from tests.harness import PATIENCE, freePort


class SenderCase(SynchronousTestCase):
    """Waits for threads."""

    def until(self, fact: Callable[[], Any]) -> None:
        """:raises FailTest: it does not come to pass."""
        ends = time.monotonic() + PATIENCE
        while not fact():
            self.assertLess(time.monotonic(), ends)
            time.sleep(0.01)

    def sender(self, url: str, makeExport: Any = OtlpExport, **more: Any) -> SpanSender:
        """One that ends with the test."""
        sender = SpanSender(TracesConfig(otlp=f"{url}/v1/traces", **more), makeExport)
        self.addCleanup(sender.wait, 1.0)
        self.addCleanup(sender.hurry)
        return sender

    def receiver(self, status: int = 200) -> Receiver:
        """One that ends with the test."""
        receiver = Receiver(status)
        self.addCleanup(receiver.close)
        return receiver


class ReceiverTests(SenderCase):
    """A real receiver."""

    def test_sent(self) -> None:
        """What arrives there is what was made, with the fields that it asks for."""
        receiver = self.receiver()
        sender = self.sender(receiver.url, headers={"Authorization": "Bearer k"}, service="edge")
        sender.put([record(), record(id="a2", attempts=0)])
        self.until(lambda: len(receiver.spans) == 3)
        self.until(lambda: sender.sent == 2)
        resource, span = receiver.spans[0]
        self.assertEqual((resource["service.name"], span.name, span.trace_id.hex(), span.span_id.hex()),
                         ("edge", "GET shop/items", TRACE, SPAN))
        self.assertEqual((span.kind, receiver.spans[1][1].kind), (2, 3))
        self.assertEqual(receiver.spans[1][1].parent_span_id.hex(), SPAN)
        self.assertEqual(attributesOf(span)["http.response.status_code"], 200)
        self.assertEqual((receiver.paths[0], receiver.requests[0]["authorization"]), ("/v1/traces", "Bearer k"))
        self.assertNotIn("s3cret", repr(receiver.spans))
        self.assertEqual((sender.sent, sender.dropped, sender.failure), (2, 0, ""))

    def test_ends(self) -> None:
        """At the end what waits is sent, and the thread is gone."""
        receiver = self.receiver()
        sender = self.sender(receiver.url)
        sender.put([record(attempts=0)] * (BATCH + 1))
        sender.hurry()
        sender.wait(PATIENCE)
        self.assertEqual((len(receiver.spans), sender._thread.is_alive()), (BATCH + 1, False))

    def test_refuses(self) -> None:
        """A receiver that does not want them: they are dropped and counted, and the reason is known; so it is later."""
        receiver = self.receiver(403)
        sender = self.sender(receiver.url)
        sender.put([record()] * 3)
        self.until(lambda: sender.dropped == 3)
        self.assertIn("403", sender.failure)
        receiver.status = 200
        sender.put([record()])
        self.until(lambda: sender.sent == 1)
        self.assertEqual(sender.failure, "")

    def test_dead(self) -> None:
        """Nobody there: they are dropped, and the log has not a line for each."""
        self.patch(spansender, "TIMEOUT", 0.5)
        lines: list[logging.LogRecord] = []
        heard = logging.Handler()
        heard.emit = lines.append  # type: ignore[method-assign]
        logging.getLogger().addHandler(heard)
        self.addCleanup(logging.getLogger().removeHandler, heard)
        sender = self.sender(f"http://127.0.0.1:{freePort()}")
        sender.put([record()])
        self.until(lambda: sender.dropped == 1)
        self.assertTrue(sender.failure)
        self.assertEqual([line.getMessage() for line in lines if line.levelno >= logging.WARNING], [])

    def test_silent(self) -> None:
        """One that never answers holds the end for as long as is waited, and nothing else."""
        receiver = self.receiver(0)
        sender = self.sender(receiver.url)
        sender.put([record()])
        self.until(lambda: receiver.requests)
        began = time.monotonic()
        sender.put([record()])
        sender.hurry()
        self.assertLess(time.monotonic() - began, 0.2)
        sender.wait(0.3)
        self.assertLess(time.monotonic() - began, 3.0)
        receiver.released.set()

    def test_talksNonsense(self) -> None:
        """What listens there is no HTTP server."""
        self.patch(spansender, "TIMEOUT", 0.5)
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)

        def talk() -> None:
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                with peer:
                    peer.sendall(b"\0" * 100)

        threading.Thread(target=talk, daemon=True).start()
        sender = self.sender(f"http://127.0.0.1:{listening.getsockname()[1]}")
        sender.put([record()])
        self.until(lambda: sender.dropped == 1)


class ExportDouble:
    """Sends when it is let."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.isDown = False

    def __call__(self, config: TracesConfig) -> ExportDouble:
        return self

    def export(self, records: Sequence[RequestRecord]) -> str:
        self.batches.append(len(records))
        self.gate.wait(PATIENCE)
        return ""

    def shutdown(self) -> None:
        self.isDown = True
        self.gate.set()


class QueueTests(SenderCase):
    """What waits."""

    def test_bounded(self) -> None:
        """So many wait and no more: the oldest go, and are counted; a batch has so many and no more."""
        export = ExportDouble()
        sender = self.sender("http://x", export)
        sender.put([record()] * BATCH)
        self.until(lambda: export.batches == [BATCH])
        sender.put([record()] * (MOST_WAITING + 7))
        self.assertEqual((len(sender._waiting), sender.dropped), (MOST_WAITING, 7))
        export.gate.set()
        self.until(lambda: sender.sent == BATCH + MOST_WAITING)
        self.assertEqual(set(export.batches), {BATCH})

    def test_givenUp(self) -> None:
        """What is being sent at the end is given up when it takes too long."""
        export = ExportDouble()
        sender = self.sender("http://x", export)
        sender.put([record()] * BATCH)
        self.until(lambda: export.batches)
        sender.hurry()
        sender.wait(0.01)
        self.assertTrue(export.isDown)

    def test_broken(self) -> None:
        """An exporter that cannot be made, or raises, costs the spans, and nothing else."""

        def broken(config: TracesConfig) -> Any:
            raise ImportError("no such thing")

        sender = self.sender("http://x", broken)
        sender.put([record()])
        self.until(lambda: sender.dropped == 1)
        self.assertEqual(sender.failure, "ImportError: no such thing")
