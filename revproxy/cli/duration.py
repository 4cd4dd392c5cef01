"""A duration as an option of a command."""

from __future__ import annotations

from typing import Any

import click

from revproxy.durations import parseDuration


class Duration(click.ParamType[float]):
    """
    Seconds, written as in revproxy.yaml: ``90``, ``90s``, ``1.5m``. More than nothing.
    """

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See `click.ParamType`."""
        try:
            seconds = parseDuration(value)
        except ValueError as error:
            try:
                seconds = parseDuration(float(value))  # a number is text on a command line
            except ValueError:
                self.fail(str(error), param, ctx)
        if not seconds:
            self.fail(f"{value} is no time at all", param, ctx)
        return seconds
