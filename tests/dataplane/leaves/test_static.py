"""Tests for :mod:`revproxy.dataplane.leaves.static`: real files, no threads but those the test lets run."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.leaves.static import PIECE, StaticLeaf, contentType
from revproxy.dataplane.routing import Route
from tests.dataplane.doubles import ClientDouble, EdgeDouble

LARGE = b"".join(b"%07d\n" % number for number in range(40_000))
TIME = 1_700_000_000
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


class Threads:
    """A pool whose jobs run when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Deferred[Any], Callable[[], Any]]] = []

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        deferred: Deferred[Any] = Deferred()
        self.jobs.append((deferred, lambda: function(*arguments)))
        return deferred

    def run(self, most: int = 1000) -> int:
        """Run jobs, also those that come up, and say how many there were."""
        done = 0
        while self.jobs and done < most:
            deferred, job = self.jobs.pop(0)
            done += 1
            try:
                result = job()
            except Exception:
                deferred.errback(Failure())
            else:
                deferred.callback(result)
        return done


class Answer:
    """A response, taken apart."""

    def __init__(self, received: bytes) -> None:
        head, _, self.body = received.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(line.split(" ")[1]) if line else 0
        self.headers = dict(field.split(": ", 1) for field in fields)


class StaticCase(SynchronousTestCase):
    """A folder with some files, mounted at a prefix."""

    def setUp(self) -> None:
        self.base = self.mktemp()
        self.folder = os.path.join(self.base, "public")
        os.makedirs(os.path.join(self.folder, "sub", "empty"))
        for name, data in (
            ("index.html", b"<p>top"),
            ("a b.txt", b"hello, world"),
            ("empty.txt", b""),
            ("large.bin", LARGE),
            (".secret", b"hidden"),
            ("sub/index.html", b"<p>sub"),
            ("sub/x.css", b"p{}"),
            ("../outside.txt", b"outside"),
        ):
            path = os.path.join(self.folder, name)
            with open(path, "wb") as file:
                file.write(data)
            os.utime(path, (TIME, TIME))
        os.makedirs(os.path.join(self.folder, ".git"))
        with open(os.path.join(self.folder, ".git", "config"), "wb") as file:
            file.write(b"hidden")
        self.mount("/files/")

    def mount(self, prefix: str, **options: Any) -> None:
        self.threads = Threads()
        leaf = StaticLeaf(self.folder, prefix.encode(), self.threads)
        self.edge = EdgeDouble(routes=[Route("static", b"", prefix.encode(), leaf, **options)])

    def begin(self, target: str, method: str = "GET", **fields: str) -> ClientDouble:
        client = self.edge.connect()
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        client.send(f"{method} {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode())
        return client

    def get(self, target: str, method: str = "GET", **fields: str) -> Answer:
        client = self.begin(target, method, **fields)
        self.threads.run()
        return Answer(client.received())

    def descriptors(self) -> int:
        """How many are open. What other tests have left behind may be closed at any time."""
        return len(os.listdir("/proc/self/fd"))


class FileTests(StaticCase):
    """What is served, and as what."""

    def test_small(self) -> None:
        """A file is answered with its type, length, tag and date; one job reads it, one closes it."""
        client = self.begin("/files/a%20b.txt")
        self.assertEqual(client.received(), b"")
        self.assertEqual(self.threads.run(), 2)
        answer = Answer(client.received())
        self.assertEqual((answer.status, answer.body), (200, b"hello, world"))
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertEqual(answer.headers["Content-Length"], "12")
        self.assertEqual(answer.headers["Last-Modified"], DATE)
        self.assertEqual(answer.headers["ETag"], f'"{TIME * 10**9:x}-c"')
        self.assertEqual(answer.headers["Accept-Ranges"], "bytes")

    def test_large(self) -> None:
        """A large file comes whole."""
        answer = self.get("/files/large.bin")
        self.assertEqual((answer.status, answer.body == LARGE), (200, True))
        self.assertEqual(answer.headers["Content-Length"], str(len(LARGE)))

    def test_empty(self) -> None:
        """An empty file is a file."""
        answer = self.get("/files/empty.txt")
        self.assertEqual((answer.status, answer.body, answer.headers["Content-Length"]), (200, b"", "0"))

    def test_index(self) -> None:
        """A folder is its index.html, and has no listing without one."""
        self.assertEqual(self.get("/files/").body, b"<p>top")
        self.assertEqual(self.get("/files/sub/?q").body, b"<p>sub")
        self.assertEqual(self.get("/files/").headers["Content-Type"], "text/html; charset=utf-8")
        self.assertEqual(self.get("/files/sub/empty/").status, 404)

    def test_redirect(self) -> None:
        """A folder without its slash is redirected, on this host and with the query."""
        for target, location in (
            ("/files", "/files/"),
            ("/files/sub", "/files/sub/"),
            ("/files/sub?a=b", "/files/sub/?a=b"),
            ("/files//sub", "/files/sub/"),
            ("/files/./%73ub", "/files/sub/"),
        ):
            answer = self.get(target)
            self.assertEqual((answer.status, answer.headers.get("Location")), (301, location), target)

    def test_redirectStaysHere(self) -> None:
        """No spelling of a folder makes the redirect lead to another host."""
        os.makedirs(os.path.join(self.folder, "evil.example", "%2e"))
        self.mount("/")
        for target in ("//evil.example", "/%2Fevil.example", "/./evil.example", "/%5Cevil.example/..//evil.example"):
            answer = self.get(target)
            self.assertEqual((answer.status, answer.headers.get("Location")), (301, "/evil.example/"), target)

    def test_atRoot(self) -> None:
        """The route may be the root."""
        self.mount("/")
        self.assertEqual(self.get("/").body, b"<p>top")
        self.assertEqual(self.get("/sub/x.css").body, b"p{}")

    def test_head(self) -> None:
        """HEAD has the fields of GET."""
        for target in ("/files/a%20b.txt", "/files/large.bin"):
            whole, head = self.get(target), self.get(target, "HEAD")
            self.assertEqual((head.status, head.headers, head.body), (200, whole.headers, b""))

    def test_methods(self) -> None:
        """Other methods are 405, with those that are allowed; no thread is bothered."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            client = self.begin("/files/a%20b.txt", method)
            self.assertEqual(self.threads.jobs, [])
            answer = Answer(client.received())
            self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"), method)

    def test_missing(self) -> None:
        """What is not there is 404: also a file as a folder, and names that can be none."""
        for target in (
            "none",
            "sub/none.css",
            "sub/none/",
            "a%20b.txt/",
            "a%20b.txt/x",
            "x%2500y",
            "n" * 300,
            "x/" * 1000,
            "sub/x.css%0a",
        ):
            answer = self.get("/files/" + target)
            self.assertEqual(answer.status, 404, target)

    def test_anyCase(self) -> None:
        """Where the route ignores case, its prefix may be in any; names of files are in one."""
        self.mount("/files/", ignoresCase=True)
        self.assertEqual(self.get("/FILES/a%20b.txt").body, b"hello, world")
        self.assertEqual(self.get("/Files").headers["Location"], "/Files/")
        self.assertEqual(self.get("/files/A%20b.txt").status, 404)

    def test_noFolder(self) -> None:
        """A folder that is not there is 404 until it is."""
        leaf = StaticLeaf(os.path.join(self.base, "later"), b"/", self.threads)
        self.edge = EdgeDouble(leaf)
        self.assertEqual(self.get("/x").status, 404)
        os.makedirs(os.path.join(self.base, "later"))
        with open(os.path.join(self.base, "later", "x"), "wb") as file:
            file.write(b"1")
        self.assertEqual(self.get("/x").body, b"1")

    def test_types(self) -> None:
        """By name; what is packed is not announced as an encoding; what is unknown is bytes."""
        for name, expected in (
            (b"a.html", b"text/html; charset=utf-8"),
            (b"a.css", b"text/css; charset=utf-8"),
            (b"a.PNG", b"image/png"),
            (b"a.tar.gz", b"application/gzip"),
            (b"a.svg", b"image/svg+xml; charset=utf-8"),
            (b"a.woff2", b"font/woff2"),
            (b"a.json", b"application/json"),
            (b"a", b"application/octet-stream"),
            (b"\xff\xfe.txt", b"text/plain; charset=utf-8"),
        ):
            self.assertEqual(contentType(name), expected, name)
        self.assertIn(contentType(b"a.js").partition(b";")[0], (b"text/javascript", b"application/javascript"))

    def test_noDescriptorLeft(self) -> None:
        """Whatever is asked, every file is closed again."""
        before = self.descriptors()
        self.test_large()
        self.test_small()
        self.test_redirect()
        self.test_missing()
        self.test_head()
        self.get("/files/a%20b.txt", If_None_Match="*")
        self.get("/files/a%20b.txt", Range="bytes=90-")
        self.assertLessEqual(self.descriptors(), before)

    def test_outOfDescriptors(self) -> None:
        """Without descriptors it is 503, not 404."""
        from errno import EMFILE

        client = self.begin("/files/a%20b.txt")
        ((deferred, _),) = self.threads.jobs
        deferred.errback(Failure(OSError(EMFILE, "too many")))
        self.assertEqual(Answer(client.received()).status, 503)


class ConfinementTests(StaticCase):
    """Nothing outside of the folder, nothing hidden."""

    def test_dotfiles(self) -> None:
        """Whatever has a segment with a dot in front is 404."""
        for target in (
            ".secret",
            ".git/config",
            "%2esecret",
            "%2Egit/config",
            "sub/../.secret",
            ".git/",
            "...",
            ".git",
        ):
            self.assertEqual(self.get("/files/" + target).status, 404, target)

    def test_traversal(self) -> None:
        """No spelling leads out, and none that could be for another route is for this one."""
        for target in (
            "/files/../outside.txt",
            "/files/..%2foutside.txt",
            "/files/%2e%2e/outside.txt",
            "/files/sub/../../outside.txt",
            "/files//../outside.txt",
            "/files/%2e%2e%2foutside.txt",
            "/files/..%5coutside.txt",
            "/files/%252e%252e/outside.txt",
            "/files//etc/passwd",
            "/files/%2fetc/passwd",
        ):
            answer = self.get(target)
            self.assertIn(answer.status, (400, 404), target)
            self.assertNotIn(b"outside", answer.body, target)

    def test_linkOutside(self) -> None:
        """A link that leads out is 404, as file, as folder and as index."""
        os.symlink("../outside.txt", os.path.join(self.folder, "link.txt"))
        os.symlink("/etc", os.path.join(self.folder, "etc"))
        os.symlink("..", os.path.join(self.folder, "up"))
        os.symlink("../../../outside.txt", os.path.join(self.folder, "sub", "empty", "index.html"))
        for target in (
            "link.txt",
            "etc/passwd",
            "etc/",
            "etc",
            "up/outside.txt",
            "up/public/a%20b.txt/x",
            "sub/empty/",
        ):
            self.assertEqual(self.get("/files/" + target).status, 404, target)

    def test_linkInside(self) -> None:
        """A link that stays inside is followed, also if the folder is a link itself."""
        os.symlink("sub", os.path.join(self.folder, "alias"))
        os.symlink("a b.txt", os.path.join(self.folder, "b.txt"))
        self.assertEqual(self.get("/files/alias/x.css").body, b"p{}")
        self.assertEqual(self.get("/files/b.txt").body, b"hello, world")
        self.assertEqual(self.get("/files/alias").headers["Location"], "/files/alias/")
        os.symlink("public", os.path.join(self.base, "current"))
        self.folder = os.path.join(self.base, "current")
        self.mount("/files/")
        self.assertEqual(self.get("/files/b.txt").body, b"hello, world")

    def test_siblingWithSamePrefix(self) -> None:
        """A folder beside it whose name begins the same is outside."""
        os.makedirs(self.folder + "2")
        with open(os.path.join(self.folder + "2", "x"), "wb") as file:
            file.write(b"outside")
        os.symlink("../public2/x", os.path.join(self.folder, "x"))
        self.assertEqual(self.get("/files/x").status, 404)

    def test_linkLoop(self) -> None:
        """A link to itself is 404."""
        os.symlink("loop", os.path.join(self.folder, "loop"))
        self.assertEqual(self.get("/files/loop").status, 404)

    def test_pipe(self) -> None:
        """What is no regular file is 404, at once: nobody waits at a pipe."""
        os.mkfifo(os.path.join(self.folder, "pipe"))
        self.assertEqual(self.get("/files/pipe").status, 404)

    def test_unreadable(self) -> None:
        """What may not be read is 404."""
        os.chmod(os.path.join(self.folder, "a b.txt"), 0)
        if os.geteuid() == 0:
            # Root may read everything.
            os.seteuid(65534)
            self.addCleanup(os.seteuid, 0)
        self.assertEqual(self.get("/files/a%20b.txt").status, 404)


class StreamTests(StaticCase):
    """Large files, piece by piece."""

    def test_bounded(self) -> None:
        """A client that does not read stops the reading, and it goes on with the client."""
        client = self.begin("/files/large.bin")
        client.transport.stall()
        self.threads.run()
        held = len(client.transport.dataBuffer)
        self.assertLess(held, 3 * PIECE)
        self.assertEqual(self.threads.jobs, [])
        client.transport.take()
        self.threads.run()
        self.assertEqual(Answer(client.received()).body, LARGE)

    def test_slowClientByPieces(self) -> None:
        """Stopped again and again, it is still all there, in order."""
        client = self.begin("/files/large.bin")
        client.transport.stall()
        while self.threads.run() or client.transport.dataBuffer:
            self.assertLess(len(client.transport.dataBuffer), 3 * PIECE)
            client.transport.take(10_000)
        self.assertEqual(Answer(client.received()).body, LARGE)

    def test_clientLeavesEarly(self) -> None:
        """A client that leaves while the file is being opened leaves no descriptor behind."""
        before = self.descriptors()
        client = self.begin("/files/large.bin")
        client.leave()
        self.threads.run()
        self.assertLessEqual(self.descriptors(), before)
        self.assertEqual([record.status for record in self.edge.log.records], [499])

    def test_clientLeavesInTheMiddle(self) -> None:
        """The same while it is being sent: reading, or waiting for the client."""
        before = self.descriptors()
        for jobs in (1, 2, 3, 1000):
            client = self.begin("/files/large.bin")
            client.transport.stall()
            self.threads.run(jobs)
            client.leave()
            self.threads.run()
            self.assertLessEqual(self.descriptors(), before, jobs)
        self.assertEqual(self.edge.active, 0)

    def test_shrinks(self) -> None:
        """A file that becomes shorter while it is sent breaks off: the client must not take it for whole."""
        client = self.begin("/files/large.bin")
        self.threads.run(2)
        os.truncate(os.path.join(self.folder, "large.bin"), PIECE)
        self.threads.run()
        self.assertEqual(client.end, "abort")
        self.assertIn("shorter", self.edge.log.records[0].error)

    def test_grows(self) -> None:
        """A file that becomes longer is sent as long as was said."""
        client = self.begin("/files/large.bin")
        self.threads.run(2)
        with open(os.path.join(self.folder, "large.bin"), "ab") as file:
            file.write(b"more")
        self.threads.run()
        self.assertEqual(Answer(client.received()).body, LARGE)
        self.assertIsNone(client.end)

    def test_replaced(self) -> None:
        """A file that is replaced meanwhile is sent as it was."""
        client = self.begin("/files/large.bin")
        self.threads.run(2)
        with open(os.path.join(self.folder, "new"), "wb") as file:
            file.write(b"x" * len(LARGE))
        os.replace(os.path.join(self.folder, "new"), os.path.join(self.folder, "large.bin"))
        self.threads.run()
        self.assertEqual(Answer(client.received()).body, LARGE)


class ConditionTests(StaticCase):
    """RFC 9110 §13."""

    def test_notModified(self) -> None:
        """Who has it already gets 304, with the tag and without a body."""
        tag = self.get("/files/a%20b.txt").headers["ETag"]
        for fields in (
            {"If_None_Match": tag},
            {"If_None_Match": f'"x", W/{tag} , "y"'},
            {"If_None_Match": "*"},
            {"If_Modified_Since": DATE},
            {"If_Modified_Since": "Wed, 15 Nov 2023 00:00:00 GMT"},
            {"If_None_Match": tag, "If_Modified_Since": "Mon, 13 Nov 2023 00:00:00 GMT"},
        ):
            for target in ("/files/a%20b.txt",):
                answer = self.get(target, **fields)
                self.assertEqual((answer.status, answer.body), (304, b""), fields)
                self.assertEqual(answer.headers["ETag"], tag)

    def test_modified(self) -> None:
        """Everyone else gets the file; what cannot be understood is no condition."""
        for fields in (
            {"If_None_Match": '"x"'},
            {"If_None_Match": '"x"', "If_Modified_Since": DATE},
            {"If_Modified_Since": "Mon, 13 Nov 2023 00:00:00 GMT"},
            {"If_Modified_Since": "yesterday"},
            {"If_Modified_Since": "Tue, 99 Nov 2023 22:13:20 GMT"},
            {"If_Unmodified_Since": DATE},
            {"If_Match": "*"},
        ):
            self.assertEqual(self.get("/files/a%20b.txt", **fields).status, 200, fields)

    def test_failed(self) -> None:
        """A condition that does not hold is 412; a weak tag never matches strongly."""
        tag = self.get("/files/a%20b.txt").headers["ETag"]
        self.assertEqual(self.get("/files/a%20b.txt", If_Match=tag).status, 200)
        for fields in (
            {"If_Match": '"x"'},
            {"If_Match": f"W/{tag}"},
            {"If_Unmodified_Since": "Mon, 13 Nov 2023 00:00:00 GMT"},
        ):
            self.assertEqual(self.get("/files/a%20b.txt", **fields).status, 412, fields)

    def test_changes(self) -> None:
        """A changed file has another tag."""
        before = self.get("/files/a%20b.txt").headers["ETag"]
        path = os.path.join(self.folder, "a b.txt")
        os.utime(path, ns=(0, TIME * 10**9 + 1))
        self.assertNotEqual(self.get("/files/a%20b.txt").headers["ETag"], before)


class RangeTests(StaticCase):
    """RFC 9110 §14."""

    def test_parts(self) -> None:
        """A part is 206, and says which."""
        for value, start, end in (
            ("bytes=0-0", 0, 1),
            ("bytes=2-5", 2, 6),
            ("Bytes=7-", 7, 12),
            ("bytes=-3", 9, 12),
            ("bytes=-99", 0, 12),
            ("bytes=5-99", 5, 12),
        ):
            answer = self.get("/files/a%20b.txt", Range=value)
            whole = b"hello, world"
            self.assertEqual(answer.body, whole[start:end], value)
            if end - start < 12:
                self.assertEqual(answer.status, 206)
                self.assertEqual(answer.headers["Content-Range"], f"bytes {start}-{end - 1}/12")
                self.assertEqual(answer.headers["Content-Length"], str(end - start))

    def test_ofLarge(self) -> None:
        """The same of a file that is streamed."""
        answer = self.get("/files/large.bin", Range="bytes=70001-250000")
        self.assertEqual((answer.status, answer.body == LARGE[70001:250001]), (206, True))
        answer = self.get("/files/large.bin", Range="bytes=-5")
        self.assertEqual((answer.status, answer.body), (206, LARGE[-5:]))

    def test_unsatisfiable(self) -> None:
        """A range behind the end is 416, with the length."""
        for target, value in (
            ("a%20b.txt", "bytes=12-"),
            ("a%20b.txt", "bytes=99-100"),
            ("a%20b.txt", "bytes=-0"),
            ("empty.txt", "bytes=0-"),
            ("empty.txt", "bytes=-1"),
        ):
            answer = self.get("/files/" + target, Range=value)
            self.assertEqual(answer.status, 416, value)
            self.assertEqual(answer.headers["Content-Range"], f"bytes */{0 if 'empty' in target else 12}")

    def test_ignored(self) -> None:
        """What is no single range of bytes is no range at all; for HEAD there is none."""
        for value in (
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=1-2,4-5",
            "lines=1-2",
            "bytes=a-b",
            "bytes=+1-2",
            "1-2",
        ):
            self.assertEqual(self.get("/files/a%20b.txt", Range=value).status, 200, value)
        self.assertEqual(self.get("/files/a%20b.txt", "HEAD", Range="bytes=0-0").status, 200)

    def test_ifRange(self) -> None:
        """If-Range: the part only if it is still the same file."""
        tag = self.get("/files/a%20b.txt").headers["ETag"]
        for condition, status in ((tag, 206), (DATE, 206), ('"x"', 200), (f"W/{tag}", 200), (DATE[:-4] + " UTC", 200)):
            answer = self.get("/files/a%20b.txt", Range="bytes=0-1", If_Range=condition)
            self.assertEqual(answer.status, status, condition)
