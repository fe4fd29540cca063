"""What showed that a call might be made, and that limits hold for calls that begin at the same moment."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import insert, select, update
from support.floor import NODE, TENANT, Floor
from support.placer import Line, placer_of, terms_of

from dialer.calls.call_log import Filter
from dialer.calls.placing import Placed
from dialer.calls.proofs import Proofs
from dialer.compliance.model import POLICIES, Limits
from dialer.db import tables as t
from dialer.httpkit.access import Actor

ACTOR = Actor.server(TENANT)


async def test_an_attempt_keeps_what_showed_that_it_might_be_made(floor: Floor) -> None:
    """The local time, the purpose, the counts, the last entry of do-not-call; told of one, a line of many."""
    await floor.leads(2)
    placer = placer_of(floor, Line(floor.database))
    assert await placer.next_leads(terms_of(floor), 2, NODE) == Placed(2)
    await placer.settled(NODE)
    async with floor.database.tenant(TENANT) as conn:
        ids = list(await conn.scalars(select(t.attempt.c.id).order_by(t.attempt.c.id)))
    proofs = Proofs(floor.database)
    proof = await proofs.one(ACTOR, ids[0])
    assert proof.evidence is not None
    assert (proof.evidence["purpose"], proof.evidence["dnc"]) == ("service", 0)
    assert proof.evidence["tried"] == {"per_day": 0, "per_week": 0, "per_month": 0}
    assert proof.evidence["places"]["Europe/Moscow"].endswith("+03:00")
    lines = b"".join([piece async for piece in proofs.file(ACTOR, Filter(e164=proof.call.e164))]).decode()
    header, line = lines.splitlines()
    assert header.startswith("attempt_id,made_at,number")
    assert str(ids[0]) in line
    assert "demo/1,service,Europe/Moscow=" in line


async def test_two_numbers_of_one_person_are_one_person_in_one_batch(floor: Floor) -> None:
    """With one attempt a day, the second lead of a batch that is of the same contact waits for the limit."""
    first, second = await floor.leads(2)
    async with floor.database.tenant(TENANT) as conn:
        contact_id = await conn.scalar(select(t.lead.c.contact_id).where(t.lead.c.id == first))
        number = await conn.scalar(select(t.lead.c.e164).where(t.lead.c.id == second))
        await conn.execute(
            insert(t.contact_phone).values(
                tenant_id=TENANT,
                contact_id=contact_id,
                position=2,
                e164=number,
                kind="mobile",
                timezones=["Europe/Moscow"],
            )
        )
        await conn.execute(update(t.lead).where(t.lead.c.id == second).values(contact_id=contact_id))
    once = replace(POLICIES["demo"], limits=Limits(per_day=1))
    placer = placer_of(floor, Line(floor.database))
    assert await placer.next_leads(terms_of(floor, policy=once), 2, NODE) == Placed(1)
    await placer.settled(NODE)
    waits = await floor.row(t.lead, second)
    assert (waits.status, waits.hold) == ("waiting", "limits")
