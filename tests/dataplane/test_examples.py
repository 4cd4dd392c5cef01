"""The examples in the docstrings of the data plane's packages do what they say."""

from __future__ import annotations

import doctest

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane import http, http1


class ExampleTests(SynchronousTestCase):
    """Each package that has examples."""

    def test_run(self) -> None:
        """They run, and give what stands there."""
        for package in (http, http1):
            found = doctest.testmod(package)
            self.assertGreater(found.attempted, 0, package.__name__)
            self.assertEqual(found.failed, 0, package.__name__)
