"""
What alert rules compare, of routes, upstreams, plugins and listeners, and of the whole edge; and what of that which
events told of still stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from revproxy.control.alerts.alerts import Stands
from revproxy.control.alerts.labels import cut
from revproxy.control.coordinator import Coordinator
from revproxy.control.inbox import Inbox
from revproxy.control.slowplugins import SlowPlugins
from revproxy.control.traffic.traffic import Traffic
from revproxy.control.traffic.window import Window
from revproxy.plan.plan import Plan
from revproxy.plan.words import CertificateState

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class AlertMeasures:
    """
    Those of one edge; see `revproxy.control.alerts.evaluation.Measures`.
    """

    def __init__(
        self,
        traffic: Traffic,
        slowPlugins: SlowPlugins,
        certificates: Callable[[], Mapping[str, CertificateState]],
        now: Callable[[], float],
    ) -> None:
        """
        :param certificates: by endpoint, the state of its listener's certificates.
        :param now: seconds since the epoch.
        """
        self._traffic = traffic
        self._slowPlugins = slowPlugins
        self._certificates = certificates
        self._now = now
        self._plan: Plan | None = None
        self._last: tuple[tuple[str, str, float, float], Window] | None = None

    def committed(self, plan: Plan) -> None:
        """This is in force."""
        self._plan = plan

    def names(self, of: str) -> Iterable[str]:
        """Of what there are figures."""
        plan = self._plan
        if plan is None:
            return ()
        if of == "route":
            return [route.name for route in plan.config.routes]
        if of == "upstream":
            return list(plan.config.upstreams)
        if of == "plugin":
            return [plugin.name for plugin in plan.selected]
        return list(self._certificates()) if of == "listener" else ("edge",)

    def value(self, figure: str, of: str, name: str, seconds: float) -> float | None:
        """A figure; None: there is none."""
        if figure == "loop_share":
            return self._slowPlugins.share(name)
        if figure == "expires_in":
            state = self._certificates().get(name)
            return None if state is None or state.expires is None else state.expires - self._now()
        window = self._window(of, name, seconds)
        if figure == "rate":
            return window.rate
        if not window.requests:
            return None
        return window.errorShare if figure == "error_share" else window.quantile(_QUANTILES[figure])

    def _window(self, of: str, name: str, seconds: float) -> Window:
        """What several comparisons ask for, once."""
        key = of, name, seconds, self._now()
        if self._last is None or self._last[0] != key:
            names = {} if of == "edge" else {of: name}
            self._last = key, self._traffic.window(seconds, **names)
        return self._last[1]


def standsFor(coordinator: Coordinator, inbox: Inbox) -> Stands:
    """By kind of event, whether what one told of still stands."""

    def isRefused(labels: Mapping[str, str]) -> bool:
        return labels.get("plugin", "") in coordinator.refused

    return {
        "refused": isRefused,
        "untrusted": isRefused,
        "revoked": isRefused,
        "held": isRefused,
        "target-down": lambda labels: not inbox.targets.of(labels.get("upstream", ""), labels.get("target", "")).isUp,
        "upstream-down": lambda labels: inbox.targets.isDown(labels.get("upstream", "")),
        "certificate-refused": lambda labels: _isRefused(labels.get("certificate", ""), inbox),
    }


def _isRefused(path: str, inbox: Inbox) -> bool:
    """Whether something is wrong with a file of certificates."""
    problems = [problem for state in inbox.certificates.values() for problem in state.problems]
    return any(cut(problem.partition(": ")[0]) == path for problem in problems)
