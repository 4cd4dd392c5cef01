"""One request, as the plugin has it, and what of it is told back."""

from __future__ import annotations

import json

import msgspec

from revproxy.headers import Headers
from revproxy.isolation.frames import Answered, Failed, Unchanged
from revproxy.isolation.inside.toldfields import ToldHeaders, changedFields, headersOf
from tests.isolation.inside.rooms import ALL, HEAD, RoomCase, answerHead, changed


class FieldTests(RoomCase):
    """`changedFields`."""

    def test_same(self) -> None:
        """Nothing is told of what is as it was."""
        headers = headersOf(HEAD.fields)
        before = headers.fields.copy()
        headers.set("X-Tenant", "a")
        self.assertEqual(changedFields(before, headers), ())

    def test_changed(self) -> None:
        """Of each name that has changed, all fields that there are to be."""
        headers = headersOf(((b"A", b"1"), (b"B", b"2"), (b"A", b"3")))
        before = headers.fields.copy()
        headers.add("a", "4")
        headers.remove("B")
        headers.set("C", "5")
        self.assertEqual(
            changedFields(before, headers),
            ((b"a", ((b"A", b"1"), (b"A", b"3"), (b"a", b"4"))), (b"b", ()), (b"c", ((b"C", b"5"),))),
        )

    def test_unseen(self) -> None:
        """What was deleted without being seen is told, once; not if it is there again."""
        headers = headersOf(())
        headers.remove("Server")
        headers.remove("X-Other")
        headers.set("X-Other", "5")
        self.assertEqual(changedFields([], headers), ((b"x-other", ((b"X-Other", b"5"),)), (b"server", ())))
        before = headers.fields.copy()
        self.assertEqual(changedFields(before, headers), ())

    def test_others(self) -> None:
        """Headers of the plugin's own making are compared like any."""
        self.assertEqual(changedFields([], Headers.of({"A": "1"})), ((b"a", ((b"A", b"1"),)),))
        self.assertEqual(ToldHeaders().fields, [])


class RequestTests(RoomCase):
    """`InsideRequest`."""

    def answer(self, body: str, **loaded: object) -> Answered:
        """What comes of a call of ``handle``."""
        self.handles(body, **loaded)
        self.room.call()
        return self.room.take(Answered)

    def test_seen(self) -> None:
        """All that was told is there, under its name."""
        made = self.answer("""
request = context.request
return context.respond(200, repr([
    request.method, request.target, request.path, request.query, request.host, request.scheme, request.version,
    request.headers.get("x-tenant"), request.peer.host, request.hasBody, context.id, context.route, context.upstream,
]))
""").response
        assert made is not None and made.body is not None
        self.assertEqual(
            made.body.decode(),
            "['GET', '/shop?item=5', '/shop', 'item=5', 'www.example.com', 'https', '1.1', 'a', '192.0.2.1', False, "
            "'request-1', 'default', 'app']",
        )

    def test_line(self) -> None:
        """Method, target and host are told if they were changed; with the host no field of that name is."""
        answered = self.answer("""
context.request.method = "POST"
context.request.path = "/other"
context.request.host = "other.example.com"
return True
""")
        self.assertEqual(
            (answered.method, answered.target, answered.host), (b"POST", b"/other?item=5", b"other.example.com")
        )
        self.assertEqual(answered.fields, ())

    def test_part(self) -> None:
        """What was not changed is not told."""
        answered = self.answer("context.request.path = '/other'\nreturn True")
        self.assertEqual((answered.method, answered.target, answered.host), (None, b"/other?item=5", None))

    def test_values(self) -> None:
        """Plain values go to and fro; others stay here, and what is gone is told."""
        self.handles("""
values = context.values
values["seen"] = values.pop("told")
values["object"] = object()
values["list"] = [1, {"a": None}]
return True
""")
        self.room.call(values=msgspec.msgpack.encode({"told": 5, "kept": "x"}))
        values = msgspec.msgpack.decode(self.room.take(Answered).values)
        self.assertEqual(values, {"seen": 5, "told": None, "list": [1, {"a": None}]})

    def test_noted(self) -> None:
        """Fields for the log and an id are told."""
        answered = self.answer("context.fields['tenant'] = 'a'\ncontext.id = 'mine'\nreturn True")
        self.assertEqual((answered.logged, answered.id), ({"tenant": "a"}, "mine"))

    def test_goal(self) -> None:
        """An upstream, a target and a new route are told; the targets are those that the edge has told last."""
        self.handles("""
context.upstream = "billing"
context.origin = context.origins[-1]
context.reroute()
return True
""")
        targets = {"billing": (("http://a", True), ("http://b", True), ("http://c", False))}
        self.room.call(targets=targets)
        answered = self.room.take(Answered)
        self.assertEqual((answered.upstream, answered.origin, answered.reroutes), ("billing", "http://b", True))
        self.room.call(request=2)
        self.assertEqual(self.room.take(Answered).origin, "http://b")

    def test_noSuchUpstream(self) -> None:
        """One that was not granted, and one that there is not, are refused here."""
        self.handles("context.upstream = context.request.headers.get('X-Tenant')\nreturn True")
        for name, kind in (("other", "NotPermitted"), ("app", "ValueError")):
            self.room.call(head=changed(HEAD, fields=((b"X-Tenant", name.encode()),)), request=len(name))
            self.assertEqual(self.room.take(Failed).kind, kind)

    def test_headAgain(self) -> None:
        """Others have changed the request meanwhile: it is what is told last."""
        self.room.load("""
            @implementer(IMiddleware, IResponseMiddleware)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context): return True
                def handleResponse(self, context):
                    context.response.headers.set("X-Path", context.request.path + context.request.host)
        """)
        self.room.call()
        self.room.take(Unchanged)
        again = changed(HEAD, target=b"/new", host=b"new.example.com")
        number = self.room.call("handleResponse", head=again, response=answerHead())
        self.assertEqual(
            self.room.take(Answered),
            Answered(number, responseFields=((b"x-path", ((b"X-Path", b"/newnew.example.com"),)),)),
        )

    def test_hidden(self) -> None:
        """What it may not see says so."""
        self.handles("return context.request.host", permissions=json.dumps({**ALL, "read_headers": []}).encode())
        self.room.call(head=changed(HEAD, host=b"", fields=()))
        self.assertIn("read_headers: :authority", self.room.take(Failed).text)

    def test_reason(self) -> None:
        """The status and reason of the answer are told."""
        self.room.load("""
            @implementer(IMiddleware, IResponseMiddleware)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context): return True
                def handleResponse(self, context):
                    context.response.status, context.response.reason = 418, "Teapot"
        """)
        self.room.call("handleResponse", response=answerHead())
        answered = self.room.take(Answered)
        self.assertEqual((answered.status, answered.reason, answered.response), (418, b"Teapot", None))
