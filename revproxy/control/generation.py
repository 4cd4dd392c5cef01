"""
The one place where everything is wired together: from configuration and plugins to a running generation.

Nothing here has side effects outside the process: plugins are imported and made, not started; upstreams do not connect
before the first request. So a generation that fails to build is simply dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IAddress, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.threads import deferToThreadPool
from twisted.python.reflect import namedAny
from twisted.web.resource import IResource
from zope.interface import implementer
from zope.interface.interface import InterfaceClass

from revproxy.control.catalog import Selected, chains, readCatalog
from revproxy.control.loader import Module, PluginError, instantiate, instantiateFactory, loadModule, unload
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
from revproxy.interfaces import IConfigurable, ILeaf

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


@dataclass(frozen=True, slots=True)
class Built:
    """
    A generation and what it is made of.

    :ivar instances: every middleware instance with its name, in the order they are to be started.
    :ivar upstreams: by name.
    :ivar modules: the imported bundles.
    :ivar agent: the connections of plugins' own clients.
    """

    generation: Generation
    instances: tuple[tuple[str, Any], ...]
    upstreams: Mapping[str, Upstream]
    modules: tuple[Module, ...]
    agent: PoolAgent

    def close(self) -> None:
        """Give up upstream connections as they become idle."""
        for upstream in self.upstreams.values():
            upstream.close()
        self.agent.close()


def buildGeneration(config: Config, parts: Parts, number: int) -> Built:
    """
    Build what the configuration describes.

    :raises ConfigErrors: with every problem found; nothing is left behind.
    """
    return _Assembly(config, parts).build(number)


class _Assembly:
    """One run of :func:`buildGeneration`."""

    def __init__(self, config: Config, parts: Parts) -> None:
        self.config = config
        self.parts = parts
        self.problems: list[Problem] = []
        self.modules: dict[str, Module] = {}
        self.instances: dict[tuple[str, int], Any] = {}
        self.links: dict[tuple[str, int], Link] = {}
        self.chains: dict[int, Chain] = {}
        self.agent = PoolAgent(self._upstreamForOrigin)
        self.client = UpstreamClient(self.agent, parts.reactor, CLIENT_TIMEOUT)

    def build(self, number: int) -> Built:
        config = self.config
        catalog = readCatalog(config.plugins.directory)
        selected = catalog.select(config.plugins, config.routes, config.document)
        perRoute = chains(selected, config.routes)
        for links in perRoute:
            for one, settings in links:
                self._instantiate(one, settings)
        upstreams = {name: self._upstream(upstream) for name, upstream in config.upstreams.items()}
        routes = []
        for index, route in enumerate(config.routes):
            leaf = self._leaf(index, route, upstreams)
            if leaf is not None and not self.problems:
                host = (route.host or "").encode("ascii")
                routes.append(Route(route.name, host, route.path.encode(), leaf, self._chain(perRoute[index])))
        if self.problems:
            for module in self.modules.values():
                unload(module)
            raise ConfigErrors(self.problems)
        instances = tuple((name, instance) for (name, _), instance in self.instances.items())
        return Built(
            Generation(number, Tree(routes)), instances, upstreams, tuple(self.modules.values()), self.agent
        )

    # Plugins

    def _instantiate(self, one: Selected, settings: Mapping[str, Any]) -> None:
        """One instance for each plugin and configuration."""
        name = one.manifest.name
        key = name, id(settings)
        if key in self.instances:
            return
        try:
            if one.entry.bundle is None:
                instance = instantiateFactory(one.entry.factory, one.manifest, settings)
            else:
                if name not in self.modules:
                    self.modules[name] = loadModule(one.entry.bundle, one.manifest)
                instance = instantiate(self.modules[name], one.manifest, settings)
            if IConfigurable.providedBy(instance):
                self._validate(one, instance, settings)
        except PluginError as error:
            self.problems.append(Problem(error.where, 0, 0, "", f"{error.message} (plugin {error.plugin})"))
            return
        self.instances[key] = instance
        manifest = one.manifest
        self.links[key] = Link(
            instance,
            name,
            str(manifest.version),
            open=manifest.onError == "open",
            timeout=None if manifest.timeoutMs is None else manifest.timeoutMs / 1000,
            deadlines=self.parts.answers,
            makeClient=self._clientForPlugin,
            services=self._service,
            bodyBytes=manifest.bodyBytes,
        )

    def _validate(self, one: Selected, instance: Any, settings: Mapping[str, Any]) -> None:
        try:
            instance.validateConfig(settings)
        except Exception as error:
            message = f"validateConfig refused the configuration: {error}"
            raise PluginError(one.manifest.name, one.entry.source, message) from error

    def _clientForPlugin(self) -> UpstreamClient:
        return self.client

    def _service(self, interface: InterfaceClass) -> Any:
        """The first running plugin, in the order of the chains, that provides an interface."""
        for instance in self.instances.values():
            if interface.providedBy(instance):
                return instance
        raise KeyError(f"no running plugin provides {interface.__name__}")

    def _chain(self, links: Sequence[tuple[Selected, Any]]) -> Chain:
        """Routes with the same links share one chain."""
        chain = self.chains.get(id(links))
        if chain is None:
            chain = Chain([self.links[one.manifest.name, id(settings)] for one, settings in links])
            self.chains[id(links)] = chain
        return chain

    # Leaves

    def _leaf(self, index: int, route: RouteConfig, upstreams: Mapping[str, Upstream]) -> ILeaf | None:
        prefix = route.path.encode()
        if route.upstream is not None:
            strip = prefix if route.stripPrefix else b""
            policy = self.config.upstreams[route.upstream].host
            return ProxyLeaf(self.client, upstreams[route.upstream], hostPolicy=policy, strip=strip)
        if route.redirect is not None:
            return RedirectLeaf(route.redirect.location, route.redirect.status)
        if route.respond is not None:
            return RespondLeaf(route.respond.status, route.respond.body.encode(), route.respond.headers)
        if route.static is not None:
            return StaticLeaf(str(route.static), prefix, self._inThread)
        assert route.resource is not None
        return self._mounted(index, route.resource, prefix)

    def _inThread(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        reactor = self.parts.reactor
        return deferToThreadPool(reactor, reactor.getThreadPool(), function, *args)

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

    # Upstreams

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

    def _upstreamForOrigin(self, scheme: bytes, host: str, port: int) -> Upstream:
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
