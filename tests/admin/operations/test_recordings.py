"""Recordings by the API."""

from __future__ import annotations

from typing import Any

import msgspec
from jsonschema import Draft202012Validator

from revproxy.admin.operations.recordings import RECORDING
from revproxy.control.actor import Actor
from revproxy.control.recordings import GRACE
from revproxy.plan.words import Recorded
from tests.admin.apis import ApiCase
from tests.replay.recordings import request


class RecordingsTests(ApiCase):
    """Each operation, on an edge."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.start()

    def begin(self, **more: Any) -> Any:
        made = self.ask("POST", "recordings", {"for": "1m", "name": "r-1", **more})
        Draft202012Validator(RECORDING).validate(made)
        return made

    def heard(self, count: int) -> None:
        batch = msgspec.msgpack.encode([request()] * count)
        self.bench.control.recordings.heard(0, Recorded("r-1", batch, count))

    def test_life(self) -> None:
        """It is begun, listed, read, ended and removed; each is an audit record."""
        made = self.begin(share="1%", reason="why it fails")
        self.assertEqual((made["state"], made["share"], made["until"] - made["begun"]), ("recording", 0.01, 60))
        self.heard(3)
        (listed,) = self.ask("GET", "recordings")["items"]
        self.assertEqual((listed["name"], listed["requests"]), ("r-1", 3))
        page = self.ask("GET", "recordings/r-1/content")
        self.assertEqual((len(page["items"]), page["next"]), (4, None))
        self.assertIn('"format":"revproxy-recording"', page["items"][0])
        self.assertEqual(self.ask("POST", "recordings/r-1/stop", {})["state"], "ending")
        self.bench.clock.advance(GRACE)
        self.assertEqual(self.ask("GET", "recordings")["items"][0]["state"], "ended")
        self.assertEqual(self.ask("DELETE", "recordings/r-1"), {"text": ["r-1: deleted"]})
        self.assertEqual(self.ask("GET", "recordings")["items"], [])

    def test_pages(self) -> None:
        """A long one comes in pages."""
        self.begin()
        self.heard(4)
        page = self.ask("GET", "recordings/r-1/content?bytes=1")
        self.assertEqual(len(page["items"]), 1)
        rest = self.ask("GET", f"recordings/r-1/content?offset={page['next']}")
        self.assertEqual((len(rest["items"]), rest["next"]), (4, None))

    def test_wrong(self) -> None:
        """What cannot be begun, or is not there, is a problem."""
        self.problem(400, "POST", "recordings", {"for": "2d"})
        self.problem(400, "POST", "recordings", {"for": "1m", "share": "0%"})
        self.problem(400, "POST", "recordings", {"for": "1m", "name": "A"})
        self.assertIn("no route", self.problem(409, "POST", "recordings", {"for": "1m", "routes": ["nowhere"]}).detail)
        self.problem(404, "POST", "recordings/r-1/stop", {})
        self.problem(404, "DELETE", "recordings/r-1")
        self.problem(404, "GET", "recordings/r-1/content")
        self.begin()
        self.assertIn("one at a time", self.problem(409, "POST", "recordings", {"for": "1m"}).detail)

    def test_roles(self) -> None:
        """To know of them, to read them, to begin one, and to keep what lets in: each takes more."""
        for role, status in (("read", 403), ("observe", 403), ("operate", 409), ("configure", 200)):
            self.door.who = Actor("http", "tester", "t1", role)
            self.ask("GET", "recordings")
            body = {"for": "1m", "name": "r-1", "keep": ["cookie"]}
            if status == 200:
                self.ask("POST", "recordings", body)
            else:
                self.problem(status, "POST", "recordings", body)
        self.door.who = Actor("http", "tester", "t1", "read")
        self.problem(403, "GET", "recordings/r-1/content")
        self.door.who = Actor("http", "tester", "t1", "observe")
        self.ask("GET", "recordings/r-1/content")
