"""
Recorded requests as lines of JSON.
"""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.replay.corpustext import parseRecord, recordText
from revproxy.replay.outcome import Raised
from revproxy.replay.recordedcall import RecordedExchange, RecordedResponse
from tests.replay.recordings import call, outcome, pluginCall, request

octets = st.binary(max_size=20)


class TextTests(SynchronousTestCase):
    """What a line has."""

    def test_readable(self) -> None:
        """People can read it: heads and texts are text, and what is as usual is not there."""
        made = request(pluginCall(call(headers=((b"X-Name", b"J\xe4ger"),), body="grün".encode())))
        told = json.loads(recordText(made))
        asked = told["calls"][0]["call"]
        self.assertEqual(asked["headers"], [["X-Name", "Jäger"]])
        self.assertEqual((asked["method"], asked["body"]), ("GET", "grün"))
        self.assertNotIn("upstream", asked)
        self.assertEqual(told["origin"]["body"], "hello")

    def test_everything(self) -> None:
        """Every kind of value comes back as it was."""
        answer = RecordedResponse(404, ((b"a", b"\xff"),), b"\xff\xfe", False)
        told = (RecordedExchange("GET", "http://auth/", 200, ((b"b", b""),), b"{}"), RecordedExchange(
            "GET", "http://auth/", 0, (), b"", "ConnectionRefused: no"))  # fmt: skip
        inward = call(values={"user": {"id": 7, "tags": ["a", None, 1.5, True]}}, unwritable=("session",), told=told)
        outward = call(phase="handleResponse", response=answer)
        failed = outcome(
            outward, verdict=None, raised=Raised("ValueError", "no", "plugin.py:3", "Main.handle"), response=answer,
            informational=(103,), fields={"tenant": "a"}, seconds=0.25, rerouted=True, incomparable="why",
        )  # fmt: skip
        made = request(pluginCall(inward), pluginCall(outward, failed), origin=None)
        self.assertEqual(parseRecord(recordText(made)), made)

    def test_later(self) -> None:
        """What a later version adds is passed over."""
        told = json.loads(recordText(request()))
        told["new"] = told["calls"][0]["new"] = told["calls"][0]["call"]["new"] = {"x": 1}
        self.assertEqual(parseRecord(json.dumps(told).encode()), request())

    def test_anyOctets(self) -> None:
        """Whatever is in heads and bodies comes back."""

        @given(octets, octets, octets, st.none() | octets)
        def comesBack(target: bytes, name: bytes, value: bytes, body: bytes | None) -> None:
            made = request(pluginCall(call(target=target, headers=((name, value),), body=body)))
            self.assertEqual(parseRecord(recordText(made)), made)
            self.assertNotIn(b"\n", recordText(made))

        comesBack()
