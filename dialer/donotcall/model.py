"""Whom not to call: entries as values, what they cover, and under which locks they come into force. Pure.

An entry is for a number or for all numbers that begin in some way; for all campaigns or for one; at once or
from a moment on; until it is removed or until a moment. What counts of several is the one that lasts longest.

An entry that was committed before an attempt must win, whoever was quicker to look. So who adds one commits
while it holds a lock that no transaction with an attempt of that number can hold at the same time: that of
the number, or of all numbers of the tenant for what is many numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from dialer.compliance.filters import Unwanted

#: Numbers of one transaction whose locks are taken one by one; for more the lock of all is taken.
MOST_LOCKS = 100
#: Digits of the shortest prefix there is: the code of a country has one at least, and more stand after it.
SHORTEST_PREFIX = 2
_EARLIEST = datetime.min.replace(tzinfo=UTC)


class Kind(StrEnum):
    """What an entry is for."""

    NUMBER = "number"
    PREFIX = "prefix"


class Source(StrEnum):
    """Where an entry came from."""

    #: a person who looks after the list, on the page
    OPERATOR = "operator"
    DISPOSITION = "disposition"
    KEY_PRESS = "key_press"
    API = "api"
    #: a file of numbers
    IMPORT = "import"
    #: a file of a registry that others keep
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody is not to be called."""

    id: int
    kind: Kind
    #: a number in E.164, or the beginning of numbers
    number: str
    #: None: by no campaign
    campaign_id: int | None
    source: Source
    #: name of the registry it came from
    registry: str | None
    reason: str
    #: None: from the commit on
    valid_from: datetime | None
    #: None: until it is removed
    valid_until: datetime | None
    #: who said so; None: the server itself
    added_by: str | None
    added_at: datetime
    attempt_id: UUID | None = None
    removed_at: datetime | None = None
    removed_by: str | None = None
    removed_reason: str | None = None
    #: name of the campaign
    campaign: str | None = None

    def in_force(self, now: datetime) -> bool:
        """Whether it keeps calls from being made at that moment."""
        return self.removed_at is None and in_force(self.valid_from, self.valid_until, now)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is said of numbers that are not to be called."""

    source: Source
    #: None: by no campaign
    campaign_id: int | None = None
    reason: str = ""
    #: None: at once
    valid_from: datetime | None = None
    #: None: for good
    valid_until: datetime | None = None
    #: the call in which it was asked for
    attempt_id: UUID | None = None
    #: the file that has it
    import_id: int | None = None


#: A piece of a file that is no number: (row, why, what stood there); None: nobody has kept that.
Rejected: TypeAlias = tuple[int, str, str | None]


class ImportStatus(StrEnum):
    """Where an import is; the words of `do_not_call_import.status`."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """How the rows of a file of numbers ended, so far."""

    #: rows read, blank ones included
    rows: int = 0
    #: numbers that had no entry
    added: int = 0
    #: numbers that had one
    known: int = 0
    #: of a registry: numbers that its file has no longer
    removed: int = 0
    #: pieces of cells that are no number
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class NumbersImport:
    """A file of numbers that are not to be called."""

    id: int
    registry_id: int | None
    #: name of the registry
    registry: str | None
    campaign_id: int | None
    filename: str
    #: SHA-256 of the file, hex
    fingerprint: str
    reason: str
    valid_until: datetime | None
    #: a registry may come to hold half as many as before
    fewer: bool
    status: ImportStatus
    counts: ImportCounts
    #: the first pieces that are no number
    rejects: tuple[Rejected, ...]
    #: {id, details} of the error that ended it, as JSON; None unless it failed
    error: str | None
    added_by: str | None
    created_at: datetime
    finished_at: datetime | None

    @property
    def refusal(self) -> Refusal:
        """What it says of its numbers."""
        return Refusal(
            Source.IMPORT if self.registry_id is None else Source.REGISTRY,
            campaign_id=self.campaign_id,
            reason=self.reason,
            valid_until=self.valid_until,
            import_id=self.id,
        )


@dataclass(frozen=True, slots=True)
class Registry:
    """A register of numbers that others keep."""

    id: int
    name: str
    #: whoever keeps it wants it fetched again until then
    renew_by: datetime | None
    #: when its last file was in; None: none yet
    imported_at: datetime | None
    #: numbers that count
    numbers: int


def in_force(valid_from: datetime | None, valid_until: datetime | None, now: datetime) -> bool:
    """Whether an entry of these times keeps calls from being made at that moment."""
    return (valid_from is None or valid_from <= now) and (valid_until is None or valid_until > now)


def longest(found: Sequence[Unwanted]) -> Unwanted:
    """Of what keeps a number from being dialled, that which lasts longest; of two the older."""
    return max(found, key=lambda each: (each.until is None, each.until or _EARLIEST, -each.entry_id))


def shown(mark: str) -> str:
    """The number, or the beginning of numbers, that a mark is for."""
    return mark.removesuffix("*")


def marks(number: str) -> list[str]:
    """All marks under which an entry for the number (E.164) may stand: itself, and each of its beginnings."""
    return [number, *(f"{number[:end]}*" for end in range(SHORTEST_PREFIX + 1, len(number)))]


def lock_of(tenant_id: int, number: str = "") -> int:
    """The key of the advisory lock of a number, or of all numbers of the tenant: 64 bits, signed.

    Two numbers of one key exclude each other for nothing, and no more.
    """
    name = f"dozvon.do_not_call:{tenant_id}:{number}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big", signed=True)


def locks_of(tenant_id: int, numbers: Collection[str]) -> list[int]:
    """The keys of several numbers, in the one order in which all take them."""
    return sorted({lock_of(tenant_id, number) for number in numbers})


def one_by_one(marks_: Collection[str]) -> bool:
    """Whether entries with these marks are put under locks of their numbers; else under that of all."""
    return len(marks_) <= MOST_LOCKS and not any(mark.endswith("*") for mark in marks_)
