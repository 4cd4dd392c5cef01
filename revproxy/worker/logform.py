"""
How the edge's own log is written: from which level on, as text or as JSON lines.

There is one log of a process, and so there is one `LogForm`, :data:`ownForm`. Whoever opens the log (twistd, or
whatever else runs the edge) writes through it, ``FileLogObserver(file, ownForm)``; it may become another while the edge
runs. Secrets are not written.

An event may have a field ``below``: more lines, such as a traceback. Its ``log_format`` ends with ``{below}``; in JSON
that is the key ``traceback``.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from twisted.logger import (
    ILogObserver,
    LogLevel,
    formatEvent,
    formatEventAsClassicLogText,
    formatTime,
    timeFormatRFC3339,
)
from zope.interface import implementer

from revproxy.config.settings import LoggingConfig
from revproxy.secrets import masked

_UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""
What steers a terminal, or turns lines around: a plugin's error may say what its client has sent. Line feeds and tabs
are as Twisted writes them, within an event.
"""

_PLUGIN = "plugin."
"""What the namespaces of plugins begin with."""


class LogForm:
    """
    Makes lines of events: a ``formatEvent`` of Twisted's `FileLogObserver`.
    """

    def __init__(self) -> None:
        self._level: Any = LogLevel.info
        self._isJSON = False

    def adopt(self, config: LoggingConfig) -> None:
        """Write as it says from now on."""
        self._level = LogLevel.levelWithName(config.level)
        self._isJSON = config.own == "json"

    def takes(self, event: dict[str, Any]) -> bool:
        """Whether an event is important enough."""
        level = event.get("log_level")
        return bool(level is None or level >= self._level)

    def __call__(self, event: dict[str, Any]) -> str | None:
        """An event as text that ends with a line feed; None if it is not written."""
        if not self.takes(event):
            return None
        if self._isJSON:
            return _asJSON(event)
        text = formatEventAsClassicLogText(event, _time)
        return None if text is None else _UNSHOWN.sub(_escaped, _maskedLine(text, event))


ownForm = LogForm()
"""That of this process."""


@implementer(ILogObserver)
class Leveled:
    """
    An observer of somebody else's, which hears of what is important enough.
    """

    def __init__(self, observer: Any, form: LogForm = ownForm) -> None:
        self._observer = observer
        self._form = form

    def __call__(self, event: dict[str, Any]) -> None:
        """Tell it, or not."""
        if self._form.takes(event):
            self._observer(event)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _maskedLine(text: str, event: dict[str, Any]) -> str:
    """What the event says is masked; when it was, whose it is and its level are ours, and words that others may use."""
    if event.get("log_system"):
        return masked(text)
    head, bracket, rest = text.partition("] ")
    return head + bracket + masked(rest)


def _time(when: float | None) -> str:
    return formatTime(when, timeFormatRFC3339)


def _asJSON(event: dict[str, Any]) -> str:
    level = event.get("log_level") or LogLevel.info
    namespace = str(event.get("log_namespace", "-"))
    shown = {
        "time": _isoTime(event.get("log_time", 0.0)),
        "level": level.name,
        "namespace": namespace,
        "message": masked(formatEvent({**event, "below": ""})),
        **_whose(event, namespace),
    }
    for name in ("kind", "logger"):
        if name in event:
            shown[name] = str(event[name])
    traceback = _tracebackOf(event)
    if traceback:
        shown["traceback"] = masked(traceback)
    return json.dumps(shown) + "\n"


def _whose(event: dict[str, Any], namespace: str) -> dict[str, str]:
    """The plugin that an event is about, if it is about one."""
    plugin = event.get("plugin") or (namespace.removeprefix(_PLUGIN) if namespace.startswith(_PLUGIN) else "")
    if not plugin:
        return {}
    version = event.get("version")
    return {"plugin": str(plugin), **({"version": str(version)} if version else {})}


def _tracebackOf(event: dict[str, Any]) -> str:
    if "below" in event:
        return str(event["below"]).strip("\n")
    failure = event.get("log_failure")
    try:
        return "" if failure is None else str(failure.getTraceback()).rstrip("\n")
    except Exception as error:  # a text of foreign code's
        return f"(its traceback cannot be shown: {type(error).__name__})"


def _isoTime(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
