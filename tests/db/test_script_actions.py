"""What the actions of scripts do in a talk: calls are promised, visits booked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from support.floor import TENANT, Floor
from support.promises import open_floor
from support.talk_scripts import published
from support.web import Web, serving

from dialer.calls.commands import CommandDesk
from dialer.calls.model import Call
from dialer.calls.service import CallService
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.listen import REPLIES, Listener
from dialer.db.session import Database
from dialer.errors import Invalid
from dialer.httpkit.access import Actor, Role
from dialer.scripts.service import ScriptService
from dialer.scripts.walking import Answered, Back, Done
from dialer.settings import load as load_settings
from dialer.visits import http as visits_http
from dialer.visits.service import VisitService

SERVER = Actor.server(TENANT)
MOSCOW = ZoneInfo("Europe/Moscow")
TEXT = """\
name: visit
language: en
first: day
steps:
  - {name: day, type: question, text: "When?", kind: datetime, required: true, next: do}
  - {name: do, type: action, text: "I do it.", action: ACTION, values: VALUES, next: bye}
  - {name: bye, type: end, text: "Goodbye."}
"""


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign with a script."""
    return await open_floor(database, script="visit")


@pytest.fixture
def calls(database: Database, database_url: str) -> CallService:
    """Where dispositions are saved."""
    return CallService(database, CommandDesk(database, Listener(database_url, (REPLIES,))), load_settings())


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application with visits."""
    services: Any = {visits_http.VISITS: VisitService(database)}
    async with serving(database, database_url, tables=[visits_http.routes], services=services) as running:
        yield running


def action(name: str, values: str = '{at: "{day}", note: "asked for it"}') -> str:
    """A script whose one action is this."""
    return TEXT.replace("ACTION", name).replace("VALUES", values)


def noon(days: int = 2) -> datetime:
    """Of a day to come, by Moscow's clock, as it is typed."""
    there = utc_now().astimezone(MOSCOW) + timedelta(days=days)
    return there.replace(hour=12, minute=0, second=0, microsecond=0, tzinfo=None)


async def acted(floor: Floor, text: str, at: datetime) -> tuple[ScriptService, Call, Actor]:
    """A talk in which the action was carried out."""
    scripts = await published(floor.database, SERVER, text)
    seat = await floor.seat()
    (lead_id,) = await floor.leads(1)
    call = await floor.talk(seat, lead_id)
    await scripts.act(seat.actor, call.attempt_id, "day", Answered(at.isoformat()))
    await scripts.act(seat.actor, call.attempt_id, "do", Done())
    return scripts, call, seat.actor


async def rows(floor: Floor, table: Any) -> list[Any]:
    """All of a table, oldest first."""
    async with floor.database.tenant(TENANT) as conn:
        return list(await conn.execute(select(table).order_by(table.c.id)))


@pytest.mark.parametrize(
    ("code", "state", "lead_status"),
    [
        ("callback", "waiting", "waiting"),
        ("sale", "waiting", "waiting"),
        ("do-not-call", "canceled", "closed"),
    ],
)
async def test_a_promised_call_outlives_the_talk(
    floor: Floor, calls: CallService, code: str, state: str, lead_status: str
) -> None:
    """By the person's clock; hang-up and disposition leave it be, unless that says that nobody wants it."""
    _, call, actor = await acted(floor, action("schedule_callback"), noon())
    (made,) = await rows(floor, t.callback)
    assert made.due_at.astimezone(MOSCOW).replace(tzinfo=None) == noon()
    assert (made.state, made.made_in, made.note) == ("waiting", call.attempt_id, "asked for it")
    await floor.hang_up(call)
    await calls.dispose(actor, call.attempt_id, code)
    (made,) = await rows(floor, t.callback)
    (lead,) = await rows(floor, t.lead)
    assert (made.state, lead.status) == (state, lead_status)
    if state == "waiting":
        assert (lead.hold, lead.open_from) == ("callback", made.due_at)


async def test_a_time_that_is_past_is_refused_and_the_talk_stays(floor: Floor) -> None:
    """Nothing is promised, nothing is told, and the agent is at the same step."""
    scripts = await published(floor.database, SERVER, action("schedule_callback"))
    seat = await floor.seat()
    (lead_id,) = await floor.leads(1)
    call = await floor.talk(seat, lead_id)
    await scripts.act(seat.actor, call.attempt_id, "day", Answered(noon(-2).isoformat()))
    with pytest.raises(Invalid):
        await scripts.act(seat.actor, call.attempt_id, "do", Done())
    shown = await scripts.of_call(seat.actor, call.attempt_id)
    assert shown is not None
    assert (shown.step, shown.done) == ("do", False)
    assert await rows(floor, t.callback) == []


async def test_a_visit_is_booked_once_and_its_state_is_kept(floor: Floor, site: Web) -> None:
    """By the clock of the company's place; who came is said by the API."""
    values = '{at: "{day}", place: "Showroom", note: "asked for it"}'
    scripts, call, actor = await acted(floor, action("book_visit", values), noon())
    for event, step in ((Back(), "bye"), (Done(), "do")):
        await scripts.act(actor, call.attempt_id, step, event)
    (booked,) = await rows(floor, t.visit)
    assert booked.at.astimezone(MOSCOW).replace(tzinfo=None) == noon()
    assert (booked.call_id, booked.place, booked.state) == (call.attempt_id, "Showroom", "booked")
    boss = await site.program(Role.SUPERVISOR)
    span = "since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z"
    (told,) = (await boss.call("GET", f"~/visits?{span}")).json
    assert (told["id"], told["contact_id"], told["state"]) == (booked.id, booked.contact_id, "booked")
    changed = await boss.call("PUT", f"~/visits/{booked.id}/state", {"state": "kept"})
    assert (changed.status, changed.json["state"]) == (200, "kept"), changed.text
    assert (await boss.call("PUT", "~/visits/0/state", {"state": "kept"})).status == 404
    early = span.replace("2020", "0001")
    assert (await boss.call("GET", f"~/visits?{early}")).status == 422
    agent = await site.program(Role.OPERATOR)
    assert (await agent.call("GET", f"~/visits?{span}")).status == 403
