"""What is remembered of plugins, as values."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.state.records import (
    MAX_REASON,
    MAX_VERSIONS,
    PROVEN,
    Pin,
    PluginRecord,
    PluginRecords,
    VersionRecord,
)


def ranInOrder(*digests: str) -> PluginRecords:
    """A plugin ``p`` of which these ran, at the times 0, 1, …"""
    records = PluginRecords()
    for time, digest in enumerate(digests):
        records = records.ran("p", digest, f"{time}.0", float(time))
    return records


class RecordsTests(SynchronousTestCase):
    """`PluginRecords`: values and what follows from them."""

    def digests(self, records: PluginRecords) -> list[str]:
        """Of all versions of ``p``."""
        return [known.digest for known in records.get("p").versions]

    def test_unknown(self) -> None:
        """Nothing is known of a plugin that nobody wrote about, and asking changes nothing."""
        records = PluginRecords()
        self.assertEqual(records.get("p"), PluginRecord((), None, None, None))
        self.assertEqual(records.goodBefore("p", "a"), ())
        self.assertEqual(records.toKeep("p", 5), set())
        self.assertEqual(records.plugins, {})

    def test_immutable(self) -> None:
        """Each method leaves the records it was called on as it was."""
        before = ranInOrder("a", "b")
        for after in (before.ran("p", "c", "1", 9.0), before.stopped("p", 9.0), before.pinned("p", Pin("a", "user")),
                      before.switched("p", False), before.quarantined("p", "a", "bad"), before.forgotten("p", ["a"])):
            self.assertNotEqual(after, before)
            self.assertEqual(before, ranInOrder("a", "b"))

    def test_ran(self) -> None:
        """What began to run last is the last, and runs; no version stands there twice."""
        records = ranInOrder("a", "b", "a")
        self.assertEqual(records.get("p").versions, (VersionRecord("b", "1.0", 1.0), VersionRecord("a", "2.0", 2.0)))
        self.assertEqual(records.get("p").running, "a")

    def test_stopped(self) -> None:
        """Nothing runs; what ran is remembered."""
        records = ranInOrder("a").stopped("p", 5.0)
        self.assertIsNone(records.get("p").running)
        self.assertEqual(self.digests(records), ["a"])

    def test_pin(self) -> None:
        """A pin replaces a pin and can be taken away."""
        records = PluginRecords().pinned("p", Pin("a", "user")).pinned("p", Pin("b", "rollback", "c"))
        self.assertEqual(records.get("p").pin, Pin("b", "rollback", "c"))
        self.assertEqual(records.unpinned("p"), PluginRecords())

    def test_switched(self) -> None:
        """On, off, and neither; that there is nothing to remember is not remembered."""
        records = PluginRecords().switched("p", False)
        self.assertIs(records.get("p").enabled, False)
        self.assertIs(records.switched("p", True).get("p").enabled, True)
        self.assertEqual(records.switched("p", None), PluginRecords())

    def test_foundIn(self) -> None:
        """The folder goes along with what else is remembered, and is nothing to remember by itself."""
        records = ranInOrder("a").foundIn("p", "10-p").ran("p", "b", "2.0", 2.0).stopped("p", 3.0)
        self.assertEqual(records.get("p").folder, "10-p")
        self.assertEqual(PluginRecords().foundIn("p", "10-p"), PluginRecords())

    def test_quarantine(self) -> None:
        """The reason stays with the version, also when it runs again as a probe, until it is cleared."""
        records = ranInOrder("a", "b").quarantined("p", "b", "raised")
        records = records.ran("p", "b", "1.0", 5.0)
        self.assertEqual([one.quarantined for one in records.get("p").versions], [None, "raised"])
        cleared = records.cleared("p", "b")
        self.assertEqual([one.quarantined for one in cleared.get("p").versions], [None, None])
        self.assertEqual(records.quarantined("p", "never ran", "x"), records)

    def test_longReason(self) -> None:
        """A reason is bounded, and is text that can be written."""
        records = ranInOrder("a").quarantined("p", "a", "\udcff" + "x" * 2 * MAX_REASON)
        reason = records.get("p").versions[0].quarantined
        assert reason is not None
        self.assertEqual(len(reason), MAX_REASON)
        self.assertEqual(reason[:3], "?xx")

    def test_forgotten(self) -> None:
        """Versions go; what runs and what is pinned stays."""
        records = ranInOrder("a", "b", "c").pinned("p", Pin("a", "user")).forgotten("p", ["a", "c", "x"])
        self.assertEqual(self.digests(records), ["b"])
        self.assertEqual((records.get("p").running, records.get("p").pin), ("c", Pin("a", "user")))

    def test_longGone(self) -> None:
        """Those that nobody has or wants, but for the last ones to go; the first to go comes first."""
        records = PluginRecords()
        for time, name in enumerate(("here", "pinned", "off", "running", "z", "y", "x", "w", "old")):
            records = records.ran(name, f"digest of {name}", "1.0", float(time))
        for time, name in enumerate(("here", "pinned", "off", "z", "y", "x", "w")):
            records = records.stopped(name, 100.0 + time)
        records = records.pinned("pinned", Pin("digest of pinned", "user")).switched("off", False)
        self.assertEqual(records.longGone({"here", "old"}, 2), ["z", "y"])
        self.assertEqual(records.longGone({"here", "old"}, 4), [])
        again = records.ran("z", "digest of z", "1.0", 200.0).stopped("z", 201.0)
        self.assertEqual(again.longGone({"here", "old"}, 2), ["y", "x"])
        self.assertNotIn("z", records.without("z").plugins)

    def test_goodBefore(self) -> None:
        """What ran before it and is not quarantined, the last first."""
        records = ranInOrder("a", "b", "c", "d").quarantined("p", "c", "bad")
        found = {digest: "".join(one.digest for one in records.goodBefore("p", digest)) for digest in "abcdx"}
        self.assertEqual(found, {"a": "", "b": "a", "c": "ba", "d": "ba", "x": "dba"})

    def test_toKeep(self) -> None:
        """What runs, what is pinned, and the last of the others."""
        records = ranInOrder("a", "b", "c", "d", "e").pinned("p", Pin("a", "user"))
        self.assertEqual(records.toKeep("p", 0), {"a", "e"})
        self.assertEqual(records.toKeep("p", 2), {"a", "e", "c", "d"})
        self.assertEqual(records.toKeep("p", 99), set("abcde"))
        self.assertEqual(PluginRecords().pinned("p", Pin("z", "user")).toKeep("p", 1), {"z"})

    def test_proven(self) -> None:
        """Of the others the last that served for an hour stays, however many were tried since."""
        records = ranInOrder("a", "b").served("p", "a", PROVEN).served("p", "b", PROVEN - 1)
        for number in range(2 * MAX_VERSIONS):
            self.assertEqual(records.toKeep("p", 1) - {records.get("p").running}, {"a", *self.digests(records)[-2:-1]})
            records = records.ran("p", str(number), "1.0", 9.0)
        self.assertEqual((self.digests(records)[0], len(self.digests(records))), ("a", MAX_VERSIONS))
        later = records.served("p", "150", PROVEN)
        self.assertEqual(later.toKeep("p", 0), {"199", "150"})
        self.assertEqual(later.quarantined("p", "150", "bad").toKeep("p", 0), {"199", "a"})

    def test_served(self) -> None:
        """Times add up, also when it runs again; what was taken out begins anew."""
        records = ranInOrder("a").served("p", "a", 10.0).ran("p", "b", "2.0", 2.0).ran("p", "a", "1.0", 3.0)
        records = records.served("p", "a", 5.0).served("p", "never ran", 1.0)
        self.assertEqual([(one.digest, one.served) for one in records.get("p").versions], [("b", 0.0), ("a", 15.0)])
        records = records.quarantined("p", "a", "bad").served("p", "a", 7.0)
        self.assertEqual(records.get("p").versions[-1].served, 0.0)
        self.assertEqual(records.cleared("p", "a").served("p", "a", 2.0).get("p").versions[-1].served, 2.0)

    def test_bounded(self) -> None:
        """The oldest versions are forgotten, but for the pinned one."""
        records = ranInOrder("pinned", "old").pinned("p", Pin("pinned", "user"))
        for number in range(2 * MAX_VERSIONS):
            records = records.ran("p", str(number), "1.0", 9.0)
        digests = self.digests(records)
        self.assertEqual((len(digests), digests[:2]), (MAX_VERSIONS, ["pinned", str(MAX_VERSIONS + 1)]))
