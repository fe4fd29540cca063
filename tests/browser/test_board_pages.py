"""The supervisor's board: what it tells, how soon, and what is done with agents from it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import expect
from sqlalchemy import func, insert, select, update
from support.boards import EVENT_MS
from support.browser import Visitor, Visitors
from support.stage import TENANT, Stage
from support.web import Web, at_noon, second_tenant

from dialer.boards import store
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Role
from dialer.web.formats import epoch_ms


async def watching(visit: Visitors, path: str = "/board", **how: Any) -> Visitor:
    """A supervisor at the board, whose stream of events is open."""
    person = await visit(Role.SUPERVISOR, **how)
    async with person.page.expect_response(lambda reply: "/api/v1/events" in reply.url):
        await person.open(path)
    await person.page.evaluate("window.sameDocument = true")
    return person


async def audited(stage: Stage, action: str) -> list[dict[str, Any]]:
    """Details of what was noted under this name."""
    async with stage.database.tenant(TENANT) as conn:
        found = select(t.audit.c.details).where(t.audit.c.action == action).order_by(t.audit.c.id)
        return list(await conn.scalars(found))


async def test_the_board_tells_the_whole_centre(pages: Web, stage: Stage, owner_url: str) -> None:
    """Agents by state with the campaign of their call, calls by stage, pace, shares, what is left, lines."""
    await at_noon(owner_url)
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(t.trunk_load).values(tenant_id=TENANT, trunk_id=stage.trunk_id, channels=6, health="bad")
        )
        queue_id = await conn.scalar(
            insert(t.queue).values(tenant_id=TENANT, name="Сервис").returning(t.queue.c.id)
        )
        call_id = await conn.scalar(select(t.attempt.c.id).limit(1))
        came = [utc_now() - timedelta(seconds=ago) for ago in (30, 300, 400, 500)]
        ends = ((None, 0), ("answered", 5), ("answered", 60), ("abandoned", 40))
        for n, (at, (ended, waited_s)) in enumerate(zip(came, ends, strict=True), start=1):
            await conn.execute(
                insert(t.queue_stay).values(
                    tenant_id=TENANT, call_id=call_id, attempt_id=call_id, n=n, queue_id=queue_id,
                    queue="Сервис", priority=5, since=at, entered_at=at, ended=ended,
                    left_at=at + timedelta(seconds=waited_s) if ended else None,
                    agent_id=stage.agents[0] if ended == "answered" else None,
                )
            )  # fmt: skip
    program = await pages.program(Role.SUPERVISOR)
    told = (await program.call("GET", "~/board")).json
    assert told["by_state"] == {
        "lost": 0, "talking": 2, "wrap_up": 1, "reserved": 0, "ready": 2, "paused": 1, "calling": 0,
    }  # fmt: skip
    assert told["calls"] == {"in_air": 3, "ringing": 2, "waiting": 1, "talking": 2}
    talkers = [one for one in told["agents"] if one["state"] == "talking"]
    assert {one["campaign"] for one in talkers} == {"Осенний тест-драйв"}
    (resting,) = [one for one in told["agents"] if one["state"] == "paused"]
    assert (resting["pause_code"], resting["pause_limit_s"], resting["over_limit"]) == ("break", 900, False)
    (campaign,) = told["campaigns"]
    assert (campaign["pace"]["why"], campaign["agents"]["ready"]) == ("enough_in_air", 2)
    async with stage.database.tenant(TENANT) as conn:
        c, d = t.attempt.c, t.disposition.c
        kinds = list(
            await conn.scalars(
                select(d.kind).join(t.attempt, c.disposition_id == d.id).where(c.connected_at.is_not(None))
            )
        )
        statuses = list(await conn.scalars(select(t.lead.c.status)))
    assert campaign["talks_closed"] == len(kinds) > 0
    assert campaign["conversion"] == told["conversion"] == kinds.count("sale") / len(kinds)
    assert campaign["leads_left"] == sum(one in ("new", "waiting") for one in statuses)
    # Forty calls of the half hour have closed their leads.
    assert campaign["ends_in_s"] > 0
    (queue,) = told["queues"]
    assert (queue["waiting"], queue["offered"]) == (1, 4)
    assert queue["waiting_since"].startswith(came[0].isoformat()[:19])
    # One of four came to an agent in the 20 s of the target.
    assert queue["service_level"] == told["service_level"] == 0.25
    page = await (await pages.browser(Role.SUPERVISOR)).call("GET", "/board")
    assert page.status == 200 and "Сервис" in page.text
    assert [(one["channels"], one["most"], one["bad"]) for one in told["trunks"]] == [(6, 30, True)]


async def test_how_long_the_list_lasts_counts_time_of_work_alone(visit: Visitors, stage: Stage) -> None:
    """Of a half hour with two stretches of calls, ten minutes; and campaigns tell as many leads left."""
    now, a = utc_now(), t.attempt.c
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(update(t.attempt).values(created_at=now - timedelta(minutes=2)))
        early = update(t.attempt).where(a.result == "answered")
        await conn.execute(early.values(created_at=now - timedelta(minutes=12)))
        closed = select(func.count()).where(t.lead.c.status == "closed")
        closed = closed.where(t.lead.c.id.in_(select(a.lead_id)))
        many = await conn.scalar(closed) or 0
        left, lasts_s = await store.list_left(conn, TENANT, stage.campaign_id, now)
    assert left == 12
    assert lasts_s == pytest.approx(left / many * 600)
    person = await visit(Role.SUPERVISOR)
    await person.open("/campaigns")
    await expect(person.page.locator("dt:text-is('Leads left') + dd")).to_have_text("12")


async def test_the_board_is_the_supervisors_and_of_their_tenant(
    pages: Web, stage: Stage, owner_url: str
) -> None:
    """An operator is refused page, parts and API; who scores talks looks and does nothing; another tenant's
    supervisor sees nobody."""
    operator, quality = await pages.browser(Role.OPERATOR), await pages.browser(Role.QUALITY)
    for path in ("/board", "/board/floor", "/board/work", "/board/wall", "/board/wall/part", "~/board"):
        assert (await operator.call("GET", path)).status == 403, path
        assert (await quality.call("GET", path)).status == 200, path
    assert "/board/agents" not in (await quality.call("GET", "/board")).text
    for nobody in (operator, quality):
        assert (await nobody.call("POST", "/board/agents", data={"do": "logout"})).status == 403
    refused = await operator.call("POST", "~/agents/move", {"agents": [1], "to": 1})
    assert refused.status == 403
    other = await pages.program(Role.SUPERVISOR, tenant_id=await second_tenant(owner_url))
    told = (await other.call("GET", "~/board")).json
    assert (told["agents"], told["campaigns"], told["trunks"], told["queues"]) == ([], [], [], [])
    moved = await other.call("POST", "~/agents/move", {"agents": stage.agents[:1], "to": stage.campaign_id})
    assert moved.status == 404


async def test_a_change_is_on_the_board_in_a_second(visit: Visitors, stage: Stage) -> None:
    """The tile of the agent, and the number of those who are ready, without a new page; in both languages."""
    person = await watching(visit, locale="ru")
    tile = person.page.locator(f"#at-{stage.agents[0]}")
    await expect(tile).to_have_class("a-ready")
    await stage.put(stage.agents[0], "paused", pause_code="lunch")
    await expect(tile).to_contain_text("Обед", timeout=EVENT_MS)
    await expect(person.page.locator(f"#now-{stage.campaign_id} td").nth(1)).to_have_text("1")
    assert await person.page.evaluate("window.sameDocument") is True


async def test_a_customer_on_hold_is_seen_at_once(visit: Visitors, pages: Web, stage: Stage) -> None:
    """On the tile with the time of the hold, among the states and on the wall; on the pages of the campaign,
    of agents and of a queue, too. A colleague who is asked about the customer has nobody on hold."""
    holding, asked = stage.agents[1], stage.agents[0]
    async with stage.database.tenant(TENANT) as conn:
        queue_id = await conn.scalar(
            insert(t.queue).values(tenant_id=TENANT, name="Сервис").returning(t.queue.c.id)
        )
    board, wall = await watching(visit), await watching(visit, "/board/wall", locale="ru")
    campaign_path = f"/campaigns/{stage.campaign_id}"
    places = {campaign_path: "agent", "/agents": "row", f"/queues/{queue_id}": "member"}
    rows = {
        path: (await watching(visit, path)).page.locator(f"#{row}-{holding}") for path, row in places.items()
    }
    for row in rows.values():
        await expect(row).to_contain_text("talking")
    held_at = utc_now() - timedelta(seconds=754)
    async with stage.database.tenant(TENANT) as conn:
        open_ = (t.attempt.c.agent_id == holding) & t.attempt.c.ended_at.is_(None)
        (call_id,) = await conn.scalars(
            update(t.attempt).where(open_).values(held_at=held_at).returning(t.attempt.c.id)
        )
    await stage.put(asked, "talking", call_id)
    async with stage.database.tenant(TENANT) as conn:
        await stage.tell(conn, "call.talk", holding, attempt_id=str(call_id), held=True)
    tile = board.page.locator(f"#at-{holding}")
    await expect(tile).to_contain_text("on hold", timeout=EVENT_MS)
    await expect(tile.locator(".timer")).to_have_attribute("data-since", str(epoch_ms(held_at)))
    await expect(board.page.locator(f"#at-{asked}")).to_contain_text("talking")
    states = board.page.locator("#floor .states")
    await expect(states).to_contain_text("2 talking")
    await expect(states).to_contain_text("1 on hold")
    await expect(wall.page.locator(".wall-agents .a-hold")).to_have_text("1Удержание", timeout=EVENT_MS)
    await expect(wall.page.locator(".wall-agents .a-talking b")).to_have_text("2")
    for path, row in rows.items():
        await expect(row).to_contain_text("on hold", timeout=EVENT_MS)
        if not path.startswith("/queues"):
            await expect(row.locator(".timer")).to_have_attribute("data-since", str(epoch_ms(held_at)))
    await expect(rows["/agents"].page.locator(f"#row-{asked}")).to_contain_text("talking")
    states = rows[campaign_path].page.locator(".agents .states")
    await expect(states).to_contain_text("1 on hold")
    told = (await (await pages.program(Role.SUPERVISOR)).call("GET", "~/board")).json
    held = {one["agent_id"]: one["held_at"] for one in told["agents"] if one["held_at"]}
    assert held.keys() == {holding} and held[holding].startswith(held_at.isoformat()[:19])
    assert told["by_state"]["talking"] == 3


async def test_the_ticked_agents_are_paused_and_messaged(visit: Visitors, stage: Stage) -> None:
    """Ticks outlast the renewing of the board; what is refused is told by name; each step is audited."""
    person = await watching(visit)
    first, wrapping = stage.agents[0], stage.agents[3]
    for agent_id in (first, wrapping):
        await person.page.check(f"#at-{agent_id} input")
    await stage.put(stage.agents[5], "paused", pause_code="lunch")
    await expect(person.page.locator(f"#at-{stage.agents[5]}")).to_have_class("a-paused")
    await person.page.select_option("#act select[name=code]", "training")
    await person.page.click("#act button[value=pause]")
    await expect(person.page.locator(f"#at-{first}")).to_contain_text("Training")
    await expect(person.page.locator(f"#at-{wrapping}")).to_contain_text("→ on pause")
    assert sorted(await audited(stage, "agent.force"), key=lambda one: str(one["was"])) == [
        {"was": "ready", "to": "paused", "code": "training"},
        {"was": "wrap_up", "to": "paused", "code": "training"},
    ]
    await person.page.fill("#act input[name=text]", "Подойди ко мне")
    async with person.page.expect_response(lambda reply: reply.url.endswith("/board/agents")):
        await person.page.click("#act button[value=message]")
    async with stage.database.tenant(TENANT) as conn:
        rows = list(
            await conn.scalars(select(t.agent_message.c.agent_id).where(t.agent_message.c.state.is_(None)))
        )
    assert sorted(rows) == [first, wrapping]
    await person.page.click("#act button[value=logout]")
    await expect(person.page.locator(f"#at-{first}")).to_have_count(0)


async def test_a_campaign_is_paused_and_goes_on_from_the_board(visit: Visitors, stage: Stage) -> None:
    """By the button in its row; who only looks has none. From an agent's tile one comes to listening."""
    person = await watching(visit)
    row = person.page.locator(f"#now-{stage.campaign_id}")
    await row.get_by_role("button", name="Pause: Осенний тест-драйв").click()
    await expect(row).to_contain_text("paused")
    async with stage.database.tenant(TENANT) as conn:
        status = await conn.scalar(select(t.campaign.c.status).where(t.campaign.c.id == stage.campaign_id))
    assert status == "paused"
    await expect(row.get_by_role("button", name="Resume: Осенний тест-драйв")).to_be_visible()
    analyst = await visit(Role.ANALYST)
    await analyst.open("/board")
    await expect(analyst.page.locator("#work")).to_contain_text("Осенний тест-драйв")
    await expect(analyst.page.locator("main button")).to_have_count(0)
    await person.page.click(f"#at-{stage.agents[1]} a")
    await expect(person.page.locator(f"#row-{stage.agents[1]}").get_by_text("Listen")).to_be_visible()


async def test_agents_move_to_another_campaign_by_its_skill(pages: Web, stage: Stage) -> None:
    """They get what it asks for and lose what the others ask for; a campaign that asks for nothing is named;
    where no campaign asks for anything there is nothing that could lead them."""
    program = await pages.program(Role.SUPERVISOR)
    chosen = stage.agents[:2]
    refused = await program.call("POST", "~/agents/move", {"agents": chosen, "to": stage.campaign_id})
    assert (refused.status, refused.json["type"]) == (409, "/problems/wrong-state")
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(skill="продажи"))
        other = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=TENANT, name="Сервис", policy="ru-service", skill="сервис", status="running")
            .returning(t.campaign.c.id)
        )
    moved = (await program.call("POST", "~/agents/move", {"agents": chosen, "to": other})).json
    assert moved == {"agents": 2, "given": ["сервис"], "taken": ["продажи"], "still": []}
    told = {one["id"]: one["skills"] for one in (await program.call("GET", "~/agents")).json}
    assert [told[one] for one in stage.agents[:3]] == [["сервис"], ["сервис"], ["продажи"]]
    assert [one["to"] for one in await audited(stage, "agent.move")] == [other, other]
    again = (await program.call("POST", "~/agents/move", {"agents": chosen, "to": other})).json
    assert again["agents"] == 0
    unknown = await program.call("POST", "~/agents/move", {"agents": [10**9], "to": other})
    assert unknown.status == 404


async def test_the_wall_is_readable_from_afar_and_has_nothing_to_press(visit: Visitors, stage: Stage) -> None:
    """Every text is a twenty-eighth of the screen's height at least, all fits on it, and it renews itself."""
    for width, height in ((1920, 1080), (1366, 768)):
        person = await watching(visit, "/board/wall", locale="ru", width=width, height=height)
        page = person.page
        assert await page.locator("main :is(a, button, input, select)").count() == 0
        small = await page.evaluate(
            """() => [...document.querySelectorAll('#wall *')]
                .filter((one) => [...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
                .filter((one) => parseFloat(getComputedStyle(one).fontSize) < innerHeight / 28)
                .map((one) => one.outerHTML)"""
        )
        assert small == []
        assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        ready = page.locator(".wall-agents .a-ready b")
        before = int(await ready.inner_text())
        await stage.put(stage.agents[0 if width == 1920 else 5], "paused", pause_code="lunch")
        await expect(ready).to_have_text(str(before - 1), timeout=EVENT_MS)
        assert await page.evaluate("window.sameDocument") is True
