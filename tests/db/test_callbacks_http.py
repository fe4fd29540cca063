"""Promised calls over HTTP and on pages: whose they are, what is said, what cannot be done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select, update
from support.floor import TENANT, Floor, seated
from support.promises import at_noon, on_list, open_floor, promised, row
from support.web import Caller, Web, serving

from dialer.agents import http as agents_http
from dialer.agents.service import AgentService
from dialer.callbacks import http as callbacks_http
from dialer.callbacks.service import CallbackService
from dialer.calls import http as calls_http
from dialer.calls.commands import CommandDesk
from dialer.calls.service import CallService
from dialer.clock import utc_now
from dialer.contacts.people import PersonService
from dialer.contacts.people_http import PEOPLE
from dialer.db import tables as t
from dialer.db.listen import REPLIES, Listener
from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.settings import load
from dialer.web.pages import add_pages


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign."""
    return await open_floor(database)


@pytest.fixture
async def site(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Web]:
    """The application with its pages; no engine."""
    settings = load(data_dir=tmp_path)
    desk = CommandDesk(database, Listener(database_url, (REPLIES,)))
    services: Mapping[web.AppKey[Any], Any] = {
        agents_http.AGENTS: AgentService(database, managed=False),
        calls_http.CALLS: CallService(database, desk, settings),
        callbacks_http.CALLBACKS: CallbackService(database),
        PEOPLE: PersonService(database, settings),
    }
    tables = [calls_http.routes, callbacks_http.routes]
    async with serving(
        database, database_url, tables=tables, services=services, settings=settings, pages=add_pages
    ) as running:
        yield running


async def test_a_talk_promises_a_call_of_its_agent(floor: Floor, site: Web) -> None:
    """By the person's clock, with the note; the reply says when it is dialled."""
    agent, seat = await seated(site, floor)
    (lead_id,) = await floor.leads(1)
    talk = await floor.hang_up(await floor.talk(seat, lead_id))
    noon = at_noon().replace(hour=12, tzinfo=None)  # in Moscow
    body = {
        "code": "callback", "note": "после обеда", "callback_at": noon.isoformat(),
        "callback_until": (noon + timedelta(hours=1)).isoformat(), "callback_personal": True,
    }  # fmt: skip
    saved = await agent.call("PUT", f"~/calls/{talk.attempt_id}/disposition", body)
    assert saved.status == 200, saved.text
    made = saved.json["callback"]
    assert (made["agent_id"], made["zone"], made["moved"]) == (seat.agent_id, "Europe/Moscow", None)
    assert made["due_at"][:16] == (noon - timedelta(hours=3)).isoformat()[:16]
    assert (made["note"], made["made_in"], made["stage"]) == ("после обеда", str(talk.attempt_id), "waiting")
    # Said again, the talk has one promise; said otherwise, none.
    body["callback_at"] = (noon + timedelta(minutes=30)).isoformat()
    again = (await agent.call("PUT", f"~/calls/{talk.attempt_id}/disposition", body)).json["callback"]
    assert again["id"] != made["id"]
    assert (await row(floor, made["id"])).reason == "replaced"
    await agent.call("PUT", f"~/calls/{talk.attempt_id}/disposition", {"code": "sale"})
    assert (await row(floor, again["id"])).state == "canceled"
    assert (await floor.row(t.lead, lead_id)).closed_reason == "sale"


async def test_a_number_of_nobody_is_promised_nothing(floor: Floor, site: Web) -> None:
    """It is said, not forgotten."""
    agent, seat = await seated(site, floor)
    talk = await floor.hang_up(await floor.talk(seat))
    body = {"code": "callback", "callback_at": at_noon().isoformat()}
    refused = await agent.call("PUT", f"~/calls/{talk.attempt_id}/disposition", body)
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "callback_at")


async def test_an_agent_has_the_own_ones(floor: Floor, site: Web) -> None:
    """Sees, moves and hands them over; those of others and the bulk are the supervisor's."""
    agent, seat = await seated(site, floor)
    _, other = await seated(site, floor)
    boss = await site.browser(Role.SUPERVISOR)
    first, second = await floor.leads(2)
    mine = await promised(floor, first, due_s=600, agent_id=seat.agent_id)
    theirs = await promised(floor, second, due_s=300, agent_id=other.agent_id)
    seen = (await agent.call("GET", "~/callbacks")).json["items"]
    assert [one["id"] for one in seen] == [mine.id]
    assert "79160000000" not in str(seen)
    assert [one["id"] for one in (await boss.call("GET", "~/callbacks")).json["items"]] == [
        theirs.id,
        mine.id,
    ]
    assert (await agent.call("GET", f"~/callbacks/{theirs.id}")).status == 403
    assert (await agent.call("PATCH", f"~/callbacks/{theirs.id}", {"anyone": True})).status == 403
    assert (await agent.call("POST", f"~/callbacks/{theirs.id}/cancel", {"reason": "x"})).status == 403
    many = {"ids": [theirs.id], "anyone": True}
    assert (await agent.call("POST", "~/callbacks/change", many)).status == 403
    moved = await agent.call("PATCH", f"~/callbacks/{mine.id}", {"agent_id": other.agent_id})
    assert (moved.status, moved.json["agent_id"]) == (200, other.agent_id)
    assert (await agent.call("GET", f"~/callbacks/{mine.id}")).status == 403


async def test_an_agent_promises_for_oneself_to_the_own_people(floor: Floor, site: Web) -> None:
    """Not for a colleague, and to nobody whom the agent has never had on the line."""
    agent, seat = await seated(site, floor)
    _, other = await seated(site, floor)
    first, second = await floor.leads(2)
    await on_list(floor)
    known, stranger = [(await floor.row(t.lead, one)).contact_id for one in (first, second)]
    await floor.hang_up(await floor.talk(seat, first))
    body = {"campaign_id": floor.campaign_id, "contact_id": known, "at": at_noon().isoformat()}
    assert (await agent.call("POST", "~/callbacks", {**body, "contact_id": stranger})).status == 403
    assert (await agent.call("POST", "~/callbacks", {**body, "agent_id": other.agent_id})).status == 403
    made = await agent.call("POST", "~/callbacks", {**body, "agent_id": seat.agent_id})
    assert (made.status, made.json["agent_id"]) == (201, seat.agent_id)
    outlook = f"~/callbacks/outlook?campaign={floor.campaign_id}&contact={known}"
    assert (await agent.call("GET", outlook)).json["zones"] == ["Europe/Moscow"]


async def test_a_person_whom_the_campaign_had_not(floor: Floor, site: Web) -> None:
    """Gets a lead with the promise."""
    boss = await site.browser(Role.SUPERVISOR)
    (lead_id,) = await floor.leads(1)
    await on_list(floor)
    contact_id = (await floor.row(t.lead, lead_id)).contact_id
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(t.lead.delete())
        await conn.execute(update(t.campaign).values(lead_order="newest"))
    body = {"campaign_id": floor.campaign_id, "contact_id": contact_id, "at": at_noon().isoformat()}
    made = (await boss.call("POST", "~/callbacks", body)).json
    lead = await floor.row(t.lead, made["lead_id"])
    assert (lead.contact_id, lead.hold, lead.status) == (contact_id, "callback", "waiting")
    assert lead.sort_key < 0  # its place among those of its list, for when nobody calls back


async def test_an_ill_agents_callbacks_at_once(floor: Floor, site: Web) -> None:
    """Given to anybody, moved, canceled; what is over meanwhile is left."""
    boss = await site.browser(Role.SUPERVISOR)
    _, seat = await seated(site, floor)
    leads = await floor.leads(3)
    made = [await promised(floor, one, due_s=600, agent_id=seat.agent_id) for one in leads]
    ids = [one.id for one in made]
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.callback).where(t.callback.c.id == ids[2]).values(state="done"))
    given = await boss.call("POST", "~/callbacks/change", {"ids": ids, "anyone": True})
    assert given.json == {"changed": 2, "left": [{"id": ids[2], "state": "done"}]}
    nobodys = await boss.call("POST", "~/callbacks/change", {"ids": [999], "anyone": True})
    assert nobodys.json == {"changed": 0, "left": [{"id": 999, "state": None}]}
    assert [(await row(floor, one)).agent_id for one in ids] == [None, None, seat.agent_id]
    await boss.call("POST", "~/callbacks/change", {"ids": ids, "move_by_s": 3600})
    after = await row(floor, ids[0])
    assert after.due_at == made[0].due_at + timedelta(hours=1)
    await boss.call("POST", "~/callbacks/change", {"ids": ids[:2], "cancel": "заболел"})
    assert {(await row(floor, one)).state for one in ids[:2]} == {"canceled"}
    both = {"ids": ids, "anyone": True, "cancel": "x"}
    assert (await boss.call("POST", "~/callbacks/change", both)).status == 422


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"at": "2020-01-01T10:00:00+00:00"}, 422, "at"),
        ({"until": "2020-01-01T10:00:00+00:00"}, 422, "until"),
        ({"zone": "Mars/Base"}, 422, "zone"),
        ({"agent_id": 999}, 404, "agent"),
        ({"campaign_id": 999}, 404, "campaign"),
        ({"contact_id": 999}, 404, "contact"),
    ],
)
async def test_what_cannot_be_promised(
    floor: Floor, site: Web, body: dict[str, Any], status: int, said: str
) -> None:
    """In the past, in no zone, by nobody, for what there is not: it is said of the field that was sent."""
    boss = await site.browser(Role.SUPERVISOR)
    (lead_id,) = await floor.leads(1)
    contact_id = (await floor.row(t.lead, lead_id)).contact_id
    whole = {"campaign_id": floor.campaign_id, "contact_id": contact_id, "at": at_noon().isoformat(), **body}
    refused = await boss.call("POST", "~/callbacks", whole)
    assert refused.status == status, refused.text
    assert (refused.json["what"] if status == 404 else refused.json["field"]) == said


async def test_a_time_that_no_clock_shows_is_refused(floor: Floor, site: Web) -> None:
    """In the night in which clocks are put forward, as the beginning and as the end; on the card too."""
    boss = await site.browser(Role.SUPERVISOR)
    (lead_id,) = await floor.leads(1)
    contact_id = (await floor.row(t.lead, lead_id)).contact_id
    body = {"campaign_id": floor.campaign_id, "contact_id": contact_id, "zone": "Europe/Berlin"}
    night = next_sunday_of_march()
    for times, field in (
        ({"at": f"{night}T02:30"}, "at"),
        ({"at": f"{night}T01:30", "until": f"{night}T02:30"}, "until"),
    ):
        refused = await boss.call("POST", "~/callbacks", body | times)
        assert (refused.status, refused.json["field"]) == (422, field)
        assert "skipped there that night" in refused.json["reason"]
    asked = f"/callbacks/outlook?campaign={floor.campaign_id}&contact={contact_id}&zone=Europe/Berlin"
    assert "skipped there that night" in (await boss.call("GET", f"{asked}&at={night}T02:30")).text


def next_sunday_of_march() -> date:
    """The last one, on which clocks are put forward in Berlin."""
    today = utc_now().date()
    lasts = [date(year, 3, 31) for year in (today.year, today.year + 1)]
    nights = [last - timedelta(days=(last.weekday() + 1) % 7) for last in lasts]
    return next(night for night in nights if night > today)


async def test_refusals_are_said_in_the_readers_words(floor: Floor, site: Web) -> None:
    """No code of ours stands in a Russian sentence; programs have it beside."""
    boss = await site.browser(Role.SUPERVISOR)
    (lead_id,) = await floor.leads(1)
    contact_id = (await floor.row(t.lead, lead_id)).contact_id
    made = await promised(floor, lead_id, due_s=600)
    russian = {"Accept-Language": "ru"}
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.app_user).values(locale="ru"))
    await boss.call("POST", f"~/callbacks/{made.id}/cancel", {"reason": "x"})
    again = await boss.call("POST", f"~/callbacks/{made.id}/cancel", {"reason": "x"}, headers=russian)
    assert "уже отменён" in again.json["detail"]
    body = {"campaign_id": floor.campaign_id, "contact_id": contact_id, "at": at_noon().isoformat()}
    for closed, said in (("do_not_call", "в списке «не звонить»"), ("duplicate", "закрыт как дубль")):
        async with floor.database.tenant(TENANT) as conn:
            await conn.execute(update(t.lead).values(status="closed", closed_reason=closed))
        refused = await boss.call("POST", "~/callbacks", body, headers=russian)
        assert (refused.status, said in refused.json["detail"]) == (409, True), refused.text
        assert closed not in refused.json["detail"]


async def test_hours_with_nothing_in_common_say_what_to_mend(database: Database, site: Web) -> None:
    """A number that may be at both ends of the country, in a campaign of half an hour."""
    floor = await open_floor(database, call_from="12:00", call_until="12:30")
    boss = await site.browser(Role.SUPERVISOR)
    (lead_id,) = await floor.leads(1)
    contact_id = (await floor.row(t.lead, lead_id)).contact_id
    async with database.tenant(TENANT) as conn:
        await conn.execute(update(t.lead).values(timezones=["Europe/Kaliningrad", "Asia/Kamchatka"]))
    body = {"campaign_id": floor.campaign_id, "contact_id": contact_id, "at": at_noon().isoformat()}
    refused = await boss.call("POST", "~/callbacks", body)
    assert (refused.status, refused.json["code"]) == (409, "no_common_hours")
    assert "a zone on the person's card settles" in refused.json["detail"]


async def test_the_list_by_pages(floor: Floor, site: Web) -> None:
    """By when they are due, filtered by agent, state and time."""
    boss = await site.browser(Role.SUPERVISOR)
    _, seat = await seated(site, floor)
    leads = await floor.leads(5)
    made = [
        await promised(floor, one, due_s=60 * n, agent_id=seat.agent_id if n % 2 else None)
        for n, one in enumerate(leads, start=1)
    ]
    first = (await boss.call("GET", "~/callbacks?limit=3")).json
    rest = (await boss.call("GET", f"~/callbacks?limit=3&cursor={first['next']}")).json
    assert [one["id"] for one in first["items"] + rest["items"]] == [one.id for one in made]
    assert rest["next"] is None
    own = (await boss.call("GET", f"~/callbacks?agent={seat.agent_id}")).json["items"]
    assert [one["id"] for one in own] == [made[n].id for n in (0, 2, 4)]
    assert len((await boss.call("GET", "~/callbacks?anyone=true")).json["items"]) == 2
    assert (await boss.call("GET", "~/callbacks?state=done")).json["items"] == []


# -- pages ---------------------------------------------------------------------------------------------------


async def send(caller: Caller, path: str, **fields: str) -> tuple[int, str]:
    """Post a form; the status and where it leads, or the page."""
    token = caller.headers["X-CSRF-Token"]
    reply = await caller.call("POST", path, data={"csrf_token": token, **fields})
    return reply.status, reply.headers.get("Location", reply.text)


async def test_the_calendar_shows_what_is_late_first(floor: Floor, site: Web) -> None:
    """A supervisor sees everybody's by week and day, an agent the own ones."""
    boss = await site.browser(Role.SUPERVISOR)
    agent, seat = await seated(site, floor)
    leads = await floor.leads(3)
    await promised(floor, leads[0], due_s=-3600, agent_id=seat.agent_id, note="спешит")
    await promised(floor, leads[1], due_s=60)
    await promised(floor, leads[2], due_s=-7200)
    async with floor.database.tenant(TENANT) as conn:
        missed = {"state": "missed", "reason": "busy", "ended_at": utc_now()}
        await conn.execute(update(t.callback).where(t.callback.c.lead_id == leads[2]).values(missed))
    for view in ("week", "day"):
        text = (await boss.call("GET", f"/callbacks?view={view}")).text
        late, not_reached = text.index("Due and late"), text.index("Not reached")
        assert late < text.index("Петров0") < not_reached < text.index("Петров2", not_reached)
        assert "спешит" in text
        assert 'name="ids"' in text
    own = (await agent.call("GET", "/callbacks")).text
    assert "Петров0" in own
    assert "Петров1" not in own
    assert 'name="ids"' not in own


async def test_what_a_gone_agent_promised_stands_in_front(floor: Floor, site: Web) -> None:
    """With boxes to give it to somebody else, however far off it is; no such agent can be chosen."""
    boss = await site.browser(Role.SUPERVISOR)
    _, seat = await seated(site, floor)
    (lead_id,) = await floor.leads(1)
    made = await promised(floor, lead_id, due_s=30 * 86400, agent_id=seat.agent_id)
    assert "works here no more" not in (await boss.call("GET", "/callbacks")).text
    async with floor.database.tenant(TENANT) as conn:
        user = select(t.agent.c.user_id).where(t.agent.c.id == seat.agent_id).scalar_subquery()
        await conn.execute(update(t.app_user).where(t.app_user.c.id == user).values(disabled_at=utc_now()))
    text = (await boss.call("GET", "/callbacks")).text
    assert "Their agent works here no more" in text
    assert f'name="ids" value="{made.id}"' in text
    assert f'<option value="{seat.agent_id}"' not in text
    assert (await boss.call("GET", f"~/callbacks/{made.id}")).json["agent_gone"] is True


async def test_pages_move_hand_over_and_cancel(floor: Floor, site: Web) -> None:
    """What the forms send is done; what is wrong stands at its field."""
    boss = await site.browser(Role.SUPERVISOR)
    agent, seat = await seated(site, floor)
    (lead_id,) = await floor.leads(1)
    made = await promised(floor, lead_id, due_s=600, agent_id=seat.agent_id)
    page = f"/callbacks/{made.id}"
    assert "Another time or another agent" in (await agent.call("GET", page)).text
    wanted = at_noon()
    noon = wanted.replace(hour=12, tzinfo=None).isoformat()[:16]
    status, where = await send(agent, page, at=noon, zone="Europe/Moscow", agent="anyone", note="важно")
    assert (status, where) == (303, "/callbacks")  # it is nobody's own now
    one = await row(floor, made.id)
    assert (one.agent_id, one.note, one.due_at) == (None, "важно", wanted)
    status, text = await send(boss, page, at="2020-01-01T10:00", zone="Europe/Moscow", agent="anyone")
    assert (status, "must be in the future" in text) == (422, True)
    status, _ = await send(boss, f"{page}/cancel", reason="передумал")
    assert status == 303
    assert (await row(floor, made.id)).reason == "передумал"


async def test_only_the_agent_is_changed_where_only_that_is_asked(floor: Floor, site: Web) -> None:
    """A late callback that is handed over keeps its promised time, and is due at once."""
    boss = await site.browser(Role.SUPERVISOR)
    _, seat = await seated(site, floor)
    (lead_id,) = await floor.leads(1)
    made = await promised(floor, lead_id, due_s=-3600)
    at = (made.from_at + timedelta(hours=3)).replace(tzinfo=None).isoformat()[:16]
    fields = {"at": at, "zone": made.zone, "agent": str(seat.agent_id), "away": "wait", "note": ""}
    assert (await send(boss, f"/callbacks/{made.id}", **fields))[0] == 303
    one = await row(floor, made.id)
    assert (one.agent_id, one.due_at, one.from_at, one.away) == (
        seat.agent_id, made.due_at, made.from_at, "wait",
    )  # fmt: skip


async def test_a_card_promises(floor: Floor, site: Web) -> None:
    """The form has the person's campaigns and clock; while a time is typed it says when it is dialled."""
    boss = await site.browser(Role.SUPERVISOR)
    (lead_id,) = await floor.leads(1)
    contact_id = (await floor.row(t.lead, lead_id)).contact_id
    form = f"/contacts/{contact_id}/callback"
    text = (await boss.call("GET", form)).text
    assert "Весна" in text
    assert "Europe/Moscow" in text
    noon = at_noon().replace(hour=12, tzinfo=None).isoformat()[:16]
    fields = {"campaign": str(floor.campaign_id), "at": noon, "zone": "Europe/Moscow", "agent": ""}
    asked = f"/callbacks/outlook?campaign={floor.campaign_id}&contact={contact_id}&at={noon}"
    assert "12:00 there" in (await boss.call("GET", asked)).text
    status, where = await send(boss, form, **fields)
    assert status == 303
    assert "Saved" in (await boss.call("GET", where)).text
    shown = (await boss.call("GET", f"/contacts/{contact_id}/callbacks")).text
    assert where.partition("?")[0] in shown
    status, text = await send(boss, form, **{**fields, "at": "nonsense"})
    assert status == 422


async def test_the_bulk_form(floor: Floor, site: Web) -> None:
    """Gives those that are ticked to an agent; without any it says so."""
    boss = await site.browser(Role.SUPERVISOR)
    _, seat = await seated(site, floor)
    (lead_id,) = await floor.leads(1)
    made = await promised(floor, lead_id, due_s=60)
    assert (await send(boss, "/callbacks/change", what=str(seat.agent_id)))[0] == 422
    status, where = await send(
        boss, "/callbacks/change", what=str(seat.agent_id), ids=str(made.id), here="/callbacks?view=day"
    )
    assert (status, where) == (303, "/callbacks?view=day")
    assert (await row(floor, made.id)).agent_id == seat.agent_id


async def test_asking_locks_nobody(floor: Floor, site: Web) -> None:
    """What would become of a time is told while a call holds the lead: who only asks waits for nobody."""
    boss = await site.browser(Role.SUPERVISOR)
    (lead_id,) = await floor.leads(1)
    contact_id = (await floor.row(t.lead, lead_id)).contact_id
    query = f"campaign={floor.campaign_id}&contact={contact_id}&at={at_noon():%Y-%m-%dT%H:%M}"
    async with floor.database.tenant(TENANT) as held:
        await held.execute(select(t.lead.c.id).where(t.lead.c.id == lead_id).with_for_update())
        async with asyncio.timeout(20):
            reply = await boss.call("GET", f"~/callbacks/outlook?{query}")
    assert (reply.status, reply.json["due_at"] is not None) == (200, True)
