"""Erasing one person: what is theirs goes, what reports need stays without them, recordings go from the disk.

All of the database is done in one transaction; recordings are marked in it, and their files deleted after
it: a crash in between leaves marks, and whoever comes next (the hourly sweep, the same request again) goes
on. Nobody is erased while they are in a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import CursorResult, Row, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts import forgotten, history, people_store, store
from dialer.contacts.history import Kind
from dialer.contacts.people_base import card_of
from dialer.contacts.people_model import Card
from dialer.contacts.persondata import ERASED, PLACES, Place, Whose
from dialer.db import tables as t
from dialer.db.events import wake
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import Conflict, StoreUnavailable
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.vault.files import Kept, Vault

log = structlog.stdlib.get_logger(__name__)

#: Recordings of one step of a sweep.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Erasure:
    """How an erasure went."""

    erased_at: datetime
    #: the person was erased before this request
    before: bool
    #: recordings whose files could not be deleted yet: the server goes on trying
    recordings_left: int


_NUMBERS = Prepared(
    """
    SELECT DISTINCT n.e164, EXISTS (
               SELECT FROM contact_phone o
                WHERE o.tenant_id = :tenant_id AND o.e164 = n.e164 AND o.contact_id <> :contact_id) AS shared
      FROM (
          SELECT e164 FROM contact_phone WHERE tenant_id = :tenant_id AND contact_id = :contact_id
          UNION ALL
          SELECT e164 FROM lead WHERE tenant_id = :tenant_id AND contact_id = :contact_id
          UNION ALL
          SELECT e164 FROM attempt WHERE tenant_id = :tenant_id AND contact_id = :contact_id
          UNION ALL
          SELECT e164 FROM inbound_call WHERE tenant_id = :tenant_id AND contact_id = :contact_id
          UNION ALL
          SELECT jsonb_array_elements_text(CASE jsonb_typeof(detail -> name) WHEN 'array' THEN detail -> name
                                           ELSE jsonb_build_array(detail ->> name) END)
            FROM contact_event, unnest(ARRAY['e164', 'number']) AS name
           WHERE tenant_id = :tenant_id AND contact_id = :contact_id AND detail ? name
      ) n
     WHERE n.e164 LIKE '+%'
     ORDER BY n.e164
    """
)
_OLD_WORDS = Prepared(
    """
    SELECT f.name, w.word
      FROM contact_event e
     CROSS JOIN unnest(ARRAY['last_name', 'first_name', 'middle_name', 'email']) AS f (name)
     CROSS JOIN LATERAL jsonb_array_elements_text(e.detail -> f.name) AS w (word)
     WHERE e.tenant_id = :tenant_id AND e.contact_id = :contact_id
       AND jsonb_typeof(e.detail -> f.name) = 'array'
    """
)
# A call that is not over; a lead that is on an agent's screen.
_BUSY = Prepared(
    """
    SELECT EXISTS (
        SELECT FROM attempt
         WHERE tenant_id = :tenant_id AND ended_at IS NULL
           AND (contact_id = :contact_id OR contact_id IS NULL AND e164 = ANY (CAST(:numbers AS text[])))
    ) OR EXISTS (
        SELECT FROM inbound_call
         WHERE tenant_id = :tenant_id AND ended_at IS NULL
           AND (contact_id = :contact_id OR contact_id IS NULL AND e164 = ANY (CAST(:numbers AS text[])))
    ) OR EXISTS (
        SELECT FROM lead
         WHERE tenant_id = :tenant_id AND contact_id = :contact_id AND status IN ('offered', 'dialling'))
    """
)


# Their entries go: they name the number.
_ASKED_BEFORE = Prepared(
    """
    SELECT EXISTS (
        SELECT FROM do_not_call
         WHERE tenant_id = :tenant_id AND mark = ANY (CAST(:numbers AS text[])) AND removed_at IS NULL
           AND (valid_until IS NULL OR valid_until > :now))
    """
)


async def whose(conn: AsyncConnection, tenant_id: int, card: Card) -> Whose:
    """By what a person's rows are found: numbers, names and e-mails of now and, as the history has them, of
    before."""
    named = {"tenant_id": tenant_id, "contact_id": card.id}
    numbers = await _NUMBERS.rows(conn, **named)
    words = {(row.name == "email", row.word) for row in await _OLD_WORDS.rows(conn, **named)}
    words |= {(False, name) for name in (card.last_name, card.first_name, card.middle_name)}
    words.add((True, card.email))
    return Whose(
        tenant_id,
        card.id,
        tuple(row.e164 for row in numbers),
        tuple(row.e164 for row in numbers if not row.shared),
        tuple(sorted({word for email, word in words if word and not email})),
        tuple(sorted({word for email, word in words if word and email})),
    )


class ErasureService:
    """Erases the people of a tenant; recordings are in the vault, or below one folder."""

    def __init__(self, database: Database, files: Path | Vault) -> None:
        self._database = database
        self._vault = Vault.at(files)

    async def erase(self, actor: Actor, contact_id: int, *, never_again: bool) -> Erasure:
        """Erase a person; with `never_again` their numbers are not dialled after a new import either, nor
        are they where one of them is on the do-not-call list already.

        Asked again, it finishes what is left of the first time. Raises NotFound, Forbidden, Conflict while
        the person is in a call.
        """
        actor.require(Right.PEOPLE_ERASE)
        async with self._database.tenant(actor.tenant_id) as conn:
            # No file brings the person in while they go.
            await store.lock_people(conn, actor.tenant_id)
            card = await card_of(conn, actor, contact_id, lock=True)
            erased_at = card.erased_at
            if erased_at is None:
                erased_at = await self._erase(conn, actor, card, never_again=never_again)
        left = await delete_recordings(self._database, actor.tenant_id, self._vault, contact_id)
        return Erasure(erased_at, card.erased_at is not None, left)

    async def _erase(self, conn: AsyncConnection, actor: Actor, card: Card, *, never_again: bool) -> datetime:
        tenant_id, now = actor.tenant_id, utc_now()
        person = await whose(conn, tenant_id, card)
        # Whoever is about to dial a lead of the person has it locked: after this, their attempt is seen.
        await people_store.waiting(conn, tenant_id, card.id)
        if await _BUSY.value(conn, tenant_id=tenant_id, contact_id=card.id, numbers=list(person.own_numbers)):
            raise Conflict(reason="the person is in a call, or on an agent's screen; erase them afterwards")
        if never_again or await _ASKED_BEFORE.value(
            conn, tenant_id=tenant_id, numbers=list(person.own_numbers), now=now
        ):
            await forgotten.forget_numbers(conn, tenant_id, person.numbers)
        counts = {}
        for place in PLACES:
            if count := await _clear(conn, place, person):
                counts[place.table.name] = count
        await people_store.change(conn, tenant_id, card.id, {"erased_at": now})
        await conn.execute(_UNMARK, {"tenant_id": tenant_id, "contact_id": card.id})
        await history.add(conn, tenant_id, card.id, Kind.ERASED, actor.user_id, {"never_again": never_again})
        await audit.record(
            conn, actor, "contact.erase", f"contact:{card.id}", never_again=never_again, rows=counts
        )
        await wake(conn, "campaigns", tenant_id=tenant_id)
        return now


#: Writing the contact has put it where duplicates are looked for.
_UNMARK = text("DELETE FROM duplicate_todo WHERE tenant_id = :tenant_id AND contact_id = :contact_id")


async def _clear(conn: AsyncConnection, place: Place, person: Whose) -> int:
    """Delete or blank the person's rows of a table; how many."""
    table, rows = place.table, (place.table.c.tenant_id == person.tenant_id, place.of(person))
    if place.blank:
        values: dict[str, Any] = {
            name: value(person) if callable(value) else value for name, value in place.blank.items()
        }
        done: CursorResult[Any] = await conn.execute(update(table).where(*rows).values(values))
    else:
        done = await conn.execute(delete(table).where(*rows))
    return done.rowcount


# -- recordings --------------------------------------------------------------------------------------------


async def delete_recordings(
    database: Database, tenant_id: int, files: Path | Vault, contact_id: int | None = None
) -> int:
    """Delete the files of recordings that are marked for it, and then their rows; how many are left.

    Of one contact, if named. A folder that is not there says nothing of its files: they stay then, as those
    in a store do that does not answer.
    """
    vault = Vault.at(files)
    r, a = t.recording.c, t.attempt.c
    marked = (r.tenant_id == tenant_id, r.status == "erasing")
    query = select(r.id, r.path, r.place, r.here).where(*marked).limit(BATCH)
    if contact_id is not None:
        # Calls of the person alone, and those to numbers typed by hand.
        calls = select(a.id).where(
            a.tenant_id == tenant_id,
            (a.contact_id == contact_id) | a.e164.startswith(f"{ERASED}{contact_id}-"),
        )
        came = select(t.inbound_call.c.id).where(
            t.inbound_call.c.tenant_id == tenant_id,
            (t.inbound_call.c.contact_id == contact_id) | (t.inbound_call.c.e164 == f"{ERASED}{contact_id}"),
        )
        left_in = t.voicemail.c
        messages = select(left_in.id).where(
            left_in.tenant_id == tenant_id, left_in.call_id.in_(came) | left_in.attempt_id.in_(calls)
        )
        query = query.where(
            r.attempt_id.in_(calls) | r.inbound_call_id.in_(came) | r.voicemail_id.in_(messages)
        )
    after, left = 0, 0
    while True:
        async with database.tenant(tenant_id) as conn:
            rows = list(await conn.execute(query.where(r.id > after).order_by(r.id)))
        if not rows:
            return left
        after = rows[-1].id
        gone = await _delete(vault, rows)
        left += len(rows) - len(gone)
        async with database.tenant(tenant_id) as conn:
            await conn.execute(delete(t.recording).where(r.tenant_id == tenant_id, r.id.in_(gone)))


async def _delete(vault: Vault, rows: Sequence[Row[Any, Any, Any, Any]]) -> list[int]:
    """Delete the files; the ids of those that are gone."""
    gone: list[int] = []
    there = await asyncio.to_thread(vault.folder.is_dir)
    if not there:
        log.error("recordings_folder_missing", rows=sum(row.here for row in rows))
    away = False
    for row in rows:
        if (row.here and not there) or (row.place is not None and away):
            continue
        try:
            await vault.delete(Kept(row.path, row.place))
            gone.append(row.id)
        except (StoreUnavailable, OSError) as error:
            away = away or isinstance(error, StoreUnavailable)
            log.error("recording_not_deleted", recording=row.id, reason=str(error))  # noqa: TRY400
    return gone
