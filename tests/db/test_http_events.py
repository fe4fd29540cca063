"""The event stream on a real port: order, resumption, limits, tenants, overflow, the end of a session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientResponse
from sqlalchemy import insert, text
from support.web import Caller, Web, second_tenant

from dialer.db import tables
from dialer.db.events import emit
from dialer.db.session import Database
from dialer.httpkit import stream
from dialer.httpkit.access import Role

WAIT_S = 15.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One server-sent event."""

    id: int
    kind: str
    data: Any


class Reader:
    """Reads a stream event by event, without the `alive` ones unless asked."""

    def __init__(self, reply: ClientResponse) -> None:
        self.reply = reply

    async def next(self, *, alive: bool = False) -> Sent:
        """The next event. Raises EOFError at the end of the stream."""
        async with asyncio.timeout(WAIT_S):
            while True:
                fields: dict[str, str] = {}
                while (line := (await self.reply.content.readline()).decode()).strip():
                    name, _, value = line.rstrip("\r\n").partition(": ")
                    fields[name] = value
                if not line:
                    raise EOFError
                if "event" in fields and (alive or fields["event"] != "alive"):
                    return Sent(int(fields["id"]), fields["event"], json.loads(fields["data"]))

    async def numbers(self, count: int) -> list[int]:
        """What `tell` counted, of the next `count` events."""
        return [(await self.next()).data["payload"]["n"] for _ in range(count)]


@asynccontextmanager
async def listening(caller: Caller, query: str = "", last: int | None = None) -> AsyncIterator[Reader]:
    """An open stream that is past its beginning: what happens from now on comes through it."""
    headers = caller.headers | ({"Last-Event-ID": str(last)} if last is not None else {})
    async with caller.http.get(f"{caller.url}/api/v1/events{query}", headers=headers) as reply:
        assert reply.status == 200, await reply.text()
        assert reply.content_type == "text/event-stream"
        reader = Reader(reply)
        if last is None and "after" not in query:
            await reader.next(alive=True)
        yield reader


async def tell(
    database: Database,
    *numbers: int,
    tenant_id: int = 1,
    campaign_id: int | None = None,
    agent_id: int | None = None,
) -> None:
    """Something happens, once a number, in one transaction."""
    async with database.tenant(tenant_id) as conn:
        for number in numbers:
            await emit(
                conn,
                "call.state",
                {"n": number},
                tenant_id=tenant_id,
                campaign_id=campaign_id,
                agent_id=agent_id,
            )


async def test_what_happens_is_streamed_in_order(site: Web, database: Database) -> None:
    """Kind, number and JSON of each event, at once to every stream."""
    one, other = await site.browser(Role.SUPERVISOR), await site.program(Role.SUPERVISOR)
    async with listening(one) as first, listening(other) as second:
        await tell(database, 1, 2, campaign_id=7)
        events = [await first.next(), await first.next()]
        assert [event.data["payload"]["n"] for event in events] == [1, 2]
        assert events[0].id < events[1].id
        assert events[0].kind == events[0].data["kind"] == "call.state"
        assert (events[0].data["seq"], events[0].data["campaign_id"]) == (events[0].id, 7)
        assert [await second.next(), await second.next()] == events


async def test_resuming_leaves_no_gap_and_no_duplicate(site: Web, database: Database) -> None:
    """While events go on, a client connects again and again with its last id: it sees each once, in order."""
    browser = await site.browser(Role.SUPERVISOR)
    total = 300

    async def happen() -> None:
        for number in range(total):
            await tell(database, number)

    async with listening(browser) as reader:
        happening = asyncio.create_task(happen())
        event = await reader.next()
    seen, last = [event.data["payload"]["n"]], event.id
    while len(seen) < total:
        async with listening(browser, last=last) as reader:
            for _ in range(min(17, total - len(seen))):
                event = await reader.next()
                seen.append(event.data["payload"]["n"])
                last = event.id
    await happening
    assert seen == list(range(total))


async def test_a_page_misses_nothing_between_its_data_and_its_stream(site: Web, database: Database) -> None:
    """`after` takes the number that the page had; Last-Event-ID of a later reconnection wins over it."""
    browser = await site.browser(Role.SUPERVISOR)
    async with listening(browser) as reader:
        await tell(database, 1)
        had = (await reader.next()).id
    await tell(database, 2, 3)
    async with listening(browser, f"?after={had}") as reader:
        assert await reader.numbers(2) == [2, 3]
    async with listening(browser, f"?after={had}", last=had + 1) as reader:
        assert await reader.numbers(1) == [3]


async def test_another_tenants_events_never_come(site: Web, database: Database, owner_url: str) -> None:
    """Neither live nor on resumption from the very beginning, and not by asking for their campaign."""
    tenant = await second_tenant(owner_url)
    mine, theirs = await site.browser(Role.SUPERVISOR), await site.browser(Role.SUPERVISOR, tenant_id=tenant)
    async with listening(mine) as here, listening(theirs) as there, listening(mine, "?campaign=7") as asked:
        await tell(database, 1, 2, tenant_id=tenant, campaign_id=7)
        await tell(database, 3, campaign_id=7)
        assert await there.numbers(2) == [1, 2]
        assert await here.numbers(1) == await asked.numbers(1) == [3]
    async with listening(mine, last=0) as here:
        assert await here.numbers(1) == [3]


async def test_a_stream_is_limited_to_what_was_asked(site: Web, database: Database) -> None:
    """One campaign, one agent, both."""
    browser = await site.browser(Role.SUPERVISOR)
    async with (
        listening(browser, "?campaign=7") as campaign,
        listening(browser, "?agent=5") as agent,
        listening(browser, "?campaign=7&agent=5") as both,
    ):
        await tell(database, 1, campaign_id=8, agent_id=5)
        await tell(database, 2, campaign_id=7, agent_id=6)
        await tell(database, 3, campaign_id=7, agent_id=5)
        assert await campaign.numbers(2) == [2, 3]
        assert await agent.numbers(2) == [1, 3]
        assert await both.numbers(1) == [3]


async def test_an_operator_sees_only_their_own_agent(site: Web, database: Database) -> None:
    """Whatever is asked; who is no agent sees nothing at all."""
    operator, nobody = await site.browser(Role.OPERATOR), await site.browser(Role.OPERATOR)
    assert operator.user is not None
    async with database.tenant(1) as conn:
        values = {"tenant_id": 1, "user_id": operator.user.id, "name": "Анна", "endpoint": "a1"}
        agent_id = await conn.scalar(insert(tables.agent).values(values).returning(tables.agent.c.id))
    assert (await operator.call("GET", f"~/events?agent={agent_id + 1}")).status == 403
    async with (
        listening(operator) as own,
        listening(operator, "?agent=me") as asked,
        listening(nobody) as nothing,
    ):
        await tell(database, 1, agent_id=agent_id + 1)
        await tell(database, 2)
        await tell(database, 3, agent_id=agent_id)
        assert await own.numbers(1) == await asked.numbers(1) == [3]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await nothing.next()


#: For whom the stream has what happens to all, and for whom to the own agent only. No event tells of a person
#: but the pop of a caller, which those alone are told who work with callers or read calls.
HEARS = {
    Role.OPERATOR: "own",
    Role.QUALITY: "all",
    Role.ANALYST: "all",
    Role.SUPERVISOR: "all",
    Role.ADMINISTRATOR: "all",
}


@pytest.mark.parametrize("role", Role)
async def test_what_a_role_hears(site: Web, database: Database, role: Role) -> None:
    """Of every kind of event, wherever the stream begins."""
    caller = await site.browser(role)
    assert caller.user is not None
    async with database.tenant(1) as conn:
        values = {"tenant_id": 1, "user_id": caller.user.id, "name": "Анна", "endpoint": "a1"}
        agent_id = await conn.scalar(insert(tables.agent).values(values).returning(tables.agent.c.id))
    kinds = (
        "call.state",
        "call.assigned",
        "agent.message",
        "campaign.pace",
        "callback.state",
        "alert.raised",
    )
    assert isinstance(agent_id, int)
    whose: list[int | None] = [agent_id] if HEARS[role] == "own" else [None, agent_id + 1, agent_id]
    expected = [(kind, one) for kind in kinds for one in whose]
    async with listening(caller) as now:
        for kind in kinds:
            for one in (None, agent_id + 1, agent_id):
                async with database.tenant(1) as conn:
                    await emit(conn, kind, {}, tenant_id=1, agent_id=one)
        assert [await _told(now) for _ in expected] == expected
    async with listening(caller, last=0) as again:
        assert [await _told(again) for _ in expected] == expected


async def _told(reader: Reader) -> tuple[str, int | None]:
    event = await reader.next()
    return event.kind, event.data["agent_id"]


async def test_a_slow_client_falls_back_to_the_table(
    site: Web, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More events at once than its queue holds: nothing is lost, nothing comes twice."""
    monkeypatch.setattr(stream, "QUEUE", 3)
    monkeypatch.setattr(stream, "PAGE", 7)
    browser = await site.browser(Role.SUPERVISOR)
    async with listening(browser) as reader:
        for start in range(0, 200, 50):
            await tell(database, *range(start, start + 50))
        assert await reader.numbers(200) == list(range(200))


async def test_who_comes_too_late_is_told_to_load_again(site: Web, database: Database) -> None:
    """After the deletion of events that it has not seen a client gets `reset`, and goes on from now."""
    browser = await site.browser(Role.SUPERVISOR)
    async with listening(browser) as reader:
        await tell(database, 1, 2, 3)
        first = (await reader.next()).id
        await reader.numbers(2)
        async with database.system() as conn:
            await conn.execute(text("SELECT drop_events(interval '-1 hour', 100)"))
    async with listening(browser, last=first) as reader:
        assert (await reader.next()).kind == "reset"
        await tell(database, 4)
        assert await reader.numbers(1) == [4]


async def test_a_number_from_another_database_is_told_to_load_again(site: Web, database: Database) -> None:
    """A restored back-up has smaller numbers: the stream must not stay silent until they are reached."""
    browser = await site.browser(Role.SUPERVISOR)
    async with listening(browser, last=10**9) as reader:
        assert (await reader.next()).kind == "reset"
        await tell(database, 1)
        assert await reader.numbers(1) == [1]


async def test_an_idle_stream_says_how_far_it_is(
    site: Web, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`alive` carries the number of events that were not for this client, so that it resumes behind them."""
    monkeypatch.setattr(stream, "ALIVE_S", 0.2)
    browser = await site.browser(Role.SUPERVISOR)
    async with listening(browser, "?campaign=7") as reader, listening(browser) as other:
        await tell(database, 1, campaign_id=8)
        reached = (await other.next()).id
        async with asyncio.timeout(WAIT_S):
            while (await reader.next(alive=True)).id < reached:
                pass


async def test_a_stream_ends_with_its_session(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who logs out or is disabled hears no more, at the latest with the next sign of life."""
    monkeypatch.setattr(stream, "ALIVE_S", 0.2)
    browser, program = await site.browser(Role.SUPERVISOR), await site.program(Role.SUPERVISOR)
    admin = await site.browser(Role.ADMINISTRATOR)
    assert program.user is not None
    async with listening(browser) as left, listening(program) as disabled, listening(admin) as staying:
        await browser.call("DELETE", "~/session")
        await admin.call("PATCH", f"~/users/{program.user.id}", {"disabled": True})
        for ended in (left, disabled):
            with pytest.raises(EOFError):
                await ended.next()
        assert (await staying.next(alive=True)).kind == "alive"


async def test_the_server_stops_while_streams_are_open(site: Web) -> None:
    """A stop ends the streams at once instead of waiting for browsers."""
    browser = await site.browser(Role.SUPERVISOR)
    async with listening(browser) as reader:
        hub = site.app[stream.HUB]
        hub.close()
        with pytest.raises(EOFError):
            await reader.next()


NO_IDS = ["x", "-1", "1.5", "9" * 30, "٣"]


async def test_an_id_that_is_none_is_a_bad_request(site: Web) -> None:
    """Ours are numbers."""
    for last in NO_IDS:
        browser = await site.browser(Role.SUPERVISOR)
        assert (await browser.call("GET", "~/events", headers={"Last-Event-ID": last})).status == 400


WRONG_LIMITS = ["agent=0", "agent=x", "agent=me2", "campaign=0", "kind=call", "after=-1"]


async def test_a_wrong_limit_is_named(site: Web) -> None:
    """A wish that cannot be met is refused, not ignored."""
    for query in WRONG_LIMITS:
        browser = await site.browser(Role.SUPERVISOR)
        assert (await browser.call("GET", f"~/events?{query}")).status == 422
