"""Whose numbers are to be dialled: attempts are counted by person, and phones have hours of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.targets import Target
from dialer.compliance.policy import Day, good_day
from dialer.db.prepared import Prepared

_LOCK = Prepared(
    """
    SELECT pg_advisory_xact_lock(
               hashtextextended('dozvon.person:' || CAST(:tenant_id AS bigint) || ':' || id, 0))
      FROM (SELECT unnest(CAST(:contact_ids AS bigint[])) AS id ORDER BY 1) AS people
    """
)
_OWNERS = Prepared(
    """
    SELECT e164, min(contact_id) FROM contact_phone
     WHERE tenant_id = :tenant_id AND e164 = ANY (CAST(:numbers AS text[])) GROUP BY e164
    """
)
_GOOD = Prepared(
    """
    SELECT contact_id, e164, good_from, good_until FROM contact_phone
     WHERE tenant_id = :tenant_id AND contact_id = ANY (CAST(:contact_ids AS bigint[]))
       AND good_from IS NOT NULL
    """
)


async def contacts(conn: AsyncConnection, tenant_id: int, targets: Sequence[Target]) -> dict[str, int | None]:
    """The contact of each number; of one that was typed by hand the oldest that has it."""
    typed = [target.e164 for target in targets if target.lead is None]
    owners: dict[str, int] = {}
    if typed:
        owners = dict(map(tuple, await _OWNERS.rows(conn, tenant_id=tenant_id, numbers=typed)))
    return {
        target.e164: target.lead.contact_id if target.lead else owners.get(target.e164) for target in targets
    }


async def lock(conn: AsyncConnection, tenant_id: int, contact_ids: Iterable[int | None]) -> None:
    """Let nobody else count the attempts at these people before the transaction ends: of two campaigns that
    would call two numbers of one person at the same moment, the second counts the first's call."""
    known = sorted({one for one in contact_ids if one is not None})
    if known:
        await _LOCK.rows(conn, tenant_id=tenant_id, contact_ids=known)


async def good_hours(
    conn: AsyncConnection, tenant_id: int, targets: Sequence[Target]
) -> Mapping[tuple[int, str], Day]:
    """The hours in which a contact's phone may be called, of those phones that have any."""
    contact_ids = sorted({target.lead.contact_id for target in targets if target.lead})
    if not contact_ids:
        return {}
    rows = await _GOOD.rows(conn, tenant_id=tenant_id, contact_ids=contact_ids)
    return {(row.contact_id, row.e164): good_day(row.good_from, row.good_until) for row in rows}
