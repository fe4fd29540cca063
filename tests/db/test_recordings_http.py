"""Recordings by the API: who finds and hears which, what is noted of them, how long they are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update
from support.arrivals import arrived, published
from support.floor import TENANT, Floor, seated
from support.recordings import keep
from support.web import Web, serving

from dialer.clock import utc_now
from dialer.contacts.erasure import ErasureService
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.httpkit.access import Actor, Role
from dialer.recordings import http, store, waveform
from dialer.recordings.model import Which
from dialer.recordings.service import RecordingService
from dialer.retention.model import Terms
from dialer.retention.service import Retention
from dialer.settings import AUDIT_LEAST_DAYS

BOSS = Actor(TENANT, None, Role.ADMINISTRATOR, "Somebody", "en")
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def site(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Web]:
    """The application; no engine."""
    services = {http.RECORDINGS: RecordingService(database, tmp_path)}
    tables = [http.routes]
    async with serving(database, database_url, tables=tables, services=services) as running:
        yield running


def files(folder: Path, name: str = "*.wav") -> list[Path]:
    """The recordings that are there."""
    return list(folder.rglob(name))


async def test_recordings_are_searched_by_what_is_known_of_their_talks(
    floor: Floor, site: Web, tmp_path: Path
) -> None:
    """Agent, campaign, number, direction, time, length, disposition, marks, hold; page by page, newest
    first."""
    seat, now = await floor.seat(), utc_now()
    lead, other = await floor.leads(2)
    ours = await floor.hang_up(await floor.talk(seat, lead))
    theirs = await arrived(floor, await published(floor))
    typed = await floor.place(other)
    async with floor.database.tenant(TENANT) as conn:
        sale = await conn.scalar(select(t.disposition.c.id).where(t.disposition.c.code == "sale"))
        await conn.execute(
            update(t.attempt).where(t.attempt.c.id == ours.attempt_id).values(disposition_id=sale)
        )
    first = await keep(floor.database, tmp_path, ours.attempt_id, at=now - 60 * MINUTE, seconds=8)
    second = await keep(floor.database, tmp_path, theirs.attempt_id, at=now - MINUTE, inbound=True)
    third = await keep(floor.database, tmp_path, typed.attempt_id, at=now - MINUTE, seconds=1)
    boss = await site.program(Role.QUALITY)
    chief = await site.program(Role.SUPERVISOR)
    mark = await boss.call("POST", f"~/recordings/{first}/marks", {"at_s": 2.5, "text": "Rude"})
    assert mark.status == 201, mark.text
    held = await chief.call("PUT", f"~/recordings/{second}/hold", {"reason": "A claim"})
    assert held.json["hold_reason"] == "A claim", held.text

    async def found(**asked: Any) -> list[int]:
        names = "&".join(f"{name}={value}" for name, value in asked.items())
        reply = await boss.call("GET", f"~/recordings?{names}")
        assert reply.status == 200, reply.text
        return [one["id"] for one in reply.json["items"]]

    number = (await floor.row(t.lead, lead)).e164.replace("+", "%2B")
    early = (now - 30 * MINUTE).isoformat().replace("+", "%2B")
    assert await found() == [third, second, first]
    assert await found(agent=seat.agent_id) == [first]
    assert await found(campaign=floor.campaign_id) == [third, second, first]
    assert await found(campaign=floor.campaign_id + 1) == []
    assert await found(number=number) == [first]
    assert await found(direction="inbound") == [second]
    assert await found(direction="outbound") == [third, first]
    assert await found(until=early) == [first]
    assert await found(**{"from": early}) == [third, second]
    assert await found(least_s=2, most_s=5) == [second]
    assert await found(disposition="sale") == [first]
    assert await found(marked="true") == [first]
    assert await found(marked="false") == [third, second]
    assert await found(held="true") == [second]
    page = (await boss.call("GET", "~/recordings?limit=2")).json
    following = (await boss.call("GET", f"~/recordings?limit=2&cursor={page['next']}")).json
    assert [one["id"] for one in page["items"] + following["items"]] == [third, second, first]
    assert following["next"] is None
    (one,) = (await boss.call("GET", "~/recordings?marked=true")).json["items"]
    assert (one["direction"], one["disposition"], one["marks"], one["duration_s"]) == (
        "outbound",
        "sale",
        1,
        8,
    )


async def test_an_agent_has_the_own_talks_and_notes_nothing(floor: Floor, site: Web, tmp_path: Path) -> None:
    """Of nobody else's is there a trace; the number is masked; marks and hold are for others."""
    agent, seat = await seated(site, floor)
    stranger = await site.browser(Role.OPERATOR)
    mine = await floor.hang_up(await floor.talk(seat, (await floor.leads(1))[0]))
    other = await floor.place()
    own = await keep(floor.database, tmp_path, mine.attempt_id)
    another = await keep(floor.database, tmp_path, other.attempt_id)
    (one,) = (await agent.call("GET", "~/recordings")).json["items"]
    assert (one["id"], "*" in one["number"]) == (own, True)
    assert (await agent.call("GET", f"~/recordings?agent={seat.agent_id + 1}")).json["items"] == []
    assert (await stranger.call("GET", "~/recordings")).json["items"] == []
    for path in ("", "/peaks", "/marks", "/checksum"):
        assert (await agent.call("GET", f"~/recordings/{own}{path}")).status == 200
        assert (await agent.call("GET", f"~/recordings/{another}{path}")).status == 403
    for caller, method, path, body in (
        (agent, "POST", "marks", {"at_s": 1, "text": "a"}),
        (agent, "PUT", "hold", {"reason": "a"}),
        (await site.program(Role.QUALITY), "PUT", "hold", {"reason": "a"}),
        (agent, "GET", "listeners", None),
    ):
        assert (await caller.call(method, f"~/recordings/{own}/{path}", body)).status == 403
    boss = await site.program(Role.SUPERVISOR)
    assert (await boss.call("GET", "~/recordings/999999")).status == 404


async def test_another_company_has_none_of_it(floor: Floor, tmp_path: Path) -> None:
    """Neither in the list nor by its id."""
    own = await keep(floor.database, tmp_path, (await floor.place()).attempt_id)
    async with floor.database.tenant(TENANT) as conn:
        assert await store.find(conn, TENANT, own) is not None
    async with floor.database.tenant(2) as conn:
        assert await store.page(conn, TENANT, Which(), limit=5) == []
        assert await store.find(conn, TENANT, own) is None


async def test_marks_stand_in_the_order_of_the_talk(floor: Floor, site: Web, tmp_path: Path) -> None:
    """None is beyond the end; who has made each is known; one goes by its id."""
    own = await keep(floor.database, tmp_path, (await floor.place()).attempt_id, seconds=4)
    boss = await site.program(Role.QUALITY)
    path = f"~/recordings/{own}/marks"
    late = (await boss.call("POST", path, {"at_s": 3.5, "text": "Did not say goodbye"})).json
    early = (await boss.call("POST", path, {"at_s": 0, "text": "Did not say hello"})).json
    assert (await boss.call("POST", path, {"at_s": 4.5, "text": "What?"})).status == 422
    assert boss.user is not None
    found = (await boss.call("GET", path)).json
    assert [(one["id"], one["at_s"], one["made_by"]) for one in found] == [
        (early["id"], 0, boss.user.name),
        (late["id"], 3.5, boss.user.name),
    ]
    assert (await boss.call("DELETE", f"{path}/{early['id']}")).status == 204
    assert (await boss.call("DELETE", f"{path}/{early['id']}")).status == 404
    assert [one["id"] for one in (await boss.call("GET", path)).json] == [late["id"]]


async def test_who_has_listened_is_written_down_once(floor: Floor, site: Web, tmp_path: Path) -> None:
    """A browser asks for many parts of a file; each who listens, and each download, is a line."""
    call = await floor.place()
    own = await keep(floor.database, tmp_path, call.attempt_id)
    boss, other = await site.program(Role.SUPERVISOR), await site.program(Role.QUALITY)
    sound = f"~/calls/{call.attempt_id}/recording"
    for part in ("bytes=0-3", "bytes=8-11"):
        assert (await boss.call("GET", sound, headers={"Range": part})).status == 206
    async with other.http.get(f"{other.url}/api/v1{sound[1:]}?download=true", headers=other.headers) as taken:
        assert taken.headers["Content-Disposition"].startswith("attachment")
        assert len(await taken.read()) == 44 + 4 * 16000
    listed = (await boss.call("GET", f"~/recordings/{own}/listeners")).json
    assert boss.user is not None
    assert other.user is not None
    assert [(one["user_id"], one["downloaded"]) for one in listed] == [
        (other.user.id, True),
        (boss.user.id, False),
    ]


async def test_a_changed_file_is_found(floor: Floor, site: Web, tmp_path: Path) -> None:
    """By its digest of when the talk ended; one that is gone too, and of an old one it cannot be told."""
    calls = [await floor.place() for _ in range(2)]
    own = await keep(floor.database, tmp_path, calls[0].attempt_id)
    old = await keep(floor.database, tmp_path, calls[1].attempt_id, sha256=None)
    boss = await site.program(Role.SUPERVISOR)

    async def intact(which: int) -> bool | None:
        found: bool | None = (await boss.call("GET", f"~/recordings/{which}/checksum")).json["intact"]
        return found

    assert await intact(own) is True
    assert await intact(old) is None
    (file,) = files(tmp_path, f"{calls[0].attempt_id}.wav")
    data = bytearray(await asyncio.to_thread(file.read_bytes))
    data[1000] ^= 1
    await asyncio.to_thread(file.write_bytes, data)
    assert await intact(own) is False
    await asyncio.to_thread(file.unlink)
    gone = (await boss.call("GET", f"~/recordings/{own}/checksum")).json
    assert (gone["found"], gone["intact"]) == (None, False)


async def test_peaks_are_counted_once(
    floor: Floor, site: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They show words and silence in turn, and are there when the file is not; of several who ask at once
    the first has the file read."""
    call = await floor.place()
    own = await keep(floor.database, tmp_path, call.attempt_id, seconds=4)
    boss = await site.program(Role.SUPERVISOR)
    read: list[Path] = []
    count = waveform.peaks

    def noted(file: Path) -> bytes:
        read.append(file)
        return count(file)

    monkeypatch.setattr(waveform, "peaks", noted)
    asked = [boss.call("GET", f"~/recordings/{own}/peaks") for _ in range(3)]
    seen, *others = [reply.json for reply in await asyncio.gather(*asked)]
    assert (others, len(read)) == ([seen, seen], 1)
    assert (seen["duration_s"], len(seen["peaks"])) == (4, 1000)
    assert min(seen["peaks"][10:110]) > 80
    assert max(seen["peaks"][130:240]) == 0
    (file,) = files(tmp_path)
    await asyncio.to_thread(file.unlink)
    assert (await boss.call("GET", f"~/recordings/{own}/peaks")).json == seen


async def test_recordings_go_when_their_term_is_over_but_for_those_on_hold(
    floor: Floor, tmp_path: Path
) -> None:
    """File and row; a hold keeps both until it is taken off. With no term they stay."""
    service, now = RecordingService(floor.database, tmp_path), utc_now()
    days = (400, 400, 10)
    old, held, young = [
        await keep(floor.database, tmp_path, (await floor.place()).attempt_id, at=now - timedelta(days=one))
        for one in days
    ]
    await service.hold(BOSS, held, "A claim")

    async def left(term: int | None) -> list[int]:
        terms = Terms(commands=7, pacing=90, agent_time=1096, audit=AUDIT_LEAST_DAYS, recordings=term)
        await Retention(floor.database, terms, recordings=tmp_path, batch=1, pause_s=0).sweep()
        async with floor.database.tenant(TENANT) as conn:
            rows = list(await conn.scalars(select(t.recording.c.id).order_by(t.recording.c.id)))
        assert len(files(tmp_path)) == len(rows)
        return rows

    assert await left(None) == [old, held, young]
    assert await left(365) == [held, young]
    await service.hold(BOSS, held, None)
    assert await left(365) == [young]


async def test_an_erasure_takes_a_recording_on_hold_with_its_marks(floor: Floor, tmp_path: Path) -> None:
    """The person's right is above ours."""
    (lead,) = await floor.leads(1)
    call = await floor.hang_up(await floor.place(lead))
    own = await keep(floor.database, tmp_path, call.attempt_id)
    service = RecordingService(floor.database, tmp_path)
    await service.mark(BOSS, own, 1.0, "Tells of an illness")
    await service.hold(BOSS, own, "A claim")
    contact_id = (await floor.row(t.lead, lead)).contact_id
    done = await ErasureService(floor.database, tmp_path).erase(BOSS, contact_id, never_again=False)
    assert done.recordings_left == 0
    assert await service.recordings(BOSS, Which()) == []
    async with floor.database.tenant(TENANT) as conn:
        assert list(await conn.scalars(select(t.recording_mark.c.id))) == []
    assert files(tmp_path) == []


async def test_a_search_reads_no_whole_table(floor: Floor, database_url: str, owner_url: str) -> None:
    """A page of 20,000 recordings, an agent's and a number's, are found by indexes, under row security."""
    owner = await connect(owner_url)
    seat = await floor.seat()
    try:
        await owner.execute(
            """
            WITH made AS (
                INSERT INTO attempt (
                    tenant_id, id, campaign_id, e164, trunk_id, caller_id, mode, policy, state, result,
                    created_at, ended_at, connected_at, hung_up_at, disposed_at, agent_id
                )
                SELECT 1, gen_random_uuid(), $1, '+7495' || n, $2, '+7495', 'power', 'default/1', 'ended',
                       'answered', now() - n * interval '1 second', now(), now(), now(), now(),
                       CASE WHEN n % 500 = 0 THEN $3::bigint END
                  FROM generate_series(1, 20000) n
                RETURNING id, created_at
            )
            INSERT INTO recording (tenant_id, attempt_id, path, status, duration_s, size_bytes, started_at)
            SELECT 1, id, id::text, 'whole', 60, 960044, created_at FROM made
            """,
            floor.campaign_id,
            floor.trunk_id,
            seat.agent_id,
        )
        await owner.execute("ANALYZE attempt")
        await owner.execute("ANALYZE recording")
    finally:
        await owner.close()
    asked: list[tuple[str, tuple[Any, ...]]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: tuple[Any, ...], *_: Any) -> None:
        asked.append((statement, parameters))

    engine = floor.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        async with floor.database.tenant(TENANT) as conn:
            for which in (Which(), Which(agent_id=seat.agent_id), Which(e164="+749517")):
                found = await store.page(conn, TENANT, which, limit=11)
                assert len(found) == (1 if which.e164 else 11)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    driver = await connect(database_url)
    try:
        await driver.execute("SELECT set_config('dozvon.tenant', '1', false)")
        for statement, parameters in asked:
            if "recording" in statement:
                plan = "\n".join(row[0] for row in await driver.fetch(f"EXPLAIN {statement}", *parameters))
                assert "Seq Scan on attempt" not in plan, plan
                assert "Seq Scan on recording " not in plan, plan
    finally:
        await driver.close()
