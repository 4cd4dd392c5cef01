"""
Which tests a run takes: modules, the slow ones first, so that no process has one of them left when the others are done.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

THOROUGH = "tests.thorough"
"""What takes minutes, or programs that most machines do not have: for ``make test-all`` alone."""

SLOW = (
    "tests.loading",
    "tests.worker.lifecycle",
    "tests.integration",
    "tests.behaviour",
    "tests.docs",
    "tests.cli",
    "tests.service",
    "tests.worker.guard.test_stallguard",
    "tests.control.state.test_keeper",
    "tests.control.test_rolling",
    "tests.control.test_rolloutdriver",
    "tests.control.test_rollouts",
    "tests.control.watch.test_filemonitor",
    "tests.bundles.test_versionstore",
    "tests.admin.dashboard",
    "tests.packaging",
    "tests.conformance",
    "tests.test_architecture",
    "tests.isolation.process.test_processes",
    "tests.isolation.process.test_reactor",
    "tests.isolation.lock",
    "tests.isolation.inside.test_serving",
    "tests.isolation.inside.test_latemodules",
    "tests.proving.test_provingprocess",
    "tests.proving.test_replayproof",
    "tests.control.rollout.test_judge",
    "tests.control.rollout.test_labels",
    "tests.control.rollout.test_mediantime",
    "tests.test_judgingbenchmark",
)
"""
Packages and modules that take seconds: not for ``make test-quick``. The first ones look through all that is in memory,
so they come while that is little; then the slowest.
"""


def modules() -> list[str]:
    """All that have tests."""
    paths = sorted((ROOT / "tests").rglob("test_*.py"))
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]


def isBelow(module: str, *packages: str) -> bool:
    """Whether a module is one of these, or in one of them."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def usual() -> list[str]:
    """For ``make test``: all but the thorough ones."""
    slow = [module for package in SLOW for module in modules() if isBelow(module, package)]
    return [*slow, *quick()]


def quick() -> list[str]:
    """For ``make test-quick``: what is over in a moment."""
    return [module for module in modules() if not isBelow(module, THOROUGH, *SLOW)]


def thorough() -> list[str]:
    """For ``make test-all``: the rest."""
    return [module for module in modules() if isBelow(module, THOROUGH)]
