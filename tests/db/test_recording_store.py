"""Recordings in an S3-compatible store: moved when they are proved to be there, played from there, deleted
there; a store that is away, slow, wrong or gone."""

from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, select, update
from support.floor import TENANT, Floor, seated
from support.recordings import keep
from support.s3 import BUCKET, KEY, S3, SECRET
from support.web import Web, serving

from dialer.calls.model import WrapUpOver
from dialer.check import vault as check
from dialer.check.model import Level
from dialer.clock import utc_now
from dialer.contacts.erasure import ErasureService, delete_recordings
from dialer.contacts.exporting import ExportService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import StoreUnavailable
from dialer.httpkit.access import Actor, Role
from dialer.recordings import http
from dialer.recordings.moving import EVERY_S, LONGEST_S, Moving, grown
from dialer.recordings.service import RecordingService
from dialer.retention.model import Terms
from dialer.retention.service import Retention
from dialer.settings import AUDIT_LEAST_DAYS
from dialer.vault.files import Vault

BOSS = Actor(TENANT, None, Role.ADMINISTRATOR, "Somebody", "en")


@dataclass(slots=True)
class Base:
    """Recordings of a floor, on the disk and in the store."""

    floor: Floor
    s3: S3
    vault: Vault
    talks: int = 0

    @property
    def folder(self) -> Path:
        """Where Asterisk would have written."""
        return self.vault.folder

    def moving(self) -> Moving:
        """A process for long work that has just begun."""
        return Moving(self.floor.database, self.vault, every_s=0.0)

    async def talk(self, seconds: float = 2.0) -> tuple[UUID, int]:
        """A recorded talk: the call's id and the recording's."""
        floor = self.floor
        self.talks += 1
        (lead,) = await floor.leads(1, first=79160000000 + self.talks)
        call = await floor.hang_up(await floor.talk(await floor.seat(), lead))
        await floor.signals(call, WrapUpOver(utc_now()))
        return call.attempt_id, await keep(floor.database, self.folder, call.attempt_id, seconds=seconds)

    async def row(self, recording_id: int) -> Row[Any]:
        """The recording's row."""
        async with self.floor.database.tenant(TENANT) as conn:
            found = await conn.execute(select(t.recording).where(t.recording.c.id == recording_id))
        return found.one()

    def files(self) -> list[Path]:
        """What lies on the disk."""
        return list(self.folder.rglob("*.wav"))


@pytest.fixture
def base(floor: Floor, s3: S3, tmp_path: Path) -> Base:
    """A server that moves its recordings to a store."""
    return Base(floor, s3, Vault.of(s3.settings(data_dir=tmp_path)))


@pytest.fixture
async def site(base: Base, database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application; no engine."""
    services = {http.RECORDINGS: RecordingService(database, base.vault)}
    async with serving(database, database_url, tables=[http.routes], services=services) as running:
        yield running


async def test_a_whole_recording_is_moved_when_the_store_has_it(base: Base) -> None:
    """The file here goes when the store has given back each of its bytes; one that is written stays."""
    _, made = await base.talk()
    (file,) = base.files()
    data = file.read_bytes()
    path = (await base.row(made)).path
    async with base.floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.recording).values(status="writing"))
    assert await base.moving().sweep() == 0
    async with base.floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.recording).values(status="whole"))
    assert await base.moving().sweep() == 1
    assert await base.s3.keys() == [f"dozvon/{path}"]
    assert base.files() == []
    row = await base.row(made)
    assert (row.here, row.place, len(row.peaks)) == (False, f"{BUCKET}/dozvon", 1000)
    found = await base.vault.store_at(row.place).found(row.path)
    assert (found.size, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert await base.moving().sweep() == 0


async def test_it_is_played_from_the_store_by_parts(base: Base, site: Web) -> None:
    """By who may hear it, and listed as heard; the wave and the check of the file go on as before."""
    call_id, made = await base.talk()
    (file,) = base.files()
    data = file.read_bytes()
    await base.moving().sweep()
    quality, (stranger, _) = await site.program(Role.QUALITY), await seated(site, base.floor)
    path = f"~/calls/{call_id}/recording"

    async def part(wanted: str) -> tuple[int, bytes, str | None]:
        url = f"{site.url}{path.replace('~', '/api/v1')}"
        headers = {**quality.headers, **({"Range": wanted} if wanted else {})}
        async with quality.http.get(url, headers=headers) as reply:
            return reply.status, await reply.read(), reply.headers.get("Content-Range")

    assert await part("") == (200, data, None)
    size = len(data)
    assert await part("bytes=0-1") == (206, data[:2], f"bytes 0-1/{size}")
    assert await part("bytes=100-") == (206, data[100:], f"bytes 100-{size - 1}/{size}")
    assert await part("bytes=-44") == (206, data[-44:], f"bytes {size - 44}-{size - 1}/{size}")
    assert (await part(f"bytes={size}-"))[0] == 416
    assert (await stranger.call("GET", path)).status == 403
    assert len((await quality.call("GET", f"~/recordings/{made}/peaks")).json["peaks"]) == 1000
    assert (await quality.call("GET", f"~/recordings/{made}/checksum")).json["intact"] is True
    boss = await site.program(Role.SUPERVISOR)
    assert len((await boss.call("GET", f"~/recordings/{made}/listeners")).json) == 1
    base.s3.door = "corrupt"
    assert (await quality.call("GET", f"~/recordings/{made}/checksum")).json["intact"] is False
    base.s3.door = "shut"
    refused = await quality.call("GET", path)
    assert (refused.status, "does not answer" in refused.text) == (503, True)


async def test_nothing_is_deleted_here_that_the_store_does_not_have(base: Base) -> None:
    """Other bytes come back, then the bucket is gone, then the store itself; it is back, and has all."""
    _, made = await base.talk()
    data = base.files()[0].read_bytes()
    moving = base.moving()
    base.s3.door = "corrupt"
    assert await moving.sweep() == 0
    assert [file.read_bytes() for file in base.files()] == [data]
    base.s3.door = "open"
    await base.s3.drop_bucket()
    with pytest.raises(StoreUnavailable, match="bucket"):
        await moving.sweep()
    base.s3.door = "shut"
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await moving.sweep()
    base.s3.door = "refuses"
    with pytest.raises(StoreUnavailable, match=r"refuses the key \(InvalidAccessKeyId\)") as refused:
        await moving.sweep()
    assert KEY not in str(refused.value)
    assert SECRET not in str(refused.value)
    assert (await base.row(made)).here
    base.s3.door = "open"
    await base.s3.make_bucket()
    assert await moving.sweep() == 1
    assert base.files() == []


async def test_a_file_that_is_not_what_was_said_stays_here(base: Base) -> None:
    """Its SHA-256 is not that of when the talk ended: whoever looks into it finds it as it is."""
    _, made = await base.talk()
    (file,) = base.files()
    file.write_bytes(file.read_bytes() + b"more")
    assert await base.moving().sweep() == 0
    assert (await base.row(made)).place is None
    assert await base.s3.keys() == []
    assert base.files() == [file]


async def test_a_server_that_died_between_two_steps_goes_on(base: Base) -> None:
    """It had sent the file, or had deleted it here and not written that down."""
    _, sent = await base.talk()
    place, path = f"{BUCKET}/dozvon", (await base.row(sent)).path
    async with base.floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.recording).values(place=place))
    await base.vault.store_at(place).put(base.folder / path, path)
    (base.folder / path).unlink()
    assert await base.moving().sweep() == 1
    assert not (await base.row(sent)).here
    assert await base.s3.keys() == [f"dozvon/{path}"]


async def test_one_that_is_deleted_while_it_is_sent_is_nowhere(base: Base) -> None:
    """The store is slow; the recording's term is over meanwhile."""
    await base.talk()
    base.s3.door = "slow"
    sending = asyncio.create_task(base.moving().sweep())
    while not base.s3.asked:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    async with base.floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.recording).values(status="erasing"))
    deleting = asyncio.create_task(delete_recordings(base.floor.database, TENANT, base.vault))
    base.s3.door = "open"
    base.s3.let.set()
    assert await sending == 0
    assert await deleting == 0
    assert await base.s3.keys() == []
    assert base.files() == []


async def test_retention_and_erasure_delete_in_the_store(base: Base) -> None:
    """While the store is away the row stays marked, and goes when it is back."""
    _, old = await base.talk()
    _, held = await base.talk()
    await base.moving().sweep()
    async with base.floor.database.tenant(TENANT) as conn:
        long_ago = utc_now() - timedelta(days=40)
        of_old = t.recording.c.id == old
        await conn.execute(update(t.recording).where(of_old).values(started_at=long_ago))
        contact_id = await conn.scalar(
            select(t.attempt.c.contact_id)
            .join(t.recording, t.recording.c.attempt_id == t.attempt.c.id)
            .where(t.recording.c.id == held)
        )
    assert contact_id is not None
    terms = Terms(commands=1, pacing=1, agent_time=31, audit=AUDIT_LEAST_DAYS, recordings=30)
    retention = Retention(base.floor.database, terms, recordings=base.vault, pause_s=0.0)
    base.s3.door = "shut"
    await retention.sweep()
    assert (await base.row(old)).status == "erasing"
    assert len(await base.s3.keys()) == 2
    base.s3.door = "open"
    await retention.sweep()
    assert len(await base.s3.keys()) == 1
    done = await ErasureService(base.floor.database, base.vault).erase(BOSS, contact_id, never_again=False)
    assert done.recordings_left == 0
    assert await base.s3.keys() == []


async def test_a_persons_export_has_the_recording_from_the_store(base: Base) -> None:
    """As one that lies on the disk."""
    call_id, _ = await base.talk()
    data = base.files()[0].read_bytes()
    await base.moving().sweep()
    async with base.floor.database.tenant(TENANT) as conn:
        contact_id = await conn.scalar(select(t.attempt.c.contact_id))
    assert contact_id is not None
    pieces = await ExportService(base.floor.database, base.vault).export(BOSS, contact_id)
    with zipfile.ZipFile(io.BytesIO(b"".join([piece async for piece in pieces]))) as archive:
        assert archive.read(f"recordings/{call_id}.wav") == data


async def test_a_recording_is_found_where_it_was_moved_to(base: Base, tmp_path: Path) -> None:
    """Another prefix is for later ones; without a store it is said why an old one cannot be heard."""
    call_id, _ = await base.talk()
    data = base.files()[0].read_bytes()
    await base.moving().sweep()
    other = Vault.of(base.s3.settings(data_dir=tmp_path, recordings_s3_prefix="later"))
    found = await RecordingService(base.floor.database, other).file(BOSS, call_id)
    assert not isinstance(found, Path)
    assert b"".join([piece async for piece in found.read(0, found.size)]) == data
    with pytest.raises(StoreUnavailable, match="DOZVON_RECORDINGS_S3_BUCKET"):
        await RecordingService(base.floor.database, Vault(tmp_path)).file(BOSS, call_id)


@pytest.mark.parametrize(
    ("door", "level", "said"),
    [
        ("open", Level.OK, "takes, gives and deletes"),
        ("shut", Level.FAIL, "does not answer"),
        ("refuses", Level.FAIL, "refuses the key"),
        ("gone", Level.FAIL, "no such bucket"),
    ],
)
async def test_dozvon_check_proves_the_store(s3: S3, door: Any, level: Level, said: str) -> None:
    """It writes, reads and deletes a small file, and says what is wrong without naming the key."""
    if door == "gone":
        await s3.drop_bucket()
    else:
        s3.door = door
    (finding,) = [one async for one in check.look(s3.settings())]
    assert (finding.level, said in finding.found) == (level, True), finding
    assert bool(finding.mend) == (level is Level.FAIL)
    assert KEY not in f"{finding}"
    if door == "open":
        assert await s3.keys() == []


def test_pauses_grow_while_the_store_is_away() -> None:
    """Up to a quarter of an hour."""
    assert [grown(EVERY_S, fails) for fails in (0, 1, 2)] == [EVERY_S, 2 * EVERY_S, 4 * EVERY_S]
    assert grown(EVERY_S, 1000) == LONGEST_S
