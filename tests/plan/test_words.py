"""
Every word that the halves say to each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.problems import Problem
from revproxy.plan.catalog import BrokenModule
from revproxy.plan.counted import (
    AttemptSeries,
    ConnectionNow,
    EdgeCounters,
    HostCount,
    OwnFigure,
    PhaseCounters,
    PluginNow,
    ProcessNow,
    RequestSeries,
    RouteNow,
    Series,
    TargetNow,
    ThreadFigures,
    VersionCounters,
)
from revproxy.plan.encoding import decode, encode
from revproxy.plan.evidence import (
    ArmCounts,
    ArmStall,
    BucketTime,
    DifferenceCount,
    Fingerprint,
    First,
    TrialEvidence,
    TrialPairs,
)
from revproxy.plan.refusal import Refusal
from revproxy.plan.versionid import UNKNOWN, VersionId
from revproxy.plan.words import (
    Abandon,
    Answer,
    Ask,
    CertificateFacts,
    CertificateState,
    Commit,
    Connections,
    Counters,
    Down,
    DropIns,
    Evidence,
    Failures,
    LastFailure,
    Locking,
    Notice,
    Prepare,
    Readiness,
    Ready,
    Record,
    Recorded,
    Records,
    Rehearse,
    Rehearsed,
    Remains,
    Restored,
    Stalled,
    Target,
    TargetChanged,
    Up,
)
from revproxy.worker.lifecycle.dropins import DropInFactories
from tests.plan import plans

VERSION = VersionId("1.0rc1", "5d" * 32)

REFUSAL = Refusal(
    "a",
    "import",
    "plugins/a/plugin.py:3: it raised\nKeyError: 'ü'",
    VERSION,
    "Traceback (most recent call last): …",
    (Problem("plugins/a/plugin.json", 3, 4, '$.config["x"][1]', "no"), Problem("", 0, 0, "", "")),
)

EVIDENCE = TrialEvidence(
    "a-1",
    ArmCounts(100, 10, 1, 2, 3, 0.5, {7: 90}),
    ArmCounts(5),
    (First(1.7e9, "faults", 4095, True), First(1.7e9, "slow999", 0, False)),
    (BucketTime(3, False, 2, -18.5),),
    (Fingerprint(3, True, "KeyError", "plugin.py", "PluginMain.handle", "KeyError: 'k' (plugin.py:9)"),),
    (ArmStall(True, 1.5, 0.9, "handle", "plugin.py:3"), ArmStall(False, 1.5, None, "", "")),
    {"a": (0.1, 0.2, 0.3)},
    2,
)
PAIRS = TrialPairs(
    "a-1", True, 100, {"upload": 2}, 3, (DifferenceCount("header:x-a", "added", 5, 1, 0, (("GET /", "", "1"),)),),
    4, (1, 2, 3), (3, 2, 1), 1, 0, 90, -0.5,
)  # fmt: skip


def examples(root: Path) -> list[Down | Up]:
    """
    Each word with everything that can be in it, and with as little as there can be.
    """
    return [
        Prepare(1, plans.plan(root), starts=False, withoutState=True, isRescue=True),
        Ready(2),
        Commit(3),
        Abandon(2**40),
        Target("web", "http://127.0.0.1:9000", False),
        Target("web", "http://127.0.0.1:9000", True, 7),
        Readiness(True),
        Ask(1),
        Ask(2, "connections"),
        Rehearse(3, "GET", "/a?b", "shop:80", "http"),
        Rehearse(4, "get", "*", "shop", "https", (("X-A", "ü"), ("X-A", "")), "192.0.2.1", "shop", True),
        Record("night", ("shop",), 0.05, 1000),
        Record("night"),
        Evidence(1.7e9),
        Evidence(1.7e9, (EVIDENCE, TrialEvidence("b-1")), (PAIRS, TrialPairs("b-1"))),
        Recorded("night", b"\x90", 0),
        Recorded("night", b"\x91\xc0", 1, 7),
        DropIns(),
        DropIns(
            DropInFactories([plans.INSTALLED]).told.entries,
            (plans.brokenEntry("b"),),
            (BrokenModule("site.c", "ImportError: no"),),
        ),
        Answer(1, "prepare"),
        Answer(1, "ready", (REFUSAL, Refusal("", "listen", "tcp:1: in use"))),
        Answer(1, "commit"),
        Answer(1, "abandon"),
        Failures("a", VERSION, 3, 100),
        Failures("dropin", VersionId("1"), 1, 1),
        Failures("a", VERSION, 0, 7, LastFailure(1.7e9, "KeyError: 'k'", "Main.handle", "plugin.py:9", "Traceback …")),
        Failures("a", VERSION, 1, 7, LastFailure(1.7e9, "no answer within 1.0 s")),
        Stalled("a", VERSION, "handle", "plugin.py:3", 1.5, True),
        Stalled("", UNKNOWN, "select", "selectors.py:1", 0.25, False),
        Stalled("a", VERSION, "handle", "plugin.py:3", 1.5, True, True),
        Restored("a", VERSION),
        Restored("a", VERSION, 2),
        Remains("a", VERSION, 20.0, ("class", "instance"), ("a thread: worker-1",)),
        Counters(),
        Counters((VersionCounters("a", VERSION, 5, 4, 3, 2, 1, 0.5), VersionCounters("b", UNKNOWN)), {"a": 2}, 9),
        Counters((VersionCounters("a", VERSION, 5, seconds=2.5, longCalls=3, longSeconds=2.25),)),
        Counters(gated=("a", "b")),
        Counters(figures=(
            OwnFigure("a", "sold_total", "counter", "things", ("kind",), (), (Series(("book",), 2.0),)),
            OwnFigure("a", "seconds", "histogram", "", (), (0.1, 1.0), (Series((), 2.5, (0, 1, 2)),)),
        )),
        Counters(threads=(ThreadFigures("a", 8, 1, 2, 3, 4), ThreadFigures("b", 1))),
        Counters((VersionCounters("a", VERSION, phases=(
            PhaseCounters("handle", 9, {"error": 1, "timeout": 2}, 3, {"on_error": 1}, 0.25, (0, 4, 5)),
            PhaseCounters("finished"),
        )),)),
        Counters(
            requests=(RequestSeries("shop", "GET", 200, "https", "1.1", "", 3, 0.75, {12: 2, 40: 1}),),
            attempts=(AttemptSeries("web", "http://127.0.0.1:9000", "GET", 502, "ConnectFailed", 1, 0.5, {30: 1}),),
            hosts=(HostCount("shop.example", 3), HostCount("", 1)),
        ),
        Counters(
            plugins=(PluginNow("a", VERSION, 2),),
            targets=(TargetNow("web", "http://127.0.0.1:9000", 1, 2, 3, 4, 5),),
            routes=(RouteNow("shop", 2, 1.7e9), RouteNow("", 1, 1.7e9)),
            edge=EdgeCounters(1, 2, 3, 4, 5, 6, 7, 8, 9),
            process=ProcessNow(1.7e9, 2.5, 2**33, 40, 1024, 0.125),
        ),
        Connections(3, 7, (
            ConnectionNow("192.0.2.1", "tcp:443", "https", "1.1", 1.7e9, 2, "answering", "shop", "a1b2", 1.7e9),
            ConnectionNow("", "tcp:80", "http", "1.1", 1.7e9, 0, "head"),
        )),
        Records(b"\x90", 0),
        Records(b"\x91\x90", 1, 3),
        Rehearsed(3, 7, b"\x90", True, "", 200, ("GET", "HEAD")),
        Rehearsed(4, 7, refused="BadRequest: no", status=400),
        Rehearsed(5, 7, b"\x90", isOverdue=True),
        TargetChanged("web", "http://127.0.0.1:9000", False, "refused"),
        TargetChanged("web", "http://127.0.0.1:9000", True),
        CertificateState("tcp:443", "/etc/certificates", ("a.example", "*.b"), 1.7e9, ("a.pem: expired",), True),
        CertificateState("tcp:443", "/etc/certificates", (), None),
        CertificateState("tcp:443", "/etc/certificates", ("a.example",), 1.7e9, certificates=(CertificateFacts(
            "/c/a.pem", "5d" * 32, ("a.example",), ("a.example",), True, "CN=a", "CN=b", ("CN=b",), "7f", 1.6e9, 1.7e9,
        ),)),
        Notice("handover-lost", "it was too large", "a", VERSION, "Traceback …"),
        Notice("ledger-damaged", ""),
        Locking("B", {"seccomp": "", "namespaces": "EPERM"}),
        Locking(None, {}),
    ]


class EncodingTests(SynchronousTestCase):
    """
    Words survive the way between processes.
    """

    def setUp(self) -> None:
        self.examples = examples(Path(self.mktemp()).absolute())

    def test_all(self) -> None:
        """
        There is an example of each word: one that is new needs its own.
        """
        missing = {*get_args(Down), *get_args(Up)} - {type(word) for word in self.examples}
        self.assertEqual(missing, set())

    def test_each(self) -> None:
        """
        Each is the same word afterwards, of the same class, and with the same fields.
        """
        for word in self.examples:
            again = decode(encode(word))
            self.assertEqual((again, type(again)), (word, type(word)))
            for name in word.__struct_fields__:
                self.assertIs(type(getattr(again, name)), type(getattr(word, name)), f"{word}: {name}")

    def test_fields(self) -> None:
        """
        In some example of each word each field has something else than nothing.
        """
        for kind in (*get_args(Down), *get_args(Up)):
            for name in kind.__struct_fields__:
                values = [getattr(word, name) for word in self.examples if type(word) is kind]
                default = _defaultOf(kind, name)
                self.assertTrue(any(value != default for value in values), f"{kind.__name__}.{name}")

    def test_unknownFields(self) -> None:
        """
        What a newer half says besides is passed over.
        """
        for word in self.examples:
            plain = msgspec.msgpack.decode(encode(word))
            self.assertEqual(decode(msgspec.msgpack.encode({**plain, "news": [1, {"a": b"b"}]})), word)

    def test_small(self) -> None:
        """
        Words that are said often are some dozen bytes.
        """
        for word in (Ready(7), Commit(7), Ask(3), Answer(7, "commit"), Counters()):
            self.assertLess(len(encode(word)), 64, repr(word))

    def test_frozen(self) -> None:
        """
        Nobody changes what was said.
        """
        for word in self.examples:
            for name in word.__struct_fields__:
                self.assertRaises(AttributeError, setattr, word, name, None)


class AnswerTests(SynchronousTestCase):
    """
    Answers.
    """

    def test_isAccepted(self) -> None:
        """
        A step is done where nothing is said against it.
        """
        self.assertTrue(Answer(1, "ready").isAccepted)
        self.assertFalse(Answer(1, "ready", (REFUSAL,)).isAccepted)


def _defaultOf(kind: Any, name: str) -> Any:
    """
    What a field is when it is not given; something that no field is, where it must be.
    """
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    default = fields[name].default
    return object() if default is msgspec.NODEFAULT else default
