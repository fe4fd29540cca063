"""Surveys after talks in the database: which flows fit, what customers have said, who reads it, erasure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from support.arrivals import BOSS, arrived, published
from support.floor import TENANT, Floor, Seat, seated
from support.web import Web, second_tenant, serving

from dialer.calls.model import WrapUpOver
from dialer.campaigns.http import CAMPAIGNS
from dialer.campaigns.http import routes as campaign_routes
from dialer.campaigns.service import CampaignService
from dialer.clock import utc_now
from dialer.contacts.erasure import ErasureService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import BadFlow
from dialer.httpkit.access import Role
from dialer.inbound.service import InboundService
from dialer.queues.http import QUEUES
from dialer.queues.http import routes as queue_routes
from dialer.queues.service import QueueService
from dialer.surveys import http, store
from dialer.surveys.service import SurveyService
from ivr_flows import shipped

ENQUEUE = {
    "name": "rating",
    "language": "en",
    "initial_state": "more",
    "states": [
        {
            "name": "more",
            "type": "enqueue",
            "properties": {"queue": "Autumn"},
            "transitions": {"default": "end"},
        },
        {"name": "end", "type": "hangup"},
    ],
}


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application; no engine."""
    services: dict[Any, Any] = {
        http.SURVEYS: SurveyService(database),
        CAMPAIGNS: CampaignService(database),
        QUEUES: QueueService(database),
    }
    tables = [http.routes, campaign_routes, queue_routes]
    async with serving(database, database_url, tables=tables, services=services) as running:
        yield running


async def publish(database: Database, document: Mapping[str, Any] | str) -> None:
    """A flow, live."""
    service = InboundService(database)
    made = await service.write(BOSS, document)
    await service.publish(BOSS, made.flow, made.version, "live")


async def say(floor: Floor, call_id: UUID, seat: Seat, finished: bool = True, **answers: str) -> None:
    """A customer goes through the survey, as the engine writes it."""
    async with floor.database.tenant(TENANT) as conn:
        await store.begin(conn, TENANT, call_id, seat.agent_id, "rating", 1, utc_now())
        for name, answer in answers.items():
            await store.answered(conn, TENANT, call_id, {f"rating.{name}": answer})
        if finished:
            await store.finished(conn, TENANT, call_id)


async def test_a_campaign_and_a_queue_name_a_flow_that_speaks_and_asks(floor: Floor, site: Web) -> None:
    """One that is not there, is not published or leads to an agent is refused where it is named; a version
    that leads there is not published while the flow is named."""
    admin, name = await site.program(Role.ADMINISTRATOR), {"name": "Autumn", "survey": "rating"}
    for path, what in (("~/campaigns", name), ("~/queues", name)):
        refused = await admin.call("POST", path, what)
        assert (refused.status, refused.json["field"]) == (422, "survey"), refused.text
    await publish(floor.database, shipped.text("rating", "en"))
    for path in ("~/campaigns", "~/queues"):
        made = await admin.call("POST", path, name)
        assert (made.status, made.json["survey"]) == (201, "rating"), made.text
        one = f"{path}/{made.json['id']}"
        assert (await admin.call("PATCH", one, {"survey": None})).json["survey"] is None
        assert (await admin.call("PATCH", one, {"survey": "none"})).status == 422
        assert (await admin.call("PATCH", one, {"survey": "rating"})).json["survey"] == "rating"
    with pytest.raises(BadFlow) as refused_flow:
        await publish(floor.database, ENQUEUE)
    assert [one.code for one in refused_flow.value.problems] == ["not_after_talk"]
    await publish(floor.database, ENQUEUE | {"name": "other"})
    unfit = await admin.call("PATCH", one, {"survey": "other"})
    assert (unfit.status, unfit.json["field"]) == (422, "survey")
    assert "more" in unfit.text
    assert await SurveyService(floor.database).choices(BOSS) == ["rating"]


async def test_what_customers_have_said_is_read_by_who_reads_scores(
    floor: Floor, site: Web, owner_url: str
) -> None:
    """By call and as a list, by pages and filters; not by the agent, and by no other tenant."""
    agent, seat = await seated(site, floor)
    calls = [(await floor.hang_up(await floor.talk(seat))).attempt_id for _ in range(3)]
    came = (await arrived(floor, await published(floor))).attempt_id
    await say(floor, calls[0], seat, agent="5", settled="yes")
    await say(floor, calls[1], seat, finished=False, agent="2")
    await say(floor, came, seat)
    quality = await site.program(Role.QUALITY)
    one = await quality.call("GET", f"~/calls/{calls[0]}/survey")
    assert one.json["answers"] == {"rating.agent": "5", "rating.settled": "yes"}
    assert (one.json["finished"], one.json["agent_id"], one.json["flow"]) == (True, seat.agent_id, "rating")
    assert (await quality.call("GET", f"~/calls/{calls[2]}/survey")).status == 404
    first = (await quality.call("GET", "~/surveys?limit=2")).json
    rest = (await quality.call("GET", f"~/surveys?limit=2&cursor={first['next']}")).json
    order = [each["call_id"] for each in (*first["items"], *rest["items"])]
    assert order == [str(came), str(calls[1]), str(calls[0])]
    later = (utc_now() + timedelta(days=1)).isoformat().replace("+", "%2B")
    for query, count in (
        (f"agent={seat.agent_id}", 3), ("agent=999", 0), (f"campaign={floor.campaign_id}", 3),
        ("campaign=999", 0), ("flow=rating", 3), ("flow=other", 0), (f"from={later}", 0),
        (f"until={later}", 3),
    ):  # fmt: skip
        found = (await quality.call("GET", f"~/surveys?{query}")).json
        assert len(found["items"]) == count, query
    paths = (f"~/calls/{calls[0]}/survey", "~/surveys", "~/surveys/figures")
    assert [(await agent.call("GET", path)).status for path in paths] == [403, 403, 403]
    stranger = await site.program(Role.SUPERVISOR, tenant_id=await second_tenant(owner_url))
    assert (await stranger.call("GET", paths[0])).status == 404
    assert (await stranger.call("GET", paths[1])).json["items"] == []
    assert (await stranger.call("GET", paths[2])).json == []


async def test_figures_of_agents(floor: Floor, site: Web) -> None:
    """How many were asked, have answered, went to the end; of a scale the mean, of words how many said
    which."""
    first, second = await floor.seat(), await floor.seat()
    said = [
        (first, True, {"agent": "5", "settled": "yes"}),
        (first, True, {"agent": "5", "settled": "no"}),
        (first, False, {"agent": "2"}),
        (first, True, {}),
        (second, True, {"agent": "3", "settled": "yes"}),
    ]
    for seat, finished, answers in said:
        call = await floor.hang_up(await floor.talk(await floor.seat()))
        await say(floor, call.attempt_id, seat, finished, **answers)
    boss = await site.program(Role.SUPERVISOR)
    found = {each["agent_id"]: each for each in (await boss.call("GET", "~/surveys/figures")).json}
    of_first = found[first.agent_id]
    assert [of_first[name] for name in ("surveys", "answered", "finished")] == [4, 3, 3]
    assert of_first["questions"] == {
        "rating.agent": {"customers": 3, "mean": 4.0, "given": {"5": 2, "2": 1}},
        "rating.settled": {"customers": 2, "mean": None, "given": {"no": 1, "yes": 1}},
    }
    assert found[second.agent_id]["questions"]["rating.agent"]["mean"] == 3.0
    only = (await boss.call("GET", f"~/surveys/figures?agent={second.agent_id}")).json
    assert [each["agent_id"] for each in only] == [second.agent_id]


async def test_an_erased_person_has_said_nothing(floor: Floor, tmp_path: Path) -> None:
    """That they were asked stays, for the figures; their answers go."""
    seat = await floor.seat()
    call = await floor.hang_up(await floor.talk(seat, (await floor.leads(1))[0]))
    await floor.signals(call, WrapUpOver(utc_now()))
    await say(floor, call.attempt_id, seat, agent="1")
    async with floor.database.tenant(TENANT) as conn:
        contact_id = await conn.scalar(select(t.attempt.c.contact_id))
    assert contact_id is not None
    await ErasureService(floor.database, tmp_path).erase(BOSS, contact_id, never_again=False)
    async with floor.database.tenant(TENANT) as conn:
        (row,) = await conn.execute(select(t.talk_survey))
    assert (row.call_id, row.answers, row.finished) == (call.attempt_id, {}, True)
