"""What somebody asks for beyond what the files say, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from revproxy.control.state.records import Ledger
from revproxy.plan.catalog import Catalog
from revproxy.plan.plan import Refusal


class ChangeRefused(Exception):
    """A change that somebody asked for was not made.

    :ivar refusals: why.
    """

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        super().__init__("\n".join(refusal.message for refusal in refusals))
        self.refusals = refusals


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction is to do beyond looking at the files.

    :ivar plugin: whose change this is; if that one fails, nothing is changed.
    :ivar mutate: the ledger, and what is in the folders, to the ledger as it is to be; may raise `ChangeRefused`.
    :ivar force: try again what failed before.
    :ivar withoutState: replace plugins also where their state cannot be handed over.
    :ivar rebuild: swap also if nothing has changed.
    """

    plugin: str = ""
    mutate: Callable[[Ledger, Catalog], Ledger] | None = None
    force: bool = False
    withoutState: bool = False
    rebuild: bool = False


NOTHING_ASKED = Change()
"""To look at the files, and no more."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a transaction did.

    :ivar text: a line for each thing that has changed.
    :ivar refused: what it found and did not do.
    :ivar unwritten: why what is in force now would not outlive a restart; empty if it would.
    """

    text: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    unwritten: str = ""
