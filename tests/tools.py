"""
Tests that take a tool which is not everywhere.

::

    @needs("redis-server")
    class RedisTests(TestCase): ...

Without the tool such a test is skipped, and the last lines of a run say so. ``make test-all`` does not pass then.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])

PACKAGES = {
    "chromium": "chromium",
    "curl": "curl",
    "git": "git",
    "haproxy": "haproxy",
    "logrotate": "logrotate",
    "minisign": "minisign",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "python3": "python3",
    "redis-server": "redis-server",
    "setpriv": "util-linux",
    "sha256sum": "coreutils",
    "ssh-agent": "openssh-client",
    "ssh-keygen": "openssh-client",
    "systemd-analyze": "systemd",
    "unshare": "util-linux",
}
"""By tool, the Debian package that has it. What `.ci/run` installs is these."""


FOLDERS = "/usr/sbin:/sbin"
"""Where servers are, beside PATH, which has them for root only."""


def program(tool: str) -> str | None:
    """The path of a tool, or None."""
    return shutil.which(tool, path=f"{os.environ.get('PATH', os.defpath)}:{FOLDERS}")


def missing(*tools: str) -> str:
    """What to say of those that are not there; empty if all are."""
    packages = {tool: PACKAGES[tool] for tool in tools}
    return "; ".join(f"no {tool} here: apt install {packages[tool]}" for tool in tools if not program(tool))


def needs(*tools: str) -> Callable[[T], T]:
    """:raises KeyError: for a tool that :data:`PACKAGES` does not have."""
    reason = missing(*tools)

    def mark(test: T) -> T:
        if reason:
            test.skip = reason  # type: ignore[attr-defined]
        return test

    return mark


if __name__ == "__main__":
    print(*sorted({package for tool, package in PACKAGES.items() if not program(tool)}))
