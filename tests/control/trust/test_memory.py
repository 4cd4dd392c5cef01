"""What is remembered of verifications."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.trust.memory import MAX_VERSIONS, Memory, Verified


class Kept:
    """A file."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []

    def save(self, content: bytes) -> None:
        self.contents.append(content)


def verified(revision: int = 1, key: str = "k") -> Verified:
    """By alice."""
    return Verified(1.0, "1.0", "alice", key, "sshsig", revision)


class MemoryTests(SynchronousTestCase):
    """In memory, and in its file."""

    def setUp(self) -> None:
        self.file = Kept()
        self.memory = Memory(None, self.file)

    def again(self) -> Memory:
        """After a restart."""
        return Memory(Memory.parse(self.file.contents[-1]))

    def test_kept(self) -> None:
        """All of it outlives a restart."""
        self.memory.ran("a", "d1", verified(3))
        self.memory.ran("a", "d2", verified(2))
        self.memory.isOver(77.0)
        self.assertTrue(self.memory.isNews("key", 100.0, 30))
        self.memory.save()
        again = self.again()
        self.assertEqual((again.highest("a"), again.verified("a", "d2"), again.seen), (3, verified(2), 77.0))
        self.assertEqual((again.highest("b"), again.verified("a", "d3"), again.verified("b", "d1")), (0, None, None))
        self.assertFalse(again.isNews("key", 100.0, 30))
        self.assertTrue(again.isNews("key", 100.0, 7))
        self.assertTrue(again.isNews("key", 200.0, 30))

    def test_once(self) -> None:
        """It is written when something has changed, and not else."""
        self.memory.save()
        self.memory.ran("a", "d1", verified())
        self.memory.save()
        self.memory.ran("a", "d1", verified())
        self.memory.isOver(0.0)
        self.memory.save()
        self.assertEqual(len(self.file.contents), 1)
        self.memory.ran("a", "d1", verified(key="another"))
        self.memory.save()
        self.assertEqual(len(self.file.contents), 2)

    def test_bounded(self) -> None:
        """Of what is stored no more, the last ones are remembered."""
        for number in range(MAX_VERSIONS + 10):
            self.memory.ran("a", str(number), verified(number))
        self.memory.keepOnly({("a", "0")})
        self.assertIsNotNone(self.memory.verified("a", "0"))
        self.assertIsNone(self.memory.verified("a", "1"))
        self.assertIsNotNone(self.memory.verified("a", str(MAX_VERSIONS + 9)))
        self.assertEqual(self.memory.highest("a"), MAX_VERSIONS + 9)

    def test_revoked(self) -> None:
        """A revision that was revoked, with its key or by itself, keeps nobody from a lower one."""
        self.memory.ran("a", "d1", verified(3))
        self.memory.ran("a", "d2", verified(2**53 - 1, "stolen"))
        self.assertEqual(self.memory.highest("a", {"key:stolen"}), 3)
        self.assertEqual(self.memory.highest("a", {"sha256:d2"}), 3)
        self.assertEqual(self.memory.highest("a", {"key:stolen", "key:k"}), 0)
        self.assertEqual(self.memory.highest("a", {"key:other"}), 2**53 - 1)

    def test_highest(self) -> None:
        """The highest of each key is remembered, whatever came after it."""
        self.memory.ran("a", "first", verified(9))
        self.memory.ran("a", "other", verified(12, "other"))
        for number in range(MAX_VERSIONS + 10):
            self.memory.ran("a", str(number), verified(number % 9))
        self.memory.keepOnly(())
        self.assertEqual((self.memory.highest("a"), self.memory.highest("a", {"key:other"})), (12, 9))

    def test_peek(self) -> None:
        """Who only looks finds nothing where there is nothing."""
        path = Path(self.mktemp())
        self.assertEqual(Memory.peek(path).seen, 0.0)
        path.write_text("{")
        self.assertEqual(Memory.peek(path).seen, 0.0)
        self.memory.isOver(5.0)
        self.memory.save()
        path.write_bytes(self.file.contents[-1])
        self.assertEqual(Memory.peek(path).seen, 5.0)

    @given(st.binary(max_size=100) | st.just(b'{"format": 2}') | st.just(b'{"plugins": {"a": {"verified": []}}}'))
    def test_damaged(self, content: bytes) -> None:
        """Nothing is made of what we have not written."""
        if content != b"{}":
            self.assertRaises(ValueError, Memory.parse, content)
