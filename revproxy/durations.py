"""
Durations and shares, as people write them: ``30s``, ``5%``.

Every duration in revproxy.yaml is a number of seconds, or text with one unit: ``500ms``, ``30s``, ``5m``, ``1h``,
``7d``. A share is text that ends with ``%``. A plugin that reads its own configuration with these functions speaks the
same language, and puts :data:`DURATION` and :data:`SHARE` into its ``config_schema``, so that what is no duration is
refused with its line before ``PluginMain`` runs:

>>> parseDuration("1.5h"), parseDuration(30)
(5400.0, 30.0)
>>> parseShare("2.5%")
0.025
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

__all__ = ["DURATION", "SHARE", "durationText", "parseDuration", "parseShare"]

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER: Final = r"[0-9]{1,15}(\.[0-9]{1,15})?"
_DURATION: Final = re.compile(rf"({_NUMBER})(ms|s|m|h|d)\Z")
_SHARE: Final = re.compile(rf"({_NUMBER})%\Z")
_LONGEST: Final = 1e15

_HOW: Final = "write a number of seconds, or 500ms, 30s, 5m, 1h, 7d"
_HOW_SHARES: Final = "write a share as 5% or 0.5%, 100% at most"

DURATION: Final[dict[str, Any]] = {
    "type": ["number", "string"],
    "pattern": f"^{_NUMBER}(ms|s|m|h|d)$",
    "x-unit": "duration",
    "x-message": _HOW,
}
"""
JSON Schema of a duration. Add what else there is to say: ``{**DURATION, "minimum": 1, "maximum": 3600}``; such bounds
are seconds, and hold for text as well.
"""

SHARE: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": f"^{_NUMBER}%$",
    "x-unit": "share",
    "x-message": _HOW_SHARES,
}
"""JSON Schema of a share. Bounds are fractions: ``{**SHARE, "maximum": 0.5}`` is 50 %."""


def parseDuration(value: object) -> float:
    """
    Seconds.

    :param value: a number of seconds, or text such as ``"500ms"``.
    :raises ValueError: for anything else, less than nothing included; says how to write one.
    """
    if isinstance(value, str):
        match = _DURATION.match(value)
        if match is not None:
            # Divided, for milliseconds: 150 * 0.001 is not 0.15.
            number = float(match[1])
            return number / 1000 if match[3] == "ms" else number * _UNITS[match[3]]
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _LONGEST:
        return float(value)
    raise ValueError(f"{_shown(value)} is no duration; {_HOW}")


def parseShare(value: object) -> float:
    """
    A fraction, from 0 to 1.

    :param value: text such as ``"5%"``. Numbers are refused: nobody could say whether 0.5 is a half or half a percent.
    :raises ValueError: for anything else; says how to write one.
    """
    match = _SHARE.match(value) if isinstance(value, str) else None
    share = float(match[1]) / 100 if match else math.inf
    if share > 1:
        raise ValueError(f"{_shown(value)} is no share; {_HOW_SHARES}")
    return share


def durationText(seconds: float) -> str:
    """
    The shortest text that is this duration: ``"90s"``, ``"1h"``, ``"150ms"``.

    :param seconds: not less than 0.
    """
    if seconds and seconds < 1:
        return f"{seconds * 1000:.15g}ms"
    unit = next((unit for unit in ("d", "h", "m") if seconds and seconds % _UNITS[unit] == 0), "s")
    return f"{seconds / _UNITS[unit]:.15g}{unit}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
