"""What people do with calls: dispositions and their races, dialling by hand, looking, the log, recordings."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.event import listen, remove
from support.floor import TENANT, Floor, Seat, seated
from support.plans import steps
from support.promises import ROUND_THE_CLOCK
from support.web import Web, serving

from dialer.agents import store as agents
from dialer.agents.model import PAUSE_WRAP_UP_OVER, AgentState
from dialer.calls import call_log, wrapup_store
from dialer.calls import http as calls_http
from dialer.calls.call_log import Filter
from dialer.calls.commands import CommandDesk, CommandRunner
from dialer.calls.model import Call, HungUp, Result
from dialer.calls.service import CallService
from dialer.calls.wrapup_store import WrapUps
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.listen import ENGINE, MISSED, REPLIES, Listener
from dialer.db.session import Database, connect
from dialer.errors import BadNumber, Forbidden, Invalid, NotFound, NumberBusy, WrongState
from dialer.httpkit.access import Role
from dialer.ids import new_id
from dialer.recordings import http as recordings_http
from dialer.recordings.service import RecordingService
from dialer.settings import load
from scheduler import hopper


@dataclass(slots=True)
class FakeEngine:
    """The doing side of commands, without an Asterisk: notes what it is asked."""

    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    refuses: Exception | None = None
    attempt_id: UUID = field(default_factory=new_id)
    #: a command has come to it
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    #: it gets on with what it was asked
    works: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.works.set()

    async def take(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do one command."""
        self.asked.append((kind, payload))
        self.begun.set()
        await self.works.wait()
        if self.refuses is not None:
            raise self.refuses
        return {"attempt_id": str(self.attempt_id)}


@pytest.fixture
async def engine(database: Database, database_url: str) -> AsyncIterator[tuple[FakeEngine, CommandDesk]]:
    """A fake engine that is running, and the desk that asks it."""
    fake = FakeEngine()

    async def do(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return await fake.take(kind, payload)

    handlers = {
        kind: lambda _tenant, payload, kind=kind: do(kind, payload)
        for kind in ("hang_up", "dial_lead", "dial_number")
    }
    runner = CommandRunner(database, "main", lambda _tenant: range(1, 100), handlers)
    listener = Listener(database_url, (ENGINE, REPLIES))
    notes: asyncio.Queue[str] = asyncio.Queue()
    listener.subscribe(ENGINE, notes.put_nowait)
    desk = CommandDesk(database, listener)

    async def work() -> None:
        while True:
            await notes.get()
            await runner.run_all(TENANT)

    tasks = [asyncio.create_task(listener.run()), asyncio.create_task(work())]
    yield fake, desk
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def service(database: Database, engine: tuple[FakeEngine, CommandDesk]) -> CallService:
    """What can be done with calls."""
    return CallService(database, engine[1], load())


async def wrapped_up(floor: Floor, seat: Seat, lead_id: int | None = None) -> Call:
    """A talk whose customer has left and whose disposition is owed."""
    return await floor.hang_up(await floor.talk(seat, lead_id))


# -- dispositions --------------------------------------------------------------------------------------------


async def test_a_disposition_ends_the_wrap_up(floor: Floor, service: CallService) -> None:
    """Saved in wrap-up it ends the attempt, frees the agent, closes the lead and is told."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat()
    call = await wrapped_up(floor, seat, lead_id)
    view = await service.dispose(seat.actor, call.attempt_id, "sale", "купил два")

    row = await floor.row(t.attempt, call.attempt_id)
    assert (row.state, row.disposition_note, row.disposed_by) == ("ended", "купил два", seat.actor.user_id)
    assert (view.call.disposition_code, view.call.state) == ("sale", "ended")
    assert (await floor.shift(seat)).state is AgentState.READY
    lead = await floor.row(t.lead, lead_id)
    assert (lead.status, lead.closed_reason, lead.last_result) == ("closed", "sale", "answered")
    async with floor.database.tenant(TENANT) as conn:
        kinds = list(await conn.scalars(select(t.event.c.kind).order_by(t.event.c.id.desc()).limit(3)))
    assert sorted(kinds) == ["agent.state", "call.disposed", "call.state"]


@pytest.mark.parametrize("first", ["hang-up", "disposition", "both at once"])
async def test_the_race_of_disposition_and_hang_up(floor: Floor, service: CallService, first: str) -> None:
    """In either order, and at once, the attempt ends, the disposition is kept, the agent is freed once."""
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat()
    for _ in range(6 if first == "both at once" else 1):
        call = await floor.talk(seat, lead_id)
        save = service.dispose(seat.actor, call.attempt_id, "sale")
        end = floor.signals(call, HungUp(utc_now(), result=Result.FAILED, cause=16))
        if first == "hang-up":
            await end
            assert (await floor.shift(seat)).state is AgentState.WRAP_UP
            await save
        elif first == "disposition":
            await save
            assert (await floor.shift(seat)).state is AgentState.TALKING
            await end
        else:
            await asyncio.gather(save, end)
        row = await floor.row(t.attempt, call.attempt_id)
        assert (row.state, row.result) == ("ended", "answered")
        assert row.disposed_at is not None
        shift = await floor.shift(seat)
        assert (shift.state, shift.attempt_id) == (AgentState.READY, None)
        async with floor.database.tenant(TENANT) as conn:
            freed = await conn.scalar(
                select(func.count())
                .select_from(t.agent_time)
                .where(t.agent_time.c.state == "ready", t.agent_time.c.started_at >= call.created_at)
            )
        assert freed == 1
        lead = await floor.row(t.lead, lead_id)
        assert (lead.status, lead.closed_reason) == ("closed", "sale")
        async with floor.database.tenant(TENANT) as conn:
            await conn.execute(update(t.lead).values(status="waiting"))


async def test_a_callback_is_kept_through_the_hang_up(floor: Floor, service: CallService) -> None:
    """A callback saved while the talk goes on opens the lead for its moment, and is not dialled before."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.campaign).values(ROUND_THE_CLOCK))
    (lead_id,) = await floor.leads(1)
    seat = await floor.seat()
    call = await floor.talk(seat, lead_id)
    moment = utc_now() + timedelta(days=2)
    await service.dispose(seat.actor, call.attempt_id, "callback", callback_at=moment)
    await floor.hang_up(call)
    lead = await floor.row(t.lead, lead_id)
    assert (lead.status, lead.open_from) == ("waiting", moment)
    async with floor.database.tenant(TENANT) as conn:
        for at, many in ((moment - timedelta(seconds=1), 0), (moment, 1)):
            found = await hopper.claim(conn, TENANT, floor.campaign_id, 5, at, callbacks=True)
            assert len(found) == many


@pytest.mark.parametrize(
    ("code", "in_s", "field"),
    [("callback", -1, "callback_at"), ("callback", 400 * 86400, "callback_at"), ("sale", 60, "callback_at"),
     ("nothing", None, "code")],
)  # fmt: skip
async def test_wrong_dispositions(
    floor: Floor, service: CallService, code: str, in_s: int | None, field: str
) -> None:
    """A code that the campaign has not, or a callback in the past, is refused and changes nothing."""
    seat = await floor.seat()
    call = await wrapped_up(floor, seat)
    moment = utc_now() + timedelta(seconds=in_s) if in_s is not None else None
    with pytest.raises(Invalid) as refused:
        await service.dispose(seat.actor, call.attempt_id, code, callback_at=moment)
    assert refused.value.details["field"] == field
    assert (await floor.row(t.attempt, call.attempt_id)).state == "wrap_up"


async def test_who_may_save(floor: Floor, service: CallService) -> None:
    """Only the call's agent and supervisors save its disposition, and only of a talk."""
    seat, other = await floor.seat(), await floor.seat()
    call = await wrapped_up(floor, seat)
    with pytest.raises(Forbidden):
        await service.dispose(other.actor, call.attempt_id, "sale")
    await service.dispose(await floor.user(Role.SUPERVISOR), call.attempt_id, "sale")
    never = await floor.place()
    with pytest.raises(WrongState):
        await service.dispose(await floor.user(Role.SUPERVISOR), never.attempt_id, "sale")
    with pytest.raises(NotFound):
        await service.dispose(await floor.user(Role.SUPERVISOR), new_id(), "sale")


async def test_a_disposition_may_be_changed(floor: Floor, service: CallService) -> None:
    """Saved again it is another one, the log of changes knows, and a later call stays as it is."""
    seat = await floor.seat()
    first = await wrapped_up(floor, seat)
    await service.dispose(seat.actor, first.attempt_id, "sale")
    second = await floor.talk(seat)
    view = await service.dispose(seat.actor, first.attempt_id, "no-contact")
    assert view.call.disposition_code == "no-contact"
    shift = await floor.shift(seat)
    assert (shift.state, shift.attempt_id) == (AgentState.TALKING, second.attempt_id)
    async with floor.database.tenant(TENANT) as conn:
        actions = list(await conn.scalars(select(t.audit.c.action)))
    assert actions == ["call.dispose_again"]


@pytest.mark.parametrize(("asked", "then"), [(None, "ready"), ("break", "paused"), ("offline", "offline")])
async def test_after_the_wrap_up_limit(
    floor: Floor, service: CallService, asked: str | None, then: str
) -> None:
    """Over the limit the attempt ends and the agent is paused; the disposition, when it comes, sends the
    agent to what was asked for meanwhile."""
    seat = await floor.seat()
    call = await wrapped_up(floor, seat)
    late = utc_now() + timedelta(hours=1)
    async with floor.database.tenant(TENANT) as conn:
        if asked is not None:
            state = AgentState.OFFLINE if asked == "offline" else AgentState.PAUSED
            await agents.ask_next(conn, TENANT, seat.session_id, state, "break" if asked == "break" else None)
        await wrapup_store.end_overdue(conn, TENANT, [floor.campaign_id], late, WrapUps())
        over = await wrapup_store.shifts_over(conn, TENANT, [floor.campaign_id], late, WrapUps())
        assert over == [(call.attempt_id, seat.session_id)]
        await agents.move(
            conn,
            TENANT,
            seat.session_id,
            AgentState.PAUSED,
            utc_now(),
            leaving=(AgentState.WRAP_UP,),
            pause_code=PAUSE_WRAP_UP_OVER,
        )
    card = await service.card(seat.actor)
    assert card is not None
    assert card.call is not None
    assert card.call.id == call.attempt_id
    await service.dispose(seat.actor, call.attempt_id, "sale")
    shift = await floor.shift(seat)
    assert (shift.state, shift.pause_code) == (then, "break" if asked == "break" else None)


async def test_a_wrap_up_that_outlived_a_lost_phone(floor: Floor, service: CallService) -> None:
    """The phone was lost in wrap-up and came back after the limit: the disposition still frees the agent."""
    seat = await floor.seat()
    call = await wrapped_up(floor, seat)
    async with floor.database.tenant(TENANT) as conn:
        await agents.move(conn, TENANT, seat.session_id, AgentState.LOST, utc_now())
        await wrapup_store.end_overdue(
            conn, TENANT, [floor.campaign_id], utc_now() + timedelta(hours=1), WrapUps()
        )
        owed = await agents.owes_disposition(conn, TENANT, seat.session_id)
        assert owed == call.attempt_id
        await agents.move(conn, TENANT, seat.session_id, AgentState.WRAP_UP, utc_now(), attempt_id=owed)
    await service.dispose(seat.actor, call.attempt_id, "sale")
    assert (await floor.shift(seat)).state is AgentState.READY


# -- by hand -------------------------------------------------------------------------------------------------


@pytest.fixture
async def manual(database: Database) -> Floor:
    """A running campaign whose calls people start."""
    return await Floor.open(database, mode="manual")


async def test_a_number_is_dialled_by_hand(
    manual: Floor, service: CallService, engine: tuple[FakeEngine, CommandDesk]
) -> None:
    """A number written in any way goes to the engine as E.164 with its zones, and the click is on record."""
    seat = await manual.seat()
    made = await service.dial_number(seat.actor, manual.campaign_id, "8 (916) 123-45-67")
    assert made == engine[0].attempt_id
    ((kind, payload),) = engine[0].asked
    assert (kind, payload["e164"], payload["session_id"]) == (
        "dial_number",
        "+79161234567",
        str(seat.session_id),
    )
    assert "Europe/Moscow" in payload["timezones"]
    assert payload["user_id"] == seat.actor.user_id
    async with manual.database.tenant(TENANT) as conn:
        row = (await conn.execute(select(t.audit.c.action, t.audit.c.user_id, t.audit.c.details))).one()
    assert (row.action, row.user_id) == ("call.dial", seat.actor.user_id)
    assert "916123" not in str(row.details)


async def test_the_engine_refusal_comes_back(
    manual: Floor, service: CallService, engine: tuple[FakeEngine, CommandDesk]
) -> None:
    """What the engine refuses with is what the caller gets."""
    seat = await manual.seat()
    engine[0].refuses = NumberBusy()
    with pytest.raises(NumberBusy):
        await service.dial_number(seat.actor, manual.campaign_id, "+79161234567")


async def test_notes_that_may_have_been_missed_are_no_answer(
    manual: Floor, service: CallService, engine: tuple[FakeEngine, CommandDesk]
) -> None:
    """A listener that has come back wakes everyone who waits: whose command is not done waits on."""
    seat = await manual.seat()
    engine[0].works.clear()
    asked = asyncio.create_task(service.dial_number(seat.actor, manual.campaign_id, "+79161234567"))
    await engine[0].begun.wait()
    async with manual.database.tenant(TENANT) as conn:
        await conn.execute(select(func.pg_notify(REPLIES, MISSED)))
    ended, _ = await asyncio.wait({asked}, timeout=0.5)
    assert not ended
    engine[0].works.set()
    assert await asked == engine[0].attempt_id


async def test_when_nothing_is_dialled_by_hand(
    manual: Floor, service: CallService, engine: tuple[FakeEngine, CommandDesk]
) -> None:
    """No call by hand without a shift, a free agent, a saved disposition, a number, or in another mode."""
    async with manual.database.tenant(TENANT) as conn:
        other = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=TENANT, name="B", status="running", policy="default", mode="progressive")
            .returning(t.campaign.c.id)
        )
    assert other is not None
    free, owing, talking = await manual.seat(), await manual.seat(), await manual.seat()
    away, calling = await manual.seat(None), await manual.seat(AgentState.CALLING)
    await wrapped_up(manual, owing)
    await manual.talk(talking)
    number = "+79161234567"
    for seat in (owing, talking, away, calling):
        with pytest.raises(WrongState):
            await service.dial_number(seat.actor, manual.campaign_id, number)
    with pytest.raises(WrongState):
        await service.dial_number(free.actor, other, number)
    with pytest.raises(BadNumber):
        await service.dial_number(free.actor, manual.campaign_id, "12")
    with pytest.raises(NotFound):
        await service.dial_number(free.actor, 999, number)
    assert engine[0].asked == []


async def test_a_shown_lead_is_its_agents(
    database: Database, service: CallService, engine: tuple[FakeEngine, CommandDesk]
) -> None:
    """A lead that one agent is shown is dialled by that agent only."""
    floor = await Floor.open(database, mode="preview")
    lead_id, other_lead = await floor.leads(2)
    seat, other = await floor.seat(), await floor.seat()
    async with database.tenant(TENANT) as conn:
        await hopper.offered(conn, TENANT, lead_id)
        leaving = (AgentState.READY,)
        await agents.move(
            conn, TENANT, seat.session_id, AgentState.RESERVED, utc_now(), leaving=leaving, lead_id=lead_id
        )
    card = await service.card(seat.actor)
    assert card is not None
    assert (card.lead_id, card.call, card.number) == (lead_id, None, "+7916*****00")
    with pytest.raises(NotFound):
        await service.dial_lead(other.actor, lead_id)
    with pytest.raises(WrongState):
        await service.dial_lead(seat.actor, other_lead)
    await service.dial_lead(seat.actor, lead_id)
    assert [(kind, payload["lead_id"]) for kind, payload in engine[0].asked] == [("dial_lead", lead_id)]


async def test_what_is_asked_for_a_campaign_that_nobody_has_taken_yet(floor: Floor) -> None:
    """For one that runs it waits until a server has taken it; one that does not run is answered at once."""
    done: list[int] = []
    ours: set[int] = set()

    async def hang_up(_tenant: int, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        done.append(payload["campaign_id"])
        return {}

    runner = CommandRunner(floor.database, "main", lambda _tenant: ours, {"hang_up": hang_up})
    async with floor.database.tenant(TENANT) as conn:
        ended = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=TENANT, name="B", status="stopped", policy="default", mode="progressive")
            .returning(t.campaign.c.id)
        )
        for campaign_id in (floor.campaign_id, ended):
            payload = {"campaign_id": campaign_id}
            await conn.execute(
                insert(t.command).values(
                    tenant_id=TENANT, kind="hang_up", campaign_id=campaign_id, payload=payload
                )
            )
    await runner.run_all(TENANT)
    assert done == [ended]
    ours.add(floor.campaign_id)
    await runner.run_all(TENANT)
    assert done == [ended, floor.campaign_id]


async def test_hanging_up(floor: Floor, service: CallService, engine: tuple[FakeEngine, CommandDesk]) -> None:
    """An agent ends the own call, a supervisor anybody's, nobody else's agent does; an ended one stays so."""
    seat, other = await floor.seat(), await floor.seat()
    call = await floor.talk(seat)
    with pytest.raises(Forbidden):
        await service.hang_up(other.actor, call.attempt_id)
    await service.hang_up(seat.actor, call.attempt_id)
    await service.hang_up(await floor.user(Role.SUPERVISOR), call.attempt_id)
    assert [payload["by"] for _, payload in engine[0].asked] == ["agent", "server"]
    await floor.hang_up(call)
    with pytest.raises(WrongState):
        await service.hang_up(seat.actor, call.attempt_id)


# -- over HTTP -----------------------------------------------------------------------------------------------


@pytest.fixture
async def site(
    database: Database, database_url: str, service: CallService, tmp_path: Path
) -> AsyncIterator[Web]:
    """The web process with calls and recordings."""
    async with serving(
        database,
        database_url,
        tables=[calls_http.routes, recordings_http.routes],
        services={
            calls_http.CALLS: service,
            recordings_http.RECORDINGS: RecordingService(database, tmp_path / "recordings"),
        },
    ) as running:
        yield running


async def test_the_log_by_pages(floor: Floor, site: Web) -> None:
    """Supervisors see all attempts, newest first, page by page and filtered; agents those of their talks,
    with masked numbers."""
    boss = await site.browser(Role.SUPERVISOR)
    agent, seat = await seated(site, floor)
    leads = await floor.leads(5)
    calls = [await floor.place(lead_id) for lead_id in leads[:4]]
    await floor.signals(calls[0], HungUp(utc_now(), result=Result.BUSY))
    talk = await floor.talk(seat, leads[4])

    seen, cursor = [], ""
    while True:
        page = (await boss.call("GET", f"~/calls?limit=2{cursor}")).json
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [str(call.attempt_id) for call in (talk, *reversed(calls))]
    busy = (await boss.call("GET", "~/calls?result=busy")).json["items"]
    assert [(one["id"], one["number"]) for one in busy] == [(str(calls[0].attempt_id), "+79160000000")]
    one = (await boss.call("GET", "~/calls?number=8(916)000-00-02")).json["items"]
    assert [each["lead_id"] for each in one] == [leads[2]]
    assert (await boss.call("GET", f"~/calls?agent={seat.agent_id}")).json["items"][0]["id"] == seen[0]
    assert (await boss.call("GET", "~/calls?until=2020-01-01T00:00:00Z")).json["items"] == []
    assert (await boss.call("GET", "~/calls?result=nice")).status == 422
    own = (await agent.call("GET", "~/calls")).json["items"]
    assert [(each["id"], each["number"]) for each in own] == [(str(talk.attempt_id), "+7916*****04")]


async def test_one_call_and_its_card(floor: Floor, site: Web) -> None:
    """The card of a talk names the person and the choices; the call shows its steps, not to strangers."""
    boss = await site.browser(Role.SUPERVISOR)
    agent, seat = await seated(site, floor)
    stranger, _ = await seated(site, floor)
    assert (await agent.call("GET", "~/agents/me/card")).json == {"card": None}
    (lead_id,) = await floor.leads(1)
    talk = await floor.talk(seat, lead_id)
    card = (await agent.call("GET", "~/agents/me/card")).json["card"]
    assert card["person"]["last_name"] == "Петров0"
    assert card["person"]["phones"] == [{"number": "+7916*****00", "kind": "mobile"}]
    assert [one["code"] for one in card["choices"]] == ["sale", "callback", "no-contact", "do-not-call"]
    details = (await boss.call("GET", f"~/calls/{talk.attempt_id}")).json
    assert details["number"] == details["card"]["number"] == "+79160000000"
    assert [one["what"] for one in details["timeline"]] == ["created", "answered", "assigned", "connected"]
    assert (await stranger.call("GET", f"~/calls/{talk.attempt_id}")).status == 403
    assert (await boss.call("GET", f"~/calls/{new_id()}")).status == 404

    await floor.hang_up(talk)
    saved = await agent.call("PUT", f"~/calls/{talk.attempt_id}/disposition", {"code": "sale", "note": "да"})
    assert saved.status == 200, saved.text
    assert saved.json["disposition"]["note"] == "да"
    again = {"code": "callback", "callback_at": (utc_now() + timedelta(days=1)).isoformat()}
    assert (await agent.call("PUT", f"~/calls/{talk.attempt_id}/disposition", again)).status == 200
    assert (await agent.call("GET", "~/agents/me/card")).json == {"card": None}


async def test_the_log_as_csv(floor: Floor, site: Web, service: CallService) -> None:
    """Every attempt once over more than one piece, headers in the reader's language, formulas defused."""
    boss = await site.browser(Role.SUPERVISOR)
    agent, seat = await seated(site, floor)
    (lead_id,) = await floor.leads(1)
    call = await wrapped_up(floor, seat, lead_id)
    await service.dispose(seat.actor, call.attempt_id, "sale", '=HYPERLINK("http://x")\n+1')
    async with floor.database.tenant(TENANT) as conn:
        many = [
            {
                "tenant_id": TENANT,
                "id": new_id(),
                "campaign_id": floor.campaign_id,
                "e164": f"+7495{n:07}",
                "trunk_id": floor.trunk_id,
                "caller_id": "+74950000000",
                "mode": "power",
                "policy": "default/1",
                "state": "ended",
                "result": "busy",
                # Many of one moment: the pieces must not lose or repeat any.
                "created_at": datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
                "ended_at": utc_now(),
            }
            for n in range(2500)
        ]
        await conn.execute(insert(t.attempt), many)
    reply = await boss.call("GET", "~/calls.csv")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(reply.text.removeprefix("\ufeff"))))
    assert len(rows) == len({row["id"] for row in rows}) == 2501
    talk = rows[-1]
    assert (talk["e164"], talk["result"], talk["disposition"]) == ("+79160000000", "answered", "sale")
    assert talk["disposition_note"].startswith("'=HYPERLINK")
    assert (await agent.call("GET", "~/calls.csv")).status == 403
    old = await boss.call("GET", "~/calls.csv?from=2026-01-02T00:00:00Z&result=answered")
    assert len(old.text.strip().split("\r\n")) == 2
    pieces = [piece async for piece in service.log_file(await floor.user(Role.SUPERVISOR), Filter(), "ru")]
    assert pieces[0].decode("utf-8-sig").startswith("Звонок,Создан,Кампания")


async def test_listening(floor: Floor, site: Web, tmp_path: Path) -> None:
    """A whole recording is played, also in parts, to its agent and to supervisors; nothing outside the folder
    ever is."""
    boss = await site.browser(Role.SUPERVISOR)
    agent, seat = await seated(site, floor)
    stranger, _ = await seated(site, floor)
    folder = tmp_path / "recordings"
    (folder / "2026").mkdir(parents=True)
    (folder / "2026/talk.wav").write_bytes(bytes(range(200)))
    (tmp_path / "secret.wav").write_bytes(b"secret")
    talks = [await wrapped_up(floor, seat) for _ in range(1)]

    async def recorded(call: Call, path: str, status: str) -> str:
        async with floor.database.tenant(TENANT) as conn:
            await conn.execute(t.recording.delete())
            await conn.execute(
                insert(t.recording).values(
                    tenant_id=TENANT,
                    attempt_id=call.attempt_id,
                    path=path,
                    status=status,
                    started_at=utc_now(),
                )
            )
        return f"~/calls/{call.attempt_id}/recording"

    url = await recorded(talks[0], "2026/talk.wav", "writing")
    assert (await boss.call("GET", url)).status == 409
    await recorded(talks[0], "2026/talk.wav", "whole")
    for caller in (boss, agent):
        async with caller.http.get(
            caller.url + "/api/v1" + url[1:], headers={**caller.headers, "Range": "bytes=10-19"}
        ) as part:
            assert part.status == 206
            assert part.headers["Content-Type"] == "audio/wav"
            assert await part.read() == bytes(range(10, 20))
    assert (await stranger.call("GET", url)).status == 403
    details = (await agent.call("GET", f"~/calls/{talks[0].attempt_id}")).json
    assert details["recording_url"] == f"/api/v1{url[1:]}"
    for path in ("../secret.wav", str(tmp_path / "secret.wav"), "2026/none.wav", "2026"):
        await recorded(talks[0], path, "whole")
        assert (await boss.call("GET", url)).status == 404


# -- plans ---------------------------------------------------------------------------------------------------


async def test_the_questions_asked_often_use_an_index(
    floor: Floor, database_url: str, owner_url: str
) -> None:
    """Under row security the log, what is owed and overdue wrap-ups read no whole table of attempts."""
    owner = await connect(owner_url)
    try:
        await owner.execute(
            """
            INSERT INTO attempt (
                tenant_id, id, campaign_id, e164, trunk_id, caller_id, mode, policy, state, result,
                created_at, ended_at, connected_at, hung_up_at, disposed_at, session_id
            )
            SELECT 1, gen_random_uuid(), $1, '+7495' || n, $2, '+7495', 'power', 'default/1', 'ended',
                   'answered', now() - n * interval '1 second', now(), now(), now(), now(),
                   gen_random_uuid()
              FROM generate_series(1, 20000) n
            """,
            floor.campaign_id,
            floor.trunk_id,
        )
        await owner.execute("ANALYZE attempt")
    finally:
        await owner.close()
    asked: list[tuple[str, tuple[Any, ...]]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: tuple[Any, ...], *_: Any) -> None:
        asked.append((statement, parameters))

    seat = await floor.seat()
    engine = floor.database.engine.sync_engine
    listen(engine, "before_cursor_execute", note)
    try:
        async with floor.database.tenant(TENANT) as conn:
            after = utc_now() - timedelta(hours=1), new_id()
            await call_log.page(conn, TENANT, Filter(), after=after, limit=51)
            await call_log.page(conn, TENANT, Filter(agent_id=seat.agent_id), limit=51)
            await agents.owes_disposition(conn, TENANT, seat.session_id)
            limit: dict[str, Any] = {"now": utc_now(), "running": [], "over": []}
            wrap_ups = await wrapup_store.END_OVERDUE.explain(
                conn, tenant_id=TENANT, campaigns=[floor.campaign_id], **limit
            )
    finally:
        remove(engine, "before_cursor_execute", note)
    app = await connect(database_url)
    try:
        await app.execute("SELECT set_config('dozvon.tenant', '1', false)")
        plans = []
        for statement, parameters in asked:
            rows = await app.fetch(f"EXPLAIN {statement}", *parameters)
            plans.append("\n".join(row[0] for row in rows))
    finally:
        await app.close()
    assert len(plans) == 3
    for plan in plans:
        assert "Seq Scan on attempt" not in plan, plan
    looks = list(steps(wrap_ups[0]["Plan"]))
    assert any(node.get("Relation Name") == "attempt" for node in looks)
    assert ("Seq Scan", "attempt") not in {(node["Node Type"], node.get("Relation Name")) for node in looks}
