"""The SQL of numbers, flows, inbound calls and their ways."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.model import CallState
from dialer.db.prepared import Prepared
from dialer.db.session import Database, encode_json
from dialer.db.tables import agent, agent_session, flow, flow_step, flow_version, inbound_call
from dialer.inbound.model import Arrived, Filter, FlowRow, Stepped, Version
from ivr_flows.model import Passed

#: Of a reason that a flow has put together: an index has it, with room for some 2,600 bytes.
MOST_REASON: Final = 500

_CALLED = Prepared(
    """
    SELECT n.id AS number_id, n.number, n.campaign_id, n.queue, n.flow_id, f.name AS flow, v.version,
           v.document, t.timezone AS zone
      FROM inbound_number n
      JOIN tenant t ON t.id = n.tenant_id
      JOIN flow f ON f.tenant_id = n.tenant_id AND f.id = n.flow_id
      JOIN flow_version v ON v.tenant_id = f.tenant_id AND v.flow_id = f.id
           AND v.version = CASE WHEN n.test THEN coalesce(f.test_version, f.live_version)
                                ELSE f.live_version END
     WHERE n.tenant_id = :tenant_id AND n.number = :number AND n.active
    """
)
_OWNER = Prepared("SELECT find_called(:number)")


@dataclass(frozen=True, slots=True)
class Called:
    """What becomes of who calls a number."""

    number_id: int
    number: str
    campaign_id: int
    queue: str
    flow_id: int
    flow: str
    version: int
    document: Mapping[str, Any]
    #: the time zone of the tenant, IANA name
    zone: str


async def called(conn: AsyncConnection, tenant_id: int, number: str) -> Called | None:
    """The number of the tenant with its flow; None: it is none, is switched off, or has no flow that is
    live."""
    row = await _CALLED.row(conn, tenant_id=tenant_id, number=number)
    return Called(**row) if row else None


async def owner_of(database: Database, number: str) -> int | None:
    """The tenant whom the number brings callers; None: nobody's. ONE question, however many tenants there
    are: strangers try numbers out."""
    async with database.one_question() as conn:
        found: int | None = await _OWNER.value(conn, number=number)
    return found


# -- a call ------------------------------------------------------------------------------------------------

_ADD = Prepared(
    """
    INSERT INTO inbound_call (tenant_id, id, number_id, dialled, flow_id, flow_version, campaign_id,
                              contact_id, e164, node, channel, state, created_at, answered_at)
    VALUES (:tenant_id, :id, :number_id, :dialled, :flow_id, :flow_version, :campaign_id,
            :contact_id, :e164, :node, :channel, :state, :at, :at)
    """
)


async def add(
    conn: AsyncConnection,
    tenant_id: int,
    call_id: UUID,
    called: Called,
    *,
    contact_id: int | None,
    e164: str,
    node: str,
    channel: str,
    at: datetime,
) -> None:
    """Write the row that must stand before anything is played."""
    await _ADD.run(
        conn,
        tenant_id=tenant_id,
        id=call_id,
        number_id=called.number_id,
        dialled=called.number,
        flow_id=called.flow_id,
        flow_version=called.version,
        campaign_id=called.campaign_id,
        contact_id=contact_id,
        e164=e164,
        node=node,
        channel=channel,
        state=CallState.FLOW,
        at=at,
    )


_STEPS = Prepared(
    """
    INSERT INTO flow_step (tenant_id, call_id, attempt_id, n, flow, state, event, at, collected)
    SELECT CAST(:tenant_id AS integer), CAST(:call_id AS uuid),
           (SELECT id FROM attempt WHERE tenant_id = :tenant_id AND id = CAST(:call_id AS uuid)),
           s.n, CAST(:flow AS text), s.state, s.event,
           CAST(:at AS timestamptz), CAST(s.collected AS jsonb)
      FROM unnest(CAST(:ns AS integer[]), CAST(:states AS text[]), CAST(:events AS text[]),
                  CAST(:collected AS text[])) AS s (n, state, event, collected)
        ON CONFLICT (tenant_id, call_id, n) DO UPDATE
       SET event = excluded.event, collected = excluded.collected
    """
)
_TELL = Prepared(
    """
    WITH came AS (
        UPDATE inbound_call
           SET collected = collected || CAST(:collected AS jsonb),
               queue = coalesce(CAST(:queue AS text), queue), reason = coalesce(CAST(:reason AS text), reason)
         WHERE tenant_id = :tenant_id AND id = CAST(:call_id AS uuid)
        RETURNING id)
    UPDATE attempt
       SET collected = coalesce(collected, '{}') || CAST(:collected AS jsonb),
           queue = coalesce(CAST(:queue AS text), queue), reason = coalesce(CAST(:reason AS text), reason)
     WHERE tenant_id = :tenant_id AND id = CAST(:call_id AS uuid) AND NOT EXISTS (SELECT FROM came)
    """
)
_LEFT_STATE = Prepared(
    """
    UPDATE flow_step SET event = :event
     WHERE tenant_id = :tenant_id AND call_id = :call_id AND event IS NULL
       AND n = (SELECT max(n) FROM flow_step WHERE tenant_id = :tenant_id AND call_id = :call_id)
    """
)


async def stepped(
    conn: AsyncConnection,
    tenant_id: int,
    call_id: UUID,
    flow: str,
    first: int,
    passed: Sequence[Passed],
    now_in: str | None,
    at: datetime,
) -> None:
    """Write the states that the caller has left, and the one where they are now (None: the flow has ended);
    the first of them is the call's `first`."""
    rows = [(each.state, each.event, encode_json(dict(each.collected))) for each in passed]
    states = [row[0] for row in rows] + ([now_in] if now_in else [])
    events: list[str | None] = [row[1] for row in rows]
    collected = [row[2] for row in rows]
    if now_in:
        events.append(None)
        collected.append("{}")
    await _STEPS.run(
        conn,
        tenant_id=tenant_id,
        call_id=call_id,
        flow=flow,
        at=at,
        ns=list(range(first, first + len(states))),
        states=states,
        events=events,
        collected=collected,
    )


async def tell(
    conn: AsyncConnection,
    tenant_id: int,
    call_id: UUID,
    collected: Mapping[str, Any],
    *,
    queue: str | None = None,
    reason: str | None = None,
) -> None:
    """What is known of the call since: keys by name, where the caller waits, why they call."""
    await _TELL.run(
        conn,
        tenant_id=tenant_id,
        call_id=call_id,
        collected=encode_json(dict(collected)),
        queue=queue,
        reason=reason and reason[:MOST_REASON],
    )


async def left_state(conn: AsyncConnection, tenant_id: int, call_id: UUID, event: str) -> None:
    """The state in which the caller was is left by this event, and none follows."""
    await _LEFT_STATE.run(conn, tenant_id=tenant_id, call_id=call_id, event=event)


async def steps(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> list[Stepped]:
    """The way of a call."""
    c = flow_step.c
    rows = await conn.execute(
        select(c.n, c.flow, c.state, c.event, c.at, c.collected)
        .where(c.tenant_id == tenant_id, c.call_id == call_id)
        .order_by(c.n)
    )
    return [Stepped(*row) for row in rows]


async def ways(
    conn: AsyncConnection, tenant_id: int, call_ids: Collection[UUID]
) -> dict[UUID, list[Stepped]]:
    """The ways of calls."""
    c = flow_step.c
    rows = await conn.execute(
        select(c.call_id, c.n, c.flow, c.state, c.event, c.at, c.collected)
        .where(c.tenant_id == tenant_id, c.call_id.in_(call_ids))
        .order_by(c.call_id, c.n)
    )
    found: dict[UUID, list[Stepped]] = {}
    for call_id, *step in rows:
        found.setdefault(call_id, []).append(Stepped(*step))
    return found


_C = inbound_call.c
_CALLS = (
    select(
        _C.id,
        _C.dialled,
        _C.e164,
        flow.c.name.label("flow"),
        _C.flow_version,
        _C.campaign_id,
        _C.contact_id,
        _C.state,
        _C.result,
        _C.queue,
        _C.reason,
        _C.collected,
        agent.c.name.label("agent"),
        _C.detail,
        _C.created_at,
        _C.queued_at,
        _C.connected_at,
        _C.hung_up_at,
    )
    .join_from(inbound_call, flow, (flow.c.tenant_id == _C.tenant_id) & (flow.c.id == _C.flow_id))
    .outerjoin(agent, (agent.c.tenant_id == _C.tenant_id) & (agent.c.id == _C.agent_id))
)


def _arrived(row: Any) -> Arrived:
    return Arrived(*row)


async def find(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> Arrived | None:
    """The call with this id."""
    row = (await conn.execute(_CALLS.where(_C.tenant_id == tenant_id, _C.id == call_id))).one_or_none()
    return _arrived(row) if row else None


async def page(
    conn: AsyncConnection,
    tenant_id: int,
    which: Filter,
    *,
    before: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[Arrived]:
    """Calls, newest first, older than the one with the key `before`."""
    query = _CALLS.where(_C.tenant_id == tenant_id)
    for name in ("dialled", "e164", "queue", "result"):
        if (wanted := getattr(which, name)) is not None:
            query = query.where(_C[name] == wanted)
    if which.since is not None:
        query = query.where(_C.created_at >= which.since)
    if which.until is not None:
        query = query.where(_C.created_at < which.until)
    if before is not None:
        query = query.where(tuple_(_C.created_at, _C.id) < tuple_(*before))
    rows = await conn.execute(query.order_by(_C.created_at.desc(), _C.id.desc()).limit(limit))
    return [_arrived(row) for row in rows]


# -- flows -------------------------------------------------------------------------------------------------


def _flow(row: Row[Any]) -> FlowRow:
    return FlowRow(row.id, row.name, row.live_version, row.test_version, row.last_version)


_LAST = (
    select(func.max(flow_version.c.version))
    .where(flow_version.c.tenant_id == flow.c.tenant_id, flow_version.c.flow_id == flow.c.id)
    .correlate(flow)
    .scalar_subquery()
    .label("last_version")
)


_V = flow_version.c
_VERSIONS = select(
    _V.flow_id,
    flow.c.name.label("flow"),
    _V.version,
    _V.state,
    _V.document,
    _V.source,
    _V.made_by,
    _V.made_at,
).join_from(flow_version, flow, (flow.c.tenant_id == _V.tenant_id) & (flow.c.id == _V.flow_id))


async def flows(conn: AsyncConnection, tenant_id: int) -> list[FlowRow]:
    """All flows, by name."""
    rows = await conn.execute(select(flow, _LAST).where(flow.c.tenant_id == tenant_id).order_by(flow.c.name))
    return [_flow(row) for row in rows]


async def lock_flow(
    conn: AsyncConnection, tenant_id: int, name: str, *, make: bool = False
) -> FlowRow | None:
    """The flow of that name, kept from everybody else until the transaction ends. `make` one if there is
    none."""
    found = select(flow, _LAST).where(flow.c.tenant_id == tenant_id, flow.c.name == name)
    row = (await conn.execute(found.with_for_update(of=flow))).one_or_none()
    if row is None and make:
        await conn.execute(insert(flow).values(tenant_id=tenant_id, name=name))
        row = (await conn.execute(found)).one()
    return _flow(row) if row else None


async def add_version(
    conn: AsyncConnection,
    of: FlowRow,
    tenant_id: int,
    document: Mapping[str, Any],
    by: int | None,
    source: str = "",
) -> int:
    """A new draft of the flow, which is locked; its version. `source`: its YAML, if it came as such."""
    version = (of.last_version or 0) + 1
    row = {"version": version, "document": dict(document), "source": source, "made_by": by}
    await conn.execute(insert(flow_version).values(tenant_id=tenant_id, flow_id=of.id, **row))
    return version


async def version_of(conn: AsyncConnection, tenant_id: int, name: str, version: int) -> Version | None:
    """A version of the flow of that name."""
    query = _VERSIONS.where(_V.tenant_id == tenant_id, flow.c.name == name, _V.version == version)
    row = (await conn.execute(query)).one_or_none()
    return Version(**row._mapping) if row else None


async def versions(conn: AsyncConnection, tenant_id: int, name: str) -> list[Version]:
    """All versions of the flow of that name, newest first."""
    query = _VERSIONS.where(_V.tenant_id == tenant_id, flow.c.name == name)
    rows = await conn.execute(query.order_by(_V.version.desc()))
    return [Version(**row._mapping) for row in rows]


async def in_use(conn: AsyncConnection, tenant_id: int) -> list[Version]:
    """The versions that are live or tried out."""
    used = _V.version.in_((flow.c.live_version, flow.c.test_version))
    rows = await conn.execute(_VERSIONS.where(_V.tenant_id == tenant_id, used).order_by(flow.c.name))
    return [Version(**row._mapping) for row in rows]


async def publish(conn: AsyncConnection, tenant_id: int, of: FlowRow, version: int, state: str) -> None:
    """Make a version that which is live, or is tried out; the one before it is retired, unless it is still in
    use otherwise."""
    v = flow_version.c
    column = "live_version" if state == "live" else "test_version"
    before, other = (
        (of.live_version, of.test_version) if state == "live" else (of.test_version, of.live_version)
    )
    await conn.execute(
        update(flow).where(flow.c.tenant_id == tenant_id, flow.c.id == of.id).values({column: version})
    )
    mine = v.tenant_id == tenant_id, v.flow_id == of.id
    if before not in (None, other, version):
        await conn.execute(update(flow_version).where(*mine, v.version == before).values(state="retired"))
    stays_live = state == "test" and version == other
    if not stays_live:
        await conn.execute(update(flow_version).where(*mine, v.version == version).values(state=state))


async def is_own(conn: AsyncConnection, tenant_id: int, call_id: UUID, user_id: int | None) -> bool:
    """Whether the user's agent has the call, or has had it."""
    if user_id is None:
        return False
    found = await conn.execute(
        select(agent.c.id)
        .join_from(inbound_call, agent_session, agent_session.c.tenant_id == _C.tenant_id)
        .join(
            agent, (agent.c.tenant_id == agent_session.c.tenant_id) & (agent.c.id == agent_session.c.agent_id)
        )
        .where(
            _C.tenant_id == tenant_id,
            _C.id == call_id,
            agent.c.user_id == user_id,
            (agent_session.c.id == _C.session_id) | (agent_session.c.attempt_id == call_id),
        )
        .limit(1)
    )
    return found.one_or_none() is not None
