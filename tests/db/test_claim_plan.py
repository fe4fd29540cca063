"""How the database goes about a claim: as the server's role, over what it knows of the leads."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, update
from support.floor import TENANT, Floor

from dialer.bench.load.growth import plan_in_a_line
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database, connect
from scheduler import hopper


async def test_a_claim_reads_as_many_leads_as_it_takes(database: Database, owner_url: str) -> None:
    """Of a list that stands behind another, by shares: not the leads of the other; and of all together those
    that come first."""
    floor = await Floor.open(database)
    front = await floor.leads(3000)
    behind = await floor.leads(300, first=79330000000)
    async with database.tenant(TENANT) as conn:
        other = await conn.scalar(
            insert(t.contact_list).values(tenant_id=TENANT, name="B").returning(t.contact_list.c.id)
        )
        await conn.execute(
            update(t.lead).where(t.lead.c.id.in_(behind)).values(list_id=other, sort_key=10_000)
        )
    owner = await connect(owner_url, application="test")
    try:
        await owner.execute("VACUUM (ANALYZE) lead")
    finally:
        await owner.close()
    whose: dict[str, Any] = {"tenant_id": TENANT, "campaign_id": floor.campaign_id, "now": utc_now()}
    async with database.tenant(TENANT) as conn:
        by_lists = await hopper.CLAIM_LISTS.explain(conn, **whose, lists=[other], many=[20], but=[])
        together = await hopper.CLAIM.explain(conn, **whose, wanted=20)
    looked, plan = plan_in_a_line(by_lists[0]["Plan"])
    assert "lead_list_idx" in plan
    assert looked == 20
    looked, plan = plan_in_a_line(together[0]["Plan"])
    assert "lead_hopper_idx" in plan
    assert looked == 20
    assert len(front) == 3000
