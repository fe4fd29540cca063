"""A queue that is used does not go, nor change its name, unnoticed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select, update
from support.arrivals import NUMBER, arrived, published
from support.floor import TENANT, Floor
from support.flow_pages import BOSS, document
from support.web import Web, serving

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.inbound import callers
from dialer.inbound.service import InboundService
from dialer.inbound.uses import led_to_queue
from dialer.queues import http as queues_http
from dialer.queues import places, stays, store
from dialer.queues.places import NewPlace
from dialer.queues.service import QueueService

#: That of the flow of `support.flow_pages`.
NAME = "продажи"


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await Floor.open(database)


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The routes of queues; what leads to a queue is looked up."""
    services: dict[Any, Any] = {queues_http.QUEUES: QueueService(database, led_to_queue)}
    async with serving(database, database_url, tables=[queues_http.routes], services=services) as running:
        yield running


async def test_each_who_uses_a_queue_is_told(floor: Floor, site: Web) -> None:
    """Flows, numbers, agents who serve it alone, callers who wait, kept places; when it is meant all the same
    it goes, and none of them stands in the way."""
    boss = await site.program(Role.SUPERVISOR)
    queue_id = (await boss.call("POST", "~/queues", {"name": NAME, "skill": "sales"})).json["id"]
    called = await published(floor)
    inbound = InboundService(floor.database)
    await inbound.publish(BOSS, "ivr", (await inbound.write(BOSS, document("ivr"))).version, "live")
    seat = await floor.seat(skills=["sales"])
    waits, keeps = await arrived(floor, called), await arrived(floor, called)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.inbound_number).values(queue=NAME))
        agent = await conn.scalar(select(t.agent.c.name).where(t.agent.c.id == seat.agent_id))
        about: dict[str, Any] = {"queue_id": queue_id, "queue": NAME, "priority": 5, "at": utc_now()}
        await stays.enter(conn, TENANT, waits.attempt_id, **about)
        who = await callers.find(conn, TENANT, NUMBER)
        queue = (await store.queues(conn, TENANT))[queue_id]
        place = NewPlace(
            keeps.attempt_id, queue, floor.campaign_id, who.contact_id, NUMBER.e164, (), utc_now(), 5, {}
        )
        await places.keep(conn, TENANT, place, utc_now())

    path = f"~/queues/{queue_id}"
    refused = await boss.call("DELETE", path)
    found = {name: refused.json[name] for name in ("flows", "numbers", "agents", "waiting", "kept")}
    assert (refused.status, refused.json["type"]) == (409, "/problems/queue-in-use")
    assert found == {
        "flows": ["ivr"], "numbers": [called.number], "agents": [agent], "waiting": 1, "kept": 1,
    }  # fmt: skip
    for said in ("ivr", called.number, str(agent), "callers who wait now: 1", "kept places: 1"):
        assert said in refused.json["detail"]
    assert (await boss.call("DELETE", f"{path}?even_if_used=true")).status == 204
    assert (await boss.call("GET", path)).status == 404


async def test_agents_whose_skill_another_queue_asks_for_are_not_in_the_way(floor: Floor, site: Web) -> None:
    """Nor are those of a queue that asks for none."""
    boss = await site.program(Role.SUPERVISOR)
    await floor.seat(skills=["sales"])
    paths = []
    for body in ({"name": "a", "skill": "sales"}, {"name": "b", "skill": "sales"}, {"name": "c"}):
        paths.append(f"~/queues/{(await boss.call('POST', '~/queues', body)).json['id']}")
    assert [(await boss.call("DELETE", path)).status for path in paths] == [204, 409, 204]


async def test_another_name_is_told_of_who_goes_by_the_old_one(floor: Floor, site: Web) -> None:
    """Anything else may change; a name that nothing leads to, too."""
    boss = await site.program(Role.SUPERVISOR)
    queue_id = (await boss.call("POST", "~/queues", {"name": "a"})).json["id"]
    path = f"~/queues/{queue_id}"
    assert (await boss.call("PATCH", path, {"name": "b"})).status == 200
    await published(floor)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.inbound_number).values(queue="b"))
    assert (await boss.call("PATCH", path, {"name": "b", "priority": 7})).status == 200
    refused = await boss.call("PATCH", path, {"name": "c"})
    assert (refused.status, refused.json["numbers"]) == (409, ["74957770101"])
    assert (await boss.call("GET", path)).json["name"] == "b"
    assert (await boss.call("PATCH", f"{path}?even_if_used=true", {"name": "c"})).json["name"] == "c"
