"""
Runs an arena and reads what it says.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from revproxy.isolation.lock.layers import Layers
from tests.isolation.lock.arena import Outcome, Setup

ROOT = Path(__file__).parent.parent.parent.parent


def run(
    setup: Setup, before: tuple[str, ...] = (), python: str = sys.executable, folder: Path = ROOT
) -> tuple[Layers, list[Outcome]]:
    """
    The lock that its attackers had, and what came of each attack.

    :param before: a command that starts it.
    :param folder: where it is imported from.
    """
    command = [*before, python, "-m", "tests.isolation.lock.arena", json.dumps(asdict(setup))]
    # A session of its own: one of the attacks signals everybody in it.
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, start_new_session=True)
    if done.returncode != 0:
        raise AssertionError(f"the arena has failed: {done.stderr[-3000:]}")
    head, *lines = map(json.loads, done.stdout.splitlines())
    return Layers.of(head["layers"]), [Outcome(**line) for line in lines]


def told(outcomes: list[Outcome], what: str) -> list[str]:
    """Those with that outcome, a line each."""
    return [f"{outcome.attack}: {outcome.how}" for outcome in outcomes if outcome.what == what]
