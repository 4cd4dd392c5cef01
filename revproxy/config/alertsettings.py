"""
The section ``alerts`` of revproxy.yaml as frozen values: what `revproxy.config.alertconfig` makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from revproxy.config.alertexpression import Comparison


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """
    Who is told.

    :ivar kind: ``"alertmanager"``, ``"webhook"`` or ``"slack"``.
    :ivar urls: of an Alertmanager one or several, all of which are told; else one. Those by references are secrets.
    :ivar secrets: of a webhook: what is signed with, as Standard Webhooks write it; several while one takes over.
    :ivar authorization: the field that is sent, or empty.
    :ivar ca: PEM file of the authorities to trust instead of the system's, as text; ``None``: the system's.
    """

    name: str
    kind: str
    urls: tuple[Any, ...] = field(repr=False)
    secrets: tuple[Any, ...] = field(default=(), repr=False)
    authorization: Any = field(default="", repr=False)
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class AlertRule:
    """
    What to tell of. Exactly one of ``on`` and ``when`` is not empty.

    :ivar on: kinds of events.
    :ivar when: what must hold, all of it.
    :ivar of: of what: ``"route"``, ``"upstream"``, ``"plugin"``, ``"listener"`` or ``"edge"``; empty with ``on``.
    :ivar only: a pattern with ``*`` for the names it is about.
    :ivar over: seconds that figures are of.
    :ivar wait: seconds that it must hold before it is told.
    :ivar endsAfter: seconds after which it is over if it does not happen again (``on``), or if there was no traffic
        (``when``); ``None``: only when something says so.
    :ivar severity: a label.
    :ivar summary: one sentence for people; empty: the edge's own.
    :ivar to: names of receivers; empty: all.
    """

    name: str
    on: tuple[str, ...] = ()
    when: tuple[Comparison, ...] = ()
    of: str = ""
    only: str = "*"
    over: float = 300.0
    wait: float = 0.0
    endsAfter: float | None = None
    severity: str = "warning"
    summary: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    to: tuple[str, ...] = ()
    isReadyMade: bool = False


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    """
    What is told, and whom.

    :ivar rules: those that are in force, ready-made ones included.
    :ivar labels: of every alert.
    :ivar groupBy: labels that those in one message have in common.
    :ivar groupWait: seconds that the first message of a group waits for further alerts.
    :ivar groupInterval: seconds from one message of a group to the next, at least.
    :ivar repeatInterval: seconds after which a message is sent again while alerts go on.
    """

    receivers: tuple[ReceiverConfig, ...] = ()
    rules: tuple[AlertRule, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    groupBy: tuple[str, ...] = ("alertname",)
    groupWait: float = 10.0
    groupInterval: float = 300.0
    repeatInterval: float = 14400.0
