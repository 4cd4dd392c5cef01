"""
The words of the border: all that control says to a worker, and all that a worker says to control.

Down, a change goes in three steps. ``Prepare`` makes everything ready that requests do not see; ``Ready`` does what
comes last before the swap, and from its answer on the swap must follow at once; ``Commit`` is the swap, and cannot
fail. ``Abandon`` gives up what was prepared. A ``Prepare`` of the same transaction takes the place of the one before,
and keeps what of it still serves::

    control                                            worker
      Prepare(7, plan) ───────────────────────────────▶  instances made and started, ports bound, files opened
      ◀─────────────────────────── Answer(7, "prepare")
      Ready(7) ───────────────────────────────────────▶  state handed over, configurations taken in place
      ◀───────────────────────────── Answer(7, "ready")
      Commit(7) ──────────────────────────────────────▶  the next request goes through the new generation
      ◀──────────────────────────── Answer(7, "commit")

Everything else goes up by itself, as it happens; `Records` of requests some hundreds at a time, `Counters` each second
and when they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from revproxy.plan.catalog import BrokenModule, BrokenPlugin, CatalogEntry
from revproxy.plan.counted import (
    AttemptSeries,
    ConnectionNow,
    EdgeCounters,
    HostCount,
    OwnFigure,
    PluginNow,
    ProcessNow,
    RequestSeries,
    RouteNow,
    TargetNow,
    ThreadFigures,
    VersionCounters,
)
from revproxy.plan.evidence import TrialEvidence, TrialPairs
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal
from revproxy.plan.versionid import UNKNOWN, VersionId

Step = Literal["prepare", "ready", "commit", "abandon"]
"""The steps of a transaction."""


class Word(msgspec.Struct, frozen=True, tag=True):
    """Anything that is said."""


# Down


class Prepare(Word, frozen=True):
    """
    Make a plan ready; requests see nothing of it yet.

    :ivar transaction: counts up from 1; one is under way at a time.
    :ivar starts: whether instances are started. False before the loop runs: then they are only made, and another
        `Prepare` of the same plan starts them once it does.
    :ivar withoutState: a handover of state that fails does not refuse the change.
    :ivar isRescue: somebody waits for the change because a plugin hangs. That one's ``stop`` may hold the loop, and is
        called when the change has been told.
    """

    transaction: int
    plan: Plan
    starts: bool = True
    withoutState: bool = False
    isRescue: bool = False


class Ready(Word, frozen=True):
    """Do what comes last before the swap."""

    transaction: int


class Commit(Word, frozen=True):
    """Swap."""

    transaction: int


class Abandon(Word, frozen=True):
    """Give up what was prepared; all is as it was."""

    transaction: int


class Target(Word, frozen=True):
    """
    Take a target of an upstream out of service for new requests, or put it back; and weigh it. It holds until another
    one of the same target is said, also in plans that come later.

    :ivar url: of the target, as it is configured.
    :ivar weight: None: as it is configured.
    """

    upstream: str
    url: str
    inService: bool
    weight: int | None = None


class Readiness(Word, frozen=True):
    """
    Whether the edge as a whole is ready for requests, for clients that ask; it is not before this is said first.
    """

    isReady: bool


class Ask(Word, frozen=True):
    """
    Tell something now.

    :ivar number: comes back with the answer.
    """

    number: int
    what: Literal["counters", "connections"] = "counters"


class Rehearse(Word, frozen=True):
    """
    Say what would become of a request. No origin hears of it, and it is not counted.

    :ivar number: comes back with the answer.
    :ivar host: as in the Host field.
    :ivar headers: further fields: names and values.
    :ivar client: the address that it comes from.
    :ivar serverName: that the TLS handshake was for; empty for none.
    :ivar plugins: whether the plugins are run; else the chain is only looked up.
    """

    number: int
    method: str
    target: str
    host: str
    scheme: Literal["http", "https"]
    headers: tuple[tuple[str, str], ...] = ()
    client: str = "127.0.0.1"
    serverName: str = ""
    plugins: bool = False


class Record(Word, frozen=True):
    """
    Take down requests, with what each plugin does in them; or end that.

    :ivar recording: names it; the same as in each `Recorded`.
    :ivar routes: the names of those whose requests are meant; empty: all.
    :ivar share: of them, above 0 and up to 1; 0: it ends.
    :ivar bodyBytes: of each body that are taken down at most.
    """

    recording: str
    routes: tuple[str, ...] = ()
    share: float = 0.0
    bodyBytes: int = 65536


# Up


class DropIns(Word, frozen=True):
    """
    What is installed with Python: said once, first of all.

    :ivar entries: those that can be used.
    :ivar broken: those whose manifest will not do.
    :ivar modules: those that cannot be imported.
    """

    entries: tuple[CatalogEntry, ...] = ()
    broken: tuple[BrokenPlugin, ...] = ()
    modules: tuple[BrokenModule, ...] = ()


class Answer(Word, frozen=True):
    """
    A step was done, or refused.

    :ivar refusals: why; empty if it was done.
    """

    transaction: int
    step: Step
    refusals: tuple[Refusal, ...] = ()

    @property
    def isAccepted(self) -> bool:
        """Whether it was done."""
        return not self.refusals


class LastFailure(msgspec.Struct, frozen=True):
    """
    A failure of a plugin's code while it ran.

    :ivar at: seconds since the epoch.
    :ivar message: the exception, in one line.
    :ivar function: of the plugin's, which the edge had called; empty where it was the edge that complained: of an
        answer that was none, or did not come.
    :ivar where: ``FILE:LINE`` of the plugin's code.
    :ivar traceback: from that function on; its beginning and its end if it is long.
    """

    at: float
    message: str
    function: str = ""
    where: str = ""
    traceback: str = ""


class Failures(Word, frozen=True):
    """
    Calls of a plugin failed while it ran.

    :ivar count: how many more; 0 if it was a probe's.
    :ivar calls: how many calls there were until now, in this worker, since the version began to run there.
    :ivar last: the last of them; None if many fail, and only some are described.
    """

    plugin: str
    version: VersionId
    count: int
    calls: int
    last: LastFailure | None = None


class Stalled(Word, frozen=True):
    """
    The loop was held, and turns again.

    :ivar plugin: whose call did it; empty if it was no plugin's.
    :ivar function: what held it; ``where``: ``FILE:LINE``.
    :ivar seconds: for how long.
    :ivar ended: whether the call was ended by the guard.
    :ivar isProbe: whether every instance of the version has a gate before it.
    """

    plugin: str
    version: VersionId
    function: str
    where: str
    seconds: float
    ended: bool
    isProbe: bool = False


class Restored(Word, frozen=True):
    """
    A plugin in quarantine has passed its probes.

    :ivar remaining: how many of its instances have not, yet.
    """

    plugin: str
    version: VersionId
    remaining: int = 0


class Remains(Word, frozen=True):
    """
    A version that ended is still in memory.

    :ivar seconds: since it ended.
    :ivar kinds: what of it: ``"module globals"``, ``"class"``, ``"instance"``.
    :ivar holders: who seems to keep it, in words; the likeliest first.
    """

    plugin: str
    version: VersionId
    seconds: float
    kinds: tuple[str, ...]
    holders: tuple[str, ...]


class Counters(Word, frozen=True, omit_defaults=True):
    """
    What was counted since it was told last.

    :ivar retired: by plugin, how many versions no longer run and still exist; those without any are not in it.
    :ivar asked: the number of the `Ask` that this answers; 0: none.
    :ivar gated: plugins with a gate before an instance, in the order of their names.
    :ivar threads: of plugins whose threads have anything to tell.
    :ivar figures: of plugins, what their own figures have counted.
    :ivar requests: that are over; ``attempts``: those of them that went to a target; ``hosts``: the busiest.
    :ivar plugins: that have answers awaited now; those without any are not in it. So it is with ``routes``.
    :ivar targets: that have changed since they were told last.
    :ivar edge: what happened at the listeners; None: nothing new.
    :ivar process: what this worker's takes; None if nobody counts.
    """

    versions: tuple[VersionCounters, ...] = ()
    retired: Mapping[str, int] = {}
    asked: int = 0
    gated: tuple[str, ...] = ()
    threads: tuple[ThreadFigures, ...] = ()
    figures: tuple[OwnFigure, ...] = ()
    requests: tuple[RequestSeries, ...] = ()
    attempts: tuple[AttemptSeries, ...] = ()
    hosts: tuple[HostCount, ...] = ()
    plugins: tuple[PluginNow, ...] = ()
    routes: tuple[RouteNow, ...] = ()
    targets: tuple[TargetNow, ...] = ()
    edge: EdgeCounters | None = None
    process: ProcessNow | None = None


class Connections(Word, frozen=True):
    """
    The connections of clients, as they are now.

    :ivar asked: the number of the `Ask` that this answers.
    :ivar count: how many there are.
    :ivar items: some of them: first those with requests, the oldest of these first; a thousand at most.
    """

    asked: int
    count: int
    items: tuple[ConnectionNow, ...]


class Records(Word, frozen=True):
    """
    Requests that are over.

    :ivar batch: their `revproxy.requestrecord.RequestRecord`, in MessagePack: an array of arrays. Nobody decodes it
        before somebody asks.
    :ivar count: how many; some hundreds at most.
    :ivar dropped: how many there were besides, since the last of these words, of which no record could be made.
    """

    batch: bytes
    count: int
    dropped: int = 0


class Rehearsed(Word, frozen=True):
    """
    What would become of a request.

    :ivar asked: the number of the `Rehearse` that this answers.
    :ivar plan: the number of the plan that it was tried with.
    :ivar record: its `revproxy.requestrecord.RequestRecord`, as MessagePack; empty if there is none.
    :ivar reached: whether it would be sent on, or answered by its route.
    :ivar refused: why there is no record: what was asked is no request, or there are too many of these at once.
    :ivar status: that it would be answered with; of one that would be sent on it is 200, and says nothing.
    :ivar methods: those that its route takes; empty: all, or there is none.
    :ivar isOverdue: whether the plugins did not come to an end in time.
    """

    asked: int
    plan: int
    record: bytes = b""
    reached: bool = False
    refused: str = ""
    status: int = 0
    methods: tuple[str, ...] = ()
    isOverdue: bool = False


class Evidence(Word, frozen=True):
    """
    What versions on trial have shown: each second, where there is anything new.

    :ivar at: when, in seconds since the epoch.
    """

    at: float
    trials: tuple[TrialEvidence, ...] = ()
    pairs: tuple[TrialPairs, ...] = ()


class Recorded(Word, frozen=True):
    """
    Requests that were taken down.

    :ivar batch: their `revproxy.replay.recordedrequest.RecordedRequest`, in MessagePack: an array.
    :ivar count: how many.
    :ivar dropped: how many there were besides, for which there was no room.
    """

    recording: str
    batch: bytes
    count: int
    dropped: int = 0


class TargetChanged(Word, frozen=True):
    """
    A target is passed over from now on, or no longer; or has failed once more when it was tried again.

    :ivar reason: of the failure that did it; empty when it answers again. If it is up for another reason, that one:
        nothing is held against a target whose upstream is made anew.
    """

    upstream: str
    url: str
    isUp: bool
    reason: str = ""


class CertificateFacts(msgspec.Struct, frozen=True):
    """
    A certificate that a listener has.

    :ivar path: the file it was read from.
    :ivar fingerprint: SHA-256 of it, in hexadecimal digits.
    :ivar names: the hosts that it is for; ``serves``: those that are shown it, which may be fewer, as another is
        preferred, or others.
    :ivar isDefault: whether clients are shown it that ask for no host, or for one that none is for.
    :ivar subject: as RFC 4514 writes it, as is ``issuer``; ``chain``: the subjects of the certificates behind it.
    :ivar serial: in hexadecimal digits.
    :ivar begins: when all of the chain are valid, in seconds since the epoch; ``expires``: when the first ends.
    """

    path: str
    fingerprint: str
    names: tuple[str, ...]
    serves: tuple[str, ...]
    isDefault: bool
    subject: str
    issuer: str
    chain: tuple[str, ...]
    serial: str
    begins: float
    expires: float


class CertificateState(Word, frozen=True):
    """
    The certificates of a listener were read.

    :ivar place: the folder, or the file.
    :ivar names: the hosts they serve.
    :ivar expires: when the first of them ends, in seconds since the epoch; None if there is none.
    :ivar problems: what could not be used, each beginning with its path.
    :ivar isKept: whether nothing could be used, and what was there before serves on.
    :ivar certificates: all that can be used.
    """

    endpoint: str
    place: str
    names: tuple[str, ...]
    expires: float | None
    problems: tuple[str, ...] = ()
    isKept: bool = False
    certificates: tuple[CertificateFacts, ...] = ()


class Notice(Word, frozen=True):
    """
    Something happened that people may want to know; see `revproxy.plan.events.Event`.
    """

    kind: str
    text: str
    plugin: str = ""
    version: VersionId = UNKNOWN
    traceback: str = ""


class Locking(Word, frozen=True):
    """
    How well processes can be locked on this machine: said when the first one is needed, and when it has changed.

    :ivar level: ``"A"``, ``"B"`` or ``"C"``; None: not even so well that one may be used.
    :ivar layers: each layer, with why it is not there; empty text: it is.
    """

    level: Literal["A", "B", "C"] | None
    layers: dict[str, str]


Down = Prepare | Ready | Commit | Abandon | Target | Readiness | Ask | Rehearse | Record
Up = (
    DropIns
    | Answer
    | Failures
    | Stalled
    | Restored
    | Remains
    | Counters
    | Connections
    | Records
    | Rehearsed
    | TargetChanged
    | CertificateState
    | Notice
    | Locking
    | Evidence
    | Recorded
)
