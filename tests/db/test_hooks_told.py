"""What dialplans have told, read back over the API; and where the hook `route` says that a number leads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update
from support.hooks import ANNA, CHANNEL, NOBODY, TENANT, Hooked, hooked

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.hooks.leads import first_stop
from dialer.httpkit.access import Role
from dialer.ids import new_id
from ivr_flows import shipped
from ivr_flows.model import Ask

NUMBER = "74957770101"
STATES = (
    {
        "name": "hours",
        "type": "schedule",
        "properties": {"week": {"mon-sun": "00:00-24:00"}},
        "transitions": {"open": "hello", "closed": "end", "holiday": "hello"},
    },
    {
        "name": "hello",
        "type": "play",
        "properties": {"sound": "hello-world"},
        "transitions": {"done": "menu"},
    },
    {
        "name": "menu",
        "type": "menu",
        "properties": {"prompt": {"sound": "vm-options"}},
        "transitions": {"1": "sales", "2": "service", "default": "end"},
    },
    {"name": "sales", "type": "enqueue", "properties": {"queue": "sales"}},
    {"name": "service", "type": "enqueue", "properties": {"queue": "service"}},
    {"name": "end", "type": "hangup"},
)


@pytest.fixture
async def hooks(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Hooked]:
    """Hooks over HTTP."""
    async with hooked(database, database_url, tmp_path) as running:
        yield running


async def add(hooks: Hooked, table: Any, **values: Any) -> int:
    """A row; its id."""
    async with hooks.database.tenant(TENANT) as conn:
        made = await conn.scalar(insert(table).values(tenant_id=TENANT, **values).returning(table.c.id))
    assert isinstance(made, int)
    return made


async def number(hooks: Hooked, *names: str) -> None:
    """A number of ours with a flow of these states, of all where none is named, and its two queues."""
    states = [one for one in STATES if not names or one["name"] in names]
    first = states[0]["name"]
    document = {"name": "reception", "language": "en", "initial_state": first, "states": states}
    flow_id = await add(hooks, t.flow, name="reception", live_version=1)
    async with hooks.database.tenant(TENANT) as conn:
        version = {"flow_id": flow_id, "version": 1, "document": document, "state": "live"}
        await conn.execute(insert(t.flow_version).values(tenant_id=TENANT, **version))
    campaign = hooks.place.campaigns[0]
    await add(hooks, t.inbound_number, number=NUMBER, flow_id=flow_id, campaign_id=campaign)
    for name in ("sales", "service"):
        await add(hooks, t.queue, name=name, skill=name)


async def agent(hooks: Hooked, state: str, *skills: str) -> None:
    """An agent with these skills, logged in."""
    user = await hooks.web.user(Role.OPERATOR)
    name = f"agent {user.id}"
    endpoint = f"agent-{user.id}"
    made = await add(
        hooks, t.agent, user_id=user.id, name=name, endpoint=endpoint, sip_ha1="0" * 32, skills=list(skills)
    )
    async with hooks.database.tenant(TENANT) as conn:
        since = dict.fromkeys(("state_since", "idle_since", "logged_in_at"), utc_now())
        values = {"id": new_id(), "agent_id": made, "state": state, **since}
        await conn.execute(insert(t.agent_session).values(tenant_id=TENANT, **values))


def leads(told: Mapping[str, str]) -> tuple[str, ...]:
    """What the hook says of a number or a queue."""
    names = ("CALLED_FLOW", "CALLED_STATE", "CALLED_QUEUE", "AT_WORK", "FREE", "WAITING")
    return tuple(told[f"DOZVON_{name}"] for name in names)


# -- read back ---------------------------------------------------------------------------------------------


async def test_outcomes_are_read_back_by_pages(hooks: Hooked) -> None:
    """The newest first, each once, also of one outcome or of one person only."""
    for n in range(5):
        caller = ANNA if n % 2 else NOBODY
        reply = await hooks.ask(
            "outcome", outcome=f"word{n % 2}", note=f"n{n}", channel=f"c.{n}", caller=caller
        )
        assert reply.status == 200
    reader = await hooks.web.program(Role.SUPERVISOR)
    seen, cursor = list[Any](), ""
    while True:
        page = (await reader.call("GET", f"~/hooks/outcomes?limit=2{cursor}")).json
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert [(one["channel"], one["note"]) for one in seen] == [(f"c.{n}", f"n{n}") for n in (4, 3, 2, 1, 0)]
    of_word = (await reader.call("GET", "~/hooks/outcomes?outcome=word1")).json["items"]
    of_anna = (await reader.call("GET", f"~/hooks/outcomes?contact_id={hooks.anna}")).json["items"]
    assert [one["channel"] for one in of_word] == [one["channel"] for one in of_anna] == ["c.3", "c.1"]
    assert (of_anna[0]["e164"], seen[0]["contact_id"]) == (ANNA, None)


async def test_answers_are_read_back_by_survey_and_question(hooks: Hooked) -> None:
    """Each as it was said last."""
    for survey, question, answer in (("a", "1", "5"), ("a", "2", "4"), ("b", "1", "3"), ("a", "1", "2")):
        reply = await hooks.ask("survey-answer", survey=survey, question=question, answer=answer)
        assert reply.status == 200
    reader = await hooks.web.program(Role.SUPERVISOR)

    async def read(query: str) -> list[tuple[str, str, str]]:
        items = (await reader.call("GET", f"~/hooks/survey-answers?{query}")).json["items"]
        assert {one["channel"] for one in items} == {CHANNEL}
        return [(one["survey"], one["question"], one["answer"]) for one in items]

    assert await read("survey=a") == [("a", "1", "2"), ("a", "2", "4")]
    assert await read("question=1") == [("a", "1", "2"), ("b", "1", "3")]
    assert await read(f"contact_id={hooks.anna}&limit=1") == [("a", "1", "2")]


@pytest.mark.parametrize("path", ["outcomes", "survey-answers"])
async def test_who_may_not_read_calls_reads_none_of_it(hooks: Hooked, path: str) -> None:
    """An agent, and the token of a dialplan itself."""
    operator = await hooks.web.program(Role.OPERATOR)
    for caller in (operator, hooks.program):
        assert (await caller.call("GET", f"~/hooks/{path}")).status == 403
    reader = await hooks.web.program(Role.SUPERVISOR)
    assert (await reader.call("GET", f"~/hooks/{path}?cursor=x")).status == 400


# -- where a number leads ----------------------------------------------------------------------------------


async def test_a_number_of_ours_says_where_it_leads(hooks: Hooked) -> None:
    """To the state in which a key is waited for, and to nobody in particular; agents count once."""
    await number(hooks)
    await agent(hooks, "ready", "sales", "service")
    await agent(hooks, "talking", "service")
    await agent(hooks, "paused", "sales")
    said = (await hooks.ask("route", dialled=f"+{NUMBER}")).json
    assert said["status"] == "OK"
    assert leads(said["variables"]) == ("reception", "menu", "", "2", "1", "0")
    assert said["variables"]["DOZVON_ROUTE"] == "known"


async def test_a_number_that_leads_into_a_queue_names_it(hooks: Hooked) -> None:
    """And counts who is at work there only, and who waits."""
    await number(hooks, "sales")
    await agent(hooks, "wrap_up", "sales")
    await agent(hooks, "ready", "service")
    said = (await hooks.ask("route", dialled=NUMBER)).json["variables"]
    assert leads(said) == ("reception", "sales", "sales", "1", "0", "0")


async def test_a_queue_is_asked_for_by_its_name(hooks: Hooked) -> None:
    """Whether anybody is at work for it."""
    await number(hooks)
    assert leads((await hooks.ask("route", queue="service")).json["variables"])[3:] == ("0", "0", "0")
    await agent(hooks, "ready", "service")
    assert leads((await hooks.ask("route", queue="service")).json["variables"])[3:] == ("1", "1", "0")


@pytest.mark.parametrize("asked", [{"dialled": "74957779999"}, {"queue": "nobody's"}])
async def test_what_is_not_ours_is_not_found(hooks: Hooked, asked: dict[str, str]) -> None:
    """The dialplan is told so, and goes its own way."""
    await number(hooks)
    reply = await hooks.ask("route", **asked)
    assert (reply.status, reply.json["type"]) == (404, "/problems/not-found")


async def test_a_number_that_is_switched_off_leads_nowhere(hooks: Hooked) -> None:
    """As for a caller."""
    await number(hooks)
    async with hooks.database.tenant(TENANT) as conn:
        await conn.execute(update(t.inbound_number).values(active=False))
    assert (await hooks.ask("route", dialled=NUMBER)).status == 404


async def test_without_a_number_nothing_is_said_of_one(hooks: Hooked) -> None:
    """No variable of the dialplan's own is set."""
    told = (await hooks.ask("route")).json["variables"]
    assert not {"DOZVON_CALLED_FLOW", "DOZVON_AT_WORK"} & told.keys()


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (datetime(2026, 11, 24, 9, 0, tzinfo=UTC), "departments"),
        (datetime(2026, 11, 24, 20, 0, tzinfo=UTC), "closed"),
    ],
)
def test_the_shipped_reception_is_walked_to_its_first_question(at: datetime, state: str) -> None:
    """By day to the departments, at night to what is asked then."""
    found, action = first_stop(shipped.flow("reception", "en"), "+79161234567", NUMBER, at)
    assert found == state
    assert isinstance(action, Ask)
