"""What an import would do, found out without writing: the same reading, the same deciding.

What the rows before would have made of the base is foreseen (`contacts.foreseen`), so the figures are those
of the import itself. What others do to the base in the meantime is not.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from dialer.contacts.foreseen import NOT_YET, Foreseen
from dialer.contacts.matching import Card, Gained, Headers, Sorted, gain_all, sort_people
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
    with Foreseen() as foreseen:
        run = _Run(layout, wins, limit, place, foreseen)
        async with parsing(path, layout, settings.default_region, upto=rows) as batches:
            async for batch in batches:
                async with database.tenant(tenant_id) as conn:
                    numbers = sorted({number for own in batch.numbers for number in own})
                    owners = await store.owners(conn, tenant_id, list_id or NO_LIST, numbers)
                    known = foreseen.known(numbers, owners)
                    people = sort_people(batch.numbers, known)
                    ids = sorted({person for _, person in people.known if 0 < person < NOT_YET})
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

    def __init__(self, layout: Layout, wins: Wins, limit: int, place: Place, foreseen: Foreseen) -> None:
        self._place = place
        self._layout = layout
        self._wins = wins
        self._limit = limit
        self._foreseen = foreseen
        self._headers = Headers(layout.columns)
        self.counts = Counts()
        self._codes: Counter[str] = Counter()
        self._rejects: list[Reject] = []
        self._new: list[Person] = []
        self._joining: list[Person] = []
        self._filled: list[Change] = []
        self._differing: list[Change] = []
        self._agreements: list[Agreement] = []

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
        whole = self._foreseen.cards({person for _, person in people.known}, cards)
        gained = gain_all(people, batch.person, whole, known, self._wins)
        for place in people.new:
            if len(self._new) < self._limit:
                self._new.append(_person(batch.person(place), None))
            if read:
                row, changed = batch.person(place), gained.changed.get(matching.person_at(place))
                custom = row.custom if changed is None else changed.custom
                self._reject(
                    Reject.of(row.row, wrong.name, RejectCode(wrong.code), wrong.value)
                    for wrong in read.read(custom)[1]
                )
        joining = set(people.joining)
        for row, person, found in gained.gains:
            if person in joining and len(self._joining) < self._limit:
                self._joining.append(_person(row, person))
                joining.discard(person)
            for changes, kept in ((found.changes, self._filled), (found.differing, self._differing)):
                for one in changes[: self._limit - len(kept)]:
                    kept.append(self._change(row, person, one))
            self._reject(self._headers.rejects(row.row, found))
        self._reject(batch.rejects)
        ids = self._foreseen.take(batch, people, gained)
        agreed = self._agree(batch, people, gained, ids, on_record)
        counts = self.counts
        self.counts = Counts(
            rows=batch.last,
            loaded=counts.loaded + len(people.new),
            joined=counts.joined + len(people.joining),
            duplicates=counts.duplicates + people.duplicates,
            rejected=counts.rejected + batch.rejected,
            filled=counts.filled + gained.rows,
            consents=counts.consents + agreed,
        )

    def _agree(
        self,
        batch: Batch,
        people: Sorted,
        gained: Gained,
        ids: Mapping[int, int],
        on_record: Mapping[int, Sequence[Consent]],
    ) -> int:
        """How many consents of a batch are new."""
        whose = dict(people.known)
        there = {person for _, person, _ in gained.gains}
        told = []
        for place, every in batch.agreed:
            person = whose.get(place, matching.person_at(place))
            if person < 0 or person in there:
                contact_id = ids[matching.person_at(person)] if person < 0 else person
                told.append((contact_id, batch.rows[place], every))
        found, over = self._place.consents(told, self._headers.header(Field.CONSENT_UNTIL))
        self._reject(over)
        new = {
            one: of
            for one, of in found.items()
            if not is_known(one, on_record.get(one.contact_id, ())) and not self._foreseen.has(one)
        }
        self._foreseen.agree(new)
        for one, (row, agreed) in list(new.items())[: self._limit - len(self._agreements)]:
            name = _name(batch.person(batch.rows.index(row)))
            self._agreements.append(Agreement(row, _contact(one.contact_id), name, agreed))
        return len(new)

    def _reject(self, rejects: Iterable[Reject]) -> None:
        for one in rejects:
            self._codes[one.code.value] += 1
            if len(self._rejects) < self._limit:
                self._rejects.append(one)

    def _change(self, row: NewContact, person: int, one: matching.Change) -> Change:
        return Change(row.row, _contact(person), _name(row), self._headers.of(one), one.before, one.after)

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


def _contact(person: int) -> int | None:
    """The contact's id; None: somebody who would be new."""
    return person if 0 < person < NOT_YET else None


def _name(row: NewContact) -> str:
    return " ".join(filter(None, (row.last_name, row.first_name, row.middle_name))) or row.phones[0].e164


def _person(row: NewContact, contact_id: int | None) -> Person:
    return Person(row.row, contact_id, _name(row), tuple(phone.e164 for phone in row.phones))
