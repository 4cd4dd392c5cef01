"""Asking for events."""

from __future__ import annotations

from typing import Any

from revproxy.admin.stream import Stream, StreamEvent
from tests.admin.apis import ApiCase


class EventTests(ApiCase):
    """Ten of them, of two kinds."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.first = 1
        for count in range(10):
            self.bench.events.add("odd" if count % 2 else "even", str(count), "ab"[count % 2], about={"x": "y"})

    def texts(self, path: str) -> list[str]:
        return [event["text"] for event in self.ask("GET", path)["items"]]

    def test_latest(self) -> None:
        """The last so many, the latest last; of some kinds, or of a plugin."""
        answer = self.ask("GET", "events?limit=2")
        self.assertEqual([event["text"] for event in answer["items"]], ["8", "9"])
        self.assertEqual((answer["next"], answer["items"][0]["about"]), (None, {"x": "y"}))
        self.assertEqual(self.texts("events?kind=odd&limit=2"), ["7", "9"])
        self.assertEqual(len(self.texts("events?kind=odd&kind=even")), 10)
        self.assertEqual(self.texts("events?plugin=a&limit=1"), ["8"])

    def test_after(self) -> None:
        """What comes after one, in pages."""
        after: int | None = self.first + 2
        found = []
        while after is not None:
            answer = self.ask("GET", f"events?after={after}&limit=3")
            found.append([event["text"] for event in answer["items"]])
            after = answer["next"]
        self.assertEqual(found, [["3", "4", "5"], ["6", "7", "8"], ["9"]])
        self.assertEqual(self.ask("GET", "events?after=100000"), {"items": [], "next": None})

    def stream(self, path: str, last: str | None = None) -> tuple[list[StreamEvent], Any]:
        stream = self.reply("GET", path, fields={} if last is None else {"last-event-id": last})
        assert isinstance(stream, Stream)
        told: list[StreamEvent] = []
        return told, stream.begin(told.append)

    def test_stream(self) -> None:
        """What happens, as it happens, and what was missed; nothing more once it is over."""
        told, stop = self.stream("events/stream?kind=odd", str(self.first + 6))
        self.bench.events.add("odd", "10")
        self.bench.events.add("even", "11")
        self.assertEqual([event.data["text"] for event in told], ["7", "9", "10"])
        self.assertEqual(told[-1].id, str(self.first + 10))
        stop()
        self.bench.events.add("odd", "12")
        self.assertEqual(len(told), 3)

    def test_nothingMissed(self) -> None:
        """Who comes without an id, or with nonsense, is told what is new."""
        for last in (None, "", "x", "-1", "9" * 40):
            told, stop = self.stream("events/stream", last)
            self.assertEqual(told, [])
            stop()
