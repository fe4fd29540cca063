"""What an import would do, found out without writing: the same reading, the same deciding.

Two things an import knows and this does not. What a row would give to a person who stands higher in the file,
in an earlier batch (`batches.BATCH_ROWS`): the row is counted as a duplicate, and not compared. And what
others do to the base in the meantime.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialer.clock import utc_now
from dialer.compliance.consent import Consent
from dialer.contacts import consents, fields_store, matching, peoplestore, store
from dialer.contacts.agreed import Agreed, Place, is_known
from dialer.contacts.batches import Batch
from dialer.contacts.columns import Field
from dialer.contacts.fields import Reader
from dialer.contacts.files import Layout, inspect
from dialer.contacts.matching import Card, Headers, Sorted, gain_all, sort_people
from dialer.contacts.model import Counts, NewContact, Owner, Wins
from dialer.contacts.parsing import parsing
from dialer.contacts.reading import AS_FOUND, Reading
from dialer.contacts.rejects import Reject, RejectCode
from dialer.db import tenants
from dialer.db.session import Database
from dialer.errors import NotFound
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
class Agreement:
    """A consent that a row would have written down."""

    #: row of the file
    row: int
    #: None: they would be new
    contact_id: int | None
    name: str
    agreed: Agreed


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
    #: consents that are not on record yet
    agreements: tuple[Agreement, ...]


async def dry_run(
    database: Database,
    settings: Settings,
    tenant_id: int,
    path: Path,
    *,
    list_id: int | None,
    campaign_id: int | None = None,
    reading: Reading = AS_FOUND,
    wins: Wins = Wins.BASE,
    limit: int = EXAMPLES,
    rows: int | None = None,
    progress: Callable[[Counts], None] | None = None,
) -> DryRun:
    """What bringing the file into a list would do; nothing is written.

    `list_id` None is a list that is yet to be made. `limit`: examples of each kind. `rows`: look at so many
    rows of the file only. `progress` is called after each batch. Raises UnreadableFile, Invalid (of
    `reading`), NotFound (of list and campaign).
    """
    layout = await asyncio.to_thread(inspect, path, reading)
    async with database.tenant(tenant_id) as conn:
        if list_id is not None and await store.get_list(conn, tenant_id, list_id) is None:
            raise NotFound(what="list", key=list_id)
        if campaign_id is not None and not await store.campaign_exists(conn, tenant_id, campaign_id):
            raise NotFound(what="campaign", key=campaign_id)
        place = Place(utc_now(), await tenants.zone(conn, tenant_id))
    run = _Run(layout, wins, limit, place)
    async with parsing(path, layout, settings.default_region, upto=rows) as batches:
        async for batch in batches:
            async with database.tenant(tenant_id) as conn:
                numbers = sorted({number for own in batch.numbers for number in own})
                known = await store.known_numbers(conn, tenant_id, list_id or NO_LIST, numbers)
                people = sort_people(batch.numbers, known)
                ids = sorted({person for _, person in people.known if person > 0})
                cards = await peoplestore.cards(conn, tenant_id, ids, hold=False)
                read = await fields_store.reader(conn, tenant_id)
                on_record = await consents.consents_of(conn, tenant_id, ids if batch.agreed else ())
            # Beside the loop, which the web process has for others too.
            await asyncio.to_thread(run.take, batch, people, known, cards, read, on_record)
            if progress is not None:
                progress(run.counts)
    return run.found(cut=rows is not None and run.counts.rows >= rows)


#: A list that is yet to be made.
NO_LIST = 0


class _Run:
    """What has been found so far."""

    def __init__(self, layout: Layout, wins: Wins, limit: int, place: Place) -> None:
        self._place = place
        self._layout = layout
        self._wins = wins
        self._limit = limit
        self._headers = Headers(layout.columns)
        self.counts = Counts()
        self._codes: Counter[str] = Counter()
        self._rejects: list[Reject] = []
        self._new: list[Person] = []
        self._joining: list[Person] = []
        self._filled: list[Change] = []
        self._differing: list[Change] = []
        self._agreements: list[Agreement] = []
        # Nothing is written, so the base does not tell who stood higher in the file: numbers of those who
        # would be new or have got them, as integers, a fifth of the room that texts take; and who has joined.
        self._seen: set[int] = set()
        self._joined: set[int] = set()

    def take(
        self,
        batch: Batch,
        people: Sorted,
        known: Mapping[str, Owner],
        cards: Mapping[int, Card],
        read: Reader,
        on_record: Mapping[int, Sequence[Consent]],
    ) -> None:
        """A batch of the file and what the base says of it."""
        again = {
            place
            for place in people.new
            if self._seen and not self._seen.isdisjoint(map(_as_int, batch.numbers[place]))
        }
        joining = people.joining - self._joined
        for place in people.new:
            self._seen.update(map(_as_int, batch.numbers[place]))
            if place in again:
                continue
            if len(self._new) < self._limit:
                self._new.append(_person(batch.person(place), None))
            if read:
                row = batch.person(place)
                self._reject(
                    Reject.of(row.row, wrong.name, RejectCode(wrong.code), wrong.value)
                    for wrong in read.read(row.custom)[1]
                )
        # Of a person who stood higher in the file nothing is known here but the numbers.
        gained = gain_all(people, batch.person, cards, known, self._wins)
        for row, person, found in gained.gains:
            if person in joining and len(self._joining) < self._limit:
                self._joining.append(_person(row, person))
                joining = joining - {person}
            for changes, kept in ((found.changes, self._filled), (found.differing, self._differing)):
                for one in changes[: self._limit - len(kept)]:
                    kept.append(self._change(row, person, one))
            self._seen.update(_as_int(one.after) for one in found.changes if one.field is Field.PHONE)
            self._reject(self._headers.rejects(row.row, found))
        self._reject(batch.rejects)
        agreed = self._agree(batch, people, cards, on_record, again)
        counts = self.counts
        self.counts = Counts(
            rows=batch.last,
            loaded=counts.loaded + len(people.new) - len(again),
            joined=counts.joined + len(people.joining - self._joined),
            duplicates=counts.duplicates
            + people.duplicates
            + len(again)
            + len(people.joining & self._joined),
            rejected=counts.rejected + batch.rejected,
            filled=counts.filled + gained.rows,
            consents=counts.consents + agreed,
        )
        self._joined |= people.joining

    def _agree(
        self,
        batch: Batch,
        people: Sorted,
        cards: Mapping[int, Card],
        on_record: Mapping[int, Sequence[Consent]],
        again: Collection[int],
    ) -> int:
        """How many consents of a batch are new."""
        whose = dict(people.known)
        told = []
        for place, every in batch.agreed:
            person = whose.get(place, matching.person_at(place))
            higher = person < 0 and matching.person_at(person) in again
            if not higher and (person < 0 or person in cards):
                told.append((person, batch.rows[place], every))
        found, over = self._place.consents(told, self._headers.header(Field.CONSENT_UNTIL))
        self._reject(over)
        new = {one: of for one, of in found.items() if not is_known(one, on_record.get(one.contact_id, ()))}
        for one, (row, agreed) in list(new.items())[: self._limit - len(self._agreements)]:
            name = _name(batch.person(batch.rows.index(row)))
            who = one.contact_id if one.contact_id > 0 else None
            self._agreements.append(Agreement(row, who, name, agreed))
        return len(new)

    def _reject(self, rejects: Iterable[Reject]) -> None:
        for one in rejects:
            self._codes[one.code.value] += 1
            if len(self._rejects) < self._limit:
                self._rejects.append(one)

    def _change(self, row: NewContact, person: int, one: matching.Change) -> Change:
        who = person if person > 0 else None
        return Change(row.row, who, _name(row), self._headers.of(one), one.before, one.after)

    def found(self, *, cut: bool) -> DryRun:
        """The end."""
        return DryRun(
            layout=self._layout,
            counts=self.counts,
            cut=cut,
            codes=dict(self._codes),
            rejects=tuple(sorted(self._rejects, key=lambda one: one.row)),
            new=tuple(self._new),
            joining=tuple(self._joining),
            filled=tuple(self._filled),
            differing=tuple(self._differing),
            agreements=tuple(self._agreements),
        )


def _as_int(e164: str) -> int:
    return int(e164[1:])


def _name(row: NewContact) -> str:
    return " ".join(filter(None, (row.last_name, row.first_name, row.middle_name))) or row.phones[0].e164


def _person(row: NewContact, contact_id: int | None) -> Person:
    return Person(row.row, contact_id, _name(row), tuple(phone.e164 for phone in row.phones))
