"""The SQL of promised calls: which leads are claimed for them, and how they follow their attempts.

A lead with an open callback rests (`hold` is `callback`), out of the index of the usual claim; the callback's
own `due_at` and `open_at` say when it is claimed, before the list. Rows are locked in one order: leads, then
callbacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import history
from dialer.contacts.history import Kind
from dialer.db import events
from dialer.db.prepared import Prepared
from scheduler.callbacks import PASSED_ON, Away, Outcome, Promise, State, Terms

_DUE = """
    SELECT {lead}, c.id AS callback_id
      FROM callback c JOIN lead ON lead.tenant_id = c.tenant_id AND lead.id = c.lead_id
     WHERE c.tenant_id = :tenant_id AND c.campaign_id = :campaign_id AND c.state = 'waiting'
       AND c.due_at <= :now AND {whose}
       AND lead.status IN ('new', 'waiting')
       AND NOT EXISTS (SELECT FROM active_number n WHERE n.tenant_id = lead.tenant_id AND n.e164 = lead.e164)
     ORDER BY c.due_at, c.id
     LIMIT :wanted
       FOR UPDATE OF lead, c SKIP LOCKED
"""


def claims(lead: str) -> tuple[Prepared, Prepared]:
    """The claim of what any agent may have, and of what one agent has promised (`:agent_id`). `lead`: the
    columns of a lead."""
    anybody, own = (
        Prepared(_DUE.format(lead=lead, whose=whose))
        for whose in ("c.open_at <= :now", "c.agent_id = CAST(:agent_id AS bigint)")
    )
    return anybody, own


_TAKE = Prepared(
    """
    UPDATE callback c SET state = 'dialling', attempt_id = n.attempt_id
      FROM unnest(CAST(:lead_ids AS bigint[]), CAST(:attempt_ids AS uuid[])) AS n (lead_id, attempt_id)
     WHERE c.tenant_id = :tenant_id AND c.lead_id = n.lead_id AND c.state = 'waiting'
    RETURNING c.id, c.campaign_id, c.lead_id, c.agent_id, c.state
    """
)
_SETTLE = Prepared(
    """
    UPDATE callback SET state = :state, due_at = :due_at, open_at = :open_at, tries = :tries,
           reason = coalesce(:reason, reason), late_told_at = NULL,
           ended_at = CASE WHEN CAST(:ended AS boolean) THEN CAST(:at AS timestamptz) END
     WHERE tenant_id = :tenant_id AND id = :id AND state = 'dialling'
    RETURNING id, campaign_id, lead_id, agent_id, state
    """
)
#: What a rule forbids until then: the callback waits as long, and says what for.
_PUT_OFF = Prepared(
    """
    WITH put_off AS (
        UPDATE callback c SET moved = :moved,
               open_at = CAST(:until AS timestamptz) + (c.open_at - c.due_at),
               due_at = :until, told_at = NULL, late_told_at = NULL
          FROM callback was
         WHERE c.tenant_id = :tenant_id AND c.id = :id AND c.state = 'waiting'
           AND was.tenant_id = c.tenant_id AND was.id = c.id
        RETURNING c.id, c.campaign_id, c.lead_id, c.agent_id, c.state, c.contact_id,
                  was.due_at AS was_due_at, was.moved AS was_moved
    ), rests AS (
        UPDATE lead SET status = 'waiting', hold = 'callback', open_from = :until
         WHERE tenant_id = :tenant_id AND id = (SELECT lead_id FROM put_off)
    )
    SELECT * FROM put_off
    """
)
_PASS_ON = Prepared(
    """
    UPDATE callback SET due_at = :until,
           open_at = CASE WHEN open_at IS NOT NULL THEN greatest(open_at, :until) END
     WHERE tenant_id = :tenant_id AND lead_id = :lead_id AND state = 'waiting'
    """
)
_CANCEL = """
    UPDATE callback c SET state = 'canceled', reason = :reason, ended_at = :now
     WHERE c.tenant_id = :tenant_id AND c.state = 'waiting' AND {which}
    RETURNING c.id, c.campaign_id, c.lead_id, c.agent_id, c.state
"""
_CANCEL_LEADS = Prepared(_CANCEL.format(which="c.lead_id = ANY (CAST(:lead_ids AS bigint[]))"))
_CANCEL_NUMBERS = Prepared(
    _CANCEL.format(
        which="""c.lead_id IN (
            SELECT l.id FROM lead l
             WHERE l.tenant_id = :tenant_id AND l.e164 = ANY (CAST(:numbers AS text[]))
               AND l.campaign_id = ANY (ARRAY(
                   SELECT k.id FROM campaign k
                    WHERE k.tenant_id = :tenant_id
                      AND (CAST(:campaign_id AS bigint) IS NULL OR k.id = :campaign_id))))"""
    )
)
#: The callbacks of a talk: what it was made for is kept with it, what was promised in it before is said anew.
_END_OF_TALK = Prepared(
    """
    UPDATE callback
       SET state = CASE WHEN state = 'dialling' THEN 'done' ELSE 'canceled' END,
           reason = CASE WHEN state = 'dialling' THEN 'answered' ELSE 'replaced' END, ended_at = :now
     WHERE tenant_id = :tenant_id
       AND ((state = 'dialling' AND attempt_id = :attempt_id)
            OR (state = 'waiting' AND (made_in = :attempt_id OR (:again AND lead_id = :lead_id))))
    RETURNING id, campaign_id, lead_id, agent_id, state
    """
)
#: Of leads that somebody has closed: what closed them says why nobody calls back.
_TIDY = Prepared(
    """
    UPDATE callback c SET state = 'canceled', reason = coalesce(l.closed_reason, 'closed'), ended_at = :now
      FROM lead l
     WHERE c.tenant_id = :tenant_id AND c.state = 'waiting' AND c.due_at <= :now
       AND l.tenant_id = c.tenant_id AND l.id = c.lead_id AND l.status = 'closed'
    RETURNING c.id, c.campaign_id, c.lead_id, c.agent_id, c.state
    """
)
#: Leads that rest for a callback which is not there (any longer) go back to their list.
_FREE = Prepared(
    """
    UPDATE lead SET hold = NULL, open_from = least(open_from, :now)
     WHERE tenant_id = :tenant_id AND id = ANY (ARRAY(
           SELECT l.id FROM lead l
            WHERE l.tenant_id = :tenant_id AND l.hold = 'callback'
              AND NOT EXISTS (SELECT FROM callback c
                               WHERE c.tenant_id = l.tenant_id AND c.lead_id = l.id
                                 AND c.state IN ('waiting', 'dialling'))
            ORDER BY l.id
              FOR UPDATE SKIP LOCKED))
    """
)
#: Of agents who work here no more: what waits for them goes by the campaign's own word, and by the callback's
#: again when they are back.
_GONE = Prepared(
    """
    UPDATE callback c
       SET open_at = CASE WHEN w.gone THEN c.due_at + make_interval(secs => w.callback_wait_s) END
      FROM (SELECT b.id, k.callback_wait_s,
                   (NOT g.enabled OR u.disabled_at IS NOT NULL) AND k.callback_away = 'anyone' AS gone
              FROM callback b
              JOIN campaign k ON k.tenant_id = b.tenant_id AND k.id = b.campaign_id
              JOIN agent g ON g.tenant_id = b.tenant_id AND g.id = b.agent_id
              JOIN app_user u ON u.tenant_id = g.tenant_id AND u.id = g.user_id
             WHERE b.tenant_id = :tenant_id AND b.state = 'waiting' AND b.away <> 'anyone') w
     WHERE c.tenant_id = :tenant_id AND c.id = w.id AND c.state = 'waiting'
       AND w.gone <> (c.open_at IS NOT NULL)
    RETURNING c.id, c.campaign_id, c.lead_id, c.agent_id, c.state
    """
)
#: Columns that make a `Promise` of callback `b` and campaign `c`.
PROMISE = """
    b.id AS callback_id, b.agent_id AS promised_by, b.from_at, b.until_at, b.due_at, b.away, b.tries,
    c.callback_away, c.callback_wait_s, c.callback_tries, c.callback_retry_s
"""
_SOON = Prepared(
    """
    SELECT campaign_id, agent_id, min(due_at), min(open_at) FROM callback
     WHERE tenant_id = :tenant_id AND state = 'waiting' AND due_at <= :until
     GROUP BY campaign_id, agent_id
    """
)


@dataclass(frozen=True, slots=True)
class Soon:
    """What a campaign has to call back soon, or should have."""

    campaign_id: int
    #: who has promised it; None: nobody in particular
    agent_id: int | None
    due_at: datetime
    #: from when on any agent may have one of them
    open_at: datetime | None


def promise_of(row: Any) -> Promise | None:
    """Of the columns PROMISE."""
    if row.callback_id is None:
        return None
    return Promise(
        row.callback_id,
        row.promised_by,
        row.from_at,
        row.until_at,
        row.due_at,
        Away(row.away),
        row.tries,
        terms_of(row),
    )


def terms_of(row: Any) -> Terms:
    """What the row of a campaign lays down."""
    return Terms(Away(row.callback_away), row.callback_wait_s, row.callback_tries, row.callback_retry_s)


async def soon(conn: AsyncConnection, tenant_id: int, until: datetime) -> list[Soon]:
    """What waits and is due by then, by campaign and agent."""
    return [Soon(*row) for row in await _SOON.rows(conn, tenant_id=tenant_id, until=until)]


async def take(
    conn: AsyncConnection, tenant_id: int, lead_ids: Sequence[int], attempt_ids: Sequence[UUID]
) -> None:
    """These leads have an attempt now: it is the one that was promised, where one was."""
    rows = await _TAKE.rows(conn, tenant_id=tenant_id, lead_ids=list(lead_ids), attempt_ids=list(attempt_ids))
    await tell(conn, tenant_id, rows)


async def settle(
    conn: AsyncConnection, tenant_id: int, callback_id: int, outcome: Outcome, at: datetime
) -> None:
    """Write what became of a callback after its attempt."""
    rows = await _SETTLE.rows(
        conn,
        tenant_id=tenant_id,
        id=callback_id,
        state=outcome.state,
        due_at=outcome.due_at,
        open_at=outcome.open_at,
        tries=outcome.tries,
        reason=outcome.reason,
        ended=not outcome.state.open,
        at=at,
    )
    await tell(conn, tenant_id, rows)


async def put_off(
    conn: AsyncConnection, tenant_id: int, callback_id: int, until: datetime, moved: str
) -> None:
    """A rule forbids the call until then."""
    rows = await _PUT_OFF.rows(conn, tenant_id=tenant_id, id=callback_id, until=until, moved=moved)
    for row in rows:
        if row.was_moved != moved:  # it may be put off for the same many times
            due = [row.was_due_at.isoformat(), until.isoformat()]
            detail = {"callback_id": row.id, "due_at": due, "moved": moved}
            await history.add(conn, tenant_id, row.contact_id, Kind.CALLBACK_PUT_OFF, None, detail)
    await tell(conn, tenant_id, rows)


async def pass_on(conn: AsyncConnection, tenant_id: int, lead_id: int, now: datetime) -> None:
    """Its agent did not want it at this moment."""
    await _PASS_ON.run(conn, tenant_id=tenant_id, lead_id=lead_id, until=now + PASSED_ON)


async def cancel_leads(
    conn: AsyncConnection, tenant_id: int, lead_ids: Sequence[int], reason: str, now: datetime
) -> int:
    """Nobody calls these leads back any more; how many that were."""
    whose = {"tenant_id": tenant_id, "lead_ids": list(lead_ids), "reason": reason, "now": now}
    rows = await _CANCEL_LEADS.rows(conn, **whose)
    await tell(conn, tenant_id, rows)
    return len(rows)


async def cancel_numbers(
    conn: AsyncConnection,
    tenant_id: int,
    numbers: Sequence[str],
    campaign_id: int | None,
    reason: str,
    now: datetime,
) -> int:
    """Nobody calls these numbers back any more, in any campaign or in one; how many callbacks that were."""
    rows = await _CANCEL_NUMBERS.rows(
        conn, tenant_id=tenant_id, numbers=list(numbers), campaign_id=campaign_id, reason=reason, now=now
    )
    await tell(conn, tenant_id, rows)
    return len(rows)


async def end_of_talk(
    conn: AsyncConnection, tenant_id: int, attempt_id: UUID, lead_id: int, now: datetime, *, again: bool
) -> None:
    """The person was talked with: what the call was promised for is done, and what was promised in the talk
    before is not any more. `again`: something is promised anew, in place of all that is open."""
    rows = await _END_OF_TALK.rows(
        conn, tenant_id=tenant_id, attempt_id=attempt_id, lead_id=lead_id, now=now, again=again
    )
    await tell(conn, tenant_id, rows)


async def tidy(conn: AsyncConnection, tenant_id: int, now: datetime) -> None:
    """Put right what others have changed: callbacks of leads that were closed, leads without a callback, and
    callbacks of agents who have gone or are back."""
    await tell(conn, tenant_id, await _TIDY.rows(conn, tenant_id=tenant_id, now=now))
    await tell(conn, tenant_id, await _GONE.rows(conn, tenant_id=tenant_id))
    await _FREE.run(conn, tenant_id=tenant_id, now=now)


async def tell(conn: AsyncConnection, tenant_id: int, rows: Sequence[Any]) -> None:
    """Tell pages and programs of callbacks that have changed: rows of id, campaign_id, lead_id, agent_id and
    state."""
    if not rows:
        return
    facts = [
        events.Fact(
            "callback.state",
            {
                "callback_id": row.id,
                "campaign_id": row.campaign_id,
                "lead_id": row.lead_id,
                "agent_id": row.agent_id,
                "state": row.state,
            },
            row.campaign_id,
            row.agent_id,
        )
        for row in rows
    ]
    await events.emit_all(conn, facts, tenant_id=tenant_id)
    if any(row.state == State.WAITING for row in rows):
        await events.wake(conn, "callbacks", tenant_id=tenant_id)
