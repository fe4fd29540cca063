"""Messages to agents, and an agent's own figures of the shift."""

from __future__ import annotations

from playwright.async_api import expect
from sqlalchemy import select
from support.browser import Visitors
from support.stage import TENANT, Stage
from support.web import Web, second_tenant

from dialer.agents.messages_http import MESSAGES
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role


async def test_a_message_is_on_the_desk_until_it_is_confirmed(visit: Visitors, stage: Stage) -> None:
    """At once, in the middle of a talk too; the supervisor learns when it was seen and confirmed."""
    user = await visit.web.users.get(Actor.server(TENANT), stage.users[1])
    person = await visit(user, locale="ru")
    async with person.page.expect_response(lambda reply: "agent=me" in reply.url):
        await person.open("/desk")
    agent_id = stage.agents[1]
    supervisor = await visit.web.program(Role.SUPERVISOR)
    sent = await supervisor.call("POST", f"~/agents/{agent_id}/messages", {"text": "Говорите <b>тише</b>"})
    assert (sent.status, sent.json["seen_at"]) == (201, None)
    message = person.page.locator("#messages .message")
    await expect(message).to_contain_text("Говорите <b>тише</b>", timeout=10000)
    (kept,) = (await supervisor.call("GET", f"~/agents/{agent_id}/messages")).json["items"]
    assert kept["seen_at"] and not kept["confirmed_at"]
    await message.locator("button").click()
    await expect(message).to_have_count(0)
    (kept,) = (await supervisor.call("GET", f"~/agents/{agent_id}/messages")).json["items"]
    assert kept["confirmed_at"] and kept["sender"] == (supervisor.user and supervisor.user.name)
    async with stage.database.tenant(TENANT) as conn:
        details = await conn.scalar(select(t.audit.c.details).where(t.audit.c.action == "agent.message"))
    assert details == {"message_id": kept["id"]}


async def test_an_agent_is_told_who_has_put_them_into_another_state(visit: Visitors, stage: Stage) -> None:
    """By name, in their own language, the last one only; what one does oneself is no news."""
    user = await visit.web.users.get(Actor.server(TENANT), stage.users[0])
    person = await visit(user, locale="ru")
    async with person.page.expect_response(lambda reply: "agent=me" in reply.url):
        await person.open("/desk")
    agent = f"~/agents/{stage.agents[0]}"
    supervisor = await visit.web.program(Role.SUPERVISOR)
    assert supervisor.user is not None
    told = person.page.locator("#messages .message")
    await supervisor.call("POST", f"{agent}/pause", {"code": "lunch"})
    await expect(told).to_contain_text("Вас поставили на паузу: Обед", timeout=10000)
    await expect(told).to_contain_text(supervisor.user.name)
    await supervisor.call("POST", f"{agent}/ready")
    await expect(told).to_contain_text("Вас вернули в готовность", timeout=10000)
    await expect(told).to_have_count(1)
    await told.locator("button").click()
    await expect(told).to_have_count(0)
    own = await visit.web.browser(Role.OPERATOR, user=user)
    assert (await own.call("POST", "~/agents/me/pause", {"code": "lunch"})).status == 200
    assert (await own.call("GET", "~/agents/me/messages")).json == []
    await supervisor.call("POST", f"{agent}/logout")
    (last,) = (await own.call("GET", "~/agents/me/messages")).json
    assert (last["state"], last["text"], last["sender"]) == ("offline", "", supervisor.user.name)


async def test_messages_are_for_their_agent_alone(pages: Web, stage: Stage, owner_url: str) -> None:
    """Another agent cannot confirm one, an operator writes none, another tenant does not know the agent."""
    server = Actor.server(TENANT)
    message = await pages.app[MESSAGES].send(server, stage.agents[0], "Обед в 13:00")
    users = [await pages.users.get(server, one) for one in stage.users[:2]]
    mine, other = [await pages.browser(Role.OPERATOR, user=user) for user in users]
    assert (await other.call("GET", "~/agents/me/messages")).json == []
    confirm = f"~/agents/me/messages/{message.id}/confirm"
    assert (await other.call("POST", confirm)).status == 404
    assert (await other.call("POST", f"~/agents/{stage.agents[0]}/messages", {"text": "x"})).status == 403
    assert (await other.call("GET", f"~/agents/{stage.agents[0]}/messages")).status == 403
    assert [one["text"] for one in (await mine.call("GET", "~/agents/me/messages")).json] == ["Обед в 13:00"]
    assert [(await mine.call("POST", confirm)).status for _ in range(2)] == [204, 204]
    assert (await mine.call("GET", "~/agents/me/messages")).json == []
    stranger = await pages.program(Role.SUPERVISOR, tenant_id=await second_tenant(owner_url))
    path = f"~/agents/{stage.agents[0]}/messages"
    assert (await stranger.call("POST", path, {"text": "x"})).status == 404
    assert (await stranger.call("GET", path)).status == 404


async def test_an_agents_own_figures(visit: Visitors, stage: Stage) -> None:
    """Talks closed, the share of time in talks and conversion: by the API and on the desk, with formulas."""
    user = await visit.web.users.get(Actor.server(TENANT), stage.users[0])
    caller = await visit.web.browser(Role.OPERATOR, user=user)
    told = (await caller.call("GET", "~/agents/me/figures")).json
    async with stage.database.tenant(TENANT) as conn:
        c, d = t.attempt.c, t.disposition.c
        kinds = list(
            await conn.scalars(
                select(d.kind)
                .join(t.attempt, c.disposition_id == d.id)
                .where(c.session_id == stage.shifts[stage.agents[0]], c.disposed_at.is_not(None))
            )
        )
    assert (told["closed"], told["sales"]) == (len(kinds), kinds.count("sale"))
    # 2100 s in talks of the 3000 s since the log-in.
    assert abs(told["talk_share"] - 0.7) < 0.01
    person = await visit(user, locale="ru")
    await person.open("/desk")
    own = person.page.locator(".own-figures")
    await expect(own).to_contain_text("Закрыто контактов")
    await expect(own).to_contain_text("35:00 ÷ ")
    logged_out = await visit.web.browser(Role.SUPERVISOR)
    assert (await logged_out.call("GET", "~/agents/me/figures")).status == 404
