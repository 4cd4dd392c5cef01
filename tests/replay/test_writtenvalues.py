from twisted.trial.unittest import SynchronousTestCase

from revproxy.replay.writtenvalues import MOST_ITEMS, written


class WrittenTests(SynchronousTestCase):
    """Values of plugins are copied as far as JSON could hold them."""

    def test_plain(self):
        """What is plain stays what it is, a tuple among it."""
        values = {"a": 1, "b": [1, {"c": (None, True)}]}
        self.assertEqual(written(values), (values, ()))

    def test_isCopy(self):
        """What a plugin changes later is not changed in the copy."""
        values = {"list": [1]}
        copied, _ = written(values)
        values["list"].append(2)
        self.assertEqual(copied, {"list": [1]})

    def test_others(self):
        """Objects, keys that are no text, what contains itself and what is too much are named, and not copied."""
        circle: list = []
        circle.append(circle)
        values = {"a": object(), "b": {1: 2}, "c": circle, "d": list(range(2000)), "e": "text"}
        self.assertEqual(written(values), ({"e": "text"}, ("a", "b", "c", "d")))

    def test_keys(self):
        """Keys that are no text are known by their class, and nothing of them is asked."""

        class Key:
            def __str__(self):
                raise AssertionError("asked")

        self.assertEqual(written({5: 1, Key(): 2, "a": 3}), ({"a": 3}, ("(int)", "(Key)")))

    def test_pretends(self):
        """What an object says of its class is not believed."""

        class Pretender:
            __class__ = property(lambda self: str)  # type: ignore[assignment]

            def __eq__(self, other):
                raise AssertionError("asked")

        self.assertEqual(written({"a": Pretender()}), ({}, ("a",)))

    def test_cannotBeSent(self):
        """Halves of surrogate pairs and huge numbers, which no file and no word can have."""
        values = {"a": "\ud800", "b": {"\ud800": 1}, "c": 1 << 63, "d": -(1 << 63), "\ud800": 1}
        self.assertEqual(written(values), ({"d": -(1 << 63)}, ("a", "b", "c", "\\ud800")))

    def test_many(self):
        """Values that are too many are named."""
        kept, others = written({str(number): number for number in range(MOST_ITEMS + 2)})
        self.assertEqual((len(kept), others), (MOST_ITEMS, (str(MOST_ITEMS), str(MOST_ITEMS + 1))))

    def test_nothing(self):
        """None, as of a request without values, is none."""
        self.assertEqual(written(None), ({}, ()))
