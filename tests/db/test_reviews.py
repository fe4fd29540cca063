"""Scores of talks: by whom, of whom, by which version of a form; calls drawn; calibration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from support.arrivals import arrived, published
from support.floor import TENANT, Floor, seated
from support.recordings import keep
from support.web import Caller, Web, serving

from dialer.clock import utc_now
from dialer.contacts.erasure import ErasureService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Actor, Role
from dialer.reviews import http
from dialer.reviews.drawing import Drawing
from dialer.reviews.forms import FormService
from dialer.reviews.model import Criterion, last_week
from dialer.reviews.service import ReviewService

BOSS = Actor(TENANT, None, Role.ADMINISTRATOR, "Somebody", "en")
CRITERIA = [
    {"key": "speech", "title": "Speech", "weight": 1},
    {"key": "listening", "title": "Listening", "weight": 3},
]


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application; no engine."""
    services: dict[Any, Any] = {
        http.REVIEWS: ReviewService(database),
        http.REVIEW_FORMS: FormService(database),
    }
    async with serving(database, database_url, tables=[http.routes], services=services) as running:
        yield running


async def a_form(caller: Caller) -> int:
    """A form of two criteria; its id."""
    made = await caller.call("POST", "~/reviews/forms", {"name": "Talks", "criteria": CRITERIA})
    assert made.status == 201, made.text
    assert made.json["version"] == 1
    found: int = made.json["id"]
    return found


async def scored(caller: Caller, call_id: object, form: int, *points: int | None, status: int = 200) -> Any:
    """The reply to scores of speech and listening."""
    scores = dict(zip(("speech", "listening"), points, strict=True))
    body = {"scores": scores, "comment": "Calm"}
    reply = await caller.call("PUT", f"~/calls/{call_id}/reviews/{form}", body)
    assert reply.status == status, reply.text
    return reply.json


async def test_a_talk_is_scored_and_the_agent_sees_it(floor: Floor, site: Web) -> None:
    """Quality scores, once each; the supervisor reads, an analyst without the words; the agent has the own,
    and nobody else's."""
    agent, seat = await seated(site, floor)
    stranger = await site.browser(Role.OPERATOR)
    mine = (await floor.hang_up(await floor.talk(seat, (await floor.leads(1))[0]))).attempt_id
    other = (await floor.hang_up(await floor.talk(await floor.seat()))).attempt_id
    quality, boss = await site.program(Role.QUALITY), await site.program(Role.SUPERVISOR)
    form = await a_form(quality)
    made = await scored(quality, mine, form, 5, 0)
    assert (made["total"], made["version"], made["agent_id"]) == (25, 1, seat.agent_id)
    again = await scored(quality, mine, form, 5, 4)
    assert (again["id"], again["total"], again["changed_at"] is None) == (made["id"], 85, False)
    await scored(await site.program(Role.QUALITY), mine, form, None, 5)
    await scored(quality, other, form, 1, 1)
    assert await scored(agent, mine, form, 5, 5, status=403)

    async def totals(caller: Caller, path: str = "~/reviews") -> list[float]:
        reply = await caller.call("GET", path)
        assert reply.status == 200, reply.text
        return [one["total"] for one in reply.json["items"]]

    assert await totals(boss) == [20, 100, 85]
    assert await totals(agent) == [100, 85]
    assert await totals(agent, f"~/reviews?agent={seat.agent_id + 1}") == []
    assert await totals(stranger) == []
    page = (await boss.call("GET", "~/reviews?limit=2")).json
    assert await totals(boss, f"~/reviews?limit=2&cursor={page['next']}") == [85]
    assert len((await agent.call("GET", f"~/calls/{mine}/reviews")).json) == 2
    assert (await agent.call("GET", f"~/calls/{other}/reviews")).status == 403
    (own,) = (await agent.call("GET", "~/reviews/figures")).json
    assert (own["reviews"], own["total"], own["criteria"]) == (2, 92.5, {"speech": 100, "listening": 90})
    assert len((await boss.call("GET", "~/reviews/figures")).json) == 2
    assert (await agent.call("GET", "~/reviews/tasks")).status == 403
    analyst = await site.program(Role.ANALYST)
    items = (await analyst.call("GET", "~/reviews")).json["items"]
    assert [(one["total"], one["comment"]) for one in items] == [(20, ""), (100, ""), (85, "")]


async def test_nobody_scores_a_talk_of_their_own(floor: Floor, site: Web) -> None:
    """A supervisor who works as an agent scores the talks of others, also in a calibration."""
    quality, boss = await site.program(Role.QUALITY), await site.program(Role.SUPERVISOR)
    assert boss.user is not None
    seat = await floor.seat(user=Actor(TENANT, boss.user.id, Role.SUPERVISOR, boss.user.name, "en"))
    own = (await floor.hang_up(await floor.talk(seat, (await floor.leads(1))[0]))).attempt_id
    other = (await floor.hang_up(await floor.talk(await floor.seat()))).attempt_id
    form = await a_form(quality)
    assert (await scored(boss, other, form, 5, 5))["total"] == 100
    refused = await scored(boss, own, form, 5, 5, status=409)
    assert "a talk of one's own" in refused["detail"]
    made = await quality.call("POST", f"~/calls/{own}/calibrations", {"form_id": form})
    assert made.status == 201, made.text
    path = f"~/reviews/calibrations/{made.json['id']}/scores"
    assert (await boss.call("PUT", path, {"scores": {"speech": 5}})).status == 409
    assert (await quality.call("PUT", path, {"scores": {"speech": 5}})).status == 200
    (only,) = (await boss.call("GET", "~/reviews")).json["items"]
    assert only["call_id"] == str(other)


@pytest.mark.parametrize("scores", [{"speech": 6}, {"speech": -1}, {"rhetoric": 1}, {"speech": None}, {}])
async def test_scores_are_of_the_form(floor: Floor, site: Web, scores: dict[str, Any]) -> None:
    """Its criteria, its points; one at least."""
    call = await floor.hang_up(await floor.talk(await floor.seat()))
    quality = await site.program(Role.QUALITY)
    path = f"~/calls/{call.attempt_id}/reviews/{await a_form(quality)}"
    assert (await quality.call("PUT", path, {"scores": scores})).status == 422


async def test_only_a_talk_of_an_agent_is_scored(floor: Floor, site: Web) -> None:
    """Whoever called; a call that nobody had is none."""
    quality = await site.program(Role.QUALITY)
    form = await a_form(quality)
    await scored(quality, (await floor.place()).attempt_id, form, 5, 5, status=409)
    await scored(quality, "00000000-0000-7000-8000-000000000000", form, 5, 5, status=404)
    await scored(quality, (await arrived(floor, await published(floor))).attempt_id, form, 5, 5, status=409)


async def test_scores_stay_with_the_version_that_they_were_made_by(floor: Floor, site: Web) -> None:
    """Other criteria are a new version; a form that is put aside takes no more."""
    quality = await site.program(Role.QUALITY)
    form = await a_form(quality)
    call = (await floor.hang_up(await floor.talk(await floor.seat()))).attempt_id
    first = await scored(quality, call, form, 5, 5)
    other = [*CRITERIA, {"key": "conflict", "title": "Conflict"}]
    path = f"~/reviews/forms/{form}"
    changed = await quality.call("PUT", path, {"name": "Talks", "criteria": other})
    assert changed.json["version"] == 2, changed.text
    same = await quality.call("PUT", path, {"name": "All talks", "criteria": other})
    assert (same.json["version"], same.json["name"]) == (2, "All talks")
    (kept,) = (await quality.call("GET", f"~/calls/{call}/reviews")).json
    assert (kept["version"], kept["scores"]) == (1, first["scores"])
    old = (await quality.call("GET", f"{path}/versions/1")).json
    assert [one["key"] for one in old["criteria"]] == ["speech", "listening"]
    aside = {"name": "All talks", "criteria": other, "active": False}
    assert (await quality.call("PUT", path, aside)).status == 200
    await scored(quality, call, form, 5, 5, status=409)
    taken = await quality.call("POST", "~/reviews/forms", {"name": "All talks", "criteria": CRITERIA})
    assert taken.status == 409
    twice = {"name": "B", "criteria": [CRITERIA[0], CRITERIA[0]]}
    assert (await quality.call("POST", "~/reviews/forms", twice)).status == 422
    boss = await site.program(Role.SUPERVISOR)
    assert (await boss.call("POST", "~/reviews/forms", {"name": "C", "criteria": CRITERIA})).status == 403


async def test_calls_of_the_last_week_are_drawn_once(floor: Floor, site: Web, tmp_path: Path) -> None:
    """Of that week alone, of talks with a recording that is long enough; a score makes a task done."""
    quality = await site.program(Role.QUALITY)
    form = await a_form(quality)
    week, begun, ended = last_week(utc_now(), ZoneInfo("Europe/Moscow"))
    busy, idle = await floor.seat(), await floor.seat()
    of_busy = []
    for n in range(6):
        call = await floor.hang_up(await floor.talk(busy if n < 5 else idle))
        of_busy.append(call.attempt_id)
        async with floor.database.tenant(TENANT) as conn:  # free for the next talk
            await conn.execute(t.agent_session.update().values(state="ready", attempt_id=None))
        at = begun + timedelta(hours=1 + n) if n != 4 else ended + timedelta(minutes=1)
        await keep(floor.database, tmp_path, call.attempt_id, at=at, seconds=1.0 if n == 3 else 4.0)
    body = {"form_id": form, "calls": 4, "least_s": 2}
    made = await quality.call("POST", "~/reviews/plans", body)
    assert made.status == 201, made.text
    drawing = Drawing(floor.database, Random(3))
    assert await drawing.draw() == 4
    assert await drawing.draw() == 0
    listed = (await quality.call("GET", "~/reviews/tasks?open=true")).json
    assert {one["week"] for one in listed} == {week.isoformat()}
    assert sorted(one["agent_id"] for one in listed) == [busy.agent_id] * 3 + [idle.agent_id]
    drawn = {one["call_id"] for one in listed}
    assert drawn == {str(one) for one in (*of_busy[:3], of_busy[5])}
    done = next(one for one in listed if one["agent_id"] == idle.agent_id)
    await scored(quality, done["call_id"], form, 4, 4)
    left = (await quality.call("GET", "~/reviews/tasks?open=true")).json
    assert {one["call_id"] for one in left} == drawn - {done["call_id"]}
    (finished,) = (await quality.call("GET", "~/reviews/tasks?open=false")).json
    assert (finished["total"], finished["duration_s"]) == (80, 4)
    plan = made.json["id"]
    off = await quality.call("PATCH", f"~/reviews/plans/{plan}", {"active": False})
    assert (off.json["active"], off.json["drawn_week"]) == (False, week.isoformat())
    assert (await quality.call("DELETE", f"~/reviews/plans/{plan}")).status == 204
    assert (await quality.call("GET", "~/reviews/tasks")).json == []


async def test_scorers_of_a_calibration_are_blind_until_it_is_closed(floor: Floor, site: Web) -> None:
    """Then all see all, and how far they are apart; it counts for no agent."""
    one, other = await site.program(Role.QUALITY), await site.program(Role.QUALITY)
    boss = await site.program(Role.SUPERVISOR)
    form = await a_form(one)
    call = (await floor.hang_up(await floor.talk(await floor.seat()))).attempt_id
    made = await one.call("POST", f"~/calls/{call}/calibrations", {"form_id": form, "reason": "May"})
    assert made.status == 201, made.text
    path = f"~/reviews/calibrations/{made.json['id']}"
    mine = {"scores": {"speech": 5, "listening": 4}}
    theirs = {"scores": {"speech": 1, "listening": None}, "comment": "Mumbles"}
    assert (await one.call("PUT", f"{path}/scores", {"scores": {"speech": 0, "listening": 0}})).status == 200
    assert (await one.call("PUT", f"{path}/scores", mine)).status == 200
    blind = (await other.call("GET", path)).json
    assert (blind["scorers"], blind["reviews"], blind["total"], blind["criteria"]) == (1, [], None, {})
    (seen,) = (await other.call("PUT", f"{path}/scores", theirs)).json["reviews"]
    assert seen["comment"] == "Mumbles"
    assert (await boss.call("GET", path)).json["reviews"] == []
    assert (await boss.call("POST", f"{path}/close")).status == 403
    closed = (await other.call("POST", f"{path}/close")).json
    assert [each["total"] for each in closed["reviews"]] == [85, 20]
    assert closed["total"] == {"least": 20, "most": 85, "mean": 52.5, "width": 65}
    assert closed["criteria"]["speech"] == {"least": 1, "most": 5, "mean": 3, "width": 4}
    assert closed["criteria"]["listening"]["width"] == 0
    assert (await boss.call("GET", path)).json["reviews"] == closed["reviews"]
    assert (await one.call("PUT", f"{path}/scores", mine)).status == 409
    assert (await boss.call("GET", "~/reviews")).json["items"] == []
    assert (await boss.call("GET", "~/reviews/figures")).json == []
    (listed,) = (await boss.call("GET", "~/reviews/calibrations")).json
    assert (listed["scorers"], listed["closed_at"] is None) == (2, False)


async def test_an_erasure_leaves_scores_without_words(floor: Floor, tmp_path: Path) -> None:
    """The agent's figures stay; what was written about the talk does not."""
    (lead,) = await floor.leads(1)
    call = await floor.hang_up(await floor.talk(await floor.seat(), lead))
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(t.attempt.update().values(state="ended", ended_at=utc_now(), result="answered"))
    scorer = await floor.user(Role.QUALITY)
    form = await FormService(floor.database).add(BOSS, "Talks", [Criterion("speech", "Speech")])
    service = ReviewService(floor.database)
    await service.score(scorer, call.attempt_id, form.id, {"speech": 4}, "Told of the divorce")
    await service.open_calibration(BOSS, call.attempt_id, form.id, "The divorce")
    contact = (await floor.row(t.lead, lead)).contact_id
    await ErasureService(floor.database, tmp_path).erase(BOSS, contact, never_again=False)
    (left,) = await service.reviews(BOSS)
    assert (left.total, left.comment) == (80, "")
    async with floor.database.tenant(TENANT) as conn:
        assert await conn.scalar(select(t.calibration.c.reason)) == ""
    async with floor.database.tenant(2) as conn:
        assert await conn.scalar(select(func.count()).select_from(t.review)) == 0
