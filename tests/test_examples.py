"""The examples in docstrings run, and give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from tests.test_architecture import modules


class ExampleTests(SynchronousTestCase):
    """Examples that begin with ``>>>``."""

    def test_packages(self) -> None:
        """Those of packages, each in a namespace of its own."""
        parser = doctest.DocTestParser()
        count = 0
        for name, path in modules().items():
            if path.name != "__init__.py":
                continue
            example = parser.get_doctest(import_module(name).__doc__ or "", {"__name__": name}, name, str(path), 0)
            out = StringIO()
            runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
            failed = runner.run(example, out=out.write).failed
            self.assertEqual(failed, 0, out.getvalue())
            count += len(example.examples)
        self.assertGreater(count, 15)
