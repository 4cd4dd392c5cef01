"""What the code of a plugin calls its files, and what is told of the exceptions that came through it.

The file name of a plugin's code objects is the path on disk with a stamp, ``/plugins/p/plugin.py@0123456789ab``: the
beginning of the bundle's digest. So the lines of one version are told from those of another, and no file on disk is
mistaken for the one that runs.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from zope.interface import Invalid

from revproxy.bundles.nativecode import VENDOR
from revproxy.config.problems import textOf, writable
from revproxy.errors import hintFor
from revproxy.secrets import masked

if TYPE_CHECKING:
    from revproxy.bundles.bundle import Bundle

MAX_TRACEBACK = 8_000
"""Characters of a traceback that are kept; the end is what tells."""

_STAMP = re.compile(r"@[0-9a-f]{12}(?=$|[^0-9a-f])")


def stampOf(bundle: Bundle) -> str:
    """What the file names of a bundle's code end with."""
    return f"@{bundle.digest[:12]}"


def stampedFile(bundle: Bundle, path: str) -> str:
    """What code objects and tracebacks call a file of a bundle.

    :param path: within the bundle.
    """
    return f"{bundle.directory / path}{stampOf(bundle)}"


def stampIn(filename: str) -> str | None:
    """The stamp in a code object's file name; None if it is no plugin's."""
    found = _STAMP.search(filename)
    return None if found is None else found.group()


def plainFile(filename: str) -> str:
    """The file on disk of a code object's file name."""
    return _STAMP.sub("", filename)


def lastLineIn(error: BaseException, directory: Path, stamp: str = "") -> str | None:
    """Where an exception last came through a plugin's own code; of libraries that it brings along only if through no
    other.

    :param stamp: only code of this version counts; without one, that of any.
    :returns: ``FILE:LINE``, or None if it came through none.
    """
    own = vendored = None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(f"{directory}/") and frame.filename.endswith(stamp):
            line = f"{plainFile(frame.filename)}:{frame.lineno}"
            if frame.filename.startswith(f"{directory}/{VENDOR}"):
                vendored = line
            else:
                own = line
    return own or vendored


def described(error: BaseException) -> str:
    """An exception in one line."""
    text = textOf(error) + hintFor(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def tracebackOf(error: BaseException) -> str:
    """As text, from the first frame of a plugin on, and only its end if it is long."""
    shown = traceback.TracebackException.from_exception(error)
    # These say by themselves what is wrong with the plugin; the stack is ours.
    none = len(shown.stack) if isinstance(error, (SyntaxError, Invalid)) else 0
    first = next((n for n, frame in enumerate(shown.stack) if stampIn(frame.filename) is not None), none)
    del shown.stack[:first]
    return wholeText(shown)


def wholeText(shown: traceback.TracebackException) -> str:
    """A traceback as it may be told: secrets are masked, before its beginning is cut off."""
    return masked(writable("".join(shown.format())))[-MAX_TRACEBACK:]
