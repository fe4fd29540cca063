"""The order of events, and the notes that carry the news."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from dialer.db import tables as t
from dialer.db.events import Numberer, emit, read_after, span, wake
from dialer.db.listen import ENGINE, EVENTS, MISSED, OUTBOX, Listener
from dialer.db.session import Database, connect


@asynccontextmanager
async def _running(part: Numberer | Listener) -> AsyncIterator[None]:
    task = asyncio.create_task(part.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _number(url: str, batch: int = 1000) -> int:
    connection = await connect(url)
    try:
        numbered: int = await connection.fetchval("SELECT number_events($1)", batch)
        return numbered
    finally:
        await connection.close()


async def test_an_event_exists_with_its_fact(database: Database, database_url: str) -> None:
    """Rolled back, it never was; committed, it is numbered in order and read by its own tenant only."""
    with pytest.raises(ZeroDivisionError):
        async with database.tenant(1) as conn:
            await emit(conn, "undone", {}, tenant_id=1)
            _ = 1 / 0
    async with database.tenant(1) as conn:
        await emit(conn, "first", {"имя": "Анна"}, tenant_id=1, campaign_id=7)
        await emit(conn, "second", {}, tenant_id=1, agent_id=8)
        assert await read_after(conn, 0, 10) == []  # not before it is committed and numbered
    assert await _number(database_url) == 2
    async with database.tenant(1) as conn:
        first, second = await read_after(conn, 0, 10)
        assert await read_after(conn, first.seq, 10) == [second]
        assert await read_after(conn, 0, 1) == [first]
        kept = await span(conn)
    assert (first.kind, first.payload, first.campaign_id) == ("first", {"имя": "Анна"}, 7)
    assert (second.kind, second.agent_id, second.at) == ("second", 8, first.at)
    assert (kept.oldest, kept.newest) == (first.seq, second.seq)
    async with database.tenant(2) as conn:
        assert await read_after(conn, 0, 10) == []


async def test_a_reader_never_misses_what_is_filled_in_later(database: Database, database_url: str) -> None:
    """Eight writers whose transactions end in another order than they began, some undone, and two numberers:
    readers that go on from the last number they saw see every event once, in the order of numbers."""
    rng = random.Random(5)
    writers, each = 8, 40
    writing = asyncio.Event()

    async def write(writer: int) -> None:
        for n in range(each):
            with suppress(ZeroDivisionError):
                async with database.tenant(1) as conn:
                    await emit(conn, "test", {"writer": writer, "n": n}, tenant_id=1)
                    # Not a wait for anything: it makes transactions overlap and end out of order.
                    await asyncio.sleep(rng.choice((0, 0, 0.002, 0.01)))
                    _ = 1 / (rng.random() >= 0.1)  # undone

    async def read() -> list[int]:
        reader = Database.open(database_url, pool=1)
        seen: list[int] = []
        while True:
            ended = writing.is_set()
            async with reader.tenant(1) as conn:
                # In this order: what is numbered between the two statements is news.
                left = await conn.scalar(select(func.count()).where(t.event.c.seq.is_(None)))
                news = await read_after(conn, seen[-1] if seen else 0, 7)
            seen += [event.seq for event in news]
            if ended and not news and not left:
                await reader.close()
                return seen

    async with _running(Numberer(database_url)), _running(Numberer(database_url)):
        readers = [asyncio.create_task(read()) for _ in range(2)]
        await asyncio.gather(*(write(writer) for writer in range(writers)))
        writing.set()
        seen = await asyncio.gather(*readers)
    async with database.tenant(1) as conn:
        everything = list(await conn.scalars(select(t.event.c.seq).order_by(t.event.c.seq)))
        # Of one writer, whose transactions follow each other, the order is kept.
        for writer in range(writers):
            of_writer = t.event.c.payload["writer"].as_integer() == writer
            query = select(t.event.c.payload["n"].as_integer()).where(of_writer).order_by(t.event.c.seq)
            ns = list(await conn.scalars(query))
            assert ns == sorted(ns)
    assert writers * each * 0.7 < len(everything) < writers * each
    assert seen == [everything, everything]


async def test_numbers_become_visible_in_their_order(database: Database, database_url: str) -> None:
    """A second numbering waits for the first one's commit, whoever calls it: its numbers are seen later."""
    slow, quick = await connect(database_url), await connect(database_url)
    async with database.tenant(1) as conn:
        await emit(conn, "early", {}, tenant_id=1)
    transaction = slow.transaction()
    await transaction.start()
    assert await slow.fetchval("SELECT number_events(1)") == 1
    async with database.tenant(1) as conn:
        await emit(conn, "late", {}, tenant_id=1)
    second = asyncio.create_task(quick.fetchval("SELECT number_events(9)"))
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $1"
    while not await slow.fetchval(waits, quick.get_server_pid()):
        assert not second.done()
    async with database.tenant(1) as conn:
        assert await read_after(conn, 0, 10) == []
    await transaction.commit()
    assert await second == 1
    async with database.tenant(1) as conn:
        assert [event.kind for event in await read_after(conn, 0, 10)] == ["early", "late"]
    await slow.close()
    await quick.close()


async def test_numbering_tells_its_readers(database: Database, database_url: str) -> None:
    """From the commit of a fact to the note with its number takes far less than a second, by notes alone."""
    numbered: asyncio.Queue[str] = asyncio.Queue()
    listener = Listener(database_url, [EVENTS])
    listener.subscribe(EVENTS, numbered.put_nowait)
    async with _running(listener), _running(Numberer(database_url)):
        await listener.listening()
        assert await numbered.get() == MISSED
        last = 0
        for _ in range(5):
            async with database.tenant(1) as conn:
                await emit(conn, "test", {}, tenant_id=1)
            seq = int(await asyncio.wait_for(numbered.get(), 30))
            assert seq > last
            last = seq


async def test_numbering_goes_on_after_the_numberer_was_cut_off(
    database: Database, database_url: str
) -> None:
    """Its connection ended by the server, the numberer (or the one that stood by) goes on, numbers grow."""
    numbered: asyncio.Queue[str] = asyncio.Queue()
    listener = Listener(database_url, [EVENTS])
    listener.subscribe(EVENTS, numbered.put_nowait)
    killer = await connect(database_url)
    async with _running(listener), _running(Numberer(database_url)), _running(Numberer(database_url)):
        await listener.listening()
        assert await numbered.get() == MISSED
        seqs = []
        for _ in range(2):
            async with database.tenant(1) as conn:
                await emit(conn, "test", {}, tenant_id=1)
            seqs.append(int(await asyncio.wait_for(numbered.get(), 10)))
            await killer.execute(
                "SELECT pg_terminate_backend(a.pid, 5000) FROM pg_stat_activity a JOIN pg_locks l USING (pid)"
                " WHERE a.datname = current_database() AND l.locktype = 'advisory'"
                " AND a.application_name = 'dozvon numberer'"
            )
        assert seqs == sorted(set(seqs))
    await killer.close()


async def test_old_events_go_and_the_newest_stays(
    database: Database, database_url: str, owner_url: str
) -> None:
    """What is older than is kept is deleted in batches; the last event stays, so that numbers go on."""
    async with database.tenant(1) as conn:
        for _ in range(25):
            await emit(conn, "test", {}, tenant_id=1)
    await _number(database_url)
    owner = await connect(owner_url)
    await owner.execute("UPDATE event SET at = at - interval '25 hours'")
    newest = await owner.fetchval("SELECT max(seq) FROM event")
    app = await connect(database_url)
    dropped = [await app.fetchval("SELECT drop_events($1, 10)", timedelta(hours=24)) for _ in range(4)]
    assert dropped == [10, 10, 4, 0]
    assert await owner.fetchval("SELECT array_agg(seq) FROM event") == [newest]
    await app.close()
    await owner.close()


async def test_wake_reaches_the_engine_with_the_commit(database: Database, database_url: str) -> None:
    """The engine hears what to look at, and only when the change is committed."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = Listener(database_url, [ENGINE])
    unsubscribe = listener.subscribe(ENGINE, heard.put_nowait)
    async with _running(listener):
        assert await heard.get() == MISSED
        with pytest.raises(ZeroDivisionError):
            async with database.tenant(1) as conn:
                await wake(conn, "agents", tenant_id=1)
                _ = 1 / 0
        async with database.tenant(1) as conn:
            await wake(conn, "campaigns", tenant_id=1)
        assert json.loads(await heard.get()) == {"tenant": 1, "what": "campaigns"}
        unsubscribe()
        unsubscribed = asyncio.Event()
        listener.subscribe(ENGINE, lambda _: unsubscribed.set())
        async with database.tenant(1) as conn:
            await wake(conn, "commands", tenant_id=1)
        await unsubscribed.wait()
    assert heard.empty()


async def test_a_listener_comes_back_and_says_so(database: Database, database_url: str) -> None:
    """Cut off by the server, it listens again and gives every channel a note: something may have been missed.
    A callback that fails keeps nothing from the others."""
    notes: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def fail(_payload: str) -> Any:
        raise ZeroDivisionError

    listener = Listener(database_url, [ENGINE, OUTBOX])
    listener.subscribe(ENGINE, fail)
    listener.subscribe(ENGINE, lambda payload: notes.put_nowait((ENGINE, payload)))
    listener.subscribe(OUTBOX, lambda payload: notes.put_nowait((OUTBOX, payload)))
    killer = await connect(database_url)
    async with _running(listener):
        for _ in range(3):
            both = {await asyncio.wait_for(notes.get(), 10) for _ in range(2)}
            assert both == {(ENGINE, MISSED), (OUTBOX, MISSED)}
            await killer.execute("SELECT pg_notify($1, 'news')", ENGINE)
            assert await asyncio.wait_for(notes.get(), 10) == (ENGINE, "news")
            await killer.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'dozvon listener'"
            )
    await killer.close()
