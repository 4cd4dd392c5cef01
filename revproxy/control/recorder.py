"""
Every transaction becomes one audit record, and one place in the line of time, whoever began it.

The coordinator tells of each that is over. What is recorded is what is different from what was recorded last, so that
from the records, one after the other, what is in force can be made again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from revproxy.config.settings import Config
from revproxy.control.changes import Tried
from revproxy.control.history.audit import Audit
from revproxy.control.history.difference import textDifference
from revproxy.control.history.history import History
from revproxy.control.history.standing import Standing, differenceOf, linesOf

FILES_CHANGED = "files"
"""What a change is called that nobody asked for."""

ROLLOUT = "rollout-"
"""What changes of rollouts begin with. Those that leave what runs as it is are in the line of time, too."""


class Recorder:
    """
    One edge's.
    """

    def __init__(self, audit: Audit, history: History, textOf: Callable[[Config], str]) -> None:
        """:param textOf: the text of a configuration, with its comments as they are by now."""
        self._textOf = textOf
        self._audit = audit
        self._history = history
        self._config = ""

    def tried(self, tried: Tried) -> None:
        """A transaction is over."""
        self._history.whenReady(partial(self._tried, tried))

    def _tried(self, tried: Tried) -> None:
        request, before = tried.request, self._history.last
        if tried.plan is None:
            return
        config = self._textOf(tried.plan.config)
        after = Standing.of(tried.plan, tried.records, config)
        hasChanged = before != after
        isAsked = bool(request.action)
        if not hasChanged and not isAsked and all(refusal.stage == "stop" for refusal in tried.refused):
            return
        action = request.action or FILES_CHANGED
        name = request.plugin or request.gate or request.lift or request.subject
        result = "done" if tried.isMade and (hasChanged or isAsked) else "refused"
        difference = differenceOf(before, after)
        name = name or _only(difference, {refusal.plugin for refusal in tried.refused})
        text = tried.text or tuple(linesOf(difference))
        if not text and before.config and "config" in difference:
            text = (f"{tried.plan.config.source} has another text",)
        refused = tuple(
            {"plugin": each.plugin, "stage": each.stage, "message": each.message} for each in tried.refused
        )
        self._audit.record(
            request.actor, action, name, before=before.asDict(), after=after.asDict(),
            diff=partial(_told, difference, self._config, config), reason=request.reason, result=result,
            text="; ".join([*text, *(str(each["message"]) for each in refused)]),
        )  # fmt: skip
        if hasChanged or result == "refused" or action.startswith(ROLLOUT):
            self._history.add(
                request.actor, action, name, request.reason, result, text, refused, after, config
            )
        self._config = config


def _only(difference: dict[str, Any], refused: set[str]) -> str:
    """The plugin that it is about, if it is about no other, nor about the configuration."""
    names = {name for part, found in difference.items() if part != "config" for name in found} | refused
    return names.pop() if len(names) == 1 and "config" not in difference else ""


def _told(difference: dict[str, Any], before: str, after: str) -> dict[str, Any]:
    """With what is different in the text of the configuration; where it was before is not known, of a start."""
    if "config" not in difference or not before:
        return difference
    return {**difference, "text": textDifference(before, after)}


__all__ = ["Recorder"]
