"""Agents of a showcase at whatever a desk may show, each a person with a user of their own."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from dialer.agents.messages_http import MESSAGES
from dialer.agents.service import AgentService
from dialer.calls.model import Assignee, Stage, Third
from dialer.calls.thirds import words_of
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Role
from dialer.ids import new_id
from support.came import came_in
from support.showcase import SERVER, Showcase
from support.stage import TENANT, add_person

#: What further agents are at, and their names in Russian and English.
SEATS = (
    ("offline", "Фролова Нина", "Frolova Nina"),
    ("card", "Дроздов Илья", "Drozdov Ilya"),
    ("consultation", "Жукова Алла", "Zhukova Alla"),
    ("conference", "Носов Глеб", "Nosov Gleb"),
    ("asked", "Панина Лидия", "Panina Lidia"),
    ("incoming", "Рябов Денис", "Ryabov Denis"),
    ("preview", "Сомова Вера", "Somova Vera"),
    ("lost", "Титов Роман", "Titov Roman"),
)


async def seat_agents(made: Showcase) -> None:
    """The stage's six, and who is at what they are not."""
    stage, users = made.stage, made.web.users
    for what, n in (("waiting", 0), ("talk", 1), ("hold", 2), ("wrap_up", 3), ("paused", 4)):
        made.people[what] = await users.get(SERVER, stage.users[n])
    made.people["newcomer"] = await made.person(
        "newcomer", made.say("Ершова Яна", "Ershova Yana"), Role.OPERATOR
    )
    seats = {what: await _seat(made, what, made.say(*names)) for what, *names in SEATS}
    await _talks(made, seats)
    await stage.assign(seats["card"])
    await _incoming(made, seats["incoming"])
    await _preview(made, seats["preview"])
    await stage.put(seats["lost"], "lost")
    told = made.say(
        "Коллеги, с 17:00 цена на Kia новая.", "From 5 p.m. on the price of the Kia is a new one."
    )
    await made.web.app[MESSAGES].send(made.boss, stage.agents[1], told)


async def _seat(made: Showcase, what: str, name: str) -> int:
    """One more agent; the id."""
    user = await made.person(what, name, Role.OPERATOR)
    made.people[what] = user
    service = AgentService(made.web.database, managed=True)
    skill = made.stage.cast.skill
    endpoint = f"agent-{len(made.stage.agents) + len(made.people)}"
    agent = await service.create(SERVER, user_id=user.id, name=name, endpoint=endpoint, skills=[skill])
    if what != "offline":
        now, session_id = utc_now(), new_id()
        made.stage.shifts[agent.agent.id] = session_id
        async with made.stage.database.tenant(TENANT) as conn:
            shift = {
                "id": session_id, "agent_id": agent.agent.id, "state": "ready", "state_since": now,
                "idle_since": now, "leg": new_id(), "logged_in_at": now - timedelta(hours=2),
            }  # fmt: skip
            await conn.execute(insert(t.agent_session).values(tenant_id=TENANT, **shift))
    return agent.agent.id


async def _talk(made: Showcase, agent_id: int, **more: Any) -> UUID:
    """The agent talks with a customer."""
    stage = made.stage
    call = await stage.assign(agent_id)
    await stage.put(agent_id, "talking", call)
    now = utc_now()
    talk = {"state": "connected", "connected_at": now - timedelta(seconds=75), "result": "answered"}
    await stage.change(call, agent_id, **talk, **more)
    return call


async def _talks(made: Showcase, seats: dict[str, int]) -> None:
    """On hold, done, with a third party asked or joined, and of who is asked."""
    stage, now = made.stage, utc_now()
    held, done = stage.agents[2], stage.agents[3]
    async with stage.database.tenant(TENANT) as conn:
        s = t.agent_session.c
        call = await conn.scalar(select(s.attempt_id).where(s.id == stage.shifts[held]))
    assert call is not None
    await stage.change(call, held, held_at=now - timedelta(seconds=20), muted=True)
    call = await _talk(made, done)
    await stage.put(done, "wrap_up", call)
    await stage.change(call, done, state="wrap_up", hung_up_at=now, hung_up_by="customer")
    name = made.say("Склад", "Warehouse")
    for what, stage_of in (("consultation", Stage.TALKING), ("conference", Stage.JOINED)):
        third = Third(new_id(), name, now - timedelta(seconds=15), stage_of)
        on_hold = {"held_at": now - timedelta(seconds=20)} if stage_of is Stage.TALKING else {}
        await _talk(made, seats[what], third=words_of(third), **on_hold)
    me = seats["asked"]
    asked = Third(
        new_id(), made.people["asked"].name, now, Stage.TALKING, Assignee(stage.shifts[me], me, new_id())
    )
    await _talk(made, me, third=words_of(asked), held_at=now)


async def _incoming(made: Showcase, agent_id: int) -> None:
    """A caller who has come by the flow and waited."""
    stage, now = made.stage, utc_now()
    met = now - timedelta(seconds=20)
    async with stage.database.tenant(TENANT) as conn:
        a = t.attempt.c
        people = select(a.contact_id).where(a.disposition_note != "").limit(1)
        call = await came_in(
            conn, stage.campaign_id, now - timedelta(seconds=60), contact_id=await conn.scalar(people),
            result=None, state="connected", ended_at=None, collected={"reason": "sales"}, agent_id=agent_id,
            session_id=stage.shifts[agent_id], queue=made.say("Продажи", "Sales"), assigned_at=met,
            queued_at=now - timedelta(seconds=50), connected_at=met,
        )  # fmt: skip
        for n, state in enumerate(("hours", "customer", "hello_known", "departments", "sales")):
            step = {"call_id": call, "n": n, "flow": "reception", "state": state, "at": now}
            await conn.execute(insert(t.flow_step).values(tenant_id=TENANT, **step))
    await stage.put(agent_id, "talking", call)


async def _preview(made: Showcase, agent_id: int) -> None:
    """A lead that the agent calls or passes by."""
    stage = made.stage
    async with stage.database.tenant(TENANT) as conn:
        _, lead_id, _ = await add_person(
            conn, stage.list_id, stage.campaign_id, random.Random(3), cast=stage.cast,
            lead={"status": "offered"},
        )  # fmt: skip
        mine = t.agent_session.c.id == stage.shifts[agent_id]
        await conn.execute(update(t.agent_session).where(mine).values(lead_id=lead_id))
    await stage.put(agent_id, "reserved")
