"""Tests of `revproxy.control.history`."""
