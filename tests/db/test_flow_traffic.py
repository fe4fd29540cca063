"""How many callers came to each state of a flow, and how they left it, in a span of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from support.came import came_in
from support.floor import TENANT, Floor
from support.plans import steps

from dialer.inbound import store, traffic
from ivr_flows.model import Passed

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)


async def test_states_are_counted_in_their_time(floor: Floor) -> None:
    """By the event that they were left by; who is there now is in no event; what was before is left out, and
    what is read comes from the index alone."""
    async with floor.database.tenant(TENANT) as conn:
        for day in range(3):
            for n in range(10):
                at = BEGIN + timedelta(days=day, minutes=n)
                call_id = await came_in(conn, floor.campaign_id, at)
                passed = [Passed("hello", "done", {}), Passed("menu", "hung_up" if n < 4 else "1", {})]
                await store.stepped(conn, TENANT, call_id, "reception", 0, passed, None, at)
        last = BEGIN + timedelta(days=2)
        span = {"since": last, "until": last + timedelta(days=1)}
        found = await traffic.of_flow(conn, TENANT, "reception", **span)
        assert {name: (one.came, one.left) for name, one in found.items()} == {
            "hello": (10, {"done": 10}),
            "menu": (10, {"hung_up": 4, "1": 6}),
        }
        assert found["menu"].lost == 4
        await conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
        await conn.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        (plan,) = await traffic.PASSED.explain(conn, tenant_id=TENANT, flow="reception", **span)
    (read,) = [step for step in steps(plan["Plan"]) if step.get("Relation Name") == "flow_step"]
    assert (read["Node Type"], read["Actual Rows"]) == ("Index Only Scan", 20)
    assert "at" in read["Index Cond"]
