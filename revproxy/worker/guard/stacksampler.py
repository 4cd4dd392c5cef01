"""
Whose code is on a stack, and for how long it has been.

A sample costs those nothing whose stack it is: no call is announced when it begins. Instead, each sample is compared
with the one before. That takes some care: a plugin that is on the stack in two samples may have been called a thousand
times in between. A call is told from the next by its frame: while somebody refers to it, no other frame is the same
object. Frames of coroutines and generators live on between two resumptions, so for these it is the frame of the plain
function that resumed them. A sample refers to two frames, until the next is taken.

Time is charged to the innermost plugin on the stack: what it calls that is nobody's, a library, or ours, is its own
doing; the plugins further out wait. Its call is the outermost one of it on the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from operator import itemgetter
from types import FrameType

from revproxy.loading.tracebacks import plainFile

_RESUMED = CO_ASYNC_GENERATOR | CO_COROUTINE | CO_GENERATOR
_OURS = ("revproxy.", "twisted.")


@dataclass(frozen=True, slots=True)
class Culprit:
    """
    Whose code a module is.

    :ivar plugin: the name.
    :ivar version: as text.
    :ivar limit: seconds one call may hold the reactor before it is ended, or None: never.
    :ivar key: what tells one culprit from another, and the caller what it is.
    """

    plugin: str
    version: str
    limit: float | None
    key: object


Identify = Callable[[str], Culprit | None]
"""
Gives the culprit for a module's name, or None.

It is called from a signal handler and from a thread: one access to a dictionary, without locks, log or waiting.
"""


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a stack stands.

    :ivar culprit: the innermost plugin on it, or None.
    :ivar where: ``FILE:LINE`` in the code of that plugin; without one, of the innermost frame.
    :ivar function: its qualified name.
    :ivar within: whether the plugin has called into the edge or Twisted: no good place to raise anything.
    """

    culprit: Culprit | None
    where: str
    function: str
    within: bool


class Call:
    """
    A call of a plugin, seen on the stack.

    :ivar since: since when at the latest; of the same clock as all times here.
    :ivar seen: when it was seen last.
    :ivar samples: in how many samples.
    :ivar place: where, last.
    :ivar culprit: whose it is.
    :ivar ended: whether an exception was raised in it.
    """

    __slots__ = ("culprit", "ended", "place", "samples", "seen", "since")

    def __init__(self, culprit: Culprit, place: Place, since: float) -> None:
        self.culprit = culprit
        self.place = place
        self.since = self.seen = since
        self.samples = 0
        self.ended = False

    @property
    def seconds(self) -> float:
        """How long it was on the stack at least."""
        return self.seen - self.since


def place(frame: FrameType, identify: Identify) -> Place:
    """Where a stack stands, by its innermost frame."""
    return _innermost(frame, identify)[0]


class StackSamples:
    """
    What was seen of one turn of the reactor, by samples in order of time.

    :ivar calls: those that are over, as far as they matter: the ended ones, and the longest of the others.
    """

    __slots__ = ("_anchor", "_call", "_entry", "_identify", "_places", "calls")

    def __init__(self, identify: Identify) -> None:
        self._identify = identify
        self._call: Call | None = None
        self._entry: FrameType | None = None
        self._anchor: FrameType | None = None
        self.calls: list[Call] = []
        self._places: dict[str, tuple[int, Place]] = {}

    @property
    def usual(self) -> Place | None:
        """Where the stack stood in most samples; None if there was none."""
        return max(self._places.values(), key=itemgetter(0))[1] if self._places else None

    def take(self, frame: FrameType, now: float, since: float, lost: float = 0.0) -> Call | None:
        """
        Take a sample: what is on the stack now.

        :param frame: the innermost frame.
        :param now: seconds, monotonic.
        :param since: since when that frame is known to run without a break; ``now`` if nothing is known.
        :param lost: seconds since the sample before in which the process did not run, and nobody held anything.
        :returns: the plugin's call that runs, or None.
        """
        here, own = _innermost(frame, self._identify)
        # By function, of which there are only so many.
        self._places[here.function] = self._places.get(here.function, (0, here))[0] + 1, here
        culprit = here.culprit
        if culprit is None or own is None:
            self.close()
            return None
        entry = self._outermost(own, culprit)
        anchor = _plain(entry)
        call = self._call
        if call is None or self._entry is not entry or self._anchor is not anchor:
            self.close()
            call = self._call = Call(culprit, here, since)
            self._entry, self._anchor = entry, anchor
        elif lost:
            call.since += lost
        call.culprit = culprit
        call.place = here
        call.seen = now
        call.samples += 1
        return call

    def close(self) -> None:
        """The call that was seen last is over."""
        call, self._call = self._call, None
        self._entry = self._anchor = None
        if call is None:
            return
        for other in self.calls:
            if not other.ended and not call.ended:
                if other.seconds < call.seconds:
                    self.calls.remove(other)
                    break
                return
        self.calls.append(call)

    def _outermost(self, own: FrameType, culprit: Culprit) -> FrameType:
        """The outermost frame on the stack of the same culprit."""
        entry = own
        isTheirs: dict[str, bool] = {}
        frame = own.f_back
        while frame is not None:
            name = _module(frame)
            if name not in isTheirs:
                found = self._identify(name)
                isTheirs[name] = found is not None and found.key == culprit.key
            if isTheirs[name]:
                entry = frame
            frame = frame.f_back
        return entry


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def _innermost(frame: FrameType, identify: Identify) -> tuple[Place, FrameType | None]:
    """Where a stack stands, and the innermost frame of a plugin on it."""
    within = False
    own: FrameType | None = frame
    while own is not None:
        name = _module(own)
        culprit = identify(name)
        if culprit is not None:
            return _placed(own, culprit, within), own
        within = within or name.startswith(_OURS)
        own = own.f_back
    return _placed(frame, None, False), None


def _placed(frame: FrameType, culprit: Culprit | None, within: bool) -> Place:
    code = frame.f_code
    return Place(culprit, f"{plainFile(code.co_filename)}:{frame.f_lineno}", code.co_qualname, within)


def _plain(frame: FrameType) -> FrameType:
    """The frame, or if it can be resumed, that of the function that has done so."""
    outer: FrameType | None = frame
    while outer is not None and outer.f_code.co_flags & _RESUMED:
        frame = outer
        outer = outer.f_back
    return outer or frame
