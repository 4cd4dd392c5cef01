"""Where the values of a text stand, as `yamlreader` and `jsonreader` find them."""

from __future__ import annotations

import re

from revproxy.config.problems import Step

MAX_DEPTH = 50
"""How deep values may be nested."""

SURROGATE = re.compile("[\ud800-\udfff]")
"""What UTF-8 cannot encode: half of a pair, or a pair that was escaped in two halves."""


class Place:
    """
    Where one value stands, and the places of what is in it. An entry of a mapping stands where its key does.

    :ivar items: by key or index; of values with nothing in them only line and column: there may be a hundred thousand,
        and the garbage collector does not walk pairs of numbers again and again.
    :ivar count: values in it, itself included.
    :ivar depth: how deep values are nested in it, itself included.
    """

    __slots__ = ("column", "count", "depth", "items", "line")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column
        self.items: dict[Step, Place | tuple[int, int]] = {}
        self.count = 1
        self.depth = 1


def lineOf(place: Place | tuple[int, int]) -> int:
    """The line of an item of `Place.items`."""
    return place.line if isinstance(place, Place) else place[0]
