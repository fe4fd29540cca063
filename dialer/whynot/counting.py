"""The SQL of a campaign's counts: all its leads by the first step that stops them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from scheduler.hopper import ClaimedLead

#: Each lead under the first step that stops it, by what is written on it and by what a set of rows says of
#: all: one pass over the campaign's leads, in which they are put together by kind (the planner knows how few
#: kinds there are), then a step for each kind. What is `open` passes all of that; what is of the `calendar`
#: has a window that is over, or one of old rules: its zones say more. Where consents are asked for, leads are
#: apart by the kind of their people's consents (`_AGREED`), and `whose` is one of these people: whoever puts
#: the rule to that one knows what it says to all. The step is the one after that filter.
_COUNTS = """
    WITH unwanted AS (
        SELECT DISTINCT kind, mark FROM do_not_call
         WHERE tenant_id = :tenant_id AND removed_at IS NULL
           AND (campaign_id IS NULL OR campaign_id = :campaign_id)
           AND (valid_from IS NULL OR valid_from <= :now) AND (valid_until IS NULL OR valid_until > :now)
    ), beginnings AS MATERIALIZED (
        SELECT rtrim(mark, '*') AS mark FROM unwanted WHERE kind = 'prefix'
    ), kinds AS (
        SELECT l.status, l.hold, l.closed_reason, l.timezones,
               l.open_from > :now AS rests, l.open_until <= :now AS over, n.e164 IS NOT NULL AS busy,
               d.mark IS NOT NULL OR EXISTS (
                   SELECT FROM beginnings b WHERE starts_with(l.e164, b.mark) AND l.e164 <> b.mark
               ) AS refused,
               {dead} AS dead, {unasked} AS unasked, {agreed} AS agreed,
               c.lead_id IS NOT NULL AS promised,
               coalesce(c.due_at <= :now, false) AS due, coalesce(c.open_at <= :now, false) AS for_anybody,
               count(*) AS leads, min({begins}) AS begins, {whose} AS whose,
               min(CASE WHEN l.hold = 'callback' THEN coalesce(c.due_at, l.open_from)
                        ELSE l.open_from END) AS opens
          FROM lead l
          LEFT JOIN unwanted d ON d.kind = 'number' AND d.mark = l.e164 AND l.status <> 'closed'
          LEFT JOIN active_number n ON n.tenant_id = l.tenant_id AND n.e164 = l.e164
          LEFT JOIN callback c ON c.tenant_id = l.tenant_id AND c.lead_id = l.id AND c.state = 'waiting'
          {joins}
         WHERE l.tenant_id = :tenant_id AND l.campaign_id = :campaign_id {only}
         GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
    ), looked AS (
        SELECT timezones, status, closed_reason, leads, opens, agreed, begins, whose,
               CASE WHEN hold = 'callback' AND due THEN 'callback_own' ELSE hold END AS hold,
               CASE
                 WHEN status = 'closed' THEN 'lead'
                 WHEN status IN ('dialling', 'offered') OR busy THEN 'call'
                 WHEN dead THEN 'number'
                 WHEN refused THEN 'do_not_call'
                 WHEN unasked THEN 'consent'
                 WHEN due AND for_anybody THEN 'open'
                 WHEN hold = 'callback' AND (promised OR rests) THEN 'wait'
                 WHEN rests AND (hold IS NULL OR hold IN ('retry', 'trunk')) THEN 'wait'
                 WHEN rests AND hold IN ('hours', 'zone') AND CAST(:stale AS boolean) THEN 'calendar'
                 WHEN rests THEN hold
                 WHEN over THEN 'calendar'
                 ELSE 'open'
               END AS step
          FROM kinds
    ), told AS (
        SELECT *, step NOT IN ('lead', 'call', 'number', 'do_not_call', 'consent') AS asks FROM looked
    )
    SELECT step,
           CASE step WHEN 'lead' THEN coalesce(closed_reason, 'other')
                     WHEN 'call' THEN CASE status WHEN 'dialling' THEN 'in_call' WHEN 'offered' THEN 'offered'
                                                  ELSE 'number_busy' END
                     WHEN 'wait' THEN coalesce(hold, 'later') ELSE '' END AS reason,
           CASE WHEN step IN ('calendar', 'wait', 'hours', 'limits', 'redial') OR asks AND begins IS NOT NULL
                THEN timezones END AS zones,
           CASE WHEN asks THEN agreed END AS agreed,
           CAST(sum(leads) AS bigint) AS leads, min(opens) AS opens,
           (min(whose) FILTER (WHERE asks))[2] AS whose
      FROM told
     GROUP BY 1, 2, 3, 4
"""
_DEAD = "p.e164 IS NOT NULL"
_DEAD_JOIN = """
    LEFT JOIN (SELECT DISTINCT e164 FROM contact_phone
                WHERE tenant_id = :tenant_id AND dead_since IS NOT NULL) p ON p.e164 = l.e164
"""
#: What of a consent a rule may go by that knows nothing but `:now`: for any purpose or for one, on which side
#: of now, and of each other, its dates lie, and whether the person's last withdrawal came after it began. A
#: number under 64.
_KIND = """
    (CAST(c.purpose = 'any' AS integer) + 2 * CAST(c.valid_from > :now AS integer)
     + 4 * CAST(coalesce(c.valid_until <= :now, false) AS integer)
     + 8 * CASE WHEN c.withdrawn_at IS NULL THEN 0 WHEN c.withdrawn_at > :now THEN 1
                WHEN c.withdrawn_at < c.valid_from THEN 2 ELSE 3 END
     + 32 * CAST(coalesce(w.last_no >= c.valid_from, false) AS integer))
"""
#: Consents that could cover the purpose of a campaign, or be withdrawn against it.
_OF_PURPOSE = "{c}.tenant_id = :tenant_id AND {c}.purpose IN (:purpose, 'any')"
#: The kinds of all of a person's consents, a bit each.
_AGREED = f"""
    LEFT JOIN (
        SELECT c.contact_id, bit_or(CAST(1 AS bigint) << {_KIND}) AS agreed,
               min(c.valid_from) FILTER (WHERE c.valid_from > :now) AS begins
          FROM consent c
          LEFT JOIN (
              SELECT o.contact_id, max(o.withdrawn_at) AS last_no FROM consent o
               WHERE {_OF_PURPOSE.format(c="o")} AND o.withdrawn_at <= :now
               GROUP BY o.contact_id) w ON w.contact_id = c.contact_id
         WHERE {_OF_PURPOSE.format(c="c")}
         GROUP BY c.contact_id) a ON a.contact_id = l.contact_id
"""  # noqa: S608 - texts of ours
#: Of one kind that person whose next consent begins first, behind its moment; where none begins, any. To put
#: arrays beside each other costs: it is done of those alone that begin.
_WHOSE = """
    coalesce(min(ARRAY[CAST(extract(epoch FROM a.begins) AS bigint), a.contact_id])
                 FILTER (WHERE a.begins IS NOT NULL),
             ARRAY[0, min(a.contact_id)])
"""
_ASKED = {
    "unasked": "a.contact_id IS NULL",
    "agreed": "a.agreed",
    "begins": "a.begins",
    "whose": _WHOSE,
}
_NOT_ASKED = {
    "unasked": "false",
    "agreed": "CAST(NULL AS bigint)",
    "begins": "CAST(NULL AS timestamptz)",
    "whose": "CAST(NULL AS bigint[])",
}
_OF_LIST = "AND l.list_id = :list_id"


def _counts(*, dead: bool, consent: bool, of_list: bool) -> Prepared:
    return Prepared(
        _COUNTS.format(
            dead=_DEAD if dead else "false",
            joins=(_DEAD_JOIN if dead else "") + (_AGREED if consent else ""),
            only=_OF_LIST if of_list else "",
            **(_ASKED if consent else _NOT_ASKED),
        )
    )


#: Public for measurements: by whether dead numbers are a filter, consents are asked for, one list is meant.
COUNTS = {
    (dead, consent, of_list): _counts(dead=dead, consent=consent, of_list=of_list)
    for dead in (False, True)
    for consent in (False, True)
    for of_list in (False, True)
}
#: Leads that rest and whose time has come: a claim wakes them, or takes who was promised a call.
_DUE = Prepared(
    """
    SELECT l.id, l.list_id, l.contact_id, l.e164, l.timezones, l.attempts, l.last_result
      FROM lead l
     WHERE l.tenant_id = :tenant_id AND l.campaign_id = :campaign_id
       AND (l.hold IS NOT NULL AND l.hold <> 'callback' AND l.open_from <= :now AND l.open_until > :now
            OR EXISTS (
                SELECT FROM callback b
                 WHERE b.tenant_id = l.tenant_id AND b.lead_id = l.id AND b.state = 'waiting'
                   AND b.due_at <= :now AND b.open_at <= :now))
       AND l.status IN ('new', 'waiting')
       AND NOT EXISTS (SELECT FROM active_number n WHERE n.tenant_id = l.tenant_id AND n.e164 = l.e164)
     ORDER BY l.open_from
     LIMIT :most
    """
)


async def leads(
    conn: AsyncConnection,
    tenant_id: int,
    campaign_id: int,
    now: datetime,
    *,
    stale: bool,
    dead: bool,
    purpose: str | None,
    list_id: int | None = None,
) -> list[Any]:
    """How many leads each step stops: step, reason, zones (where it has a time), leads, opens (their first),
    whose (a contact by whose consents all of them stand or fall, where consents are asked for).

    `stale`: the windows on the leads are of old rules; `dead`: dead numbers are not dialled; `purpose`: that
    a consent is asked for, None: none is.
    """
    statement = COUNTS[dead, purpose is not None, list_id is not None]
    return await statement.rows(
        conn,
        tenant_id=tenant_id,
        campaign_id=campaign_id,
        now=now,
        stale=stale,
        purpose=purpose,
        list_id=list_id,
    )


async def due(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, now: datetime, most: int
) -> list[ClaimedLead]:
    """Leads whose rest is over and that no claim has woken yet."""
    rows = await _DUE.rows(conn, tenant_id=tenant_id, campaign_id=campaign_id, now=now, most=most)
    return [
        ClaimedLead(
            row.id, row.list_id, row.contact_id, row.e164, tuple(row.timezones), row.attempts, row.last_result
        )
        for row in rows
    ]
