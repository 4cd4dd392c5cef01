"""
What a command shows, shown again each second.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

import click

INTERVAL = 1.0
"""Seconds from one time to the next."""


def repeat(show: Callable[[], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """
    Show it until Ctrl-C.

    On a terminal each time takes the place of the one before, and an edge that does not answer (it may be starting
    again) is waited for. Elsewhere one follows the other, and an edge that does not answer ends it.

    :raises click.ClickException: as ``show`` does, where nobody looks on.
    """
    onTerminal = sys.stdout.isatty()
    try:
        while True:
            if onTerminal:
                # In one go: a screen that is cleared first flickers.
                click.echo(_screen(_shown(show)), nl=False)
            else:
                show()
                sys.stdout.flush()
            sleep(INTERVAL)
    except KeyboardInterrupt:
        pass


def _shown(show: Callable[[], None]) -> str:
    with redirect_stdout(StringIO()) as text:
        try:
            show()
        except click.ClickException as error:
            return f"{error.format_message()}\n"
    return text.getvalue()


def _screen(text: str) -> str:
    """From the top: each line to its end, then nothing below."""
    return "\x1b[H" + text.replace("\n", "\x1b[K\n") + "\x1b[J"
