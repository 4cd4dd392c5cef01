"""The distributions in a bundle's ``vendor/``, as `importlib.metadata` has those of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.metadata import Distribution
from typing import TYPE_CHECKING, Any

from revproxy.bundles.nativecode import VENDOR
from revproxy.loading.bundleresources import BundleFile
from revproxy.loading.vendorednames import SHARED

if TYPE_CHECKING:
    from revproxy.bundles.bundle import Bundle

_SUFFIX = ".dist-info"


class VendoredDistribution(Distribution):
    """One ``NAME-VERSION.dist-info``."""

    def __init__(self, bundle: Bundle, folder: str) -> None:
        self._bundle = bundle
        self.folder = folder

    def read_text(self, filename: str | os.PathLike[str]) -> str | None:
        content = self._bundle.files.get(f"{self.folder}/{os.fspath(filename)}")
        return None if content is None else content.decode("utf-8", "replace")

    def locate_file(self, path: str | os.PathLike[str]) -> Any:
        return BundleFile(self._bundle, VENDOR.rstrip("/")).joinpath(os.fspath(path))


class Distributions:
    """By name, in any spelling that means the same."""

    def __init__(self, bundle: Bundle) -> None:
        self._known: dict[str, VendoredDistribution] = {}
        for path in bundle.files:
            folder = path.removeprefix(VENDOR).partition("/")[0]
            if path.startswith(VENDOR) and folder.endswith(_SUFFIX):
                name = folder.removesuffix(_SUFFIX).partition("-")[0]
                if name in SHARED:
                    continue
                self._known.setdefault(_canonical(name), VendoredDistribution(bundle, VENDOR + folder))

    def __iter__(self) -> Iterator[VendoredDistribution]:
        return iter(self._known.values())

    def get(self, name: str) -> VendoredDistribution | None:
        """The one of a name, if there is one."""
        return self._known.get(_canonical(name))


def _canonical(name: str) -> str:
    """As `packaging.utils.canonicalize_name`, without the megabyte that comes with it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def vendoredDistributions(bundle: Bundle) -> Distributions:
    """Those of a bundle."""
    return Distributions(bundle)
