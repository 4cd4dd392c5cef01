"""
Requests that are malformed, ambiguous, or merely odd, and what must come of each.

An entry is a name, the bytes, and an expectation:

- a status: the head is refused with it, the connection is closed, and the origin sees nothing;
- :data:`BROKEN`: the head is fine but the body is not, so the origin may see a beginning and never a whole request;
- :data:`UNFINISHED`: more bytes are awaited, and none come: the same for the origin;
- a list: the origin sees exactly these requests, as (method, target, body).

``@`` stands for CRLF.
"""

from __future__ import annotations

BROKEN = "broken"
UNFINISHED = "unfinished"

Meaning = tuple[bytes, bytes, bytes]
Expectation = int | str | list[Meaning]
Transcript = tuple[str, bytes, Expectation]


def wire(text: str) -> bytes:
    """Text as bytes, with ``@`` for CRLF."""
    return text.replace("@", "\r\n").encode("latin-1")


def _get(fields: str, target: str = "/a") -> bytes:
    """A GET with these lines after Host."""
    return wire(f"GET {target} HTTP/1.1@Host: x@{fields}@")


def _post(fields: str, body: str, version: str = "1.1") -> bytes:
    return wire(f"POST /a HTTP/{version}@Host: x@{fields}@{body}")


def _line(line: str) -> bytes:
    return wire(f"{line}@Host: x@@")


def _chunked(body: str, fields: str = "") -> bytes:
    return _post(f"Transfer-Encoding: chunked@{fields}", body)


def _host(value: str) -> bytes:
    return wire(f"GET /a HTTP/1.1@Host: {value}@@")


GET: list[Meaning] = [(b"GET", b"/a", b"")]


def _posted(body: bytes) -> list[Meaning]:
    return [(b"POST", b"/a", body)]


def _asked(method: bytes, body: bytes = b"") -> list[Meaning]:
    return [(method, b"/a", body)]


def _odd(fields: str, body: str, version: str = "1.1") -> bytes:
    """As a POST, and of another name."""
    return wire(f"FROBNICATE /a HTTP/{version}@Host: x@{fields}@{body}")


LENGTHS: list[Transcript] = [
    ("Content-Length and chunked", _post("Content-Length: 5@Transfer-Encoding: chunked@", "0@@"), 400),
    ("chunked and Content-Length", _post("Transfer-Encoding: chunked@Content-Length: 5@", "0@@"), 400),
    ("chunked and Content-Length 0", _post("Transfer-Encoding: chunked@Content-Length: 0@", "0@@"), 400),
    ("GET with both", _get("Content-Length: 6@Transfer-Encoding: chunked@") + b"0\r\n\r\nG", 400),
    ("two lengths that differ", _post("Content-Length: 5@Content-Length: 6@", "hello!"), 400),
    ("two lengths that agree", _post("Content-Length: 5@Content-Length: 5@", "hello"), 400),
    ("two lengths in a list", _post("Content-Length: 5, 5@", "hello"), 400),
    ("two lengths in a list that differ", _post("Content-Length: 5, 6@", "hello!"), 400),
    ("negative length", _post("Content-Length: -5@", "hello"), 400),
    ("length with a plus", _post("Content-Length: +5@", "hello"), 400),
    ("length in hexadecimal", _post("Content-Length: 0x5@", "hello"), 400),
    ("length with an underscore", _post("Content-Length: 1_0@", "hellohello"), 400),
    ("length with a fraction", _post("Content-Length: 5.0@", "hello"), 400),
    ("length with an exponent", _post("Content-Length: 5e0@", "hello"), 400),
    ("empty length", _post("Content-Length:@", ""), 400),
    ("length of blanks", _post("Content-Length:   @", ""), 400),
    ("length with a blank inside", _post("Content-Length: 5 0@", "hello"), 400),
    ("length that overflows 64 bits", _post("Content-Length: 18446744073709551621@", "hello"), 400),
    ("length of 400 digits", _post("Content-Length: " + "9" * 400 + "@", "hello"), 400),
    ("length with Unicode digits", _post("Content-Length: \xb2@", "he"), 400),
    ("length in quotes", _post('Content-Length: "5"@', "hello"), 400),
    ("length with a comma behind", _post("Content-Length: 5,@", "hello"), 400),
    ("length after a vertical tab", _post("Content-Length: \x0b5@", "hello"), 400),
    ("length after a form feed", _post("Content-Length: \x0c5@", "hello"), 400),
    ("length with a NUL behind", _post("Content-Length: 5\0@", "hello"), 400),
    ("length with blanks around", _post("Content-Length:  \t5 \t @", "hello"), _posted(b"hello")),
    ("length with leading zeros", _post("Content-Length: 005@", "hello"), _posted(b"hello")),
    ("length in lower case", _post("content-length: 5@", "hello"), _posted(b"hello")),
    ("length 0", _post("Content-Length: 0@", ""), _posted(b"")),
    ("no length at all", _post("", ""), _posted(b"")),
    ("body shorter than its length", _post("Content-Length: 50@", "hello"), UNFINISHED),
    ("GET with a body", _get("Content-Length: 5@") + b"hello", [(b"GET", b"/a", b"hello")]),
    ("HTTP/1.0 with a body", _post("Content-Length: 5@", "hello", "1.0"), _posted(b"hello")),
    ("blank before the colon of the length", _post("Content-Length : 5@", "hello"), 400),
    ("length folded", _post("Content-Length:@ 5@", "hello"), 400),
    ("length named with an underscore", _post("Content_Length: 5@", ""), _posted(b"")),
    ("the length nominated by Connection", _post("Connection: Content-Length@Content-Length: 5@", "hello"), 400),
]

CODINGS: list[Transcript] = [
    ("identity, then chunked", _post("Transfer-Encoding: identity, chunked@", "0@@"), 501),
    ("identity alone", _post("Transfer-Encoding: identity@", ""), 400),
    ("identity with a length", _post("Transfer-Encoding: identity@Content-Length: 5@", "hello"), 400),
    ("chunked, then identity", _post("Transfer-Encoding: chunked, identity@", "0@@"), 400),
    ("chunked twice", _post("Transfer-Encoding: chunked, chunked@", "0@@"), 400),
    ("chunked in two fields", _post("Transfer-Encoding: chunked@Transfer-Encoding: chunked@", "0@@"), 400),
    (
        "chunked and identity in two fields",
        _post("Transfer-Encoding: chunked@Transfer-Encoding: identity@", "0@@"),
        400,
    ),
    ("gzip, chunked", _post("Transfer-Encoding: gzip, chunked@", "0@@"), 501),
    ("gzip in a field before", _post("Transfer-Encoding: gzip@Transfer-Encoding: chunked@", "0@@"), 501),
    ("an unknown coding", _post("Transfer-Encoding: xchunked@", "0@@"), 400),
    ("chunked with a parameter", _post("Transfer-Encoding: chunked;q=1@", "0@@"), 400),
    ("chunked in quotes", _post('Transfer-Encoding: "chunked"@', "0@@"), 400),
    ("chunked with a comma behind", _post("Transfer-Encoding: chunked,@", "0@@"), 400),
    ("chunked with a comma before", _post("Transfer-Encoding: ,chunked@", "0@@"), 501),
    ("empty coding", _post("Transfer-Encoding:@", "0@@"), 400),
    ("empty coding with a length", _post("Transfer-Encoding:@Content-Length: 5@", "hello"), 400),
    ("chunked after a vertical tab", _post("Transfer-Encoding: \x0bchunked@", "0@@"), 400),
    ("chunked before a vertical tab", _post("Transfer-Encoding: chunked\x0b@", "0@@"), 400),
    ("chunked with a NUL", _post("Transfer-Encoding: chunked\0@", "0@@"), 400),
    ("chunked after a bare line feed", _post("Transfer-Encoding:\nchunked@", "0@@"), 400),
    ("chunked folded", _post("Transfer-Encoding:@ chunked@", "0@@"), 400),
    ("blank before the colon", _post("Transfer-Encoding : chunked@", "0@@"), 400),
    ("tab before the colon", _post("Transfer-Encoding\t: chunked@", "0@@"), 400),
    ("blank before the name", _post(" Transfer-Encoding: chunked@", "0@@"), 400),
    ("blank before the name, second field", _post("A: b@ Transfer-Encoding: chunked@", "0@@"), 400),
    ("a control character in the name", _post("Transfer\x01-Encoding: chunked@", "0@@"), 400),
    ("a high octet in the name", _post("\xd4ransfer-Encoding: chunked@", "0@@"), 400),
    ("chunked with an octet above ASCII", _post("Transfer-Encoding: chun\xebed@", "0@@"), 400),
    ("chunked in HTTP/1.0", _post("Transfer-Encoding: chunked@", "0@@", "1.0"), 400),
    (
        "chunked in HTTP/1.0 with keep-alive and a length",
        _post("Connection: keep-alive@Content-Length: 5@Transfer-Encoding: chunked@", "hello", "1.0"),
        400,
    ),
    ("chunked in capitals", _post("Transfer-Encoding: CHUNKED@", "5@hello@0@@"), _posted(b"hello")),
    ("chunked with blanks around", _post("Transfer-Encoding: \t chunked  @", "5@hello@0@@"), _posted(b"hello")),
    ("chunked named with an underscore", _post("Transfer_Encoding: chunked@", ""), _posted(b"")),
    (
        "the coding nominated by Connection",
        _post("Connection: Transfer-Encoding@Transfer-Encoding: chunked@", "0@@"),
        400,
    ),
    (
        "a GET that is chunked",
        _get("Transfer-Encoding: chunked@") + b"3\r\nabc\r\n0\r\n\r\n",
        [(b"GET", b"/a", b"abc")],
    ),
]

CHUNKS: list[Transcript] = [
    ("plain", _chunked("5@hello@6@ world@0@@"), _posted(b"hello world")),
    ("no data", _chunked("0@@"), _posted(b"")),
    ("size in capitals", _chunked("A@helloworld@0@@"), _posted(b"helloworld")),
    ("size with leading zeros", _chunked("0005@hello@0000@@"), _posted(b"hello")),
    ("last chunk of many zeros", _chunked("5@hello@00000000@@"), _posted(b"hello")),
    ("an extension", _chunked("5;a=b@hello@0;c@@"), _posted(b"hello")),
    ("an extension in quotes", _chunked('5;a="b;c"@hello@0@@'), _posted(b"hello")),
    ("size with 0x", _chunked("0x5@hello@0@@"), BROKEN),
    ("size with a plus", _chunked("+5@hello@0@@"), BROKEN),
    ("size with a minus", _chunked("-5@hello@0@@"), BROKEN),
    ("size with an underscore", _chunked("0_5@hello@0@@"), BROKEN),
    ("size with a blank before", _chunked(" 5@hello@0@@"), BROKEN),
    ("size with a blank behind", _chunked("5 @hello@0@@"), BROKEN),
    ("size with a tab behind", _chunked("5\t@hello@0@@"), BROKEN),
    ("size with a blank before the extension", _chunked("5 ;a@hello@0@@"), BROKEN),
    ("size of no digits", _chunked("@hello@0@@"), BROKEN),
    ("size of an extension only", _chunked(";a@hello@0@@"), BROKEN),
    ("size that is no number", _chunked("g@hello@0@@"), BROKEN),
    ("size with h behind", _chunked("5h@hello@0@@"), BROKEN),
    ("size with a NUL behind", _chunked("5\0@hello@0@@"), BROKEN),
    ("size that overflows 32 bits", _chunked("100000005@hello@0@@"), UNFINISHED),
    ("size that overflows 64 bits", _chunked("10000000000000005@hello@0@@"), BROKEN),
    ("size of a hundred zeros", _chunked("0" * 100 + "5@hello@0@@"), BROKEN),
    ("size ended by a line feed", _chunked("5\nhello@0@@"), BROKEN),
    ("size ended by a carriage return", _chunked("5\rhello@0@@"), BROKEN),
    ("data ended by a line feed", _chunked("5@hello\n0@@"), BROKEN),
    ("data ended by a carriage return", _chunked("5@hello\r0@@"), BROKEN),
    ("data not ended", _chunked("5@hello0@@"), BROKEN),
    ("data longer than its size", _chunked("5@hello!@0@@"), BROKEN),
    ("data shorter than its size", _chunked("7@hello@0@@"), BROKEN),
    ("line feed in an extension", _chunked("5;a\nb@hello@0@@"), BROKEN),
    ("carriage return in an extension", _chunked("5;a\rb@hello@0@@"), BROKEN),
    ("NUL in an extension", _chunked("5;a\0@hello@0@@"), BROKEN),
    ("an endless extension", _chunked("5;" + "a" * 10000 + "@hello@0@@"), BROKEN),
    ("size and extension in quotes with a line feed", _chunked('5;a="\n"@hello@0@@'), BROKEN),
    ("last chunk ended by a line feed", _chunked("5@hello@0\n@"), BROKEN),
    ("trailers ended by a line feed", _chunked("5@hello@0@\n"), BROKEN),
    ("no end", _chunked("5@hello@"), UNFINISHED),
    ("no empty line at the end", _chunked("5@hello@0@"), UNFINISHED),
    ("half an empty line at the end", _chunked("5@hello@0@\r"), UNFINISHED),
    ("a trailer nobody announced", _chunked("5@hello@0@A: b@@"), _posted(b"hello")),
    ("a trailer announced", _chunked("5@hello@0@A: b@@", "Trailer: A@"), _posted(b"hello")),
    ("a trailer with a length", _chunked("5@hello@0@Content-Length: 5@@"), _posted(b"hello")),
    (
        "a length announced as a trailer",
        _chunked("5@hello@0@Content-Length: 5@@", "Trailer: Content-Length@"),
        _posted(b"hello"),
    ),
    (
        "a coding announced as a trailer",
        _chunked("0@Transfer-Encoding: chunked@@", "Trailer: Transfer-Encoding@"),
        _posted(b""),
    ),
    ("a host announced as a trailer", _chunked("0@Host: evil@@", "Trailer: Host@"), _posted(b"")),
    ("a trailer without a colon", _chunked("5@hello@0@ab@@"), BROKEN),
    ("a trailer with a blank before the colon", _chunked("5@hello@0@A : b@@"), BROKEN),
    ("a trailer folded", _chunked("5@hello@0@A: b@ c@@"), BROKEN),
    ("a trailer with a bare line feed", _chunked("5@hello@0@A: b\nC: d@@"), BROKEN),
    ("a trailer with a NUL", _chunked("5@hello@0@A: \0@@"), BROKEN),
    ("endless trailers", _chunked("0@" + "A: b@" * 20000 + "@"), BROKEN),
    ("a hundred trailers", _chunked("5@hello@0@" + "A: b@" * 100 + "@"), _posted(b"hello")),
    ("a hundred and one trailers", _chunked("5@hello@0@" + "A: b@" * 101 + "@"), BROKEN),
    ("a hundred and one trailers announced", _chunked("0@" + "A: b@" * 101 + "@", "Trailer: A@"), BROKEN),
    ("a trailer of 40000 bytes", _chunked("0@A: " + "a" * 40000 + "@@"), BROKEN),
    ("a trailer without a name", _chunked("0@: b@@"), BROKEN),
    ("a chunk behind the last", _chunked("5@hello@0@5@hello@0@@"), BROKEN),
]

_MANY = "1@a@" * 9

SMALL_CHUNKS: list[Transcript] = [
    ("ten thousand chunks of a byte", _chunked("1@x@" * 10000 + "0@@"), _posted(b"x" * 10000)),
    ("chunks of one byte and two", _chunked("1@a@2@bc@" * 9 + "0@@"), _posted(b"abc" * 9)),
    (
        "chunks of every small size",
        _chunked("".join(f"{size:x}@{'x' * size}@" for size in range(1, 80)) + "0@@"),
        _posted(b"x" * sum(range(80))),
    ),
    ("small chunks, sizes in capitals", _chunked(_MANY + "F@" + "b" * 15 + "@0@@"), _posted(b"a" * 9 + b"b" * 15)),
    ("small chunks, sizes of 15 digits", _chunked(("0" * 14 + "1@a@") * 9 + "0@@"), _posted(b"a" * 9)),
    ("small chunks, a size of 16 digits", _chunked(_MANY + "0" * 15 + "1@a@0@@"), BROKEN),
    ("small chunks, two digits of 16", _chunked(_MANY + "0" * 14 + "10@" + "a" * 16 + "@0@@"), BROKEN),
    ("small chunks with extensions", _chunked('1;a;b=c;d=";"@x@' * 9 + "0@@"), _posted(b"x" * 9)),
    (
        "small chunks that look like chunks",
        _chunked("5@0@@@" * 9 + "3@1@@2@@@0@@"),
        _posted(b"0\r\n\r\n" * 9 + b"1\r\n\r\n"),
    ),
    ("small chunks of carriage returns", _chunked("1@\r@" * 9 + "0@@"), _posted(b"\r" * 9)),
    ("small chunks of line feeds", _chunked("1@\n@2@\n\r@" * 9 + "0@@"), _posted(b"\n\n\r" * 9)),
    ("small chunks, one longer than its size", _chunked(_MANY + "1@ab@0@@"), BROKEN),
    ("small chunks, one shorter than its size", _chunked(_MANY + "2@a@0@@"), BROKEN),
    ("small chunks, one size that is no number", _chunked(_MANY + "g@a@0@@"), BROKEN),
    ("small chunks, one size with 0x", _chunked(_MANY + "0x1@a@0@@"), BROKEN),
    ("small chunks, one size with a blank", _chunked(_MANY + "1 @a@0@@"), BROKEN),
    ("small chunks, one extension of blanks", _chunked(_MANY + "1; @a@0@@"), BROKEN),
    ("small chunks, an empty line between", _chunked(_MANY + "@1@a@0@@"), BROKEN),
    ("small chunks, one that is not ended", _chunked(_MANY + "1@a0@@"), BROKEN),
    ("small chunks, a last one of many zeros", _chunked(_MANY + "000@@"), _posted(b"a" * 9)),
]

EXTENSIONS: list[Transcript] = [
    ("extensions of all kinds", _chunked('5;a;b=c;d="e f"@hello@0;g="\t\xe4"@@'), _posted(b"hello")),
    ("an extension with pairs in quotes", _chunked('5;a="\\"\\\\b"@hello@0@@'), _posted(b"hello")),
    ("an extension of an empty string", _chunked('5;a=""@hello@0@@'), _posted(b"hello")),
    ("a signature for each chunk", _chunked(f"5;chunk-signature={'0f' * 32}@hello@0@@"), _posted(b"hello")),
    ("an extension without a name", _chunked("5;@hello@0@@"), BROKEN),
    ("an extension without a name, on the last chunk", _chunked("5@hello@0;@@"), BROKEN),
    ("an extension of a value", _chunked("5;=b@hello@0@@"), BROKEN),
    ("an extension without its value", _chunked("5;a=@hello@0@@"), BROKEN),
    ("an extension of two values", _chunked("5;a=b=c@hello@0@@"), BROKEN),
    ("two semicolons", _chunked("5;;a@hello@0@@"), BROKEN),
    ("a semicolon behind the extension", _chunked("5;a;@hello@0@@"), BROKEN),
    ("a comma for the semicolon", _chunked("5,a@hello@0@@"), BROKEN),
    ("a comma in an extension", _chunked("5;a,b@hello@0@@"), BROKEN),
    ("a parenthesis in an extension", _chunked("5;a(b)@hello@0@@"), BROKEN),
    ("a high octet in an extension", _chunked("5;\xe4@hello@0@@"), BROKEN),
    ("a DEL in an extension", _chunked("5;a\x7f@hello@0@@"), BROKEN),
    ("a blank before an extension's name", _chunked("5; a@hello@0@@"), BROKEN),
    ("a blank behind an extension", _chunked("5;a @hello@0@@"), BROKEN),
    ("a tab behind an extension", _chunked("5;a\t@hello@0@@"), BROKEN),
    ("a blank before the value of an extension", _chunked("5;a= b@hello@0@@"), BROKEN),
    ("a blank behind the name of an extension", _chunked("5;a =b@hello@0@@"), BROKEN),
    ("a tab before the extension", _chunked("5\t;a@hello@0@@"), BROKEN),
    ("quotes that are not closed", _chunked('5;a="b@hello@0@@'), BROKEN),
    ("quotes that a pair keeps open", _chunked('5;a="b\\"@hello@0@@'), BROKEN),
    ("something behind the quotes", _chunked('5;a="b"c@hello@0@@'), BROKEN),
    ("quotes for a name", _chunked('5;"a"@hello@0@@'), BROKEN),
    ("a line end in quotes", _chunked('5;a="@"@hello@0@@'), BROKEN),
    ("a line end behind a backslash", _chunked('5;a="\\@"@hello@0@@'), BROKEN),
    ("a NUL in quotes", _chunked('5;a="\0"@hello@0@@'), BROKEN),
    (
        "long extensions, and content",
        _chunked(("64;" + "a" * 200 + "@" + "x" * 100 + "@") * 500 + "0@@"),
        _posted(b"x" * 50000),
    ),
    ("long extensions, and little content", _chunked(("1;" + "a" * 200 + "@x@") * 500 + "0@@"), BROKEN),
]

CHUNK_LINE_ENDS: list[Transcript] = [
    ("a line feed before a size", _chunked("5@hello@\n0@@"), BROKEN),
    ("a carriage return before a size", _chunked("5@hello@\r0@@"), BROKEN),
    ("an empty line before a size", _chunked("5@hello@@0@@"), BROKEN),
    ("a size with two carriage returns", _chunked("5\r@hello@0@@"), BROKEN),
    ("a size ended the wrong way round", _chunked("5\n\rhello@0@@"), BROKEN),
    ("an extension ended by a line feed", _chunked("5;a\nhello@0@@"), BROKEN),
    ("an extension ended by a carriage return", _chunked("5;a\rhello@0@@"), BROKEN),
    ("an extension with two carriage returns", _chunked("5;a\r@hello@0@@"), BROKEN),
    ("data ended by two carriage returns", _chunked("5@hello\r@0@@"), BROKEN),
    ("data ended the wrong way round", _chunked("5@hello\n\r0@@"), BROKEN),
    ("data ended by a NUL and a line feed", _chunked("5@hello\0\n0@@"), BROKEN),
    ("data ended by another line end", _chunked("5@hello\x85\n0@@"), BROKEN),
    ("the last chunk ended by a carriage return", _chunked("5@hello@0\r@"), BROKEN),
    ("the end of a carriage return and another byte", _chunked("5@hello@0@\rx"), BROKEN),
    ("the end with two carriage returns", _chunked("5@hello@0@\r@"), BROKEN),
    ("a trailer ended by a line feed", _chunked("0@A: b\n@"), BROKEN),
    ("a trailer ended by a carriage return", _chunked("0@A: b\rC: d@@"), BROKEN),
    ("a trailer with two carriage returns", _chunked("0@A: b\r@@"), BROKEN),
    ("a trailer, and the end of a line feed", _chunked("0@A: b@\n"), BROKEN),
    ("a trailer, and half an end", _chunked("0@A: b@\r"), UNFINISHED),
]

HOSTS: list[Transcript] = [
    ("no host", wire("GET /a HTTP/1.1@@"), 400),
    ("no host in HTTP/1.0", wire("GET /a HTTP/1.0@@"), GET),
    ("two hosts that differ", _get("Host: y@"), 400),
    ("two hosts that agree", _get("Host: x@"), 400),
    ("two hosts in HTTP/1.0", wire("GET /a HTTP/1.0@Host: x@Host: y@@"), 400),
    ("an empty host", _host(""), 400),
    ("a host of blanks", _host("  \t"), 400),
    ("a list of hosts", _host("x, y"), 400),
    ("a user in the host", _host("user@x".replace("@", "%40")), GET),
    ("userinfo in the host", b"GET /a HTTP/1.1\r\nHost: user@x\r\n\r\n", 400),
    ("user and password in the host", b"GET /a HTTP/1.1\r\nHost: user:pass@x\r\n\r\n", 400),
    ("a path in the host", _host("x/y"), 400),
    ("a query in the host", _host("x?y"), 400),
    ("a fragment in the host", _host("x#y"), 400),
    ("a backslash in the host", _host("x\\y"), 400),
    ("a blank in the host", _host("x y"), 400),
    ("a tab in the host", _host("x\ty"), 400),
    ("a NUL in the host", _host("x\0y"), 400),
    ("a URL for a host", _host("http://x"), 400),
    ("a host with a high octet", _host("\xfc"), 400),
    ("a port that is no number", _host("x:y"), 400),
    ("a port that is too large", _host("x:65536"), 400),
    ("a negative port", _host("x:-1"), 400),
    ("two ports", _host("x:1:2"), 400),
    ("an address that is not closed", _host("[::1"), 400),
    ("rubbish behind an address", _host("[::1]x"), 400),
    ("an address in brackets that is none", _host("[xyz]"), 400),
    ("an address in brackets", _host("[::1]:80"), GET),
    ("an empty port", _host("x:"), GET),
    ("a host folded", wire("GET /a HTTP/1.1@Host:@ x@@"), 400),
    ("blank before the colon of the host", wire("GET /a HTTP/1.1@Host : x@@"), 400),
    ("the host nominated by Connection", _get("Connection: host@"), 400),
    ("an absolute target and its host", _line("GET http://x/a HTTP/1.1"), GET),
    ("an absolute target with another host", _line("GET http://y/a HTTP/1.1"), 400),
    ("an absolute target with another port", _line("GET http://x:81/a HTTP/1.1"), 400),
    ("an absolute target with a user", b"GET http://u@x/a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("an absolute target with a user in both", b"GET http://u@x/a HTTP/1.1\r\nHost: u@x\r\n\r\n", 400),
    ("an absolute target and no host", wire("GET http://x/a HTTP/1.1@@"), 400),
    ("an absolute target without authority", _line("GET http:///a HTTP/1.1"), 400),
    ("an absolute target of another scheme", _line("GET ftp://x/a HTTP/1.1"), 400),
    ("an absolute target without a path", _line("GET http://x HTTP/1.1"), [(b"GET", b"/", b"")]),
    ("an absolute target with a query only", _line("GET http://x?q HTTP/1.1"), [(b"GET", b"/?q", b"")]),
]

LINES: list[Transcript] = [
    ("HTTP/0.9", wire("GET /a@"), UNFINISHED),
    ("HTTP/0.9 with an empty line", wire("GET /a@@"), 400),
    ("HTTP/0.9 by name", _line("GET /a HTTP/0.9"), 505),
    ("HTTP/2.0", _line("GET /a HTTP/2.0"), 505),
    ("HTTP/1.2", _line("GET /a HTTP/1.2"), 505),
    ("HTTP/9.9", _line("GET /a HTTP/9.9"), 505),
    ("HTTP/1.10", _line("GET /a HTTP/1.10"), 400),
    ("HTTP/1", _line("GET /a HTTP/1"), 400),
    ("HTTP/1.", _line("GET /a HTTP/1."), 400),
    ("HTTP/.1", _line("GET /a HTTP/.1"), 400),
    ("HTTP/01.1", _line("GET /a HTTP/01.1"), 400),
    ("HTTP/01.01", _line("GET /a HTTP/01.01"), 400),
    ("HTTP/11", _line("GET /a HTTP/11"), 400),
    ("HTTP/1,1", _line("GET /a HTTP/1,1"), 400),
    ("HTTP/a.b", _line("GET /a HTTP/a.b"), 400),
    ("HTTP/-1.1", _line("GET /a HTTP/-1.1"), 400),
    ("a version with a letter behind", _line("GET /a HTTP/1.1x"), 400),
    ("http/1.1", _line("GET /a http/1.1"), 400),
    ("HTTPS/1.1", _line("GET /a HTTPS/1.1"), 400),
    ("HTTP /1.1", _line("GET /a HTTP /1.1"), 400),
    ("no version and a blank", _line("GET /a "), 400),
    ("a blank behind the version", _line("GET /a HTTP/1.1 "), 400),
    ("two blanks before the target", _line("GET  /a HTTP/1.1"), 400),
    ("two blanks behind the target", _line("GET /a  HTTP/1.1"), 400),
    ("a blank in the target", _line("GET /a b HTTP/1.1"), 400),
    ("a tab for the blank", _line("GET\t/a HTTP/1.1"), 400),
    ("a tab for the second blank", _line("GET /a\tHTTP/1.1"), 400),
    ("a form feed for the blank", _line("GET\x0c/a HTTP/1.1"), 400),
    ("a blank before the method", _line(" GET /a HTTP/1.1"), 400),
    ("no target", _line("GET  HTTP/1.1"), 400),
    ("* for GET", _line("GET * HTTP/1.1"), 400),
    ("* for OPTIONS", _line("OPTIONS * HTTP/1.1"), [(b"OPTIONS", b"*", b"")]),
    ("a target that is no path", _line("GET a HTTP/1.1"), 400),
    ("a target that is a host and port", _line("GET x:80 HTTP/1.1"), 400),
    ("a fragment in the target", _line("GET /a#b HTTP/1.1"), 400),
    ("a NUL in the target", _line("GET /a\0b HTTP/1.1"), 400),
    ("a control character in the target", _line("GET /a\x01b HTTP/1.1"), 400),
    ("a DEL in the target", _line("GET /a\x7fb HTTP/1.1"), 400),
    ("a high octet in the target", _line("GET /a\xe4 HTTP/1.1"), 400),
    ("a carriage return in the target", _line("GET /a\rb HTTP/1.1"), 400),
    ("a line feed in the target", _line("GET /a\nb HTTP/1.1"), 400),
    ("encoded line ends in the target", _line("GET /a%0d%0a HTTP/1.1"), [(b"GET", b"/a%0d%0a", b"")]),
    ("a target of 9000 bytes", _line("GET /" + "a" * 9000 + " HTTP/1.1"), 414),
    ("a head of 40000 bytes", _get("A: " + "a" * 40000 + "@"), 431),
    ("a bare line feed behind the request line", b"GET /a HTTP/1.1\nHost: x\r\n\r\n", 400),
    ("bare line feeds throughout", b"GET /a HTTP/1.1\nHost: x\n\n", 400),
    ("bare carriage returns throughout", b"GET /a HTTP/1.1\rHost: x\r\r\r\n\r\n", 400),
    ("an empty line of a bare line feed", b"GET /a HTTP/1.1\r\nHost: x\r\n\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("one empty line first", wire("@GET /a HTTP/1.1@Host: x@@"), GET),
    ("a bare line feed first", b"\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a bare carriage return first", b"\rGET /a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a NUL first", b"\0GET /a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a byte order mark first", b"\xef\xbb\xbfGET /a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a field before the request line", wire("Host: x@GET /a HTTP/1.1@@"), 400),
    ("an answer", wire("HTTP/1.1 200 OK@Host: x@@"), 400),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400),
    ("a PROXY header", wire("PROXY TCP4 1.2.3.4 5.6.7.8 9 10@GET /a HTTP/1.1@Host: x@@"), 400),
]

METHODS: list[Transcript] = [
    ("a method in lower case", _line("get /a HTTP/1.1"), _asked(b"get")),
    ("a method in mixed case", _line("Get /a HTTP/1.1"), _asked(b"Get")),
    ("a method nobody knows", _line("FROBNICATE /a HTTP/1.1"), _asked(b"FROBNICATE")),
    ("a method of WebDAV", _line("PROPFIND /a HTTP/1.1"), _asked(b"PROPFIND")),
    ("a method of another protocol", _line("DESCRIBE /a HTTP/1.1"), _asked(b"DESCRIBE")),
    ("a method with a hyphen", _line("M-SEARCH /a HTTP/1.1"), _asked(b"M-SEARCH")),
    ("a method of streaming", _line("SOURCE /a HTTP/1.1"), _asked(b"SOURCE")),
    ("a method of marks", _line("!#$%&'*+-.^_`|~ /a HTTP/1.1"), _asked(b"!#$%&'*+-.^_`|~")),
    ("a method of digits", _line("123 /a HTTP/1.1"), _asked(b"123")),
    ("a method of one letter", _line("g /a HTTP/1.1"), _asked(b"g")),
    ("a method that begins like GET", _line("GETX /a HTTP/1.1"), _asked(b"GETX")),
    ("a method that looks like a version", _line("HTTP /a HTTP/1.1"), _asked(b"HTTP")),
    ("a method of 32 letters", _line("M" * 32 + " /a HTTP/1.1"), _asked(b"M" * 32)),
    ("a method of 33 letters", _line("M" * 33 + " /a HTTP/1.1"), 501),
    ("a method of 9000 letters", _line("M" * 9000 + " /a HTTP/1.1"), 501),
    ("a method without end", b"M" * 40, 501),
    ("a method with a colon", _line("GET: /a HTTP/1.1"), 400),
    ("a method with a slash", _line("GET/ /a HTTP/1.1"), 400),
    ("a method in quotes", _line('"GET" /a HTTP/1.1'), 400),
    ("a method in brackets", _line("{GET} /a HTTP/1.1"), 400),
    ("a method with a NUL", _line("GE\0T /a HTTP/1.1"), 400),
    ("a method with a high octet", _line("G\xc4T /a HTTP/1.1"), 400),
    ("a method with a control character behind", _line("GET\x1f /a HTTP/1.1"), 400),
    ("a method with a line feed", _line("GE\nT /a HTTP/1.1"), 400),
    ("a method of a blank", _line(" /a HTTP/1.1"), 400),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("the preface of HTTP/2 in HTTP/1.1", _line("PRI * HTTP/1.1"), 501),
    ("CONNECT", wire("CONNECT x:443 HTTP/1.1@Host: x:443@@"), 501),
    ("CONNECT with a path", _line("CONNECT /a HTTP/1.1"), 501),
    ("connect in lower case", _line("connect x:443 HTTP/1.1"), 400),
    ("a length with a method nobody knows", _odd("Content-Length: 5@", "hello"), _asked(b"FROBNICATE", b"hello")),
    ("no length with a method nobody knows", _odd("", ""), _asked(b"FROBNICATE")),
    ("chunks with a method nobody knows", _odd("Transfer-Encoding: chunked@", "5@hello@0@@"),
     _asked(b"FROBNICATE", b"hello")),
    ("a body cut off, with a method nobody knows", _odd("Content-Length: 50@", "hello"), UNFINISHED),
    ("both lengths with a method nobody knows", _odd("Content-Length: 5@Transfer-Encoding: chunked@", "0@@"), 400),
    ("two lengths with a method nobody knows", _odd("Content-Length: 5@Content-Length: 6@", "hello!"), 400),
    ("a coding nobody knows, with such a method", _odd("Transfer-Encoding: gzip, chunked@", "0@@"), 501),
    ("chunks in HTTP/1.0 with a method nobody knows", _odd("Transfer-Encoding: chunked@", "0@@", "1.0"), 400),
    ("an upgrade with a method nobody knows", _odd("Connection: Upgrade@Upgrade: websocket@", ""),
     _asked(b"FROBNICATE")),
    ("an upgrade and a body with a method nobody knows",
     _odd("Connection: Upgrade@Upgrade: websocket@Content-Length: 5@", "hello"), _asked(b"FROBNICATE", b"hello")),
    ("100-continue with a method nobody knows", _odd("Expect: 100-continue@Content-Length: 5@", "hello"),
     _asked(b"FROBNICATE", b"hello")),
    ("an expectation and a method nobody knows", _odd("Expect: x@", ""), 417),
    ("no host with a method nobody knows", wire("FROBNICATE /a HTTP/1.1@@"), 400),
    ("a bare line feed with a method nobody knows", b"FROBNICATE /a HTTP/1.1\nHost: x\r\n\r\n", 400),
    ("* for a method nobody knows", _line("FROBNICATE * HTTP/1.1"), 400),
    ("TRACE with a body", wire("TRACE /a HTTP/1.1@Host: x@Content-Length: 5@@hello"), 400),
    ("TRACE with chunks", wire("TRACE /a HTTP/1.1@Host: x@Transfer-Encoding: chunked@@0@@"), 400),
    ("OPTIONS of a server by its URL", _line("OPTIONS http://x HTTP/1.1"), [(b"OPTIONS", b"*", b"")]),
    ("OPTIONS of a server by its URL and port", wire("OPTIONS HTTP://x:80 HTTP/1.1@Host: x:80@@"),
     [(b"OPTIONS", b"*", b"")]),
    ("OPTIONS of the root by its URL", _line("OPTIONS http://x/ HTTP/1.1"), [(b"OPTIONS", b"/", b"")]),
    ("OPTIONS of a query by its URL", _line("OPTIONS http://x?q HTTP/1.1"), [(b"OPTIONS", b"/?q", b"")]),
]

COUNTS: list[Transcript] = [
    ("a hundred fields", _get("A: b@" * 99), GET),
    ("a hundred and one fields", _get("A: b@" * 100), 431),
    ("two hundred fields", _get("A: b@" * 200), 431),
    ("a hundred short fields", _get("a:@" * 99), GET),
    ("a hundred and one short fields", _get("a:@" * 100), 431),
    ("thousands of TE", _get("TE: a@" * 4600), 431),
    ("thousands of Connection", _get("Connection: a@" * 2000), 431),
    ("thousands of Keep-Alive", _get("Keep-Alive: a@" * 1800), 431),
    ("thousands of Upgrade", _get("Upgrade: a@" * 2000), 431),
    ("thousands of Trailer", _get("Trailer: a@" * 2000), 431),
    ("thousands of spellings of X-Forwarded-For", _get("X_Forwarded_For: a@" * 1500), 431),
    ("thousands of X-Forwarded-For", _get("X-Forwarded-For: a@" * 1500), 431),
    ("thousands of Proxy", _get("Proxy: a@" * 2500), 431),
    ("thousands of names with an underscore", _get("a_b: c@" * 3000), 431),
    ("thousands of folded lines", _get("A: b@" + " c@" * 3000), 431),
    ("thousands of lines with another method", _odd("TE: a@" * 4600, ""), 431),
]

FIELDS: list[Transcript] = [
    ("a field folded", _get("A: b@ c@"), 400),
    ("a field folded with a tab", _get("A: b@\tc@"), 400),
    ("the first field folded", wire("GET /a HTTP/1.1@ Host: x@@"), 400),
    ("a field without a colon", _get("Abc@"), 400),
    ("a field without a name", _get(": b@"), 400),
    ("a blank before the colon", _get("A : b@"), 400),
    ("a blank in the name", _get("A B: c@"), 400),
    ("a NUL in a name", _get("A\0: b@"), 400),
    ("a NUL in a value", _get("A: b\0c@"), 400),
    ("a bell in a value", _get("A: \x07@"), 400),
    ("a DEL in a value", _get("A: \x7f@"), 400),
    ("an escape in a value", _get("A: \x1b[2J@"), 400),
    ("a bare carriage return in a value", _get("A: b\rc@"), 400),
    ("a bare line feed in a value", _get("A: b\nC: d@"), 400),
    ("a bare carriage return at the end of a value", _get("A: b\r@"), 400),
    ("a parenthesis in a name", _get("A(b): c@"), 400),
    ("a slash in a name", _get("A/b: c@"), 400),
    ("quotes in a name", _get('"A": c@'), 400),
    ("a high octet in a name", _get("\xe4: b@"), 400),
    ("a high octet in a value", _get("A: \xe4@"), GET),
    ("a tab in a value", _get("A: b\tc@"), GET),
    ("blanks behind a value", _get("A: b \t @"), GET),
    ("an empty value", _get("A:@"), GET),
    ("no blank behind the colon", _get("A:b@"), GET),
    ("an expectation nobody knows", _get("Expect: the-spanish-inquisition@"), 417),
    ("two expectations", _get("Expect: 100-continue@Expect: 100-continue@"), 400),
    ("an expectation with something behind", _get("Expect: 100-continue, x@"), 417),
    ("an empty expectation", _get("Expect:@"), 417),
    ("100-continue without a body", _get("Expect: 100-continue@"), GET),
    ("100-continue with a body", _post("Expect: 100-continue@Content-Length: 5@", "hello"), _posted(b"hello")),
    ("100-Continue", _post("Expect: 100-Continue@Content-Length: 5@", "hello"), _posted(b"hello")),
    ("the expectation nominated by Connection", _get("Connection: expect@Expect: 100-continue@"), 400),
    ("Connection: close, close", _get("Connection: close, close@"), GET),
    ("Connection: keep-alive, close", _get("Connection: keep-alive, close@"), GET),
    ("Connection of commas", _get("Connection: , ,@"), GET),
    ("h2c", _get("Connection: Upgrade, HTTP2-Settings@Upgrade: h2c@HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA@"), GET),
    ("h2c with a body", _post("Connection: Upgrade@Upgrade: h2c@Content-Length: 5@", "hello"), _posted(b"hello")),
    ("an upgrade to WebSocket", _get("Connection: Upgrade@Upgrade: websocket@"), GET),
    (
        "an upgrade with a body",
        _post("Connection: Upgrade@Upgrade: websocket@Content-Length: 5@", "hello"),
        _posted(b"hello"),
    ),
    ("an upgrade that Connection does not name", _get("Upgrade: websocket@"), GET),
    ("an upgrade in HTTP/1.0", wire("GET /a HTTP/1.0@Host: x@Connection: Upgrade@Upgrade: websocket@@"), GET),
    ("Proxy-Connection", _get("Proxy-Connection: keep-alive@"), GET),
    ("a name of an underscore", _get("_: b@"), GET),
    ("an underscore in a cookie", _get("Cookie: session_id=a_b@"), GET),
]

CHUNKED = CHUNKS + SMALL_CHUNKS + EXTENSIONS + CHUNK_LINE_ENDS
TRANSCRIPTS = LENGTHS + CODINGS + CHUNKED + HOSTS + LINES + METHODS + COUNTS + FIELDS
