"""Bodies: read, replaced, filtered here piece by piece, and made here piece by piece."""

from __future__ import annotations

from typing import Any

from revproxy.isolation.frames import (
    Answered,
    BodyChanged,
    Failed,
    Filter,
    NewResponse,
    Piece,
    Pull,
    ReadBody,
    SendRequest,
    Unchanged,
    Waiting,
)
from tests.isolation.inside.rooms import HEAD, RoomCase, answerHead, changed

POST = changed(HEAD, method=b"POST", length=-1)


class ReadingTests(RoomCase):
    """A body that is at the edge."""

    def test_read(self) -> None:
        """It comes when it is read, and is forwarded as it was."""
        self.handles("context.log.info(repr(await context.request.body.read(100)))\nreturn True")
        number = self.room.call(head=POST)
        asked = self.room.take(ReadBody)
        self.assertEqual(asked, ReadBody(1, 1, False, 100))
        self.assertEqual(self.room.take(Waiting).number, number)
        self.room.reply(1, b"content")
        self.assertEqual(self.room.said.pop(0).text, "b'content'")  # type: ignore[union-attr]
        self.assertEqual(self.room.take(Unchanged), Unchanged(number, True))

    def test_twice(self) -> None:
        """The second time it is here already."""
        self.handles("a = await context.request.body.read(100)\nreturn a == await context.request.body.read(100)")
        self.room.call(head=POST)
        self.room.take(ReadBody)
        self.room.take(Waiting)
        self.room.reply(1, b"content")
        self.assertTrue(self.room.take(Unchanged).verdict)

    def test_limit(self) -> None:
        """No more is asked for than the plugin may hold; one that is known to be larger is not asked for at all."""
        self.handles("await context.request.body.read(10 ** 9)\nreturn True")
        self.room.call(head=POST)
        self.assertEqual(self.room.take(ReadBody).limit, 1000)
        self.room.said.clear()
        self.room.call(head=changed(POST, length=1001), request=2)
        self.assertEqual(self.room.take(Failed).kind, "BodyTooLarge")

    def test_tooLarge(self) -> None:
        """The edge says that it is too large; it can be read with a higher limit then, and replaced."""
        self.handles("""
from revproxy.errors import BodyTooLarge
try:
    await context.request.body.read(10)
except BodyTooLarge:
    data = await context.request.body.read(20)
context.request.body.replace(data[:5])
return True
""")
        self.room.call(head=POST)
        first = self.room.take(ReadBody)
        self.room.take(Waiting)
        self.room.reply(first.number, b"", "BodyTooLarge", "body is larger than 10 bytes")
        second = self.room.take(ReadBody)
        self.assertEqual(second.limit, 20)
        self.room.reply(second.number, b"0123456789ab")
        self.assertEqual(self.room.take(Answered).body, BodyChanged(b"01234"))

    def test_clientGone(self) -> None:
        """Why it will never come is told by its own name, so that it is nobody's fault here."""
        self.handles("await context.request.body.read(10)\nreturn True")
        self.room.call(head=POST)
        asked = self.room.take(ReadBody)
        self.room.take(Waiting)
        self.room.reply(asked.number, b"", "ClientGone", "the client has left")
        self.assertEqual(self.room.take(Failed).kind, "ClientGone")

    def test_givenUp(self) -> None:
        """A reading that is given up can be begun again; the bytes that come for the first are for the second."""
        self.handles("""
reading = context.request.body.read(10)
reading.addErrback(lambda _: None)
reading.cancel()
return (await context.request.body.read(10)) == b"abc"
""")
        self.room.call(head=POST)
        first = self.room.take(ReadBody)
        self.room.take(Waiting)
        self.room.reply(first.number, b"abc")
        self.assertTrue(self.room.take(Unchanged).verdict)

    def test_replaced(self) -> None:
        """A body is replaced without being read, also where there is none."""
        self.handles("context.request.body.replace(b'new')\nreturn True")
        for request, head in ((1, POST), (2, HEAD)):
            self.room.call(head=head, request=request)
            self.assertEqual(self.room.take(Answered).body, BodyChanged(b"new"))

    def test_replacedWithNothing(self) -> None:
        """No bytes are a body, too."""
        self.handles("context.request.body.replace(b'')\nreturn True")
        self.room.call(head=POST)
        self.assertEqual(self.room.take(Answered).body, BodyChanged(b""))

    def test_answer(self) -> None:
        """The same of an answer."""
        self.room.load("""
            @implementer(IMiddleware, IResponseMiddleware)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context): return True
                async def handleResponse(self, context):
                    body = context.response.body
                    body.replace((await body.read(100)).upper())
        """)
        self.room.call("handleResponse", response=answerHead(length=5))
        asked = self.room.take(ReadBody)
        self.assertTrue(asked.isResponse)
        self.room.take(Waiting)
        self.room.reply(asked.number, b"hello")
        self.assertEqual(self.room.take(Answered).responseBody, BodyChanged(b"HELLO"))

    def test_onItsWay(self) -> None:
        """The request's body is on its way when the answer comes, as in the edge's own process."""
        self.room.load("""
            @implementer(IMiddleware, IResponseMiddleware)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context): return True
                def handleResponse(self, context):
                    context.request.body.replace(b"late")
        """)
        self.room.call(head=POST)
        self.room.take(Unchanged)
        self.room.call("handleResponse", head=None, response=answerHead())
        self.assertIn("already on its way", self.room.take(Failed).text)


class FilterTests(RoomCase):
    """Filters."""

    def _filter(self, data: bytes, isLast: bool = False, request: int = 1, isResponse: bool = False) -> int:
        number = self.room.number()
        self.room.tell(Filter(number, request, isResponse, data, isLast))
        return number

    def test_pieces(self) -> None:
        """Each piece that comes is answered with what the filters make of it."""
        self.handles("""
context.request.body.addFilter(lambda data, last: data.upper() + (b"!" if last else b""))
context.request.body.addFilter(lambda data, last: data.replace(b"L", b""))
return True
""")
        self.room.call(head=POST)
        self.assertEqual(self.room.take(Answered).body, BodyChanged(None, True))
        number = self._filter(b"hello")
        self.assertEqual(self.room.take(Piece), Piece(number, b"HEO"))
        number = self._filter(b"you", True)
        self.assertEqual(self.room.take(Piece), Piece(number, b"YOU!", True))

    def test_waits(self) -> None:
        """One that answers later says so, and the piece is answered then; also the last."""
        self.handles("""
async def filter(data, last):
    answer = await context.client.get("http://billing/")
    return data + await answer.content()
context.request.body.addFilter(filter)
return True
""")
        self.room.call(head=POST)
        self.room.take(Answered)
        for data, isLast in ((b"a", False), (b"b", False), (b"c", True)):
            number = self._filter(data, isLast)
            asked = self.room.take(SendRequest)
            self.assertEqual(self.room.take(Waiting).number, number)
            self.room.reply(asked.number, [200, b"OK", [], b"!"])
            # The last call comes with no bytes, once all have passed.
            while isinstance(self.room.said[0], SendRequest):
                self.room.reply(self.room.take(SendRequest).number, [200, b"OK", [], b"."])
            made = self.room.take(Piece)
            self.assertEqual(made, Piece(number, b"c!." if isLast else data + b"!", isLast))

    def test_fails(self) -> None:
        """What it raises is the answer to the piece."""
        self.handles("context.request.body.addFilter(lambda data, last: 1 // 0)\nreturn True")
        self.room.call(head=POST)
        self.room.take(Answered)
        number = self._filter(b"x")
        failed = self.room.take(Failed)
        self.assertEqual((failed.number, failed.kind), (number, "ZeroDivisionError"))

    def test_refuses(self) -> None:
        """A filter may refuse."""
        self.handles("""
def filter(data, last): raise Refused(413, b"too much")
context.request.body.addFilter(filter)
return True
""")
        self.room.call(head=POST)
        self.room.take(Answered)
        self._filter(b"x")
        failed = self.room.take(Failed)
        self.assertEqual((failed.status, failed.body), (413, b"too much"))

    def test_readAndFiltered(self) -> None:
        """One that is read is filtered at once, and its whole is told: filtered twice would be wrong."""
        self.handles("""
body = context.request.body
body.addFilter(lambda data, last: data + b"+")
assert await body.read(100) == b"abc++"
return True
""")
        self.room.call(head=POST)
        asked = self.room.take(ReadBody)
        self.room.take(Waiting)
        self.room.reply(asked.number, b"abc")
        self.assertEqual(self.room.take(Answered).body, BodyChanged(b"abc++"))

    def test_readAndFilteredLater(self) -> None:
        """So if the filter answers later: the call does, too."""
        self.handles("""
async def filter(data, last):
    await context.client.get("http://billing/")
    return data.upper()
await context.request.body.read(100)
context.request.body.addFilter(filter)
return True
""")
        number = self.room.call(head=POST)
        asked = self.room.take(ReadBody)
        self.room.take(Waiting)
        self.room.reply(asked.number, b"abc")
        asking = self.room.take(SendRequest)
        self.assertEqual(self.room.take(Waiting).number, number)
        self.room.reply(asking.number, [200, b"OK", [], b""])
        self.assertEqual(self.room.take(Answered), Answered(number, True, body=BodyChanged(b"ABC")))

    def test_readAndFilteredWrongly(self) -> None:
        """If that fails, the call does; half a body must not pass for a whole one."""
        self.handles("""
async def filter(data, last):
    await context.client.get("http://billing/")
    raise ValueError("enough")
await context.request.body.read(100)
context.request.body.addFilter(filter)
return True
""")
        number = self.room.call(head=POST)
        asked = self.room.take(ReadBody)
        self.room.take(Waiting)
        self.room.reply(asked.number, b"abc")
        asking = self.room.take(SendRequest)
        self.room.take(Waiting)
        self.room.reply(asking.number, [200, b"OK", [], b""])
        failed = self.room.take(Failed)
        self.assertEqual((failed.number, failed.kind, failed.text), (number, "ValueError", "enough"))

    def test_over(self) -> None:
        """When the request is over, so is a filter that waits."""
        self.handles("""
async def filter(data, last):
    try:
        await context.client.get("http://billing/")
    finally:
        context.log.info("over")
context.request.body.addFilter(filter)
return True
""")
        self.room.call(head=POST)
        self.room.take(Answered)
        self._filter(b"x")
        self.room.said.clear()
        self.room.over()
        self.assertEqual([type(frame).__name__ for frame in self.room.said], ["Logged"])

    def test_unknown(self) -> None:
        """A piece of a body that nobody filters passes."""
        self.handles("return True")
        number = self._filter(b"x", True, request=9)
        self.assertEqual(self.room.take(Piece), Piece(number, b"x", True))


class PullTests(RoomCase):
    """An answer that is made piece by piece."""

    def _pull(self, ends: bool = False, request: int = 1) -> int:
        number = self.room.number()
        self.room.tell(Pull(number, request, ends))
        return number

    def _pulled(self, **more: Any) -> Any:
        number = self._pull(**more)
        self.room.clock.advance(0)
        made = self.room.said.pop()
        assert isinstance(made, (Piece, Failed)) and made.number == number, made
        self.room.said.clear()
        return made

    def test_pieces(self) -> None:
        """Each is made when it is asked for, and none before."""
        self.handles("""
def pieces():
    for word in ("one", "two"):
        context.log.info(word)
        yield word
return context.respond(200, pieces())
""")
        number = self.room.call()
        self.assertEqual(
            self.room.take(Answered), Answered(number, False, response=NewResponse(200, None, (), None))
        )
        self.room.clock.advance(1)
        self.assertEqual(self.room.said, [], "nothing is made before it is wanted")
        self.assertEqual([self._pulled().data for _ in range(2)], [b"one", b"two"])
        self.assertTrue(self._pulled().isLast)

    def test_waits(self) -> None:
        """A piece that comes later is waited for."""
        self.room.load("""
            @implementer(IMiddleware)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context):
                    async def pieces():
                        answer = await context.client.get("http://billing/")
                        yield await answer.content()
                    return context.respond(200, pieces())
        """)
        self.room.call()
        self.room.take(Answered)
        number = self._pull()
        asked = self.room.take(SendRequest)
        self.assertEqual(self.room.take(Waiting).number, number)
        self.room.reply(asked.number, [200, b"OK", [], b"late"])
        self.assertEqual(self.room.take(Piece), Piece(number, b"late"))
        self.assertTrue(self._pulled().isLast)

    def test_closed(self) -> None:
        """When the rest is not wanted, what makes it is closed."""
        self.handles("""
def pieces():
    try:
        yield b"one"
        yield b"two"
    finally:
        context.log.info("closed")
return context.respond(200, pieces())
""")
        self.room.call()
        self.room.take(Answered)
        self.assertEqual(self._pulled().data, b"one")
        number = self._pull(ends=True)
        self.assertEqual(self.room.said.pop(0).text, "closed")  # type: ignore[union-attr]
        self.assertEqual(self.room.take(Piece), Piece(number, b"", True))

    def test_over(self) -> None:
        """The end of the request closes it, too."""
        self.handles("""
def pieces():
    try:
        yield b"one"
    finally:
        context.log.info("closed")
return context.respond(200, pieces())
""")
        self.room.call()
        self.room.take(Answered)
        self._pulled()
        self.room.over()
        self.assertEqual([frame.text for frame in self.room.said], ["closed"])  # type: ignore[union-attr]

    def test_fails(self) -> None:
        """What it raises is the answer to the pull."""
        self.handles("""
def pieces():
    yield b"one"
    raise ValueError("enough")
return context.respond(200, pieces())
""")
        self.room.call()
        self.room.take(Answered)
        self._pulled()
        failed = self._pulled()
        self.assertEqual((failed.kind, failed.text), ("ValueError", "enough"))

    def test_partOfAnother(self) -> None:
        """An answer that is made around the body of the origin's has that fetched, when it is pulled."""
        self.room.load("""
            from revproxy.context import Response, Headers
            @implementer(IMiddleware, IResponseMiddleware)
            class PluginMain:
                name = "guest"
                def __init__(self, config): pass
                def handle(self, context): return True
                def handleResponse(self, context):
                    context.response = Response(201, None, Headers(), context.response.body)
        """)
        self.room.call("handleResponse", response=answerHead(length=3))
        made = self.room.take(Answered).response
        assert made is not None
        self.assertEqual((made.status, made.body), (201, None))
        number = self._pull()
        asked = self.room.take(ReadBody)
        self.assertEqual((asked.isResponse, asked.limit), (True, 1000))
        self.room.take(Waiting)
        self.room.reply(asked.number, b"abc")
        self.assertEqual(self.room.take(Piece), Piece(number, b"abc"))
        self.assertTrue(self._pulled().isLast)
