"""
How long a rollout would take, and what it could not show, as JSON can say it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from revproxy.config.rolloutpolicy import ClientKey
from revproxy.control.planning.ongoing import Newcomer
from revproxy.control.rollout.planner import StepForecast, Traffic, forecast
from revproxy.control.rolloutview import stepView, versionView
from revproxy.control.traffic.window import Window
from revproxy.plan.catalog import CatalogEntry


def forecastView(
    newcomer: Newcomer,
    running: CatalogEntry,
    windows: Sequence[Window],
    interrupts: bool,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """
    What is told beforehand.

    :param windows: what came to each of the plugins in the last hour: calls.
    :param interrupts: whether it is judged how often they stop requests.
    """
    least = min(windows, key=lambda window: window.rate)
    most = max(windows, key=lambda window: window.requests)
    told = forecast(newcomer.policy.steps, _trafficOf(least), interrupts)
    name = next(iter(newcomer.candidates))
    return {
        "plugin": name,
        "plugins": list(newcomer.candidates),
        "running": versionView(running),
        "candidate": versionView(newcomer.candidates[name]),
        "by": keyText(newcomer.policy.by),
        "requests": most.requests,
        "rate": least.rate,
        "steps": [_stepView(each) for each in told.steps],
        "seconds": told.seconds,
        "on_inconclusive": newcomer.policy.onInconclusive,
        "cannot": list(told.cannot),
        "warnings": list(warnings),
    }


def _trafficOf(window: Window) -> Traffic:
    calls = window.requests
    return Traffic(window.rate, window.errorShare, window.errors4xx / calls if calls else 0.0)


def _stepView(each: StepForecast) -> dict[str, Any]:
    return {**stepView(each.step), "seconds": each.seconds, "text": each.text, "cannot": list(each.cannot)}


def keyText(by: ClientKey) -> str:
    """By what clients are told apart, as revproxy.yaml has it."""
    return {"address": "address", "issued": "cookie"}.get(by.kind, f"{by.kind}:{by.name}")


__all__ = ["forecastView", "keyText"]
