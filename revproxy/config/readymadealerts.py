"""
The alert rules that are there without being written: in force where there are receivers. A rule of the same name in
revproxy.yaml overrides what it says, or switches it off.
"""

from __future__ import annotations

from collections.abc import Mapping

from revproxy.config.alertexpression import parseExpression
from revproxy.config.alertsettings import AlertRule

_HOUR = 3600.0
_DAY = 24 * _HOUR

EVENTS = frozenset((
    "access-log-failed", "access-log-written", "alert-delivered", "alert-undelivered", "alerts-full", "asked",
    "audit-damaged", "audit-failed", "audit-restored", "audited", "broken-off", "certificate-expired",
    "certificate-expiring", "certificate-refused", "certificate-renewed", "configured", "crashed", "ended",
    "figures-full", "half-open", "handover-lost", "held", "history-failed", "history-restored", "ledger-damaged",
    "limit-exceeded", "loaded", "permission-missing", "plugin-store-damaged", "plugin-store-volatile", "plugins-gone",
    "probe-failed", "probe-well", "quarantined", "receiver-disabled",
    "recording-begun", "recording-deleted", "recording-ended", "refused", "remains", "removed", "replaced",
    "required-ended", "required-folder-gone", "required-missing", "required-off", "restarted", "restored", "revoked",
    "rolled-back", "rollout-aborted", "rollout-changed", "rollout-held", "rollout-inconclusive", "rollout-promoted",
    "rollout-refused", "rollout-resumed", "rollout-rolled-back", "rollout-share", "rollout-started", "rollout-step",
    "rollout-superseded", "signer-expired", "signer-expiring", "slow-plugin", "slow-plugin-over", "stalled", "started",
    "state-lost", "state-restored", "stop-failed", "stopping", "store-failed", "target-down", "target-drained",
    "target-undrained", "target-up", "target-weighed", "threads-full", "tier-lowered", "tokens-damaged",
    "traces-dropped", "traces-restored", "trust-file", "trust-file-read", "undo-failed", "unpinned", "untrusted",
    "upstream-down", "upstream-up", "written",
))
"""Kinds of events that rules may name; ``docs/operations.md`` says what they are."""

_RULES = (
    # A command that is refused is over at once: whoever gave it was told.
    AlertRule("refused", on=("refused",), wait=10.0, summary="A change was refused; what ran keeps running"),
    AlertRule("untrusted", on=("untrusted", "trust-file"), severity="critical",
              summary="Nobody who is trusted vouches for what was to run, or the files that say so cannot be read"),
    AlertRule("revoked", on=("revoked",), severity="critical", summary="What was revoked does not run any more"),
    AlertRule("held", on=("held", "permission-missing"), severity="info",
              summary="A plugin asks for more than it is granted"),
    AlertRule("signer-expiry", on=("signer-expiring", "signer-expired"),
              summary="Nothing new is taken any more, or soon, that a key has signed"),
    AlertRule("quarantined", on=("quarantined",), severity="critical",
              summary="A version of a plugin failed too often, and was taken out"),
    AlertRule("required-missing", on=("required-missing", "plugins-gone", "required-folder-gone"), severity="critical",
              summary="A plugin that requests must not pass without is missing"),
    AlertRule("rolled-back", on=("rolled-back",), severity="info", summary="A plugin went back to an earlier version"),
    AlertRule("rollout-worse", on=("rollout-rolled-back",),
              summary="A version on trial was worse, or has shown nothing, and went back"),
    AlertRule("rollout-waits", on=("rollout-held", "rollout-inconclusive"),
              summary="A version on trial stays in its step until somebody says what is to become of it"),
    AlertRule("rollout-refused", on=("rollout-refused",),
              summary="A version could not be made ready, or did not pass its pre-flight; what ran keeps running"),
    AlertRule("rollout-share", on=("rollout-share",), severity="info",
              summary="A canary carries far more than its share of requests"),
    AlertRule("remains", on=("remains",), severity="info", summary="A replaced version is still in memory"),
    AlertRule("stalled", on=("stalled", "slow-plugin"), summary="The event loop was held: nobody was served meanwhile"),
    AlertRule("target-down", on=("target-down",), wait=30.0, summary="A target does not answer"),
    AlertRule("upstream-down", on=("upstream-down",), severity="critical", summary="No target of an upstream answers"),
    AlertRule("certificate-expiry", when=parseExpression("expires_in < 14d"), of="listener",
              summary="A certificate ends soon"),
    AlertRule("certificate-refused", on=("certificate-refused",), summary="A certificate cannot be used"),
    AlertRule("errors", when=parseExpression("error_share > 5% and rate > 0.1"), of="route", wait=60.0,
              severity="critical", endsAfter=_HOUR, summary="Many requests are answered with errors"),
    AlertRule("slow", when=parseExpression("p99 > 5s and rate > 0.1"), of="route", wait=300.0, endsAfter=_HOUR,
              summary="Requests take long"),
    AlertRule("disk", on=("store-failed", "state-lost", "state-restored", "ledger-damaged", "plugin-store-damaged",
                          "plugin-store-volatile", "access-log-failed", "audit-failed", "audit-damaged",
                          "history-failed"),
              summary="What the edge keeps, or its access log, cannot be written or was damaged"),
    AlertRule("crash", on=("crashed",), severity="critical", summary="The edge before this one did not end in order"),
    AlertRule("restart", on=("restarted",), severity="info", summary="The edge was restarted"),
)

READY_MADE: Mapping[str, AlertRule] = {rule.name: rule for rule in _RULES}
"""By name."""

ENDS_AFTER = _HOUR
"""Seconds after which an alert of an event is over that nothing else ends."""
