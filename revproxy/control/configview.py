"""
A configuration as JSON can say it, with all defaults filled in; secrets are masked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import PurePath
from typing import Any

from revproxy.config.secretnames import isSecretName, textWithout
from revproxy.config.settings import Config
from revproxy.secrets import MASK, Secret, areHidden, masked

_LEFT_OUT = frozenset(("document", "source", "referred_files", "secrets", "route_groups"))
"""What no user has said."""


def effective(config: Config) -> dict[str, Any]:
    """What is in force. Takes its time where there are many routes: for a thread."""
    shown = shownValue(config)
    traces = shown.get("traces") or {}
    traces["headers"] = dict.fromkeys(traces.get("headers") or {}, MASK)  # they let somebody in
    return {name: value for name, value in shown.items() if name not in _LEFT_OUT}


def shownValue(value: Any, isSecret: bool = False) -> Any:
    """
    The same in types that JSON has; keys are written as in revproxy.yaml.

    :param isSecret: whether it stands under the name of a secret.
    """
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, str):
        if isSecret:
            return MASK if value else ""
        return textWithout(masked(value) if areHidden() else str(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool) and isSecret:
        return MASK
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {_snake(each.name): shownValue(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): shownValue(each, isSecret or isSecretName(str(key))) for key, each in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((shownValue(each, isSecret) for each in value), key=str)
    if isinstance(value, (list, tuple)):
        return [shownValue(each, isSecret) for each in value]
    if isinstance(value, bytes):
        return masked(value.decode("utf-8", "replace"))
    return masked(str(value) if isinstance(value, PurePath) else repr(value))


@cache
def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).replace("_c_a", "_ca")


__all__ = ["effective", "shownValue"]
