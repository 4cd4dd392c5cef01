"""What is to be known of a plugin to load it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from revproxy.config.document import Document


class Loadable(Protocol):
    """As `revproxy.config.manifest.Manifest` has it; a locked process is told no more than this."""

    @property
    def name(self) -> str: ...
    @property
    def entryPoint(self) -> str: ...
    @property
    def dependencies(self) -> tuple[Requirement, ...]: ...
    @property
    def source(self) -> str: ...
    @property
    def document(self) -> Document | None: ...
