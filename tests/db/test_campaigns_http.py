"""Campaigns, trunks and figures as a program sees them over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from support.web import Web, serving

from dialer.campaigns.http import CAMPAIGNS
from dialer.campaigns.http import routes as campaign_routes
from dialer.campaigns.service import CampaignService
from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.reports.http import FIGURES
from dialer.reports.http import routes as report_routes
from dialer.reports.service import FigureService
from dialer.trunks.http import TRUNKS
from dialer.trunks.http import routes as trunk_routes
from dialer.trunks.service import TrunkService

TRUNK: dict[str, Any] = {
    "name": "Carrier",
    "caller_id": "+74950000001",
    "allowed_prefixes": ["+7"],
    "sip_host": "127.0.0.1",
    "sip_user": "dozvon",
    "sip_secret": "sip-password-1",
}


@pytest.fixture
async def centre(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The web process with the routes of campaigns, trunks and figures."""
    services: dict[web.AppKey[Any], Any] = {
        CAMPAIGNS: CampaignService(database),
        TRUNKS: TrunkService(database),
        FIGURES: FigureService(database),
    }
    tables = [campaign_routes, trunk_routes, report_routes]
    async with serving(database, database_url, tables=tables, services=services) as running:
        yield running


async def test_from_a_trunk_to_a_running_campaign(centre: Web) -> None:
    """An administrator opens a line, makes a campaign, starts, pauses, resumes and stops it."""
    admin = await centre.program(Role.ADMINISTRATOR)
    made = await admin.call("POST", "~/trunks", TRUNK)
    assert made.status == 201
    assert "sip-password-1" not in made.text
    trunk_id = made.json["id"]
    campaign = {
        "name": "Весна",
        "policy": "demo",
        "caller_name": "Автосалон «Заря»",
        "abandon_message": "Вам звонил автосалон «Заря».",
        "trunks": [trunk_id],
    }
    draft = await admin.call("POST", "~/campaigns", campaign)
    assert (draft.status, draft.json["status"], draft.json["ready_reasons"]) == (201, "draft", [])
    path = f"~/campaigns/{draft.json['id']}"
    for action, status in (
        ("start", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("stop", "stopped"),
    ):
        reply = await admin.call("POST", f"{path}/{action}")
        assert (reply.status, reply.json["status"]) == (200, status)
    again = await admin.call("POST", f"{path}/start")
    assert (again.status, again.json["type"], again.json["state"]) == (
        409,
        "/problems/wrong-state",
        "stopped",
    )
    assert (await admin.call("DELETE", f"~/trunks/{trunk_id}")).status == 409
    off = await admin.call("PATCH", f"~/trunks/{trunk_id}", {"enabled": False})
    assert (off.status, off.json["enabled"]) == (200, False)


async def test_a_refusal_to_start_is_read_by_programs_and_people(centre: Web) -> None:
    """Codes for the one, sentences in their language for the others."""
    admin = await centre.program(Role.SUPERVISOR)
    made = await admin.call("POST", "~/campaigns", {"name": "Пустая"}, headers={"Accept-Language": "ru"})
    assert [reason["code"] for reason in made.json["ready_reasons"]] == [
        "no-trunk",
        "no-caller-name",
        "no-abandon-message",
    ]
    refused = await admin.call("POST", f"~/campaigns/{made.json['id']}/start")
    assert (refused.status, refused.json["type"]) == (409, "/problems/campaign-not-ready")
    assert [reason["code"] for reason in refused.json["reasons"]] == [
        reason["code"] for reason in made.json["ready_reasons"]
    ]
    assert all(reason["reason"] in refused.json["detail"] for reason in refused.json["reasons"])


async def test_lists_go_on_by_cursor(centre: Web) -> None:
    """Newest first, each campaign once."""
    caller = await centre.program(Role.SUPERVISOR)
    for name in ("one", "two", "three"):
        await caller.call("POST", "~/campaigns", {"name": name})
    first = (await caller.call("GET", "~/campaigns?limit=2")).json
    rest = (await caller.call("GET", f"~/campaigns?limit=2&cursor={first['next']}")).json
    assert [row["name"] for row in first["items"] + rest["items"]] == ["three", "two", "one"]
    assert rest["next"] is None
    assert (await caller.call("GET", "~/campaigns?status=running")).json["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "colour": "blue"}, "colour"),
        ({"name": "x", "ring_timeout_s": 1}, "ring_timeout_s"),
        ({"name": "x", "policy": "moon"}, "policy"),
        ({"name": "x", "trunks": [999]}, "trunks"),
        ({}, "name"),
    ],
)
async def test_a_wrong_field_is_named_in_the_reply(centre: Web, body: dict[str, Any], field: str) -> None:
    """422, with the field and the reason."""
    caller = await centre.program(Role.SUPERVISOR)
    reply = await caller.call("POST", "~/campaigns", body)
    assert (reply.status, [error["field"] for error in reply.json["errors"]]) == (422, [field])


async def test_the_parts_of_a_campaign(centre: Web) -> None:
    """Dispositions, leads, figures, policies and pause codes have their addresses."""
    caller = await centre.program(Role.SUPERVISOR)
    made = await caller.call("POST", "~/campaigns", {"name": "Весна"})
    path = f"~/campaigns/{made.json['id']}"
    sale = {"code": "sale", "label_ru": "Продажа", "label_en": "Sale", "kind": "sale"}
    replaced = await caller.call("PUT", f"{path}/dispositions", {"items": [sale]})
    assert [one["code"] for one in replaced.json] == ["sale"]
    assert (await caller.call("GET", f"{path}/dispositions")).json == replaced.json
    assert (await caller.call("GET", f"{path}/leads?status=new")).json == {"items": [], "next": None}
    figures = (await caller.call("GET", f"{path}/figures")).json
    assert (figures["total"]["attempts"], figures["total"]["connect_rate"]) == (0, None)
    assert "connect_rate" in figures["formulas"]
    span = "from=2026-05-04T00:00:00%2B03:00&until=2026-05-05T00:00:00%2B03:00"
    by_hour = await caller.call("GET", f"~/figures?group=hour&{span}")
    assert (by_hour.status, by_hour.json["rows"]) == (200, [])
    assert (await caller.call("GET", "~/figures?group=colour")).status == 422
    assert len((await caller.call("GET", "~/pause-codes")).json) > 3
    assert (await caller.call("DELETE", path)).status == 204
    assert (await caller.call("GET", path)).status == 404


async def test_an_agent_sees_what_work_needs_and_no_more(centre: Web) -> None:
    """Dispositions and pause codes; no campaigns, lines, leads or figures."""
    supervisor = await centre.program(Role.SUPERVISOR)
    made = await supervisor.call("POST", "~/campaigns", {"name": "Весна"})
    path = f"~/campaigns/{made.json['id']}"
    agent = await centre.program(Role.OPERATOR)
    for open_ in (f"{path}/dispositions", "~/pause-codes"):
        assert (await agent.call("GET", open_)).status == 200
    for closed in (
        "~/campaigns",
        path,
        f"{path}/leads",
        f"{path}/figures",
        "~/trunks",
        "~/figures?group=hour",
    ):
        assert (await agent.call("GET", closed)).status == 403
    for action in ("start", "pause", "resume", "stop"):
        assert (await agent.call("POST", f"{path}/{action}")).status == 403
    assert (await supervisor.call("POST", "~/trunks", TRUNK)).status == 403
