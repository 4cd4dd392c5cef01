"""
Upstreams as they are configured: targets, pools, endpoints; and the connections of plugins' own clients.

Nothing connects before the first request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IAddress, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from revproxy.config.problems import Problem
from revproxy.config.settings import Config, TargetConfig, UpstreamConfig, UpstreamTLSConfig
from revproxy.dataplane.http1.client import Http1Client
from revproxy.dataplane.leaves.health import EdgeHealth
from revproxy.dataplane.net.eagerreactor import EagerReactor
from revproxy.dataplane.net.tlsclient import TLSClientReactor
from revproxy.dataplane.net.tlscontexts import clientContext
from revproxy.dataplane.upstream.balancing import POLICIES
from revproxy.dataplane.upstream.pool import Pool
from revproxy.dataplane.upstream.target import Target
from revproxy.dataplane.upstream.treqclient import PoolAgent, UpstreamClient
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.loop.deadlines import NEVER, Deadlines
from revproxy.regularfile import readFile

Known = Mapping[str, tuple[Any, Upstream]]
"""By name, each with the key under which it may be shared."""

PEM_LIMIT = 4 << 20
"""Bytes of a file of certificates: ten times what an operating system trusts."""

CLIENT_TIMEOUT = 30.0
"""Seconds a plugin's request through ``context.client`` may take when it does not say otherwise."""


@dataclass(frozen=True, slots=True)
class Parts:
    """
    What outlives generations.

    :ivar reactor: the real one.
    :ivar deadlines: for connections.
    :ivar answers: for middleware that do not answer at once; a finer sweep.
    :ivar targetChanged: given upstream, URL, whether it is up, and why not, when a target is passed over from now on,
        or no longer.
    :ivar inThread: runs a function, with arguments, in a thread, for requests; at once where nobody says.
    :ivar health: whether the edge is ready.
    """

    reactor: Any
    deadlines: Deadlines
    answers: Deadlines
    targetChanged: Callable[[str, str, bool, str], None] = lambda upstream, url, isUp, reason: None
    inThread: Callable[..., Deferred[Any]] = maybeDeferred
    health: EdgeHealth = field(default_factory=EdgeHealth)


class PluginClient:
    """
    The connections of plugins' own clients; the same for all generations.

    :ivar client: what instances are given, wrapped, as ``context.client``.
    """

    def __init__(self, config: Config, parts: Parts) -> None:
        self._upstreams = Upstreams(config, parts)
        self._agent = PoolAgent(self._upstreams.forOrigin)
        self.client = UpstreamClient(self._agent, parts.reactor, CLIENT_TIMEOUT)

    def adopt(self, config: Config) -> None:
        """Connections to further origins are made with the limits and time-outs of this configuration."""
        self._upstreams.config = config

    def close(self) -> None:
        """Give up connections as they become idle."""
        self._agent.close()


class Upstreams:
    """
    Makes upstreams, or takes those of before that would be the same.

    :ivar problems: what kept one from being made.
    """

    def __init__(self, config: Config, parts: Parts) -> None:
        self.config = config
        self.parts = parts
        self.problems: list[Problem] = []

    def keys(self) -> dict[str, Any]:
        """
        By name, what tells whether another would be the same: the files of its TLS settings count, too. Blocks while
        these are read; may be called in any thread.
        """
        return {name: self._key(upstream) for name, upstream in self.config.upstreams.items()}

    def areSame(self, known: Known) -> bool:
        """Whether those of the same configuration would be the same once more. Blocks, as :meth:`keys`."""
        withFiles = filter(self._hasFiles, self.config.upstreams.values())
        return all(known[one.name][0] == self._key(one) for one in withFiles)

    @property
    def haveFiles(self) -> bool:
        """Whether there are files to be read."""
        return any(map(self._hasFiles, self.config.upstreams.values()))

    def made(self, keys: Mapping[str, Any], known: Known) -> Known:
        """All of the configuration. :param keys: from :meth:`keys`."""
        found = {}
        for name, upstream in self.config.upstreams.items():
            kept = known.get(name)
            if kept is None or kept[0] != keys[name]:
                kept = keys[name], self._upstream(upstream, onChange=partial(self.parts.targetChanged, name))
            found[name] = kept
        return found

    @staticmethod
    def _hasFiles(upstream: UpstreamConfig) -> bool:
        return upstream.tls.ca is not None or upstream.tls.certificate is not None

    def _key(self, upstream: UpstreamConfig) -> Any:
        paths = upstream.tls.ca, upstream.tls.certificate
        files = tuple(None if path is None else _contentOf(path) for path in paths)
        return upstream, self.config.limits, self.config.timeouts, files

    def _upstream(
        self,
        upstream: UpstreamConfig,
        maxPause: float = NEVER,
        onChange: Callable[[str, bool, str], None] = lambda url, isUp, reason: None,
    ) -> Upstream:
        targets = [
            Target(target.url, _authority(target), target.weight, self._pool(target, upstream, maxPause))
            for target in upstream.targets
        ]
        return Upstream(
            upstream.name,
            targets,
            self.parts.deadlines.now,
            maxFails=upstream.maxFails,
            failTimeout=upstream.failTimeout,
            policy=POLICIES[upstream.policy](),
            onChange=onChange,
        )

    def forOrigin(self, scheme: bytes, host: str, port: int) -> Upstream:
        """For plugins' own clients: any origin."""
        target = TargetConfig(f"{scheme.decode()}://{host}:{port}", scheme.decode(), host, port)
        # A plugin that never reads an answer must not keep the connection.
        return self._upstream(UpstreamConfig(target.url, (target,), maxConnections=32, maxQueue=256), CLIENT_TIMEOUT)

    def _pool(self, target: TargetConfig, upstream: UpstreamConfig, maxPause: float) -> Pool:
        try:
            endpoint = self._endpoint(target, upstream.tls)
        except (OSError, ValueError) as error:
            message = f"upstream {upstream.name}: TLS to {target.url}: {error}"
            self.problems.append(Problem(self.config.source, 0, 0, f"$.upstreams.{upstream.name}.tls", message))
            endpoint = None

        def connect(build: Callable[[], Http1Client]) -> Deferred[Any]:
            assert endpoint is not None
            connecting: Deferred[Any] = endpoint.connect(_Connecting(build))
            return connecting

        return Pool(
            connect,
            self.parts.deadlines,
            self.config.limits,
            self.config.timeouts,
            maxConnections=upstream.maxConnections,
            maxTunnels=upstream.maxTunnels,
            maxQueue=upstream.maxQueue,
            idleTimeout=upstream.idleTimeout,
            maxPause=maxPause,
        )

    def _endpoint(self, target: TargetConfig, tls: UpstreamTLSConfig) -> IStreamClientEndpoint:
        """:raises OSError, ValueError: if a file of the TLS settings cannot be used."""
        reactor: Any
        if target.scheme == "https":
            context = clientContext(
                tls.verify,
                None if tls.ca is None else readFile(tls.ca, PEM_LIMIT),
                None if tls.certificate is None else readFile(tls.certificate, PEM_LIMIT),
            )
            reactor = TLSClientReactor(self.parts.reactor, context, tls.serverName or target.host)
        else:
            reactor = EagerReactor(self.parts.reactor)
        timeout = self.config.timeouts.connect
        if isIPAddress(target.host):
            return TCP4ClientEndpoint(reactor, target.host, target.port, timeout=timeout)
        if isIPv6Address(target.host):
            return TCP6ClientEndpoint(reactor, target.host, target.port, timeout=timeout)
        # Resolves anew for each connection, and tries the addresses as RFC 8305 says.
        return HostnameEndpoint(reactor, target.host, target.port, timeout=timeout)


def _contentOf(path: Path) -> bytes | None:
    try:
        return readFile(path, PEM_LIMIT)
    except OSError:
        return None


@implementer(IProtocolFactory)
class _Connecting:
    """Makes the protocol of one connection."""

    def __init__(self, build: Callable[[], Http1Client]) -> None:
        self._build = build

    def buildProtocol(self, address: IAddress) -> Any:
        return self._build()

    def doStart(self) -> None:
        pass

    def doStop(self) -> None:
        pass


def _authority(target: TargetConfig) -> bytes:
    """Host and port as they are written in a Host field."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = 443 if target.scheme == "https" else 80
    return (host if target.port == usual else f"{host}:{target.port}").encode("ascii")
