"""
What origins do wrong, and what a client may see of it.

A behaviour is a name, what the origin does once it has a request, and an expectation:

- a status and no body: the client gets the edge's own answer with that status;
- :data:`BROKEN`: the client has got a beginning and can tell that it is no more than that, or, where the fault was seen
  in time, a 502;
- a status and a body: the client gets exactly this.

In the bytes ``@`` stands for CRLF.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone, ConnectionLost

BROKEN = "broken"
CLOSE, RESET, CUT, SILENCE, PAUSE = "close", "reset", "cut", "silence", "pause"
"""Steps: an orderly end; a reset; TLS without close_notify; nothing any more; three seconds."""

ENDS = {CLOSE: (ConnectionDone(), False), RESET: (ConnectionLost(), True), CUT: (ConnectionLost(), True)}

Expectation = int | str | tuple[int, bytes]
Behaviour = tuple[str, list[str], Expectation]

OK = "HTTP/1.1 200 OK@"
HELLO = (200, b"hello")
EMPTY = (200, b"")


def _fields(*lines: str) -> str:
    return OK + "".join(line + "@" for line in lines) + "@"


def _chunked(body: str) -> str:
    return _fields("Transfer-Encoding: chunked") + body


TRUNCATED: list[Behaviour] = [
    ("nothing, then closes", [CLOSE], 502),
    ("nothing, then resets", [RESET], 502),
    ("nothing at all", [SILENCE], 504),
    ("part of the status line, then closes", ["HTTP/1.1 20", CLOSE], 502),
    ("part of the status line, then resets", ["HTTP/1.1 20", RESET], 502),
    ("part of the status line, then nothing", ["HTTP/1.1 20", SILENCE], 504),
    ("part of a field, then closes", [OK + "Content-Le", CLOSE], 502),
    ("part of a field, then resets", [OK + "Content-Le", RESET], 502),
    ("no empty line, then closes", [OK + "Content-Length: 5@", CLOSE], 502),
    ("no empty line, then nothing", [OK + "Content-Length: 5@", SILENCE], 504),
    ("no body, then closes", [_fields("Content-Length: 5"), CLOSE], BROKEN),
    ("part of the body, then closes", [_fields("Content-Length: 5") + "hel", CLOSE], BROKEN),
    ("part of the body, then resets", [_fields("Content-Length: 5") + "hel", RESET], BROKEN),
    ("part of the body, then TLS is cut", [_fields("Content-Length: 5") + "hel", CUT], BROKEN),
    ("part of the body, then nothing", [_fields("Content-Length: 5") + "hel", SILENCE], BROKEN),
    ("the body in parts, then closes", [_fields("Content-Length: 5"), "he", "l", CLOSE], BROKEN),
    ("no chunk, then closes", [_chunked(""), CLOSE], BROKEN),
    ("part of a chunk size, then closes", [_chunked("5"), CLOSE], BROKEN),
    ("part of a chunk, then closes", [_chunked("5@hel"), CLOSE], BROKEN),
    ("part of a chunk, then resets", [_chunked("5@hel"), RESET], BROKEN),
    ("a chunk without its end, then closes", [_chunked("5@hello"), CLOSE], BROKEN),
    ("no last chunk, then closes", [_chunked("5@hello@"), CLOSE], BROKEN),
    ("no last chunk, then nothing", [_chunked("5@hello@"), SILENCE], BROKEN),
    ("a last chunk without its end, then closes", [_chunked("5@hello@0"), CLOSE], BROKEN),
    ("no end of trailers, then closes", [_chunked("5@hello@0@"), CLOSE], BROKEN),
    ("part of a trailer, then closes", [_chunked("5@hello@0@A: b"), CLOSE], BROKEN),
    ("a body until the end that is reset", [_fields() + "hello", RESET], BROKEN),
    ("a body until the end that TLS cuts", [_fields() + "hello", CUT], BROKEN),
    ("a body until the end that never ends", [_fields() + "hello", SILENCE], BROKEN),
    ("an HTTP/1.0 body that is reset", ["HTTP/1.0 200 OK@@hello", RESET], BROKEN),
]

EXCESSIVE: list[Behaviour] = [
    ("a byte more than the length", [_fields("Content-Length: 5") + "hello!"], HELLO),
    ("a byte more than the length, later", [_fields("Content-Length: 5") + "hello", "!"], HELLO),
    ("a second answer", [_fields("Content-Length: 5") + "hello" + _fields("Content-Length: 4") + "evil"], HELLO),
    ("a second answer, later", [_fields("Content-Length: 5") + "hello", _fields("Content-Length: 4") + "evil"], HELLO),
    ("a body where the length is 0", [_fields("Content-Length: 0") + "evil"], EMPTY),
    ("an answer behind length 0", [_fields("Content-Length: 0") + _fields("Content-Length: 4") + "evil"], EMPTY),
    ("bytes behind the last chunk", [_chunked("5@hello@0@@evil")], HELLO),
    ("an answer behind the last chunk", [_chunked("5@hello@0@@") + _fields("Content-Length: 4") + "evil"], HELLO),
    ("an answer behind the last chunk, later", [_chunked("5@hello@0@@"), _fields("Content-Length: 4") + "evil"], HELLO),
    ("an empty line behind the body", [_fields("Content-Length: 5") + "hello@"], HELLO),
    ("a request behind the body", [_fields("Content-Length: 5") + "hello", "GET / HTTP/1.1@Host: x@@"], HELLO),
    ("a 204 with a body", ["HTTP/1.1 204 No Content@Content-Length: 4@@evil"], (204, b"")),
    ("a 204 with chunks", ["HTTP/1.1 204 No Content@Transfer-Encoding: chunked@@4@evil@0@@"], (204, b"")),
    ("a 204 with an answer behind", ["HTTP/1.1 204 No Content@@" + _fields("Content-Length: 4") + "evil"], (204, b"")),
    ("a 304 with a body", ["HTTP/1.1 304 Not Modified@Content-Length: 4@@evil"], (304, b"")),
    ("a 304 with chunks", ["HTTP/1.1 304 Not Modified@Transfer-Encoding: chunked@@4@evil@0@@"], (304, b"")),
    ("a 304 with a body, later", ["HTTP/1.1 304 Not Modified@Content-Length: 4@@", "evil"], (304, b"")),
    ("a whole answer, then a reset", [_fields("Content-Length: 5") + "hello", RESET], HELLO),
    ("a whole answer, then the end", [_fields("Content-Length: 5") + "hello", CLOSE], HELLO),
]

FRAMED_WRONGLY: list[Behaviour] = [
    ("length and chunked", [_fields("Content-Length: 5", "Transfer-Encoding: chunked") + "5@hello@0@@"], 502),
    ("chunked and length", [_fields("Transfer-Encoding: chunked", "Content-Length: 5") + "hello"], 502),
    ("two lengths that differ", [_fields("Content-Length: 5", "Content-Length: 6") + "hello!"], 502),
    ("two lengths that agree", [_fields("Content-Length: 5", "Content-Length: 5") + "hello"], 502),
    ("a list of lengths", [_fields("Content-Length: 5, 5") + "hello"], 502),
    ("a negative length", [_fields("Content-Length: -5") + "hello"], 502),
    ("a length with a plus", [_fields("Content-Length: +5") + "hello"], 502),
    ("a length in hexadecimal", [_fields("Content-Length: 0x5") + "hello"], 502),
    ("an empty length", [_fields("Content-Length:") + "hello"], 502),
    ("a length of 30 digits", [_fields("Content-Length: " + "9" * 30) + "hello"], 502),
    ("gzip, chunked", [_fields("Transfer-Encoding: gzip, chunked") + "5@hello@0@@"], 502),
    ("chunked, identity", [_fields("Transfer-Encoding: chunked, identity") + "5@hello@0@@"], 502),
    ("identity", [_fields("Transfer-Encoding: identity", "Content-Length: 5") + "hello"], 502),
    ("chunked twice", [_fields("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "5@hello@0@@"], 502),
    ("an unknown coding", [_fields("Transfer-Encoding: xchunked") + "5@hello@0@@", CLOSE], 502),
    ("chunked run together twice", [_fields("Transfer-Encoding: chunkedchunked") + "5@hello@0@@", CLOSE], 502),
    ("chunked with a comma before", [_fields("Transfer-Encoding: ,chunked") + "5@hello@0@@", CLOSE], 502),
    ("an empty coding", [_fields("Transfer-Encoding:") + "hello", CLOSE], 502),
    ("chunked in HTTP/1.0", ["HTTP/1.0 200 OK@Transfer-Encoding: chunked@@5@hello@0@@", CLOSE], 502),
    ("chunked after a vertical tab", [_fields("Transfer-Encoding: \x0bchunked") + "5@hello@0@@"], 502),
    ("a length that Connection names", [_fields("Connection: content-length", "Content-Length: 5") + "hello"], 502),
    ("a chunk size with 0x", [_chunked("0x5@hello@0@@")], BROKEN),
    ("a chunk size with a plus", [_chunked("+5@hello@0@@")], BROKEN),
    ("a chunk size with a minus", [_chunked("-5@hello@0@@")], BROKEN),
    ("a chunk size with a blank", [_chunked("5 @hello@0@@")], BROKEN),
    ("a chunk size with words behind", [_chunked("5 hello@hello@0 bye@@")], BROKEN),
    ("an empty chunk size", [_chunked("@hello@0@@")], BROKEN),
    ("a chunk size that overflows", [_chunked("F" * 17 + "@hello@0@@")], BROKEN),
    ("a chunk size ended by a line feed", [_chunked("5\nhello@0@@")], BROKEN),
    ("a chunk longer than its size", [_chunked("4@hello@0@@")], BROKEN),
    ("a chunk shorter than its size", [_chunked("6@hello@0@@")], BROKEN),
    ("a chunk extension with a line feed", [_chunked("5;a\nb@hello@0@@")], BROKEN),
    ("an endless chunk extension", [_chunked("5;" + "a" * 10000)], BROKEN),
    ("endless trailers", [_chunked("5@hello@0@" + "A: b@" * 20000)], BROKEN),
    ("a hundred and one trailers", [_chunked("5@hello@0@" + "A: b@" * 101 + "@")], BROKEN),
    ("a trailer of 40000 bytes", [_chunked("5@hello@0@A: " + "a" * 40000 + "@@")], BROKEN),
    ("trailers a byte at a time, for ever", [_chunked("5@hello@0@"), *["A: b@", PAUSE] * 40], BROKEN),
    ("a chunk size a digit at a time, for ever", [_chunked("5@hello@"), *["0", PAUSE] * 15], BROKEN),
    ("a chunk extension a byte at a time, for ever", [_chunked("5@hello@1;"), *["a", PAUSE] * 40], BROKEN),
    ("a chunk extension without a name", [_chunked("5;@hello@0@@")], BROKEN),
    ("a chunk extension of blanks", [_chunked("5; @hello@0@@")], BROKEN),
    ("a chunk extension with open quotes", [_chunked('5;a="@hello@0@@')], BROKEN),
    ("long extensions, and little content", [_chunked(("1;" + "a" * 200 + "@x@") * 500 + "0@@")], BROKEN),
    ("a chunk ended by two carriage returns", [_chunked("5@hello\r@0@@")], BROKEN),
    ("a chunk ended by a line feed", [_chunked("5@hello\n0@@")], BROKEN),
    ("a last chunk ended by a line feed", [_chunked("5@hello@0\n@")], BROKEN),
    ("an end of a line feed", [_chunked("5@hello@0@\n")], BROKEN),
    ("small chunks, one longer than its size", [_chunked("1@h@" * 9 + "1@el@0@@")], BROKEN),
    ("small chunks, one with a line feed", [_chunked("1@h@" * 9 + "1@e\n0@@")], BROKEN),
    ("a trailer that is no field", [_chunked("5@hello@0@evil@@")], BROKEN),
    ("a trailer with a bare line feed", [_chunked("5@hello@0@A: b\nC: d@@")], BROKEN),
    ("a trailer that changes the length", [_chunked("5@hello@0@Content-Length: 9@@")], HELLO),
]

HEADS: list[Behaviour] = [
    ("HTTP/0.9", ["hello", CLOSE], 502),
    ("HTTP/0.9, a page", ["<html>" + "x" * 50000, CLOSE], 502),
    ("HTTP/2.0", ["HTTP/2.0 200 OK@Content-Length: 5@@hello"], 502),
    ("HTTP/1.2", ["HTTP/1.2 200 OK@Content-Length: 5@@hello"], 502),
    ("HTTP/11.1", ["HTTP/11.1 200 OK@Content-Length: 5@@hello"], 502),
    ("HTTP/1.01", ["HTTP/1.01 200 OK@Content-Length: 5@@hello"], 502),
    ("HTTP/5.6", ["HTTP/5.6 200 OK@Content-Length: 5@@hello"], 502),
    ("HTTP/0.9 by name", ["HTTP/0.9 200 OK@Content-Length: 5@@hello"], 502),
    ("RTSP", ["RTSP/1.1 200 OK@Content-Length: 5@@hello"], 502),
    ("frames of HTTP/2", ["\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\xff\xff"], 502),
    ("an alert of TLS", ["\x15\x03\x01\0\x02\x02\x46", CLOSE], 502),
    ("http in lower case", ["http/1.1 200 OK@Content-Length: 5@@hello"], 502),
    ("ICY", ["ICY 200 OK@Content-Length: 5@@hello"], 502),
    ("a status of two digits", ["HTTP/1.1 20 OK@Content-Length: 5@@hello"], 502),
    ("a status of four digits", ["HTTP/1.1 2000 OK@Content-Length: 5@@hello"], 502),
    ("a status of letters", ["HTTP/1.1 two OK@Content-Length: 5@@hello"], 502),
    ("a negative status", ["HTTP/1.1 -20 OK@Content-Length: 5@@hello"], 502),
    ("status 0", ["HTTP/1.1 000 OK@Content-Length: 5@@hello"], 502),
    ("status 99", ["HTTP/1.1 099 OK@Content-Length: 5@@hello"], 502),
    ("status 600", ["HTTP/1.1 600 OK@Content-Length: 5@@hello"], 502),
    ("no status", ["HTTP/1.1@Content-Length: 5@@hello"], 502),
    ("two blanks before the status", ["HTTP/1.1  200 OK@Content-Length: 5@@hello"], 502),
    ("a tab before the status", ["HTTP/1.1\t200 OK@Content-Length: 5@@hello"], 502),
    ("a NUL in the reason", ["HTTP/1.1 200 O\0K@Content-Length: 5@@hello"], 502),
    ("a carriage return in the reason", ["HTTP/1.1 200 O\rK@Content-Length: 5@@hello"], 502),
    ("an empty reason", ["HTTP/1.1 200 @Content-Length: 5@@hello"], HELLO),
    ("no reason, nor the blank before it", ["HTTP/1.1 200@Content-Length: 5@@hello"], HELLO),
    ("high octets in the reason", ["HTTP/1.1 200 \xc3\x96K@Content-Length: 5@@hello"], HELLO),
    ("an empty line first", ["@" + _fields("Content-Length: 5") + "hello"], 502),
    ("rubbish first", ["x" + _fields("Content-Length: 5") + "hello"], 502),
    ("a request", ["GET /evil HTTP/1.1@Host: x@@"], 502),
    ("a folded field", [_fields("A: b@ c", "Content-Length: 5") + "hello"], 502),
    ("a field folded first", [_fields(" A: b", "Content-Length: 5") + "hello"], 502),
    ("a field without a colon", [_fields("evil", "Content-Length: 5") + "hello"], 502),
    ("a field without a name", [_fields(": evil", "Content-Length: 5") + "hello"], 502),
    ("a blank before the colon", [_fields("Content-Length : 5") + "hello"], 502),
    ("a blank in a name", [_fields("A b: c", "Content-Length: 5") + "hello"], 502),
    ("a NUL in a value", [_fields("A: b\0c", "Content-Length: 5") + "hello"], 502),
    ("a control character in a value", [_fields("A: b\x01c", "Content-Length: 5") + "hello"], 502),
    ("a bare carriage return in a value", [_fields("A: b\rSet-Cookie: c", "Content-Length: 5") + "hello"], 502),
    ("a bare line feed in a value", [_fields("A: b\nSet-Cookie: c", "Content-Length: 5") + "hello"], 502),
    ("bare line feeds throughout", ["HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", CLOSE], 502),
    ("a head of 40000 bytes", [_fields("A: " + "a" * 40000, "Content-Length: 5") + "hello"], 502),
    ("a head that never ends", [OK + "A: " + "a" * 100000], 502),
    ("a line that never ends", ["HTTP/1.1 200 " + "a" * 100000], 502),
    ("two hundred fields", [_fields(*["A: b"] * 200, "Content-Length: 5") + "hello"], 502),
]

INFORMATIONAL: list[Behaviour] = [
    ("a hundred times 100", ["HTTP/1.1 100 Continue@@" * 100 + _fields("Content-Length: 5") + "hello"], 502),
    ("a hundred times 103, one by one", ["HTTP/1.1 103 Early Hints@@"] * 100, 502),
    ("100 and nothing more", ["HTTP/1.1 100 Continue@@", SILENCE], 504),
    ("100, then closes", ["HTTP/1.1 100 Continue@@", CLOSE], 502),
    ("100, then an empty line", ["HTTP/1.1 100 Continue@@@" + _fields("Content-Length: 5") + "hello"], 502),
    ("103, then resets", ["HTTP/1.1 103 Early Hints@Link: </a>@@", RESET], 502),
    (
        "100 with a body",
        ["HTTP/1.1 100 Continue@Content-Length: 4@@evil" + _fields("Content-Length: 5") + "hello"],
        502,
    ),
    ("100 with chunks", ["HTTP/1.1 100 Continue@Transfer-Encoding: chunked@@4@evil@0@@"], 502),
    ("101 that nobody asked for", ["HTTP/1.1 101 Switching Protocols@Connection: Upgrade@Upgrade: evil@@"], 502),
    ("101 and rubbish", ["HTTP/1.1 101 Switching Protocols@@" + "evil" * 100], 502),
    (
        "101 with a length",
        ["HTTP/1.1 101 Switching Protocols@Connection: upgrade@Upgrade: h2c@Content-Length: 4@@evil"],
        502,
    ),
    (
        "101 with chunks",
        ["HTTP/1.1 101 Switching Protocols@Connection: upgrade@Upgrade: h2c@Transfer-Encoding: chunked@@4@evil@0@@"],
        502,
    ),
    ("101, then an answer", ["HTTP/1.1 101 Switching Protocols@@" + _fields("Content-Length: 5") + "hello"], 502),
    ("103 a byte at a time, for ever", ["HTTP/1.1 103 Early Hints@", *["A: b@", PAUSE] * 40], 504),
]

ODD_AND_GOOD: list[Behaviour] = [
    ("Keep-Alive of 0 seconds", [_fields("Keep-Alive: timeout=0", "Content-Length: 5") + "hello"], HELLO),
    ("Keep-Alive below 0", [_fields("Keep-Alive: timeout=-1", "Content-Length: 5") + "hello"], HELLO),
    ("Keep-Alive for ages", [_fields(f"Keep-Alive: timeout={'9' * 20}", "Content-Length: 5") + "hello"], HELLO),
    ("Keep-Alive of 5,000 digits", [_fields(f"Keep-Alive: timeout={'9' * 5000}", "Content-Length: 0")], EMPTY),
    ("Keep-Alive twice", [_fields("Keep-Alive: timeout=9", "Keep-Alive: timeout=1", "Content-Length: 0")], EMPTY),
    ("Keep-Alive, then closes at once", [_fields("Keep-Alive: timeout=9", "Content-Length: 0"), CLOSE], EMPTY),
    ("until the end", [_fields() + "hello", CLOSE], HELLO),
    ("HTTP/1.0 until the end", ["HTTP/1.0 200 OK@@hello", CLOSE], HELLO),
    ("HTTP/1.0 with a length", ["HTTP/1.0 200 OK@Content-Length: 5@@hello", CLOSE], HELLO),
    ("HTTP/1.0 kept", ["HTTP/1.0 200 OK@Connection: keep-alive@Content-Length: 5@@hello"], HELLO),
    ("chunks", [_chunked("2@he@3;x=y@llo@0@@")], HELLO),
    ("chunks of a byte", [_chunked("1@h@1@e@1;a@l@01@l@1@o@0@@")], HELLO),
    ("a hundred trailers", [_chunked("5@hello@0@" + "A: b@" * 100 + "@")], HELLO),
    ("trailers, three seconds later", [_chunked("5@hello@0@"), PAUSE, "A: b@", PAUSE, "@"], HELLO),
    ("chunks, byte by byte", list(_chunked("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n").replace("@", "\r\n")), HELLO),
    ("a length with blanks", [_fields("Content-Length:  5 \t") + "hello"], HELLO),
    ("a length between tabs", [_fields("Content-Length:\t5\t") + "hello"], HELLO),
    ("100, then an answer", ["HTTP/1.1 100 Continue@@" + _fields("Content-Length: 5") + "hello"], HELLO),
    ("103, then an answer", ["HTTP/1.1 103 Early Hints@A: b@@", _fields("Content-Length: 5") + "hello"], HELLO),
    ("a head a byte at a time, too slowly", ["HTTP/1.1 200 OK@", *["A", PAUSE] * 20], 504),
    ("a body a byte at a time", [_fields("Content-Length: 5"), *[step for c in "hello" for step in (PAUSE, c)]], HELLO),
    ("an answer after three seconds", [PAUSE, _fields("Content-Length: 5") + "hello"], HELLO),
    ("Connection: close", [_fields("Connection: close", "Content-Length: 5") + "hello", CLOSE], HELLO),
]

BEHAVIOURS = TRUNCATED + EXCESSIVE + FRAMED_WRONGLY + HEADS + INFORMATIONAL + ODD_AND_GOOD
