"""What a change does not concern is the same afterwards: instances, connections, sessions; and what it does, ends."""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource
from zope.interface import Interface

from tests.behaviour.changes import ROUTES, UPSTREAMS, Answers, ChangingCase
from tests.behaviour.pipeline import Client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class IWho(Interface):
    """What one plugin provides for another."""

    def who() -> str:
        """Its mark; fails after its stop."""


class Visits(Resource):
    """Counts the visits of each session, and all of them."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.all = 0

    def render_GET(self, request: Any) -> bytes:
        session = request.getSession()
        session.visits = getattr(session, "visits", 0) + 1
        self.all += 1
        return b"%d of %d" % (session.visits, self.all)


def visits() -> Visits:
    """What routes mount."""
    return Visits()


class StayCase(ChangingCase):
    """Plugins a and b."""

    def begin(self) -> None:
        self.bench.stamp("a", "1")
        self.bench.stamp("b", "1")
        self.bench.start()

    def object(self, name: str) -> Any:
        """The only instance of a plugin."""
        assert self.bench.worker.staging.running is not None
        (instance,) = self.bench.worker.staging.running.of(name)
        return instance.object

    def answer(self, path: str, client: Client | None = None) -> bytes:
        """The whole answer to a request."""
        client = client or self.bench.connect()
        before = len(client.got)
        self.bench.ask(path, client)
        return client.got[before:]


class InstanceTests(StayCase):
    """Instances."""

    def test_others(self) -> None:
        """Whatever happens to others, an instance stays: it is neither made nor started anew."""
        self.begin()
        before = self.object("a")
        self.bench.swap("b", "2")
        self.bench.stamp("b", "2", config={"mark": " x"})
        self.bench.apply()
        self.bench.stamp("c", "1")
        self.bench.apply()
        self.bench.write("d", "1 / 0")
        self.bench.apply()
        (self.bench.plugins / "c" / "plugin.json").unlink()
        self.bench.apply()
        self.assertIs(self.object("a"), before)
        self.assertEqual(self.stage.starts.count("a 1"), 1)
        self.assertEqual(self.stage.stopsOf("a 1"), 0)
        self.check()

    def test_configurationFile(self) -> None:
        """So it does when routes, upstreams and limits change around it."""
        self.begin()
        before = self.object("a")
        for routes, extra in (
            ("[{upstream: app}, {path: /new, respond: {}}]", UPSTREAMS),
            (ROUTES, UPSTREAMS.replace("9000", "9001")),
            (ROUTES, UPSTREAMS + "limits: {max_headers: 50}\n"),
            (ROUTES, "# only a comment\n" + UPSTREAMS),
            ("[{upstream: app, plugins: {b: false}}]", UPSTREAMS),
        ):
            self.bench.configure(routes, extra)
            self.bench.apply()
            self.assertIs(self.object("a"), before)
        self.assertEqual(self.stage.starts.count("a 1"), 1)

    def test_sameConfigurationElsewhere(self) -> None:
        """A configuration that moves from plugin.json to revproxy.yaml is the same one."""
        self.begin()
        self.bench.stamp("a", "1", config={"mark": "!"})
        self.bench.apply()
        before = self.object("a")
        self.bench.configure(ROUTES, UPSTREAMS + "plugins: {directory: plugins, config: {a: {mark: '!'}}}\n")
        self.bench.apply()
        self.assertIs(self.object("a"), before)

    def test_perRoute(self) -> None:
        """Of several instances only those of the changed configuration are replaced."""
        routes = "[{{upstream: app}}, {{path: /x, upstream: app, plugins: {{a: {{mark: {}}}}}}}]"
        self.bench.configure(routes.format("x"), UPSTREAMS)
        self.begin()
        assert self.bench.worker.staging.running is not None
        before = {one.object.mark: one.object for one in self.bench.worker.staging.running.of("a")}
        self.bench.configure(routes.format("y"), UPSTREAMS)
        self.bench.apply()
        after = {one.object.mark: one.object for one in self.bench.worker.staging.running.of("a")}
        self.assertEqual((sorted(before), sorted(after)), (["1", "1x"], ["1", "1y"]))
        self.assertIs(before["1"], after["1"])
        self.assertEqual([stop for stop, _ in self.stage.stops], ["a 1x"])


class PoolTests(StayCase):
    """Connections to origins."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def test_reused(self) -> None:
        """One connection serves the requests of all generations."""
        for number in range(2, 12):
            self.answer(f"/{number}")
            self.bench.swap("ab", str(number))
        self.assertEqual(len(self.bench.origin.connections), 1)
        self.assertEqual(self.bench.origin.connections[0].number, 10)
        self.assertIsNone(self.bench.origin.connections[0].wire.end)

    def test_routes(self) -> None:
        """Also when routes come and go."""
        self.answer("/1")
        self.bench.configure("[{upstream: app}, {path: /x, upstream: app, strip_prefix: true}]", UPSTREAMS)
        self.bench.apply()
        self.answer("/x/2")
        self.assertEqual(self.bench.origin.wholes[-1][1], b"/2")
        self.assertEqual(len(self.bench.origin.connections), 1)

    def change(self) -> None:
        """The upstream has other settings."""
        self.bench.configure(ROUTES, UPSTREAMS.replace('9000"]', '9000"], max_connections: 3'))
        self.bench.apply()

    def test_changed(self) -> None:
        """Where the upstream's settings changed, idle connections end and new ones are made; others' are kept."""
        self.answer("/1")
        tunnel = self.bench.tunnel()
        self.change()
        self.assertEqual(self.bench.origin.connections[0].wire.end, "abort")
        self.answer("/2")
        self.assertEqual(len(self.bench.origin.connections), 2)
        tunnel.send(b"hello")
        self.assertTrue(tunnel.got.endswith(b"hello"))

    def test_drained(self) -> None:
        """A request on an old connection is answered in full; then the connection ends."""
        self.bench.origin.answers[b"/1"] = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"
        client = self.bench.ask("/1")
        self.change()
        self.bench.wait(60)
        self.bench.origin.connections[0].wire.arrive(b"half")
        self.bench.settle()
        self.assertTrue(client.got.endswith(b"halfhalf"))
        self.assertEqual(self.bench.origin.connections[0].wire.end, "abort")
        self.answer("/2", client)
        self.assertTrue(client.got.endswith(b"answer to /2"))

    def test_queued(self) -> None:
        """Requests that wait for a connection of the old pool get one, and their answers."""
        self.bench.configure(ROUTES, UPSTREAMS.replace('9000"]', '9000"], max_connections: 1'))
        self.bench.apply()
        self.bench.origin.answers[b"/1"] = b""
        clients = [self.bench.ask(f"/{number}") for number in (1, 2, 3)]
        self.assertEqual(len(self.bench.origin.wholes), 1)
        self.change()
        self.bench.origin.connections[0].wire.arrive(OK)
        self.bench.settle()
        self.assertEqual([client.statuses() for client in clients], [[200]] * 3)
        self.bench.wait(1)
        self.assertEqual([one.wire.end for one in self.bench.origin.connections], ["abort"])

    def test_gone(self) -> None:
        """An upstream that nobody names any more is let go of."""
        self.answer("/1")
        self.bench.configure("[{upstream: echo}]", 'upstreams: {echo: {targets: ["http://127.0.0.1:9001"]}}\n')
        self.bench.apply()
        self.assertEqual([one.wire.end for one in self.bench.origin.connections], ["abort"])

    def test_markedDown(self) -> None:
        """What is known of a target that fails outlives a swap."""
        other = self.bench.origins["127.0.0.1", 9002] = Answers(self.bench.clock)
        targets = '9000", "http://127.0.0.1:9002"], max_fails: 1, fail_timeout: 60'
        self.bench.configure(ROUTES, UPSTREAMS.replace('9000"]', targets))
        self.bench.apply()
        other.refusing = True
        for number in range(4):
            self.answer(f"/{number}")
        other.refusing = False
        self.bench.swap("a", "2")
        for number in range(4, 8):
            self.assertIn(b"answer to", self.answer(f"/{number}"))
        self.assertEqual(other.heard, [])


class ResourceTests(StayCase):
    """Mounted resources."""

    ROUTE = f"{{path: /visits, resource: {__name__}.visits}}"

    def setUp(self) -> None:
        super().setUp()
        self.bench.configure(f"[{self.ROUTE}, {{upstream: app}}]", UPSTREAMS)
        self.begin()
        answer = self.answer("/visits")
        cookie = answer.partition(b"Set-Cookie: ")[2].partition(b";")[0]
        self.cookie = {"Cookie": cookie.decode()}

    def visit(self) -> bytes:
        """What it says to the same visitor."""
        client = self.bench.ask("/visits", headers=self.cookie)
        return client.got.rpartition(b"\r\n")[2]

    def test_sessions(self) -> None:
        """A resource and its sessions outlive swaps of plugins and changes of other routes."""
        self.assertEqual(self.visit(), b"2 of 2")
        self.bench.swap("ab", "2")
        self.assertEqual(self.visit(), b"3 of 3")
        self.bench.configure(f"[{{path: /new, respond: {{}}}}, {{upstream: echo}}, {self.ROUTE}]", UPSTREAMS)
        self.bench.apply()
        self.assertEqual(self.visit(), b"4 of 4")

    def test_failedChange(self) -> None:
        """And changes that were refused."""
        self.bench.configure(f"[{self.ROUTE}, {{path: /x, resource: {__name__}.nothing}}]", UPSTREAMS)
        self.bench.apply()
        self.assertIn("cannot be mounted", self.bench.failure(""))
        self.assertEqual(self.visit(), b"2 of 2")

    def test_moved(self) -> None:
        """At another path it is another one."""
        self.bench.configure(f"[{self.ROUTE.replace('/visits', '/other')}]", UPSTREAMS)
        self.bench.apply()
        self.assertEqual(self.answer("/other").rpartition(b"\r\n")[2], b"1 of 1")


CLIENT = """
    async def handle(self, context):
        self.stage.visit(self, "in", context)
        answer = await context.client.get("http://127.0.0.1:9002" + context.request.path)
        context.values["text"] = await answer.text()
        return True
    def handleResponse(self, context):
        context.response.headers.set("X-Text", context.values["text"])
"""
BACKGROUND = """
    def attach(self, host):
        self.host = host
    def start(self):
        self.stage.started(self)
        self.stage.outcomes = []
        asked = self.host.client.get("http://127.0.0.1:9002/background")
        asked.addCallback(lambda answer: answer.text())
        asked.addBoth(self.stage.outcomes.append)
"""


class ClientTests(StayCase):
    """``context.client``."""

    def setUp(self) -> None:
        super().setUp()
        self.service = self.bench.origins["127.0.0.1", 9002] = Answers(self.bench.clock)
        self.service.answers = {b"/slow": b"", b"/background": b""}

    def test_drained(self) -> None:
        """What a retired instance asks on behalf of a request is answered while that request may go on."""
        self.bench.stamp("a", "1", body=CLIENT, limits={"timeout_ms": 100_000})
        self.bench.start()
        client = self.bench.ask("/slow")
        self.bench.swap("a", "2")
        self.assertEqual(self.stage.stops, [])
        self.service.asked[b"/slow"].wire.arrive(OK)
        self.bench.settle()
        self.assertIn(b"X-Text: ok", client.got)
        self.assertEqual(self.stage.stops, [("a 1", ())])
        self.check()

    def test_brokenOff(self) -> None:
        """With the drain time it ends, and its connection with it."""
        self.bench.configure(ROUTES, UPSTREAMS.replace("drain: 30", "drain: 10"))
        self.bench.stamp("a", "1", body=CLIENT, limits={"timeout_ms": 100_000})
        self.bench.start()
        client = self.bench.ask("/slow")
        self.bench.swap("a", "2")
        self.bench.wait(9)
        self.assertIsNone(self.service.connections[0].wire.end)
        self.bench.wait(2)
        self.assertEqual(client.wire.end, "abort")
        self.assertEqual(self.service.connections[0].wire.end, "abort")
        self.assertEqual(self.stage.stops, [("a 1", ())])
        self.check()

    def test_background(self) -> None:
        """What an instance asks for itself ends with it, whether a head has come or not."""
        for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"):
            self.setUp()
            self.service.answers[b"/background"] = answer
            self.bench.stamp("a", "1", body=BACKGROUND, interfaces=", IHosted")
            self.bench.start()
            self.bench.settle()
            self.assertEqual(len(self.service.connections), 1)
            self.assertEqual(self.stage.outcomes, [])  # type: ignore[attr-defined]
            self.bench.swap("a", "2")
            self.bench.settle()
            self.assertEqual(len(self.stage.outcomes), 1)  # type: ignore[attr-defined]
            self.assertEqual(self.service.connections[0].wire.end, "abort")
            self.assertEqual(self.bench.retired(), 0)

    def test_connectionsAreShared(self) -> None:
        """The next version uses the connections of the last."""
        self.bench.stamp("a", "1", body=CLIENT)
        self.bench.start()
        for number in range(2, 6):
            self.bench.ask(f"/{number}")
            self.bench.stamp("a", str(number), body=CLIENT)
            self.bench.apply()
        self.assertEqual(len(self.service.connections), 1)
        self.assertEqual(self.service.connections[0].number, 4)


PROVIDES = f"""
    from {__name__} import IWho
    def who(self):
        assert f"{{self.name}} {{self.mark}} {{self.serial}}" not in self.stage._dead, "it was stopped"
        return self.mark
"""
ASKS = f"""
    from {__name__} import IWho
    def handleResponse(self, context):
        who = context.services.get(self.IWho)
        context.response.headers.set("X-Who", "nobody" if who is None else who.who())
"""


class ServiceTests(StayCase):
    """``context.services``."""

    def provide(self, mark: str, **manifest: Any) -> None:
        self.bench.stamp("p", mark, body=PROVIDES, interfaces=f", __import__('sys').modules[{__name__!r}].IWho",
                         **manifest)

    def who(self, client: Client) -> str:
        return client.got.partition(b"X-Who: ")[2].partition(b"\r\n")[0].decode()

    def setUp(self) -> None:
        super().setUp()
        self.provide("1")
        self.bench.stamp("a", "1", body=ASKS)
        self.bench.origin.answers[b"/slow"] = b""

    def release(self) -> None:
        self.bench.origin.asked[b"/slow"].wire.arrive(OK)
        self.bench.settle()

    def test_ownGeneration(self) -> None:
        """A request is given the provider of its own generation, which still runs."""
        self.bench.start()
        client = self.bench.ask("/slow")
        for mark in ("2", "3"):
            self.provide(mark)
            self.bench.apply()
            self.assertEqual(self.who(self.bench.ask("/new")), mark)
        self.release()
        self.assertEqual(self.who(client), "1")
        self.assertEqual(sorted(self.stage.stops), [("p 1", ()), ("p 2", ())])
        self.check()

    def test_ownRoute(self) -> None:
        """Of several providers it is the one on the request's own route; without one there, the first of all."""
        self.bench.stamp("z", "z", body=PROVIDES, interfaces=f", __import__('sys').modules[{__name__!r}].IWho")
        self.bench.configure("[{path: /none, upstream: app, plugins: {p: false, z: false}}, "
                             "{path: /p, upstream: app, plugins: {z: false}}, "
                             "{path: /z, upstream: app, plugins: {p: false}}, {path: /, upstream: app}]", UPSTREAMS)
        self.bench.start()
        self.assertEqual([self.who(self.bench.ask(path)) for path in ("/none", "/p", "/z", "/")], ["1", "1", "z", "1"])

    def test_goneAndCome(self) -> None:
        """One that went is there for requests from before only; one that came is not there for those."""
        self.bench.start()
        client = self.bench.ask("/slow")
        (self.bench.plugins / "p" / "plugin.json").unlink()
        self.bench.apply()
        self.assertEqual(self.who(self.bench.ask("/new")), "nobody")
        self.release()
        self.assertEqual(self.who(client), "1")
        late = self.bench.ask("/slow")
        self.provide("2")
        self.bench.apply()
        self.release()
        self.assertEqual((self.who(late), self.who(self.bench.ask("/new"))), ("nobody", "2"))
