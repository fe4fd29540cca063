"""Queues as people set them up, and the agents who can serve them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from support.floor import TENANT, Floor
from support.web import Web, serving

from dialer.agents import http as agents_http
from dialer.agents.model import USUAL_LEVEL, AgentState
from dialer.agents.service import AgentService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Conflict, Forbidden, Invalid, NotFound
from dialer.httpkit.access import Actor, Role
from dialer.queues import http as queues_http
from dialer.queues import store
from dialer.queues.fields import QueueEdit, QueueIn
from dialer.queues.model import Announce, Overflow, Queue, Rule
from dialer.queues.service import QueueService

SUPERVISOR = Actor(TENANT, None, Role.SUPERVISOR, "Supervisor", "en")
OPERATOR = Actor(TENANT, None, Role.OPERATOR, "Operator", "en")


@pytest.fixture
def queues(database: Database) -> QueueService:
    return QueueService(database)


@pytest.fixture
async def centre(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The web process with the routes of queues and agents."""
    services: dict[web.AppKey[Any], Any] = {
        queues_http.QUEUES: QueueService(database),
        agents_http.AGENTS: AgentService(database, managed=True),
    }
    routes = [queues_http.routes, agents_http.routes]
    async with serving(database, database_url, tables=routes, services=services) as running:
        yield running


async def test_a_queue_is_read_as_it_was_made(queues: QueueService, database: Database) -> None:
    """Every setting reaches the value that the rules go by."""
    wanted = QueueIn(
        name="Продажи",
        skill="sales",
        least_level=6,
        relax_every_s=30,
        lowest_level=2,
        rule=Rule.HIGHEST_LEVEL,
        priority=8,
        last_agent_s=15,
        max_wait_s=300,
        max_waiting=20,
        needs_agents=True,
        overflow=Overflow.VOICEMAIL,
        music="jazz",
        announce_first_s=10,
        announce_every_s=None,
        announce_position=False,
        announce_wait=False,
        announce_most_position=5,
        offer_callback_s=45,
        offer_callback_key="#",
        short_abandon_s=3,
        target_share=0.9,
        target_s=15,
        wrap_up_s=40,
    )
    made = await queues.create(SUPERVISOR, wanted)
    async with database.tenant(TENANT) as conn:
        kept = await store.queues(conn, TENANT)
    queue_id = made.fields["id"]
    assert kept == {
        queue_id: Queue(
            id=queue_id,
            name="Продажи",
            skill="sales",
            least_level=6,
            relax_every_s=30,
            lowest_level=2,
            rule=Rule.HIGHEST_LEVEL,
            priority=8,
            last_agent_s=15,
            max_wait_s=300,
            max_waiting=20,
            needs_agents=True,
            overflow=Overflow.VOICEMAIL,
            announce=Announce(
                first_after_s=10,
                every_s=None,
                position=False,
                wait=False,
                most_position=5,
                offer_callback_after_s=45,
                offer_callback_key="#",
            ),
            short_abandon_s=3,
            target_share=0.9,
            target_s=15,
            music="jazz",
            wrap_up_s=40,
        )
    }


async def test_the_usual_values_are_the_same_everywhere(queues: QueueService, database: Database) -> None:
    """A queue of which only the name is said is that of the rules' own defaults, by the API and by a bare
    row."""
    made = await queues.create(SUPERVISOR, QueueIn(name="one"))
    async with database.tenant(TENANT) as conn:
        await conn.execute(t.queue.insert().values(tenant_id=TENANT, name="two"))
        kept = await store.queues(conn, TENANT)
    assert kept[made.fields["id"]] == Queue(made.fields["id"], "one")
    assert [one for one in kept.values() if one.name == "two"] == [
        Queue(id_, "two") for id_, one in kept.items() if one.name == "two"
    ]


async def test_a_change_leaves_the_rest(queues: QueueService, database: Database) -> None:
    """What is not named stays; the log says which fields were changed; nothing changed is no change."""
    made = await queues.create(SUPERVISOR, QueueIn(name="sales", max_wait_s=60, skill="sales"))
    queue_id = made.fields["id"]
    edited = await queues.edit(SUPERVISOR, queue_id, QueueEdit(max_wait_s=None, priority=7))
    assert dict(edited.fields) == dict(made.fields) | {"max_wait_s": None, "priority": 7}
    await queues.edit(SUPERVISOR, queue_id, QueueEdit(priority=7))
    async with database.tenant(TENANT) as conn:
        log = await conn.execute(
            select(t.audit.c.action, t.audit.c.details)
            .where(t.audit.c.subject == f"queue:{queue_id}")
            .order_by(t.audit.c.id)
        )
        told = await conn.scalars(select(t.event.c.kind).where(t.event.c.kind == "queue.changed"))
    actions = log.all()
    assert [row.action for row in actions] == ["queue.create", "queue.edit"]
    assert actions[1].details == {"fields": ["max_wait_s", "priority"]}
    assert len(told.all()) == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"priority": 10}, "priority"),
        ({"least_level": 0}, "least_level"),
        ({"lowest_level": 9}, ""),
        ({"overflow": "queue"}, ""),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"music": "a b"}, "music"),
        ({"target_share": 1.1}, "target_share"),
        ({"offer_callback_key": "12"}, "offer_callback_key"),
        ({"offer_callback_key": ""}, "offer_callback_key"),
    ],
)
async def test_a_change_has_the_bounds_of_a_new_queue(
    queues: QueueService, changes: dict[str, Any], field: str
) -> None:
    """Nothing gets in by a change that would be refused at first."""
    made = await queues.create(SUPERVISOR, QueueIn(name="sales"))
    with pytest.raises(Invalid) as refused:
        await queues.edit(SUPERVISOR, made.fields["id"], QueueEdit.model_validate(changes))
    found = refused.value.details["errors"]
    assert isinstance(found, list)
    assert [one["field"] for one in found] == [field or "body"]


async def test_queues_overflow_into_queues_that_are_there(queues: QueueService) -> None:
    """Another one of the tenant, not itself; a queue that others go to is not removed, until they do not."""
    first = (await queues.create(SUPERVISOR, QueueIn(name="first"))).fields["id"]
    into = {"overflow": Overflow.QUEUE, "overflow_queue_id": first}
    second = (await queues.create(SUPERVISOR, QueueIn(name="second", **into))).fields["id"]
    with pytest.raises(Invalid):
        await queues.edit(SUPERVISOR, first, QueueEdit(**into))
    with pytest.raises(Invalid):
        await queues.create(SUPERVISOR, QueueIn(name="third", overflow=Overflow.QUEUE, overflow_queue_id=999))
    with pytest.raises(Conflict, match="second"):
        await queues.delete(SUPERVISOR, first, even_if_used=True)
    back = await queues.edit(SUPERVISOR, second, QueueEdit(overflow=Overflow.FLOW))
    assert (back.fields["overflow"], back.fields["overflow_queue_id"]) == ("flow", None)
    await queues.delete(SUPERVISOR, first)
    assert [view.fields["id"] for view in await queues.queues(SUPERVISOR)] == [second]
    with pytest.raises(NotFound):
        await queues.queue(SUPERVISOR, first)


async def test_names_are_unique_and_operators_set_nothing_up(queues: QueueService) -> None:
    """A second queue of a name is refused; so is an agent who tries."""
    await queues.create(SUPERVISOR, QueueIn(name="sales"))
    with pytest.raises(Conflict):
        await queues.create(SUPERVISOR, QueueIn(name="sales"))
    for asked in (queues.create(OPERATOR, QueueIn(name="mine")), queues.queues(OPERATOR)):
        with pytest.raises(Forbidden):
            await asked


# -- agents and their levels ---------------------------------------------------------------------------------


async def test_a_queue_knows_who_can_serve_it(queues: QueueService, database: Database) -> None:
    """Agents with the skill at the level, at once or when levels are relaxed; who is free, who is at work."""
    floor = await Floor.open(database)
    agents = AgentService(database, managed=True)
    levels = {"high": 8, "usual": None, "low": 2, "none": 1}
    seats = {}
    for name, level in levels.items():
        seat = await floor.seat(AgentState.PAUSED if name == "usual" else AgentState.READY, skills=["sales"])
        seats[name] = seat.agent_id
        if level is not None:
            await agents.change(SUPERVISOR, seat.agent_id, levels={"sales": level})
    await floor.seat(skills=["service"])
    wanted = QueueIn(name="sales", skill="sales", least_level=5, lowest_level=2, relax_every_s=30)
    view = await queues.create(SUPERVISOR, wanted)
    found = {one.agent.id: (one.level, one.at_once) for one in view.members}
    assert found == {
        seats["high"]: (8, True),
        seats["usual"]: (USUAL_LEVEL, True),
        seats["low"]: (2, False),
    }
    assert (view.able, view.at_work, view.free) == (3, 2, 2)
    strict = await queues.edit(SUPERVISOR, view.fields["id"], QueueEdit(relax_every_s=None))
    assert {one.agent.id for one in strict.members} == {seats["high"], seats["usual"]}
    anybody = await queues.create(SUPERVISOR, QueueIn(name="any"))
    assert (anybody.able, {one.level for one in anybody.members}) == (5, {None})


async def test_levels_go_with_skills(database: Database) -> None:
    """A level is of a skill that the agent has: it goes with it, and one that is not named stays."""
    floor = await Floor.open(database)
    agents = AgentService(database, managed=True)
    agent_id = (await floor.seat(skills=["sales", "service"])).agent_id
    await agents.change(SUPERVISOR, agent_id, levels={"sales": 8})
    await agents.change(SUPERVISOR, agent_id, levels={"service": 3})
    agent, _ = await agents.agent(SUPERVISOR, agent_id)
    assert agent.levels == {"sales": 8, "service": 3}
    with pytest.raises(Invalid):
        await agents.change(SUPERVISOR, agent_id, levels={"english": 5})
    await agents.change(SUPERVISOR, agent_id, skills=["sales", "english"], rank=7)
    agent, _ = await agents.agent(SUPERVISOR, agent_id)
    assert (agent.levels, agent.rank) == ({"sales": 8, "english": USUAL_LEVEL}, 7)
    await agents.change(SUPERVISOR, agent_id, rank=6)
    agent, _ = await agents.agent(SUPERVISOR, agent_id)
    assert agent.levels == {"sales": 8, "english": USUAL_LEVEL}


async def test_the_database_keeps_no_level_without_its_skill(database: Database) -> None:
    """Nor does a statement that takes a skill away and forgets the level."""
    floor = await Floor.open(database)
    agent_id = (await floor.seat(skills=["sales"])).agent_id
    await AgentService(database, managed=True).change(SUPERVISOR, agent_id, levels={"sales": 8})
    with pytest.raises(IntegrityError):
        async with database.tenant(TENANT) as conn:
            await conn.execute(update(t.agent).where(t.agent.c.id == agent_id).values(skills=[]))


# -- over HTTP -----------------------------------------------------------------------------------------------


async def test_queues_over_http(centre: Web) -> None:
    """Made, listed, changed, removed; what is wrong is named by its field."""
    boss = await centre.program(Role.SUPERVISOR)
    made = await boss.call("POST", "~/queues", {"name": "sales", "skill": "sales", "max_wait_s": 90})
    assert (made.status, made.json["rule"], made.json["agents_able"]) == (201, "longest_idle", 0)
    path = f"~/queues/{made.json['id']}"
    changed = await boss.call("PATCH", path, {"rule": "least_busy", "announce_first_s": None})
    assert (changed.json["rule"], changed.json["announce_first_s"]) == ("least_busy", None)
    assert (await boss.call("GET", path)).json == changed.json
    assert (await boss.call("GET", "~/queues")).json == [changed.json]
    wrong = await boss.call("PATCH", path, {"priority": 0})
    assert (wrong.status, wrong.json["errors"][0]["field"]) == (422, "priority")
    assert (await boss.call("PATCH", path, {"colour": "red"})).status == 422
    operator = await centre.program(Role.OPERATOR)
    assert (await operator.call("GET", "~/queues")).status == 403
    assert (await boss.call("DELETE", path)).status == 204
    assert (await boss.call("GET", path)).status == 404


async def test_levels_over_http(centre: Web, database: Database) -> None:
    """An agent is made with levels, they are changed one by one and told with every skill."""
    user = await centre.user(Role.OPERATOR)
    boss = await centre.program(Role.SUPERVISOR)
    body = {"user_id": user.id, "name": "A", "endpoint": "agent-a", "skills": ["a", "b"], "levels": {"a": 9}}
    made = await boss.call("POST", "~/agents", body)
    assert (made.status, made.json["levels"]) == (201, {"a": 9, "b": USUAL_LEVEL})
    path = f"~/agents/{made.json['id']}"
    assert (await boss.call("PATCH", path, {"levels": {"b": 2}})).json["levels"] == {"a": 9, "b": 2}
    for wrong in ({"levels": {"c": 5}}, {"levels": {"a": 10}}, {"levels": {"a": 0}}):
        assert (await boss.call("PATCH", path, wrong)).status == 422
    async with database.tenant(TENANT) as conn:
        kept = await conn.scalar(text("SELECT levels FROM agent"))
    assert kept == {"a": 9, "b": 2}
