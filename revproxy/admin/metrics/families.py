"""
All families there are, but for those that plugins count by themselves. docs/metrics.md has the same table.
"""

from __future__ import annotations

from revproxy.admin.metrics.family import Family
from revproxy.plan.durations import SELF_TIME, STANDARD

_PLUGIN = ("plugin", "version", "phase")
_TARGET = ("upstream", "target")

# Requests: the names, labels and bounds are OpenTelemetry's, as Prometheus writes them

SERVER_DURATION = Family(
    "http_server_request_duration_seconds",
    "histogram",
    "How long requests took, from their head to the last byte of their answer.",
    (
        "http_request_method",
        "http_response_status_code",
        "http_route",
        "url_scheme",
        "network_protocol_version",
        "error_type",
    ),
    STANDARD,
)
CLIENT_DURATION = Family(
    "http_client_request_duration_seconds",
    "histogram",
    "How long targets took to begin their answers, or requests to fail there.",
    (
        "http_request_method",
        "http_response_status_code",
        "url_scheme",
        "server_address",
        "server_port",
        "error_type",
        "upstream",
    ),
    STANDARD,
)
REQUESTS_IN_FLIGHT = Family(
    "revproxy_requests_in_flight", "gauge", "Requests that are under way.", ("http_route",)
)
OLDEST_REQUEST = Family(
    "revproxy_oldest_request_seconds", "gauge", "How long the oldest of these has been under way.", ("http_route",)
)
HOST_REQUESTS = Family(
    "revproxy_host_requests_total", "counter", "Requests for the busiest hosts; _other has all others.", ("host",)
)

# Upstreams

TARGET_UP = Family(
    "revproxy_upstream_target_up", "gauge", "1; 0 while a worker passes the target over.", _TARGET
)
TARGET_DRAINED = Family(
    "revproxy_upstream_target_drained", "gauge", "1 while somebody has it that new requests go elsewhere.", _TARGET
)
TARGET_IN_FLIGHT = Family(
    "revproxy_upstream_target_in_flight", "gauge", "Requests that were sent and are not over.", _TARGET
)
TARGET_QUEUED = Family(
    "revproxy_upstream_target_queued", "gauge", "Requests that wait for a connection.", _TARGET
)
TARGET_CONNECTIONS = Family(
    "revproxy_upstream_target_connections", "gauge", "Connections that exist or are being made.", _TARGET
)
TARGET_TUNNELS = Family(
    "revproxy_upstream_target_tunnels", "gauge", "Connections that carry a tunnel, such as a WebSocket.", _TARGET
)
TARGET_FAILURES = Family(
    "revproxy_upstream_target_failures_total", "counter", "How often the target has failed.", _TARGET
)
UPSTREAM_RETRIES = Family(
    "revproxy_upstream_retries_total", "counter", "How often a request was sent to another target, for one had failed.",
    ("upstream",),
)
UPSTREAM_UP = Family(
    "revproxy_upstream_up", "gauge", "1; 0 while a worker passes all targets over.", ("upstream",)
)

# Plugins

PLUGIN_CALLS = Family(
    "revproxy_plugin_calls_total", "counter", "Calls of a plugin's code.", _PLUGIN
)
PLUGIN_FAILURES = Family(
    "revproxy_plugin_failures_total",
    "counter",
    "Calls that failed; kind is error, timeout, stall or answer.",
    (*_PLUGIN, "kind"),
)
PLUGIN_INTERRUPTS = Family(
    "revproxy_plugin_interrupts_total", "counter", "Requests that a plugin has answered itself.", _PLUGIN
)
PLUGIN_SKIPPED = Family(
    "revproxy_plugin_skipped_total",
    "counter",
    "Requests that passed without the plugin; why is on_error or gate.",
    (*_PLUGIN, "why"),
)
PLUGIN_SELF = Family(
    "revproxy_plugin_self_seconds",
    "histogram",
    "How long a plugin's own code took, without what it waited for. Estimated from a sample.",
    _PLUGIN,
    SELF_TIME,
)
PLUGIN_IN_FLIGHT = Family(
    "revproxy_plugin_in_flight", "gauge", "Answers of a plugin that are awaited.", ("plugin", "version")
)
PLUGIN_STALLED = Family(
    "revproxy_plugin_stalled_total", "counter", "Calls that held the event loop until they were ended.", ("plugin",)
)
PLUGIN_LIMIT_EXCEEDED = Family(
    "revproxy_plugin_limit_exceeded_total",
    "counter",
    "How often a plugin had too much; limit is wall, cpu, cpu-share, memory, concurrency, body, reply, calls, log, "
    "stderr or labels.",
    ("plugin", "limit"),
)
PLUGIN_GENERATIONS = Family(
    "revproxy_plugin_generations_alive",
    "gauge",
    "Versions that exist in memory: the one that runs, and those that ended and are still held.",
    ("plugin",),
)
PLUGIN_QUARANTINED = Family(
    "revproxy_plugin_quarantined", "gauge", "1 while requests do not reach the plugin, for it failed.", ("plugin",)
)
PLUGIN_REFUSED = Family(
    "revproxy_plugin_refused", "gauge", "1 while the last change of the plugin stands refused.", ("plugin",)
)
PLUGIN_THREADS_BUSY = Family(
    "revproxy_plugin_threads_busy", "gauge", "Threads of a plugin that are at work.", ("plugin",)
)
PLUGIN_THREADS_QUEUED = Family(
    "revproxy_plugin_threads_queued", "gauge", "Calls that wait for a thread of a plugin.", ("plugin",)
)
PLUGIN_INFO = Family(
    "revproxy_plugin_info", "info", "Which version runs.", ("plugin", "version", "digest", "origin")
)

# Rollouts: of each plugin the one that goes on, or the last

ROLLOUT_INFO = Family(
    "revproxy_rollout_info", "info", "Which version is rolled out in place of which, and how far it is.",
    ("plugin", "running", "candidate", "state"),
)
ROLLOUT_STEP = Family(
    "revproxy_rollout_step", "gauge", "Which step it is in, from 1; 0: in none.", ("plugin",)
)
ROLLOUT_HELD = Family(
    "revproxy_rollout_held", "gauge", "1 while it stays in its step until somebody says otherwise.", ("plugin",)
)
ROLLOUT_SHARE = Family(
    "revproxy_rollout_share", "gauge", "Share of clients that the candidate is to serve.", ("plugin",)
)
ROLLOUT_LEFT = Family(
    "revproxy_rollout_left_seconds", "gauge", "Until the evidence ends the step, as things go; none: nobody can say.",
    ("plugin",),
)
ROLLOUT_ODDS = Family(
    "revproxy_rollout_odds", "gauge", "Weighted odds that the candidate is worse in something.", ("plugin", "family")
)
ROLLOUT_THRESHOLD = Family(
    "revproxy_rollout_odds_threshold", "gauge", "Those at which the candidate goes back, or is held.",
    ("plugin", "family"),
)
ROLLOUT_DIFFERENCES = Family(
    "revproxy_rollout_differences", "gauge", "Kinds of differences that are neither meant nor noise.", ("plugin",)
)
ROLLOUT_REQUESTS = Family(
    "revproxy_rollout_requests_total", "counter", "Requests that were judged; arm is running or candidate.",
    ("plugin", "arm"),
)
ROLLOUT_FAULTS = Family(
    "revproxy_rollout_faults_total", "counter", "Of these, those in which the plugin failed.", ("plugin", "arm")
)
ROLLOUT_INTERRUPTS = Family(
    "revproxy_rollout_interrupts_total", "counter", "Of these, those that the plugin has answered itself.",
    ("plugin", "arm"),
)
ROLLOUT_PAIRS = Family(
    "revproxy_rollout_pairs_total", "counter",
    "Requests that were tried with both versions; result is compared, incomparable or dropped.", ("plugin", "result"),
)
ROLLOUT_ENDS = Family(
    "revproxy_rollout_ends_total", "counter",
    "Rollouts that are over, since the edge began; end is promoted, rolled-back, aborted, superseded or refused.",
    ("plugin", "end"),
)

# Listeners

CONNECTIONS = Family("revproxy_connections", "gauge", "Connections of clients.")
ACCEPTED = Family("revproxy_connections_accepted_total", "counter", "Connections that clients have made.")
TURNED_AWAY = Family(
    "revproxy_connections_turned_away_total", "counter", "Connections that were one too many."
)
REFUSED_HEADS = Family(
    "revproxy_requests_refused_total", "counter", "Heads that were no acceptable requests."
)
HANDSHAKES = Family("revproxy_tls_handshakes_total", "counter", "TLS handshakes that were completed.")
RESUMED = Family(
    "revproxy_tls_handshakes_resumed_total", "counter", "Those of them that took up a session."
)
FAILED_HANDSHAKES = Family(
    "revproxy_tls_handshakes_failed_total", "counter", "TLS handshakes that were not completed."
)
CERTIFICATE_ENDS = Family(
    "revproxy_certificate_not_after_timestamp_seconds",
    "gauge",
    "When a certificate, or another one of its chain, ends; certificate is the first host that it is for.",
    ("listener", "certificate", "path"),
)
CERTIFICATE_PROBLEMS = Family(
    "revproxy_certificate_problems", "gauge", "What cannot be used of a listener's certificates.", ("listener",)
)

# The edge

INFO = Family("revproxy_info", "info", "Which revproxy and Python this is.", ("version", "python"))
READY = Family("revproxy_ready", "gauge", "1 while the edge is ready for requests, as /readyz says it.")
CONFIG_CHANGED = Family(
    "revproxy_config_last_change_timestamp_seconds", "gauge", "When the configuration that is in force took effect."
)
CONFIG_REFUSED = Family(
    "revproxy_config_refused", "gauge", "1 while the configuration file stands refused, and an earlier one is in force."
)
PLAN_NUMBER = Family("revproxy_plan_number", "gauge", "Counts the changes since the edge began.")
EVENTS = Family("revproxy_events_total", "counter", "Events, since the edge began.", ("kind",))
ALERTS_FIRING = Family("revproxy_alerts_firing", "gauge", "Alerts of the edge's own that fire.")
ALERT_FAILURES = Family(
    "revproxy_alert_delivery_failures_total", "counter", "How often a receiver of alerts could not be told.",
    ("receiver",),
)
TRACES_SENT = Family(
    "revproxy_traces_sent_total", "counter", "Requests whose spans the receiver of traces has taken."
)
TRACES_DROPPED = Family(
    "revproxy_traces_dropped_total", "counter", "Requests whose spans were lost: the receiver does not keep up."
)
RECORDS_LOST = Family(
    "revproxy_records_lost_total", "counter", "Requests that are counted, and of which nothing else is known."
)
SERIES_DROPPED = Family(
    "revproxy_series_dropped_total",
    "counter",
    "Requests that were counted together with others, for there were too many series.",
)
LOOP_LAG = Family(
    "revproxy_loop_lag_seconds", "gauge", "How late a worker's event loop was, at the worst in the last second.",
    ("worker",),
)

# Processes: the names of Prometheus' own libraries

_WORKER = ("worker",)
PROCESS_CPU = Family(
    "process_cpu_seconds_total", "counter", "Processor time of a worker's process, user and system.", _WORKER
)
PROCESS_RESIDENT = Family("process_resident_memory_bytes", "gauge", "Resident memory.", _WORKER)
PROCESS_DESCRIPTORS = Family("process_open_fds", "gauge", "Open file descriptors.", _WORKER)
PROCESS_MOST_DESCRIPTORS = Family("process_max_fds", "gauge", "File descriptors that may be open.", _WORKER)
PROCESS_STARTED = Family("process_start_time_seconds", "gauge", "When the process began.", _WORKER)

FAMILIES: tuple[Family, ...] = tuple(value for value in vars().copy().values() if isinstance(value, Family))
"""All of them, in this order."""

NAMES = frozenset().union(*(family.names for family in FAMILIES))
"""Names that no figure of a plugin's may have."""
