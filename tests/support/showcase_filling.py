"""How a showcase is filled: what `support.stage` sets, and some of all else."""

from __future__ import annotations

import random
from datetime import timedelta

from sqlalchemy import insert, update

from dialer.boards.alerting import Kind
from dialer.boards.alerts import AlertService, AlertWatch
from dialer.campaigns.fields import CampaignIn
from dialer.campaigns.service import CampaignService
from dialer.clock import utc_now
from dialer.contacts.fields_service import FieldService
from dialer.db import tables as t
from dialer.httpkit.access import Role
from dialer.trunks.fields import TrunkIn
from dialer.trunks.service import TrunkService
from support.showcase import CASTS, SERVER, Showcase
from support.showcase_calls import show_calls
from support.showcase_customers import show_customers
from support.showcase_desk import seat_agents
from support.showcase_set_up import show_set_up
from support.stage import TENANT, set_stage
from support.web import Web

#: What the last decisions of the campaign's pace went by.
INPUTS = {
    "ready": 2, "agents": 12, "in_air": 9, "expected_answers": 2.4, "price": 0.041, "allowed": 0.06,
    "answer_probability": 0.46, "live": 96, "abandoned": 1, "limit": 0.03,
}  # fmt: skip


async def open_showcase(web: Web, locale: str) -> Showcase:
    """Fill the empty tenant of a web process, whose data folder is this centre's own."""
    await FieldService(web.database).add_template(SERVER, "cars")
    stage = await set_stage(web, calls=160, leads=40, cast=CASTS[locale])
    made = Showcase(stage, locale)
    for user_id, name in zip(stage.users, stage.cast.agents, strict=True):
        await web.users.change(SERVER, user_id, name=name, locale=locale)
    made.people["boss"] = await made.person(
        "orlova", made.say("Орлова Вера", "Orlova Vera"), Role.ADMINISTRATOR
    )
    await made.person("zaitsev", made.say("Зайцев Олег", "Zaitsev Oleg"), Role.SUPERVISOR)
    await made.person("listener", made.say("Тихонова Ирина", "Tikhonova Irina"), Role.QUALITY)
    made.names |= {"campaign_id": stage.campaign_id, "list_id": stage.list_id, "version": 1}
    await show_set_up(made)
    await show_customers(made)
    await show_calls(made)
    await seat_agents(made)
    await _campaigns(made)
    await _pace(made)
    await _alerts(made)
    return made


async def _campaigns(made: Showcase) -> None:
    """The campaign is predictive and has a script; there are others."""
    stage, service = made.stage, CampaignService(made.web.database)
    for name, mode, status in (
        (made.say("Возврат клиентов", "Customers to win back"), "preview", "paused"),
        (made.say("Опрос после сервиса", "Survey after a service"), "flow", "draft"),
    ):
        trunks = [stage.trunk_id]
        more = {"flow": "survey", "flow_lines": 4} if mode == "flow" else {}
        view = await service.create(
            SERVER,
            CampaignIn.model_validate(
                {"name": name, "policy": "ru-service", "mode": mode, "trunks": trunks,
                 "caller_name": stage.cast.caller_name, "abandon_message": stage.cast.abandon_message, **more}
            ),
        )  # fmt: skip
        began = {"started_at": utc_now() - timedelta(days=2)} if status == "paused" else {}
        async with stage.database.tenant(TENANT) as conn:
            c = t.campaign.c
            await conn.execute(
                update(t.campaign).where(c.id == view.campaign.id).values(status=status, **began)
            )
    async with stage.database.tenant(TENANT) as conn:
        mine = t.campaign.c.id == stage.campaign_id
        await conn.execute(
            update(t.campaign).where(mine).values(mode="predictive", script="visit", abandon_target=0.03)
        )


async def _pace(made: Showcase) -> None:
    """The decisions of the last quarter of an hour."""
    dice, now = random.Random(5), utc_now()
    ticks = []
    for n in range(180):
        price = 0.03 + 0.04 * dice.random()
        why = "price_over" if price > 0.06 else "within_budget"
        inputs = INPUTS | {
            "price": round(price, 3), "ready": dice.randint(0, 4), "in_air": dice.randint(5, 13),
            "answer_probability": round(0.4 + 0.1 * dice.random(), 2),
        }  # fmt: skip
        ticks.append(
            {
                "tenant_id": TENANT, "campaign_id": made.stage.campaign_id, "why": why, "inputs": inputs,
                "at": now - timedelta(seconds=900 - 5 * n),
                "dial": 0 if why == "price_over" else dice.randint(0, 3),
            }
        )  # fmt: skip
    async with made.stage.database.tenant(TENANT) as conn:
        await conn.execute(t.pacing_tick.delete())
        await conn.execute(insert(t.pacing_tick), ticks)


async def _alerts(made: Showcase) -> None:
    """Three rules; a trunk that is there in case fails, of which one of them tells."""
    database, stage = made.web.database, made.stage
    name = made.say("Резерв", "Reserve")
    trunk = await TrunkService(database).create(
        SERVER,
        TrunkIn(
            name=name, caller_id="+74951230001", allowed_prefixes=["+7"], sip_host="127.0.0.1", sip_port=5071
        ),
    )
    alerts = AlertService(database)
    await alerts.add(SERVER, Kind.TRUNK_BAD, 0.0)
    await alerts.add(SERVER, Kind.ABANDON_SHARE, 0.8, campaign_id=stage.campaign_id)
    await alerts.add(SERVER, Kind.WAIT, 60.0, queue_id=made.names["queue_id"])
    watch = AlertWatch(database)
    await watch.round()
    now = utc_now()
    loads = (
        {"trunk_id": stage.trunk_id, "channels": 6, "health": "good"},
        {
            "trunk_id": trunk["id"], "channels": 0, "health": "bad", "health_why": "503",
            "health_since": now - timedelta(minutes=7),
        },
    )  # fmt: skip
    async with database.tenant(TENANT) as conn:
        for load in loads:
            await conn.execute(insert(t.trunk_load).values(tenant_id=TENANT, **load))
    await watch.round()
