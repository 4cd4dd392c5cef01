"""
Plugins that run in locked processes: what their processes are told that they are, and how their failures are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from revproxy.config.manifest import Manifest
from revproxy.isolation.guestlimits import DEFAULT_MEMORY, MOST_BODY, MOST_CALLS, GuestLimits
from revproxy.isolation.remotefailure import RemoteFailure
from revproxy.isolation.tier import Resident
from revproxy.loading.libraries import Libraries, librariesOf
from revproxy.loading.loader import checkDependencies
from revproxy.loading.tracebacks import described
from revproxy.permissions import UNASKED, Permissions
from revproxy.plan.catalog import CatalogEntry
from revproxy.worker.lifecycle.stages import StageLimits

DROP_IN = (
    "a drop-in is installed with Python, and has been imported in the edge's own process by the time it is found: it "
    "cannot run in a locked process. Make a folder of it below plugins.directory, or write {name}: inline under "
    "plugins.isolation"
)


def limitsOf(manifest: Manifest, limits: StageLimits) -> GuestLimits:
    """What a plugin may take in its process."""
    return GuestLimits(
        call=None if manifest.timeoutMs is None else manifest.timeoutMs / 1000,
        step=limits.hold,
        load=limits.start,
        start=limits.start,
        memory=DEFAULT_MEMORY if manifest.memoryMb is None else manifest.memoryMb << 20,
        body=MOST_BODY if manifest.bodyBytes is None else min(manifest.bodyBytes, MOST_BODY),
        calls=MOST_CALLS if manifest.concurrency is None else manifest.concurrency,
    )


def residentOf(
    entry: CatalogEntry,
    permissions: Permissions | None,
    config: Mapping[str, Any],
    limits: StageLimits,
    libraries: Libraries,
) -> Resident:
    """What a process is told that it is to become."""
    bundle, manifest = entry.bundle, entry.manifest
    assert bundle is not None, "drop-ins are refused before"
    return Resident(
        manifest.name,
        entry.version.number,
        bundle.digest,
        str(bundle.directory),
        manifest.entryPoint,
        bundle.files,
        libraries,
        config,
        UNASKED if permissions is None else permissions,
        limitsOf(manifest, limits),
    )


def neededBy(entry: CatalogEntry) -> Libraries:
    """
    The libraries that a plugin depends on. Blocks; may be called in any thread.

    :raises PluginError: they cannot be had in a locked process.
    """
    assert entry.bundle is not None, "drop-ins are refused before"
    checkDependencies(entry.bundle, entry.manifest)
    return librariesOf(entry.manifest, entry.bundle)


def told(error: BaseException) -> str:
    """An error in one line, wherever it was raised."""
    return str(error) if isinstance(error, RemoteFailure) else described(error)
