"""What is wrong with a file, and where: the form in which everything that users write is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from revproxy.secrets import MASK, Secret, masked

MAX_TEXT = 8_000
"""Characters of what somebody else's code says that are shown."""

Step = str | int
"""A step into a document: a key of a mapping or an index of a sequence."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct.

    :ivar source: the file (or option) as the user named it.
    :ivar line: counted from 1; 0 when the source has no lines.
    :ivar column: counted from 1; 0 when the source has no lines.
    :ivar path: where in the document, such as ``$.routes[1].upstream``; empty for a file that could not be parsed.
    :ivar message: what is wrong and what to do; secrets in it are masked.
    """

    source: str
    line: int
    column: int
    path: str
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", masked(self.message))

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}:{self.column}" if self.line else self.source
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class ConfigErrors(Exception):
    """Every problem that was found; nothing of the refused document has taken effect.

    :ivar problems: at least one, ordered as they stand in their sources.
    :ivar files: that the document refers to: one that changes may be the correction.
    """

    def __init__(self, problems: Iterable[Problem], files: Iterable[str] = ()) -> None:
        self.problems: tuple[Problem, ...] = tuple(
            sorted(dict.fromkeys(problems), key=lambda problem: (problem.source, problem.line, problem.column))
        )
        self.files = frozenset(files)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def pathText(path: Sequence[Step]) -> str:
    """``("routes", 1, "upstream")`` as ``$.routes[1].upstream``; keys that are no plain words are quoted."""
    text = "$"
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.replace("_", "").replace("-", "").isalnum():
            text += f".{step}"
        else:
            text += f"[{quoted(step)}]"
    return text


def writable(text: str) -> str:
    """The same text; halves of surrogate pairs, which UTF-8 does not have, are escaped."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def textOf(value: object) -> str:
    """``str(value)`` in one line, or its beginning, also of foreign objects that cannot be asked for it."""
    try:
        text = masked(str(value))
        if len(text) > MAX_TEXT:
            text = f"{text[:MAX_TEXT]}…"
        return writable(" ".join(text.split()))
    except BaseException as error:  # foreign code
        return f"(its text cannot be had: __str__ raised {type(error).__name__})"


def quoted(value: object, limit: int = 60) -> str:
    """A value as it may be shown in a message: one line, at most ``limit`` characters, text in double quotes."""
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, str):
        value = masked(value)
        text = '"' + value.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"' \
            if not value.isprintable() else f'"{value}"'
    elif value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    else:
        try:
            text = masked(writable(repr(value)))
        except BaseException as error:  # foreign code
            text = f"<{type(value).__qualname__}, whose __repr__ raised {type(error).__name__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the likely word, or all known ones when they are few, or nothing.

    :returns: text to append, starting with ``;``, or ``""``.
    """
    names = sorted(known)
    from difflib import get_close_matches  # by whoever has misspelt something

    close = get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {quoted(close[0])}?"
    if not names:
        return ""
    if len(names) <= 8:
        verb = "is" if len(names) == 1 else "are"
        return f"; there {verb} {', '.join(quoted(name) for name in names)}"
    return ""
