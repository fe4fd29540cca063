"""Agents' shifts: one truth, whoever asks at once; what agents can do, over HTTP too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from support.floor import NODE, TENANT, Floor, Seat
from support.web import Web, serving

from dialer.agents import http as agents_http
from dialer.agents import people, store
from dialer.agents.model import PAUSE_WRAP_UP_OVER, AgentState
from dialer.agents.service import AgentService
from dialer.calls import matching
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Forbidden, Invalid, WrongState
from dialer.httpkit.access import Role
from dialer.ids import new_id
from dialer.queues.choosing import choose
from dialer.queues.model import Need, Waiting
from scheduler import hopper


@pytest.fixture
def service(database: Database) -> AgentService:
    """What agents can do."""
    return AgentService(database, managed=True)


async def reserve(floor: Floor, skill: str | None = None) -> int | None:
    """The agent who is reserved for a new call now."""
    while True:
        async with floor.database.tenant(TENANT) as conn:
            shifts = await store.open_shifts(conn, TENANT)
            free = [matching.free(each) for each in shifts if each.state is AgentState.READY]
            needs = (Need(skill),) if skill else ()
            new = Waiting(new_id(), None, utc_now(), needs=needs, inbound=False, node=NODE)
            pairs = choose([new], free, {}, utc_now())
            if not pairs:
                return None
            if await store.reserve(conn, TENANT, pairs[0].session_id, utc_now(), attempt_id=new.call_id):
                return pairs[0].agent_id


async def test_the_longest_idle_with_the_skill(floor: Floor) -> None:
    """The agent who has been idle longest and has the skill is chosen; nobody is chosen twice."""
    now = utc_now()
    new = await floor.seat(idle_since=now - timedelta(minutes=1), skills=["en"])
    old = await floor.seat(idle_since=now - timedelta(minutes=9))
    middle = await floor.seat(idle_since=now - timedelta(minutes=5), skills=["en"])
    await floor.seat(AgentState.PAUSED, idle_since=now - timedelta(hours=1), skills=["en"])
    found = [await reserve(floor, "en"), await reserve(floor), await reserve(floor), await reserve(floor)]
    assert found == [middle.agent_id, old.agent_id, new.agent_id, None]


async def test_the_highest_rank_comes_first_and_of_equals_the_longest_idle(floor: Floor) -> None:
    """However long others have waited, who has the highest rank of those with the skill takes the call; ranks
    that are equal go by the idle time."""
    now = utc_now()
    low = await floor.seat(rank=1, idle_since=now - timedelta(hours=3), skills=["en"])
    top = await floor.seat(rank=9, idle_since=now - timedelta(seconds=1))
    new = await floor.seat(rank=7, idle_since=now - timedelta(minutes=1), skills=["en"])
    old = await floor.seat(rank=7, idle_since=now - timedelta(minutes=9), skills=["en"])
    usual = await floor.seat(idle_since=now - timedelta(hours=2))
    found = [await reserve(floor, "en"), await reserve(floor), await reserve(floor, "en")]
    assert found == [old.agent_id, top.agent_id, new.agent_id]
    assert [await reserve(floor), await reserve(floor), await reserve(floor)] == [
        usual.agent_id, low.agent_id, None,
    ]  # fmt: skip


async def test_a_rank_counts_from_the_next_call_on(floor: Floor, service: AgentService) -> None:
    """A supervisor changes a rank while the agents work: the very next call goes by it."""
    now = utc_now()
    old = await floor.seat(idle_since=now - timedelta(minutes=9))
    new = await floor.seat(idle_since=now - timedelta(minutes=1))
    boss = await floor.user(Role.SUPERVISOR)
    await service.change(boss, new.agent_id, rank=6)
    with pytest.raises(Forbidden):
        await service.change(old.actor, old.agent_id, rank=9)
    assert [await reserve(floor), await reserve(floor)] == [new.agent_id, old.agent_id]


async def test_skills_count_from_the_next_call_on(floor: Floor, service: AgentService) -> None:
    """An agent who was given another skill gets its calls, and no more those of the old one."""
    seat, boss = await floor.seat(skills=["en"]), await floor.user(Role.SUPERVISOR)
    await service.change(boss, seat.agent_id, skills=["kz", "kz"])
    assert await reserve(floor, "en") is None
    assert await reserve(floor, "kz") == seat.agent_id


@pytest.mark.parametrize("rank", [0, 10])
async def test_no_row_has_another_rank(floor: Floor, rank: int) -> None:
    """The database itself holds ranks between 1 and 9."""
    seat = await floor.seat(None)
    with pytest.raises(IntegrityError, match="agent_rank_check"):
        async with floor.database.tenant(TENANT) as conn:
            await people.change_agent(conn, TENANT, seat.agent_id, {"rank": rank})


async def test_two_at_once_never_get_the_same_agent(floor: Floor) -> None:
    """Of 16 callers at once for 10 agents each agent goes to exactly one, and six get none."""
    seats = [await floor.seat(rank=1 + n % 4) for n in range(10)]
    found = await asyncio.gather(*(reserve(floor) for _ in range(16)))
    assert sorted(one for one in found if one is not None) == sorted(seat.agent_id for seat in seats)


async def test_a_reservation_is_a_change_of_state_like_others(floor: Floor) -> None:
    """The shift is told as it stands now, its time goes on under the call, and the others hear of it; what
    the agent has asked for after the next call is kept."""
    seat, attempt_id, at = await floor.seat(), new_id(), utc_now()
    async with floor.database.tenant(TENANT) as conn:
        await store.ask_next(conn, TENANT, seat.session_id, AgentState.PAUSED, "break")
        before = await store.find_shift(conn, TENANT, seat.session_id)
        assert await store.reserve(conn, TENANT, seat.session_id, at, attempt_id=attempt_id)
        event = (await conn.execute(select(t.event).order_by(t.event.c.id.desc()).limit(1))).one()
        stretch = (await conn.execute(select(t.agent_time).where(t.agent_time.c.ended_at.is_(None)))).one()
    assert before is not None
    after = replace(before, state=AgentState.RESERVED, state_since=at, attempt_id=attempt_id)
    assert await floor.shift(seat) == after
    assert (stretch.state, stretch.attempt_id, stretch.started_at) == ("reserved", attempt_id, at)
    assert (event.kind, event.agent_id) == ("agent.state", seat.agent_id)
    assert (event.payload["state"], event.payload["attempt_id"]) == ("reserved", str(attempt_id))


async def test_a_reserved_agent_starts_no_call_of_their_own(floor: Floor) -> None:
    """An agent who was chosen for a waiting customer cannot be taken for a call by hand."""
    seat = await floor.seat()
    await reserve(floor)
    async with floor.database.tenant(TENANT) as conn:
        assert not await store.reserve_own(conn, TENANT, seat.session_id, new_id(), None, utc_now())


async def test_who_dials_from_a_pause_goes_back_to_it(floor: Floor) -> None:
    """After a call that an agent started in a pause the pause goes on."""
    seat = await floor.seat(AgentState.PAUSED)
    attempt_id = new_id()
    async with floor.database.tenant(TENANT) as conn:
        assert await store.reserve_own(conn, TENANT, seat.session_id, attempt_id, None, utc_now())
        await store.release(conn, TENANT, seat.session_id, attempt_id, utc_now())
    shift = await floor.shift(seat)
    assert (shift.state, shift.pause_code, shift.next_state) == (AgentState.PAUSED, "login", None)


async def test_a_release_for_another_call_does_nothing(floor: Floor) -> None:
    """Only the call that an agent belongs to can let the agent go."""
    seat = await floor.seat()
    call = await floor.talk(seat)
    async with floor.database.tenant(TENANT) as conn:
        await store.release(conn, TENANT, seat.session_id, new_id(), utc_now())
    assert (await floor.shift(seat)).attempt_id == call.attempt_id


async def test_one_open_shift(floor: Floor, service: AgentService) -> None:
    """Two log-ins at once, as from two tabs, begin one shift."""
    seat = await floor.seat(None)
    both = await asyncio.gather(*(service.log_in(seat.actor, seat.agent_id) for _ in range(4)))
    assert len({shift.id for shift in both}) == 1
    assert both[0].state is AgentState.CALLING
    assert not both[0].phone_up


async def test_pause_in_a_talk_comes_after_it(floor: Floor, service: AgentService) -> None:
    """A pause asked for in a talk waits for the end of the wrap-up; `ready` takes it back."""
    seat = await floor.seat()
    call = await floor.talk(seat)
    asked = await service.pause(seat.actor, seat.agent_id, "break")
    assert (asked.state, asked.next_state, asked.next_pause_code) == (
        AgentState.TALKING,
        AgentState.PAUSED,
        "break",
    )
    taken_back = await service.ready(seat.actor, seat.agent_id)
    assert taken_back.next_state is None
    await service.log_out(seat.actor, seat.agent_id)
    await floor.hang_up(call)
    async with floor.database.tenant(TENANT) as conn:
        await store.release(conn, TENANT, seat.session_id, call.attempt_id, utc_now())
    assert (await floor.shift(seat)).state is AgentState.OFFLINE


async def test_a_log_in_takes_back_a_log_out_that_waits(floor: Floor, service: AgentService) -> None:
    """Who logged out in a call and is back before its end stays: the shift goes on after the call."""
    seat = await floor.seat()
    call = await floor.talk(seat)
    waits = await service.log_out(seat.actor, seat.agent_id)
    assert waits is not None and waits.next_state is AgentState.OFFLINE
    back = await service.log_in(seat.actor, seat.agent_id)
    assert (back.id, back.next_state) == (seat.session_id, None)
    await floor.hang_up(call)
    async with floor.database.tenant(TENANT) as conn:
        await store.release(conn, TENANT, seat.session_id, call.attempt_id, utc_now())
    assert (await floor.shift(seat)).state is AgentState.READY


@pytest.mark.parametrize("code", ["nothing", PAUSE_WRAP_UP_OVER, "login"])
async def test_unknown_pause_codes(floor: Floor, service: AgentService, code: str) -> None:
    """A pause needs a code of the tenant's own; the server's own codes are not for people."""
    seat = await floor.seat()
    with pytest.raises(Invalid):
        await service.pause(seat.actor, seat.agent_id, code)
    assert (await floor.shift(seat)).state is AgentState.READY


async def test_no_pause_before_the_phone_is_up(floor: Floor, service: AgentService) -> None:
    """An agent whose phone is being called can only wait or log out."""
    seat = await floor.seat(AgentState.CALLING)
    for act in (
        service.pause(seat.actor, seat.agent_id, "break"),
        service.ready(seat.actor, seat.agent_id),
    ):
        with pytest.raises(WrongState):
            await act
    assert await service.log_out(seat.actor, seat.agent_id) is None


async def test_a_pause_never_takes_an_agent_from_a_customer(floor: Floor, service: AgentService) -> None:
    """Whatever comes first of a pause and a reservation, the agent is in the call or out of the pool."""
    for n in range(12):
        seat = await floor.seat()
        found, _ = await asyncio.gather(reserve(floor), service.pause(seat.actor, seat.agent_id, "break"))
        shift = await floor.shift(seat)
        if found is None:
            assert (shift.state, shift.pause_code) == (AgentState.PAUSED, "break"), n
        else:
            assert (shift.state, shift.next_state) == (AgentState.RESERVED, AgentState.PAUSED), n
            assert shift.attempt_id is not None


async def _offer(floor: Floor, seat: Seat, lead_id: int) -> None:
    async with floor.database.tenant(TENANT) as conn:
        await hopper.offered(conn, TENANT, lead_id)
        leaving = (AgentState.READY,)
        await store.move(
            conn, TENANT, seat.session_id, AgentState.RESERVED, utc_now(), leaving=leaving, lead_id=lead_id
        )


@pytest.mark.parametrize(
    ("act", "state", "place"),
    [("pause", AgentState.PAUSED, 0), ("log_out", AgentState.OFFLINE, 0), ("skip", AgentState.READY, 2)],
)
async def test_a_shown_lead_goes_back(
    floor: Floor, service: AgentService, act: str, state: AgentState, place: int
) -> None:
    """Who pauses or leaves gives the shown lead back to its place; who skips it sends it to the end."""
    leads = await floor.leads(3)
    seat = await floor.seat()
    await _offer(floor, seat, leads[0])
    if act == "pause":
        await service.pause(seat.actor, seat.agent_id, "break")
    elif act == "log_out":
        await service.log_out(seat.actor, seat.agent_id)
    else:
        await service.skip_lead(seat.actor, seat.agent_id)
    assert (await floor.shift(seat)).state is state
    async with floor.database.tenant(TENANT) as conn:
        order = [one.id for one in await hopper.claim(conn, TENANT, floor.campaign_id, 9, utc_now())]
    assert order.index(leads[0]) == place


async def test_others_need_the_right(floor: Floor, service: AgentService) -> None:
    """An agent moves only the own shift; a supervisor anybody's."""
    seat, other = await floor.seat(), await floor.seat()
    with pytest.raises(Forbidden):
        await service.pause(other.actor, seat.agent_id, "break")
    boss = await floor.user(Role.SUPERVISOR)
    assert (await service.pause(boss, seat.agent_id, "break")).state is AgentState.PAUSED


async def test_time_is_kept_by_state(floor: Floor, service: AgentService) -> None:
    """Each state of a shift leaves one stretch of time, and only the last is open."""
    seat = await floor.seat()
    await service.pause(seat.actor, seat.agent_id, "break")
    await service.ready(seat.actor, seat.agent_id)
    await service.log_out(seat.actor, seat.agent_id)
    async with floor.database.tenant(TENANT) as conn:
        states = list(await conn.scalars(select(t.agent_time.c.state).order_by(t.agent_time.c.id)))
        open_ = select(func.count()).select_from(t.agent_time).where(t.agent_time.c.ended_at.is_(None))
        assert await conn.scalar(open_) == 0
    assert states == ["calling", "paused", "ready", "paused", "ready"]


# -- over HTTP -----------------------------------------------------------------------------------------------


@pytest.fixture
async def site(database: Database, database_url: str, service: AgentService) -> AsyncIterator[Web]:
    """The web process with agents."""
    async with serving(
        database, database_url, tables=[agents_http.routes], services={agents_http.AGENTS: service}
    ) as running:
        yield running


async def test_an_agent_is_made_and_works(floor: Floor, site: Web, database: Database) -> None:
    """A supervisor makes a user an agent and sees the phone's password once; the agent logs in, is ready,
    pauses and logs out."""
    boss = await site.browser(Role.SUPERVISOR)
    user = await site.user(Role.OPERATOR)
    body = {"user_id": user.id, "name": "Анна", "endpoint": "anna", "skills": ["en"]}
    made = await boss.call("POST", "~/agents", body)
    assert made.status == 201
    assert len(made.json["sip_password"]) >= 20
    assert made.json["shift"] is None
    agent_id = made.json["id"]
    assert (await boss.call("POST", "~/agents", body)).status == 409

    agent = await site.browser(Role.OPERATOR, user=user)
    entered = await agent.call("POST", "~/agents/me/login")
    assert (entered.json["shift"]["state"], entered.json["shift"]["phone_up"]) == ("calling", False)
    assert (await agent.call("POST", "~/agents/me/ready")).status == 409
    async with database.tenant(TENANT) as conn:
        shift = await store.shift_of_agent(conn, TENANT, agent_id)
        assert shift is not None
        await store.set_leg(conn, TENANT, shift.id, new_id(), was=None, node=NODE)
        await store.move(conn, TENANT, shift.id, AgentState.PAUSED, utc_now(), pause_code="login")
    ready = await agent.call("POST", "~/agents/me/ready")
    assert (ready.json["shift"]["state"], ready.json["shift"]["phone_up"]) == ("ready", True)
    paused = await boss.call("POST", f"~/agents/{agent_id}/pause", {"code": "break"})
    assert paused.json["shift"]["pause_code"] == "break"
    assert (await agent.call("POST", "~/agents/me/skip-lead")).status == 409
    assert (await agent.call("GET", "~/agents")).status == 403
    everybody = await boss.call("GET", "~/agents")
    assert [one["shift"]["state"] for one in everybody.json] == ["paused"]
    left = await agent.call("POST", "~/agents/me/logout")
    assert left.json["shift"] is None
    assert "password" not in (await boss.call("GET", f"~/agents/{agent_id}")).text


async def test_whose_user_is_disabled_works_here_no_more(floor: Floor, site: Web) -> None:
    """One agent and all of them say so, and nobody logs them in; until the user is enabled again."""
    boss, seat = await site.browser(Role.ADMINISTRATOR), await floor.seat()
    user, agent = f"~/users/{seat.actor.user_id}", f"~/agents/{seat.agent_id}"
    for disabled in (True, False):
        assert (await boss.call("PATCH", user, {"disabled": disabled})).status < 300
        assert (await boss.call("GET", agent)).json["enabled"] is not disabled
        (listed,) = (await boss.call("GET", "~/agents")).json
        assert listed["enabled"] is not disabled
        entered = await boss.call("POST", f"{agent}/login")
        assert entered.status == (409 if disabled else 200), entered.text


async def test_a_rank_is_set_and_changed(floor: Floor, site: Web) -> None:
    """A new agent has the rank 5 or what is asked for; a change leaves the skills as they are, and the other
    way round."""
    boss = await site.browser(Role.SUPERVISOR)
    made = []
    for n, rank in enumerate(({}, {"rank": 9})):
        user = await site.user(Role.OPERATOR)
        body = {"user_id": user.id, "name": "Анна", "endpoint": f"anna-{n}", "skills": ["en"]}
        made.append((await boss.call("POST", "~/agents", body | rank)).json)
    assert [one["rank"] for one in made] == [5, 9]
    path = f"~/agents/{made[0]['id']}"
    changed = (await boss.call("PATCH", path, {"rank": 2})).json
    assert (changed["rank"], changed["skills"]) == (2, ["en"])
    changed = (await boss.call("PATCH", path, {"skills": ["vip", "en"]})).json
    assert (changed["rank"], changed["skills"]) == (2, ["en", "vip"])
    assert (await boss.call("GET", path)).json["rank"] == 2
    assert (await boss.call("PATCH", "~/agents/999999", {"rank": 2})).status == 404
    agent = await site.browser(Role.OPERATOR, user=user)
    assert (await agent.call("PATCH", path, {"rank": 9})).status == 403


@pytest.mark.parametrize(
    ("rank", "reason"),
    [(0, "must be 1 or more"), (10, "must be 9 or less"), ("high", "must be a whole number")],
)
async def test_ranks_that_there_are_not(floor: Floor, site: Web, rank: object, reason: str) -> None:
    """Another rank than 1 to 9 is refused by name, for a new agent and for one that is there."""
    boss, seat = await site.browser(Role.SUPERVISOR), await floor.seat(None)
    body = {"user_id": 1, "name": "x", "endpoint": "x", "rank": rank}
    for refused in (
        await boss.call("POST", "~/agents", body),
        await boss.call("PATCH", f"~/agents/{seat.agent_id}", {"rank": rank}),
    ):
        assert refused.status == 422
        assert [(one["field"], one["reason"]) for one in refused.json["errors"]] == [("rank", reason)]


@pytest.mark.parametrize("endpoint", ["dozvon-trunk", "trunk-1-1", "anna-auth", "a b", "[x]", "", "global"])
async def test_names_that_no_phone_may_have(site: Web, endpoint: str) -> None:
    """A phone's name goes into Asterisk's files: only plain names that are not the server's own."""
    boss = await site.browser(Role.SUPERVISOR)
    body = {"user_id": 1, "name": "x", "endpoint": endpoint}
    assert (await boss.call("POST", "~/agents", body)).status == 422


async def test_who_is_no_agent(site: Web) -> None:
    """A user who is no agent gets told so."""
    nobody = await site.browser(Role.OPERATOR)
    assert (await nobody.call("GET", "~/agents/me")).status == 404
