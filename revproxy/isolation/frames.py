"""
What the edge and a locked process say to each other over one stream.

A frame is its length (four bytes, little-endian) and one of these as MessagePack arrays. The edge calls::

    edge                                                    process
      Load ──────────────────────────────────────────────▶  import, PluginMain(config)
      ◀──────────────────────────────────────────── Loaded  (or Failed 0)
      Step(1, "start") ──────────────────────────────────▶
      ◀──────────────────────────────────────────── Done 1
      Call(2, "handle", request 7) ──────────────────────▶
      ◀───────────────────────────────────────── Waiting 2  its code waits for something; the next call may begin
      ◀────────────────────────────── ReadBody(1, request 7)  the process asks; its numbers are its own
      Reply 1 ───────────────────────────────────────────▶
      ◀──────────────────────────────────────── Answered 2  with what it has changed
      Over 7 ────────────────────────────────────────────▶  the request is over

One answer comes for each `Load`, `Step`, `Call`, `Filter` and `Pull`, or `Failed` with the same number; most calls
change nothing, and are answered with `Unchanged`. What comes from the process is hostile input: `decodeUp` checks types
and lengths, and whoever takes a frame checks all else, above all that its number is one that waits. Fields may be added
at the end of a frame, with a default.

A long file: all that is said stands in one place, so that whoever looks for a hole looks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Annotated, ClassVar, Final, Literal

import msgspec

MOST_DOWN: Final = 64 << 20
"""Bytes of one frame to the process."""

MOST_UP: Final = 17 << 20
"""Bytes of one frame from the process, bodies included; a longer one is the end of the process."""

Phase = Literal["handle", "handleResponse", "finished"]
StepName = Literal[
    "validateConfig", "attach", "start", "stop", "checkHealth", "updateConfig", "exportState", "importState"
]

Fields = tuple[tuple[bytes, bytes], ...]
"""Header fields as on the wire: name and value, in order."""

Changed = tuple[tuple[bytes, Fields], ...]
"""By its name in lower case, all fields of that name that there are to be; none: it was deleted."""

MOST_IN_LIST: Final = 1024
"""Things in a list from the process. What is looked at with more care allows fewer; to make millions takes long."""

_Short = Annotated[bytes, msgspec.Meta(max_length=65536)]
_Text = Annotated[str, msgspec.Meta(max_length=65536)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Few = msgspec.Meta(max_length=MOST_IN_LIST)
_UpFields = Annotated[Fields, _Few]
_UpChanged = Annotated[tuple[tuple[_Short, _UpFields], ...], _Few]
_Interim = Annotated[tuple[tuple[int, _UpFields], ...], msgspec.Meta(max_length=64)]


class Frame(msgspec.Struct, frozen=True, array_like=True, tag=True, omit_defaults=True):
    """Anything that is said."""


class RequestHead(msgspec.Struct, frozen=True, array_like=True):
    """
    A request, as far as the plugin may see it.

    :ivar target: without the query, unless it may see that.
    :ivar host: empty if it may not see it.
    :ivar peer: host, port, and who is connected; empty if it may not see them.
    :ivar length: bytes of the body; -1: not known; None: there is none, or it may not be read.
    """

    method: bytes
    target: bytes
    host: bytes
    scheme: str
    version: str
    fields: Fields
    peer: tuple[str, int, str]
    length: int | None
    id: str
    route: str
    upstream: str | None


class ResponseHead(msgspec.Struct, frozen=True, array_like=True):
    """
    An answer, as far as the plugin may see it.

    :ivar length: as of `RequestHead`.
    """

    status: int
    reason: bytes | None
    fields: Fields
    length: int | None


class OutcomeSeen(msgspec.Struct, frozen=True, array_like=True):
    """As `revproxy.context.Outcome`; ``error`` is its text."""

    status: int
    bytesIn: int
    bytesOut: int
    seconds: float
    upstream: str | None
    upstreamSeconds: float | None
    interruptedBy: str | None
    error: str | None


# To the process


class Load(Frame, frozen=True):
    """
    Become this plugin: said once, first of all.

    :ivar directory: what tracebacks call its place.
    :ivar files: of its bundle, by path.
    :ivar libraries: of distributions that it depends on and does not bring: by the distribution's name, files by path.
    :ivar config: as JSON.
    :ivar permissions: as JSON, as `revproxy.permissions.Permissions.asDict` has them.
    :ivar bodyBytes: the most of a body that it may hold.
    """

    name: str
    version: str
    digest: str
    directory: str
    entryPoint: str
    files: dict[str, bytes]
    libraries: dict[str, dict[str, bytes]]
    config: bytes
    permissions: bytes
    bodyBytes: int


class Step(Frame, frozen=True):
    """
    Outside of requests: a step of its life.

    :ivar argument: as JSON: a configuration, or a state with the version that it is of: ``[state, version]``.
    """

    number: int
    step: StepName
    argument: bytes = b"null"


class Call(Frame, frozen=True):
    """
    A request comes to it, or an answer, or the end.

    :ivar request: the same number for all calls of one request.
    :ivar head: None if this process has had it, and it is still so.
    :ivar values: ``context.values``, as MessagePack: what of it is plain data, and has changed since it was told last,
        with None for what is gone.
    :ivar targets: by the name of an upstream that the plugin may choose, the URLs of its targets, and whether each is
        available; None: as they were told last, with any call.
    """

    number: int
    request: int
    phase: Phase
    head: RequestHead | None
    response: ResponseHead | None = None
    values: bytes = b""
    outcome: OutcomeSeen | None = None
    targets: dict[str, tuple[tuple[str, bool], ...]] | None = None


class Cancel(Frame, frozen=True):
    """Nobody waits for the answer to this number any more. None comes."""

    number: int


class Over(Frame, frozen=True):
    """The request is over, and will not be heard of again."""

    request: int


class Filter(Frame, frozen=True):
    """
    A piece of a body passes the filters that the plugin has added to it.

    :ivar isResponse: whose body.
    """

    number: int
    request: int
    isResponse: bool
    data: bytes
    isLast: bool


class Pull(Frame, frozen=True):
    """The next piece of the answer that the plugin makes piece by piece; ``ends``: it is not wanted, and is closed."""

    number: int
    request: int
    ends: bool = False


class Reply(Frame, frozen=True):
    """
    What the process has asked for.

    :ivar value: bytes of a body; MessagePack of everything else.
    :ivar kind: of the error, if it failed: a class of `revproxy.errors` or of Python; then ``text`` says why.
    """

    number: int
    value: bytes = b""
    kind: str = ""
    text: str = ""


# From the process


class Loaded(Frame, frozen=True):
    """
    It is what it was to become.

    :ivar interfaces: names of the interfaces in `revproxy.interfaces` that its middleware provides.
    """

    interfaces: Annotated[tuple[_Text, ...], _Few]
    number: ClassVar[int] = 0


class Failed(Frame, frozen=True):
    """
    What a number asked for has raised.

    :ivar number: 0: of `Load`.
    :ivar stage: of `Load`: ``import``, ``main``; else empty.
    :ivar kind: the name of its class; ``text``: in one line.
    :ivar where: ``FILE:LINE`` of the plugin's code, or empty.
    :ivar status: of a `revproxy.errors.Refused`, with which the plugin answers by that; 0: it is none. Then ``fields``
        and ``body`` are the rest of its answer.
    """

    number: _Number
    stage: _Text
    kind: _Text
    text: _Text
    where: _Text = ""
    traceback: _Text = ""
    status: int = 0
    fields: _UpFields = ()
    body: bytes = b""


class Waiting(Frame, frozen=True):
    """
    Its code waits for something: it does not hold the process any more. Said once more when there are further 1xx
    answers.

    :ivar informational: 1xx answers that go before, which `Answered` does not tell again.
    """

    number: _Number
    informational: _Interim = ()


class BodyChanged(msgspec.Struct, frozen=True, array_like=True):
    """
    What the plugin has done with a body.

    :ivar replaced: what stands in its place; None: it was not replaced.
    :ivar isFiltered: whether pieces are to pass its filters.
    """

    replaced: bytes | None = None
    isFiltered: bool = False


class NewResponse(msgspec.Struct, frozen=True, array_like=True):
    """
    An answer that the plugin has made.

    :ivar body: None: it is pulled piece by piece.
    """

    status: int
    reason: _Short | None
    fields: _UpFields
    body: bytes | None


class Answered(Frame, frozen=True):
    """
    What a plugin has answered, and what it has changed.

    :ivar verdict: of ``handle``: whether the request goes on.
    :ivar fields: of the request that were changed; ``responseFields``: of the answer. What the plugin may set and not
        read it may also delete, without seeing whether there is any: then its name is here, with no field.
    :ivar method, target, host: None: as it was.
    :ivar upstream: the name it has chosen; empty: none. ``origin``: likewise.
    :ivar status, reason: of the answer that is there; None: as it was.
    :ivar response: another answer in its place.
    :ivar values: ``context.values`` as MessagePack: what was changed of it, with None for what is gone; empty: nothing.
    :ivar logged: ``context.fields``.
    :ivar informational: 1xx answers that go before, and were not told with `Waiting`.
    """

    number: _Number
    verdict: bool | None = None
    fields: _UpChanged = ()
    method: _Short | None = None
    target: _Short | None = None
    host: _Short | None = None
    body: BodyChanged | None = None
    upstream: _Text | None = None
    origin: _Text | None = None
    reroutes: bool = False
    response: NewResponse | None = None
    status: int | None = None
    reason: _Short | None = None
    responseFields: _UpChanged = ()
    responseBody: BodyChanged | None = None
    values: bytes = b""
    logged: Annotated[dict[str, str | int | float | bool | None], _Few] = {}
    id: _Text | None = None
    informational: _Interim = ()

    @property
    def isWhole(self) -> bool:
        """
        Whether nothing follows: no filter and no pieces. For a plugin that hears neither of answers nor of ends the
        request is over with such an answer to ``handle``, and no `Over` is said.
        """
        made = self.response
        return self.body is None and self.responseBody is None and (made is None or made.body is not None)


class Unchanged(Frame, frozen=True):
    """
    As `Answered`, where nothing was changed.

    :ivar verdict, isWhole: as there.
    """

    isWhole: ClassVar[bool] = True
    number: _Number
    verdict: bool | None = None


class Done(Frame, frozen=True):
    """
    A step was taken.

    :ivar value: as JSON: the state that was exported.
    """

    number: _Number
    value: bytes = b"null"


class Piece(Frame, frozen=True):
    """
    What came out of filters, or the next piece of an answer.

    :ivar isLast: of an answer: there is no further one.
    """

    number: _Number
    data: bytes
    isLast: bool = False


class ReadBody(Frame, frozen=True):
    """The plugin wants a body, whole. The `Reply` is its bytes."""

    number: _Number
    request: _Number
    isResponse: bool
    limit: _Number


class SendRequest(Frame, frozen=True):
    """
    The plugin wants to ask an upstream. The `Reply` is ``[status, reason, fields, body]``.

    :ivar request: during which it does; 0: outside of any.
    :ivar upstream: its name, which is the host of the URL.
    """

    number: _Number
    request: _Number
    method: _Short
    upstream: _Text
    target: _Short
    fields: _UpFields
    body: bytes
    timeout: float | None = None


class UseStore(Frame, frozen=True):
    """The plugin wants its store. The `Reply` is MessagePack of what it gives."""

    number: _Number
    action: Literal["get", "set", "delete", "keys"]
    key: _Text
    value: bytes = b""


class Logged(Frame, frozen=True):
    """
    A line for the log.

    :ivar level: as of twisted.logger.
    :ivar namespace: empty: the plugin's own; else the name of a logger of the standard library.
    """

    level: Literal["debug", "info", "warn", "error", "critical"]
    text: _Text
    namespace: _Text = ""
    traceback: _Text = ""


_Series = tuple[Annotated[tuple[_Text, ...], _Few], Annotated[tuple[float, ...], _Few]]


class FigureCounted(msgspec.Struct, frozen=True, array_like=True):
    """
    What one figure has counted since it was told last.

    :ivar bounds: of a histogram; empty: it is a counter.
    :ivar series: by the values of the labels: of a counter ``(sum,)``; of a histogram the sum, and then how many in
        each bucket, the last without bound.
    """

    name: _Text
    description: _Text
    labels: Annotated[tuple[_Text, ...], _Few]
    bounds: Annotated[tuple[float, ...], _Few]
    series: Annotated[tuple[_Series, ...], _Few]


class Counted(Frame, frozen=True):
    """What its figures have counted."""

    figures: Annotated[tuple[FigureCounted, ...], msgspec.Meta(max_length=64)]


class FailedOutside(Frame, frozen=True):
    """Its code has failed outside of calls: in a timer, or in what nobody waits for. As `Failed`."""

    kind: _Text
    text: _Text
    function: _Text
    where: _Text = ""
    traceback: _Text = ""


Down = Load | Step | Call | Cancel | Over | Filter | Pull | Reply
Up = (
    Loaded
    | Failed
    | Waiting
    | Answered
    | Unchanged
    | Done
    | Piece
    | ReadBody
    | SendRequest
    | UseStore
    | Logged
    | Counted
    | FailedOutside
)

ANSWERS: Final = frozenset((Loaded, Failed, Answered, Unchanged, Done, Piece))
"""What ends the wait for a number."""

_LENGTH: Final = Struct("<I")
_encoder = msgspec.msgpack.Encoder()
_downDecoder: msgspec.msgpack.Decoder[Down] = msgspec.msgpack.Decoder(Down)
_upDecoder: msgspec.msgpack.Decoder[Up] = msgspec.msgpack.Decoder(Up)
_UNDECODED: Final = (ValueError, RecursionError, OverflowError)
"""Those of msgspec, and text that is not UTF-8."""


class BrokenStream(Exception):
    """What came is no frame: its length is beyond all bounds, or it does not decode."""


def encode(frame: Down | Up) -> bytes:
    """:returns: a frame with its length."""
    data = _encoder.encode(frame)
    return _LENGTH.pack(len(data)) + data


class FrameReader:
    """
    Cuts a stream into frames.

    :param most: bytes of one frame.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        Some bytes have come.

        :returns: the frames that are whole, without their lengths.
        :raises BrokenStream: one is longer than may be.
        """
        held = self._held
        source: bytes | bytearray = data
        if held:
            held += data
            source = held
        at, end = 0, len(source)
        while end - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(source, at)
            if length > self._most:
                raise BrokenStream(f"a frame of {length} bytes, and {self._most} are the most")
            if end - at - _LENGTH.size < length:
                break
            at += _LENGTH.size
            yield bytes(source[at : at + length])
            at += length
        if source is held:
            del held[:at]
        else:
            held += source[at:]


def decodeDown(data: bytes) -> Down:
    """:raises BrokenStream: it is none of the frames to a process."""
    try:
        return _downDecoder.decode(data)
    except _UNDECODED as error:
        raise BrokenStream(f"no frame: {error}") from None


def decodeUp(data: bytes) -> Up:
    """:raises BrokenStream: it is none of the frames from a process."""
    try:
        return _upDecoder.decode(data)
    except _UNDECODED as error:
        raise BrokenStream(f"no frame: {error}") from None
