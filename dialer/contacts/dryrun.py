"""What an import would do, found out without writing: the same reading, the same deciding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dialer.contacts.files import Layout
from dialer.contacts.model import Counts, Wins
from dialer.contacts.rejects import Reject
from dialer.db.session import Database
from dialer.settings import Settings

#: Examples of each kind that are shown.
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Change:
    """What one row would do to one field or number of a person."""

    #: row of the file
    row: int
    #: the person as the base knows them; None: they stand higher in the file
    contact_id: int | None
    #: who it is, for a reader: name, else number
    name: str
    #: header of the column
    column: str
    #: what the base has; empty where it is filled
    before: str
    #: what the file has
    after: str


@dataclass(frozen=True, slots=True)
class Person:
    """A row as a person."""

    #: row of the file
    row: int
    #: None: they would be new
    contact_id: int | None
    name: str
    #: numbers in E.164
    phones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DryRun:
    """What an import would do; of each kind the first few."""

    layout: Layout
    counts: Counts
    #: whether the file has more rows than were looked at
    cut: bool
    #: how many rejects of each code
    codes: Mapping[str, int]
    rejects: tuple[Reject, ...]
    new: tuple[Person, ...]
    #: contacts of other lists that would join this one
    joining: tuple[Person, ...]
    #: empty fields and further numbers that known people would get
    filled: tuple[Change, ...]
    #: values that differ: those of the base stay, or those of the file win
    differing: tuple[Change, ...]


async def dry_run(
    database: Database,
    settings: Settings,
    tenant_id: int,
    path: Path,
    *,
    list_id: int | None,
    campaign_id: int | None = None,
    mapping: Mapping[str, str] | None = None,
    sheet: str | None = None,
    wins: Wins = Wins.BASE,
    limit: int = EXAMPLES,
    rows: int | None = None,
) -> DryRun:
    """What bringing the file into a list would do; nothing is written.

    `list_id` None is a list that is yet to be made. `limit`: examples of each kind. `rows`: look at so many
    rows of the file only. Raises UnreadableFile, Invalid (of the mapping), NotFound (of list and campaign).
    """
    raise NotImplementedError
