"""The section ``metrics`` of revproxy.yaml as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from revproxy.config import syntax
from revproxy.config.problems import quoted
from revproxy.config.section import Section


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """What Prometheus reads, and where.

    :ivar endpoint: a Twisted server endpoint string; ``None``: nothing listens.
    :ivar topHosts: how many hosts have figures of their own.
    :ivar count: whether requests are counted by route, target and host.
    """

    endpoint: str | None = None
    topHosts: int = 0
    count: bool = True


def metricsOf(root: Section) -> MetricsConfig:
    """The section, with its defaults where it says nothing; its problems are added to the root's."""
    section, plain = root.section("metrics"), MetricsConfig()
    endpoint = section.checked("endpoint", syntax.endpoint, "") or None
    if endpoint and any(other.text("endpoint") == endpoint for other in root.items("listeners")):
        section.refuse(f"{quoted(endpoint)} is a listener's endpoint already", "endpoint")
    elif endpoint and root.section("admin").text("endpoint") == endpoint:
        text = f"{quoted(endpoint)} is the endpoint of admin already: metrics have one of their own"
        section.refuse(text, "endpoint")
    return MetricsConfig(
        endpoint, section.integer("top_hosts", plain.topHosts), section.flag("count", plain.count)
    )
