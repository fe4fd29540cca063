"""Alerts: rules by page and API, what the watch makes of them, and where they are seen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import expect
from sqlalchemy import insert, select, update
from support.boards import EVENT_MS
from support.browser import Visitors
from support.stage import TENANT, Stage
from support.web import Web, second_tenant

from dialer.boards import alerts
from dialer.boards.alerts import AlertWatch
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Role


async def trunk(stage: Stage, health: str) -> None:
    """The trunk works, or does not."""
    async with stage.database.tenant(TENANT) as conn:
        done = await conn.execute(update(t.trunk_load).values(health=health))
        if not done.rowcount:
            await conn.execute(
                insert(t.trunk_load).values(tenant_id=TENANT, trunk_id=stage.trunk_id, health=health)
            )


async def told(stage: Stage) -> list[tuple[str, Any]]:
    """Events of alerts, in their order."""
    async with stage.database.tenant(TENANT) as conn:
        e = t.event.c
        rows = await conn.execute(select(e.kind, e.payload).where(e.kind.startswith("alert.")).order_by(e.id))
        return [(row.kind, row.payload["key"]) for row in rows]


async def test_an_alert_is_raised_once_and_cleared_when_it_is_over(visit: Visitors, stage: Stage) -> None:
    """With an event each; the board shows it at once without a new page, the wall too, and afterwards the
    list of what was."""
    program = await visit.web.program(Role.SUPERVISOR)
    made = await program.call("POST", "~/alert-rules", {"kind": "trunk_bad"})
    assert (made.status, made.json["threshold"]) == (201, 0.0)
    watch = AlertWatch(stage.database)
    await watch.round()
    assert (await program.call("GET", "~/alerts/now")).json == []
    person = await visit(Role.SUPERVISOR, locale="ru")
    async with person.page.expect_response(lambda reply: "/api/v1/events" in reply.url):
        await person.open("/board")
    await trunk(stage, "bad")
    await watch.round()
    await watch.round()
    alert = person.page.locator(".alerts li")
    await expect(alert).to_contain_text("МТТ: транк не проводит вызовы", timeout=EVENT_MS)
    assert await told(stage) == [("alert.raised", f"trunk:{stage.trunk_id}")]
    wall = await visit(Role.SUPERVISOR, locale="en")
    await wall.open("/board/wall")
    await expect(wall.page.locator("#wall .alerts li")).to_contain_text("the trunk fails calls")
    assert await wall.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    await trunk(stage, "good")
    await watch.round()
    await expect(alert).to_have_count(0)
    assert [kind for kind, _ in await told(stage)] == ["alert.raised", "alert.cleared"]
    (past,) = (await program.call("GET", "~/alerts")).json["items"]
    assert past["ended_at"] >= past["raised_at"] >= past["since"]
    assert (await program.call("GET", "~/alerts/now")).json == []


async def test_what_has_to_last_calls_nobody_before_it_has(pages: Web, stage: Stage) -> None:
    """No agent is ready: the time counts from when it was first seen; over before that it is no news."""
    program = await pages.program(Role.SUPERVISOR)
    body = {"kind": "no_agent", "threshold": 60, "campaign_id": stage.campaign_id}
    assert (await program.call("POST", "~/alert-rules", body)).status == 201
    watch = AlertWatch(stage.database)
    for agent_id in (stage.agents[0], stage.agents[5]):
        await stage.put(agent_id, "paused", pause_code="lunch")
    await watch.round()
    assert (await program.call("GET", "~/alerts/now")).json == []
    await stage.put(stage.agents[0], "ready")
    await watch.round()
    assert (await program.call("GET", "~/alerts")).json["items"] == []
    await stage.put(stage.agents[0], "paused", pause_code="lunch")
    await watch.round()
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(update(t.alert).values(since=utc_now() - timedelta(seconds=61)))
    await watch.round()
    (alert,) = (await program.call("GET", "~/alerts/now")).json
    assert (alert["kind"], alert["about"]) == ("no_agent", "Осенний тест-драйв")
    assert await told(stage) == [("alert.raised", f"campaign:{stage.campaign_id}")]


async def test_rules_have_a_limit(visit: Visitors, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is looked at every few seconds."""
    monkeypatch.setattr(alerts, "MOST_RULES", 1)
    program = await visit.web.program(Role.SUPERVISOR)
    asked = [await program.call("POST", "~/alert-rules", {"kind": "trunk_bad"}) for _ in range(2)]
    assert [reply.status for reply in asked] == [201, 409]
    assert "remove one" in asked[1].json["detail"]


async def test_rules_are_made_and_removed_on_the_page(visit: Visitors, stage: Stage) -> None:
    """Shares are written in hundredths; what is wrong is told in its field; who only looks cannot."""
    person = await visit(Role.SUPERVISOR, locale="en")
    page = person.page
    await person.open("/board/alerts")
    await page.select_option("#f-kind", "abandon_share")
    await page.select_option("#f-about", f"campaign:{stage.campaign_id}")
    await page.fill("#f-threshold", "85")
    await page.click("form[action='/board/alerts'] button")
    row = page.locator("tr[id^=rule-]")
    await expect(row).to_contain_text("Осенний тест-драйв")
    await expect(row.locator(".num")).to_have_text("85%")
    person.expected = {422}
    await page.select_option("#f-kind", "service_level")
    await page.select_option("#f-about", f"campaign:{stage.campaign_id}")
    await page.click("form[action='/board/alerts'] button")
    await expect(page.locator("#fault-about")).to_be_visible()
    await row.locator("button").click()
    await expect(row).to_have_count(0)
    async with stage.database.tenant(TENANT) as conn:
        actions = list(
            await conn.scalars(select(t.audit.c.action).where(t.audit.c.subject.like("alert_rule:%")))
        )
    assert actions == ["alert_rule.create", "alert_rule.delete"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"kind": "wait", "threshold": -1}, 422),
        ({"kind": "wait", "threshold": 3601}, 422),
        ({"kind": "unheard_of"}, 422),
        ({"kind": "wait", "queue_id": 10**9}, 404),
        ({"kind": "list_ends", "campaign_id": 10**9}, 404),
        ({"kind": "wait", "campaign_id": 1}, 422),
    ],
)
async def test_a_wrong_rule_is_refused(pages: Web, stage: Stage, body: dict[str, Any], status: int) -> None:
    """By its field, or by what is not there."""
    program = await pages.program(Role.SUPERVISOR)
    assert (await program.call("POST", "~/alert-rules", body)).status == status


async def test_alerts_are_the_supervisors_and_of_their_tenant(
    pages: Web, stage: Stage, owner_url: str
) -> None:
    """An operator sees and makes none; another tenant's rules and alerts are not there."""
    program = await pages.program(Role.SUPERVISOR)
    rule = (await program.call("POST", "~/alert-rules", {"kind": "trunk_bad"})).json["id"]
    await trunk(stage, "bad")
    await AlertWatch(stage.database).round()
    operator = await pages.browser(Role.OPERATOR)
    for path in ("~/alerts", "~/alerts/now", "~/alert-rules", "/board/alerts", "/board/alerts/now"):
        assert (await operator.call("GET", path)).status == 403, path
    assert (await operator.call("POST", "~/alert-rules", {"kind": "trunk_bad"})).status == 403
    assert (await operator.call("DELETE", f"~/alert-rules/{rule}")).status == 403
    other = await pages.program(Role.SUPERVISOR, tenant_id=await second_tenant(owner_url))
    assert (await other.call("GET", "~/alert-rules")).json == []
    assert (await other.call("GET", "~/alerts/now")).json == []
    assert (await other.call("DELETE", f"~/alert-rules/{rule}")).status == 404
    body = {"kind": "list_ends", "campaign_id": stage.campaign_id}
    assert (await other.call("POST", "~/alert-rules", body)).status == 404
