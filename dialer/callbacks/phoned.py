"""Promised calls of people who have called us: because they asked for it, of a flow or of an agent, because
nobody served them, or of a message that they left.

Who calls may be on no list, and the campaign of the number may have none: what is missing is made. A person
who is promised a call by the campaign already is promised no second one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.callbacks import making, store
from dialer.callbacks.making import Asked
from dialer.callbacks.store import CallbackRow
from dialer.clock import utc_now
from dialer.db.prepared import Prepared
from dialer.errors import Invalid
from scheduler.callbacks import State

#: After this, where no time is named: the caller has put the phone down by then.
SOON: Final = timedelta(seconds=15)

_LIST_OF = Prepared(
    """
    SELECT coalesce(
        (SELECT min(list_id) FROM campaign_list
          WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id),
        (SELECT list_id FROM lead
          WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id LIMIT 1))
    """
)
#: Of people who have called us alone; a list of that name that there is already is as good.
_MAKE_LIST = Prepared(
    """
    INSERT INTO contact_list (tenant_id, name)
    SELECT tenant_id, name || ' (inbound)' FROM campaign WHERE tenant_id = :tenant_id AND id = :campaign_id
    ON CONFLICT (tenant_id, name) DO UPDATE SET name = excluded.name
    RETURNING id
    """
)
_ON_A_LIST = Prepared(
    "SELECT EXISTS (SELECT FROM list_contact WHERE tenant_id = :tenant_id AND contact_id = :contact_id)"
)
_PUT = Prepared(
    """
    INSERT INTO list_contact (tenant_id, list_id, contact_id) VALUES (:tenant_id, :list_id, :contact_id)
    ON CONFLICT DO NOTHING
    """
)
#: A number that another person of the campaign has too: their lead is as good, it is the number that rings.
_LEAD_AT = Prepared(
    "SELECT id FROM lead WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND e164 = :e164"
)
_MADE_SINCE = Prepared(
    """
    SELECT created_at >= CAST(:since AS timestamptz) FROM lead
     WHERE tenant_id = :tenant_id AND id = :lead_id
    """
)
#: The person is called at the number from which they have called, unless they are being called now.
_TURN = Prepared(
    """
    UPDATE lead l SET e164 = p.e164,
           timezones = CASE WHEN c.timezone IS NULL THEN p.timezones ELSE ARRAY[c.timezone] END
      FROM contact_phone p
      JOIN contact c ON c.tenant_id = p.tenant_id AND c.id = p.contact_id
     WHERE l.tenant_id = :tenant_id AND l.id = :lead_id AND l.e164 <> :e164
       AND l.status IN ('new', 'waiting', 'closed')
       AND p.tenant_id = l.tenant_id AND p.contact_id = l.contact_id AND p.e164 = :e164
       AND NOT EXISTS (SELECT FROM lead o WHERE o.tenant_id = l.tenant_id AND o.campaign_id = l.campaign_id
                          AND o.e164 = :e164)
    """
)


@dataclass(frozen=True, slots=True)
class Phoned:
    """Who has called us."""

    #: whose agents call back: the campaign of the number that was called
    campaign_id: int
    contact_id: int
    #: where they are called, E.164
    e164: str
    #: in which they asked for it
    call_id: UUID


async def promise(
    conn: AsyncConnection,
    tenant_id: int,
    who: Phoned,
    *,
    at: datetime | None = None,
    note: str = "",
    by: int | None = None,
) -> CallbackRow:
    """Promise a call at that time (a moment, or a reading of the person's clock), or as soon as somebody is
    free. A promise that is open and no later stays as it is, and is what is given.

    Raises Invalid, NotAllowed, NotFound, WrongState: see `making.plan`.
    """
    now = utc_now()
    lead = await store.lock_lead(conn, tenant_id, await lead_of(conn, tenant_id, who))
    assert lead is not None
    said = Asked(now + SOON if at is None else at, note=note)
    wish = making.wish_of(said, making.zones_of(lead), now)
    planned = await making.plan(conn, tenant_id, lead, wish, now)
    kept = await store.open_of_lead(conn, tenant_id, lead.id)
    if kept is not None and (kept.due_at <= planned.due_at or kept.from_at == wish.from_at):
        return kept
    return await making.write(conn, tenant_id, planned, by=by, now=now, made_in=who.call_id)


async def take_back(
    conn: AsyncConnection, tenant_id: int, call_id: UUID, since: datetime, *, close: bool
) -> None:
    """What was promised in this call, which has begun then, is promised no more. A lead that was made for it
    is over with it; so is any other where `close` says that the talk has settled it, else it is one of its
    list again."""
    made = await store.made_in(conn, tenant_id, call_id)
    row = await store.lock(conn, tenant_id, made.id) if made is not None else None
    if row is None or row.state is not State.WAITING:
        return
    ended = {"state": State.CANCELED.value, "reason": "replaced", "ended_at": utc_now()}
    await store.change(conn, tenant_id, row.id, ended)
    made_for_it = await _MADE_SINCE.value(conn, tenant_id=tenant_id, lead_id=row.lead_id, since=since)
    await store.free_lead(conn, tenant_id, row.lead_id, close=close or made_for_it)


async def lead_of(conn: AsyncConnection, tenant_id: int, who: Phoned) -> int:
    """The lead at which they are called, which is made where there is none. Raises Invalid, NotFound."""
    await put_on_a_list(conn, tenant_id, who.campaign_id, who.contact_id)
    found = await store.lead_of(conn, tenant_id, who.campaign_id, who.contact_id, e164=who.e164)
    if found is None:
        found = await _LEAD_AT.value(conn, tenant_id=tenant_id, campaign_id=who.campaign_id, e164=who.e164)
    if found is None:
        if (lost := await store.missing(conn, tenant_id, who.campaign_id, who.contact_id)) is not None:
            raise lost
        raise Invalid(field="number", reason="the person has no number that could be called")
    await _TURN.run(conn, tenant_id=tenant_id, lead_id=found, e164=who.e164)
    return found


async def put_on_a_list(conn: AsyncConnection, tenant_id: int, campaign_id: int, contact_id: int) -> None:
    """Have somebody who is on no list on one of the campaign's, or on a new one that has its name."""
    if await _ON_A_LIST.value(conn, tenant_id=tenant_id, contact_id=contact_id):
        return
    of_campaign = {"tenant_id": tenant_id, "campaign_id": campaign_id}
    list_id = await _LIST_OF.value(conn, **of_campaign) or await _MAKE_LIST.value(conn, **of_campaign)
    if list_id is not None:  # else there is no such campaign
        await _PUT.run(conn, tenant_id=tenant_id, list_id=list_id, contact_id=contact_id)
