"""The upstreams of revproxy.yaml as frozen values."""

from __future__ import annotations

from collections.abc import Mapping

from revproxy.config import syntax
from revproxy.config.section import Section
from revproxy.config.settings import TargetConfig, UpstreamConfig, UpstreamTLSConfig
from revproxy.hostport import splitPort


def upstreamsOf(root: Section) -> Mapping[str, UpstreamConfig]:
    """All upstreams by their names; their problems are added to the section's."""
    return {name: _upstream(name, section) for name, section in root.entries("upstreams")}


def _upstream(name: str, section: Section) -> UpstreamConfig:
    tls = section.section("tls")
    return UpstreamConfig(
        name=name,
        targets=_targets(section),
        policy=section.text("policy", "round_robin"),
        host=section.checked("host", _hostPolicy, "preserve"),
        maxConnections=section.integer("max_connections", 1024),
        maxTunnels=section.integer("max_tunnels", 1024),
        maxQueue=section.integer("max_queue", 1024),
        idleTimeout=section.seconds("idle_timeout", 30.0),
        maxFails=section.integer("max_fails", 3),
        failTimeout=section.seconds("fail_timeout", 10.0),
        tls=UpstreamTLSConfig(
            verify=tls.flag("verify", True),
            ca=tls.pathAt("ca", "file"),
            certificate=tls.pathAt("certificate", "file"),
            serverName=tls.checked("server_name", syntax.hostName, "") or None,
        ),
    )


def _hostPolicy(text: str) -> str:
    name, port = splitPort(text)
    if ":" in name or not port.isdecimal() or not 0 < int(port[:6]) <= 65535:
        return syntax.hostName(text)
    return f"{syntax.hostName(name)}:{port}"


def _targets(upstream: Section) -> tuple[TargetConfig, ...]:
    targets = []
    seen = set()
    for section in upstream.items("targets", textKey="url"):
        parts = section.checked("url", syntax.targetURL, None)
        if parts is None:
            continue
        if parts in seen:
            section.refuse("is a target already; give it more weight instead", "url")
        seen.add(parts)
        targets.append(TargetConfig(section.text("url"), *parts, weight=section.integer("weight", 1)))
    return tuple(targets)
