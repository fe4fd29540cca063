"""What the demo reads of its own database at the end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.floor import TENANT, Floor

from dialer.calls.model import CancelAsked, HungUp, Rang, Result, Sent
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.demo import summary


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await Floor.open(database, policy="demo", abandon_target=0.01)


async def test_a_lead_whose_attempt_is_made_up_for_was_dialled(floor: Floor) -> None:
    """One that the carrier failed has used up no attempt of its lead, and one that was taken back before the
    phone rang has not dialled it."""
    leads = await floor.leads(4)
    busy, failed, unrung = [await floor.place(lead_id) for lead_id in leads[:3]]
    now = utc_now()
    await floor.signals(busy, Sent(now), Rang(now), HungUp(now, result=Result.BUSY))
    await floor.signals(failed, Sent(now), HungUp(now, result=Result.CONGESTION, sip_code=503))
    assert (await floor.row(t.lead, leads[1])).attempts == 0
    await floor.signals(
        unrung, Sent(now), CancelAsked(now, "campaign_paused"), HungUp(now, result=Result.NO_ANSWER)
    )
    async with floor.database.tenant(TENANT) as conn:
        assert await summary.progress(conn, floor.campaign_id) == summary.Progress(leads=4, dialled=2)


async def test_the_carriers_log_is_held_against_the_attempts(floor: Floor) -> None:
    """A call made up for in its time is a retry, one beside it a mistake; the limit is the campaign's own."""
    (lead_id,) = await floor.leads(1)
    first = await floor.place(lead_id)
    made = first.created_at
    await floor.signals(first, Sent(made), HungUp(made, result=Result.CONGESTION, sip_code=503))
    again = await floor.place(lead_id)
    later = again.created_at
    await floor.signals(again, Sent(later), Rang(later), HungUp(later, result=Result.BUSY))
    number = (await floor.row(t.lead, lead_id)).e164
    # The second one was placed at once, which the rule did not ask for.
    found = await summary.summary(floor.database, floor.campaign_id, {number: [made, later]})
    assert (found["double_dials"], found["retries"]) == (1, {})
    assert found["abandon_limit"] == pytest.approx(0.01)
    async with floor.database.tenant(TENANT) as conn:
        before = made - timedelta(seconds=30)
        await conn.execute(
            t.attempt.update()
            .where(t.attempt.c.id == first.attempt_id)
            .values(created_at=before, hung_up_at=before, ended_at=before, sent_at=before)
        )
    found = await summary.summary(floor.database, floor.campaign_id, {number: [before, later]})
    assert (found["double_dials"], found["retries"]) == (0, {"congestion": 1})
