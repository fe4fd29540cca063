"""The page and the API that tell why the pace was what it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert
from support.stage import TENANT, Stage
from support.web import Web

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.httpkit.access import Actor, Role

INPUTS = {
    "ready": 1, "agents": 6, "in_air": 9, "expected_answers": 2.4, "price": 0.081, "allowed": 0.06,
    "answer_probability": 0.31, "live": 200, "abandoned": 5, "limit": 0.03,
}  # fmt: skip


async def decided(stage: Stage, ago_s: float, dial: int, why: str) -> datetime:
    """A decision of so long ago."""
    at = utc_now() - timedelta(seconds=ago_s)
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(
            insert(t.pacing_tick).values(
                tenant_id=TENANT, campaign_id=stage.campaign_id, at=at, dial=dial, why=why, inputs=INPUTS
            )
        )
    return at


async def test_why_nothing_was_dialled(pages: Web, stage: Stage) -> None:
    """Asked for some minutes, page and API name the reason that held, with its numbers, in the reader's
    language; curves are drawn."""
    async with stage.database.tenant(TENANT) as conn:
        await conn.execute(delete(t.pacing_tick))
    await decided(stage, 900, 3, "within_budget")
    begun = await decided(stage, 600, 0, "price_over")
    await decided(stage, 120, 2, "within_budget")
    since, until = begun + timedelta(minutes=2), begun + timedelta(minutes=5)
    path = f"/campaigns/{stage.campaign_id}/pace"
    program = await pages.program(Role.SUPERVISOR)
    span = f"?from={quote(since.isoformat())}&until={quote(until.isoformat())}"
    told = (await program.call("GET", f"~{path}{span}")).json
    assert (told["dialled"], [(one["why"], one["seconds"]) for one in told["reasons"]]) == (
        0,
        [("price_over", 180.0)],
    )
    assert told["reasons"][0]["inputs"]["price"] == 0.081
    zone = ZoneInfo("Europe/Moscow")
    here = "&".join(
        f"{name}={at.astimezone(zone):%Y-%m-%dT%H:%M:%S}" for name, at in (("from", since), ("until", until))
    )
    for language, words in (("en", "a risk of 8.1 %, allowed are 6 %"), ("ru", "8,1 %, допустимо 6 %")):
        user = await pages.user(Role.SUPERVISOR)
        await pages.users.change(Actor.server(TENANT), user.id, locale=language)
        person = await pages.browser(Role.SUPERVISOR, user=user)
        reply = await person.call("GET", f"{path}?{here}")
        assert (reply.status, reply.headers["Content-Language"]) == (200, language)
        assert words in reply.text
    hour = await person.call("GET", path)
    assert hour.text.count("<polyline") >= 5
    whole = (await program.call("GET", f"~{path}")).json
    assert (whole["dialled"], len(whole["stretches"])) == (5, 3)


async def test_a_wrong_time_is_told_in_its_field(pages: Web, stage: Stage) -> None:
    """More than a day, the end before the beginning, and no time at all are refused; another's campaign is
    not there."""
    person = await pages.browser(Role.SUPERVISOR)
    path = f"/campaigns/{stage.campaign_id}/pace"
    for query in (
        "from=2026-01-01T00:00&until=2026-01-03T00:00",
        "from=2026-01-02&until=2026-01-01",
        "from=x",
    ):
        reply = await person.call("GET", f"{path}?{query}")
        assert reply.status == 422
        assert 'id="fault-from"' in reply.text
    assert (await person.call("GET", "/campaigns/999/pace")).status == 404
    agent = await pages.program(Role.OPERATOR)
    assert (await agent.call("GET", f"~{path}")).status == 403
