"""The SQL of dead numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts.dead_numbers import INVALID_IN_A_ROW, SAYS_NOTHING, DeadNumber, DeadReason, ListCount
from dialer.contacts.model import FAR_FUTURE
from dialer.db.prepared import Prepared

#: Calls of a number that are looked at; more in a row than that are never asked for.
LOOK_BACK = 30
_NOTHING = ", ".join(f"'{result}'" for result in sorted(SAYS_NOTHING))

_DEAD = Prepared(
    """
    SELECT DISTINCT e164 FROM contact_phone
     WHERE tenant_id = :tenant_id AND e164 = ANY (CAST(:numbers AS text[])) AND dead_since IS NOT NULL
    """
)


async def dead_numbers(conn: AsyncConnection, tenant_id: int, numbers: Collection[str]) -> set[str]:
    """Those of these E.164 numbers that are dead."""
    return set(await _DEAD.column(conn, tenant_id=tenant_id, numbers=list(numbers)))


# -- the rule -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """When a number of the tenant counts as dead, and how far calls were looked at for it."""

    invalid_in_a_row: int = INVALID_IN_A_ROW
    #: every attempt made before it was looked at after its end; None: none was
    looked_until: datetime | None = None


_RULE = Prepared("SELECT invalid_in_a_row, looked_until FROM dead_number_rule WHERE tenant_id = :tenant_id")
_SET_RULE = Prepared(
    """
    INSERT INTO dead_number_rule (tenant_id, invalid_in_a_row) VALUES (:tenant_id, :in_a_row)
    ON CONFLICT (tenant_id) DO UPDATE SET invalid_in_a_row = excluded.invalid_in_a_row
    """
)
_LOOKED = Prepared(
    """
    INSERT INTO dead_number_rule (tenant_id, looked_until) VALUES (:tenant_id, :until)
    ON CONFLICT (tenant_id) DO UPDATE SET looked_until = excluded.looked_until
    """
)


async def get_rule(conn: AsyncConnection, tenant_id: int) -> Rule:
    """The tenant's rule."""
    row = await _RULE.row(conn, tenant_id=tenant_id)
    return Rule(*row) if row else Rule()


async def set_rule(conn: AsyncConnection, tenant_id: int, in_a_row: int) -> None:
    """So many `invalid` in a row make a number dead from now on."""
    await _SET_RULE.run(conn, tenant_id=tenant_id, in_a_row=in_a_row)


# -- from calls ---------------------------------------------------------------------------------------------

# Calls since a moment: they are few, and are read by the key of the call log.
_SUSPECTS = Prepared(
    """
    SELECT DISTINCT a.e164
      FROM attempt a
     WHERE a.tenant_id = :tenant_id AND a.created_at >= CAST(:since AS timestamptz)
       AND a.result = 'invalid' AND a.ended_at IS NOT NULL AND NOT a.trunk_fault
       AND EXISTS (SELECT FROM contact_phone p
                    WHERE p.tenant_id = a.tenant_id AND p.e164 = a.e164 AND p.dead_since IS NULL)
    """
)
_RISEN = Prepared(
    f"""
    SELECT DISTINCT a.e164
      FROM attempt a
      JOIN contact_phone p ON p.tenant_id = a.tenant_id AND p.e164 = a.e164 AND p.dead_since < a.created_at
     WHERE a.tenant_id = :tenant_id AND a.created_at >= CAST(:since AS timestamptz)
       AND (a.answered_at IS NOT NULL OR a.ringing_at IS NOT NULL)
       AND a.result NOT IN ('invalid', {_NOTHING}) AND NOT a.trunk_fault
    """  # noqa: S608 - words of ours
)
# OFFSET 0 leaves the planner one way: the index of attempts by number, the latest first.
_PAST = Prepared(
    """
    SELECT n.e164, array_agg(a.result ORDER BY a.created_at DESC) AS results, max(a.ended_at) AS at
      FROM unnest(CAST(:numbers AS text[])) AS n (e164)
      CROSS JOIN LATERAL (
          SELECT result, created_at, ended_at FROM attempt
           WHERE tenant_id = :tenant_id AND e164 = n.e164 AND ended_at IS NOT NULL AND NOT trunk_fault
             AND created_at > coalesce(
                 (SELECT max(revived_at) FROM contact_phone p
                   WHERE p.tenant_id = :tenant_id AND p.e164 = n.e164), '-infinity')
           ORDER BY created_at DESC
           LIMIT :look_back OFFSET 0) a
     GROUP BY n.e164
    """
)
# A margin for attempts that are written but not committed yet.
_SETTLED = Prepared(
    """
    SELECT least(
        now() - interval '1 minute',
        (SELECT min(created_at) FROM attempt WHERE tenant_id = :tenant_id AND ended_at IS NULL))
    """
)


async def suspects(conn: AsyncConnection, tenant_id: int, since: datetime) -> list[str]:
    """Living numbers with a call made since then that came to `invalid`."""
    return await _SUSPECTS.column(conn, tenant_id=tenant_id, since=since)


async def risen(conn: AsyncConnection, tenant_id: int, since: datetime) -> list[str]:
    """Dead numbers with a call made since then, and after they died, that rang or was answered."""
    return await _RISEN.column(conn, tenant_id=tenant_id, since=since)


async def past(
    conn: AsyncConnection, tenant_id: int, numbers: Sequence[str]
) -> dict[str, tuple[list[str], datetime]]:
    """What the last calls of each number came to, the latest first, and when the last one ended."""
    rows = await _PAST.rows(conn, tenant_id=tenant_id, numbers=list(numbers), look_back=LOOK_BACK)
    return {row.e164: (list(row.results), row.at) for row in rows}


async def looked(conn: AsyncConnection, tenant_id: int) -> None:
    """Write down how far calls were looked at: all made before the oldest one that goes on."""
    until = await _SETTLED.value(conn, tenant_id=tenant_id)
    await _LOOKED.run(conn, tenant_id=tenant_id, until=until)


# -- dead and alive -----------------------------------------------------------------------------------------

_MARK = Prepared(
    """
    UPDATE contact_phone p SET dead_since = n.at, dead_reason = :reason
      FROM unnest(CAST(:numbers AS text[]), CAST(:since AS timestamptz[])) AS n (e164, at)
     WHERE p.tenant_id = :tenant_id AND p.e164 = n.e164 AND p.dead_since IS NULL
    RETURNING p.contact_id, p.e164
    """
)
_CONFIRM = Prepared(
    """
    UPDATE contact_phone SET dead_since = coalesce(dead_since, now()), dead_reason = 'confirmed'
     WHERE tenant_id = :tenant_id AND e164 = ANY (CAST(:numbers AS text[]))
       AND dead_reason IS DISTINCT FROM 'confirmed'
    RETURNING contact_id, e164
    """
)
_REVIVE = Prepared(
    """
    UPDATE contact_phone SET dead_since = NULL, dead_reason = NULL, revived_at = now()
     WHERE tenant_id = :tenant_id AND e164 = ANY (CAST(:numbers AS text[])) AND dead_since IS NOT NULL
    RETURNING contact_id, e164
    """
)


async def mark(conn: AsyncConnection, tenant_id: int, since: dict[str, datetime]) -> list[tuple[int, str]]:
    """These numbers are dead by their calls, each since then; (contact, number) of what that changed."""
    rows = await _MARK.rows(
        conn,
        tenant_id=tenant_id,
        numbers=list(since),
        since=list(since.values()),
        reason=DeadReason.INVALID.value,
    )
    return [tuple(row) for row in rows]


async def confirm(conn: AsyncConnection, tenant_id: int, numbers: Sequence[str]) -> list[tuple[int, str]]:
    """A person says that these numbers are dead; (contact, number) of what that changed."""
    return [tuple(row) for row in await _CONFIRM.rows(conn, tenant_id=tenant_id, numbers=list(numbers))]


async def revive(conn: AsyncConnection, tenant_id: int, numbers: Sequence[str]) -> list[tuple[int, str]]:
    """These numbers are alive, whatever calls came to until now; (contact, number) of what that changed."""
    return [tuple(row) for row in await _REVIVE.rows(conn, tenant_id=tenant_id, numbers=list(numbers))]


# -- leads --------------------------------------------------------------------------------------------------

# Leads are looked up by campaign and number, which is their key. Those that a call has closed as invalid take
# part: their contact's next number was not called either.
_CLOSE = Prepared(
    """
    UPDATE lead SET status = 'closed', hold = NULL, closed_reason = 'dead_number'
     WHERE tenant_id = :tenant_id AND id = ANY (ARRAY(
           SELECT l.id
             FROM campaign c
             CROSS JOIN unnest(CAST(:numbers AS text[])) AS n (e164)
             CROSS JOIN LATERAL (
                 SELECT id, status, closed_reason FROM lead
                  WHERE tenant_id = :tenant_id AND campaign_id = c.id AND e164 = n.e164 OFFSET 0) l
            WHERE c.tenant_id = :tenant_id AND c.status <> 'stopped'
              AND (l.status IN ('new', 'waiting') OR l.status = 'closed' AND l.closed_reason = 'invalid')))
       AND (status IN ('new', 'waiting') OR status = 'closed' AND closed_reason = 'invalid')
    RETURNING id
    """
)
_NEXT = Prepared(
    """
    INSERT INTO lead (
        tenant_id, campaign_id, list_id, contact_id, e164, timezones, priority, sort_key, attempts,
        open_from, open_until
    )
    SELECT l.tenant_id, l.campaign_id, l.list_id, l.contact_id, p.e164,
           CASE WHEN c.timezone IS NULL THEN p.timezones ELSE ARRAY[c.timezone] END,
           l.priority, l.sort_key, l.attempts, least(l.open_from, now()), :far
      FROM lead l
      JOIN contact c ON c.tenant_id = l.tenant_id AND c.id = l.contact_id
      CROSS JOIN LATERAL (
          SELECT e164, timezones FROM contact_phone p
           WHERE p.tenant_id = l.tenant_id AND p.contact_id = l.contact_id AND p.dead_since IS NULL
           ORDER BY position LIMIT 1) p
     WHERE l.tenant_id = :tenant_id AND l.id = ANY (CAST(:leads AS bigint[]))
       AND NOT EXISTS (
           SELECT FROM lead o
            WHERE o.tenant_id = l.tenant_id AND o.contact_id = l.contact_id
              AND o.campaign_id = l.campaign_id AND o.status <> 'closed')
        ON CONFLICT (tenant_id, campaign_id, e164) DO NOTHING
    """
)


_CLOSE_THESE = Prepared(
    """
    UPDATE lead SET status = 'closed', hold = NULL, closed_reason = 'dead_number'
     WHERE tenant_id = :tenant_id AND id = ANY (CAST(:leads AS bigint[]))
    """
)


async def close_these(conn: AsyncConnection, tenant_id: int, lead_ids: Sequence[int]) -> int:
    """As `close_leads`, of leads that the caller has locked: their numbers are dead; how many came in."""
    await _CLOSE_THESE.run(conn, tenant_id=tenant_id, leads=list(lead_ids))
    return await _NEXT.run(conn, tenant_id=tenant_id, leads=list(lead_ids), far=FAR_FUTURE)


async def close_leads(conn: AsyncConnection, tenant_id: int, numbers: Sequence[str]) -> tuple[int, int]:
    """Close the leads of dead numbers that nobody calls now, and have the contact's next living number take
    their place where it has one; how many were closed, and how many came in."""
    closed = await _CLOSE.column(conn, tenant_id=tenant_id, numbers=list(numbers))
    if not closed:
        return 0, 0
    return len(closed), await _NEXT.run(conn, tenant_id=tenant_id, leads=closed, far=FAR_FUTURE)


_REOPEN = Prepared(
    """
    UPDATE lead SET status = CASE WHEN attempts > 0 THEN 'waiting' ELSE 'new' END, closed_reason = NULL,
           open_from = now(), open_until = :far
     WHERE tenant_id = :tenant_id AND id = ANY (ARRAY(
           SELECT min(l.id)
             FROM campaign c
             CROSS JOIN unnest(CAST(:numbers AS text[])) AS n (e164)
             CROSS JOIN LATERAL (
                 SELECT id, contact_id, status, closed_reason FROM lead
                  WHERE tenant_id = :tenant_id AND campaign_id = c.id AND e164 = n.e164 OFFSET 0) l
            WHERE c.tenant_id = :tenant_id AND c.status <> 'stopped'
              AND l.status = 'closed' AND l.closed_reason = 'dead_number'
              AND NOT EXISTS (
                  SELECT FROM lead o
                   WHERE o.tenant_id = :tenant_id AND o.contact_id = l.contact_id AND o.campaign_id = c.id
                     AND (o.status <> 'closed' OR o.last_result = 'answered'))
            GROUP BY c.id, l.contact_id))
    """
)


async def reopen_leads(conn: AsyncConnection, tenant_id: int, numbers: Sequence[str]) -> int:
    """Open the leads again that were closed because these numbers were dead, one a contact a campaign, where
    no other number of the contact has taken their place or was answered; how many."""
    return await _REOPEN.run(conn, tenant_id=tenant_id, numbers=list(numbers), far=FAR_FUTURE)


# -- the page -----------------------------------------------------------------------------------------------

_PAGE = Prepared(
    """
    SELECT p.id, p.contact_id, c.last_name, c.first_name, c.middle_name, p.e164,
           p.dead_since AS since, p.dead_reason AS reason,
           (SELECT count(*) FROM attempt a
             WHERE a.tenant_id = p.tenant_id AND a.e164 = p.e164 AND a.result = 'invalid') AS invalid,
           (SELECT count(*) FROM contact_phone o
             WHERE o.tenant_id = p.tenant_id AND o.contact_id = p.contact_id
               AND o.dead_since IS NULL) AS others
      FROM contact_phone p
      JOIN contact c ON c.tenant_id = p.tenant_id AND c.id = p.contact_id
     WHERE p.tenant_id = :tenant_id AND p.dead_since IS NOT NULL
       AND (CAST(:list_id AS bigint) IS NULL OR EXISTS (
           SELECT FROM list_contact m
            WHERE m.tenant_id = p.tenant_id AND m.list_id = :list_id AND m.contact_id = p.contact_id))
       AND (CAST(:reason AS text) IS NULL OR p.dead_reason = CAST(:reason AS text))
       AND (CAST(:e164 AS text) IS NULL OR (p.e164, p.id) > (CAST(:e164 AS text), CAST(:id AS bigint)))
     ORDER BY p.e164, p.id
     LIMIT :limit
    """
)
_BY_LIST = Prepared(
    """
    SELECT m.list_id, l.name, count(*) AS dead, count(*) FILTER (WHERE d.others = 0) AS unreachable
      FROM (SELECT p.contact_id, (SELECT count(*) FROM contact_phone o
                     WHERE o.tenant_id = :tenant_id AND o.contact_id = p.contact_id
                       AND o.dead_since IS NULL) AS others
              FROM contact_phone p
             WHERE p.tenant_id = :tenant_id AND p.dead_since IS NOT NULL
             GROUP BY p.contact_id) d
      JOIN list_contact m ON m.tenant_id = :tenant_id AND m.contact_id = d.contact_id
      JOIN contact_list l ON l.tenant_id = m.tenant_id AND l.id = m.list_id
     GROUP BY m.list_id, l.name
     ORDER BY dead DESC, m.list_id
    """
)


async def page(
    conn: AsyncConnection,
    tenant_id: int,
    *,
    list_id: int | None,
    reason: str | None,
    after: tuple[str, int] | None,
    limit: int,
) -> list[DeadNumber]:
    """Dead numbers by number, from after (number, id)."""
    e164, row_id = after or (None, None)
    rows = await _PAGE.rows(
        conn, tenant_id=tenant_id, list_id=list_id, reason=reason, e164=e164, id=row_id, limit=limit
    )
    return [DeadNumber(**{**row, "reason": DeadReason(row.reason)}) for row in rows]


async def by_list(conn: AsyncConnection, tenant_id: int) -> list[ListCount]:
    """Dead numbers of each list that has some, most first."""
    return [ListCount(*row) for row in await _BY_LIST.rows(conn, tenant_id=tenant_id)]
