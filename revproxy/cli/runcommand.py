"""
``revproxy run``: the edge itself, in the foreground.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from revproxy.loop.closedprocess import closeToOthers
from revproxy.loop.reactor import installUnlessChosen
from revproxy.loop.remotedebug import withoutRemoteDebug

CONFIG = Path("revproxy.yaml")
"""What is run when nothing is given."""

_EARLY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


@click.command(short_help="Run the edge, in the foreground.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--config", "-c", type=click.Path(path_type=Path),
              help="Configuration file; the edge follows it while it runs. FILE is the same.  "
                   "[default: revproxy.yaml]")
@click.option("--listen", "-l", multiple=True, metavar="ENDPOINT",
              help="Without a file: where to accept connections, such as tcp:8080. May be given again.")
@click.option("--upstream", "-u", multiple=True, metavar="URL",
              help="Without a file: where requests go, such as http://127.0.0.1:9000. Several are taken in turn.")
@click.option("--plugins", "-p", metavar="DIRECTORY", help="Without a file: the folder of plugins.")
@click.option("--state", metavar="DIRECTORY", help="Without a file: the state folder.  [default: ./var]")
@click.option("--access-log", metavar="FILE", help="Without a file: the access log, or off.  [default: -]")
@click.option("--uid", metavar="USER", help="Become this user (name or number) once the ports are bound.")
@click.option("--gid", metavar="GROUP", help="And this group; left out: the user's own, and all others it has.")
@click.option("--logfile", type=click.Path(path_type=Path), metavar="FILE",
              help="The edge's own log; opened anew on SIGUSR1.  [default: standard output]")
@click.option("--debuggable", is_flag=True,
              help="Let debuggers of the same user look into the edge, keys and all; and core dumps.")
@click.option("--reload", is_flag=True,
              help="For development: restart when imported code changes. Plugins need no restart.")
def run(
    file: Path | None, config: Path | None, uid: str | None, gid: str | None, logfile: Path | None, **given: Any
) -> None:
    """Run the edge, in the foreground. Says what is wrong and exits 1 if it cannot; exits 0 when it is stopped.

    SIGTERM and SIGINT stop it when running requests are over, a second SIGINT at once. SIGHUP is revproxy reload,
    SIGUSR1 opens log files anew.
    """
    from revproxy.service.firstprocess import beChildOfFirst
    from revproxy.service.signals import EarlySignals

    if file is not None and config is not None:
        raise click.UsageError("FILE and --config are the same: give one of them")
    _keepStandardStreams()
    if not given["debuggable"]:
        withoutRemoteDebug()
        closeToOthers()
    early = EarlySignals(*_EARLY)
    options = _options(config or file, given)
    beChildOfFirst()
    if options["reload"]:
        _supervise(options["config"])
    reactor = installUnlessChosen()
    try:
        _run(options, reactor, early, (uid, gid), logfile)
    except KeyboardInterrupt:  # in the moment before the reactor takes it
        os._exit(0)


def _keepStandardStreams() -> None:
    """One that is closed leads nowhere: else the next file or socket is opened in its place, and is written to."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _options(config: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """As ``twistd revproxy`` has them. :raises click.ClickException: they do not go together."""
    options = {name.replace("_", "-"): value for name, value in given.items()}
    options["config"] = config
    single = [name for name in ("listen", "upstream", "plugins", "state", "access-log") if options[name]]
    if config is not None and single:
        raise click.UsageError(f"--config and --{single[0]} do not go together: say it in the file")
    if config is None and not single:
        if not CONFIG.exists():
            raise click.ClickException(f"there is no {CONFIG} here: give --config FILE, or --listen and --upstream "
                                       "(revproxy init writes a file)")
        options["config"] = CONFIG
    return options


def _supervise(config: Path | None) -> None:
    from revproxy.service.reloader import superviseUnlessSupervised

    superviseUnlessSupervised([config] if config is not None else [], "revproxy.cli.main.main")


def _run(
    options: dict[str, Any], reactor: Any, early: Any, names: tuple[str | None, str | None], logfile: Path | None
) -> None:
    # Only now that there is a reactor; and other commands are quicker without all this.
    from revproxy.service.edgeuser import UserError, userNamed
    from revproxy.service.foreground import runForeground
    from revproxy.service.ownlog import OwnLog, said
    from revproxy.tap import makeEdge

    try:
        user = userNamed(*names)
        log = OwnLog(logfile)
    except UserError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"--logfile: {logfile} cannot be opened: {error.strerror}") from None
    service = makeEdge(options, None if user is None else (user.uid, user.gid))
    try:
        runForeground(service, reactor, log, user, early)
    except UserError as error:
        said(error)
        sys.exit(1)


COMMANDS = (run,)
"""All of them."""
