"""What is importable from a bundle's ``vendor/``, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from revproxy.bundles.nativecode import VENDOR
from revproxy.config.problems import Problem

if TYPE_CHECKING:
    from revproxy.bundles.bundle import Bundle

SHARED = frozenset(("typing_extensions",))
"""
What Twisted brings along anyway, and is never taken from ``vendor/``: it puts functions of its own into `typing`, for
the whole process and for ever.
"""

RESERVED = frozenset(("revproxy", "revproxy_plugins", "twisted", "zope"))
"""What there must be only once: two ``zope.interface`` would not know each other's interfaces."""


def vendoredNames(bundle: Bundle) -> frozenset[str]:
    """The top level of what is importable from a bundle's ``vendor/``: modules, packages, namespace packages."""
    names = set()
    for path in bundle.files:
        if path.startswith(VENDOR) and path.endswith(".py"):
            first, slash, _ = path.removeprefix(VENDOR).partition("/")
            names.add(first if slash else first.removesuffix(".py"))
    return frozenset(name for name in names if name.isidentifier())


def reservedProblems(bundle: Bundle) -> list[Problem]:
    """A problem for each vendored library that there must be only once."""
    return [
        Problem(str(bundle.directory / VENDOR / name), 0, 0, "",
                f"{name} is what the edge itself is made of, and cannot be there twice; delete it from vendor/ "
                "(pip install --no-deps installs a library alone)")
        for name in sorted(vendoredNames(bundle) & RESERVED)
    ]
