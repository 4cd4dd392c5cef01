"""
What control knows of a running edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from revproxy.admin.doctor.check import Check
from revproxy.config.document import MAX_BYTES
from revproxy.config.problems import quoted
from revproxy.control.control import Control
from revproxy.plan.plan import Plan
from revproxy.plan.words import CertificateFacts
from revproxy.regularfile import readFile

_DAY = 86400.0

FEW_DAYS = 14


def runningChecks(control: Control) -> list[Check]:
    """Nothing of it waits for anything."""
    plan = control.coordinator.plan
    if plan is None:
        return [Check("edge", "warning", "it is starting", "Ask again in a moment.")]
    return [
        _edge(control, plan),
        *_configuration(control),
        *_plugins(control, plan),
        *_nowhere(control, plan),
        *_upstreams(control, plan),
        *_certificates(control, plan),
        *_receivers(control),
        *_kept(control),
    ]


def fileDiffers(path: Path, text: str) -> bool:
    """
    Whether the configuration file has something else than what is in force. Blocks.

    :raises OSError, ValueError: it cannot be read.
    """
    return readFile(path, MAX_BYTES) != text.encode("utf-8", "surrogateescape")


def _edge(control: Control, plan: Plan) -> Check:
    reasons = control.readiness.reasons
    running = len(plan.selected)
    if reasons:
        return Check("edge", "failing", f"it is not ready: {'; '.join(reasons)}", "See the checks below.")
    return Check("edge", "ok", f"it is ready, and runs {running} plugin{'' if running == 1 else 's'}")


def _configuration(control: Control) -> Iterator[Check]:
    refusal = control.coordinator.refused.of("")
    if refusal is not None:
        advice = "Correct the file: what was in force before serves on, and a restart would fail."
        yield Check("drift", "failing", f"the configuration is refused: {refusal.message}", advice)


def _plugins(control: Control, plan: Plan) -> Iterator[Check]:
    """Those whose folder has something else than what runs, that failed, or that stay in memory."""
    coordinator, totals = control.coordinator, control.keeper.totals
    well = 0
    for name in sorted({*plan.entries, *filter(None, coordinator.refused)}):
        found = [*_driftOf(control, plan, name)]
        if totals.isGated(name):
            advice = f"`revproxy plugins {name}` has the last failure; mend it, or `revproxy rollback {name}`."
            text = f"{name}: it failed too often, and requests do not reach it"
            found.append(Check("plugins", "failing", text, advice))
        retired = totals.retired(name)
        if retired > 1:
            text = f"{name}: {retired} versions that ended are still in memory"
            found.append(Check("plugins", "warning", text, "`revproxy events` says who holds them, if anybody can."))
        threads = totals.threads(name)
        if threads is not None and threads.queued:
            text = f"{name}: all {threads.most} threads are busy, and {threads.queued} calls wait"
            advice = "Raise limits.threads of plugin.json, or see what holds them."
            found.append(Check("plugins", "warning", text, advice))
        well += not found
        yield from found
    for name in plan.missing:
        advice = "Copy its folder back, or `revproxy enable` it; until then its routes are answered 503."
        if coordinator.refused.of(name) is not None:
            advice = f"`revproxy plugins {name}` has the reason; until it runs, its routes are answered 503."
        yield Check("plugins", "failing", f"{name}: it is required, and not there", advice)
    yield Check("plugins", "ok", f"{well} plugin{' is' if well == 1 else 's are'} well")


def _driftOf(control: Control, plan: Plan, name: str) -> Iterator[Check]:
    coordinator = control.coordinator
    refusal, pin = coordinator.refused.of(name), coordinator.records.get(name).pin
    entry, there = plan.entries.get(name), coordinator.catalog.entries.get(name)
    if refusal is not None:
        text = f"{name}: the last change is refused: {refusal.message.splitlines()[0]}"
        rest = "nothing of it runs" if plan.find(name) is None else "the version before runs on"
        advice = f"`revproxy plugins {name}` has all of it; {rest}."
        yield Check("drift", "warning", text, advice)
    elif control.rolloutDriver.book.find(name) is not None:
        yield Check("drift", "ok", f"{name}: a version is on trial; `revproxy rollout {name}` shows how it goes")
    elif entry is not None and there is not None and there.digest != entry.digest:
        why = f"it is pinned by {pin.by}" if pin is not None else "the folder was not taken up"
        text = f"{name}: {entry.version} runs, and its folder has {there.version}: {why}"
        advice = f"`revproxy unpin {name}` follows the folder again." if pin else "`revproxy reload` takes it up."
        yield Check("drift", "warning", text, advice)


def _nowhere(control: Control, plan: Plan) -> Iterator[Check]:
    """Plugins that are there, and run on no route."""
    running = {selected.name for selected in plan.selected}
    records = control.coordinator.records
    for name, entry in sorted(plan.entries.items()):
        if name in running or entry.origin != "directory":
            continue
        if records.get(name).enabled is False:
            advice = f"`revproxy enable {name}` if that is over."
            yield Check("plugins", "warning", f"{name}: it was switched off", advice)
        else:
            advice = "Switch it on under plugins.config or in a route, or take its folder away."
            yield Check("plugins", "warning", f"{name}: it runs on no route", advice)


def _upstreams(control: Control, plan: Plan) -> Iterator[Check]:
    targets, overrides = control.inbox.targets, control.overrides
    count = 0
    for name, upstream in plan.config.upstreams.items():
        if targets.isDown(name):
            yield Check("upstreams", "failing", f"{name}: no target answers", "`revproxy upstreams` says why.")
        for target in upstream.targets:
            state = targets.of(name, target.url)
            count += 1
            if not state.isUp:
                advice = "See that it runs, and that this machine reaches it."
                yield Check("upstreams", "warning", f"{name}: {target.url} is passed over: {state.failure}", advice)
            drained = overrides.of(name, target.url).get("drain")
            if drained is not None and drained.until is None:
                advice = f"`revproxy undrain {name} {target.url}` if that is over."
                yield Check("upstreams", "warning", f"{name}: {target.url} is drained, without an end", advice)
    if count:
        text = f"{count} target{' is' if count == 1 else 's are'} configured"
        yield Check("upstreams", "ok", text)


def _certificates(control: Control, plan: Plan) -> Iterator[Check]:
    states, now = control.inbox.certificates, control.coordinator.now()
    served: set[str] = set()
    for endpoint, state in sorted(states.items()):
        for problem in state.problems:
            yield Check("certificates", "warning", problem, f"Mend or remove it; {endpoint} serves with the others.")
        for facts in state.certificates:
            served.update(facts.serves)
            yield from _ending(facts, now)
    if plan.config.listeners and all(listener.tls for listener in plan.config.listeners):
        hosts = dict.fromkeys(route.host for route in plan.config.routes if route.host)
        for host in hosts:
            if not _isServed(host, served):
                text = f"{quoted(host)} has routes, and no certificate is for it"
                advice = "Add one, or take the routes out: clients are shown another's certificate, and leave."
                yield Check("certificates", "warning", text, advice)
    count = sum(len(state.certificates) for state in states.values())
    if states:
        yield Check("certificates", "ok", f"{count} certificate{' is' if count == 1 else 's are'} there")


def _ending(facts: CertificateFacts, now: float) -> Iterator[Check]:
    days = (facts.expires - now) / _DAY
    names = ", ".join(facts.names[:3]) or facts.subject
    if days < 0:
        yield Check("certificates", "failing", f"{facts.path} ({names}) has expired", "Renew it.")
    elif days < FEW_DAYS:
        yield Check("certificates", "warning", f"{facts.path} ({names}) ends in {days:.0f} days", "Renew it.")
    elif not facts.serves and not facts.isDefault:
        text = f"{facts.path} ({names}) is shown to nobody"
        yield Check("certificates", "warning", text, "Another one is preferred to it: remove one of them.")


def _isServed(host: str, served: set[str]) -> bool:
    return host in served or f"*.{host.partition('.')[2]}" in served


def _receivers(control: Control) -> Iterator[Check]:
    for receiver in control.alerts.receivers.asDicts():
        if receiver["last_error"]:
            text = f"{receiver['name']} cannot be told: {receiver['last_error']}"
            yield Check("alerts", "warning", text, f"`revproxy alerts test {receiver['name']}` tries again.")


def _kept(control: Control) -> Iterator[Check]:
    if not control.keeper.isWritable:
        advice = "See the check of the state folder: versions, pins and history are lost with a restart."
        yield Check("state", "failing", "nothing is written down: the state folder is not ours", advice)
