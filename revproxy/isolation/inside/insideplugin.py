"""
The plugin of a locked process: from the bytes that were sent to a middleware.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from revproxy.bundles.nativecode import VENDOR
from revproxy.interfaces import IMiddleware
from revproxy.isolation.frames import Load
from revproxy.loading.contract import COMPANIONS
from revproxy.loading.loader import instantiate, loadBundle
from revproxy.permissions import Permissions

if TYPE_CHECKING:
    from revproxy.bundles.bundle import Bundle


@dataclass(frozen=True, slots=True)
class _SentBundle:
    """As `revproxy.bundles.bundle.Bundle`, without what reads folders, which would be in memory for nothing."""

    name: str
    files: dict[str, bytes] = field(repr=False)
    digest: str
    codeDigest: str
    directory: Path


@dataclass(frozen=True, slots=True)
class _Described:
    """What loading has to know. The edge has looked at all else: at what it depends on, too."""

    name: str
    entryPoint: str
    source: str
    dependencies: tuple[Any, ...] = ()
    document: None = None


class LoadFailed(Exception):
    """
    It is not what it was to become.

    :ivar stage: ``import`` or ``main``.
    :ivar error: what was raised.
    """

    def __init__(self, stage: str, error: BaseException) -> None:
        super().__init__(stage, error)
        self.stage = stage
        self.error = error


class InsidePlugin:
    """
    What `Load` has made.

    :ivar object: the middleware.
    :ivar directory: what tracebacks call its place.
    :ivar bodyBytes: the most of a body that it may hold.
    """

    def __init__(self, load: Load) -> None:
        """
        Import it, and call its entry point.

        :raises LoadFailed:
        """
        self.name = load.name
        self.version = load.version
        self.directory = Path(load.directory)
        self.bodyBytes = load.bodyBytes
        self.permissions = Permissions.of(json.loads(load.permissions))
        sent = _SentBundle(load.name, filesOf(load), load.digest, load.digest, self.directory)
        bundle = cast("Bundle", sent)
        manifest = _Described(load.name, load.entryPoint, str(self.directory / "plugin.json"))
        try:
            loaded = loadBundle(bundle, manifest)
        except BaseException as error:  # foreign code
            raise LoadFailed("import", error) from None
        try:
            self.object: Any = instantiate(loaded, manifest, json.loads(load.config))
        except BaseException as error:  # foreign code
            raise LoadFailed("main", error) from None

    def provides(self, interface: Any) -> bool:
        """Whether the middleware provides an optional interface."""
        return bool(interface.providedBy(self.object))

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The names of all that it provides."""
        return tuple(each.__name__ for each in (IMiddleware, *COMPANIONS) if self.provides(each))


def filesOf(load: Load) -> dict[str, bytes]:
    """
    Its own files, and those of the distributions that it depends on, where its imports look for them: beside what it
    has brought along in ``vendor/``, which comes first.
    """
    files = {VENDOR + path: content for library in load.libraries.values() for path, content in library.items()}
    files.update(load.files)
    return files
