"""
The one place where everything is wired together: from a plan and its instances to a running generation.

Nothing here has side effects: instances were made and started before, upstreams do not connect before the first
request. So a generation that fails to build is simply dropped. What a new generation has in common with the one before
is the same object: instances, upstreams with their connections, leaves, the client of plugins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IAddress, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.reflect import namedAny
from twisted.web.resource import IResource
from zope.interface import implementer
from zope.interface.interface import InterfaceClass

from revproxy.control.catalog import Selected
from revproxy.control.instance import Instance
from revproxy.control.manifest import Manifest
from revproxy.control.plan import Plan
from revproxy.control.problems import ConfigErrors, Problem
from revproxy.control.settings import Config, RouteConfig, TargetConfig, UpstreamConfig, UpstreamTLSConfig
from revproxy.dataplane.chain import Chain, Link
from revproxy.dataplane.client import PoolAgent, UpstreamClient
from revproxy.dataplane.deadlines import NEVER, Deadlines
from revproxy.dataplane.edge import Generation
from revproxy.dataplane.http1client import Http1Client
from revproxy.dataplane.leaves import RedirectLeaf, RespondLeaf
from revproxy.dataplane.mounted import MountedLeaf
from revproxy.dataplane.pool import Pool
from revproxy.dataplane.proxy import ProxyLeaf
from revproxy.dataplane.routing import Route, Tree
from revproxy.dataplane.static import StaticLeaf
from revproxy.dataplane.tls import TLSClientReactor
from revproxy.dataplane.tlscontexts import clientContext
from revproxy.dataplane.transport import EagerReactor
from revproxy.dataplane.upstream import Target, Upstream
from revproxy.interfaces import ILeaf

# The leaf first. Flat, for there may be ten thousand, and each tuple is one more for the collector to look at.
_MadeLeaf = tuple[ILeaf, *tuple[Any, ...]]
Leaves = Mapping[tuple[str | None, str], _MadeLeaf]

CLIENT_TIMEOUT = 30.0
"""Seconds a plugin's request through ``context.client`` may take when it does not say otherwise."""


@dataclass(frozen=True, slots=True)
class Parts:
    """
    What outlives generations.

    :ivar reactor: the real one.
    :ivar deadlines: for connections.
    :ivar answers: for middleware that do not answer at once; a finer sweep.
    """

    reactor: Any
    deadlines: Deadlines
    answers: Deadlines


class PluginClient:
    """
    The connections of plugins' own clients; the same for all generations.

    :ivar client: what instances are given, wrapped, as ``context.client``.
    """

    def __init__(self, config: Config, parts: Parts) -> None:
        self._upstreams = _Upstreams(config, parts)
        self._agent = PoolAgent(self._upstreams.forOrigin)
        self.client = UpstreamClient(self._agent, parts.reactor, CLIENT_TIMEOUT)

    def adopt(self, config: Config) -> None:
        """Connections to further origins are made with the limits and time-outs of this configuration."""
        self._upstreams.config = config

    def close(self) -> None:
        """Give up connections as they become idle."""
        self._agent.close()


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """
    An instance's part in a generation.

    :ivar middleware: what stands in the chain: the instance's object, or the gate before it.
    :ivar onFailure: told of each failed call.
    """

    instance: Instance
    middleware: Any
    onFailure: Callable[[Failure], None] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """
    A generation and what it is made of.

    :ivar instances: in the order they are to be started.
    :ivar chains: each with the instances that requests in it use.
    :ivar upstreams: by name, each with the key under which it may be shared.
    :ivar leaves: by host and path of their routes, each with what it was made from.

    While the configuration stays as it is, so do upstreams, leaves and the resource tree: what is done for a plugin
    that changes does not become more with the number of routes.
    """

    plan: Plan
    generation: Generation
    instances: tuple[Instance, ...]
    chains: Mapping[Chain, tuple[Instance, ...]]
    upstreams: Mapping[str, tuple[Any, Upstream]]
    leaves: Leaves

    def close(self, successor: Built | None = None) -> None:
        """Give up upstream connections that the successor does not share, as they become idle."""
        if successor is not None and successor.upstreams is self.upstreams:
            return
        kept = set() if successor is None else {id(upstream) for _, upstream in successor.upstreams.values()}
        for _, upstream in self.upstreams.values():
            if id(upstream) not in kept:
                upstream.close()


def buildGeneration(
    plan: Plan,
    members: Callable[[Selected, Mapping[str, Any]], Member],
    parts: Parts,
    plugins: PluginClient,
    previous: Built | None = None,
) -> Built:
    """
    Build what a plan describes.

    :param members: the instance that a plugin with a configuration has in this generation.
    :param previous: what it may share parts with.
    :raises ConfigErrors: with every problem found; nothing is left behind.
    """
    return _Assembly(plan, members, parts, plugins, previous).build()


class _Assembly:
    """One run of :func:`buildGeneration`."""

    def __init__(
        self,
        plan: Plan,
        members: Callable[[Selected, Mapping[str, Any]], Member],
        parts: Parts,
        plugins: PluginClient,
        previous: Built | None,
    ) -> None:
        self.plan = plan
        self.config = plan.config
        self.members = members
        self.parts = parts
        self.plugins = plugins
        self.previous = previous
        self.problems: list[Problem] = []
        self.known: dict[tuple[str, int], Member] = {}
        self.chains: dict[int, Chain] = {}
        self.uses: dict[Chain, tuple[Instance, ...]] = {}
        self.leaves: Leaves = {}
        self.proxies: dict[tuple[str | None, str], _MadeLeaf] = {}
        self.providers: list[Any] = []

    def build(self) -> Built:
        upstreams = _Upstreams(self.config, self.parts, self.previous)
        made = upstreams.made()
        self.problems += upstreams.problems
        tree = self._tree(made)
        if self.problems:
            raise ConfigErrors(self.problems)
        chains = [self._chain(links) for links in self.plan.perLane]
        instances = tuple(dict.fromkeys(member.instance for member in self.known.values()))
        generation = Generation(self.plan.number, tree, chains)
        return Built(self.plan, generation, instances, self.uses, made, self.leaves)

    # The resource tree

    def _tree(self, upstreams: Mapping[str, tuple[Any, Upstream]]) -> Tree:
        before = self.previous
        if before is not None and before.plan.config is self.config and before.upstreams is upstreams:
            self.leaves = before.leaves
            return before.generation.tree
        lanes = {index: at for at, lane in enumerate(self.config.lanes) for index in lane.routes}
        leaves: dict[tuple[str | None, str], _MadeLeaf] = {}
        routes = []
        for index, route in enumerate(self.config.routes):
            leaf = self._leaf(index, route, upstreams, leaves)
            if leaf is not None:
                host = (route.host or "").encode("ascii")
                routes.append(Route(route.name, host, route.path.encode(), leaf, lanes[index]))
        self.leaves = leaves
        return Tree(routes)

    # Chains

    def _chain(self, links: Sequence[tuple[Selected, Any]]) -> Chain:
        """Lanes with the same links share one chain."""
        chain = self.chains.get(id(links))
        if chain is None:
            members = [self._member(one, settings) for one, settings in links]
            service = _serviceAmong([member.instance.object for member in members], self.providers)
            made = [self._link(one.manifest, member, service) for (one, _), member in zip(links, members, strict=True)]
            chain = self.chains[id(links)] = Chain(made)
            self.uses[chain] = tuple(member.instance for member in members)
        return chain

    def _member(self, one: Selected, settings: Mapping[str, Any]) -> Member:
        key = one.manifest.name, id(settings)
        member = self.known.get(key)
        if member is None:
            member = self.known[key] = self.members(one, settings)
            self.providers.append(member.instance.object)
        return member

    def _link(self, manifest: Manifest, member: Member, service: Callable[[InterfaceClass], Any]) -> Link:
        instance = member.instance
        return Link(
            member.middleware,
            manifest.name,
            str(manifest.version),
            open=manifest.onError == "open",
            timeout=None if manifest.timeoutMs is None else manifest.timeoutMs / 1000,
            deadlines=self.parts.answers,
            makeClient=_clientOf(instance),
            services=service,
            bodyBytes=manifest.bodyBytes,
            tally=instance.version.tally,
            onFailure=member.onFailure,
        )

    # Leaves

    def _leaf(
        self,
        index: int,
        route: RouteConfig,
        upstreams: Mapping[str, tuple[Any, Upstream]],
        leaves: dict[tuple[str | None, str], _MadeLeaf],
    ) -> ILeaf | None:
        """A leaf that would be made the same is the same: what a mounted resource holds outlives the change."""
        place = route.host, route.path
        key = (
            route.upstream and upstreams[route.upstream][1],
            route.upstream and self.config.upstreams[route.upstream].host,
            route.redirect,
            route.respond,
            route.static,
            route.resource,
            route.stripPrefix,
            route.resource and self.config.limits.maxBodyBytes,
        )
        known = self.previous.leaves.get(place) if self.previous is not None else None
        if known is not None and known[1:] == key:
            leaves[place] = known
            return known[0]
        alike = (route.upstream, route.path if route.stripPrefix else "")
        if route.upstream is not None and alike in self.proxies:
            made = leaves[place] = self.proxies[alike]
            return made[0]
        leaf = self._newLeaf(index, route, upstreams)
        if leaf is not None:
            made = leaves[place] = leaf, *key
            if route.upstream is not None:
                self.proxies[alike] = made
        return leaf

    def _newLeaf(self, index: int, route: RouteConfig, upstreams: Mapping[str, tuple[Any, Upstream]]) -> ILeaf | None:
        prefix = route.path.encode()
        if route.upstream is not None:
            strip = prefix if route.stripPrefix else b""
            policy = self.config.upstreams[route.upstream].host
            return ProxyLeaf(self.plugins.client, upstreams[route.upstream][1], hostPolicy=policy, strip=strip)
        if route.redirect is not None:
            return RedirectLeaf(route.redirect.location, route.redirect.status)
        if route.respond is not None:
            return RespondLeaf(route.respond.status, route.respond.body.encode(), route.respond.headers)
        if route.static is not None:
            return StaticLeaf(str(route.static), prefix, partial(_inThread, self.parts.reactor))
        assert route.resource is not None
        return self._mounted(index, route.resource, prefix)

    def _mounted(self, index: int, name: str, prefix: bytes) -> ILeaf | None:
        try:
            resource = namedAny(name)
            if not IResource.providedBy(resource) and callable(resource):
                resource = resource()
            if not IResource.providedBy(resource):
                raise TypeError(f"{name} is neither an IResource nor a function that makes one")
        except (Exception, SystemExit) as error:  # foreign code
            document = self.config.document
            message = f"{name} cannot be mounted: {type(error).__name__}: {error}"
            if document is None:
                self.problems.append(Problem(self.config.source, 0, 0, f"$.routes[{index}].resource", message))
            else:
                self.problems.append(document.problem(("routes", index, "resource"), message))
            return None
        return MountedLeaf(resource, prefix, self.parts.reactor, self.config.limits.maxBodyBytes)


def _inThread(reactor: Any, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
    return deferToThreadPool(reactor, reactor.getThreadPool(), function, *args)


def _clientOf(instance: Instance) -> Callable[[], Any]:
    return lambda: instance.host.client


def _serviceAmong(own: Sequence[Any], providers: Sequence[Any]) -> Callable[[InterfaceClass], Any]:
    def service(interface: InterfaceClass) -> Any:
        """What provides an interface: the first in the request's own chain, else the first of the generation."""
        for one in (*own, *providers):
            if interface.providedBy(one):
                return one
        raise KeyError(f"no running plugin provides {interface.__name__}")

    return service


class _Upstreams:
    """Makes upstreams, or takes those of the generation before that would be the same."""

    def __init__(self, config: Config, parts: Parts, previous: Built | None = None) -> None:
        self.config = config
        self.parts = parts
        self.problems: list[Problem] = []
        self._known = {} if previous is None else previous.upstreams
        self._isSame = previous is not None and previous.plan.config is config

    def made(self) -> Mapping[str, tuple[Any, Upstream]]:
        """By name; the very mapping of the generation before if the same are in it."""
        known = self._known
        configs = self.config.upstreams
        if self._isSame and all(known[name][0] == self._key(configs[name]) for name in self._withFiles()):
            return known
        return {name: self._shared(upstream) for name, upstream in configs.items()}

    def _withFiles(self) -> list[str]:
        return [one.name for one in self.config.upstreams.values() if one.tls.ca or one.tls.certificate]

    def _key(self, upstream: UpstreamConfig) -> Any:
        """Tells whether another would be the same: the files of its TLS settings count too."""
        paths = upstream.tls.ca, upstream.tls.certificate
        files = tuple(None if path is None else _contentOf(path) for path in paths)
        return upstream, self.config.limits, self.config.timeouts, files

    def _shared(self, upstream: UpstreamConfig) -> tuple[Any, Upstream]:
        key = self._key(upstream)
        known = self._known.get(upstream.name)
        if known is not None and known[0] == key:
            return known
        return key, self._upstream(upstream)

    def _upstream(self, upstream: UpstreamConfig, maxPause: float = NEVER) -> Upstream:
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
                None if tls.ca is None else tls.ca.read_bytes(),
                None if tls.certificate is None else tls.certificate.read_bytes(),
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
        return path.read_bytes()
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
