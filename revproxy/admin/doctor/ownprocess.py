"""
What the edge's own process is to others: who it runs as, and what they can see of it.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

from revproxy.admin.doctor.check import Check
from revproxy.loop.closedprocess import isClosed
from revproxy.loop.remotedebug import SWITCH, isRemoteDebugOn


def processChecks() -> list[Check]:
    """For a running edge; whoever asks one is another process."""
    found = list(_problems())
    if not found:
        text = f"it runs as user {os.geteuid()}, and other programs of that user cannot look into it"
        return [Check("process", "ok", text)]
    return found


def _problems() -> Iterator[Check]:
    if os.geteuid() == 0:
        advice = "Start it with --uid USER, or as a user of its own with sockets of systemd's or CAP_NET_BIND_SERVICE."
        text = "it runs as root, and so does every plugin that runs inline: what one of them may do has no bounds"
        yield Check("process", "warning", text, advice)
    if not isClosed():
        text = "other programs of the same user can read the edge's memory: keys, passwords, cookies"
        yield Check("process", "warning", text, "Start it without --debuggable, when you have found what you look for.")
    if resource.getrlimit(resource.RLIMIT_CORE)[0]:
        text = "a crash would write the edge's memory into a file"
        yield Check("process", "warning", text, "Start it without --debuggable, or with LimitCORE=0.")
    if isRemoteDebugOn():
        text = "Python runs what a debugger gives it (PEP 768)"
        yield Check("process", "warning", text, f"Start it with {SWITCH}=1, or without --debuggable.")


__all__ = ["processChecks"]
