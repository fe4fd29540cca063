"""Who talked with a person last, and how the database finds it among many calls."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update
from support.came import came_in, number_of
from support.floor import TENANT, Floor
from support.plans import steps

from dialer.calls import store
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import connect


async def test_the_last_talk_counts_whoever_had_called(floor: Floor) -> None:
    """A call of ours, then one that came in, which is later; a call without a talk is none."""
    (lead_id,) = await floor.leads(1)
    contact_id = (await floor.row(t.lead, lead_id)).contact_id
    first, second = await floor.seat(), await floor.seat()
    call = await floor.hang_up(await floor.talk(first, lead_id))
    async with floor.database.tenant(TENANT) as conn:
        assert await store.last_agent(conn, TENANT, None) is None
        assert await store.last_agent(conn, TENANT, contact_id) == first.agent_id
        at = utc_now() + timedelta(seconds=1)
        of = {"contact_id": contact_id, "agent_id": second.agent_id, "connected_at": at}
        await came_in(conn, floor.campaign_id, at, **of)
        await came_in(conn, floor.campaign_id, at + timedelta(seconds=1), contact_id=contact_id)
        assert await store.last_agent(conn, TENANT, contact_id) == second.agent_id
        a = t.attempt.c
        later = {"connected_at": at + timedelta(seconds=2)}
        await conn.execute(update(t.attempt).where(a.id == call.attempt_id).values(**later))
        assert await store.last_agent(conn, TENANT, contact_id) == first.agent_id


async def test_the_last_talk_is_found_among_the_person_s_own(floor: Floor, owner_url: str) -> None:
    """Of 50,000 attempts and 50,000 calls that came in, of 5,000 people, no more are read than the person
    has; also of somebody who was never reached."""
    async with floor.database.tenant(TENANT) as conn:
        number_id, flow_id = await number_of(conn, floor.campaign_id)
    owner = await connect(owner_url)
    try:
        await owner.execute("INSERT INTO contact (tenant_id, id, last_name) SELECT 1, n, 'x' || n"
                            " FROM generate_series(10001, 15000) n")  # fmt: skip
        await owner.execute(
            """
            INSERT INTO attempt (tenant_id, id, campaign_id, contact_id, e164, trunk_id, caller_id, mode,
                                 policy, state, result, created_at, ended_at, connected_at)
            SELECT 1, gen_random_uuid(), $1, 10001 + n % 5000, '+7495' || n, $2, '+7495', 'power',
                   'default/1', 'ended', 'answered', now() - n * interval '1 second', now(),
                   CASE WHEN n % 5000 <> 7 THEN now() END
              FROM generate_series(1, 50000) n
            """,
            floor.campaign_id,
            floor.trunk_id,
        )
        await owner.execute(
            """
            INSERT INTO inbound_call (tenant_id, id, number_id, dialled, flow_id, flow_version, campaign_id,
                                      contact_id, e164, node, channel, state, result, created_at, answered_at,
                                      ended_at)
            SELECT 1, gen_random_uuid(), $2, '7495', $3, 1, $1, 10001 + n % 5000, '+7495' || n, 'main',
                   'x' || n, 'ended', 'left', now() - n * interval '1 second', now(), now()
              FROM generate_series(1, 50000) n
            """,
            floor.campaign_id,
            number_id,
            flow_id,
        )
        await owner.execute("ANALYZE attempt, inbound_call")
    finally:
        await owner.close()
    for contact_id in (10_001, 10_008):  # the second has no talk at all
        async with floor.database.tenant(TENANT) as conn:
            (plan,) = await store.LAST_AGENT.explain(conn, tenant_id=TENANT, contact_id=contact_id)
        reads = [step for step in steps(plan["Plan"]) if step.get("Relation Name")]
        assert {step["Index Name"] for step in reads} == {"attempt_contact_idx", "inbound_call_contact_idx"}
        read = sum(step["Actual Rows"] + step.get("Rows Removed by Filter", 0) for step in reads)
        assert read <= 20
