"""
A page of documentation as something to be done: the files it shows are written, its commands are typed, and what is
printed must be what it says.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(?:\{code-block\} )?(\w+)\n(?::caption: (.+)\n)?((?s:.*?))^```$", re.MULTILINE)

_ONCE = re.compile(
    r"revproxy (rollback|pin|unpin|enable|disable|reload|keygen|sign|lock|grant)\b|rm |\(cd |mkdir |cp |sed -i|>>"
    r"|revproxy rollout \S+ (start|step|hold|resume|promote|abort)\b"
)
"Commands that change something; all others are asked again until they say what they should."


@dataclass(frozen=True, slots=True)
class File:
    """
    A file to be written.
    """

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """
    Lines of a file to be replaced by others.
    """

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Command:
    """
    A line to be typed.

    :ivar output: the lines the page shows, each as a pattern.
    """

    line: str
    output: tuple[str, ...]

    @property
    def once(self) -> bool:
        """
        Whether it is not to be typed again.
        """
        return _ONCE.search(self.line) is not None

    def isShownBy(self, printed: str) -> bool:
        """
        Whether every line of the output is there, in order; others may be between them.
        """
        lines = iter(printed.splitlines())
        return all(any(re.fullmatch(pattern, line.rstrip()) for line in lines) for pattern in self.output)


Step = File | Edit | Command


def steps(page: str) -> Iterator[Step]:
    """
    What a page has its reader do, in order. Blocks without a caption that are not ``console`` are only to be read.
    """
    for language, caption, text in _BLOCK.findall(page):
        if language == "console":
            yield from _commands(text)
        elif caption and language == "diff":
            sides = ["".join(f"{line[1:]}\n" for line in text.splitlines() if line[0] == side) for side in "-+"]
            yield Edit(caption, *sides)
        elif caption:
            yield File(caption, text)


def _commands(text: str) -> Iterator[Command]:
    for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *output = piece.splitlines()
        yield Command(line, tuple(_pattern(one) for one in output))


def _pattern(line: str) -> str:
    """
    Digests, keys, times, levels, folders, blanks and, in rows about plugins, figures may be others.
    """
    pattern = re.escape(line)
    pattern = re.sub(r"\b[0-9a-f]{12}\b", r"[0-9a-f]{12}", pattern)
    pattern = re.sub(r"level\\ [ABC]", r"level\\ [ABC]", pattern)
    pattern = re.sub(r"SHA256:(?:[A-Za-z0-9/]|\\\+)+", r"SHA256:[A-Za-z0-9+/]+", pattern)
    pattern = re.sub(r"\b20\d\d\\-\d\d\\-\d\d\\ \d\d:\d\d:\d\d", r"20[0-9: -]+", pattern)
    pattern = pattern.replace(re.escape("/home/you/revproxy/"), "/.*/")
    pattern = re.sub(r"(?:\\ )+", r" +", pattern)
    if " running " in line:
        pattern = re.sub(r"(?<=\+)[0-9]+(\\\.[0-9]+)?(?= |$)", r"[0-9.]+", pattern)
    return pattern


def perform(step: Step, folder: Path, environment: Mapping[str, str]) -> str:
    """
    Do it once.

    :return: what was printed.
    """
    if isinstance(step, File):
        path = folder / step.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.text)
    elif isinstance(step, Edit):
        path = folder / step.path
        text = path.read_text()
        if text.count(step.before) != 1:
            raise AssertionError(f"{step.path} does not have once: {step.before}")
        path.write_text(text.replace(step.before, step.after))
    else:
        done = subprocess.run(
            ["bash", "-c", step.line], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
        )  # fmt: skip
        return done.stdout.decode()
    return ""
