"""
The options of ``twistd revproxy``, and the service made of them; ``revproxy run`` makes the same.

What the edge itself is made of is imported when it is made: with the options read, and the process closed to others.
"""

from __future__ import annotations

import pwd
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService
from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError

from revproxy.loop.closedprocess import closeToOthers
from revproxy.loop.interpreter import importBeside, tuneInterpreter, uncollected
from revproxy.loop.reactor import installUnlessChosen, keepThreadsApart
from revproxy.loop.remotedebug import withoutRemoteDebug
from revproxy.service.signals import EarlySignals

if TYPE_CHECKING:
    from revproxy.service.service import EdgeService


class Options(TwistedOptions):  # type: ignore[misc]
    """
    What ``twistd revproxy`` understands.

    ``--reload`` is for development: the process is started anew when code that it imported
    changes, its own or that of mounted resources. Plugins and the configuration need no restart, with it or without.
    """

    synopsis = "[options]"
    longdesc = (
        "A TLS-terminating reverse proxy whose middleware are plugins. Either --config, or --listen and --upstream. "
        "`revproxy init` writes a commented configuration to begin with, `revproxy check FILE` looks it over."
    )
    optFlags = [
        ["reload", None, "For development: restart when imported code changes. Plugins need no restart."],
        ["debuggable", None, "Let debuggers of the same user look into the edge, keys and all; and core dumps."],
    ]
    optParameters = [
        ["config", "c", None, "Configuration file (revproxy.yaml)."],
        ["plugins", "p", None, "Folder of plugins, where there is no configuration file."],
        ["state", None, None, "Folder for versions and pins, where there is no configuration file. [default: ./var]"],
        ["access-log", None, None, "Where the access log goes without a configuration file, or off. [default: -]"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []
        self["upstream"] = []

    def opt_listen(self, endpoint: str) -> None:
        """A Twisted endpoint to accept connections on, such as tcp:8080. May be given again."""
        self["listen"].append(endpoint)

    def opt_upstream(self, url: str) -> None:
        """Where requests go, such as http://127.0.0.1:9000. May be given again: they are taken in turn."""
        self["upstream"].append(url)

    opt_l = opt_listen
    opt_u = opt_upstream

    def postOptions(self) -> None:
        """
        Either a file or options. The last moment to choose the reactor: after this, twistd imports it. With --reload
        this does not return, except in the process that will be the edge.
        """
        single = singleOptions(self)
        if self["config"] is not None and single:
            raise UsageError(f"--config and --{single[0]} do not go together: say it in the file")
        if self["config"] is None and not single:
            raise UsageError("give --config FILE, or --listen and --upstream (revproxy init writes a file)")
        if self.parent is not None:
            EarlySignals(signal.SIGHUP)
        if self["reload"] and (self.parent is None or not self.parent.get("nodaemon")):
            raise UsageError("--reload needs a process in the foreground: twistd -n revproxy --reload ...")
        if self.parent is not None and not self["debuggable"]:
            withoutRemoteDebug()
            closeToOthers()
        if self["reload"]:
            from revproxy.service.reloader import superviseUnlessSupervised

            superviseUnlessSupervised([Path(self["config"])] if self["config"] is not None else [])
        installUnlessChosen()
        if self.parent is not None:
            from revproxy.service.twistdlog import shapeLog

            shapeLog(self.parent)


def singleOptions(options: Mapping[str, Any]) -> list[str]:
    """Those that are given and say what a configuration file would say."""
    return [name for name in ("listen", "upstream", "plugins", "state", "access-log") if options[name]]


def makeService(options: Options) -> IService:
    """
    The service that ``twistd`` runs. A configuration that will not do ends the process with status 1 and every
    problem on standard error.
    """
    return makeEdge(options, _twistdUser(options.parent or {}))


def makeEdge(options: Mapping[str, Any], owner: tuple[int, int] | None) -> EdgeService:
    """
    As :func:`makeService`.

    :param owner: user and group that the edge will become; None: it stays who it is.
    """
    with uncollected():
        from twisted.internet import reactor

        from revproxy.config.configfile import configFromOptions, loadConfig
        from revproxy.config.problems import ConfigErrors
        from revproxy.service.service import EdgeService

    path = None if options["config"] is None else Path(options["config"])
    try:
        if path is not None:
            config = loadConfig(path)
            importBeside(path)
        else:
            config = configFromOptions(
                options["listen"],
                options["upstream"],
                options["plugins"],
                access=options["access-log"] or "-",
                state=options["state"] or "./var",
            )
        keepThreadsApart(reactor)
        closes: Callable[[], str | None] = (lambda: None) if options["debuggable"] else closeToOthers
        return EdgeService(config, reactor, path, tuneInterpreter, owner, closes)
    except ConfigErrors as errors:
        for problem in errors.problems:
            print(problem, file=sys.stderr)
        raise SystemExit(1) from None


def _twistdUser(options: Mapping[str, Any]) -> tuple[int, int] | None:
    """Whom twistd will become, as it finds out itself."""
    uid, gid = options.get("uid"), options.get("gid")
    if uid is None:
        return None
    return uid, gid if gid is not None else pwd.getpwuid(uid).pw_gid
