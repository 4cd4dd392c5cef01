"""JSON to values and their places: `json` parses the values; only the places are found here."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from revproxy.config.places import MAX_DEPTH, SURROGATE, Place, lineOf
from revproxy.config.problems import ConfigErrors, Problem, Step, pathText

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


def readJSON(text: str, source: str) -> tuple[Any, Place]:
    """The value of a JSON text (RFC 8259: no comments, no trailing commas, no NaN), and its place.

    :raises ConfigErrors: not JSON, or a key that occurs twice in one object.
    """
    try:
        value = json.loads(text, parse_constant=_refuseConstant, parse_float=_finite)
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg}{_hint(text, error.pos)}"
        raise ConfigErrors([Problem(source, error.lineno, error.colno, "", message)]) from None
    except RecursionError:
        raise ConfigErrors([Problem(source, 1, 1, "", "nested too deeply")]) from None
    except ValueError as error:
        raise ConfigErrors([Problem(source, 1, 1, "", f"not JSON: {error}")]) from None
    scanner = _JSONPlaces(text, source)
    root = scanner.scan()
    if scanner.problems:
        raise ConfigErrors(scanner.problems)
    return value, root


def _hint(text: str, at: int) -> str:
    """What of Python or JavaScript was taken for JSON."""
    before, after = text[:at].rstrip(), text[at:].lstrip()
    if not before and not after:
        return " (the file is empty)"
    if after.startswith(("//", "#", "/*")):
        return " (JSON has no comments)"
    if after.startswith("'"):
        return " (JSON has double quotes only)"
    if (before + after[:1]).endswith((",}", ",]")):
        return " (JSON has no comma after the last)"
    return ""


def _refuseConstant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


class _JSONPlaces:
    """Positions in text that `json` has accepted; so it holds nothing but strings, punctuation and words."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._tokens = _TOKEN.finditer(text)
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._line = 1

    def scan(self) -> Place:
        """The place of the whole document."""
        match = next(self._tokens)
        root = self._place(match)
        self._inside(match[0], root, ())
        return root

    def _place(self, match: re.Match[str]) -> Place:
        while self._line < len(self._starts) and self._starts[self._line] <= match.start():
            self._line += 1
        return Place(self._line, match.start() - self._starts[self._line - 1] + 1)

    def _checkText(self, token: str, place: Place, path: tuple[Step, ...]) -> None:
        if "\\u" in token and SURROGATE.search(json.loads(token)):
            message = f"{token} has half of a surrogate pair"
            self.problems.append(Problem(self.source, place.line, place.column, pathText(path), message))

    def _inside(self, token: str, place: Place, path: tuple[Step, ...]) -> None:
        if len(path) > MAX_DEPTH:
            raise ConfigErrors([Problem(self.source, place.line, place.column, "", "nested too deeply")])
        if token == "{":
            self._object(place, path)
        elif token == "[":
            self._array(place, path)
        elif token[0] == '"':
            self._checkText(token, place, path)

    def _array(self, place: Place, path: tuple[Step, ...]) -> None:
        index = 0
        for match in self._tokens:
            if match[0] == "]":
                return
            if match[0] != ",":
                inner = place.items[index] = self._place(match)
                self._inside(match[0], inner, (*path, index))
                index += 1

    def _object(self, place: Place, path: tuple[Step, ...]) -> None:
        for match in self._tokens:
            if match[0] == "}":
                return
            if match[0] == ",":
                continue
            key, inner = json.loads(match[0]), self._place(match)
            self._checkText(match[0], inner, path)
            if key in place.items:
                first = lineOf(place.items[key])
                self.problems.append(
                    Problem(self.source, inner.line, inner.column, pathText((*path, key)),
                            f"given twice; the first is in line {first}")
                )
            place.items[key] = inner
            next(self._tokens)  # the colon
            self._inside(next(self._tokens)[0], inner, (*path, key))
