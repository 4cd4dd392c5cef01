"""
How rollouts are told of, in a few words.
"""

from __future__ import annotations

from revproxy.config.rolloutpolicy import Step
from revproxy.control.rollout.preflight import PreflightReport


def stepText(step: Step) -> str:
    """A step: ``canary 5 %``."""
    return step.kind if step.kind == "preflight" else f"{step.kind} {step.share * 100:.3g} %"


def passedText(report: PreflightReport | None) -> str:
    """What a pre-flight has shown that was passed."""
    told = ["it passed its pre-flight"]
    if report is not None and report.tests:
        told.append(f"{report.tests} tests of its own")
    if report is not None and report.replayed:
        told.append(f"{report.replayed} calls made again")
    return ", ".join(told)


__all__ = ["passedText", "stepText"]
