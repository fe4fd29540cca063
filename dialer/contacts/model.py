"""Contacts, lists and imports as values; the words and limits that the rest of the room shares.

A contact is a person, whom any number of lists may have. A row of a file ends in one of five ways, and
`rows = loaded + joined + duplicates + rejected + blank` always holds:

- *loaded*: it is a new contact;
- *joined*: one of its numbers is a contact's that other lists have: that contact is in this list too now;
- *duplicate*: one of its numbers is already in the list, or stood higher in the file;
- *rejected*: it cannot be used, and an `import_reject` says which column, why, and what stood there;
- *blank*: every cell is empty, as in the tail that spreadsheets like to export.

A person who is known (*joined*, *duplicate*) gains what the row has and they do not: further numbers, fields
that are empty. A value that differs from theirs is not taken, and an `import_reject` names it, unless the
import says that the file wins. *filled* counts the rows that changed somebody.

A cell that can be missed (an e-mail, a second number) and is wrong does not cost the person: the row loads
without it, and an `import_reject` says so as well. So there may be more rejects than rejected rows.

Columns of consents (`agreed`) write down what each person of the file agreed to, new or known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from dialer.contacts.agreed import Agreed
from dialer.contacts.numbers import PhoneNumber
from dialer.contacts.reading import Reading

#: Longest value of each field, in characters. A longer one is a mistake in the file, not a value.
MAX_NAME = 100
MAX_EMAIL = 254
MAX_EXTERNAL_ID = 100
MAX_CUSTOM = 2000
MAX_PHONE_CELL = 300
#: A lead that nothing limits may be dialled until here.
FAR_FUTURE = datetime(2200, 1, 1, tzinfo=UTC)
#: Most numbers kept of one person.
MAX_PHONES = 10


class ImportStatus(StrEnum):
    """Where an import is; the words of `import_job.status`."""

    PREVIEW = "preview"  # waits for a person to look at it and start it
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Wins(StrEnum):
    """Whose value stays where a file and the base differ; the words of `import_job.wins`."""

    BASE = "base"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class NewContact:
    """A person as one row of a file describes them; not yet in the database."""

    #: row of the file
    row: int
    #: the first is dialled first; never empty
    phones: tuple[PhoneNumber, ...]
    last_name: str = ""
    first_name: str = ""
    middle_name: str = ""
    email: str = ""
    #: IANA name from the record; None: the number's candidates count
    timezone: str | None = None
    #: key of an outside CRM
    external_id: str | None = None
    #: columns that Dozvon has no field for, by their header
    custom: Mapping[str, str] = field(default_factory=dict)
    #: what they agreed to be called for, as the row tells it
    agreed: tuple[Agreed, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """How the rows of an import ended, so far."""

    #: rows read, blank ones included
    rows: int = 0
    loaded: int = 0
    joined: int = 0
    duplicates: int = 0
    rejected: int = 0
    #: of the joined and the duplicates those that changed the person
    filled: int = 0
    #: consents that were written down
    consents: int = 0

    @property
    def blank(self) -> int:
        """Rows in which every cell is empty."""
        return self.rows - self.loaded - self.joined - self.duplicates - self.rejected


@dataclass(frozen=True, slots=True)
class ContactList:
    """A list of contacts."""

    id: int
    name: str
    created_at: datetime
    #: how many contacts it holds
    contacts: int


@dataclass(frozen=True, slots=True)
class Phone:
    """A number of a contact, as it is kept."""

    #: 1 is dialled first
    position: int
    e164: str
    #: mobile, fixed_line, ...: phonenumbers' own words
    kind: str
    #: all candidate zones of the number
    timezones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contact:
    """A person that can be called, as they are kept."""

    id: int
    #: the lists that have them, oldest first
    list_ids: tuple[int, ...]
    external_id: str | None
    last_name: str
    first_name: str
    middle_name: str
    email: str
    timezone: str | None
    custom: Mapping[str, str]
    created_at: datetime
    phones: tuple[Phone, ...]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has a number, as an import into a list sees them."""

    contact_id: int
    #: whether the list has them
    in_list: bool


@dataclass(frozen=True, slots=True)
class ImportJob:
    """A file on its way into a list."""

    id: int
    list_id: int
    #: leads are made for it as well; None: only contacts
    campaign_id: int | None
    filename: str
    #: SHA-256 of the file, hex
    fingerprint: str
    status: ImportStatus
    #: what a person has decided of how it is read
    reading: Reading
    #: about how many rows the file has, by its line ends; None: not known
    about_rows: int | None
    counts: Counts
    #: {id, details} of the error that ended it, as JSON; None unless it failed
    error: str | None
    created_at: datetime
    finished_at: datetime | None
    wins: Wins = Wins.BASE
    #: the user who brought it; None: the server itself
    created_by: int | None = None


@dataclass(frozen=True, slots=True)
class SavedMapping:
    """What columns are in files of one kind; see `reading`."""

    id: int
    name: str
    #: header -> word
    columns: Mapping[str, str]
    created_at: datetime
    #: when a file was last brought in by it
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class FunnelOfCampaign:
    """What has become of a list in a campaign."""

    campaign_id: int
    name: str
    #: how many leads are in each status
    leads: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Funnel:
    """A list from its contacts to what campaigns made of them."""

    contacts: int
    phones: int
    #: campaigns that have leads of it, the newest first
    campaigns: tuple[FunnelOfCampaign, ...]
