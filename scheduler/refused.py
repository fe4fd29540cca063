"""Leads of numbers that are not to be called: closed for good, put off where it ends, opened again after.

Whoever changes an entry changes the leads in the same transaction, or soon after it where they are many, as
those of an area are (`scheduler.changes`): the placer asks before each attempt all the same, so none of this
decides whether a number is dialled.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db.prepared import Prepared
from scheduler import promised

#: Of a lead in the statement that claims, at `:now`: its number has no entry of its own. Entries for prefixes
#: are asked for afterwards, with everything else.
NOT_REFUSED = """
    NOT EXISTS (
        SELECT FROM do_not_call d
         WHERE d.tenant_id = lead.tenant_id AND d.mark = lead.e164 AND d.removed_at IS NULL
           AND (d.campaign_id IS NULL OR d.campaign_id = lead.campaign_id)
           AND (d.valid_from IS NULL OR d.valid_from <= :now)
           AND (d.valid_until IS NULL OR d.valid_until > :now))
"""
#: Leads that may be dialled still, of numbers: by the key that has the campaign before the number.
_DUE = """
    SELECT l.id
      FROM campaign c
      CROSS JOIN unnest(CAST(:numbers AS text[])) AS n (e164)
      JOIN lead l ON l.tenant_id = c.tenant_id AND l.campaign_id = c.id AND l.e164 = n.e164
     WHERE c.tenant_id = :tenant_id AND (CAST(:campaign_id AS bigint) IS NULL OR c.id = :campaign_id)
       AND c.status <> 'stopped' AND {which}
     ORDER BY l.id
       FOR UPDATE OF l
"""
#: Of a lead l, and what is set: leads that close, and leads that were closed or put off for do-not-call and
#: are opened.
OPEN = "l.status IN ('new', 'waiting', 'offered')"
CLOSED = "status = 'closed', hold = NULL, closed_reason = 'do_not_call'"
OPENED = """
    status = CASE WHEN l.status = 'closed' THEN 'waiting' ELSE l.status END, closed_reason = NULL,
    open_from = now()
"""
SHUT = "(l.status = 'closed' AND l.closed_reason = 'do_not_call' OR l.hold = 'do_not_call')"
#: The entry for the area :prefix is in force still for the campaign of a lead l.
AREA_REFUSED = """
    EXISTS (
        SELECT FROM do_not_call d
         WHERE d.tenant_id = l.tenant_id AND d.mark = CAST(:prefix AS text) || '*' AND d.removed_at IS NULL
           AND (d.campaign_id IS NULL OR d.campaign_id = l.campaign_id))
"""
_OF_DUE = "WHERE lead.tenant_id = :tenant_id AND lead.id IN (SELECT id FROM due)"
_CLOSE = Prepared(
    f"WITH due AS ({_DUE.format(which=OPEN)}) UPDATE lead SET {CLOSED} {_OF_DUE}"  # noqa: S608
)
_PUT_OFF = Prepared(
    f"""
    WITH due AS ({_DUE.format(which="l.status IN ('new', 'waiting') AND l.hold IS DISTINCT FROM 'callback'")})
    UPDATE lead SET status = 'waiting', hold = 'do_not_call', open_from = greatest(open_from, :until)
     {_OF_DUE}
    """  # noqa: S608 - texts of ours
)
_OPEN_AGAIN = Prepared(
    f"""
    WITH due AS ({_DUE.format(which=SHUT)})
    UPDATE lead l SET {OPENED} WHERE l.tenant_id = :tenant_id AND l.id IN (SELECT id FROM due)
    """  # noqa: S608 - texts of ours
)
_CLOSE_LEADS = Prepared(
    f"UPDATE lead SET {CLOSED} WHERE tenant_id = :tenant_id AND id = ANY (CAST(:lead_ids AS bigint[]))"  # noqa: S608
)


async def close_numbers(
    conn: AsyncConnection, tenant_id: int, numbers: Sequence[str], campaign_id: int | None
) -> int:
    """Dial these numbers (E.164) no more, in any campaign or in one; how many leads that closed. Nobody calls
    them back either."""
    closed = await _CLOSE.run(conn, tenant_id=tenant_id, numbers=list(numbers), campaign_id=campaign_id)
    await promised.cancel_numbers(conn, tenant_id, numbers, campaign_id, "do_not_call", utc_now())
    return closed


async def put_off_numbers(
    conn: AsyncConnection, tenant_id: int, numbers: Sequence[str], campaign_id: int | None, until: datetime
) -> int:
    """Do not dial these numbers before then. A callback is put off when it is due."""
    whose = {"tenant_id": tenant_id, "numbers": list(numbers), "campaign_id": campaign_id}
    return await _PUT_OFF.run(conn, **whose, until=until)


async def open_numbers(
    conn: AsyncConnection, tenant_id: int, numbers: Sequence[str], campaign_id: int | None
) -> int:
    """What kept these numbers from being dialled is removed: their leads may be asked about again."""
    return await _OPEN_AGAIN.run(conn, tenant_id=tenant_id, numbers=list(numbers), campaign_id=campaign_id)


async def close_leads(conn: AsyncConnection, tenant_id: int, lead_ids: Sequence[int]) -> None:
    """Dial these leads no more."""
    await _CLOSE_LEADS.run(conn, tenant_id=tenant_id, lead_ids=list(lead_ids))
    await promised.cancel_leads(conn, tenant_id, lead_ids, "do_not_call", utc_now())
