"""The SQL of a person's card. Each function works in the transaction of `conn`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.compliance.policy import Hours
from dialer.contacts.numbers import PhoneNumber
from dialer.contacts.people_model import (
    OF_ZONES,
    PHONE_REMOVED,
    Card,
    LeadOf,
    Membership,
    Number,
    Refit,
    Waiting,
)
from dialer.db import tables as t
from dialer.db.prepared import Prepared
from dialer.errors import Merged, NotFound

_CONTACT = t.contact.c
_PHONE = t.contact_phone.c

_CARD = """
    SELECT id, external_id, last_name, first_name, middle_name, email, timezone, custom, created_at, erased_at
      FROM contact WHERE tenant_id = :tenant_id AND id = :contact_id
"""
#: Merges one after the other end with whom there still is.
_MERGED = Prepared(
    """
    WITH RECURSIVE w (id) AS (
        SELECT CAST(:contact_id AS bigint)
         UNION
        SELECT m.survivor_id FROM w
          JOIN contact_merge m ON m.tenant_id = :tenant_id AND m.merged_id = w.id AND m.undone_at IS NULL
    )
    SELECT k.id FROM w JOIN contact k ON k.tenant_id = :tenant_id AND k.id = w.id LIMIT 1
    """
)
_SEE = Prepared(_CARD)
_LOCK = Prepared(f"{_CARD} FOR UPDATE")
_NUMBERS = Prepared(
    """
    SELECT p.id, p.contact_id, p.position, p.e164, p.kind, p.label, p.timezones, p.good_from, p.good_until,
           EXISTS (SELECT FROM active_number n WHERE n.tenant_id = p.tenant_id AND n.e164 = p.e164) AS busy,
           p.dead_since IS NOT NULL AS dead
      FROM contact_phone p
     WHERE p.tenant_id = :tenant_id AND p.contact_id = ANY (CAST(:contact_ids AS bigint[]))
     ORDER BY p.contact_id, p.position, p.id
    """
)
_LISTS = Prepared(
    """
    SELECT m.list_id, l.name, m.added_at FROM list_contact m
      JOIN contact_list l ON l.tenant_id = m.tenant_id AND l.id = m.list_id
     WHERE m.tenant_id = :tenant_id AND m.contact_id = :contact_id
     ORDER BY m.added_at, m.list_id
    """
)
_LEADS = Prepared(
    """
    SELECT w.id, w.campaign_id, p.name AS campaign, p.status = 'running' AS running, w.list_id, w.e164,
           w.status, w.hold, w.open_from, w.attempts, w.last_result, w.last_attempt_at, w.closed_reason
      FROM lead w JOIN campaign p ON p.tenant_id = w.tenant_id AND p.id = w.campaign_id
     WHERE w.tenant_id = :tenant_id AND w.contact_id = :contact_id
     ORDER BY w.status = 'closed', w.id DESC
    """
)


async def card(conn: AsyncConnection, tenant_id: int, contact_id: int, *, lock: bool = False) -> Card | None:
    """A person's card; with `lock` nobody else changes it before the transaction ends."""
    statement = _LOCK if lock else _SEE
    row = await statement.row(conn, tenant_id=tenant_id, contact_id=contact_id)
    if row is None:
        return None
    numbers = await numbers_of(conn, tenant_id, [contact_id])
    return Card(*(*row, numbers[contact_id]))


async def missing(conn: AsyncConnection, tenant_id: int, contact_id: int) -> NotFound:
    """What is to be raised where there is no such contact: it may be part of another by now."""
    found = await _MERGED.value(conn, tenant_id=tenant_id, contact_id=contact_id)
    if found is None:
        return NotFound(what="contact", key=contact_id)
    return Merged(what="contact", key=contact_id, merged_into=found)


async def numbers_of(
    conn: AsyncConnection, tenant_id: int, contact_ids: Collection[int]
) -> dict[int, list[Number]]:
    """The numbers of these people in their order."""
    found: dict[int, list[Number]] = {contact_id: [] for contact_id in contact_ids}
    for row in await _NUMBERS.rows(conn, tenant_id=tenant_id, contact_ids=list(found)):
        good = Hours.parse(row.good_from, row.good_until) if row.good_from else None
        found[row.contact_id].append(
            Number(
                row.id,
                row.position,
                row.e164,
                row.kind,
                row.label,
                tuple(row.timezones),
                good,
                row.busy,
                row.dead,
            )
        )
    return found


async def lists_of(conn: AsyncConnection, tenant_id: int, contact_id: int) -> list[Membership]:
    """The lists that have the person, oldest first."""
    rows = await _LISTS.rows(conn, tenant_id=tenant_id, contact_id=contact_id)
    return [Membership(*row) for row in rows]


async def leads_of(conn: AsyncConnection, tenant_id: int, contact_id: int) -> list[LeadOf]:
    """The leads of the person, open ones first."""
    return [LeadOf(*row) for row in await _LEADS.rows(conn, tenant_id=tenant_id, contact_id=contact_id)]


#: The call of the shift, or one of it that owes a disposition.
_OR_CALL = """
            OR EXISTS (SELECT FROM {call} a
                        WHERE a.tenant_id = s.tenant_id AND a.id = s.attempt_id
                          AND (a.contact_id = :contact_id OR a.contact_id IS NULL AND a.e164 = ANY (ARRAY(
                               SELECT e164 FROM contact_phone
                                WHERE tenant_id = :tenant_id AND contact_id = :contact_id))))
            OR EXISTS (SELECT FROM {call} a
                        WHERE a.tenant_id = s.tenant_id AND a.session_id = s.id AND a.connected_at IS NOT NULL
                          AND a.disposed_at IS NULL AND a.contact_id = :contact_id)
"""
_ON_DESK = Prepared(
    f"""
    SELECT EXISTS (
        SELECT FROM agent g
          JOIN agent_session s ON s.tenant_id = g.tenant_id AND s.agent_id = g.id AND s.logged_out_at IS NULL
         WHERE g.tenant_id = :tenant_id AND g.user_id = :user_id AND (
               EXISTS (SELECT FROM lead w
                        WHERE w.tenant_id = s.tenant_id AND w.id = s.lead_id AND w.contact_id = :contact_id)
            {_OR_CALL.format(call="attempt")} {_OR_CALL.format(call="inbound_call")}))
    """  # noqa: S608 - texts of ours
)


async def on_desk(conn: AsyncConnection, tenant_id: int, user_id: int, contact_id: int) -> bool:
    """Whether the person is on the line of this user's agent, is shown to them, or owed a disposition."""
    return bool(await _ON_DESK.value(conn, tenant_id=tenant_id, user_id=user_id, contact_id=contact_id))


# -- searching ---------------------------------------------------------------------------------------------

#: After every text that begins so. Comparisons are leakproof, so under row security they use an index; LIKE
#: would read the whole table.
_LAST = chr(0x10FFFF)
_FOUND = """
    SELECT id, {key} AS key FROM contact
     WHERE tenant_id = :tenant_id AND {key} >= :start AND {key} < :stop
       AND (CAST(:after AS text) IS NULL OR ({key}, id) > (CAST(:after AS text), CAST(:after_id AS bigint)))
       {more}
     ORDER BY {key}, id LIMIT :limit
"""
_BY_EMAIL = Prepared(_FOUND.format(key="email_key", more=""))
# Words after the first begin the other words of the name: looked at in what the first has found.
_BY_NAME = Prepared(
    _FOUND.format(
        key="name_key",
        more="""AND NOT EXISTS (
           SELECT FROM unnest(CAST(:words AS text[])) AS w (word)
            WHERE strpos(substr(name_key, strpos(name_key || ' ', ' ')), ' ' || w.word) = 0)""",
    )
)
_BY_NUMBER = Prepared(
    """
    SELECT DISTINCT contact_id FROM contact_phone
     WHERE tenant_id = :tenant_id AND e164 = :e164 AND contact_id > :after ORDER BY contact_id LIMIT :limit
    """
)
_CARDS = Prepared(
    """
    SELECT id, external_id, last_name, first_name, middle_name, email, timezone, custom, created_at, erased_at
      FROM contact WHERE tenant_id = :tenant_id AND id = ANY (CAST(:ids AS bigint[]))
    """
)
_NEWEST = Prepared(
    """
    SELECT id FROM contact
     WHERE tenant_id = :tenant_id AND erased_at IS NULL AND id < :before ORDER BY id DESC LIMIT :limit
    """
)


async def by_email(
    conn: AsyncConnection, tenant_id: int, start: str, after: tuple[str, int] | None, limit: int
) -> list[tuple[str, int]]:
    """People whose e-mail begins so, as (sort key, id)."""
    return await _keyed(_BY_EMAIL, conn, tenant_id, start, after, limit)


async def by_name(
    conn: AsyncConnection,
    tenant_id: int,
    start: str,
    words: Sequence[str],
    after: tuple[str, int] | None,
    limit: int,
) -> list[tuple[str, int]]:
    """People whose name begins with `start` and has words that begin with each of `words`."""
    return await _keyed(_BY_NAME, conn, tenant_id, start, after, limit, words=list(words))


async def _keyed(
    statement: Prepared,
    conn: AsyncConnection,
    tenant_id: int,
    start: str,
    after: tuple[str, int] | None,
    limit: int,
    **more: object,
) -> list[tuple[str, int]]:
    key, last = after or (None, None)
    rows = await statement.rows(
        conn,
        tenant_id=tenant_id,
        start=start,
        stop=start + _LAST,
        after=key,
        after_id=last,
        limit=limit,
        **more,
    )
    return [(row.key, row.id) for row in rows]


async def by_number(conn: AsyncConnection, tenant_id: int, e164: str, after: int, limit: int) -> list[int]:
    """People with the number, in the order they came."""
    return await _BY_NUMBER.column(conn, tenant_id=tenant_id, e164=e164, after=after, limit=limit)


async def newest(conn: AsyncConnection, tenant_id: int, before: int, limit: int) -> list[int]:
    """The people who came last."""
    return await _NEWEST.column(conn, tenant_id=tenant_id, before=before, limit=limit)


async def cards(conn: AsyncConnection, tenant_id: int, ids: Sequence[int]) -> list[Card]:
    """The cards of these people, in the order given."""
    rows = {row.id: row for row in await _CARDS.rows(conn, tenant_id=tenant_id, ids=list(ids))}
    numbers = await numbers_of(conn, tenant_id, ids)
    return [Card(*(*rows[one], numbers[one])) for one in ids if one in rows]


# -- changing ----------------------------------------------------------------------------------------------


async def make(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """A new contact with these columns and no numbers; its id."""
    row = await conn.execute(insert(t.contact).values(tenant_id=tenant_id, **values).returning(_CONTACT.id))
    return int(row.scalar_one())


async def change(conn: AsyncConnection, tenant_id: int, contact_id: int, values: Mapping[str, Any]) -> None:
    """Write columns of a contact."""
    await conn.execute(
        update(t.contact).where(_CONTACT.tenant_id == tenant_id, _CONTACT.id == contact_id).values(**values)
    )


def good_columns(good: Hours | None) -> dict[str, str | None]:
    """Hours as the table keeps them."""
    opens, _, closes = str(good).partition("-") if good else ("", "", "")
    return {"good_from": opens or None, "good_until": closes or None}


async def add_phone(
    conn: AsyncConnection,
    tenant_id: int,
    contact_id: int,
    number: PhoneNumber,
    *,
    position: int,
    label: str = "",
    good: Hours | None = None,
) -> None:
    """A number more, at this place; others are moved by `put_in_order`."""
    await conn.execute(
        insert(t.contact_phone).values(
            tenant_id=tenant_id,
            contact_id=contact_id,
            position=position,
            e164=number.e164,
            kind=number.kind,
            timezones=list(number.timezones),
            label=label,
            **good_columns(good),
        )
    )


async def change_phone(
    conn: AsyncConnection, tenant_id: int, phone_id: int, values: Mapping[str, Any]
) -> None:
    """Write columns of a number."""
    await conn.execute(
        update(t.contact_phone).where(_PHONE.tenant_id == tenant_id, _PHONE.id == phone_id).values(**values)
    )


async def remove_phone(conn: AsyncConnection, tenant_id: int, phone_id: int) -> None:
    """Take a number off the card."""
    await conn.execute(delete(t.contact_phone).where(_PHONE.tenant_id == tenant_id, _PHONE.id == phone_id))


_PUT_IN_ORDER = text("""
    UPDATE contact_phone p SET position = n.position
      FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS n (id, position)
     WHERE p.tenant_id = :tenant_id AND p.id = n.id AND p.position <> n.position
""")


async def put_in_order(conn: AsyncConnection, tenant_id: int, phone_ids: Sequence[int]) -> None:
    """Number the numbers of a contact from 1, all of them in this order."""
    await conn.execute(_PUT_IN_ORDER, {"tenant_id": tenant_id, "ids": list(phone_ids)})


async def owners(conn: AsyncConnection, tenant_id: int, numbers: Collection[str]) -> dict[str, int]:
    """Of these numbers those that somebody has, each with the contact who came first."""
    query = (
        select(_PHONE.e164, _PHONE.contact_id)
        .where(_PHONE.tenant_id == tenant_id, _PHONE.e164.in_(numbers))
        .order_by(_PHONE.contact_id.desc())
    )
    return {row.e164: row.contact_id for row in await conn.execute(query)}


# In the order in which everybody locks leads.
_LOOK_AGAIN = Prepared(
    """
    UPDATE lead SET hold = NULL, open_from = :now
     WHERE tenant_id = :tenant_id AND id = ANY (ARRAY(
           SELECT id FROM lead
            WHERE tenant_id = :tenant_id AND contact_id = ANY (CAST(:contact_ids AS bigint[]))
              AND hold = CAST(:hold AS text) AND status <> 'closed'
            ORDER BY id
              FOR UPDATE))
    """
)


async def look_again(
    conn: AsyncConnection, tenant_id: int, contact_ids: Sequence[int], hold: str, now: datetime
) -> int:
    """Have the placer ask anew about the leads of these people that rest under this word; how many."""
    whose = {"tenant_id": tenant_id, "contact_ids": list(contact_ids)}
    return await _LOOK_AGAIN.run(conn, **whose, hold=hold, now=now)


# -- the leads that wait -----------------------------------------------------------------------------------

# In the order in which the placer locks them too.
_WAITING = Prepared(
    """
    SELECT id, campaign_id, e164, timezones, status = 'new' AND attempts = 0 AS untouched FROM lead
     WHERE tenant_id = :tenant_id AND contact_id = :contact_id AND status <> 'closed'
     ORDER BY id FOR UPDATE
    """
)
_TAKEN = Prepared(
    """
    SELECT campaign_id, e164 FROM lead
     WHERE tenant_id = :tenant_id AND campaign_id = ANY (CAST(:campaigns AS bigint[]))
       AND e164 = ANY (CAST(:numbers AS text[]))
    """
)
_REFIT = Prepared(
    """
    UPDATE lead SET e164 = :e164, timezones = CAST(:zones AS text[]),
           hold = CASE WHEN hold = ANY (CAST(:of_zones AS text[])) THEN NULL ELSE hold END,
           open_from = CASE WHEN hold = ANY (CAST(:of_zones AS text[])) THEN :now ELSE open_from END
     WHERE tenant_id = :tenant_id AND id = :lead_id
    """
)
_CLOSE = Prepared(
    """
    UPDATE lead SET status = 'closed', hold = NULL, closed_reason = :reason
     WHERE tenant_id = :tenant_id AND id = :lead_id
    """
)


async def waiting(conn: AsyncConnection, tenant_id: int, contact_id: int) -> list[Waiting]:
    """The leads of the person that are not closed, locked: who is about to dial one is waited for."""
    rows = await _WAITING.rows(conn, tenant_id=tenant_id, contact_id=contact_id)
    return [Waiting(row.id, row.campaign_id, row.e164, tuple(row.timezones), row.untouched) for row in rows]


async def taken(
    conn: AsyncConnection, tenant_id: int, campaign_ids: Collection[int], numbers: Collection[str]
) -> set[tuple[int, str]]:
    """Which of these numbers which of these campaigns have already, as (campaign, number)."""
    rows = await _TAKEN.rows(conn, tenant_id=tenant_id, campaigns=list(campaign_ids), numbers=list(numbers))
    return {(row.campaign_id, row.e164) for row in rows}


async def write_refits(conn: AsyncConnection, tenant_id: int, refits: Sequence[Refit], now: datetime) -> None:
    """Change leads as decided. What rested for its old zone or hours is looked at anew."""
    # What frees a number for another lead of the same campaign comes first: closed ones keep theirs.
    for one in refits:
        if one.e164 is None:
            await _CLOSE.run(conn, tenant_id=tenant_id, lead_id=one.lead_id, reason=PHONE_REMOVED)
        else:
            await _REFIT.run(
                conn,
                tenant_id=tenant_id,
                lead_id=one.lead_id,
                e164=one.e164,
                zones=list(one.timezones),
                of_zones=sorted(OF_ZONES),
                now=now,
            )
