"""revproxy.yaml as frozen values: what every other part is given.

Nothing here reads or checks anything; `revproxy.config.configfile` makes these values and promises that they are sound.
Paths are absolute, durations are seconds, sizes are bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

from revproxy.config.alertsettings import AlertsConfig
from revproxy.config.document import Document
from revproxy.config.explainconfig import ExplainConfig
from revproxy.config.metricsconfig import MetricsConfig
from revproxy.config.rolloutpolicy import AT_ONCE, RolloutConfig
from revproxy.config.tracesconfig import TracesConfig
from revproxy.config.trustconfig import TrustConfig
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.permissions import NOTHING, Permissions
from revproxy.secrets import masked

PluginSetting: TypeAlias = "bool | Mapping[str, Any]"
"""What a user may say about a plugin: off, on as it is, or on with these values over its own configuration."""


Isolation: TypeAlias = Literal["inline", "process"]
"""Where a plugin runs: in the edge's own process, or in a locked one."""

ISOLATIONS: tuple[Isolation, ...] = ("inline", "process")


@dataclass(frozen=True, slots=True)
class ClientAuthConfig:
    """Client certificates for one host.

    :ivar clientCA: PEM file of the authorities; the listener's when the host names none.
    :ivar clientAuth: ``"optional"`` or ``"required"``.
    """

    clientCA: Path | None
    clientAuth: str


@dataclass(frozen=True, slots=True)
class TLSConfig:
    """TLS of one listener.

    :ivar certificates: folder of PEM files; it need not exist yet.
    :ivar minimumVersion: ``"TLSv1.2"`` or ``"TLSv1.3"``.
    :ivar clientCA: PEM file of the authorities that sign client certificates, for all hosts.
    :ivar clientAuth: ``"optional"``, ``"required"`` or ``None``, for all hosts that ``hosts`` does not name.
    :ivar hosts: exact lower-case host or ``*.example.com`` to its own rule.
    """

    certificates: Path
    minimumVersion: str = "TLSv1.2"
    clientCA: Path | None = None
    clientAuth: str | None = None
    hosts: Mapping[str, ClientAuthConfig] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """One address clients connect to.

    :ivar endpoint: a Twisted server endpoint string.
    :ivar trustedProxies: addresses and networks whose PROXY header and forwarding fields are believed.
    """

    endpoint: str
    tls: TLSConfig | None = None
    proxyProtocol: bool = False
    trustedProxies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """One origin server.

    :ivar url: as written.
    :ivar scheme: ``"http"`` or ``"https"``.
    :ivar host: lower-case name or address, an IPv6 address without brackets.
    :ivar weight: its share of the requests, relative to the other targets.
    """

    url: str
    scheme: str
    host: str
    port: int
    weight: int = 1


@dataclass(frozen=True, slots=True)
class UpstreamTLSConfig:
    """TLS to the origins.

    :ivar verify: whether certificate and name are checked.
    :ivar ca: PEM file of the trusted authorities instead of the system's.
    :ivar certificate: PEM file with key and chain shown to the origin.
    :ivar serverName: the name for SNI and for the check instead of the target's host.
    """

    verify: bool = True
    ca: Path | None = None
    certificate: Path | None = None
    serverName: str | None = None


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """A named set of equal origins.

    :ivar host: the Host field they are sent: ``"preserve"`` (the client's), ``"target"`` (theirs) or a literal name.
    :ivar maxConnections: per target, without tunnels.
    :ivar maxTunnels: per target, besides ``maxConnections``.
    :ivar maxQueue: requests that may wait for a connection, per target; the next is answered 503.
    :ivar idleTimeout: most seconds an unused connection is kept.
    :ivar maxFails: failures in a row that mark a target down for ``failTimeout`` seconds. 0 never marks it down.
    """

    name: str
    targets: tuple[TargetConfig, ...]
    policy: str = "round_robin"
    host: str = "preserve"
    maxConnections: int = 1024
    maxTunnels: int = 1024
    maxQueue: int = 1024
    idleTimeout: float = 30.0
    maxFails: int = 3
    failTimeout: float = 10.0
    tls: UpstreamTLSConfig = UpstreamTLSConfig()


@dataclass(frozen=True, slots=True)
class RedirectConfig:
    """An answer that sends the client elsewhere."""

    location: str
    status: int = 302


@dataclass(frozen=True, slots=True)
class RespondConfig:
    """A fixed answer."""

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """Which requests go where. Exactly one of upstream, redirect, respond, health, static and resource is not ``None``.

    :ivar host: exact lower-case name, ``*.example.com``, or ``None`` for any.
    :ivar path: starts with ``/``; a prefix on segment boundaries.
    :ivar name: unique among the routes; what logs and metrics say.
    :ivar upstream: name of an upstream.
    :ivar static: folder that is served.
    :ivar resource: dotted name of a `twisted.web.resource.IResource`, or of what makes one without arguments.
    :ivar methods: those it takes, HEAD with GET; ``None``: every one but TRACE.
    :ivar case: ``"sensitive"`` or ``"insensitive"``: whether ``path`` fits in any case.
    :ivar stripPrefix: whether ``path`` is taken off the target before it is forwarded.
    :ivar plugins: plugin name to what this route says about it.
    """

    host: str | None
    path: str = "/"
    name: str = ""
    upstream: str | None = None
    redirect: RedirectConfig | None = None
    respond: RespondConfig | None = None
    health: Literal["live", "ready"] | None = None
    static: Path | None = None
    resource: str | None = None
    stripPrefix: bool = False
    methods: frozenset[str] | None = None
    case: str = "sensitive"
    plugins: Mapping[str, PluginSetting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouteGroup:
    """
    Some routes of a configuration: those that say the same of plugins, and so have the same plugins with the same
    configurations.

    There may be ten thousand routes, and hardly ever more than a few groups. What is decided for each swap of a plugin
    (who runs where, in what order, with which configuration) is decided once for each group.

    :ivar plugins: what each of them says of plugins, by name.
    :ivar routes: their indexes, ascending; at least one.
    """

    plugins: Mapping[str, PluginSetting]
    routes: tuple[int, ...]


def groupRoutes(routes: Sequence[RouteConfig]) -> tuple[RouteGroup, ...]:
    """Every route is in one group; groups are in the order of their first routes."""
    found: dict[str, list[int]] = {}
    for index, route in enumerate(routes):
        # As text, 1, 1.0 and true are three things, as they are to a plugin.
        said = json.dumps(route.plugins, sort_keys=True, default=repr) if route.plugins else ""
        found.setdefault(said, []).append(index)
    return tuple(RouteGroup(routes[indexes[0]].plugins, tuple(indexes)) for indexes in found.values())


@dataclass(frozen=True, slots=True)
class QuarantineConfig:
    """When a version of a plugin that runs is taken out.

    :ivar failures: so many failed calls within the window, at least.
    :ivar share: the part of all calls that these are, at least; above 0, up to 1.
    :ivar window: seconds that are looked back.
    :ivar loopShare: the part of the event loop that long calls may take, above 0 and up to 1; ``None``: that is told,
        and no reason to take a version out.
    """

    failures: int = 5
    share: float = 0.5
    window: float = 30.0
    loopShare: float | None = None


@dataclass(frozen=True, slots=True)
class GrantConfig:
    """What a plugin is granted.

    :ivar permissions: all of it.
    :ivar environment: by name of a variable, its value.
    :ivar files: by path, as revproxy.yaml has it, what is in the file.
    """

    environment: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    permissions: Permissions = NOTHING


@dataclass(frozen=True, slots=True)
class PluginsConfig:
    """Where plugins are found and what is said about them for all routes.

    :ivar directory: folder of plugin folders, or ``None``.
    :ivar config: plugin name to what is said about it.
    :ivar required: names of plugins that requests must not pass without.
    :ivar settle: seconds without a further write after which changed files are read.
    :ivar keepVersions: how many earlier versions of a plugin stay in the version store.
    :ivar maxBytes: of all files of a plugin together.
    :ivar watch: whether plugins and configuration are read when they have changed; else only when somebody says so.
    :ivar drain: seconds that requests and streams may still use what was replaced; ``None``: as ``timeouts.drain``.
    :ivar quarantine: when versions are taken out.
    :ivar grants: plugin name to what it is granted.
    :ivar isolation: by name or glob, ``"inline"`` or ``"process"``, whatever a plugin.json says.
    :ivar storeBytes: what one plugin may keep over restarts.
    :ivar rollout: by which steps new versions come into service.
    """

    directory: Path | None = None
    config: Mapping[str, PluginSetting] = field(default_factory=dict)
    settle: float = 0.15
    keepVersions: int = 5
    quarantine: QuarantineConfig = QuarantineConfig()
    grants: Mapping[str, GrantConfig] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    isolation: Mapping[str, Isolation] = field(default_factory=dict)
    watch: bool = True
    drain: float | None = None
    storeBytes: int = 16 * 1024 * 1024
    maxBytes: int = 16 * 1024 * 1024
    rollout: RolloutConfig = AT_ONCE


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    """The access log, and the edge's own.

    :ivar access: ``"-"`` for standard output, an absolute path, or ``None`` for no log.
    :ivar format: ``"json"`` or ``"combined"``.
    :ivar level: ``"debug"``, ``"info"``, ``"warn"`` or ``"error"``: from there on the edge's own log has lines.
    :ivar own: ``"text"`` or ``"json"``: its form.
    :ivar mask: keys of the query whose values neither the log nor records have.
    :ivar remember: how many of the last requests can be searched; 0: none.
    :ivar rememberBytes: how many bytes these take at most.
    """

    access: str | None = "-"
    format: str = "json"
    level: str = "info"
    own: str = "text"
    mask: tuple[str, ...] = ()
    remember: int = 50_000
    rememberBytes: int = 32 << 20


@dataclass(frozen=True, slots=True)
class AdminConfig:
    """Where the admin API listens besides the control socket, and for whom.

    :ivar endpoint: a Twisted server endpoint string.
    :ivar tls: always there where others than this machine can connect.
    :ivar tokens: further files of tokens, which the edge only reads.
    :ivar dashboard: whether the dashboard is served there.
    :ivar hosts: names that it answers to, in lower case, besides addresses and ``localhost``.
    :ivar trustedOrigins: of pages that may change something, besides its own.
    """

    endpoint: str
    tls: TLSConfig | None = None
    tokens: tuple[Path, ...] = ()
    dashboard: bool = True
    hosts: tuple[str, ...] = ()
    trustedOrigins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a user said, checked.

    :ivar routeGroups: the routes by what they say of plugins.
    :ivar state: folder for what the edge itself keeps.
    :ivar source: the file it came from, as the user named it.
    :ivar document: knows the line of every value, for problems found later. It has references, not their values.
    :ivar referredFiles: files that values were taken from, with what was in them.
    :ivar secrets: what the document only refers to, but for settings of the edge; decoding a configuration hides them.
    """

    listeners: tuple[ListenerConfig, ...]
    upstreams: Mapping[str, UpstreamConfig]
    routes: tuple[RouteConfig, ...]
    plugins: PluginsConfig = field(default_factory=PluginsConfig)
    state: Path = Path("var")
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    logging: LoggingConfig = LoggingConfig()
    admin: AdminConfig | None = None
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    traces: TracesConfig = field(default_factory=TracesConfig)
    alerts: AlertsConfig = field(default_factory=AlertsConfig)
    explain: ExplainConfig = field(default_factory=ExplainConfig)
    trust: TrustConfig = field(default_factory=TrustConfig)
    source: str = "configuration"
    document: Document | None = field(default=None, compare=False, repr=False)
    referredFiles: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[Any, ...] = field(default=(), compare=False, repr=False)
    routeGroups: tuple[RouteGroup, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "routeGroups", groupRoutes(self.routes))

    @property
    def pluginDrain(self) -> float:
        """Seconds that requests and streams may still use a plugin that was replaced."""
        return self.timeouts.drain if self.plugins.drain is None else self.plugins.drain

    def __repr__(self) -> str:
        shown = [f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr]
        return masked(f"Config({', '.join(shown)})")


def documentOf(config: Config) -> Document:
    """The document that knows the lines of a configuration's values; it knows none where there is no file."""
    return config.document or Document(config.source, None)
