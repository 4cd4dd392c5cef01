"""
Which commands there are, in the order in which they are listed: ``revproxy --help`` tells them without what they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Listed(NamedTuple):
    """
    One of them.

    :ivar module: in `revproxy.cli`, the one that has it in its ``COMMANDS``.
    :ivar text: what it does, in a line.
    """

    name: str
    module: str
    text: str


SECTIONS: Mapping[str, Sequence[Listed]] = {
    "Begin": (
        Listed("init", "begincommands", "Write a commented revproxy.yaml to start from."),
        Listed("check", "checkcommand", "Check revproxy.yaml and the plugins it uses; start nothing."),
        Listed("run", "runcommand", "Run the edge, in the foreground."),
        Listed("new-plugin", "begincommands", "Write a small plugin and its test to start from."),
        Listed("test-plugin", "begincommands", "Load a plugin as the edge does, and run its tests."),
        Listed("schema", "begincommands", "Print a JSON Schema, for an editor."),
        Listed("completion", "completion", "Have a shell complete commands."),
    ),
    "Trust": (
        Listed("keygen", "signcommands", "Make a key that signs plugins."),
        Listed("sign", "signcommands", "Sign plugins: what is in their folders now."),
        Listed("verify", "verifycommand", "Whether somebody who is trusted has signed plugins."),
        Listed("lock", "lockcommand", "Write plugins.lock: which versions may run."),
        Listed("trust", "trustcommands", "Whose code runs, where, and what it may touch."),
        Listed("grant", "trustcommands", "Grant a plugin what it asks for."),
    ),
    "See": (
        Listed("status", "statuscommands", "How the edge is, and what goes through it."),
        Listed("top", "statuscommands", "What goes through each route, live."),
        Listed("requests", "requestcommands", "The last requests: search, and watch."),
        Listed("explain", "requestcommands", "Why a request went as it did, or how one would go."),
        Listed("connections", "statuscommands", "Connections of clients, as they are now."),
        Listed("plugins", "edgecommands", "What plugins do; all about NAME; what was refused."),
        Listed("upstreams", "upstreamcommands", "Targets: which answer, what goes on there."),
        Listed("certificates", "upstreamcommands", "For whom certificates are, and how long."),
        Listed("events", "eventcommands", "What has happened; what happens, live."),
        Listed("alerts", "alertcommands", "What fires, and who is told; silences; tests of receivers."),
        Listed("history", "historycommands", "What was changed, by whom, why."),
        Listed("diff", "historycommands", "What is different between two changes."),
        Listed("audit", "historycommands", "Audit records; are they all there?"),
        Listed("doctor", "doctorcommand", "Whether the edge, its machine and its configuration are well."),
        Listed("bundle", "bundlecommand",
               "An archive for whoever helps: status, configuration, events, metrics; secrets are masked."),
    ),
    "Roll out": (
        Listed("rollout", "rolloutcommands", "How new versions come into service; steer that."),
        Listed("record", "recordcommands", "Take requests down, to replay them with other versions."),
        Listed("recordings", "recordcommands", "The recordings that there are."),
        Listed("replay", "replaycommand", "What a version does with recorded requests; no edge is needed."),
    ),
    "Change": (
        Listed("rollback", "edgecommands", "Run the version of a plugin before."),
        Listed("disable", "edgecommands", "Switch a plugin off."),
        Listed("enable", "edgecommands", "Switch a plugin on."),
        Listed("pin", "edgecommands", "Keep a plugin at a version."),
        Listed("unpin", "edgecommands", "Let a plugin follow its folder again."),
        Listed("reload", "edgecommands", "Read all files now; say what was refused."),
        Listed("revert", "historycommands", "Go back to how things stood."),
        Listed("drain", "upstreamcommands", "Have a target take no new requests."),
        Listed("undrain", "upstreamcommands", "Have a drained target take requests again."),
        Listed("weight", "upstreamcommands", "Give a target another share of requests."),
        Listed("login", "tokencommands", "A code for signing in to the dashboard, once."),
        Listed("token", "tokencommands", "Who may use the admin API from elsewhere."),
    ),
}  # fmt: skip
"""By what they are for."""

LISTED: Mapping[str, Listed] = {each.name: each for listed in SECTIONS.values() for each in listed}
"""All of them, by name."""
