"""What happened to a person, from all the rows that say so."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update
from support import people
from support.came import came_in
from support.floor import TENANT, Floor
from support.imports import BOSS, Lists
from support.promises import at_noon, open_floor, promised

from dialer.agents.model import AgentState
from dialer.callbacks.making import Asked
from dialer.callbacks.service import CallbackService, Change
from dialer.clock import utc_now
from dialer.compliance.policy import Purpose
from dialer.contacts import consents, history, store
from dialer.contacts.agreed import NewConsent
from dialer.contacts.history import Kind
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.donotcall.model import Refusal, Source
from dialer.donotcall.service import DoNotCallService
from dialer.httpkit.access import Role
from dialer.ids import new_id
from dialer.settings import load
from scheduler import promised as promised_rows

NUMBER, OTHER = "+79161234567", "+79160000001"
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


@pytest.fixture
async def person(database: Database) -> int:
    """A contact of one list with a number, a call, a typed call at the number, and a consent withdrawn."""
    now = utc_now()
    async with database.tenant(1) as conn:
        list_id = await store.add_list(conn, 1, "Весна")
        assert list_id is not None
        found, stranger = [await people.card(conn, list_id, [NUMBER], name) for name in ("Иванов", "Петров")]
        campaign = await conn.scalar(
            insert(t.campaign).values(tenant_id=1, name="A", policy="us-tsr").returning(t.campaign.c.id)
        )
        trunk = await conn.scalar(
            insert(t.trunk)
            .values(tenant_id=1, name="T", endpoint="t", caller_id="+74950000000", allowed_prefixes=["+7"])
            .returning(t.trunk.c.id)
        )
        made = {
            "tenant_id": 1, "campaign_id": campaign, "trunk_id": trunk, "caller_id": "+74950000000",
            "mode": "progressive", "policy": "us-tsr/1", "state": "ended", "result": "no_answer",
            "ended_at": now,
        }  # fmt: skip
        for contact_id, e164, ago in (
            (found, NUMBER, 5),
            (None, NUMBER, 4),
            (stranger, NUMBER, 3),
            (None, OTHER, 2),
        ):
            await conn.execute(
                insert(t.attempt).values(
                    **made,
                    id=new_id(),
                    contact_id=contact_id,
                    e164=e164,
                    created_at=now - timedelta(hours=ago),
                )
            )
        ids = await consents.add_many(
            conn, 1, [NewConsent(found, Purpose.SURVEY, "form", now - timedelta(days=1))], None
        )
        await consents.withdraw(conn, 1, found, ids[0], None)
        await history.add(conn, 1, found, Kind.CHANGED, None, {"last_name": ["Иваноф", "Иванов"]})
        await history.add(conn, 1, stranger, Kind.CHANGED, None, {"last_name": ["Петроф", "Петров"]})
    return found


async def test_everything_of_a_person_and_of_nobody_else(database: Database, person: int) -> None:
    """Own calls, calls to a typed number of theirs, lists, consents and changes are told; a stranger's call
    to the same number is not."""
    async with database.tenant(1) as conn:
        told = await history.page(conn, 1, person, limit=50)
    assert sorted(one.source for one in told) == ["call", "call", "consent", "event", "list", "withdrawal"]
    assert [one.at for one in told] == sorted((one.at for one in told), reverse=True)
    (change,) = (one for one in told if one.source == "event")
    assert (change.kind, change.by, change.detail) == ("changed", None, {"last_name": ["Иваноф", "Иванов"]})
    call = next(one for one in told if one.source == "call")
    assert UUID(call.key)
    assert (call.detail["campaign"], call.detail["result"], call.detail["recording"]) == (
        "A",
        "no_answer",
        False,
    )


async def test_calls_that_came_in_are_told(database: Database, person: int) -> None:
    """With reason, way, wait and talk; one that nobody served is missed; one from a number of theirs that was
    nobody's yet is theirs, and a stranger's from it is not."""
    now = utc_now()
    async with database.tenant(1) as conn:
        campaign = await conn.scalar(select(t.campaign.c.id))
        assert campaign is not None
        stranger = await conn.scalar(select(t.contact.c.id).where(t.contact.c.last_name == "Петров"))
        talk = await came_in(
            conn, campaign, now - HOUR, contact_id=person, e164=NUMBER, result="answered", reason="цена",
            queue="Продажи",  queued_at=now - 100 * SECOND, connected_at=now - 80 * SECOND,
            hung_up_at=now - 20 * SECOND,
        )  # fmt: skip
        missed = await came_in(conn, campaign, now, e164=NUMBER, result="abandoned", queue="Продажи")
        await came_in(conn, campaign, now, contact_id=stranger, e164=NUMBER, result="left")
        for n, state in enumerate(("menu", "sales")):
            await conn.execute(
                insert(t.flow_step).values(
                    tenant_id=1, call_id=talk, n=n, flow="reception", state=state, at=now
                )
            )
        told = [one for one in await history.page(conn, 1, person, limit=50) if one.source == "inbound"]
    assert [(one.kind, one.key) for one in told] == [("missed", str(missed)), ("inbound", str(talk))]
    detail = told[1].detail
    assert (detail["reason"], detail["queue"], detail["campaign"]) == ("цена", "Продажи", "A")
    assert (detail["way"], detail["wait_s"], detail["talk_s"]) == (["menu", "sales"], 20, 60)
    assert (told[0].detail["way"], told[0].detail["talk_s"]) == ([], None)


async def test_a_promised_call_is_told_from_its_making_to_its_end(database: Database) -> None:
    """As it was promised, each change with who and when, put off once for one reason, missed and promised
    anew, taken back by whom; one that was kept by the call."""
    floor = await open_floor(database)
    lead_id, other_id = await floor.leads(2)
    seat = await floor.seat(AgentState.READY)
    service, noon = CallbackService(database), at_noon()
    boss = await floor.user(Role.SUPERVISOR)
    contact_id = (await floor.row(t.lead, lead_id)).contact_id

    async def told(whose: int = contact_id) -> list[history.Entry]:
        async with database.tenant(TENANT) as conn:
            found = await history.page(conn, TENANT, whose, limit=50)
        return [one for one in reversed(found) if "callback_id" in one.detail]

    asked = Asked(noon, noon + HOUR, "Europe/Moscow", seat.agent_id, note="о ремонте")
    made = await service.make(boss, floor.campaign_id, contact_id, asked)
    await service.change(boss, made.id, Change(note="о покраске"))  # neither when nor who
    await service.change(boss, made.id, Change(noon + HOUR, anyone=True))
    async with database.tenant(TENANT) as conn:
        for hours, filter_ in ((3, "limits"), (4, "limits"), (5, "hours")):
            await promised_rows.put_off(conn, TENANT, made.id, noon + hours * HOUR, filter_)
        missed = {"state": "missed", "reason": "no_answer", "ended_at": utc_now()}
        await conn.execute(update(t.callback).values(**missed))
    first, moved, off, again, lost = await told()
    assert (first.source, first.kind, first.by) == ("callback", "callback", boss.name)
    assert first.detail["agent"] == seat.actor.name
    assert datetime.fromisoformat(first.detail["from_at"]) == noon
    assert datetime.fromisoformat(first.detail["until_at"]) == noon + HOUR
    assert (moved.kind, moved.by) == ("callback_moved", boss.name)
    assert moved.detail["agent"] == [first.detail["agent"], None]
    assert [datetime.fromisoformat(one) for one in moved.detail["from_at"]] == [noon, noon + HOUR]
    assert [(one.kind, one.by, one.detail["moved"]) for one in (off, again)] == [
        ("callback_put_off", None, "limits"),
        ("callback_put_off", None, "hours"),
    ]
    assert (lost.source, lost.kind, lost.by) == ("callback_end", "callback_missed", None)

    await service.change(boss, made.id, Change(noon + 2 * HOUR))
    await service.cancel(boss, made.id, "передумал")
    kinds = [(one.kind, one.by, one.detail.get("reason")) for one in await told()]
    assert [one[0] for one in kinds] == [
        "callback", "callback_moved", "callback_put_off", "callback_put_off", "callback_missed",
        "callback_moved", "callback_canceled",
    ]  # fmt: skip
    assert kinds[4] == ("callback_missed", None, "no_answer")
    assert kinds[6] == ("callback_canceled", boss.name, "передумал")

    kept = await promised(floor, other_id)
    async with database.tenant(TENANT) as conn:
        done = {"state": "done", "reason": "answered", "ended_at": utc_now()}
        await conn.execute(update(t.callback).where(t.callback.c.id == kept.id).values(**done))
    (_, end) = await told(kept.contact_id)
    assert (end.kind, end.by, end.detail["reason"]) == ("callback_done", None, "answered")


async def test_who_is_not_to_be_called_is_told(database: Database, person: int) -> None:
    """Each entry that names a number of the person, and its removal, with who; not one of an area, nor of
    another's number."""
    boss = await Floor(database, 0, 0, 0).user(Role.ADMINISTRATOR)
    service = DoNotCallService(database, load())
    asked = Refusal(Source.OPERATOR, reason="просил")
    made = await service.add(boss, [NUMBER], [], asked)
    await service.add(boss, [OTHER], ["7 916"], asked)
    await service.remove(boss, made.ids[0], "передумал")
    async with database.tenant(TENANT) as conn:
        told = await history.page(conn, TENANT, person, limit=50)
    end, begin = [one for one in told if one.source.startswith("refusal")]
    assert [(one.source, one.by) for one in (begin, end)] == [
        ("refusal", boss.name),
        ("refusal_end", boss.name),
    ]
    assert (begin.detail["e164"], begin.detail["reason"], begin.detail["source"]) == (
        NUMBER,
        "просил",
        "operator",
    )
    assert end.detail["reason"] == "передумал"


async def test_a_file_that_changes_a_card_is_named(database: Database, tmp_path: Path) -> None:
    """Values and numbers that an import has brought say from which file."""
    lists = await Lists.open(database, tmp_path)
    await lists.bring(lists.spring, "89160000001;;\n")
    await lists.bring(lists.summer, "89160000001;89160000002;Анна\n")
    (anna,) = await lists.service.contacts(BOSS, number="89160000002")
    async with database.tenant(TENANT) as conn:
        told = await history.page(conn, TENANT, anna.id, limit=50)
    changes = {one.kind: one.detail for one in told if one.source == "event"}
    assert changes.keys() == {"changed", "phone_added"}
    assert {one["file"] for one in changes.values()} == {"весна.csv"}


async def test_pages_leave_nothing_out(database: Database, person: int) -> None:
    """Entry by entry, also where several have one moment, the pages are the whole."""
    async with database.tenant(1) as conn:
        await history.add_all(conn, 1, [(person, Kind.CHANGED, None, {"n": n}) for n in range(12)])
        whole = await history.page(conn, 1, person, limit=100)
        assert len(whole) == 18
        pieces: list[history.Entry] = []
        while page := await history.page(
            conn,
            1,
            person,
            limit=1,
            after=(pieces[-1].at, pieces[-1].source, pieces[-1].key) if pieces else None,
        ):
            pieces += page
    assert pieces == whole


async def test_a_visit_is_told(database: Database) -> None:
    """When it was booked, for when, where, and what became of it."""
    floor = await open_floor(database)
    (lead_id,) = await floor.leads(1)
    contact_id, at = (await floor.row(t.lead, lead_id)).contact_id, at_noon()
    booked = {"contact_id": contact_id, "campaign_id": floor.campaign_id, "call_id": new_id(), "at": at}
    async with database.tenant(TENANT) as conn:
        await conn.execute(
            insert(t.visit).values(tenant_id=TENANT, place="Main street", state="kept", **booked)
        )
        told = await history.page(conn, TENANT, contact_id, limit=10)
    (visit,) = [one for one in told if one.source == "visit"]
    assert datetime.fromisoformat(visit.detail["at"]) == at
    assert (visit.detail["place"], visit.detail["state"]) == ("Main street", "kept")
