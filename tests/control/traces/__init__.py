"""Tests for `revproxy.control.traces`."""
