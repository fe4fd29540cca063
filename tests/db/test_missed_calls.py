"""Missed calls: which are noted with their end, and what is decided of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from support.arrivals import BOSS, NUMBER, arrived, published, signals
from support.floor import TENANT, Floor
from support.promises import open_floor
from support.web import serving

from dialer.calls.model import Call, Dequeued, HungUp, HungUpBy, Queued, Result, Served, Signal
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.donotcall import store as donotcall
from dialer.donotcall.model import Refusal, Source
from dialer.httpkit.access import Role
from dialer.inbound.missed import MissedCalls
from dialer.inbound.missed_rule import MissedDefault, MissedRules, Rule
from dialer.inbound.missed_rule_http import MISSED_RULES, routes
from dialer.inbound.store import Called


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign that may call at any hour."""
    return await open_floor(database)


async def ruled(floor: Floor, rule: str, after_s: int = 0) -> Called:
    """A number with this rule."""
    called = await published(floor)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.inbound_number).values(missed_rule=rule, missed_after_s=after_s))
    return called


async def ended(floor: Floor, called: Called, *happened: Signal) -> Call:
    """A call in which this happened, and whose caller then left."""
    left = HungUp(utc_now() + timedelta(seconds=5), result=Result.LEFT, cause=16, by=HungUpBy.CUSTOMER)
    return await signals(floor, await arrived(floor, called), *happened, left)


async def due(floor: Floor) -> None:
    """Half a minute later: what is noted is decided."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            update(t.missed_call).where(t.missed_call.c.fate.is_(None)).values(due_at=utc_now())
        )
    await MissedCalls(floor.database).round()


async def all_of(floor: Floor, table: Any) -> Sequence[Any]:
    """The rows of a table."""
    async with floor.database.tenant(TENANT) as conn:
        return (await conn.execute(select(table).order_by(*table.primary_key))).all()


async def fates(floor: Floor) -> list[str | None]:
    """What was decided, the oldest call first."""
    return [row.fate for row in await all_of(floor, t.missed_call)]


@pytest.mark.parametrize(
    ("rule", "after_s", "queued", "noted"),
    [
        ("off", 0, True, False),
        ("queue", 0, True, True),
        ("queue", 0, False, False),
        ("queue", 60, True, False),
        ("all", 0, False, True),
        ("all", 60, False, False),
    ],
)
async def test_which_calls_are_noted(
    floor: Floor, rule: str, after_s: int, queued: bool, noted: bool
) -> None:
    """By the number's rule, after so long a wait at least; with the end of the call, not later."""
    called = await ruled(floor, rule, after_s)
    await ended(floor, called, *([Queued(utc_now())] if queued else []))
    assert len(await all_of(floor, t.missed_call)) == noted


@pytest.mark.parametrize(
    ("default", "own", "noted"),
    [
        (None, ("usual", 0), False),
        (("queue", 0), ("usual", 60), True),
        (("queue", 60), ("usual", 0), False),
        (("off", 0), ("usual", 0), False),
        (("all", 60), ("queue", 0), True),
        (("all", 0), ("off", 0), False),
    ],
)
async def test_a_number_that_says_nothing_goes_by_the_rule_of_all(
    floor: Floor, default: tuple[Rule, int] | None, own: tuple[str, int], noted: bool
) -> None:
    """With its shortest wait; a rule of the number's own comes before it, with the number's own wait."""
    called = await ruled(floor, *own)
    if default is not None:
        await MissedRules(floor.database).write(BOSS, MissedDefault(*default))
    await ended(floor, called, Queued(utc_now()))
    assert len(await all_of(floor, t.missed_call)) == noted


async def test_the_rule_of_all_is_told_and_said_anew(floor: Floor, database_url: str) -> None:
    """By programs, with the bounds of a number's own; each change is on record. Agents have no say."""
    services: dict[Any, Any] = {MISSED_RULES: MissedRules(floor.database)}
    path = "~/inbound/missed-rule"
    async with serving(floor.database, database_url, tables=[routes], services=services) as site:
        boss = await site.program(Role.SUPERVISOR)
        assert (await boss.call("GET", path)).json == {"rule": "off", "after_s": 10}
        for said in ({"rule": "queue", "after_s": 20}, {"rule": "all", "after_s": 0}):
            assert (await boss.call("PUT", path, said)).json == said
        assert (await boss.call("GET", path)).json == {"rule": "all", "after_s": 0}
        for wrong in ({"rule": "usual"}, {"rule": "all", "after_s": 3601}):
            assert (await boss.call("PUT", path, wrong)).status == 422
        agent = await site.program(Role.OPERATOR)
        assert (await agent.call("PUT", path, {"rule": "off"})).status == 403
    written = [row.details for row in await all_of(floor, t.audit) if row.action == "missed_rule.write"]
    assert written == [{"rule": "queue", "after_s": 20}, {"rule": "all", "after_s": 0}]


async def test_who_was_served_is_not_missed(floor: Floor) -> None:
    """By the flow, also after a wait."""
    called = await ruled(floor, "all")
    now = utc_now()
    await ended(floor, called, Queued(now), Dequeued(now), Served(now, outcome=Result.VOICEMAIL))
    assert await all_of(floor, t.missed_call) == []


async def test_a_missed_call_becomes_one_promise(floor: Floor) -> None:
    """Not before it is due; by the campaign of the number; of two missed calls the later one is decided."""
    called = await ruled(floor, "queue")
    await ended(floor, called, Queued(utc_now()))
    await MissedCalls(floor.database).round()
    assert (await fates(floor), await all_of(floor, t.callback)) == ([None], [])
    call = await ended(floor, called, Queued(utc_now()))
    await due(floor)
    await due(floor)
    assert await fates(floor) == ["came_back", "task"]
    (made,) = await all_of(floor, t.callback)
    assert (made.state, made.campaign_id, made.made_in) == ("waiting", floor.campaign_id, call.attempt_id)
    (lead,) = [row for row in await all_of(floor, t.lead) if row.id == made.lead_id]
    assert (lead.e164, lead.hold) == (NUMBER.e164, "callback")


async def test_who_comes_back_and_is_served_takes_the_promise_back(floor: Floor) -> None:
    """Before the decision nothing is promised; after it the promise is canceled, with its lead."""
    called = await ruled(floor, "queue")
    await ended(floor, called, Queued(utc_now()))
    await due(floor)
    assert await fates(floor) == ["task"]
    again = await ended(floor, called, Queued(utc_now()))
    async with floor.database.tenant(TENANT) as conn:
        c = t.inbound_call.c
        await conn.execute(update(t.inbound_call).where(c.id == again.attempt_id).values(result="answered"))
    await due(floor)
    (made,) = await all_of(floor, t.callback)
    assert (made.state, made.reason) == ("canceled", "came_back")
    (lead,) = [row for row in await all_of(floor, t.lead) if row.id == made.lead_id]
    assert lead.status == "closed"


async def test_a_call_that_goes_on_is_waited_for(floor: Floor) -> None:
    """What becomes of it is not known yet."""
    called = await ruled(floor, "queue")
    await ended(floor, called, Queued(utc_now()))
    call = await arrived(floor, called)
    await due(floor)
    (row,) = await all_of(floor, t.missed_call)
    assert (row.fate, row.due_at > utc_now()) == (None, True)
    over = HungUp(utc_now(), result=Result.LEFT, by=HungUpBy.CUSTOMER)
    await signals(floor, call, Served(utc_now(), outcome=Result.CALLBACK), over)
    await due(floor)
    assert await fates(floor) == ["came_back"]


async def test_a_promise_that_there_is_already_is_enough(floor: Floor) -> None:
    """Of whichever campaign, made by hand or in a flow."""
    called = await ruled(floor, "queue")
    await ended(floor, called, Queued(utc_now()))
    await due(floor)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.missed_call).values(callback_id=None))
    await ended(floor, called, Queued(utc_now()))
    await due(floor)
    assert await fates(floor) == ["task", "promised"]
    assert len(await all_of(floor, t.callback)) == 1


async def test_who_wants_no_calls_is_not_called_back(floor: Floor) -> None:
    """The refusal is kept with its reason; others are decided all the same."""
    called = await ruled(floor, "queue")
    await ended(floor, called, Queued(utc_now()))
    async with floor.database.tenant(TENANT) as conn:
        said = Refusal(Source.KEY_PRESS, reason="")
        await donotcall.add(conn, TENANT, [NUMBER.e164], said, by=None, now=utc_now())
    await due(floor)
    (row,) = await all_of(floor, t.missed_call)
    assert (row.fate, row.reason) == ("refused", "do_not_call")
    assert await all_of(floor, t.callback) == []


async def test_a_withheld_number_is_not_noted(floor: Floor) -> None:
    """There is nobody to call."""
    called = await ruled(floor, "all")
    call = await arrived(floor, called)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.inbound_call).values(e164="", contact_id=None))
    await signals(
        floor, call, HungUp(utc_now() + timedelta(seconds=5), result=Result.LEFT, by=HungUpBy.CUSTOMER)
    )
    assert await all_of(floor, t.missed_call) == []
