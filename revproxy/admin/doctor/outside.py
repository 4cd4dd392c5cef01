"""
What can be seen where no edge runs: its configuration file, its folders, its ports, and the machine.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from errno import EACCES, EADDRINUSE
from pathlib import Path

from twisted.internet.endpoints import serverFromString

from revproxy.admin.doctor.check import Check
from revproxy.admin.doctor.isolation import isolationChecks
from revproxy.admin.doctor.lint import lintChecks
from revproxy.admin.doctor.machine import machineChecks
from revproxy.admin.doctor.places import placeChecks
from revproxy.config.configfile import loadConfig
from revproxy.config.problems import ConfigErrors
from revproxy.config.settings import Config

_USUAL = 10_000
"""Connections, where no configuration says how many."""


def outsideChecks(file: Path | None) -> list[Check]:
    """
    Blocks.

    :param file: the configuration; None where there is none.
    """
    if file is None:
        return [*machineChecks(_USUAL), *isolationChecks(None)]
    try:
        config = loadConfig(file)
    except ConfigErrors as errors:
        advice = "Correct it: no edge can start with it. `revproxy check` looks at the plugins, too."
        found = [Check("config", "failing", str(problem), advice) for problem in errors.problems]
        return [*found, *machineChecks(_USUAL), *isolationChecks(None)]
    return [
        *lintChecks(config),
        *_ports(config),
        *placeChecks(config, file),
        *machineChecks(config.limits.maxConnections),
        *isolationChecks(config),
    ]


def _ports(config: Config) -> Iterator[Check]:
    """Whether an edge could listen where it is to."""
    endpoints = [listener.endpoint for listener in config.listeners]
    others = (config.metrics.endpoint, config.admin.endpoint if config.admin is not None else None)
    endpoints += [endpoint for endpoint in others if endpoint]
    free = 0
    for endpoint in endpoints:
        check = _port(endpoint)
        if check is not None:
            yield check
        free += check is None
    if free == len(endpoints):
        yield Check("ports", "ok", f"{free} endpoint{' is' if free == 1 else 's are'} free")


def _port(endpoint: str) -> Check | None:
    """What is in the way; None if nothing is, as far as can be tried."""
    if endpoint.partition(":")[0] not in ("tcp", "tcp6"):
        return None
    made = serverFromString(None, endpoint)  # no endpoint touches its reactor before it listens
    port, interface = made._port, made._interface
    family = socket.AF_INET6 if ":" in interface else socket.AF_INET
    try:
        with socket.socket(family) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((interface, port))
            tried.listen(1)
    except OSError as error:
        if error.errno == EADDRINUSE:
            text = f"{endpoint}: another program listens there"
            return Check("ports", "failing", text, "End it, or choose another port.")
        if error.errno == EACCES:
            advice = "Start the edge as root with --uid, or give it CAP_NET_BIND_SERVICE; as this user it cannot."
            return Check("ports", "warning", f"{endpoint}: this user may not listen there", advice)
        return Check("ports", "failing", f"{endpoint}: {error.strerror}", "Name an address that this machine has.")
    return None
