"""
The section ``alerts`` of revproxy.yaml: receivers, and rules, ready-made ones included.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from revproxy.config.alertexpression import FIGURES, SUBJECTS, Comparison, parseExpression, subjectsOf
from revproxy.config.alertsettings import AlertRule, AlertsConfig, ReceiverConfig
from revproxy.config.problems import quoted, suggestion
from revproxy.config.readymadealerts import EVENTS, READY_MADE
from revproxy.config.section import Section
from revproxy.headers import isFieldValue
from revproxy.secrets import Secret

KINDS = ("alertmanager", "webhook", "slack")
"""The keys of which a receiver has one."""

SECRET_PREFIX = "whsec_"
"""Before the secret of a webhook, in base64."""

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
_HOW_SECRET = 'give whsec_ and 24 to 64 bytes in base64, such as from: echo "whsec_$(openssl rand -base64 32)"'
_OWN_LABELS = ("alertname", "severity", "event", *SUBJECTS, "target", "receiver")
"""Labels that the edge itself gives."""


def alertsOf(root: Section) -> AlertsConfig:
    """The section, with its defaults where it says nothing; its problems are added to the root's."""
    section, plain = root.section("alerts"), AlertsConfig()
    receivers = tuple(_receivers(section))
    rules = _rules(section, [receiver.name for receiver in receivers])
    return AlertsConfig(
        receivers,
        rules,
        _labels(section),
        _texts(section, "group_by") if section.has("group_by") else plain.groupBy,
        section.seconds("group_wait", plain.groupWait),
        section.seconds("group_interval", plain.groupInterval),
        section.seconds("repeat_interval", plain.repeatInterval),
    )


# Receivers


def _receivers(alerts: Section) -> Iterator[ReceiverConfig]:
    seen: set[str] = set()
    for section in alerts.items("receivers"):
        name = section.text("name")
        given = [kind for kind in KINDS if section.has(kind)]
        if name in seen:
            section.refuse(f"another receiver has the name {quoted(name)}", "name")
        seen.add(name)
        if len(given) != 1:
            what = f"has {' and '.join(given)}" if given else "does not say how it is told"
            section.refuse(f"{what}; give one of {', '.join(KINDS)}", *given[1:2])
            continue
        yield _receiver(section, name, given[0])


def _receiver(section: Section, name: str, kind: str) -> ReceiverConfig:
    ca = section.pathAt("ca", "file")
    urls = tuple(_urls(section, kind))
    if kind == "slack":
        urls = tuple(Secret(url) for url in urls)  # whoever knows it may write there
    return ReceiverConfig(
        name, kind, urls, _secrets(section, kind), _authorization(section), None if ca is None else str(ca)
    )


def _urls(section: Section, kind: str) -> Iterator[str]:
    given = section.value.get(kind)
    for index, text in enumerate(given if isinstance(given, list) else [given]):
        if not isinstance(text, str) or not text:
            continue  # the schema has said so
        steps = (kind, index) if isinstance(given, list) else (kind,)
        problem = _urlProblem(str(text), kind)
        if problem:
            section.refuse(problem, *steps)
        else:
            yield text


def _urlProblem(text: str, kind: str) -> str:
    """Why it is no URL of a receiver; empty if it is. It is not repeated, for it may be a secret."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "is no URL with http:// or https://, and a host"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "is no URL: it has characters that must be escaped"
    if "@" in parts.netloc or parts.fragment:
        return "has a user or a fragment (#…) in it; a password belongs into authorization"
    if kind == "alertmanager" and parts.query:
        return "is to be an Alertmanager's own URL, without a query"
    return ""


def _secrets(section: Section, kind: str) -> tuple[Secret, ...]:
    given = section.value.get("secret")
    values = given if isinstance(given, list) else [] if given is None else [given]
    if kind != "webhook":
        if section.has("secret"):
            section.refuse(f"has no effect with {kind}; leave it out", "secret")
        return ()
    if not values:
        section.refuse(f"a webhook is signed, and has no secret; {_HOW_SECRET}")
    found = []
    for index, text in enumerate(values):
        if not isinstance(text, str):
            continue
        if secretKey(text) is None:
            section.refuse(f"is no secret of a webhook; {_HOW_SECRET}", "secret",
                           *((index,) if isinstance(given, list) else ()))
        found.append(Secret(text))
    return tuple(found)


def secretKey(text: str) -> bytes | None:
    """The bytes that sign; None if the text is no secret as Standard Webhooks write it."""
    encoded = str(text).removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if 24 <= len(key) <= 64 else None


def _authorization(section: Section) -> Secret | str:
    text = section.text("authorization")
    if not text:
        return ""
    if not text.isascii() or not isFieldValue(text.encode()):
        section.refuse('is no value of a header field; write "Bearer TOKEN"', "authorization")
        return ""
    return Secret(text)


# Rules


def _rules(alerts: Section, receivers: Sequence[str]) -> tuple[AlertRule, ...]:
    """Ready-made ones first, as far as they are in force; then the user's own."""
    isOn = bool(receivers) and alerts.flag("ready_made", True)
    rules = {name: replace(rule, isReadyMade=True) for name, rule in READY_MADE.items()} if isOn else {}
    seen: set[str] = set()
    for section in alerts.items("rules"):
        name = section.text("name")
        if name in seen:
            section.refuse(f"another rule has the name {quoted(name)}", "name")
        seen.add(name)
        rule = _rule(section, name, receivers)
        if section.flag("enabled", True):
            rules[name] = rule
        else:
            rules.pop(name, None)
    return tuple(rules.values())


def _rule(section: Section, name: str, receivers: Sequence[str]) -> AlertRule:
    base = READY_MADE.get(name, AlertRule(name))
    on, when = base.on, base.when
    if section.has("on") and section.has("when"):
        section.refuse("has on and when; write a rule for each", "when")
    elif section.has("on"):
        on, when = _events(section), ()
    elif section.has("when"):
        on, when = (), section.checked("when", parseExpression, ())
    elif not on and not when:
        section.refuse(f"does not say what it is about; give on or when{suggestion(name, READY_MADE)}")
    _checkFitting(section, when)
    return replace(
        base,
        on=on,
        when=when,
        of=_subject(section, base, when),
        only=section.text("only", base.only),
        over=section.seconds("over", base.over),
        wait=section.seconds("for", base.wait),
        endsAfter=section.seconds("resolve_after", 0.0) if section.has("resolve_after") else base.endsAfter,
        severity=section.text("severity", base.severity),
        summary=section.text("summary", base.summary),
        labels=_labels(section),
        to=_receiverNames(section, receivers),
    )


def _events(section: Section) -> tuple[str, ...]:
    given = section.value.get("on")
    kinds = _texts(section, "on")
    for index, kind in enumerate(kinds):
        if kind not in EVENTS:
            steps = ("on", index) if isinstance(given, list) else ("on",)
            section.refuse(f"no event is named {quoted(kind)}{suggestion(kind, EVENTS)}", *steps)
    return kinds


def _checkFitting(section: Section, when: tuple[Comparison, ...]) -> None:
    """Keys that say nothing where they stand are mistakes."""
    if not when:
        for key in ("over", "of"):
            if section.has(key):
                section.refuse("goes with when; an event happens at once, and says itself what it is of", key)
    elif section.has("over") and not any(FIGURES[each.figure].isOverTime for each in when):
        figure = when[0].figure
        why = "looks back plugins.quarantine.window" if figure == "loop_share" else "is what it is now"
        section.refuse(f"has no effect: {figure} {why}", "over")


def _subject(section: Section, base: AlertRule, when: tuple[Comparison, ...]) -> str:
    if not when:
        return ""
    possible = subjectsOf(when)
    given = section.text("of", base.of if base.of in possible else possible[0])
    if given in SUBJECTS and given not in possible:
        names = " and ".join(each.figure for each in when)
        section.refuse(f"{names} is not known of a {given}; of {' or '.join(possible)}", "of")
    return given


def _receiverNames(section: Section, receivers: Sequence[str]) -> tuple[str, ...]:
    names = _texts(section, "to")
    for index, name in enumerate(names):
        if name not in receivers:
            known = suggestion(name, receivers) if receivers else "; there are none"
            section.refuse(f"no receiver is named {quoted(name)}{known}", "to", index)
    return names


def _labels(section: Section) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, value in section.section("labels").value.items():
        if not _LABEL.match(str(name)):
            section.refuse("a label's name has letters, digits and _ only, and begins with no digit", "labels", name)
        elif name in _OWN_LABELS:
            section.refuse("is a label of the edge's own; choose another name", "labels", name)
        elif isinstance(value, str):
            found[str(name)] = str(value)
    return found


def _texts(section: Section, key: str) -> tuple[str, ...]:
    """Of a list, or of one text."""
    given = section.value.get(key)
    return tuple(str(each) for each in (given if isinstance(given, list) else [given]) if isinstance(each, str))
