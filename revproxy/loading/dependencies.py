"""
Whether the distributions that a plugin needs are there, in a version that will do: in its ``vendor/``, or where the
edge runs. Asked when the plugin is loaded, so that what is missing is said with the line of plugin.json and what to
type, and not by an import that fails somewhere.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from revproxy.bundles.bundle import Bundle
from revproxy.config.document import Document
from revproxy.config.problems import Problem, quoted
from revproxy.loading.loadable import Loadable
from revproxy.loading.vendoreddistributions import Distributions, vendoredDistributions

_MOST = 200
"""Distributions that are looked at for one plugin: extras ask for others, which may have extras."""


def dependencyProblems(manifest: Loadable, bundle: Bundle | None) -> list[Problem]:
    """What of a plugin's ``dependencies`` is not there. What was installed a moment ago is found."""
    if not manifest.dependencies:
        return []
    if list(_problems(manifest, bundle)):
        importlib.invalidate_caches()
        return list(_problems(manifest, bundle))
    return []


def _problems(manifest: Loadable, bundle: Bundle | None) -> Iterator[Problem]:
    where = manifest.document or Document(manifest.source, None)
    check = _Check(None if bundle is None else vendoredDistributions(bundle))
    for index, requirement in enumerate(manifest.dependencies):
        wrong = check.reason(requirement)
        if wrong is not None:
            isVendored = check.isVendored(requirement.name)
            yield where.problem(("dependencies", index), f"{wrong}; {_wayOut(requirement, bundle, isVendored)}")


def _wayOut(requirement: Requirement, bundle: Bundle | None, isVendored: bool) -> str:
    """What to type. What is vendored comes first, so it has to be replaced there."""
    wanted = f'"{_withoutMarker(requirement)}"'
    install = f"where the edge runs: {sys.executable} -m pip install {wanted}, then revproxy reload"
    if bundle is None:
        return install
    vendor = Path(bundle.directory) / "vendor"
    if isVendored:
        return f"replace it: {sys.executable} -m pip install --upgrade --target {vendor} {wanted}"
    return f"{install}; or for this plugin alone: {sys.executable} -m pip install --target {vendor} {wanted}"


def _withoutMarker(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


class _Check:
    """One plugin's."""

    def __init__(self, vendored: Distributions | None) -> None:
        self._vendored = vendored
        self._seen: set[str] = set()

    def reason(self, requirement: Requirement, extra: str = "") -> str | None:
        """Why it is not fulfilled; None if it is, or is not asked for here.

        :param extra: that it is a part of.
        """
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            return None
        if str(requirement) in self._seen or len(self._seen) > _MOST:
            return None
        self._seen.add(str(requirement))
        wanted = _withoutMarker(requirement)
        try:
            found, place = self._find(requirement.name)
        except PackageNotFoundError:
            return f"needs {wanted}, which is not installed"
        version, broken = _versionOf(found)
        if version is None:
            return f"needs {wanted}, and what is installed of it{place} is broken: {broken}"
        if not requirement.specifier.contains(version, prereleases=True):
            return f"needs {wanted}, and there is {requirement.name} {version}{place}"
        return self._reasonOfExtras(requirement, found, wanted)

    def _reasonOfExtras(self, requirement: Requirement, found: Distribution, wanted: str) -> str | None:
        """An extra is what the distribution asks for besides, if it is named."""
        known = {canonicalize_name(str(extra)) for extra in found.metadata.get_all("Provides-Extra") or ()}
        for extra in sorted(requirement.extras):
            if canonicalize_name(extra) not in known:
                return f"needs {wanted}, and {requirement.name} has no extra {quoted(extra)}"
            for text in found.requires or ():
                try:
                    inner = Requirement(text)
                except ValueError:
                    continue  # that distribution's own affair
                if "extra" in str(inner.marker or "") and (reason := self.reason(inner, extra)) is not None:
                    return f"{reason}, for {wanted}"
        return None

    def isVendored(self, name: str) -> bool:
        """Whether the plugin has brought one of this name."""
        return self._vendored is not None and self._vendored.get(name) is not None

    def _find(self, name: str) -> tuple[Distribution, str]:
        vendored = self._vendored.get(name) if self._vendored is not None else None
        return (vendored, " in vendor/") if vendored is not None else (distribution(name), "")


def _versionOf(found: Distribution) -> tuple[Version | None, str]:
    """:returns: its version; or None, and what keeps it from being known."""
    try:
        text: Any = found.metadata["Version"]
        return (Version(text), "") if text else (None, "its METADATA names no version; install it again")
    except Exception as error:  # what is on disk may be anything
        return None, f"{type(error).__name__}: {error}; install it again"
