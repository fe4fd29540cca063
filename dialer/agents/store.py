"""The SQL of agents' shifts.

A change of state is one conditional UPDATE of `agent_session` (it names the states it may leave), the
closing and opening of the `agent_time` row, and an event, all in the caller's transaction. When the condition
does not hold nothing is written and the caller is told so: somebody else was first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, case, literal_column, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents.model import PAUSE_WRAP_UP_OVER, AgentState, Shift, Takes, before, levels_of
from dialer.asterisk.browsers import PREFIX
from dialer.db import events
from dialer.db.listen import ENGINE, OUTBOX
from dialer.db.prepared import Prepared
from dialer.db.tables import agent, agent_session

#: In the order of Shift, see `_shift`.
_COLUMNS = (
    agent_session.c.id,
    agent_session.c.tenant_id,
    agent_session.c.agent_id,
    agent.c.name,
    # The phone of this shift: the browser's endpoint is named after the user.
    case((agent_session.c.browser, literal_column(f"'{PREFIX}' || agent.user_id")), else_=agent.c.endpoint),
    agent.c.skills,
    agent_session.c.state,
    agent_session.c.state_since,
    agent_session.c.idle_since,
    agent_session.c.leg,
    agent_session.c.node,
    agent_session.c.attempt_id,
    agent_session.c.lead_id,
    agent_session.c.pause_code,
    agent_session.c.next_state,
    agent_session.c.next_pause_code,
    agent.c.levels,
    agent.c.rank,
    agent.c.takes,
    agent_session.c.browser,
)
_SHIFT = select(*_COLUMNS).join_from(
    agent_session,
    agent,
    (agent.c.tenant_id == agent_session.c.tenant_id) & (agent.c.id == agent_session.c.agent_id),
)

#: What follows from `moved`, in the same statement: the open stretch of the agent's time is closed, the next
#: is begun (none offline), and it is told. That the stretch is closed comes first: its count is asked
#: for. The engine writes later than it sees: a stretch never ends before it began.
_FOLLOW = """
    closed AS (
        UPDATE agent_time SET ended_at = greatest(started_at, CAST(:at AS timestamptz))
          FROM moved
         WHERE agent_time.tenant_id = :tenant_id AND agent_time.session_id = moved.id
           AND agent_time.ended_at IS NULL
        RETURNING agent_time.id
    ),
    opened AS (
        INSERT INTO agent_time (tenant_id, session_id, agent_id, state, pause_code, attempt_id, started_at)
        SELECT :tenant_id, moved.id, moved.agent_id, CAST(:to AS text), CAST(:pause_code AS text),
               CAST(:attempt_id AS uuid), CAST(:at AS timestamptz)
          FROM moved, (SELECT count(*) AS stretches FROM closed) AS before
         WHERE before.stretches >= 0 AND CAST(:to AS text) <> 'offline'
    ),
    told AS (
        INSERT INTO event (tenant_id, kind, payload, agent_id)
        SELECT :tenant_id, 'agent.state',
               jsonb_build_object(
                   'session_id', moved.id, 'agent_id', moved.agent_id, 'state', CAST(:to AS text),
                   'pause_code', CAST(:pause_code AS text), 'attempt_id', CAST(:attempt_id AS uuid),
                   'since', CAST(:since AS text)),
               moved.agent_id
          FROM moved
    )
    SELECT moved.*, pg_notify(:outbox, ''), pg_notify(:engine, :note) FROM moved
"""
#: One statement: it goes with each change. Idle is counted from the end of the talk, not of the paperwork.
_MOVE = Prepared(
    f"""
    WITH moved AS (
        UPDATE agent_session
           SET state = CAST(:to AS text), state_since = CAST(:at AS timestamptz),
               attempt_id = CAST(:attempt_id AS uuid), lead_id = CAST(:lead_id AS bigint),
               pause_code = CAST(:pause_code AS text),
               logged_out_at = CASE WHEN CAST(:to AS text) = 'offline' THEN CAST(:at AS timestamptz) END,
               next_state = CASE WHEN NOT :settles THEN next_state END,
               next_pause_code = CASE WHEN NOT :settles THEN next_pause_code END,
               idle_since = CASE WHEN state = 'talking' THEN CAST(:at AS timestamptz) ELSE idle_since END
         WHERE tenant_id = :tenant_id AND id = :session_id AND logged_out_at IS NULL
           AND state = ANY (CAST(:leaving AS text[]))
           AND (CAST(:only_attempt AS uuid) IS NULL OR attempt_id = CAST(:only_attempt AS uuid))
        RETURNING id, agent_id
    ),
    {_FOLLOW}
    """  # noqa: S608 - no value is put in
)
_OPEN = Prepared(
    f"""
    WITH moved AS (
        INSERT INTO agent_session
               (tenant_id, id, agent_id, state, state_since, idle_since, logged_in_at, browser)
        VALUES (:tenant_id, :session_id, :agent_id, :to, :at, :at, :at, :browser)
        RETURNING id, agent_id
    ),
    {_FOLLOW}
    """  # noqa: S608 - no value is put in
)
_OPEN_SHIFTS = Prepared(
    _SHIFT.where(
        agent_session.c.tenant_id == bindparam("tenant_id"), agent_session.c.logged_out_at.is_(None)
    ).order_by(agent_session.c.idle_since)
)
_OPEN_SHIFTS_OF = Prepared(
    _SHIFT.where(
        agent_session.c.tenant_id == bindparam("tenant_id"),
        agent_session.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))),
        agent_session.c.logged_out_at.is_(None),
    )
)
_TALKS_TODAY = Prepared(
    """
    SELECT a.agent_id, count(*) AS talks
      FROM agent_time a, tenant t
     WHERE t.id = :tenant_id AND a.tenant_id = :tenant_id AND a.state = 'talking'
       AND a.started_at >= date_trunc('day', now(), t.timezone)
     GROUP BY a.agent_id
    """
)
_SHIFT_OF_ID = Prepared(
    _SHIFT.where(
        agent_session.c.tenant_id == bindparam("tenant_id"), agent_session.c.id == bindparam("session_id")
    )
)
_WISH = Prepared(
    """
    SELECT next_state, next_pause_code FROM agent_session
     WHERE tenant_id = :tenant_id AND id = :session_id AND attempt_id = :attempt_id
       FOR UPDATE
    """
)


#: What the engine is told of a move to a state, see `events.wake`. The coming of some is a matter of the
#: phone: it is called, was lost, or is taken down.
_LOOK = {
    **dict.fromkeys((AgentState.CALLING, AgentState.LOST, AgentState.OFFLINE), "shifts"),
    **dict.fromkeys((AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP), "busy"),
}


def _told(
    tenant_id: int,
    session_id: UUID,
    to: AgentState,
    at: datetime,
    attempt_id: UUID | None = None,
    pause_code: str | None = None,
) -> dict[str, Any]:
    """The parameters of `_FOLLOW`."""
    return {
        "tenant_id": tenant_id,
        "session_id": session_id,
        "to": to,
        "at": at,
        "attempt_id": attempt_id,
        "pause_code": pause_code,
        "since": at.isoformat(),
        "outbox": OUTBOX,
        "engine": ENGINE,
        "note": events.note(_LOOK.get(to, "agents"), tenant_id, session_id),
    }


def _shift(row: Iterable[Any]) -> Shift:
    # By place, in the order of _COLUMNS and of Shift: the engine reads many.
    id_, tenant_id, agent_id, name, endpoint, skills, state, since, idle, leg, node, *owed = row
    attempt_id, lead_id, pause_code, next_state, next_code, levels, rank, takes, browser, *_ = owed
    return Shift(
        id_, tenant_id, agent_id, name, endpoint, frozenset(skills), AgentState(state), since, idle, leg,
        node, attempt_id, lead_id, pause_code, AgentState(next_state) if next_state else None, next_code,
        levels_of(skills, levels), rank, Takes(takes), browser,
    )  # fmt: skip


# -- shifts -----------------------------------------------------------------------------------------------


async def open_shifts(conn: AsyncConnection, tenant_id: int) -> list[Shift]:
    """Every shift that has not been logged out, longest idle first."""
    return [_shift(row) for row in await _OPEN_SHIFTS.rows(conn, tenant_id=tenant_id)]


async def talks_today(conn: AsyncConnection, tenant_id: int) -> dict[int, int]:
    """By agent: how many talks they have begun today, by the centre's clock."""
    return {row.agent_id: row.talks for row in await _TALKS_TODAY.rows(conn, tenant_id=tenant_id)}


async def open_shifts_of(conn: AsyncConnection, tenant_id: int, ids: Collection[UUID]) -> list[Shift]:
    """Of these shifts those that have not been logged out."""
    rows = await _OPEN_SHIFTS_OF.rows(conn, tenant_id=tenant_id, ids=list(ids))
    return [_shift(row) for row in rows]


async def shift_of_agent(
    conn: AsyncConnection, tenant_id: int, agent_id: int, *, lock: bool = False
) -> Shift | None:
    """The agent's open shift, if one. `lock`: nobody else moves it before the transaction ends."""
    query = _SHIFT.where(
        agent_session.c.tenant_id == tenant_id,
        agent_session.c.agent_id == agent_id,
        agent_session.c.logged_out_at.is_(None),
    )
    found = await conn.execute(query.with_for_update(of=agent_session) if lock else query)
    row = found.one_or_none()
    return _shift(row) if row else None


async def find_shift(conn: AsyncConnection, tenant_id: int, session_id: UUID) -> Shift | None:
    """The shift with this id, open or not."""
    row = await _SHIFT_OF_ID.row(conn, tenant_id=tenant_id, session_id=session_id)
    return _shift(row) if row else None


async def open_shift(
    conn: AsyncConnection,
    tenant_id: int,
    agent_id: int,
    session_id: UUID,
    at: datetime,
    *,
    browser: bool = False,
) -> None:
    """Begin a shift: its phone (`browser`: the agent's browser) is to be called. A second open shift of the
    agent breaks a unique index."""
    told = _told(tenant_id, session_id, AgentState.CALLING, at)
    await _OPEN.run(conn, **told, agent_id=agent_id, browser=browser)


async def move(
    conn: AsyncConnection,
    tenant_id: int,
    session_id: UUID,
    to: AgentState,
    at: datetime,
    *,
    leaving: Sequence[AgentState] | None = None,
    attempt_id: UUID | None = None,
    only_attempt: UUID | None = None,
    lead_id: int | None = None,
    pause_code: str | None = None,
) -> bool:
    """Move a shift to another state, if it is in one of `leaving` (default: all that the rules allow).

    `attempt_id`, `lead_id` and `pause_code` become the row's; `only_attempt` admits the move only while the
    row still belongs to that attempt. False: the shift was elsewhere, nothing was written.
    """
    # A wrap-up over its limit is still the same talk: what was asked for after it stands.
    rests = to is AgentState.PAUSED and pause_code != PAUSE_WRAP_UP_OVER
    moved = await _MOVE.run(
        conn,
        **_told(tenant_id, session_id, to, at, attempt_id, pause_code),
        lead_id=lead_id,
        leaving=list(leaving if leaving is not None else before(to)),
        only_attempt=only_attempt,
        settles=rests or to in (AgentState.READY, AgentState.OFFLINE),
    )
    return moved == 1


async def reserve(
    conn: AsyncConnection,
    tenant_id: int,
    session_id: UUID,
    at: datetime,
    *,
    attempt_id: UUID | None = None,
    lead_id: int | None = None,
    leaving: Sequence[AgentState] = (AgentState.READY,),
) -> bool:
    """Reserve a shift that is ready, for an attempt or for a lead to be shown; False: it is not ready, or in
    no other state of `leaving`. What was asked for after the call stands."""
    return await move(
        conn,
        tenant_id,
        session_id,
        AgentState.RESERVED,
        at,
        leaving=leaving,
        attempt_id=attempt_id,
        lead_id=lead_id,
    )


async def reserve_own(
    conn: AsyncConnection,
    tenant_id: int,
    session_id: UUID,
    attempt_id: UUID,
    lead_id: int | None,
    at: datetime,
) -> bool:
    """Reserve a shift for a call that its agent starts; False unless the agent is free for it.

    Free is who is ready, is paused and owes nothing, or is shown just this lead; never who was chosen for a
    waiting customer meanwhile. Who dials from a pause goes back to it.
    """
    found = await conn.execute(
        select(
            agent_session.c.state,
            agent_session.c.pause_code,
            agent_session.c.attempt_id,
            agent_session.c.lead_id,
        )
        .where(
            agent_session.c.tenant_id == tenant_id,
            agent_session.c.id == session_id,
            agent_session.c.leg.is_not(None),
            agent_session.c.logged_out_at.is_(None),
        )
        .with_for_update()
    )
    row = found.one_or_none()
    if row is None:
        return False
    paused = row.state == AgentState.PAUSED and row.pause_code != PAUSE_WRAP_UP_OVER
    shown = row.state == AgentState.RESERVED and row.attempt_id is None and row.lead_id is not None
    if not (row.state == AgentState.READY or paused or (shown and row.lead_id == lead_id)):
        return False
    if paused:
        await ask_next(conn, tenant_id, session_id, AgentState.PAUSED, row.pause_code)
    leaving = (AgentState(row.state),)
    return await move(
        conn, tenant_id, session_id, AgentState.RESERVED, at, leaving=leaving, attempt_id=attempt_id
    )


async def release(
    conn: AsyncConnection, tenant_id: int, session_id: UUID, attempt_id: UUID, at: datetime
) -> bool:
    """The attempt is done with its agent: to what was asked for meanwhile, else ready.

    False, and nothing is done, when the shift no longer belongs to the attempt.
    """
    row = await _WISH.row(conn, tenant_id=tenant_id, session_id=session_id, attempt_id=attempt_id)
    if row is None:
        return False
    to = AgentState(row.next_state) if row.next_state else AgentState.READY
    busy = (AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP)
    return await move(
        conn,
        tenant_id,
        session_id,
        to,
        at,
        leaving=busy,
        only_attempt=attempt_id,
        pause_code=row.next_pause_code if to is AgentState.PAUSED else None,
    )


async def ask_next(
    conn: AsyncConnection, tenant_id: int, session_id: UUID, state: AgentState | None, pause_code: str | None
) -> None:
    """Remember what the agent wants after the present call; None takes it back."""
    await conn.execute(
        update(agent_session)
        .where(agent_session.c.tenant_id == tenant_id, agent_session.c.id == session_id)
        .values(next_state=state, next_pause_code=pause_code)
    )
    # Who will leave after the call is dialled for no more.
    await events.wake(conn, "busy", tenant_id=tenant_id, shift_id=session_id)


async def set_leg(
    conn: AsyncConnection,
    tenant_id: int,
    session_id: UUID,
    leg: UUID | None,
    *,
    was: UUID | None,
    node: str | None = None,
) -> bool:
    """Name the channel that is the agent's phone now, and its node; False when it was another meanwhile. A
    phone that is gone (`leg` None) leaves the node's name."""
    values: dict[str, Any] = {"leg": leg} | ({"node": node} if leg else {})
    changed = await conn.execute(
        update(agent_session)
        .where(
            agent_session.c.tenant_id == tenant_id,
            agent_session.c.id == session_id,
            agent_session.c.leg.is_not_distinct_from(was),
        )
        .values(values)
        .returning(agent_session.c.id)
    )
    return changed.one_or_none() is not None


async def owes_disposition(conn: AsyncConnection, tenant_id: int, session_id: UUID) -> UUID | None:
    """The latest talk of this shift that still has no disposition. Of a customer who was handed over to a
    queue nobody owes one: who talks with them last does."""
    found = await conn.execute(
        text(
            """
            SELECT id, connected_at FROM attempt
             WHERE tenant_id = :tenant_id AND session_id = :session_id
               AND connected_at IS NOT NULL AND (hung_up_at IS NOT NULL OR let_go_at IS NOT NULL)
               AND handed_at IS NULL AND disposed_at IS NULL
             UNION ALL
            SELECT id, connected_at FROM inbound_call
             WHERE tenant_id = :tenant_id AND session_id = :session_id
               AND connected_at IS NOT NULL AND (hung_up_at IS NOT NULL OR let_go_at IS NOT NULL)
               AND handed_at IS NULL AND disposed_at IS NULL
             ORDER BY connected_at DESC LIMIT 1
            """
        ),
        {"tenant_id": tenant_id, "session_id": session_id},
    )
    row = found.one_or_none()
    return row.id if row else None
