"""
What somebody asks for beyond what the files say, and what became of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from revproxy.config.settings import Config
from revproxy.control.actor import FILES, Actor
from revproxy.control.planning.ongoing import Move
from revproxy.control.state.records import PluginRecords
from revproxy.plan.catalog import Catalog
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal


class ChangeRefused(Exception):
    """
    A change that somebody asked for was not made.

    :ivar refusals: why.
    """

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__("\n".join(refusal.message for refusal in refusals))
        self.refusals = refusals


class Edit(Protocol):
    """
    Another text for the configuration file, which is written with the change, or not at all.

    :ivar config: what it says.
    :ivar text: itself.
    """

    config: Config
    text: str

    def begin(self) -> None:
        """It is to be written, also if it was given up before."""

    def write(self) -> None:
        """Put it into the file. Blocks. :raises ChangeRefused: it cannot be, or the file is another one by now."""

    def undo(self) -> None:
        """Put back what was there, unless somebody has written since. Blocks. :raises OSError: it cannot be."""

    def giveUp(self) -> bool:
        """Nobody waits for it any more: what is not written yet will not stay. :returns: False if it was written."""


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """
    What a transaction is to do beyond reading the files.

    :ivar plugin: whose change this is; if that one fails, nothing is changed.
    :ivar mutate: the records, and what is in the folders, to the records as they are to be; may raise `ChangeRefused`.
    :ivar force: try again what failed before.
    :ivar reads: read plugins and configuration also where they are not watched (``plugins.watch``).
    :ivar withoutState: replace plugins also where their state cannot be handed over.
    :ivar gate: a plugin whose instances are to have gates before them from now on; empty: none.
    :ivar lift: a plugin whose gates are to go; empty: none.
    :ivar isRescue: it is made of what runs, not of what the files hold now, and goes before every other change.
    :ivar actor: who asks for it.
    :ivar action: what it is called where changes are shown, such as ``disable``; empty: the files have changed.
    :ivar reason: why, in the words of whoever asks.
    :ivar subject: what it is about, where changes are shown, if that is no plugin's own change.
    :ivar edit: what the configuration file is to say; if that is refused, nothing is changed.
    :ivar isWhole: whatever of it is refused, nothing is changed.
    :ivar isTrial: prepare it and say what it would do, and then change nothing.
    :ivar rollout: what is asked for of a rollout. It is made of what runs, as a rescue is.
    """

    plugin: str = ""
    mutate: Callable[[PluginRecords, Catalog], PluginRecords] | None = None
    force: bool = False
    reads: bool = False
    withoutState: bool = False
    gate: str = ""
    lift: str = ""
    isRescue: bool = False
    actor: Actor = FILES
    action: str = ""
    reason: str = ""
    subject: str = ""
    edit: Edit | None = None
    isWhole: bool = False
    isTrial: bool = False
    rollout: Move | None = None

    @property
    def isOfWhatRuns(self) -> bool:
        """Whether it is made without a look at the files."""
        return self.isRescue or self.rollout is not None


NOTHING_ASKED = ChangeRequest()
"""To read the files, and no more."""


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """
    What a transaction did.

    :ivar text: a line for each thing that has changed.
    :ivar refused: what it found and did not do.
    :ivar unwritten: why what is in force now would not outlive a restart; empty if it would.
    :ivar news: those of the refused that were not known before.
    """

    text: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    unwritten: str = ""
    news: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """
    A transaction that is over.

    :ivar request: what it was to do.
    :ivar plan: what is in force after it; None: there is no plan yet.
    :ivar records: what is remembered after it.
    :ivar text: a line for each thing that has changed.
    :ivar refused: what it found, was not known before, and did not do.
    :ivar isMade: whether what was asked for was done.
    """

    request: ChangeRequest
    plan: Plan | None
    records: PluginRecords
    text: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    isMade: bool = True

    @classmethod
    def failed(cls, request: ChangeRequest, plan: Plan | None, records: PluginRecords, error: Exception) -> Tried:
        """It has changed nothing."""
        if isinstance(error, ChangeRefused):
            return cls(request, plan, records, (), error.refusals, False)
        text = str(error) or type(error).__name__
        return cls(request, plan, records, (), (Refusal(request.plugin, "asked", text),), False)


class ConfigRefused(Exception):
    """The configuration file's change is to be dropped."""

    def __init__(self, config: Config, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.config = config
        self.refusal = refusal
