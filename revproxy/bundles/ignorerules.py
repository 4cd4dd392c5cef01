"""What of a plugin's folder is no part of the plugin.

Three lists decide, the first that says something:

1. what is hidden, byte code, and what editors and tools leave behind. That is never part of a plugin (`isPassing`), so
   whoever watches files need not look at it;
2. ``.pluginignore`` in the folder: patterns as in ``.gitignore``. A pattern with ``!`` takes back what 3. passes over;
3. tests and well-known documents, but not those of vendored libraries.

plugin.json, plugin.py and .pluginignore itself are always part of it. What a signature consists of never is.

A pattern is a regular expression in the end, and one with many stars takes for ever, in which nothing else runs. So
lines, stars and paths are bounded, and so is the time that one walk through a folder spends with patterns.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from enum import Enum

from pathspec import GitIgnoreSpec

from revproxy.bundles.signaturefiles import FILES as SIGNATURE
from revproxy.config.problems import ConfigErrors, Problem, quoted
from revproxy.regularfile import readFile

FILE = ".pluginignore"
"""The name of the file with a plugin's own patterns, directly in its folder."""

MAX_FILE = 16 * 1024
"""Bytes of that file."""

MAX_LINES = 200
MAX_LINE = 200
"""Characters of a line."""

MAX_STARS = 3
"""
Stars in a pattern; ``**`` between slashes is one. With a path of 255 letters three take 8 ms at worst, four 230 ms, six
the whole day.
"""

MAX_PATH = 255
"""Characters of a path that patterns are compared with."""

LONGEST = 2.0
"""Seconds that one walk through a folder may spend with comparing."""

_KNOWN = 4096
"""Paths of which it is remembered what they are."""

_PASSING = re.compile(
    r"\.(?!pluginignore\Z).*|.*~|.*\.sw[a-z]|4913|#.*#|.*\.py[co]|__pycache__|_trial_temp.*"
    r"|.*\.(?:tmp|bak|orig|rej|old|save)|.*___jb_(?:tmp|old)___"
)
"""What editors, Python and trial leave behind; with the file 4913 vim tries whether it may write."""

_ALWAYS = frozenset(("plugin.json", "plugin.py", FILE))

_DOCUMENTS = ("README", "NOTES", "CHANGELOG", "CHANGES", "CONTRIBUTING", "LICENSE", "LICENCE", "COPYING", "AUTHORS",
              "TODO", "HISTORY", "NEWS", "INSTALL", "SECURITY")
_DOCUMENT = re.compile(
    "|".join(rf"{name}(?:\.(?:md|rst|txt))?|{name.lower()}\.(?:md|rst)" for name in _DOCUMENTS)
)
_TEST = re.compile(r"test_.*\.py|.*_test\.py|conftest\.py")
_VENDORED = "vendor/"


class Part(Enum):
    """What something in a plugin's folder is."""

    PLUGIN = "part of the plugin"
    TEST = "a test of it: kept beside the plugin, and no part of it"
    SIGNATURE = "what vouches for it: kept beside the plugin, and no part of it"
    NOTHING = "passed over: never read, run or kept"


PartOf = Callable[[str, bool], Part]
"""Path below the folder, and whether that is a folder, to what it is."""


def isPassing(name: str) -> bool:
    """Whether what has this name is never part of a plugin: hidden, byte code, or an editor's."""
    return _PASSING.fullmatch(name) is not None


def allButPassing(path: str, isFolder: bool) -> Part:
    """What it is without any list but the first."""
    return Part.NOTHING if isPassing(_nameOf(path)) else Part.PLUGIN


def everything(path: str, isFolder: bool) -> Part:
    """Without any list."""
    return Part.PLUGIN


class IgnoreRules:
    """The rules of one plugin's folder.

    :ivar text: of its .pluginignore; empty if there is none.
    """

    def __init__(
        self, data: bytes = b"", source: str = FILE, seconds: Callable[[], float] = time.perf_counter
    ) -> None:
        """
        :param data: the content of .pluginignore.
        :param source: what messages call it.
        :param seconds: a clock.
        :raises ConfigErrors: with each line that will not do.
        """
        self.text = data
        self._source = source
        self._seconds = seconds
        lines = list(_linesOf(data, source))
        problems = [problem for number, line in lines for problem in _problemsOf(number, line, source)]
        if problems:
            raise ConfigErrors(problems)
        self._lines = lines
        self._spec = GitIgnoreSpec.from_lines([line for _, line in lines]) if lines else None
        self._known: dict[tuple[str, bool], Part] = {}

    def forWalk(self) -> PartOf:
        """What says of each path what it is. For one walk through the folder, which has its share of time.

        It raises `ConfigErrors` once that is spent, or for a path that is too long.
        """
        spent = 0.0

        def partOf(path: str, isFolder: bool) -> Part:
            nonlocal spent
            known = self._known.get((path, isFolder))
            if known is not None:
                return known
            began = self._seconds()
            part = self._partOf(path, isFolder)
            spent += self._seconds() - began
            if spent > LONGEST:
                raise self._error(0, f"comparing it with the folder takes more than {LONGEST:g} s; use fewer lines, "
                                     "and fewer stars in them")
            if len(self._known) < _KNOWN:
                self._known[path, isFolder] = part
            return part

        return partOf

    def reason(self, path: str, isFolder: bool = False) -> str:
        """Why a path is no part of the plugin, in half a sentence; empty if it is part of it.

        :param path: also one that is not there; its folders may be what is passed over.
        """
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            above, within = "/".join(parts[:end]), end < len(parts) or isFolder
            if self._partOf(above, within) is not Part.PLUGIN:
                return self._reason(above, within)
        return ""

    def _partOf(self, path: str, isFolder: bool) -> Part:
        if path in _ALWAYS:
            return Part.PLUGIN
        if path in SIGNATURE:
            return Part.SIGNATURE
        if isPassing(_nameOf(path)):
            return Part.NOTHING
        own = self._own(path, isFolder)
        if own is not None:
            return Part.NOTHING if own[0] else Part.PLUGIN
        return _usual(path, isFolder)

    def _own(self, path: str, isFolder: bool) -> tuple[bool, int] | None:
        """Whether a line passes it over, and which; None if no line says anything."""
        if self._spec is None:
            return None
        if len(path) > MAX_PATH:
            raise self._error(0, f"no line can be compared with a path of more than {MAX_PATH} characters: "
                                 f"{quoted(path)}")
        found = self._spec.check_file(f"{path}/" if isFolder else path)
        if found.include is None or found.index is None:
            return None
        return found.include, found.index

    def _reason(self, path: str, isFolder: bool) -> str:
        if path in SIGNATURE:
            return f"{quoted(path)} is what vouches for the plugin, and so no part of it"
        if isPassing(_nameOf(path)):
            return f"{quoted(path)} is hidden, or left behind by a tool, and never part of a plugin"
        own = self._own(path, isFolder)
        if own is not None:
            number, line = self._lines[own[1]]
            return f"{quoted(path)} is passed over by {self._source}:{number}: {line}"
        what = "a test" if _usual(path, isFolder) is Part.TEST else "documentation"
        again = f"!/{path}{'/' if isFolder else ''}"
        return f"{quoted(path)} is passed over as {what}; to have it, put the line {again} into {FILE}"

    def _error(self, number: int, message: str) -> ConfigErrors:
        return ConfigErrors([Problem(self._source, number, min(number, 1), "", message)])


def readRules(folder: int, source: str) -> IgnoreRules:
    """Those of a plugin's folder.

    :param folder: a descriptor of it.
    :param source: what messages call its .pluginignore.
    :raises ConfigErrors: that cannot be read, or has lines that will not do.
    """
    try:
        return IgnoreRules(readFile(FILE, MAX_FILE, folder), source)
    except FileNotFoundError:
        return IgnoreRules(b"", source)
    except OSError as error:
        raise ConfigErrors([Problem(source, 0, 0, "", f"cannot be read: {error.strerror}")]) from None


def _usual(path: str, isFolder: bool) -> Part:
    """What tests and documents are called, where nobody says otherwise."""
    if path.startswith(_VENDORED):
        return Part.PLUGIN
    name = _nameOf(path)
    if name == "tests" if isFolder else _TEST.fullmatch(name):
        return Part.TEST
    if path == "docs" if isFolder else _DOCUMENT.fullmatch(path):
        return Part.NOTHING
    return Part.PLUGIN


def _linesOf(data: bytes, source: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise ConfigErrors([Problem(source, number, 1, "", "is not UTF-8")]) from None
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.rstrip("\r")
        if bare.strip() and not bare.startswith("#"):
            if number > MAX_LINES:
                raise ConfigErrors([Problem(source, number, 1, "", f"there are more than {MAX_LINES} lines")])
            yield number, bare


def _problemsOf(number: int, line: str, source: str) -> Iterator[Problem]:
    def problem(message: str) -> Problem:
        return Problem(source, number, 1, "", message)

    if len(line) > MAX_LINE:
        yield problem(f"has more than {MAX_LINE} characters")
        return
    if _starsIn(line) > MAX_STARS:
        yield problem(f"{quoted(line)} has more than {MAX_STARS} stars; write several lines")
        return
    if "[[:" in line:
        yield problem(f"{quoted(line)} has a class such as [[:digit:]], which is not known here; write [0-9]")
    name = _nameOf(line.lstrip("!").rstrip().rstrip("/"))
    if line.startswith("!") and isPassing(name):
        yield problem(f"{quoted(name)} is hidden, or left behind by a tool: that is never part of a plugin")
    try:
        pattern = GitIgnoreSpec.from_lines([line]).patterns[0]
    except ValueError as error:
        yield problem(f"{quoted(line)} is no pattern: {error}")
    else:
        if pattern.include is None:
            yield problem(f"{quoted(line)} is no pattern as in .gitignore")


def _starsIn(line: str) -> int:
    """As many as its regular expression has loops; within a name, each of two in a row is one."""
    return sum(1 if step == "**" else step.count("*") for step in line.lstrip("!").rstrip().split("/"))


def _nameOf(path: str) -> str:
    return path.rpartition("/")[2]
