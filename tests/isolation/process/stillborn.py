"""
The inside of a locked process for tests: it fails as soon as it begins.
"""

from __future__ import annotations

from revproxy.isolation.holdpage import HoldPage


def serve(fd: int, holdPage: HoldPage) -> None:
    """:raises ZeroDivisionError: always."""
    raise ZeroDivisionError(fd)
