"""
How a process that proves a version locks itself, before a byte of the version comes in.
"""

from __future__ import annotations

import importlib
import os
from typing import Final

from revproxy.isolation.inside.preimports import importAhead, mapLate
from revproxy.isolation.lock.detection import detect
from revproxy.isolation.lock.layers import Lock, Report
from revproxy.isolation.lock.limits import addressSpace
from revproxy.isolation.lock.lockdown import lockDown

MEMORY: Final = 512 << 20
"""Bytes of address space that it may take besides what it has by then."""

AHEAD: Final = (
    "unittest",
    "unittest.mock",
    "twisted.internet.reactor",
    "twisted.trial.reporter",
    "twisted.trial.runner",
    "twisted.trial.unittest",
    "revproxy.testing",
    "revproxy.proving.lockedtests",
    "revproxy.proving.replayproof",
)
"""What it needs when it can open no file any more, and what tests import."""

_LEVELS: Final = "ABC"


def lock(minimum: str, kept: tuple[int, ...]) -> str:
    """
    Lock this process, for good.

    :param minimum: the level that is asked for.
    :param kept: descriptors that stay open, besides those of standard input, output and errors, and the reactor's.
    :returns: why it is not locked so well, or has a hole; empty: it is locked.
    """
    before = _open()
    for name in AHEAD:
        importlib.import_module(name)
    importAhead()
    _warmUp()
    mapLate()
    ofReactor = _open() - before
    use = detect().usable
    keeps = tuple(sorted({0, 1, 2, *kept, *ofReactor}))
    report = lockDown(Lock(addressSpace() + MEMORY, os.getppid(), keeps, None, use))
    return _problem(report, minimum)


def _warmUp() -> None:
    """Do once what the job does, so that what is imported or read when it is needed first is there."""
    from revproxy.bundles.bundle import makeBundle
    from revproxy.config.manifest import checkConfig
    from revproxy.loading.loader import instantiate, loadBundle, unload
    from revproxy.plan.catalog import CatalogEntry, entryOf
    from revproxy.testing import EdgeDouble

    bundle = makeBundle("warm", {"plugin.json": _MANIFEST, "plugin.py": _PLUGIN})
    entry = entryOf(bundle, "plugin.json")
    assert isinstance(entry, CatalogEntry)
    checkConfig(entry.manifest, {})
    loaded = loadBundle(bundle, entry.manifest)
    EdgeDouble(instantiate(loaded, entry.manifest, {}), permissions={}).request("POST", "/", body=b"warm")
    unload(loaded)


_MANIFEST: Final = b'''{"name": "warm", "version": "1", "config_schema": {"type": "object", "properties": {}},
"permissions": {}}'''

_PLUGIN: Final = b'''
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

def PluginMain(config):
    return Warm()

@implementer(IMiddleware)
class Warm:
    name = "warm"

    async def handle(self, context):
        return True
'''


def _problem(report: Report, minimum: str) -> str:
    if report.holes:
        return f"no locked process: {'; '.join(report.holes)}"
    level = report.level
    if level is None:
        return f"no locked process can be had on this machine: {'; '.join(report.layers.reasons)}"
    if _LEVELS.index(level) > _LEVELS.index(minimum):
        return f"a locked process reaches level {level} here, and trust.minimum_level is {minimum}"
    return ""


def _open() -> set[int]:
    # The one that the folder was read by is closed by now, and its number the next one's.
    return {descriptor for name in os.listdir("/proc/self/fd") if _isOpen(descriptor := int(name))}


def _isOpen(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
