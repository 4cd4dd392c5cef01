from twisted.trial.unittest import SynchronousTestCase

from revproxy.replay.writtenvalues import written


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

    def test_nothing(self):
        """None, as of a request without values, is none."""
        self.assertEqual(written(None), ({}, ()))
