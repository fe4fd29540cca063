"""Leads that something keeps from being dialled, one kind of it at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from dialer.clock import utc_now
from dialer.compliance.policies import POLICIES
from dialer.compliance.policy import Limits, Policy
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Actor, Role
from dialer.ids import new_id
from dialer.policies import store as policies
from dialer.settings import load
from dialer.whynot import model as m
from dialer.whynot.model import Finding
from dialer.whynot.service import WhyNotService
from support.floor import TENANT, Floor

__all__ = ["floor", "why"]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BOSS = Actor(TENANT, None, Role.SUPERVISOR, "boss", "en")
OWN = replace(
    POLICIES["demo"],
    code="own",
    version=1,
    limits=Limits(per_day=2),
    redial_after_abandoned_s=72 * 3600,
    redial_after_machine_s=0,
    redial_after_refusal_s=24 * 3600,
)


async def open_floor(database: Database, policy: Policy = OWN, **campaign: Any) -> Floor:
    """A running campaign whose policy lets a number be dialled round the clock, twice a day."""
    async with database.tenant(TENANT) as conn:
        await policies.add(conn, TENANT, policy, None)
    hours = {"call_from": "00:00", "call_until": "24:00"}
    return await Floor.open(database, **{"policy": policy.code, **hours, **campaign})


@pytest.fixture
async def floor(database: Database) -> Floor:
    """The campaign, with its leads' windows written."""
    return await open_floor(database)


@pytest.fixture
def why(database: Database) -> WhyNotService:
    """Who is asked."""
    return WhyNotService(database, load())


async def change(floor: Floor, lead_id: int, **values: Any) -> None:
    """Write on a lead."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.lead).where(t.lead.c.id == lead_id).values(**values))


async def add(floor: Floor, table: Any, **values: Any) -> None:
    """A row."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(insert(table).values(tenant_id=TENANT, **values))


# -- what is done to a lead --------------------------------------------------------------------------------


async def closed(floor: Floor, lead: Any, now: datetime) -> None:
    await change(floor, lead.id, status="closed", closed_reason="sale")


async def dialling(floor: Floor, lead: Any, now: datetime) -> None:
    await change(floor, lead.id, status="dialling")


async def offered(floor: Floor, lead: Any, now: datetime) -> None:
    await change(floor, lead.id, status="offered")


async def busy(floor: Floor, lead: Any, now: datetime) -> None:
    await add(floor, t.active_number, e164=lead.e164, attempt_id=new_id())


async def dead(floor: Floor, lead: Any, now: datetime) -> None:
    async with floor.database.tenant(TENANT) as conn:
        phone = t.contact_phone.c.e164 == lead.e164
        await conn.execute(
            update(t.contact_phone).where(phone).values(dead_since=now, dead_reason="confirmed")
        )


async def unwanted(floor: Floor, lead: Any, now: datetime) -> None:
    await add(floor, t.do_not_call, kind="number", mark=lead.e164, source="api")


async def unwanted_prefix(floor: Floor, lead: Any, now: datetime) -> None:
    await add(floor, t.do_not_call, kind="prefix", mark=f"{lead.e164[:-1]}*", source="operator")


async def unwanted_later(floor: Floor, lead: Any, now: datetime) -> None:
    await add(floor, t.do_not_call, kind="number", mark=lead.e164, source="api", valid_from=now + DAY)


async def unwanted_elsewhere(floor: Floor, lead: Any, now: datetime) -> None:
    async with floor.database.tenant(TENANT) as conn:
        other = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=TENANT, name=f"Лето {lead.id}", policy="own")
            .returning(t.campaign.c.id)
        )
    await add(floor, t.do_not_call, kind="number", mark=lead.e164, source="api", campaign_id=other)


async def retry(floor: Floor, lead: Any, now: datetime) -> None:
    await change(floor, lead.id, status="waiting", hold="retry", open_from=now + HOUR, last_result="busy")


async def retry_over(floor: Floor, lead: Any, now: datetime) -> None:
    await change(floor, lead.id, status="waiting", hold="retry", open_from=now - HOUR, last_result="busy")


async def callback(floor: Floor, lead: Any, now: datetime) -> None:
    await change(floor, lead.id, status="waiting", hold="callback", open_from=now + HOUR)


async def _promised(floor: Floor, lead: Any, **values: Any) -> None:
    await change(floor, lead.id, status="waiting", hold="callback", open_from=values["due_at"])
    due = {"from_at": values["due_at"], "zone": "Europe/Moscow", "away": "anyone"}
    whose = {"campaign_id": floor.campaign_id, "lead_id": lead.id, "contact_id": lead.contact_id}
    await add(floor, t.callback, **whose, **due, **values)


async def promised_later(floor: Floor, lead: Any, now: datetime) -> None:
    await _promised(floor, lead, due_at=now + HOUR, open_at=now + HOUR)


async def promised_now(floor: Floor, lead: Any, now: datetime) -> None:
    await _promised(floor, lead, due_at=now - HOUR, open_at=now - HOUR)


async def promised_by_one(floor: Floor, lead: Any, now: datetime) -> None:
    """Who is not there; in an hour anybody may call."""
    agent = await floor.seat(None)
    await _promised(floor, lead, due_at=now - HOUR, open_at=now + HOUR, agent_id=agent.agent_id)


async def later(floor: Floor, lead: Any, now: datetime) -> None:
    await change(floor, lead.id, open_from=now + HOUR)


async def rests_for_hours(floor: Floor, lead: Any, now: datetime) -> None:
    """Of rules that were changed since: it is open now."""
    await change(floor, lead.id, hold="hours", open_from=now + HOUR)


async def window_over(floor: Floor, lead: Any, now: datetime) -> None:
    await change(floor, lead.id, open_until=now - HOUR)


async def no_zone(floor: Floor, lead: Any, now: datetime) -> None:
    await change(floor, lead.id, timezones=[])


async def odd_zone(floor: Floor, lead: Any, now: datetime) -> None:
    await change(floor, lead.id, timezones=["Mars/Base"])


async def _tried(floor: Floor, lead: Any, at: datetime, result: str) -> None:
    await add(
        floor,
        t.attempt,
        id=new_id(),
        campaign_id=floor.campaign_id,
        list_id=floor.list_id,
        lead_id=lead.id,
        contact_id=lead.contact_id,
        e164=lead.e164,
        trunk_id=floor.trunk_id,
        caller_id="+74950000000",
        mode="progressive",
        policy="own/1",
        state="ended",
        result=result,
        created_at=at,
        ended_at=at,
    )


async def tried_twice(floor: Floor, lead: Any, now: datetime) -> None:
    for hours in (2, 5):
        await _tried(floor, lead, now - hours * HOUR, "no_answer")


async def tried_long_ago(floor: Floor, lead: Any, now: datetime) -> None:
    for hours in (2, 25, 26):
        await _tried(floor, lead, now - hours * HOUR, "no_answer")


async def abandoned(floor: Floor, lead: Any, now: datetime) -> None:
    await _tried(floor, lead, now - 30 * HOUR, "abandoned")


async def full_quota(floor: Floor, lead: Any, now: datetime) -> None:
    async with floor.database.tenant(TENANT) as conn:
        who = t.contact.c.id == lead.contact_id
        await conn.execute(update(t.contact).where(who).values(custom={"city": f"C{lead.id}"}))
    await add(
        floor,
        t.campaign_quota,
        campaign_id=floor.campaign_id,
        field="city",
        value=f"c{lead.id}",
        wanted=1,
        reached=1,
        counts=["sale"],
    )


async def bad_hours(floor: Floor, lead: Any, now: datetime) -> None:
    """The phone's own: the person is called in an hour that is not now."""
    here = now + 3 * HOUR  # in Moscow
    opens, closes = (f"{(here + hours * HOUR):%H}:00" for hours in (3, 4))
    async with floor.database.tenant(TENANT) as conn:
        phone = (t.contact_phone.c.contact_id == lead.contact_id) & (t.contact_phone.c.e164 == lead.e164)
        await conn.execute(update(t.contact_phone).where(phone).values(good_from=opens, good_until=closes))


async def abroad(floor: Floor, lead: Any, now: datetime) -> None:
    await change(floor, lead.id, e164=f"+4930{lead.id:07}")


async def nothing(floor: Floor, lead: Any, now: datetime) -> None:
    pass


Doing = Callable[[Floor, Any, datetime], Awaitable[None]]
#: What is done -> (step, reason) of the first that stops; None: it is dialled.
STOPS: dict[Doing, tuple[str, str] | None] = {
    nothing: None,
    closed: (m.LEAD, "sale"),
    dialling: (m.CALL, "in_call"),
    offered: (m.CALL, "offered"),
    busy: (m.CALL, "number_busy"),
    dead: ("number", "dead_number"),
    unwanted: ("do_not_call", "do_not_call"),
    unwanted_prefix: ("do_not_call", "do_not_call"),
    unwanted_later: None,
    unwanted_elsewhere: None,
    retry: (m.WAIT, "retry"),
    retry_over: None,
    callback: (m.WAIT, "callback"),
    promised_later: (m.WAIT, "callback"),
    promised_now: None,
    promised_by_one: (m.WAIT, "callback_own"),
    later: (m.WAIT, "later"),
    rests_for_hours: (m.WINDOW, "rests"),
    window_over: (m.WINDOW, "being_written"),
    no_zone: ("zone", "no_zone"),
    odd_zone: ("zone", "unknown_zone"),
    bad_hours: ("hours", "out_of_hours"),
    tried_twice: ("limits", "attempts_per_day"),
    tried_long_ago: None,
    abandoned: ("redial", "after_abandoned"),
    full_quota: ("quota", "quota_full"),
    abroad: (m.LINES, "prefix"),
}


def of_lead_and_lines(found: Finding) -> tuple[str, str] | None:
    """The first that stops, whoever is there to talk."""
    stops = (one for one in found.answers if one.stops and one.step not in (m.SERVER, m.AGENTS))
    first = next(stops, None)
    return (first.step, first.reason) if first else None


async def engine(floor: Floor) -> None:
    """An engine that says it lives and has its Asterisk."""
    async with floor.database.system() as conn:
        now = utc_now()
        status = {"asterisk": True}
        row = {"server": "main", "name": "engine", "started_at": now, "seen_at": now, "status": status}
        columns = t.process_status.c.keys()
        await conn.execute(insert(t.process_status).values({k: v for k, v in row.items() if k in columns}))
