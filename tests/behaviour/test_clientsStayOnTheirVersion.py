"""
Behaviour: while a version is rolled out, each client meets one version.

Over requests and connections, while other plugins are replaced, when the share grows, and over restarts of the edge.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from revproxy.config.rolloutpolicy import ClientKey
from revproxy.plan.trial import Trial
from revproxy.worker.worker import Worker
from tests.dataplane.doubles import TransportDouble
from tests.trials import bits, trial
from tests.worker.rollout.trialcase import TrialCase, answering

LAST = {"config": {"last": True}}
CLIENTS = [f"10.{at >> 8}.{at & 255}.1" for at in range(300)]
OLD, NEW = "a 1.0;b 1.0;", "a 2.0;b 1.0;"


def canary(share: float, **options: Any) -> Trial:
    """So many of the clients meet the new version: those of the first buckets."""
    return trial("a", id="r1", canary=bits(range(round(4096 * share))), **options)


class StayCase(TrialCase):
    """Version 1.0 of a plugin runs, and 2.0 comes."""

    def setUp(self) -> None:
        super().setUp()
        self.old, self.new, self.b = answering("a"), answering("a", "2.0"), answering("b", **LAST)

    def tries(self, one: Trial, b: Any = None) -> None:
        self.runs(self.old, b or self.b, tried=[(one, [self.new])])

    def met(self) -> dict[str, str]:
        """What each of the clients meets."""
        return {host: self.seen(host).partition(";")[0] for host in CLIENTS}


class StayTests(StayCase):
    """By address."""

    def test_share(self) -> None:
        """About as many clients meet it as was said, none of them both."""
        self.tries(canary(0.2))
        first, second = self.met(), self.met()
        self.assertEqual(first, second)
        self.assertTrue(30 < list(first.values()).count("a 2.0") < 90, first)

    def test_others(self) -> None:
        """While another plugin is replaced."""
        self.tries(canary(0.3))
        before = self.met()
        self.tries(canary(0.3), answering("b", "1.1", **LAST))
        self.assertEqual(self.met(), before)

    def test_grows(self) -> None:
        """When more clients are to meet it, those who did still do."""
        self.tries(canary(0.1))
        before = self.met()
        self.tries(canary(0.5))
        after = self.met()
        self.assertTrue(all(after[host] == "a 2.0" for host in CLIENTS if before[host] == "a 2.0"))
        self.assertGreater(list(after.values()).count("a 2.0"), list(before.values()).count("a 2.0"))

    def test_restart(self) -> None:
        """After a restart of the edge."""
        self.tries(canary(0.3))
        before = self.met()
        self.end()
        self.worker = Worker(
            self.reactor, self.settings, self.told.append, self.inThread, dropIns=(), monotonic=self.reactor.seconds
        )
        self.tries(canary(0.3))
        self.assertEqual(self.met(), before)

    def test_keepAlive(self) -> None:
        """A connection that was there before meets it from the next request on, if its client is to."""
        self.runs(self.old, self.b)
        transport = TransportDouble("192.0.2.1")
        server = self.connect(transport)
        request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        server.dataReceived(request)
        self.assertTrue(transport.sent.endswith(OLD.encode()))
        self.tries(canary(1.0))
        server.dataReceived(request)
        self.assertTrue(transport.sent.endswith(NEW.encode()))
        self.lose(server)


class CookieTests(StayCase):
    """By the edge's own cookie."""

    def cookieOf(self, host: str) -> str:
        head = self.ask(host).partition(b"\r\n\r\n")[0]
        [value] = [line for line in head.split(b"\r\n") if line.startswith(b"Set-Cookie: revproxy_arm")]
        return value.partition(b": ")[2].partition(b";")[0].decode()

    def test_elsewhere(self) -> None:
        """Where the client comes from another address, over a restart."""
        one = canary(0.5, by=ClientKey("issued"), cookieKey=b"k" * 32)
        self.tries(one)
        cookies = {host: self.cookieOf(host) for host in CLIENTS[:40]}
        met = {host: self.seen(host) for host in cookies}
        self.assertEqual(set(met.values()), {OLD, NEW})
        self.end()
        self.worker = Worker(
            self.reactor, self.settings, self.told.append, self.inThread, dropIns=(), monotonic=self.reactor.seconds
        )
        self.tries(one)
        for host, cookie in cookies.items():
            self.assertEqual(self.seen("203.0.113.9", f"Cookie: {cookie}"), met[host])

    def test_neverShared(self) -> None:
        """An answer that caches of many clients may keep has none."""
        body = """
    def handleResponse(self, context):
        context.response.headers.set("Cache-Control", "public, max-age=60")
"""
        shared = answering("c", body=body, interfaces="IResponseMiddleware")
        one = canary(0.5, by=ClientKey("issued"), cookieKey=b"k" * 32)
        self.runs(shared, self.old, self.b, tried=[(one, [self.new])])
        for host in CLIENTS[:40]:
            self.assertNotIn(b"set-cookie", self.ask(host).lower())


class LongTests(StayCase):
    """A request that takes long: a stream, or a tunnel."""

    def test_staysToItsEnd(self) -> None:
        """Where it began, whatever becomes of the rollout meanwhile; what it uses is not stopped before."""
        for ends in ("promoted", "rolled back"):
            held: Deferred[bool] = Deferred()
            waits = """
    def handleResponse(self, context):
        return held
    def start(self): pass
    def stop(self): stopped.append(self)
"""
            interfaces = "IResponseMiddleware, ILifecycle"
            old, new = (answering("a", number, waits, interfaces) for number in ("1.0", "2.0"))
            self.runs(old, self.b, tried=[(trial("a", id=ends), [new])])
            serving = self.worker.staging.running
            assert serving is not None
            stopped: list[Any] = []
            for instance in serving.instances:
                if instance.version.name == "a":
                    names = type(instance.object).handle.__globals__
                    names["held"], names["stopped"] = held, stopped
            [candidate] = serving.candidates.values()
            made = candidate.object
            transport = TransportDouble("192.0.2.1")
            server = self.connect(transport)
            server.dataReceived(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            self.assertEqual(bytes(transport.sent), b"")
            self.runs(*((new, self.b) if ends == "promoted" else (old, self.b)))
            self.settle()
            self.assertNotIn(made, stopped)
            held.callback(None)
            self.settle()
            self.assertTrue(transport.sent.endswith(NEW.encode()), transport.sent)
            self.assertEqual(made in stopped, ends == "rolled back")
            self.lose(server)
