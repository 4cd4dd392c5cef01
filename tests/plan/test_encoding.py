"""
Plans as bytes, and back.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis.strategies import binary
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import makeBundle
from revproxy.config.configfile import parseConfig
from revproxy.config.document import parseJSON
from revproxy.config.rolloutpolicy import ClientKey, Testers
from revproxy.config.settings import LoggingConfig
from revproxy.control.planning.selection import orderPerGroup, select
from revproxy.plan.catalog import Catalog, CatalogEntry, Selected, entryOf
from revproxy.plan.encoding import decode, encode
from revproxy.plan.plan import Plan
from revproxy.plan.trial import Arm, Trial
from revproxy.plan.versionid import UNKNOWN
from revproxy.plan.words import Answer, Commit, Down, Prepare, Ready, Stalled, Up
from revproxy.secrets import Secret
from revproxy.worker.worker import Worker
from tests.coordinators import Loopless
from tests.plan import plans
from tests.worker.workers import entry

_NO_LOG = LoggingConfig(access=None)


class PlanCase(SynchronousTestCase):
    """
    With a plan, and what it is after the way.
    """

    def setUp(self) -> None:
        self.place = Path(self.mktemp()).absolute()
        self.plan = plans.plan(self.place)
        self.data = encode(Prepare(3, self.plan, starts=False, withoutState=True))
        word = decode(self.data)
        assert isinstance(word, Prepare)
        self.word = word
        self.decoded = word.plan


class EqualTests(PlanCase):
    """
    Nothing is lost.
    """

    def test_word(self) -> None:
        """
        The word is the same; also what says how.
        """
        self.assertEqual(self.word, Prepare(3, self.plan, starts=False, withoutState=True))

    def test_certificates(self) -> None:
        """
        So are the files of certificates, which take no part in comparisons.
        """
        ((key, files),) = self.decoded.certificates.items()
        self.assertEqual(files, self.plan.certificates[key])
        self.assertEqual((files.contents, files.unreadable), ({"a.pem": plans.SECRET}, {"b.pem": "Permission denied"}))

    def test_bundles(self) -> None:
        """
        And the files of plugins, with where they were, and their tests, which take no part in comparisons.
        """
        bundle, known = self.decoded.entries["stamp"].bundle, self.plan.entries["stamp"].bundle
        assert bundle is not None and known is not None
        self.assertEqual((bundle.files, bundle.directory), (known.files, known.directory))
        self.assertEqual((bundle.tests, list(known.tests)), (known.tests, ["test_plugin.py"]))
        self.assertIsNone(self.decoded.entries["dropped"].bundle)

    def test_again(self) -> None:
        """
        What was decoded can take the same way.
        """
        data = encode(self.word)
        self.assertEqual((decode(data), len(data)), (self.word, len(self.data)))

    def test_groups(self) -> None:
        """
        Routes are grouped as they were.
        """
        self.assertEqual(self.decoded.config.routeGroups, self.plan.config.routeGroups)
        self.assertEqual(len(self.decoded.config.routeGroups), 4)

    def test_positions(self) -> None:
        """
        A configuration and a manifest still know the line of every value.
        """
        settings, manifest = self.decoded.config.document, self.decoded.entries["guard"].manifest.document
        known, knownManifest = self.plan.config.document, self.plan.entries["guard"].manifest.document
        assert settings is not None and known is not None
        assert manifest is not None and knownManifest is not None
        path = ("routes", 5, "plugins", "dropped", "deep", 1, "b")
        self.assertEqual(settings.position(path), known.position(path))
        self.assertEqual(settings.position(("upstreams", "other")), (24, 3))
        self.assertEqual(manifest.position(("conflicts", "nobody")), knownManifest.position(("conflicts", "nobody")))
        self.assertGreater(manifest.position(("conflicts",))[0], 1)
        self.assertEqual((settings.value, manifest.value), (known.value, knownManifest.value))

    def test_neverText(self) -> None:
        """
        A drop-in's manifest never had lines, and has none.
        """
        document = self.decoded.entries["dropped"].manifest.document
        assert document is not None
        self.assertEqual(document.value, {"name": "dropped", "version": "2.0rc1"})
        self.assertEqual(document.position(("name",)), (0, 0))

    def test_description(self) -> None:
        """
        It is described in the same words.
        """
        self.assertEqual(self.decoded.describe(), self.plan.describe())


class SharingTests(PlanCase):
    """
    What was one object is one object.
    """

    def shape(self, plan: Plan) -> dict[str, Any]:
        """
        Which things in a plan are the same, as numbers that tell nothing else.
        """
        numbers: dict[int, int] = {}

        def of(thing: Any) -> int:
            return numbers.setdefault(id(thing), len(numbers))

        return {
            "configs": [(of(each.config), [of(own) for own in each.perGroup.values()]) for each in plan.selected],
            "orders": [of(order) for order in plan.orderPerGroup],
            "members": [[(of(each), of(own)) for each, own in order] for order in plan.orderPerGroup],
            "entries": [of(each.entry) == of(plan.entries[each.name]) for each in plan.selected],
            "pairs": [(each.name, of(own)) for each, own in plan.pairs()],
        }

    def test_shape(self) -> None:
        """
        Configurations, orders, and plugins are shared as they were.
        """
        self.assertEqual(self.shape(self.decoded), self.shape(self.plan))

    def test_examples(self) -> None:
        """
        There is something to share: routes with the same words, and three instances of stamp.
        """
        names = [(each.name, own) for each, own in self.decoded.pairs()]
        self.assertEqual([own["says"] for name, own in names if name == "stamp"], ["b", "a", "c"])
        self.assertEqual(len(self.decoded.orderPerGroup), 4)

    def test_sharedOrder(self) -> None:
        """
        Groups that say different things, with the same outcome, have one order.
        """
        order = self.plan.orderPerGroup[1]
        orders = (order, self.plan.orderPerGroup[0], order, order)
        plan = Plan(1, self.plan.config, self.plan.entries, self.plan.selected, orders)
        word = decode(encode(Prepare(1, plan)))
        assert isinstance(word, Prepare)
        first, other, third, last = word.plan.orderPerGroup
        self.assertEqual((first is third, third is last, first is other), (True, True, False))


class WorkerTests(PlanCase):
    """
    A worker makes the same of it.
    """

    def worker(self, *given: Plan) -> Worker:
        """
        One that has taken plans, one after the other, but for listeners and log.
        """
        clock, said = Loopless(), list[Up]()
        worker = Worker(
            clock,
            given[0].config,
            said.append,
            lambda function, *arguments: succeed(function(*arguments)),
            dropIns=[plans.INSTALLED],
            monotonic=clock.seconds,
        )
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(worker.endPlugins())))
        configs = {id(plan.config): replace(plan.config, listeners=(), logging=_NO_LOG) for plan in given}
        for number, plan in enumerate(given, 1):
            plan = replace(plan, config=configs[id(plan.config)])
            words: list[Down] = [Prepare(number, plan), Ready(number), Commit(number)]
            for word in words:
                worker.receive(word)
                for _ in range(10):
                    clock.advance(0.1)
        answers = [(word.step, word.refusals) for word in said if isinstance(word, Answer)]
        self.assertEqual(answers, [("prepare", ()), ("ready", ()), ("commit", ())] * len(given))
        return worker

    def built(self, plan: Plan) -> Any:
        """
        What it made: its chains, with the plugin and configuration of each of their instances.
        """
        worker = self.worker(plan)
        built = worker.generations.built
        assert built is not None
        instances = list(built.instances)
        chains = [
            [(instances.index(each), each.version.name, each.key) for each in built.chains[chain]]
            for chain in dict.fromkeys(built.generation.chains)
        ]
        groups = [list(dict.fromkeys(built.generation.chains)).index(chain) for chain in built.generation.chains]
        return chains, groups, built.generation.number

    def test_same(self) -> None:
        """
        As many instances and chains, and in the same places.
        """
        chains, groups, number = self.built(self.decoded)
        self.assertEqual((chains, groups, number), self.built(self.plan))
        self.assertEqual(([len(chain) for chain in chains], groups, number), ([2, 2, 1, 3], [0, 1, 2, 3], 7))
        self.assertEqual(len({each[0] for chain in chains for each in chain}), 5)

    def test_unchanged(self) -> None:
        """
        What another plan has in common with the one before stays the same instance, though nothing of it is the same
        object.
        """
        stamp = plans.entry("stamp", "3.0.0", config={"says": "", "times": 3}, provides=["stamps"])
        entries = {**self.plan.entries, "stamp": stamp}
        selected = select(Catalog(entries), self.plan.config)
        order = orderPerGroup(selected, self.plan.config)
        word = decode(encode(Prepare(1, Plan(8, self.plan.config, entries, selected, order))))
        assert isinstance(word, Prepare)
        built = self.worker(self.decoded, word.plan).generations.built
        assert built is not None
        numbers = {each.version.name: (each.version.id.number, each.since) for each in built.instances}
        self.assertEqual(numbers, {"stamp": ("3.0.0", 8), "guard": ("1.0.0", 7), "dropped": ("2.0rc1", 7)})


class BytesTests(PlanCase):
    """
    The bytes themselves.
    """

    def test_once(self) -> None:
        """
        A plugin's files are written once, in however many route groups it is, and so is the text of the configuration.
        """
        code = b'self.name = \'stamp\''
        self.assertEqual(sum(each.name == "stamp" for order in self.plan.orderPerGroup for each, _ in order), 3)
        self.assertEqual(self.data.count(code), 1)
        self.assertEqual(self.data.count(b"endpoint: tcp:8443"), 1)
        self.assertEqual(self.data.count(plans.SECRET), 1)

    def test_size(self) -> None:
        """
        What is written besides files and the text of the configuration is a few kilobytes.
        """
        bundles = [entry.bundle for entry in self.plan.entries.values() if entry.bundle is not None]
        files = sum(len(content) for bundle in bundles for content in bundle.files.values())
        place = str(self.place).encode()  # tests run in folders of any length
        rest = len(self.data) - self.data.count(place) * len(place)
        self.assertLess(rest, 3 * files + 2 * len(plans.CONFIG) + 4000)

    def test_manyGroups(self) -> None:
        """
        A route group more costs some bytes, however large the plugins are.
        """
        order = self.plan.orderPerGroup[0]
        plan = Plan(1, self.plan.config, self.plan.entries, self.plan.selected, (order,) * 1000)
        one = Plan(1, self.plan.config, self.plan.entries, self.plan.selected, (order,))
        self.assertLess(len(encode(Prepare(1, plan))) - len(encode(Prepare(1, one))), 1010)

    def test_unknownFields(self) -> None:
        """
        What a newer half says besides is passed over, in whatever depth.
        """
        plain = msgspec.msgpack.decode(self.data)
        plain["news"] = plain["plan"]["news"] = {"a": [1]}
        plain["plan"]["config"]["news"] = plain["plan"]["entries"]["stamp"]["news"] = 1
        plain["plan"]["config"]["listeners"][0]["news"] = None
        plain["plan"]["selected"][0]["news"] = ""
        self.assertEqual(decode(msgspec.msgpack.encode(plain)), self.word)

    @given(binary())
    def test_nonsense(self, data: bytes) -> None:
        """
        Bytes that are no word are refused.
        """
        self.assertRaises(msgspec.DecodeError, decode, data)

    def test_cut(self) -> None:
        """
        So are those of a word that was cut short, and words that nobody says.
        """
        self.assertRaises(msgspec.DecodeError, decode, self.data[:-1])
        self.assertRaises(msgspec.ValidationError, decode, msgspec.msgpack.encode({"type": "Explode"}))
        self.assertRaises(msgspec.ValidationError, decode, msgspec.msgpack.encode({"type": "Commit"}))

    def test_liveObjects(self) -> None:
        """
        What is no value does not cross.
        """
        plan = Plan(1, self.plan.config, {"a": self}, (), ())  # type: ignore[dict-item]
        error = self.assertRaises(NotImplementedError, encode, Prepare(1, plan))
        self.assertIn("is no value that crosses the border", str(error))

    def test_neverShown(self) -> None:
        """
        Keys are not in what is logged of a word, before and after.
        """
        for word in (self.word, Prepare(3, self.plan)):
            self.assertIn("PemFiles", repr(word))
            self.assertNotIn("nobody is to see this", repr(word))


class LargeNumberTests(SynchronousTestCase):
    """
    Numbers that MessagePack does not have.
    """

    def test_inConfigurations(self) -> None:
        """
        They come back, wherever plugins and people may write them; all else is as without them.
        """
        numbers = [2**64, -(2**63) - 1, 10**100, 2**64 - 1, 7]
        manifest = {"config": {"n": numbers}, "config_schema": {"properties": {"n": {"maxItems": 9}}, "default": 2**70}}
        found = entry("x", **manifest)
        text = "routes: [{respond: {}, plugins: {x: {config: {n: 99999999999999999999}}}}]\n"
        text += "listeners: [{endpoint: 'tcp:1'}]\n"
        config = parseConfig(text, "r.yaml", Path())
        selected = Selected(found, found.manifest.config)
        plan = Plan(1, config, {"x": found}, (selected,), (((selected, found.manifest.config),),))
        word: Any = decode(encode(Prepare(1, plan)))
        self.assertEqual(word, Prepare(1, plan))
        [plugin] = word.plan.selected
        self.assertEqual(plugin.config, {"n": numbers})
        self.assertEqual(plugin.entry.manifest.configSchema, manifest["config_schema"])
        self.assertEqual(plugin.entry.bundle.files, found.bundle.files if found.bundle is not None else None)


class SecretTests(SynchronousTestCase):
    """
    Values that a configuration only refers to.
    """

    def word(self, more: str = "") -> Prepare:
        """A plan with a plugin that has one in its configuration, and a setting of the edge that is referred to."""
        base = Path(self.mktemp()).absolute()
        base.mkdir()
        (base / "key").write_text("Eccentrica Gallumbits")
        (base / "to").write_text("http://triple.breasted.example:81")
        text = f"listeners: [{{endpoint: 'tcp:1'}}]\nplugins: {{config: {{x: {{key: {{$file: key}}{more}}}}}}}\n"
        text += "upstreams: {a: {targets: [{$file: to}]}}\nroutes: [{upstream: a}]\n"
        config, found = parseConfig(text, "r.yaml", base), entry("x", config_schema={})
        catalog = Catalog({"x": found})
        selected = select(catalog, config)
        return Prepare(1, Plan(1, config, catalog.entries, selected, orderPerGroup(selected, config)))

    def test_cross(self) -> None:
        """
        They come as they were, and are secrets still: neither end shows them. Settings of the edge are none.
        """
        for more in ("", f", n: {10**100}"):
            word = self.word(more)
            decoded: Any = decode(encode(word))
            self.assertEqual(decoded, word)
            [plugin] = decoded.plan.selected
            self.assertEqual(plugin.config["key"], "Eccentrica Gallumbits")
            self.assertIsInstance(plugin.config["key"], Secret)
            self.assertEqual(decoded.plan.config.upstreams["a"].targets[0].host, "triple.breasted.example")
            for shown in (word, decoded):
                self.assertNotIn("Gallumbits", repr(shown))
                self.assertIn("triple.breasted.example:81", repr(shown))
            self.assertEqual(describedConfig(decoded), {"key": {"$file": "key"}, **({"n": 10**100} if more else {})})


def describedConfig(word: Any) -> Any:
    """What a description of a plan says of the configuration of the plugin x."""
    return word.plan.describe()["config"]["plugins"]["config"]["x"]


class ForeignTextTests(SynchronousTestCase):
    """
    Names and texts that plugins choose.
    """

    def test_halfPairs(self) -> None:
        """
        Halves of surrogate pairs, which UTF-8 does not have, are escaped.
        """
        word: Any = decode(encode(Stalled("x", UNKNOWN, "f\ud800", "/p/\udfff.py:1", 2.0, True)))
        self.assertEqual((word.function, word.where), ("f\\ud800", "/p/\\udfff.py:1"))


class DocumentTests(SynchronousTestCase):
    """
    A document is read when somebody asks for more than its text.
    """

    def test_unreadable(self) -> None:
        """
        One whose text is none has no places, and raises nothing.
        """
        document = type(parseJSON("{}", "a")).fromText("a", "{", True)
        self.assertEqual((document.position(("b",)), document.value, document.has(())), ((0, 0), None, False))


class TrialTests(PlanCase):
    """
    Plans with a version on trial.
    """

    def test_arms(self) -> None:
        """
        The candidate's files and configuration are there after the way, and what the arm has in common with the plan
        is not written twice.
        """
        [stamp] = [each for each in self.plan.selected if each.name == "stamp"]
        assert stamp.entry.bundle is not None
        files = {**stamp.entry.bundle.files, "plugin.py": b"# another\n"}
        entry = entryOf(makeBundle("stamp", files), "plugins/stamp/plugin.json")
        assert isinstance(entry, CatalogEntry)
        candidate = replace(stamp, entry=entry)
        selected = tuple(candidate if each is stamp else each for each in self.plan.selected)
        orders = {
            id(order): tuple((candidate if each is stamp else each, settings) for each, settings in order)
            for order in self.plan.orderPerGroup
        }
        arm = Arm(("stamp-1",), selected, tuple(orders[id(order)] for order in self.plan.orderPerGroup))
        trial = Trial(
            "stamp-1", ("stamp",), "canary", bytes(16), bytes([2] + [0] * 511), ClientKey("cookie", "who"),
            Testers("X-Arm", Secret("arm-token-of-testers")), 0.5, False, {"stamp": (0.1, 0.2, 0.3)}, bytes(32),
        )  # fmt: skip
        plan = replace(self.plan, trials=(trial,), arms=(arm,))
        word = decode(encode(Prepare(3, plan)))
        assert isinstance(word, Prepare)
        self.assertEqual(word.plan, plan)
        [(known, found)] = word.plan.candidates()
        assert found.entry.bundle is not None
        self.assertEqual((known, found.entry.bundle.files), (trial, files))
        self.assertTrue(known.isCandidates(1))
        self.assertFalse(known.isCandidates(0))
        guard, same = (part.find("guard") for part in (word.plan, word.plan.arms[0]))
        assert guard is not None and same is not None
        self.assertIs(guard.config, same.config)
        self.assertIs(guard.entry, same.entry)
