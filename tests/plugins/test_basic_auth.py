"""Tests for :mod:`revproxy.plugins.basic_auth`."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import bcrypt
from argon2 import PasswordHasher
from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from revproxy.host import Host
from revproxy.plugins._passwords import PasswordHash, UserTable
from revproxy.plugins.basic_auth import BasicAuth, decodeCredentials
from revproxy.testing import Answer, ClientDouble, EdgeDouble, makeContext

ALICE = bcrypt.hashpw(b"wonder", bcrypt.gensalt(4)).decode()
BOB = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("builder")


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


class ThreadsDouble:
    """A thread pool that works when it is told to, and the reactor it reports to."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], None]] = []
        self.done = 0
        self.log: list[str] = []

    def start(self) -> None:
        self.log.append("start")

    def stop(self) -> None:
        self.log.append("stop")

    def callInThreadWithCallback(self, onResult: Any, function: Any, *arguments: Any) -> None:
        def job() -> None:
            try:
                result, success = function(*arguments), True
            except Exception:
                result, success = Failure(), False
            onResult(success, result)

        self.jobs.append(job)

    def work(self) -> None:
        """Do what waits."""
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            self.done += 1
            job()

    begin = callInThreadWithCallback

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        function(*arguments)


class BasicAuthTests(SynchronousTestCase):
    """The plugin, with threads that work when they are told to."""

    def setUp(self) -> None:
        self.threads = ThreadsDouble()
        self.clock = Clock()

    def plugin(self, **config: Any) -> BasicAuth:
        config.setdefault("users", {"alice": ALICE, "bob": BOB})
        plugin = BasicAuth(config, self.clock.seconds, lambda size: self.threads)
        plugin.attach(Host(self.threads, "basic-auth", "1", ClientDouble, threads=self.threads))  # type: ignore[arg-type]
        plugin.start()
        return plugin

    def ask(self, plugin: BasicAuth, authorization: str | None = None, **headers: str) -> Answer:
        """A request, with the threads working as long as there is work."""
        if authorization is not None:
            headers["Authorization"] = authorization
        waiting = EdgeDouble(plugin).send(makeContext(headers=headers))
        self.threads.work()
        return self.successResultOf(waiting)

    def test_right(self) -> None:
        """Who knows the password passes, whatever kind of hash it is."""
        plugin = self.plugin()
        for user, password in (("alice", "wonder"), ("bob", "builder")):
            answer = self.ask(plugin, basic(user, password))
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.context.values["user"], user)

    def test_wrong(self) -> None:
        """Wrong passwords, other users' passwords and unknown users get 401, and the origin hears nothing."""
        plugin = self.plugin()
        for user, password in (("alice", "Wonder"), ("alice", "builder"), ("carol", "wonder"), ("", ""), ("alice", "")):
            answer = self.ask(plugin, basic(user, password))
            self.assertEqual((answer.status, answer.forwarded), (401, None))
            self.assertNotIn("user", answer.context.values)

    def test_challenge(self) -> None:
        """Without credentials the answer tells the browser what to ask for; the realm is quoted."""
        answer = self.ask(self.plugin(realm='the "inner" \\ room'))
        challenge = 'Basic realm="the \\"inner\\" \\\\ room", charset="UTF-8"'
        self.assertEqual((answer.status, answer.headers.get("WWW-Authenticate")), (401, challenge))

    def test_malformed(self) -> None:
        """Credentials that are none cost no check of a password."""
        plugin = self.plugin()
        for value in ("", "Basic", "Basic ", "Basic !!!", "Basic YQ==", "Bearer abc", "Basic " + "QUFB" * 1000):
            self.assertEqual(self.ask(plugin, value).status, 401, value)
        self.assertEqual(self.threads.done, 0)

    def test_twoFields(self) -> None:
        """Two Authorization fields could mean different users here and at the origin: refused."""
        plugin = self.plugin()
        right = basic("alice", "wonder")
        context = makeContext(headers=[("Authorization", right), ("authorization", right)])
        self.assertEqual(self.successResultOf(EdgeDouble(plugin).send(context)).status, 401)

    def test_schemeIgnoresCase(self) -> None:
        """The scheme's case does not matter (RFC 9110 §11.1)."""
        self.assertEqual(self.ask(self.plugin(), basic("alice", "wonder").replace("Basic", "bASIC")).status, 200)

    def test_notForwarded(self) -> None:
        """The password goes no further, unless the configuration says so."""
        for forward in (False, True):
            answer = self.ask(self.plugin(forward=forward), basic("alice", "wonder"))
            assert answer.forwarded is not None
            self.assertEqual("Authorization" in answer.forwarded.headers, forward)

    def test_userHeader(self) -> None:
        """The origin is told the user's name, and not what the client claims it to be."""
        plugin = self.plugin(user_header="X-User")
        for _ in range(2):
            answer = self.ask(plugin, basic("alice", "wonder"), **{"x-user": "root"})
            assert answer.forwarded is not None
            self.assertEqual(answer.forwarded.headers.getAll("X-User"), ["alice"])

    def test_unicode(self) -> None:
        """Names and passwords are UTF-8."""
        hashed = bcrypt.hashpw("pässwörd".encode(), bcrypt.gensalt(4)).decode()
        answer = self.ask(self.plugin(users={"zoë": hashed}), basic("zoë", "pässwörd"))
        self.assertEqual((answer.status, answer.context.values["user"]), (200, "zoë"))

    def test_remembered(self) -> None:
        """Right credentials are checked once, and again when their time is over."""
        plugin = self.plugin(cache_seconds="1m")
        right = basic("alice", "wonder")
        for advance, checks in ((0, 1), (59, 1), (2, 2), (1, 2)):
            self.clock.advance(advance)
            self.assertEqual(self.ask(plugin, right).status, 200)
            self.assertEqual(self.threads.done, checks)

    def test_rememberedAnswersAtOnce(self) -> None:
        """Remembered credentials need no Deferred: the chain goes straight on."""
        plugin = self.plugin()
        self.ask(plugin, basic("alice", "wonder"))
        context = makeContext(headers={"Authorization": basic("alice", "wonder")})
        self.assertIs(plugin.handle(context), True)

    def test_wrongIsNotRemembered(self) -> None:
        """Being wrong, or being somebody else, is not remembered as right."""
        plugin = self.plugin()
        self.ask(plugin, basic("alice", "wonder"))
        self.assertEqual(self.ask(plugin, basic("alice", "wonde")).status, 401)
        self.assertEqual(self.ask(plugin, basic("alice", "wonde")).status, 401)
        self.assertEqual(self.ask(plugin, basic("bob", "wonder")).status, 401)

    def test_notRemembered(self) -> None:
        """With a time of zero every request is checked."""
        plugin = self.plugin(cache_seconds=0)
        for checks in (1, 2):
            self.ask(plugin, basic("alice", "wonder"))
            self.assertEqual(self.threads.done, checks)

    def test_memoryIsBounded(self) -> None:
        """No more credentials are remembered than the bound: the oldest are checked again."""
        plugin = self.plugin(cache_size=1)
        for user, password in (("alice", "wonder"), ("bob", "builder"), ("alice", "wonder")):
            self.ask(plugin, basic(user, password))
        self.assertEqual(self.threads.done, 3)

    def test_noPasswordInMemory(self) -> None:
        """What is remembered does not contain the credentials."""
        plugin = self.plugin()
        right = basic("alice", "wonder")
        self.ask(plugin, right)
        kept = repr(plugin._remembered._users)
        self.assertNotIn("wonder", kept)
        self.assertNotIn(right.removeprefix("Basic "), kept)

    def test_checkedOnce(self) -> None:
        """Many requests with the same credentials at once wait for one check, right or wrong."""
        for password, status in (("wonder", 200), ("wrong", 401)):
            plugin = self.plugin()
            before = self.threads.done
            edge = EdgeDouble(plugin)
            waiting = [edge.send(makeContext(headers={"Authorization": basic("alice", password)})) for _ in range(5)]
            self.threads.work()
            self.assertEqual([self.successResultOf(one).status for one in waiting], [status] * 5)
            self.assertEqual(self.threads.done - before, 1)

    def test_clientLeaves(self) -> None:
        """A client that leaves while its password is checked takes nobody else's answer with it."""
        plugin = self.plugin()
        contexts = [makeContext(headers={"Authorization": basic("alice", "wonder")}) for _ in range(2)]
        gone, stays = (plugin.handle(context) for context in contexts)
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.threads.work()
        self.assertIs(self.successResultOf(stays), True)

    def test_everyoneLeaves(self) -> None:
        """When all who asked have left, the check ends in silence and the next request is checked anew."""
        plugin = self.plugin()
        gone = plugin.handle(makeContext(headers={"Authorization": basic("alice", "wonder")}))
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.threads.work()
        self.assertEqual(self.ask(plugin, basic("alice", "wonder")).status, 200)

    def test_busy(self) -> None:
        """When too many checks wait, more are answered 503; those remembered pass all the same."""
        plugin = self.plugin(queue=2)
        self.ask(plugin, basic("alice", "wonder"))
        edge = EdgeDouble(plugin)
        waiting = [edge.send(makeContext(headers={"Authorization": basic("bob", f"{n}")})) for n in range(2)]
        refused = edge.get("/", {"Authorization": basic("bob", "builder")})
        self.assertEqual((refused.status, refused.headers.get("Retry-After")), (503, "1"))
        self.assertEqual(edge.get("/", {"Authorization": basic("alice", "wonder")}).status, 200)
        self.threads.work()
        self.assertEqual([self.successResultOf(one).status for one in waiting], [401, 401])
        self.assertEqual(self.ask(plugin, basic("bob", "builder")).status, 200)

    def test_stop(self) -> None:
        """Stopping ends the threads; what waits is answered 503, and no password is checked any more."""
        plugin = self.plugin()
        waiting = EdgeDouble(plugin).send(makeContext(headers={"Authorization": basic("alice", "wonder")}))
        stopping = plugin.stop()
        assert stopping is not None
        self.threads.work()
        self.successResultOf(stopping)
        self.assertEqual(self.threads.log, ["start", "stop"])
        self.assertEqual(self.successResultOf(waiting).status, 503)
        self.assertEqual(self.ask(plugin, basic("alice", "wonder")).status, 503)
        self.assertIsNone(plugin.stop())

    def test_brokenCheck(self) -> None:
        """A check that breaks lets nobody in: the error is the plugin's, and the next request is checked anew."""

        def broken(password: bytes) -> bool:
            raise MemoryError

        plugin = self.plugin()
        plugin._verifier._users = UserTable({b"alice": PasswordHash(broken)})  # type: ignore[union-attr]
        for _ in range(2):
            waiting = plugin.handle(makeContext(headers={"Authorization": basic("alice", "wonder")}))
            self.threads.work()
            self.failureResultOf(waiting, MemoryError)

    def test_notStarted(self) -> None:
        """A plugin that was never started lets nobody in."""
        plugin = BasicAuth({"users": {"alice": ALICE}})
        context = makeContext(headers={"Authorization": basic("alice", "wonder")})
        self.assertRaises(RuntimeError, plugin.handle, context)
        self.assertRaises(RuntimeError, plugin.start)
        self.assertIsNone(plugin.stop())

    def test_file(self) -> None:
        """Users can stand in a file as htpasswd writes it, beside those of the configuration."""
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"# people\n\nbob:{BOB}\n")
        plugin = self.plugin(users={"alice": ALICE}, file=path)
        self.assertEqual(self.ask(plugin, basic("bob", "builder")).status, 200)
        self.assertEqual(self.ask(plugin, basic("alice", "wonder")).status, 200)

    def test_badFile(self) -> None:
        """A file that cannot be used refuses the configuration with file and line; one that is absent too."""
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"alice:{ALICE}\nbob:secret\n")
        error = self.assertRaises(ValueError, BasicAuth, {"file": path})
        self.assertIn(f"{path}:2", str(error))
        self.assertNotIn("secret", str(error))
        self.assertRaises(OSError, BasicAuth, {"file": self.mktemp()})

    def test_refusesConfiguration(self) -> None:
        """No users at all, names and realms that cannot be, and hashes that cannot be used are refused."""
        for config in (
            {},
            {"users": {"a:b": ALICE}},
            {"users": {"a\nb": ALICE}},
            {"users": {"": ALICE}},
            {"users": {"alice": "wonder"}},
            {"users": {"alice": ALICE}, "realm": "a\r\nb"},
            {"users": {"alice": ALICE}, "user_header": "a b"},
        ):
            self.assertRaises(ValueError, BasicAuth, config)

    def test_emptyFile(self) -> None:
        """A file without users refuses the configuration: it would lock everybody out."""
        path = self.mktemp()
        open(path, "w").close()
        self.assertRaises(ValueError, BasicAuth, {"file": path})


class ThreadedTests(TestCase):
    """The plugin with real threads."""

    async def test_realThreads(self) -> None:
        """Passwords are checked in threads while the reactor runs, and the threads end with the plugin."""
        plugin = BasicAuth({"users": {"alice": ALICE}})
        host = Host(reactor, "basic-auth", "1", ClientDouble)
        plugin.attach(host)
        plugin.start()
        threads = plugin._pool
        try:
            edge = EdgeDouble(plugin)
            right = await edge.send(makeContext(headers={"Authorization": basic("alice", "wonder")}))
            wrong = await edge.send(makeContext(headers={"Authorization": basic("alice", "no")}))
        finally:
            stopping = plugin.stop()
            assert stopping is not None
            await stopping
        self.assertEqual((right.status, wrong.status), (200, 401))
        self.assertFalse([thread for thread in threads.threads if thread.is_alive()])
        self.assertEqual(await host.close(), [])


class CredentialsTests(SynchronousTestCase):
    """What an Authorization value says."""

    def test_colons(self) -> None:
        """The first colon ends the name; the password may have more."""
        self.assertEqual(decodeCredentials(basic("a", "b:c").encode()), (b"a", b"b:c"))

    def test_controls(self) -> None:
        """Control characters, NUL among them, are not allowed (RFC 7617 §2)."""
        for text in ("a\0:b", "a:b\0", "a:b\n", "a:\x7f"):
            self.assertIsNone(decodeCredentials(b"Basic " + b64encode(text.encode())))
