"""
Why a request went as it did, as people read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from revproxy.cli.report import Report
from revproxy.cli.requestreport import milliseconds, timeOfDay

Facts = Mapping[str, Any]

PLUGINS = ("plugin", "version", "decision", "ms", "waited ms", "request's fields", "answer's fields", "note")


def show(report: Report, told: Facts) -> None:
    """All about one request that is over."""
    request = told["request"]
    asked = f"{request['method']} {request['scheme']}://{request['host']}{request['target']}"
    report.lines([
        asked,
        f"{request['status']} after {milliseconds(request['duration_us'])} ms, {answered(told['answered_by'])}",
        f"{timeOfDay(request['at'])}, from {request['peer']}, id {request['id']}, plan {_plan(told['plan'])}",
    ])
    if told["error"]:
        report.lines([told["error"]])
    showRoute(report, told["route"])
    showPlugins(report, told["plugins"])
    report.lines(_fields(told))
    report.lines(_upstream(told["upstream"], told["phases"]))
    report.lines(f"note: {text}" for text in told["notes"])


def showOutcome(report: Report, asked: str, told: Facts) -> None:
    """How a request would go."""
    report.lines([asked])
    if told["refused"] is not None:
        status = f"{told['status']}: " if told["status"] else ""
        report.lines([f"refused, {status}{told['refused']}"])
        return
    report.lines([_wouldBe(told)])
    if told["error"]:
        report.lines([told["error"]])
    showRoute(report, told["route"])
    if told["methods"]:
        report.lines([f"  it takes {', '.join(told['methods'])}"])
    if not told["plugins"]:
        report.lines(["", "no plugins"])
    else:
        report.lines([""])
        report.table(("plugin", "rule", *PLUGINS[1:]), [_ruleRow(plugin) for plugin in told["plugins"]])
    report.lines(_fields(told))
    report.lines(f"note: {text}" for text in told["notes"])


def _wouldBe(told: Facts) -> str:
    by = told["answered_by"]
    if by["kind"] == "upstream":
        return f"would be sent to {by['name']}, with plan {told['plan']}"
    if by["kind"] == "nobody":
        return "no answer: the plugins did not come to an end in time"
    status = f"{told['status']}, " if by["kind"] != "route" else ""
    return f"would be {answered(by).replace('answered', f'{status}answered', 1)}, with plan {told['plan']}"


def _ruleRow(plugin: Facts) -> Sequence[str]:
    name, *rest = _pluginRow(plugin)
    return (name, plugin["rule"] or "-", *rest)


def showRoute(report: Report, route: Facts) -> None:
    """The route, and why not the others."""
    if route["name"] is None:
        report.lines(["", "route: none"])
    else:
        place = f"host {route['host'] or 'any'}, path {route['path']}" if route["path"] else "not remembered"
        report.lines(["", f"route: {route['name']} ({place}{', ' + route['answers'] if route['answers'] else ''})"])
    report.lines(f"  not {other['name']}: {other['why']}" for other in route["others"])


def showPlugins(report: Report, plugins: Sequence[Facts]) -> None:
    """A line for each plugin, in the order of the way in."""
    if not plugins:
        report.lines(["", "no plugins"])
        return
    report.lines([""])
    report.table(PLUGINS, [_pluginRow(plugin) for plugin in plugins])


def answered(by: Facts) -> str:
    """Who has answered."""
    texts = {
        "plugin": "answered by the plugin {}",
        "upstream": "answered by {}",
        "route": "answered by the route itself ({})",
        "edge": "answered by the edge ({})",
        "nobody": "the client left first",
    }
    return texts[by["kind"]].format(by["name"] or "it could not be sent on")


def fieldsText(headers: Facts | None) -> str:
    """What became of fields, by name: ``+added ~changed -removed``."""
    if headers is None:
        return ""
    signs = (("added", "+"), ("changed", "~"), ("removed", "-"))
    names = [f"{sign}{name}" for key, sign in signs for name in headers[key]]
    return " ".join([*names, f"… {headers['more']} more"] if headers["more"] else names)


def _plan(plan: Facts) -> str:
    return f"{plan['number']} ({'in force' if plan['is_current'] else 'not in force any more'})"


def _pluginRow(plugin: Facts) -> Sequence[str]:
    calls = [call for call in (plugin["request"], plugin["response"]) if call is not None]
    took = [call["us"] for call in calls if call["us"] is not None]
    waited = [call["waited_us"] for call in calls if call["waited_us"] is not None]
    return (
        plugin["name"],
        (plugin["version"] or "-") + (f" ({plugin['arm']})" if plugin.get("arm") else ""),
        plugin["decision"],
        milliseconds(sum(took)) if took else "-",
        milliseconds(sum(waited)) if waited else "-",
        _of(plugin["request"]),
        _of(plugin["response"]),
        plugin["why"] or "",
    )


def _of(call: Facts | None) -> str:
    return (fieldsText(call["headers"]) or "-") if call is not None else "-"


def _fields(told: Facts) -> Iterator[str]:
    texts = (("request", fieldsText(told["request_headers"])), ("answer", fieldsText(told["response_headers"])))
    changed = [f"the {of}'s fields: {text}" for of, text in texts if text]
    if changed:
        yield ""
        yield "by all plugins together, " + "; ".join(changed)


def _upstream(upstream: Facts | None, phases: Facts) -> Iterator[str]:
    if upstream is None:
        return
    yield ""
    chosen = upstream["chosen_target"] or upstream["chosen_upstream"]
    yield f"upstream: {upstream['name']}{f' (a plugin chose {chosen})' if chosen else ''}"
    for tried in upstream["tries"]:
        yield f"  {tried['target']}: {tried['outcome']}{': ' + tried['why'] if tried['why'] else ''}"
    keys = (("before_us", "before it was sent on"), ("upstream_us", "until the answer"), ("after_us", "after it"))
    parts = [f"{milliseconds(phases[key])} ms {text}" for key, text in keys if phases[key] is not None]
    if parts:
        yield "  " + ", ".join(parts)
