"""The examples in the docstrings of the worker's inner packages do what they say."""

from __future__ import annotations

import doctest

from twisted.trial.unittest import SynchronousTestCase

from revproxy.worker import guard, lifecycle


class ExampleTests(SynchronousTestCase):
    """Each package that has examples."""

    def test_run(self) -> None:
        """They run, and give what stands there."""
        for package in (guard, lifecycle):
            found = doctest.testmod(package)
            self.assertGreater(found.attempted, 0, package.__name__)
            self.assertEqual(found.failed, 0, package.__name__)
