"""
Plugins that run in locked processes: what their processes are told that they are, which limits they have, and why
one has not become its plugin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from revproxy.config.manifest import Manifest
from revproxy.config.problems import textOf
from revproxy.isolation.frames import Load
from revproxy.isolation.processlimits import DEFAULT_MEMORY, MOST_BODY, MOST_CALLS, ProcessLimits
from revproxy.isolation.remotefailure import RemoteFailure
from revproxy.isolation.succession import NotLoaded
from revproxy.loading.contract import PluginError
from revproxy.loading.libraries import Libraries, librariesOf
from revproxy.loading.loader import checkDependencies
from revproxy.loading.tracebacks import described
from revproxy.permissions import Permissions
from revproxy.plan.catalog import CatalogEntry
from revproxy.worker.lifecycle.stages import StageLimits

DROP_IN = (
    "a drop-in is installed with Python, and has been imported in the edge's own process by the time it is found: it "
    "cannot run in a locked process. Make a folder of it below plugins.directory, or write {name}: inline under "
    "plugins.isolation"
)


def refuseThreads(manifest: Manifest) -> None:
    """:raises PluginError: plugin.json says that it needs threads, which a locked process has not."""
    document = manifest.document
    said = document.value.get("limits", {}) if document is not None else {}
    if document is not None and "threads" in said:
        place = document.problem(("limits", "threads"), "")
        raise PluginError(
            manifest.name, f"{place.source}:{place.line}:{place.column}" if place.line else place.source,
            "a locked process has no threads: call what would run in one directly, as it holds up nobody else, and "
            "leave limits.threads out; or have the plugin run in the edge's own process (isolation: inline)",
        )  # fmt: skip


def limitsOf(manifest: Manifest, limits: StageLimits) -> ProcessLimits:
    """What a plugin may take in its process."""
    return ProcessLimits(
        call=None if manifest.timeoutMs is None else manifest.timeoutMs / 1000,
        step=limits.hold,
        load=limits.start,
        start=limits.start,
        memory=DEFAULT_MEMORY if manifest.memoryMb is None else manifest.memoryMb << 20,
        body=MOST_BODY if manifest.bodyBytes is None else min(manifest.bodyBytes, MOST_BODY),
        calls=MOST_CALLS if manifest.concurrency is None else manifest.concurrency,
    )


def loadOf(
    entry: CatalogEntry,
    permissions: Permissions,
    config: Mapping[str, Any],
    limits: ProcessLimits,
    libraries: Libraries,
) -> Load:
    """What a process is told that it is to become."""
    bundle, manifest = entry.bundle, entry.manifest
    assert bundle is not None, "drop-ins are refused before"
    return Load(
        manifest.name,
        entry.version.number,
        bundle.digest,
        str(bundle.directory),
        manifest.entryPoint,
        dict(bundle.files),
        {name: dict(files) for name, files in libraries.items()},
        json.dumps(config).encode(),
        json.dumps(permissions.asDict()).encode(),
        limits.body,
    )


def neededBy(entry: CatalogEntry) -> Libraries:
    """
    The libraries that a plugin depends on. Blocks; may be called in any thread.

    :raises PluginError: they cannot be had in a locked process.
    """
    assert entry.bundle is not None, "drop-ins are refused before"
    checkDependencies(entry.bundle, entry.manifest)
    return librariesOf(entry.manifest, entry.bundle)


def whyNotLoaded(failed: NotLoaded) -> str:
    """In words, as of a plugin in the edge's own process."""
    error = failed.error
    if failed.stage == "validate":
        return f"validateConfig refused the configuration: {saidBy(error)}"
    if failed.stage == "attach":
        return f"attach raised {error}"
    if isinstance(error, RemoteFailure):
        return error.text if error.kind == "PluginError" else str(error)
    return textOf(error) or type(error).__name__


def saidBy(error: BaseException) -> str:
    """The text of a ValueError, which says what is wrong; of anything else what it is, too."""
    if isinstance(error, RemoteFailure):
        return error.text if error.kind == "ValueError" else str(error)
    return described(error)
