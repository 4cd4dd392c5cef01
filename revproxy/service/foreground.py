"""
An edge as this process, in the foreground: what ``revproxy run`` does, in order.

Twisted's own runner does the same for ``twistd``, with a pid file, a fork and a working directory that can be written.
An edge needs none of them: systemd and containers know the process, and the state folder's lock keeps a second one
away.
"""

from __future__ import annotations

import os
import platform
import signal
from typing import Any

from twisted.logger import Logger

from revproxy import __version__
from revproxy.loop.closedprocess import keepPrivileges
from revproxy.service.edgeuser import EdgeUser
from revproxy.service.ownlog import OwnLog
from revproxy.service.service import EdgeService
from revproxy.service.signals import EarlySignals, Signals
from twisted import __version__ as twistedVersion

__all__ = ["runForeground"]

_log = Logger()


def runForeground(service: EdgeService, reactor: Any, log: OwnLog, user: EdgeUser | None, early: EarlySignals) -> None:
    """
    Run an edge until it ends. If it could not start, the process's exit status will be 1.

    :param log: begun here.
    :param user: whom to become once the ports are bound.
    :param early: what heeds signals until the edge does.
    :raises UserError: that user cannot be become.
    """
    log.begin()
    _log.info(
        "revproxy {version} begins (process {pid}, Python {python}, Twisted {twisted})",
        version=__version__,
        pid=os.getpid(),
        python=platform.python_version(),
        twisted=twistedVersion,
    )
    service.privilegedStartService()
    if user is not None:
        unreadable = user.become()
        if (why := keepPrivileges()) is not None:
            _log.warn("{why}", why=why)
        _log.info("runs as user {uid}, group {gid}", uid=user.uid, gid=user.gid)
        if unreadable:
            text = (
                "user {uid} cannot read {places}: what is first imported from there while the edge runs will fail, "
                "in plugins, too; install Python and revproxy where that user can read them"
            )
            _log.warn(text, uid=user.uid, places=", ".join(unreadable))
    signals = Signals(reactor)
    signals.heed(signal.SIGUSR1, log.reopen)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    service.startService()
    early.handOver()
    reactor.run()
    _log.info("revproxy has ended")
