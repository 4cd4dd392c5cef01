"""Tests for plugins/html-banner."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.testing import Answer, EdgeDouble, Pieces
from tests.plugins.folders import mainOf

BANNER = b'<p class="banner">hi &amp; &#9731;</p>\n'
HTML = {"Content-Type": "text/html; charset=utf-8"}


class HTMLBannerTests(SynchronousTestCase):
    """A line before the end of each page."""

    def setUp(self) -> None:
        self.main = mainOf(self, "html-banner")

    def get(self, body: Pieces, headers: Any = HTML, status: int = 200, method: str = "GET", **config: Any) -> Answer:
        edge = EdgeDouble(self.main({"text": "hi & ☃", **config}))
        edge.originAnswers(status, headers, body)
        return edge.request(method, "/", {"Accept-Encoding": "gzip"})

    def test_inserts(self) -> None:
        """The line stands before the closing tag, in whatever case that is; text is escaped."""
        for tag in (b"</body>", b"</BODY>", b"</Body >"):
            self.assertEqual(self.get(b"<html>" + tag + b"</html>").body, b"<html>" + BANNER + tag + b"</html>")

    def test_once(self) -> None:
        """It stands there once."""
        self.assertEqual(self.get([b"a</body>b", b"</body>"]).body, b"a" + BANNER + b"</body>b</body>")

    def test_noTag(self) -> None:
        """A page without the tag goes through as it is, to the last byte."""
        for page in (b"", b"<p>", b"a<", b"a</bod", b"</bo</dy>"):
            self.assertEqual(self.get([page] if page else []).body, page)

    def test_nothingIsHeldLong(self) -> None:
        """What can no longer be the tag's beginning goes on at once."""
        from revproxy.testing import SinkDouble, SourceDouble, makeContext, makeResponse

        source = SourceDouble()
        context = makeContext()
        context.response = makeResponse(200, HTML, source.body)
        self.main({}).handleResponse(context)
        sink = SinkDouble(source.body)
        source.feed(b"page</bo")
        self.assertEqual(sink.data, b"page")
        source.feed(b"x")
        self.assertEqual(sink.data, b"page</box")

    @given(st.lists(st.sampled_from([b"<", b"/", b"body", b"</", b"</b", b"ody", b">", b"</body>", b"x"]), max_size=9))
    def test_cutsDoNotMatter(self, pieces: list[bytes]) -> None:
        """However the page is cut into pieces, the result is the one for the page as a whole."""
        page = b"".join(pieces)
        at = page.find(b"</body")
        wanted = page if at < 0 else page[:at] + BANNER + page[at:]
        self.assertEqual(self.get(pieces).body, wanted)
        self.assertEqual(self.get([page[i : i + 1] for i in range(len(page))]).body, wanted)

    def test_leavesAlone(self) -> None:
        """What is not a page in plain text is left alone, headers and all."""
        for headers in (
            {"Content-Type": "text/plain"},
            {"Content-Type": "text/html-sandboxed"},
            {},
            {**HTML, "Content-Encoding": "gzip"},
            {**HTML, "Content-Encoding": "identity, br"},
            {"Content-Type": "text/html; charset=UTF-16LE"},
            {**HTML, "Cache-Control": "public, no-transform"},
        ):
            answer = self.get(b"</body>", {**headers, "ETag": '"1"', "Accept-Ranges": "bytes"})
            self.assertEqual(answer.body, b"</body>")
            self.assertEqual((answer.headers.get("ETag"), answer.headers.get("Accept-Ranges")), ('"1"', "bytes"))

    def test_parts(self) -> None:
        """A part of a page is not a page."""
        self.assertEqual(self.get(b"</body>", {**HTML, "ETag": '"1"'}, 206).headers.get("ETag"), '"1"')

    def test_staleHeaders(self) -> None:
        """What described the old bytes is taken out or made weak."""
        headers = {
            **HTML,
            "ETag": '"1"',
            "Content-MD5": "x",
            "Digest": "x",
            "Repr-Digest": "x",
            "Accept-Ranges": "bytes",
        }
        answer = self.get(b"</body>", headers)
        self.assertEqual(list(answer.headers), [*HTML.items(), ("ETag", 'W/"1"')])
        self.assertEqual(self.get(b"", {**HTML, "ETag": 'W/"1"'}).headers.get("ETag"), 'W/"1"')

    def test_noBody(self) -> None:
        """HEAD and 304 tell of the same page as GET: their length is no longer the origin's, and there is no body."""
        for status, method in ((200, "HEAD"), (304, "GET")):
            answer = self.get(b"", {**HTML, "ETag": '"1"'}, status, method)
            self.assertEqual(answer.headers.get("ETag"), 'W/"1"')
            assert answer.context.response is not None
            self.assertTrue(answer.context.response.body.changed)
            self.assertEqual(answer.body, b"")

    def test_uncompressed(self) -> None:
        """Origins are asked for plain pages only where the configuration says so."""
        for uncompressed, asked in ((False, "gzip"), (True, "identity")):
            answer = self.get(b"", uncompressed=uncompressed)
            assert answer.forwarded is not None
            self.assertEqual(answer.forwarded.headers.getAll("Accept-Encoding"), [asked])
