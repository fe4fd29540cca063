"""What the card of a talk tells of the person besides the list's columns, and who may change it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update
from support.came import came_in
from support.floor import TENANT, Floor, Seat

from dialer.agents.model import AgentState
from dialer.callbacks.service import CallbackService
from dialer.calls import card
from dialer.calls.about import About, Agreed
from dialer.calls.commands import CommandDesk
from dialer.calls.service import CallService
from dialer.clock import utc_now
from dialer.compliance.policy import Purpose
from dialer.contacts.people import PersonService
from dialer.db import tables as t
from dialer.db.listen import REPLIES, Listener
from dialer.db.session import Database
from dialer.errors import Forbidden
from dialer.ids import new_id
from dialer.settings import load
from dialer.visits.model import State
from scheduler.callbacks import Stage

DAY = timedelta(days=1)


@pytest.fixture
def service(database: Database, database_url: str) -> CallService:
    """What can be done with calls; nobody is asked for anything."""
    return CallService(database, CommandDesk(database, Listener(database_url, (REPLIES,))), load())


async def add(floor: Floor, table: Any, **values: Any) -> None:
    """A row."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(insert(table).values(tenant_id=TENANT, **values))


async def about(service: CallService, seat: Seat) -> About:
    """Of the person on the agent's card."""
    found = await service.card(seat.actor)
    assert found is not None
    assert found.about is not None
    return found.about


async def test_calls_consents_visits_and_promises(floor: Floor, service: CallService) -> None:
    """Other calls of the person are counted, also of other campaigns and numbers; what was agreed holds or
    does not; a visit taken back is none; a promise that was kept is none any more."""
    seat, now = await floor.seat(), utc_now()
    old, lead_id, _ = await floor.leads(3)
    await floor.hang_up(await floor.talk(await floor.seat(), old))
    contact_id = (await floor.row(t.lead, lead_id)).contact_id
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.attempt).values(contact_id=contact_id))
        await came_in(conn, floor.campaign_id, now - DAY, contact_id=contact_id, connected_at=now - DAY)
    said = {"contact_id": contact_id, "source": "form", "valid_from": now - 2 * DAY}
    await add(floor, t.consent, purpose="advertising", valid_until=now + 9 * DAY, **said)
    await add(floor, t.consent, purpose="survey", withdrawn_at=now - DAY, **said)
    for at, state in ((-3 * DAY, "kept"), (-2 * DAY, "canceled"), (5 * DAY, "booked"), (4 * DAY, "canceled")):
        booked = {"contact_id": contact_id, "campaign_id": floor.campaign_id, "call_id": new_id()}
        await add(floor, t.visit, at=now + at, place=state, state=state, **booked)
    await add(
        floor, t.callback, campaign_id=floor.campaign_id, lead_id=lead_id, contact_id=contact_id,
        from_at=now - DAY, due_at=now - DAY, zone="Europe/Moscow", away="anyone", note="about the price",
    )  # fmt: skip
    await add(
        floor, t.callback, campaign_id=floor.campaign_id, lead_id=lead_id, contact_id=contact_id,
        from_at=now, due_at=now, zone="Europe/Moscow", away="anyone", state="done",
    )  # fmt: skip
    await floor.talk(seat, lead_id)
    found = await about(service, seat)
    assert (found.attempts, found.campaign_attempts, found.talks) == (1, 1, 2)
    assert found.agreed == [
        Agreed(Purpose.ADVERTISING, given=True, until=now + 9 * DAY),
        Agreed(Purpose.SURVEY, given=False, until=None),
    ]
    assert found.last_visit is not None
    assert found.next_visit is not None
    assert (found.last_visit.at, found.last_visit.state) == (now - 3 * DAY, State.KEPT)
    assert (found.next_visit.at, found.next_visit.place) == (now + 5 * DAY, "booked")
    assert [(one.note, one.stage) for one in found.promised] == [("about the price", Stage.LATE)]


async def test_of_somebody_new_nothing_is_known(floor: Floor, service: CallService) -> None:
    """The call of the card is not counted itself."""
    seat = await floor.seat()
    (lead_id,) = await floor.leads(1)
    await floor.talk(seat, lead_id)
    assert await about(service, seat) == About(0, 0, 0, [], None, None, [])


async def test_notes_of_talks_on_another_number_are_on_the_card(floor: Floor) -> None:
    """Earlier calls are the person's, and the number's, each once."""
    first, second, third = await floor.leads(3)
    mine = (await floor.row(t.lead, first)).contact_id
    made = [(await floor.place(lead)).attempt_id for lead in (first, second, third)]
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            update(t.attempt)
            .where(t.attempt.c.id == made[1])
            .values(contact_id=mine, disposition_note="wants leather")
        )
        number = (await floor.row(t.lead, first)).e164
        earlier = await card.earlier(conn, TENANT, number, mine)
    assert [(one.attempt_id, one.note) for one in earlier] == [(made[1], "wants leather"), (made[0], None)]


async def test_an_agent_deals_with_a_caller_too(database: Database, floor: Floor) -> None:
    """While the caller is on the line, and until the disposition is saved, the card can be looked at and
    changed, and a call promised; afterwards only the promise is still the agent's to make."""
    seat, people = await floor.seat(AgentState.TALKING), PersonService(database, load())
    (lead_id,) = await floor.leads(1)
    contact_id, now = (await floor.row(t.lead, lead_id)).contact_id, utc_now()
    with pytest.raises(Forbidden):
        await people.person(seat.actor, contact_id)
    with pytest.raises(Forbidden):
        await CallbackService(database).outlook(seat.actor, floor.campaign_id, contact_id)
    async with floor.database.tenant(TENANT) as conn:
        call_id = await came_in(
            conn, floor.campaign_id, contact_id=contact_id, state="connected", result=None, ended_at=None,
            connected_at=now, session_id=seat.session_id, agent_id=seat.agent_id,
        )  # fmt: skip
        shift = t.agent_session.c.id == seat.session_id
        await conn.execute(update(t.agent_session).where(shift).values(attempt_id=call_id))
    changed = await people.change(seat.actor, contact_id, {"first_name": "Павел"})
    assert changed.card.first_name == "Павел"
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.agent_session).where(shift).values(attempt_id=None))
    await people.person(seat.actor, contact_id)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.inbound_call).values(disposed_at=now))
    with pytest.raises(Forbidden):
        await people.person(seat.actor, contact_id)
    assert (await CallbackService(database).outlook(seat.actor, floor.campaign_id, contact_id)).zones
