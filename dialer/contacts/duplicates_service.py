"""What can be done with duplicates: look through them, merge, undo, and ask before a person is added."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import activity, fields_store, history, merging, people_store
from dialer.contacts import duplicates_store as store
from dialer.contacts.duplicates import SUGGEST_FROM, Score, compare
from dialer.contacts.duplicates_store import Pair, PairStatus
from dialer.contacts.model import Contact
from dialer.contacts.numbers import PhoneNumber, read_cell
from dialer.contacts.people_base import sees_numbers
from dialer.contacts.persons import keys, person_of
from dialer.contacts.store import get_contact, lock_people
from dialer.db import tables as t
from dialer.db.events import emit, wake
from dialer.db.session import Database
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.settings import Settings
from dialer.telemetry import mask_number

#: Who is not known yet, among contacts.
NOBODY = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a person who may be in the base."""

    last_name: str = ""
    first_name: str = ""
    middle_name: str = ""
    email: str = ""
    #: written in any way
    phones: tuple[str, ...] = ()
    custom: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contact who may be the person asked for."""

    contact: Contact
    score: Score


@dataclass(frozen=True, slots=True)
class PairView:
    """A pair with both contacts."""

    pair: Pair
    first: Contact
    second: Contact


@dataclass(frozen=True, slots=True)
class Merge:
    """Two contacts that were made one."""

    id: int
    survivor_id: int
    merged_id: int
    at: datetime
    undone_at: datetime | None


class DuplicateService:
    """Duplicates of a tenant."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    # -- looking through ----------------------------------------------------------------------------------

    async def page(
        self,
        actor: Actor,
        *,
        least: float = SUGGEST_FROM,
        after: tuple[float, int] | None = None,
        limit: int = 50,
    ) -> list[PairView]:
        """Open pairs with both contacts, the likeliest first, from after (score, id)."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            pairs = await store.page(conn, actor.tenant_id, least=least, after=after, limit=limit)
            views = [await self._view(conn, actor.tenant_id, pair) for pair in pairs]
        return [view for view in views if view is not None]

    async def get(self, actor: Actor, pair_id: int) -> PairView:
        """A pair with both contacts. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            pair = await store.get_pair(conn, actor.tenant_id, pair_id)
            view = await self._view(conn, actor.tenant_id, pair) if pair else None
        if view is None:
            raise NotFound(what="pair", key=pair_id)
        return view

    async def counts(self, actor: Actor) -> tuple[dict[PairStatus, int], int]:
        """Pairs by what was decided of them, and how many contacts are still to be looked at."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.counts(conn, actor.tenant_id), await store.left(conn, actor.tenant_id)

    async def _view(self, conn: AsyncConnection, tenant_id: int, pair: Pair) -> PairView | None:
        first = await get_contact(conn, tenant_id, pair.first_id)
        second = await get_contact(conn, tenant_id, pair.second_id)
        return PairView(pair, first, second) if first and second else None

    # -- asking -------------------------------------------------------------------------------------------

    async def check_duplicates(
        self, actor: Actor, asked: Asked, *, least: float = 0.5, limit: int = 10
    ) -> list[Candidate]:
        """Who in the base may be this person, the likeliest first, each with the reasons: while a client is
        entered, or calls in. Any agent may ask, and sees no whole numbers. Raises Invalid where nothing is
        asked for."""
        actor.require(Right.WORK if not actor.may(Right.CONTACTS_READ) else Right.CONTACTS_READ)
        numbers = self._numbers(asked.phones)
        person = person_of(
            NOBODY,
            (asked.last_name, asked.first_name, asked.middle_name),
            asked.email,
            [number.e164 for number in numbers],
            asked.custom,
        )
        own = keys(person)
        if not own:
            raise Invalid(field="phones", reason="give a number, an e-mail address or a full name")
        async with self._database.tenant(actor.tenant_id) as conn:
            meeting = await store.meet(conn, actor.tenant_id, own)
            ids = {contact_id for block in meeting.values() for contact_id in block}
            others = await store.people(conn, actor.tenant_id, ids)
            scored = [(compare(person, other), other.id) for other in others.values()]
            best = sorted(
                ((score, contact_id) for score, contact_id in scored if score.value >= least),
                key=lambda one: (-one[0].value, one[1]),
            )[:limit]
            found = [
                (await get_contact(conn, actor.tenant_id, contact_id), score) for score, contact_id in best
            ]
        whole = sees_numbers(actor)
        return [
            Candidate(contact if whole else _masked(contact), score)
            for contact, score in found
            if contact is not None
        ]

    def _numbers(self, written: Sequence[str]) -> list[PhoneNumber]:
        return [number for text in written for number in read_cell(text, self._settings.default_region)[0]]

    # -- deciding -----------------------------------------------------------------------------------------

    async def differ(self, actor: Actor, pair_id: int) -> None:
        """They are two people: the pair is never shown again. Raises NotFound."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            pair = await store.get_pair(conn, actor.tenant_id, pair_id)
            if pair is None:
                raise NotFound(what="pair", key=pair_id)
            await store.decide(
                conn, actor.tenant_id, pair.first_id, pair.second_id, PairStatus.DIFFERENT, actor.user_id
            )
            await audit.record(
                conn, actor, "contact.differ", f"contact:{pair.first_id}", other=pair.second_id
            )

    async def merge(self, actor: Actor, survivor_id: int, merged_id: int, take: Collection[str] = ()) -> int:
        """Make `merged_id` part of `survivor_id`, with these fields of it (`email`, `custom.VIN`) in place of
        the survivor's; the id of the merge. Raises NotFound, Merged, Invalid."""
        actor.require(Right.CONTACTS_EDIT)
        if survivor_id == merged_id:
            raise Invalid(field="merged_id", reason="must be another contact")
        tenant_id = actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            # An import that adds a number to either of them waits, and then sees what became of it.
            await lock_people(conn, tenant_id)
            rows = await merging.lock(conn, tenant_id, [survivor_id, merged_id])
            for contact_id in (survivor_id, merged_id):
                if contact_id not in rows:
                    raise await people_store.missing(conn, tenant_id, contact_id)
            known = merging.names(rows[survivor_id]) | merging.names(rows[merged_id])
            known |= {f"custom.{one.key}" for one in await fields_store.fields(conn, tenant_id)}
            for place, name in enumerate(take):
                if name not in known:
                    raise Invalid(field=f"take.{place}", reason="is no field of contacts")
            new = merging.chosen(rows[survivor_id], rows[merged_id], take)
            merge_id = await merging.merge(
                conn, tenant_id, rows[survivor_id], rows[merged_id], new, actor.user_id
            )
            await _nest(conn, tenant_id, merged_id, merge_id)
            await store.decide(conn, tenant_id, survivor_id, merged_id, PairStatus.MERGED, actor.user_id)
            await store.drop_open(conn, tenant_id, merged_id)
            await _renew(conn, tenant_id, [survivor_id])
            await self._tell(conn, actor, "merged", merge_id, survivor_id, merged_id)
        return merge_id

    async def undo(self, actor: Actor, merge_id: int) -> Merge:
        """Make the two contacts of a merge two again. Raises NotFound, and Conflict where it was undone, or
        a later merge of the survivor has to be undone first."""
        actor.require(Right.CONTACTS_EDIT)
        tenant_id, c = actor.tenant_id, t.contact_merge.c
        async with self._database.tenant(tenant_id) as conn:
            await lock_people(conn, tenant_id)
            query = select(t.contact_merge).where(c.tenant_id == tenant_id, c.id == merge_id)
            row = (await conn.execute(query.with_for_update())).one_or_none()
            if row is None:
                raise NotFound(what="merge", key=merge_id)
            if row.undone_at is not None:
                raise Conflict(reason="the merge was undone already")
            later = select(c.id).where(
                c.tenant_id == tenant_id,
                c.id > merge_id,
                c.undone_at.is_(None),
                (c.survivor_id == row.survivor_id) | (c.merged_id == row.survivor_id),
            )
            if await conn.scalar(later.limit(1)) is not None:
                raise Conflict(reason="a later merge of this contact has to be undone first")
            if not await merging.lock(conn, tenant_id, [row.survivor_id]):
                raise Conflict(reason="the contact was erased")
            await merging.undo(conn, tenant_id, row.record, row.survivor_id)
            await conn.execute(
                update(t.contact_merge)
                .where(c.tenant_id == tenant_id, c.id == merge_id)
                .values(undone_at=func.now(), undone_by=actor.user_id)
            )
            await _nest(conn, tenant_id, row.merged_id, None)
            await store.decide(conn, tenant_id, row.survivor_id, row.merged_id, PairStatus.OPEN, None)
            await _renew(conn, tenant_id, [row.survivor_id, row.merged_id])
            await self._tell(conn, actor, "merge_undone", merge_id, row.survivor_id, row.merged_id)
            done = (await conn.execute(query)).one()
        return _merge(done)

    async def get_merge(self, actor: Actor, merge_id: int) -> Merge:
        """One merge. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        c = t.contact_merge.c
        query = select(t.contact_merge).where(c.tenant_id == actor.tenant_id, c.id == merge_id)
        async with self._database.tenant(actor.tenant_id) as conn:
            row = (await conn.execute(query)).one_or_none()
        if row is None:
            raise NotFound(what="merge", key=merge_id)
        return _merge(row)

    async def merges(
        self, actor: Actor, *, contact_id: int | None = None, before: int | None = None, limit: int = 50
    ) -> list[Merge]:
        """Merges, the newest first; of one contact, if named."""
        actor.require(Right.CONTACTS_READ)
        c = t.contact_merge.c
        query = select(t.contact_merge).where(c.tenant_id == actor.tenant_id)
        if contact_id is not None:
            query = query.where((c.survivor_id == contact_id) | (c.merged_id == contact_id))
        if before is not None:
            query = query.where(c.id < before)
        async with self._database.tenant(actor.tenant_id) as conn:
            return [_merge(row) for row in await conn.execute(query.order_by(c.id.desc()).limit(limit))]

    async def _tell(
        self, conn: AsyncConnection, actor: Actor, what: str, merge_id: int, survivor: int, merged: int
    ) -> None:
        detail = {"merge_id": merge_id, "contact_id": merged}
        await history.add(conn, actor.tenant_id, survivor, what, actor.user_id, detail)
        await audit.record(conn, actor, f"contact.{what}", f"contact:{survivor}", **detail)
        payload = {"merge_id": merge_id, "survivor_id": survivor, "merged_id": merged}
        await emit(conn, f"contact.{what}", payload, tenant_id=actor.tenant_id)
        await wake(conn, "campaigns", tenant_id=actor.tenant_id)


async def _nest(conn: AsyncConnection, tenant_id: int, contact_id: int, merge_id: int | None) -> None:
    """Say by which merge the survivor of earlier ones is gone: who forgets that one forgets them too."""
    c = t.contact_merge.c
    await conn.execute(
        update(t.contact_merge)
        .where(c.tenant_id == tenant_id, c.survivor_id == contact_id, c.undone_at.is_(None))
        .values(inside_id=merge_id)
    )


def _masked(contact: Contact) -> Contact:
    """A contact as an agent sees one who is not on the line."""
    phones = tuple(replace(phone, e164=mask_number(phone.e164)) for phone in contact.phones)
    return replace(contact, phones=phones)


async def _renew(conn: AsyncConnection, tenant_id: int, ids: Sequence[int]) -> None:
    """Make anew what is made from these contacts: typed values, counts of calls, keys."""
    await fields_store.rewrite_values(conn, tenant_id, ids)
    await activity.recount(conn, tenant_id, ids)
    await store.look_again(conn, tenant_id, ids)


def _merge(row: Any) -> Merge:
    return Merge(row.id, row.survivor_id, row.merged_id, row.at, row.undone_at)
