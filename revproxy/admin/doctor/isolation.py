"""
How far plugins can be locked in on this machine: layer by layer, tried.

Who tries must have one thread, and must be one that others may look into; an edge is neither. So a Python of its own
tries, as the same user, with all that this process may do and no more. Everything here blocks.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import revproxy
from revproxy.admin.doctor.check import Check
from revproxy.config.settings import Config
from revproxy.isolation.lock.layers import NAMES, Layers

PATIENCE = 20.0
"""Seconds that it may take; it takes a tenth of one."""

_SCRIPT = (
    "import json, sys\n"
    "sys.path.insert(0, sys.argv[1])\n"
    "from revproxy.isolation.lock.detection import detect\n"
    "print(json.dumps(detect(int(sys.argv[2]) if sys.argv[2] else None).asList()))\n"
)

_ADVICE = {
    "user": "Set users aside for plugins (trust.uids), and start the edge as root, if each is to have one of its own.",
    "user-namespace": "Let this user have user namespaces: sysctl user.max_user_namespaces, on Ubuntu "
    "kernel.apparmor_restrict_unprivileged_userns=0; in systemd's unit RestrictNamespaces=. Containers seldom do.",
    "landlock": "Take a kernel from 5.13 on that has landlock among its security modules (lsm=landlock,…), and a "
    "container runtime that lets it through.",
    "no-new-code": "A kernel from 6.3 on has it (PR_SET_MDWE).",
    "seccomp": "Nothing is locked without it: take a kernel with CONFIG_SECCOMP_FILTER on x86-64 or aarch64.",
}
_AROUND = "Do what it says: whatever is around the edge is in the way of all layers at once."
_ORDER = ("seccomp", "landlock", "user-namespace", "user", "no-new-code")
_LEVELS = "ABC"


class Untried(Exception):
    """It could not be tried; the text says why."""


def isolationChecks(
    config: Config | None, isNeeded: bool = False, look: Callable[[int | None], Layers] | None = None
) -> list[Check]:
    """
    What a locked process would be here.

    :param config: whose minimum it is to reach; None where there is none.
    :param isNeeded: whether a plugin runs in one.
    :param look: tries the layers, given the user that plugins may become.
    """
    uids = config.trust.uids if config is not None else None
    try:
        layers = (look or triedLayers)(None if uids is None else uids[0])
    except Untried as error:
        return [Check("isolation", "warning", f"it could not be tried: {error}", "Ask again in a moment.")]
    minimum = "C" if config is None else config.trust.minimumLevel
    isNeeded = isNeeded or (config is not None and _asksForIt(config))
    return [_check(layers, minimum, isNeeded)]


def triedLayers(uid: int | None) -> Layers:
    """
    :param uid: a user that processes may become; None: there is none.
    :raises Untried: it could not be tried.
    """
    place = str(Path(revproxy.__file__).resolve().parent.parent)
    command = [sys.executable, "-I", "-S", "-c", _SCRIPT, place, "" if uid is None else str(uid)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, cwd="/", env={}, timeout=PATIENCE, check=True
        )
        return Layers.of(json.loads(done.stdout))
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise Untried(said[-1] if said else f"exit status {error.returncode}") from None
    except (OSError, subprocess.TimeoutExpired, ValueError, LookupError) as error:
        raise Untried(str(error)) from None


def _asksForIt(config: Config) -> bool:
    return "process" in config.plugins.isolation.values() or config.trust.isSigned


def _check(layers: Layers, minimum: str, isNeeded: bool) -> Check:
    level, missing = layers.level, layers.reasons
    if level is None:
        text = f"plugins cannot be locked in here: {'; '.join(missing)}"
        return Check("isolation", "failing" if isNeeded else "warning", text, _adviceFor(layers))
    text = f"level {level}: {', '.join(layer.name for layer in layers if layer.isEnforced)}"
    text += f"; not: {'; '.join(missing)}" if missing else ""
    if _LEVELS.index(level) > _LEVELS.index(minimum):
        text += f"; plugins with isolation: process are refused, for trust.minimum_level is {minimum}"
        return Check("isolation", "failing" if isNeeded else "warning", text, _adviceFor(layers))
    return Check("isolation", "ok", text, _adviceFor(layers))


def _adviceFor(layers: Layers) -> str:
    """What would help most; empty where nothing is missing that could be had."""
    missing = {layer.name for layer in layers.missing}
    if len(missing) == len(NAMES):
        return _AROUND
    if missing & {"network", "ipc", "hostname", "root"}:
        missing.add("user-namespace")
    return next((_ADVICE[name] for name in _ORDER if name in missing), "")


__all__ = ["PATIENCE", "Untried", "isolationChecks", "triedLayers"]
