"""Tests for :mod:`revproxy.dataplane.http.limits`."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http.limits import METHOD_LENGTH, Limits, Timeouts


class DefaultsTests(SynchronousTestCase):
    """What holds where nothing is configured."""

    def test_bounds(self) -> None:
        """Whatever a stranger decides alone has a bound; a target fits into a head, and so does any method."""
        limits = Limits()
        self.assertIsNone(limits.maxBodyBytes)
        self.assertLess(METHOD_LENGTH + limits.maxTargetBytes, limits.maxHeaderBytes)
        self.assertTrue(all((limits.maxHeaders, limits.maxConnections)))

    def test_everyWaitEnds(self) -> None:
        """Every wait has a deadline, and it is some seconds at least."""
        timeouts = Timeouts()
        for field in fields(timeouts):
            self.assertTrue(1 < getattr(timeouts, field.name) < float("inf"), field.name)

    def test_frozen(self) -> None:
        """Nobody changes them for others."""
        values: tuple[Any, ...] = (Limits(), Timeouts())
        for value in values:
            with self.assertRaises(FrozenInstanceError):
                setattr(value, fields(value)[0].name, 1)
