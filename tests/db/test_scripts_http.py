"""Scripts over HTTP: written, checked, published, rehearsed; a talk by one, and what is left of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from sqlalchemy import select, update
from support.floor import TENANT
from support.stage import Stage, set_stage
from support.web import Web, second_tenant, serving

from dialer.app.script_deeds import ScriptDeeds
from dialer.campaigns import http as campaigns_http
from dialer.campaigns.service import CampaignService
from dialer.clock import utc_now
from dialer.contacts.erasure import ErasureService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Conflict, Forbidden
from dialer.httpkit.access import Actor, Role
from dialer.scripts import http
from dialer.scripts.service import ScriptService
from dialer.scripts.walking import Answered, Back, Went

TEXT = """\
name: visit
language: en
first: hello
steps:
  - {name: hello, type: text, text: "Hello, {contact.name}, this is {agent.name}.", next: age}
  - {name: age, type: question, text: "How old is your car?", kind: number, required: true, next: again}
  - {name: again, type: question, text: "May we call again?", kind: yes_no, required: true, next: bye}
  - {name: bye, type: end, text: "Goodbye, {contact.first_name}: {age} years."}
  - {name: never, type: action, text: "You are on the list.", action: do_not_call, next: bye}
exits:
  - {name: never, title: Never call, kind: critical, to: never}
"""


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application with scripts."""
    services: dict[web.AppKey[Any], Any] = {
        http.SCRIPTS: ScriptService(database, ScriptDeeds()),
        campaigns_http.CAMPAIGNS: CampaignService(database),
    }
    tables = [http.routes, campaigns_http.routes]
    async with serving(database, database_url, tables=tables, services=services) as running:
        yield running


@pytest.fixture
async def stage(site: Web) -> Stage:
    """A campaign with agents and people."""
    return await set_stage(site)


async def talk(site: Web, stage: Stage) -> UUID:
    """A talk of the first agent, in a campaign whose script is published."""
    boss = await site.program(Role.SUPERVISOR)
    assert (await boss.call("POST", "~/scripts", {"yaml": TEXT})).status == 201
    assert (await boss.call("POST", "~/scripts/visit/versions/1/publish")).status == 200
    call_id = await stage.assign(stage.agents[0])
    await stage.change(call_id, stage.agents[0], state="connected", connected_at=utc_now())
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(
            update(t.campaign).where(t.campaign.c.id == stage.campaign_id).values(script="visit")
        )
    return call_id


async def agent_of(site: Web, stage: Stage, n: int = 0) -> Actor:
    """An agent as who asks."""
    user = await site.users.get(Actor.server(TENANT), stage.users[n])
    return Actor(TENANT, user.id, Role.OPERATOR, user.name, "en")


async def test_a_script_is_written_checked_and_published(site: Web, owner_url: str) -> None:
    """Versions count up, one is live at a time, a wrong text is told of with its lines."""
    boss = await site.program(Role.SUPERVISOR)
    for n in (1, 2):
        made = await boss.call("POST", "~/scripts", {"yaml": f"# {n}\n{TEXT}"})
        assert (made.status, made.json["version"], made.json["state"]) == (201, n, "draft"), made.text
        said = await boss.call("POST", f"~/scripts/visit/versions/{n}/publish")
        assert (said.status, said.json["live_version"]) == (200, n), said.text
    listed = await boss.call("GET", "~/scripts/visit/versions")
    assert [(one["version"], one["state"]) for one in listed.json] == [(2, "live"), (1, "retired")]
    wrong = TEXT.replace("next: again", "next: agian")
    checked = await boss.call("POST", "~/scripts/check", {"yaml": wrong})
    assert (6, "no_step") in [(one["line"], one["code"]) for one in checked.json["problems"]]
    refused = await boss.call("POST", "~/scripts", {"yaml": wrong})
    assert (refused.status, refused.json["type"]) == (422, "/problems/bad-script")
    assert (await boss.call("POST", "~/scripts/visit/versions/3/publish")).status == 404
    other = await site.program(Role.SUPERVISOR, tenant_id=await second_tenant(owner_url))
    assert (await other.call("GET", "~/scripts")).json == []


async def test_a_rehearsal_shows_the_talk_and_keeps_nothing(site: Web, database: Database) -> None:
    """Events in, the step out; an action in it is not carried out."""
    boss = await site.program(Role.SUPERVISOR)
    events = [{"what": "go"}, {"what": "answer", "answer": "5"}, {"what": "exit", "exit": "never"}]
    said = await boss.call("POST", "~/scripts/rehearse", {"yaml": TEXT, "events": [*events, {"what": "do"}]})
    assert (said.json["step"], said.json["ended"]) == ("bye", True), said.text
    assert said.json["text"] == "Goodbye, Anna: 5 years."
    assert (said.json["collected_answers"], said.json["required_answers"]) == (1, 2)
    wrong = await boss.call(
        "POST",
        "~/scripts/rehearse",
        {"yaml": TEXT, "events": [{"what": "go"}, {"what": "answer", "answer": "x"}]},
    )
    assert wrong.status == 422
    async with database.tenant(TENANT) as conn:
        assert (await conn.execute(select(t.script_run))).all() == []
        assert (await conn.execute(select(t.do_not_call))).all() == []


async def test_a_talk_keeps_each_answer_and_its_version(site: Web, stage: Stage) -> None:
    """The answer is in the database when the reply comes; a version that is published meanwhile is for later
    talks; who is at another step by now is told so; the figures count."""
    call_id = await talk(site, stage)
    scripts, agent = ScriptService(stage.database, ScriptDeeds()), await agent_of(site, stage)
    shown = await scripts.of_call(agent, call_id)
    assert shown is not None
    assert (shown.step, shown.back) == ("hello", False)
    assert shown.text.startswith("Hello, Алексей, this is ")
    boss = await site.program(Role.SUPERVISOR)
    path = f"~/calls/{call_id}/script"
    said = await boss.call("POST", path, {"step": "hello", "what": "go"})
    assert said.json["step"] == "age", said.text
    await boss.call("POST", "~/scripts", {"yaml": TEXT.replace("How old is", "What age has")})
    await boss.call("POST", "~/scripts/visit/versions/2/publish")
    again = await boss.call("GET", path)
    assert again.json["text"] == "How old is your car?"
    assert (await boss.call("POST", path, {"step": "age", "what": "answer", "answer": "old"})).status == 422
    said = await boss.call("POST", path, {"step": "age", "what": "answer", "answer": "5"})
    assert (said.json["step"], said.json["collected_answers"]) == ("again", 1)
    late = await boss.call("POST", path, {"step": "age", "what": "answer", "answer": "6"})
    assert late.status == 409
    async with stage.database.tenant(TENANT) as conn:
        kept = (await conn.execute(select(t.script_run))).one()
    assert (kept.answers, kept.collected, kept.required, kept.version) == ({"age": 5}, 1, 2, 1)
    span = "since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z"
    figures = (await boss.call("GET", f"~/scripts/visit/figures?{span}")).json
    assert figures == {"talks": 1, "ended": 0, "required": 2, "collected": 1, "share": 0.5}


async def test_an_action_is_carried_out_once(site: Web, stage: Stage) -> None:
    """By an exit the number goes on the list; done again after a step back it does nothing more."""
    call_id = await talk(site, stage)
    boss = await site.program(Role.SUPERVISOR)
    path = f"~/calls/{call_id}/script"
    for step, what in (("hello", "exit"), ("never", "do"), ("bye", "back"), ("never", "do")):
        said = await boss.call("POST", path, {"step": step, "what": what, "exit": "never"})
        assert said.status == 200, said.text
    async with stage.database.tenant(TENANT) as conn:
        told = (await conn.execute(select(t.event.c.kind).where(t.event.c.kind == "script.action"))).all()
        entries = (await conn.execute(select(t.do_not_call.c.attempt_id))).all()
    assert [row.attempt_id for row in entries] == [call_id]
    assert len(told) == 1


async def test_an_agent_leads_the_own_talk_only(site: Web, stage: Stage) -> None:
    """Another agent neither sees nor moves it."""
    call_id = await talk(site, stage)
    scripts = ScriptService(stage.database, ScriptDeeds())
    own, other = await agent_of(site, stage), await agent_of(site, stage, 1)
    assert (await scripts.act(own, call_id, "hello", Went())).step == "age"
    for refused in (scripts.of_call(other, call_id), scripts.act(other, call_id, "age", Back())):
        with pytest.raises(Forbidden):
            await refused


async def test_what_is_sent_twice_is_said_once(site: Web, stage: Stage) -> None:
    """A key that was pressed twice moves the talk on once; another answer to a past step is refused."""
    call_id = await talk(site, stage)
    scripts = ScriptService(stage.database, ScriptDeeds())
    own = await agent_of(site, stage)
    for _ in range(2):
        assert (await scripts.act(own, call_id, "hello", Went())).step == "age"
    for _ in range(2):
        assert (await scripts.act(own, call_id, "age", Answered("5"))).step == "again"
    with pytest.raises(Conflict):
        await scripts.act(own, call_id, "age", Answered("6"))


async def test_a_campaign_names_a_script_that_is_published(site: Web, stage: Stage) -> None:
    """One that is not there, and one of which there are drafts alone, are refused with the field's name."""
    boss, path = await site.program(Role.SUPERVISOR), f"~/campaigns/{stage.campaign_id}"
    assert (await boss.call("POST", f"{path}/pause")).status == 200
    for reason in ("there is no script visit", "no version of the script visit is published"):
        refused = await boss.call("PATCH", path, {"script": "visit"})
        assert (refused.status, refused.json["errors"][0]["field"]) == (422, "script"), refused.text
        assert refused.json["errors"][0]["reason"] == reason
        await boss.call("POST", "~/scripts", {"yaml": TEXT})
    await boss.call("POST", "~/scripts/visit/versions/1/publish")
    changed = await boss.call("PATCH", path, {"script": "visit"})
    assert (changed.status, changed.json["script"]) == (200, "visit"), changed.text
    again = await boss.call("POST", "~/campaigns", {"name": "Other", "script": "vist"})
    assert (again.status, again.json["errors"][0]["field"]) == (422, "script"), again.text
    none = await boss.call("PATCH", path, {"script": None})
    assert (none.status, none.json["script"]) == (200, None), none.text


async def test_an_erasure_takes_the_answers(site: Web, stage: Stage, tmp_path: Path) -> None:
    """That there was a talk remains, for the script's figures."""
    call_id = await talk(site, stage)
    boss = await site.program(Role.SUPERVISOR)
    path = f"~/calls/{call_id}/script"
    await boss.call("POST", path, {"step": "hello", "what": "go"})
    await boss.call("POST", path, {"step": "age", "what": "answer", "answer": "5"})
    await stage.change(
        call_id, None, state="ended", result="answered", ended_at=utc_now(), hung_up_at=utc_now()
    )
    async with stage.database.tenant(TENANT) as conn:
        contact = await conn.scalar(select(t.attempt.c.contact_id).where(t.attempt.c.id == call_id))
        await conn.execute(update(t.lead).where(t.lead.c.contact_id == contact).values(status="closed"))
    assert contact is not None
    await ErasureService(stage.database, tmp_path).erase(Actor.server(TENANT), contact, never_again=False)
    async with stage.database.tenant(TENANT) as conn:
        kept = (await conn.execute(select(t.script_run))).one()
    assert (kept.answers, kept.collected) == ({}, 1)
