"""Attempts into PostgreSQL: how many a second, against a limit of the same run, and a whole day of them.

Nothing here speaks to Asterisk. The real placer claims leads, asks the rules and writes attempts; its link is
one that accepts every Originate. What happens to the calls is made up by the seed and goes through the real
call table and journal; agents are reserved, and dispositions saved, by the services that pages use.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import text

from dialer.agents import store as agents
from dialer.agents.model import AgentState
from dialer.app.engine import build_engine
from dialer.asterisk.ami import AmiReply
from dialer.asterisk.nodes import Node
from dialer.bench.load import centre_data
from dialer.bench.load.centre_data import TENANT, CentreData
from dialer.bench.load.cpu import spent
from dialer.bench.load.model import Measured, Say, Wish, spread
from dialer.bench.load.stage import own_settings
from dialer.bench.site_reaper import folder_of_its_own
from dialer.calls.commands import CommandDesk
from dialer.calls.model import (
    Answered,
    Assigned,
    Assignee,
    Connected,
    HungUp,
    HungUpBy,
    Rang,
    Result,
    Screened,
)
from dialer.calls.service import CallService
from dialer.calls.table import Line
from dialer.clock import utc_now
from dialer.db import migrate
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.listen import REPLIES, Listener
from dialer.db.session import connect
from dialer.engine import Engine
from dialer.httpkit.access import Actor
from dialer.ids import new_id
from dialer.settings import Settings

#: What calls of a day come to; the shares of a list of ordinary quality.
SHARES: Final[Mapping[Result, int]] = {
    Result.ANSWERED: 34,
    Result.NO_ANSWER: 36,
    Result.BUSY: 11,
    Result.INVALID: 7,
    Result.DECLINED: 6,
    Result.CALLER_HUNG_UP: 3,
    Result.CONGESTION: 3,
}
#: A day of a large floor: its attempts, and the seconds in which they were made (nine to nine).
DAY_ATTEMPTS, DAY_S = 250_000, 12 * 3600
#: SIP code and Q.850 cause of each that is not answered.
CODES: Final = {
    Result.NO_ANSWER: (480, 19),
    Result.BUSY: (486, 17),
    Result.INVALID: (404, 1),
    Result.DECLINED: (603, 21),
    Result.CONGESTION: (503, 34),
}


class AcceptsAll:
    """In place of the link to Asterisk: every action is accepted at once."""

    up = True
    trouble: str | None = None

    async def send(self, action: Mapping[str, Any]) -> AmiReply:
        """Accept it."""
        return AmiReply({"Response": "Success", "ActionID": str(action.get("ChannelId", ""))})


@dataclass(slots=True)
class Replay:
    """Calls made up by a seed, through the parts that place and follow them."""

    engine: Engine
    data: CentreData
    service: CallService
    shifts: list[Assignee]
    rng: random.Random
    #: what was fed, by result
    fed: Counter[str] = field(default_factory=Counter)
    disposed: int = 0
    #: seconds from the wish to dial until the attempts were committed
    placed_s: list[float] = field(default_factory=list)
    _free: asyncio.Queue[Assignee] = field(default_factory=asyncio.Queue)
    #: as many at once as have a connection
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))

    def __post_init__(self) -> None:
        for shift in self.shifts:
            self._free.put_nowait(shift)

    async def run(self, attempts: int, at_once: int) -> None:
        """Place and end so many, at most `at_once` of them at a time."""
        terms = await self.engine.terms.terms(TENANT, self.data.campaign_id)
        left = attempts
        ending: set[asyncio.Task[None]] = set()
        while left:
            wanted = min(left, at_once - len(self.engine.calls.lines))
            if wanted < max(1, min(left, at_once // 4)):
                await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
                continue
            began = time.perf_counter()
            before = set(self.engine.calls.lines)
            placed = await self.engine.placer.next_leads(terms, wanted, "main")
            self.placed_s.append(time.perf_counter() - began)
            if not placed.dialled:
                raise RuntimeError(f"the list ran dry: {placed.why_not}")
            left -= placed.dialled
            for attempt_id in self.engine.calls.lines.keys() - before:
                task = asyncio.create_task(self._call(self.engine.calls.lines[attempt_id]))
                ending.add(task)
                task.add_done_callback(ending.discard)
        if ending:
            await asyncio.gather(*ending)
        await self.engine.journal.drain()

    async def _call(self, line: Line) -> None:
        """One call from its Originate to its disposition."""
        calls, attempt_id = self.engine.calls, line.call.attempt_id
        (result,) = self.rng.choices(list(SHARES), list(SHARES.values()))
        self.fed[result] += 1
        line.seen = True
        await self.engine.placer.settled("main")
        calls.apply(attempt_id, Rang(utc_now()))
        await asyncio.sleep(0)
        if result in CODES:
            code, cause = CODES[result]
            calls.apply(attempt_id, HungUp(utc_now(), result=result, cause=cause, sip_code=code))
            return
        calls.apply(attempt_id, Answered(utc_now()), seen_s=time.monotonic())
        calls.apply(attempt_id, Screened(utc_now()), seen_s=time.monotonic())
        if result is Result.CALLER_HUNG_UP:
            calls.apply(attempt_id, HungUp(utc_now(), result=Result.FAILED, by=HungUpBy.CUSTOMER))
            return
        await self._talk(line)

    async def _talk(self, line: Line) -> None:
        calls, attempt_id = self.engine.calls, line.call.attempt_id
        agent = await self._free.get()
        async with self._turn, self.engine.database.tenant(TENANT) as conn:
            reserved = await agents.reserve(conn, TENANT, agent.session_id, utc_now(), attempt_id=attempt_id)
        if not reserved:
            raise RuntimeError("an agent who was free could not be reserved")
        calls.apply(attempt_id, Assigned(utc_now(), agent=agent), seen_s=time.monotonic())
        calls.apply(attempt_id, Connected(utc_now(), agent=agent), seen_s=time.monotonic())
        await asyncio.sleep(0)
        calls.apply(attempt_id, HungUp(utc_now(), result=Result.FAILED, cause=16, by=HungUpBy.CUSTOMER))
        await self.engine.journal.drain()
        async with self._turn:
            await self.service.dispose(Actor.server(TENANT), attempt_id, "sale")
        self.disposed += 1
        self._free.put_nowait(agent)


@dataclass(slots=True)
class Books:
    """A database with the engine's parts over it, none of them connected to Asterisk."""

    engine: Engine
    postgres: EmbeddedPostgres
    data: CentreData
    service: CallService
    settings: Settings
    app_url: str
    owner_url: str

    async def shifts(self, count: int) -> list[Assignee]:
        """So many agents who are logged in, their phones up, and ready."""
        seats = await centre_data.add_agents(self.data, count)
        made = []
        for seat in seats:
            agent = Assignee(new_id(), seat.worker.agent_id, new_id())
            async with self.engine.database.tenant(TENANT) as conn:
                now = utc_now()
                await agents.open_shift(conn, TENANT, agent.agent_id, agent.session_id, now)
                await agents.set_leg(conn, TENANT, agent.session_id, agent.leg, was=None)
                await agents.move(conn, TENANT, agent.session_id, AgentState.READY, now)
            made.append(agent)
        return made

    def cpu(self) -> dict[str, float]:
        """CPU seconds until now of this process and of the database."""
        return dict(spent({"server": [os.getpid()], "db": [self.postgres.pid or 0]}).seconds)


@asynccontextmanager
async def open_books(**campaign: Any) -> AsyncIterator[Books]:
    """A database of its own, durable as a server's, with a running campaign and no leads."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(folder_of_its_own("dozvon-books-"))
        postgres = EmbeddedPostgres(folder / "data")
        stack.push_async_callback(postgres.stop)
        urls = await postgres.start()
        await migrate.upgrade(urls.owner)
        chosen = own_settings(folder, asterisk="external", ami_secret="-")  # noqa: S106 - nobody is spoken to
        engine = build_engine(chosen, urls.app)
        stack.push_async_callback(engine.database.close)
        accepts_all: Any = AcceptsAll()
        engine.nodes.add(Node("main", accepts_all, ready=True))
        data = await centre_data.make(
            engine.database, sip_port=5060, max_cps=500.0, status="running", max_channels=10_000, **campaign
        )
        await engine.ownership.begin()  # the campaign is ours: else nothing of it may be written
        listener = Listener(urls.app, (REPLIES,))
        service = CallService(engine.database, CommandDesk(engine.database, listener), chosen)
        writing = asyncio.create_task(engine.journal.run())
        try:
            yield Books(engine, postgres, data, service, chosen, urls.app, urls.owner)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await engine.journal.finish()


async def commits_per_s(url: str, seconds: float, writers: int, *, data: CentreData) -> float:
    """The limit: rows of an attempt, each inserted and committed by itself, by so many connections."""
    insert = """
        INSERT INTO attempt (tenant_id, id, campaign_id, e164, trunk_id, caller_id, mode, policy, state,
                             created_at)
        VALUES (1, $1, $2, '+79999999999', $3, '+74951234567', 'progressive', 'demo/1', 'dialling', now())
    """
    until = time.perf_counter() + seconds
    made = 0

    async def write(connection: asyncpg.Connection) -> None:
        nonlocal made
        await connection.execute("SELECT set_config('dozvon.tenant', '1', false)")
        statement = await connection.prepare(insert)
        while time.perf_counter() < until:
            await statement.fetch(new_id(), data.campaign_id, data.trunk_id)
            made += 1
        await connection.execute("DELETE FROM attempt WHERE e164 = '+79999999999'")

    connections = [await connect(url, application="dozvon bench") for _ in range(writers)]
    try:
        await asyncio.gather(*(write(each) for each in connections))
    finally:
        for each in connections:
            await each.close()
    return made / seconds


class Attempts:
    """Attempts a second, from the wish to dial to the last row of their end."""

    name = "attempts"
    title = (
        "Attempts a second into PostgreSQL, each from its claim to its end with all that follows (talks get "
        "an agent and a disposition), beside bare commits of one attempt row by asyncpg in the same run"
    )
    columns = (
        ("attempts_per_s", "attempts/s"),
        ("bare_commits_per_s", "bare commits/s, 1 connection"),
        ("bare_commits_8_per_s", "8 connections"),
        ("placed_ms_p50", "placing, p50 ms"),
        ("placed_ms_p95", "p95"),
        ("server_cpu_per_attempt", "CPU s an attempt: server"),
        ("db_cpu_per_attempt", "PostgreSQL"),
    )

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """A measurement a number of calls at once."""
        every = [100] if wish.short else [10, 100, 500]
        cases = [n for n in every if (self.name, f"at_once={n}", wish.short) not in wish.known]
        if not cases:
            return
        many, seconds = (100, 0.5) if wish.short else (3_000, 5.0)
        async with open_books() as books:
            shifts = await books.shifts(100)
            one = await commits_per_s(books.app_url, seconds, 1, data=books.data)
            eight = await commits_per_s(books.app_url, seconds, 8, data=books.data)
            for at_once in cases:
                await centre_data.add_leads(books.data, many)
                figures, broken = await _replayed(books, shifts, many, at_once, wish.seed)
                limits = {"bare_commits_per_s": one, "bare_commits_8_per_s": eight}
                case = f"at_once={at_once}"
                yield Measured(self.name, case, wish.seed, wish.short, figures | limits, broken=broken)


class Day:
    """A day of attempts, one after another as fast as it goes, and the books at its end."""

    name = "day"
    title = (
        "A day of 250,000 attempts replayed at speed (100 agents, 200 calls at once), and whether the rows "
        "are right at the end: results, talks, dispositions, free numbers, agents' time, events"
    )
    columns = (
        ("attempts", "attempts"),
        ("took_s", "took, s"),
        ("attempts_per_s", "attempts/s"),
        ("times_real", "times real time"),
        ("server_cpu_per_attempt", "CPU s an attempt: server"),
        ("db_cpu_per_attempt", "PostgreSQL"),
        ("database_mb", "database, MB"),
    )

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """One measurement."""
        many = 200 if wish.short else DAY_ATTEMPTS
        case = f"attempts={many}"
        if (self.name, case, wish.short) in wish.known:
            return
        async with open_books() as books:
            shifts = await books.shifts(100)
            for first in range(0, many, 50_000):
                await centre_data.add_leads(books.data, min(50_000, many - first))
            say(f"day: {many} leads are there")
            figures, broken = await _replayed(books, shifts, many, 200, wish.seed)
            async with books.engine.database.system() as conn:
                size = (await conn.execute(text("SELECT pg_database_size(current_database())"))).scalar_one()
            real_s = DAY_S * many / DAY_ATTEMPTS
            more = {"attempts": many, "times_real": real_s / figures["took_s"], "database_mb": size / 1e6}
            yield Measured(self.name, case, wish.seed, wish.short, figures | more, broken=broken)


async def _replayed(
    books: Books, shifts: Sequence[Assignee], many: int, at_once: int, seed: int
) -> tuple[dict[str, float], str]:
    replay = Replay(books.engine, books.data, books.service, list(shifts), random.Random(seed))  # noqa: S311
    last = await _newest_attempt(books)
    cpu, began = books.cpu(), time.perf_counter()
    await replay.run(many, at_once)
    took_s, after = time.perf_counter() - began, books.cpu()
    figures = {
        "took_s": took_s,
        "attempts_per_s": many / took_s,
        "server_cpu_per_attempt": (after["server"] - cpu["server"]) / many,
        "db_cpu_per_attempt": (after["db"] - cpu["db"]) / many,
        **spread((seconds * 1000 for seconds in replay.placed_s), "placed_ms", 50, 95),
    }
    return figures, await _wrong(books, replay, last)


async def _newest_attempt(books: Books) -> UUID | None:
    async with books.engine.database.tenant(TENANT) as conn:
        query = "SELECT id FROM attempt WHERE tenant_id = 1 ORDER BY id DESC LIMIT 1"
        return (await conn.execute(text(query))).scalar_one_or_none()


async def _wrong(books: Books, replay: Replay, since: UUID | None) -> str:
    """What the rows say otherwise than what was fed; empty: nothing."""
    async with books.engine.database.tenant(TENANT) as conn:
        rows = await conn.execute(
            text(
                """
                SELECT result, count(*) AS many, count(*) FILTER (WHERE ended_at IS NULL) AS open,
                       count(disposed_at) AS disposed, count(connected_at) AS talks
                  FROM attempt
                 WHERE tenant_id = 1 AND (CAST(:since AS uuid) IS NULL OR id > CAST(:since AS uuid))
                 GROUP BY result
                """
            ),
            {"since": since},
        )
        found = {row.result: row for row in rows}
        held = (await conn.execute(text("SELECT count(*) FROM active_number"))).scalar_one()
        busy = (
            await conn.execute(
                text("SELECT count(*) FROM agent_session WHERE state <> 'ready' AND logged_out_at IS NULL")
            )
        ).scalar_one()
    told = {result: row.many for result, row in found.items()}
    talks = replay.fed[Result.ANSWERED]
    checks = {
        f"results {told} for {dict(replay.fed)}": told == {str(k): v for k, v in replay.fed.items()},
        "attempts without an end": not any(row.open for row in found.values()),
        f"talks for {talks}": sum(row.talks for row in found.values()) == talks,
        f"dispositions for {talks}": sum(row.disposed for row in found.values()) == talks == replay.disposed,
        f"{held} numbers still held": held == 0,
        f"{busy} agents not ready": busy == 0,
    }
    return "; ".join(what for what, right in checks.items() if not right)


ATTEMPTS, DAY = Attempts(), Day()
