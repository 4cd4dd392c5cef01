"""
Rollouts as control tells them: examples for tests of whatever shows them.
"""

from __future__ import annotations

from typing import Any

NOW = 1_764_300_000.0

RUNNING = {"version": "1.2.0", "digest": "1b" * 32}
CANDIDATE = {"version": "1.3.0", "digest": "2c" * 32}

STEPS: list[dict[str, Any]] = [
    {"kind": "preflight", "share": 0.0, "until": {"pairs": None, "fault": None, "power": 0.9}, "at_least": 0.0,
     "at_most": None},
    {"kind": "shadow", "share": 0.2, "until": {"pairs": 3000, "fault": None, "power": 0.9}, "at_least": 0.0,
     "at_most": 900.0},
    {"kind": "canary", "share": 0.05, "until": {"pairs": None, "fault": 0.01, "power": 0.9}, "at_least": 60.0,
     "at_most": 900.0},
    {"kind": "canary", "share": 0.5, "until": {"pairs": None, "fault": 0.01, "power": 0.9}, "at_least": 60.0,
     "at_most": 900.0},
]  # fmt: skip

QUIET = {
    "kind": "undecided", "reason": "nothing is shown yet: 31 of at least 60 s are over", "family": "slow90",
    "odds": 6.1,
}  # fmt: skip

_ODDS = [
    0.9, 0.9, 1.1, 1.4, 1.2, 1.0, 0.9, 1.2, 1.9, 3.1, 2.6, 2.2, 1.8, 2.4, 3.3, 4.8, 7.9, 6.5, 5.1, 4.2, 3.4, 2.9, 4.1,
    5.6, 8.8, 7.2, 6.0, 4.9, 5.7, 7.0, 6.1,
]  # fmt: skip


def family(name: str, odds: float, candidate: int, running: int) -> dict[str, Any]:
    """One family's evidence."""
    return {"family": name, "odds": odds, "threshold": 125.0, "candidate": candidate, "running": running,
            "of_candidate": 205, "of_running": 3891}  # fmt: skip


def arm(requests: int, faults: int, seconds: float, p50: float, p99: float) -> dict[str, Any]:
    """What one arm did."""
    return {"requests": requests, "warming": 100, "testers": 3, "faults": faults, "interrupts": requests // 50,
            "seconds": seconds, "p50": p50, "p99": p99}  # fmt: skip


def difference(field: str, kind: str, candidate: int, control: int, **more: Any) -> dict[str, Any]:
    """Pairs that differ in the same way."""
    return {
        "field": field, "kind": kind, "candidate": candidate, "control": control, "both": 0, "odds": 0.4,
        "expected": False, "is_noise": False, "accepted": False,
        "examples": [{"request": "GET /api/cart", "real": "max-age=60", "differs": "max-age=600"}], **more,
    }  # fmt: skip


def canary(plugin: str = "quota", **more: Any) -> dict[str, Any]:
    """A rollout in its first canary."""
    return {
        "plugin": plugin, "plugins": [plugin], "id": "r7", "state": "canary", "held": False, "since": NOW - 400,
        "ended": None, "running": RUNNING, "candidate": CANDIDATE,
        "step": {"index": 3, "of": 4, **STEPS[2], "since": NOW - 31, "have": 1.6, "need": 3.0,
                 "left_seconds": 27.0},
        "steps": STEPS, "verdict": QUIET, "warnings": ["quota counts for all: two arms count apart"],
        "families": [family("faults", 0.8, 0, 2), family("interrupts", 0.6, 4, 80), family("slow90", 6.1, 24, 204)],
        "arms": {"running": arm(5900, 2, 1.2, 0.0002, 0.0011), "candidate": arm(312, 0, 0.06, 0.00019, 0.0012)},
        "pairs": {"compared": 3000, "unnamed": 0, "incomparable": {"asked another URL": 12}, "dropped": 4, "faults": 0,
                  "control_faults": 0, "time": {"slower": 120, "faster": 131, "odds": 0.3}},
        "differences": [
            difference("header:cache-control", "changed", 31, 0, odds=44.0),
            difference("header:x-new", "added", 2988, 0, expected=True),
            difference("header:date", "changed", 402, 398, is_noise=True),
        ],
        "notes": [{"at": NOW - 12, "text": "auth: 1.4.1 instead of 1.4.0"}],
        "curve": [{"at": NOW - 30 + n, "odds": odds} for n, odds in enumerate(_ODDS)],
        "transitions": [
            {"at": NOW - 400, "from": "", "to": "preflight", "reason": "plugins/quota has 1.3.0", "by": "files"},
            {"at": NOW - 398, "from": "preflight", "to": "shadow", "reason": "4 tests passed", "by": "edge"},
            {"at": NOW - 31, "from": "shadow", "to": "canary", "reason": "3,000 pairs, none worse", "by": "edge"},
        ],
        "can_see": "by now a candidate with 2.4 % faulty calls would have been found with 90 %", **more,
    }  # fmt: skip


def rolledBack(plugin: str = "quota", **more: Any) -> dict[str, Any]:
    """One that was worse."""
    reason = "4 of 31 clients met an error with 1.3.0, 2 of 602 with 1.2.0: 210 : 1"
    verdict = {"kind": "regression", "reason": reason, "family": "faults", "odds": 210.0}
    began = canary(plugin)
    return {
        **began, "state": "rolled-back", "ended": NOW, "step": None, "verdict": verdict,
        "families": [family("faults", 210.0, 4, 2), *began["families"][1:]],
        "arms": {**began["arms"], "candidate": arm(312, 4, 0.06, 0.00019, 0.0012)},
        "curve": [{"at": NOW - 31 + n, "odds": 0.2 + 210 ** (n / 30)} for n in range(31)],
        "transitions": [*began["transitions"],
                        {"at": NOW, "from": "canary", "to": "rolled-back", "reason": reason, "by": "edge"}],
        **more,
    }  # fmt: skip


def forecast(plugin: str = "quota", **more: Any) -> dict[str, Any]:
    """What is told before one begins."""
    texts = ("its 4 tests, and what was recorded in checkout.corpus", "", "", "")
    cannot: tuple[list[str], ...] = ([], [], ["5 % of 20 requests/s cannot show 1 % errors before 5–6 min"], [])
    seconds = (None, 750.0, 346.0, 120.0)
    steps = [
        {**step, "seconds": time, "text": text, "cannot": missing}
        for step, time, text, missing in zip(STEPS, seconds, texts, cannot, strict=True)
    ]
    return {
        "plugin": plugin, "plugins": [plugin], "running": RUNNING, "candidate": CANDIDATE, "by": "address",
        "requests": 72_000, "rate": 20.0, "steps": steps, "seconds": 1216.0, "on_inconclusive": "hold",
        "cannot": ["20 % more at p99: that is not a job for a canary; the shadow shows it after about 2,800 pairs"],
        "warnings": ["quota counts for all (plugin.json: state global): two arms count apart"], **more,
    }  # fmt: skip
