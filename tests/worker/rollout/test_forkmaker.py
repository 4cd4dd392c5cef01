"""Tests for `revproxy.worker.rollout.forkmaker`: which arms there are, and who takes which."""

from __future__ import annotations

import msgspec

from revproxy.config.rolloutpolicy import ClientKey, Testers
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.fork import Fork
from revproxy.plan.words import Evidence, Record, Rehearse, Rehearsed
from revproxy.requestrecord import ArmMet, RequestRecord
from revproxy.secrets import Secret
from tests.trials import NONE, bits, trial
from tests.worker.rollout.trialcase import TrialCase, answering

LAST = {"config": {"last": True}}


class ForkTests(TrialCase):
    """Two plugins, of which the second answers."""

    def setUp(self) -> None:
        super().setUp()
        self.a, self.b = answering("a"), answering("b", **LAST)

    def test_nothingOnTrial(self) -> None:
        """Without trials there is no fork."""
        self.runs(self.a, self.b)
        [chain] = self.worker.edge.generation.chains
        self.assertIs(type(chain), Chain)
        self.assertEqual(self.seen(), "a 1.0;b 1.0;")
        self.assertEqual(self.records.found[-1].arms, ())

    def test_clients(self) -> None:
        """Clients are told apart by address; each stays where it is: of the canary, or not."""
        one = trial("a", canary=NONE)
        self.runs(self.a, self.b, tried=[(one, [answering("a", "2.0")])])
        [fork] = self.worker.edge.generation.chains
        assert isinstance(fork, Fork)
        buckets = {host: fork._draws[0][1].byAddress(host).bucket for host in (f"192.0.2.{at}" for at in range(40))}
        chosen = set(list(buckets.values())[::2])
        self.runs(self.a, self.b, tried=[(trial("a", canary=bits(chosen)), [answering("a", "2.0")])])
        for host, bucket in buckets.items():
            wanted = "a 2.0;b 1.0;" if bucket in chosen else "a 1.0;b 1.0;"
            self.assertEqual((self.seen(host), self.seen(host)), (wanted, wanted))

    def test_record(self) -> None:
        """Of each request it is known which version it met."""
        self.runs(self.a, self.b, tried=[(trial("a"), [answering("a", "2.0")])])
        self.seen()
        self.assertEqual(self.records.found[-1].arms, (ArmMet("a", "2.0", True),))
        self.runs(self.a, self.b, tried=[(trial("a", canary=NONE), [answering("a", "2.0")])])
        self.seen()
        self.assertEqual(self.records.found[-1].arms, (ArmMet("a", "1.0", False),))

    def test_twoTrials(self) -> None:
        """Each draws by itself: there are four arms."""
        half = bits(range(0, 4096, 2))
        self.runs(
            self.a, self.b,
            tried=[(trial("a", canary=half), [answering("a", "2.0")]),
                   (trial("b", canary=half), [answering("b", "2.0", **LAST)])],
        )  # fmt: skip
        seen = {self.seen(f"192.0.2.{at}") for at in range(60)}
        self.assertEqual(seen, {f"a {a}.0;b {b}.0;" for a in (1, 2) for b in (1, 2)})

    def test_together(self) -> None:
        """Plugins that come into service together are met together."""
        tried = [(trial("a", "b", canary=bits(range(2048))), [answering("a", "2.0"), answering("b", "2.0", **LAST)])]
        self.runs(self.a, self.b, tried=tried)
        seen = {self.seen(f"192.0.2.{at}") for at in range(40)}
        self.assertEqual(seen, {"a 1.0;b 1.0;", "a 2.0;b 2.0;"})

    def test_header(self) -> None:
        """By a header; who does not send it is told by address."""
        one = trial("a", canary=bits(range(2048)), by=ClientKey("header", "X-User"))
        self.runs(self.a, self.b, tried=[(one, [answering("a", "2.0")])])
        seen = {user: self.seen("192.0.2.1", f"X-User: {user}") for user in "abcdefghijkl"}
        self.assertEqual(set(seen.values()), {"a 1.0;b 1.0;", "a 2.0;b 1.0;"})
        for user, before in seen.items():
            self.assertEqual(self.seen("192.0.2.77", f"x-user: {user}"), before)
        hosts = {self.seen(f"192.0.2.{at}") for at in range(20)}
        self.assertEqual(hosts, set(seen.values()))

    def test_cookie(self) -> None:
        """By a cookie that somebody else sets."""
        one = trial("a", canary=bits(range(2048)), by=ClientKey("cookie", "sid"))
        self.runs(self.a, self.b, tried=[(one, [answering("a", "2.0")])])
        seen = {user: self.seen("192.0.2.1", f"Cookie: x=1; sid={user}; y=2") for user in "abcdefghijkl"}
        self.assertEqual(set(seen.values()), {"a 1.0;b 1.0;", "a 2.0;b 1.0;"})
        for user, before in seen.items():
            self.assertEqual(self.seen("192.0.2.77", f"Cookie: sid={user}"), before)

    def test_issued(self) -> None:
        """By the edge's own cookie, which the clients of both versions get, and stay by it wherever they come from."""
        one = trial("a", canary=bits(range(2048)), by=ClientKey("issued"), cookieKey=b"k" * 32)
        self.runs(self.a, self.b, tried=[(one, [answering("a", "2.0")])])
        found = set()
        for at in range(30):
            head, _, body = self.ask(f"192.0.2.{at}").partition(b"\r\n\r\n")
            [cookie] = [line for line in head.split(b"\r\n") if line.startswith(b"Set-Cookie: revproxy_arm=")]
            value = cookie.partition(b": ")[2].partition(b";")[0].decode()
            again = self.ask("198.51.100.1", f"Cookie: {value}")
            self.assertTrue(again.endswith(b"\r\n\r\n" + body))
            self.assertNotIn(b"Set-Cookie", again)
            found.add(body)
        self.assertEqual(found, {b"a 1.0;b 1.0;", b"a 2.0;b 1.0;"})

    def test_testers(self) -> None:
        """A header with a token chooses either version; nobody behind the edge sees it, whatever is in it."""
        testers = Testers("X-Arm", Secret("correct horse battery"))
        shows = """
    def handleResponse(self, context):
        context.response.headers.set("X-Saw", str(context.request.headers.get("x-arm")))
"""
        b = answering("b", body=shows, interfaces="IResponseMiddleware", **LAST)
        for canary, other in ((NONE, "candidate"), (bits(range(4096)), "running")):
            self.runs(self.a, b, tried=[(trial("a", canary=canary, testers=testers), [answering("a", "2.0")])])
            usual = self.seen()
            self.assertEqual({usual, self.seen("192.0.2.1", f"X-Arm: correct horse battery {other}")},
                             {"a 1.0;b 1.0;", "a 2.0;b 1.0;"})  # fmt: skip
            for wrong in ("wrong horse candidate", "correct horse battery", "correct horse battery both", ""):
                self.assertEqual(self.seen("192.0.2.1", f"X-Arm: {wrong}"), usual)

    def test_testersInShadow(self) -> None:
        """Testers meet a candidate that no client meets yet; that of another trial they do not meet besides."""
        testers = Testers("X-Arm", Secret("correct horse battery"))
        self.runs(
            self.a, self.b,
            tried=[(trial("a", canary=NONE, stage="shadow", testers=testers), [answering("a", "2.0")]),
                   (trial("b"), [answering("b", "2.0", **LAST)])],
        )  # fmt: skip
        self.assertEqual(self.seen(), "a 1.0;b 2.0;")
        self.assertEqual(self.seen("192.0.2.1", "X-Arm: correct horse battery candidate"), "a 2.0;b 1.0;")

    def test_drained(self) -> None:
        """What a request uses is in use to its end, in whichever arm."""
        self.runs(self.a, self.b, tried=[(trial("a"), [answering("a", "2.0")])])
        [fork] = self.worker.edge.generation.chains
        self.seen()
        self.assertEqual([chain.active for chain in (fork, *fork.branches)], [0, 0, 0])
        [candidate] = self.worker.staging.running.candidates.values()  # type: ignore[union-attr]
        self.assertEqual(len(candidate.chains), 1)
        self.assertTrue(set(candidate.chains) <= set(fork.branches))


class RecordedTests(TrialCase):
    """Recordings of requests, where nothing is on trial."""

    def test_forks(self) -> None:
        """While there is one of a route, that has a fork; no plugin is made anew."""
        self.settings = self.config("routes: [{path: /a, respond: {}}, {path: /b, respond: {}, plugins: {a: false}}]\n")
        self.runs(answering("a", **LAST))
        [instance] = self.worker.staging.running.members.values()  # type: ignore[union-attr]
        name = self.settings.routes[0].name
        self.worker.receive(Record("r", (name,), share=0.5))
        self.assertEqual([type(chain) for chain in self.worker.edge.generation.chains], [Fork, Chain])
        self.assertEqual(len(instance.chains & set(self.worker.edge.generation.chains[0].branches)), 2)
        self.worker.receive(Record("r", (), share=0))
        self.assertEqual([type(chain) for chain in self.worker.edge.generation.chains], [Chain, Chain])


class RehearsedTests(TrialCase):
    """Requests that nobody has sent."""

    def test_arm(self) -> None:
        """A rehearsal meets what its client would; it is not judged, and uses what it meets no longer than it lasts."""
        half = trial("a", canary=bits(range(2048)))
        self.runs(answering("a"), answering("b", **LAST), tried=[(half, [answering("a", "2.0")])])
        [fork] = self.worker.edge.generation.chains
        for host in (f"192.0.2.{at}" for at in range(10)):
            self.worker.trials.report()
            self.told.clear()
            self.worker.receive(Rehearse(1, "GET", "/", host="h", scheme="http", client=host, plugins=True))
            self.elapse(lambda: any(isinstance(word, Rehearsed) for word in self.told))
            [answer] = [word for word in self.told if isinstance(word, Rehearsed)]
            record = msgspec.msgpack.decode(answer.record, type=RequestRecord)
            self.worker.trials.report()
            self.assertFalse([word for word in self.told if isinstance(word, Evidence)])
            self.seen(host)
            self.assertEqual(record.arms, self.records.found[-1].arms)
        self.assertEqual([chain.active for chain in (fork, *fork.branches)], [0, 0, 0])
