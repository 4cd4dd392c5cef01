"""
What is different between how things stood after two changes.
"""

from __future__ import annotations

from typing import Any

from revproxy.control.history.difference import textDifference
from revproxy.control.history.standing import Standing, differenceOf, linesOf


def compared(before: Standing, after: Standing, textBefore: str | None, textAfter: str | None) -> dict[str, Any]:
    """
    As JSON says it. Takes its time where texts are long: for a thread.

    :param textBefore: of the configuration; None: it cannot be had any more.
    """
    difference = differenceOf(before, after)
    config = ""
    if "config" in difference:
        if textBefore is None or textAfter is None:
            config = "one of the texts is not there any more"
        else:
            config = textDifference(textBefore, textAfter)
    return {
        "config": config,
        "lines": linesOf(difference),
        **{
            part: [
                {"plugin": name, "before": old, "after": new} for name, (old, new) in difference.get(part, {}).items()
            ]
            for part in ("plugins", "pins", "switches", "gates")
        },
    }


__all__ = ["compared"]
