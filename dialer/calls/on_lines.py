"""The SQL of what is on the lines after a crash: calls, shifts, the channels that are somebody's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.model import Assignee, Call, CallState, Direction, HungUpBy, Result
from dialer.calls.store import NO_TRUNK, call_of
from dialer.calls.thirds import third_of
from dialer.compliance.policies import CAREFUL
from dialer.db.prepared import Prepared
from dialer.db.tables import attempt
from dialer.pacing.answering import Traits, traits_of
from dialer.policies import store as policies


@dataclass(frozen=True, slots=True)
class LeftOnLine:
    """A call whose channel has not been seen to end."""

    call: Call
    e164: str
    trunk_id: int
    node: str
    traits: Traits = ()


#: Who talks: by the shift, not by the attempt's own columns. Who was reserved just before a crash is on no
#: other row.
_ON_LINES = Prepared(
    """
    SELECT a.id, a.campaign_id, a.e164, a.trunk_id, a.node, a.policy, a.state, a.result, a.created_at,
           a.sent_at, a.ringing_at, a.answered_at, a.screened_at, a.assigned_at, a.connected_at,
           a.machine_status, a.machine_cause, a.hung_up_by, a.detail, a.traits, a.outcome, a.queued_at,
           a.held_at, a.hold_s, a.muted, a.third, a.let_go_at, a.handed_at,
           a.mode = 'flow' AND a.clicked_by IS NULL AND a.session_id IS NULL AS automatic,
           s.leg, s.id AS shift_id, s.agent_id AS shift_agent_id, c.detect_machines
      FROM attempt a
      JOIN campaign c ON c.tenant_id = a.tenant_id AND c.id = a.campaign_id
      LEFT JOIN agent_session s ON s.tenant_id = a.tenant_id AND s.attempt_id = a.id
           AND s.state IN ('reserved', 'talking')
           AND CAST(s.id AS text) IS DISTINCT FROM a.third ->> 'session_id'
     WHERE a.tenant_id = :tenant_id AND a.campaign_id = ANY (CAST(:campaign_ids AS bigint[]))
       AND a.ended_at IS NULL AND a.hung_up_at IS NULL AND a.id <> ALL (CAST(:known AS uuid[]))
    """
)


_INBOUND_ON_LINES = Prepared(
    """
    SELECT a.id, a.campaign_id, a.e164, a.node, a.channel, a.state, a.result, a.outcome, a.created_at,
           a.answered_at, a.queued_at, a.assigned_at, a.connected_at, a.hung_up_by, a.detail,
           a.held_at, a.hold_s, a.muted, a.third, a.let_go_at, a.handed_at,
           s.leg, s.id AS shift_id, s.agent_id AS shift_agent_id
      FROM inbound_call a
      LEFT JOIN agent_session s ON s.tenant_id = a.tenant_id AND s.attempt_id = a.id
           AND s.state IN ('reserved', 'talking')
           AND CAST(s.id AS text) IS DISTINCT FROM a.third ->> 'session_id'
     WHERE a.tenant_id = :tenant_id AND a.campaign_id = ANY (CAST(:campaign_ids AS bigint[]))
       AND a.ended_at IS NULL AND a.hung_up_at IS NULL AND a.id <> ALL (CAST(:known AS uuid[]))
    """
)


async def calls_on_lines(
    conn: AsyncConnection, tenant_id: int, campaign_ids: Collection[int], *, known: Collection[UUID] = ()
) -> list[LeftOnLine]:
    """Every call of these campaigns that holds a line, but for the known ones: what their owner must account
    for."""
    whose = {"campaign_ids": list(campaign_ids), "known": list(known)}
    rows = await _ON_LINES.rows(conn, tenant_id=tenant_id, **whose)
    calls = []
    known_policies = await policies.by_stamp(conn, tenant_id, {row.policy for row in rows})
    for row in rows:
        policy = known_policies.get(row.policy, CAREFUL)  # its version went with an older server
        agent = Assignee(row.shift_id, row.shift_agent_id, row.leg) if row.shift_id and row.leg else None
        talker = agent if row.state == CallState.CONNECTED else None
        call = call_of(
            row,
            tenant_id,
            screens=row.detect_machines,
            abandon_after_s=policy.abandon_after_s,
            assigned_at=row.assigned_at,
            agent=agent,
            talked=talker.session_id if talker else None,
            talked_by=talker.agent_id if talker else None,
            machine_status=row.machine_status,
            machine_cause=row.machine_cause,
            automatic=row.automatic,
            outcome=Result(row.outcome) if row.outcome else None,
            queued_at=row.queued_at,
            held_at=row.held_at,
            hold_s=row.hold_s,
            muted=row.muted,
            third=third_of(row.third),
            let_go_at=row.let_go_at,
            handed_at=row.handed_at,
            hung_up_by=HungUpBy(row.hung_up_by) if row.hung_up_by else None,
        )
        calls.append(LeftOnLine(call, row.e164, row.trunk_id, row.node, traits_of(row.traits)))
    for row in await _INBOUND_ON_LINES.rows(conn, tenant_id=tenant_id, **whose):
        calls.append(LeftOnLine(_inbound_of(row, tenant_id), row.e164, NO_TRUNK, row.node))
    return calls


def _inbound_of(row: Any, tenant_id: int) -> Call:
    agent = Assignee(row.shift_id, row.shift_agent_id, row.leg) if row.shift_id and row.leg else None
    talker = agent if row.state == CallState.CONNECTED else None
    return Call(
        attempt_id=row.id,
        tenant_id=tenant_id,
        campaign_id=row.campaign_id,
        screens=False,
        abandon_after_s=0.0,
        created_at=row.created_at,
        direction=Direction.INBOUND,
        channel=row.channel,
        state=CallState(row.state),
        result=Result(row.result) if row.result else None,
        outcome=Result(row.outcome) if row.outcome else None,
        queued_at=row.queued_at,
        answered_at=row.answered_at,
        assigned_at=row.assigned_at,
        connected_at=row.connected_at,
        held_at=row.held_at,
        hold_s=row.hold_s,
        muted=row.muted,
        third=third_of(row.third),
        let_go_at=row.let_go_at,
        handed_at=row.handed_at,
        agent=agent,
        talked=talker.session_id if talker else None,
        talked_by=talker.agent_id if talker else None,
        hung_up_by=HungUpBy(row.hung_up_by) if row.hung_up_by else None,
        detail=row.detail,
    )


async def on_lines(conn: AsyncConnection, tenant_id: int, attempt_ids: Collection[UUID]) -> frozenset[UUID]:
    """Those of the ids that are attempts which hold a line, whosoever they are."""
    rows = await conn.execute(
        select(attempt.c.id).where(
            attempt.c.tenant_id == tenant_id,
            attempt.c.id.in_(attempt_ids),
            attempt.c.hung_up_at.is_(None),
            attempt.c.ended_at.is_(None),
        )
    )
    return frozenset(rows.scalars())


#: Whether the call of shift `s` holds a line.
_HOLDS_LINE = " OR ".join(
    f"""EXISTS (SELECT FROM {table} a WHERE a.tenant_id = s.tenant_id AND a.id = s.attempt_id
                    AND a.hung_up_at IS NULL AND a.ended_at IS NULL)"""
    for table in ("attempt", "inbound_call")
)


_LEFT_SHIFTS = Prepared(
    f"""
    SELECT s.id, s.agent_id, s.attempt_id, s.state FROM agent_session s
     WHERE s.tenant_id = :tenant_id AND s.logged_out_at IS NULL AND s.state IN ('reserved', 'talking')
       AND s.attempt_id IS NOT NULL
       AND NOT EXISTS (SELECT FROM unnest(CAST(:known AS uuid[]), CAST(:sessions AS uuid[]))
                                AS known (attempt_id, session_id)
                        WHERE known.attempt_id = s.attempt_id AND known.session_id = s.id)
       AND (s.attempt_id = ANY (CAST(:known AS uuid[])) OR NOT ({_HOLDS_LINE}))
    """  # noqa: S608 - a constant
)


@dataclass(frozen=True, slots=True)
class LeftShift:
    """A shift in a call that holds no line, or has another agent."""

    id: UUID
    agent_id: int
    attempt_id: UUID
    state: str


async def left_shifts(
    conn: AsyncConnection,
    tenant_id: int,
    known: Mapping[UUID, UUID | None],
    thirds: Mapping[UUID, UUID] = MappingProxyType({}),
) -> list[LeftShift]:
    """The shifts that are reserved for or talking in a call which is theirs neither by the known ones (calls
    with the shifts of their agents; `thirds`: of whom these ask besides) nor, where it is not known, by its
    row on somebody's line."""
    whose = {"known": [*known, *thirds], "sessions": [*known.values(), *thirds.values()]}
    return [LeftShift(*row) for row in await _LEFT_SHIFTS.rows(conn, tenant_id=tenant_id, **whose)]
