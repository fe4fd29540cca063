"""A centre at work is copied, stands up elsewhere, and is migrated: nobody on the line notices."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from socket import SOCK_DGRAM
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, func, select
from support.asterisk import free_ports

from dialer.backup.archive import source
from dialer.backup.model import Kind
from dialer.bench.site import TENANT, Site, patience
from dialer.bench.site_parts import until
from dialer.bench.site_reaper import folder_of_its_own
from dialer.clock import utc_now
from dialer.db import migrate
from dialer.db import tables as t
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.session import Database, connect
from dialer.ports import free_port

#: Rows that are over, so that a dump takes a while: a small centre's year.
BALLAST = """
    INSERT INTO pacing_tick (tenant_id, campaign_id, at, dial, why, inputs)
    SELECT 1, $1, now(), 0, 'free_agents', jsonb_build_object('ready', n, 'note', repeat('x', 150))
    FROM generate_series(1, 500000) n
"""
#: An attempt that was not sent within a second of its commit is taken back: the limit of all waiting.
MOST_S = 1.0


async def dozvon(folder: Path, *words: str, **settings: str) -> str:
    """Run a command about the installation in that folder; what it says."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOZVON_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dialer", *words),
        env={**environment, "DOZVON_DATA_DIR": str(folder), **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def attempts(database: Database, since: datetime) -> list[Row[Any]]:
    """Attempts since then."""
    async with database.tenant(TENANT) as conn:
        return list(await conn.execute(select(t.attempt).where(t.attempt.c.created_at >= since)))


async def held_up_s(database: Database, since: datetime) -> float:
    """The longest time from the commit of an attempt to Asterisk's word that it dials."""
    rows = await attempts(database, since)
    assert len(rows) >= 3
    assert [row.detail for row in rows if row.result == "canceled"] == []
    waits = [row.sent_at - row.created_at for row in rows if row.sent_at]
    return float(max(waits).total_seconds())


@asynccontextmanager
async def serving(folder: Path, cache: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`dozvon serve` over that folder, with an Asterisk of its own."""
    ports = free_ports()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dialer", "serve"),
        env={
            **os.environ,
            "DOZVON_DATA_DIR": str(folder),
            "DOZVON_CACHE_DIR": str(cache),
            "DOZVON_AMI_PORT": str(ports.ami_port),
            "DOZVON_AGI_PORT": str(free_port()),
            "DOZVON_SIP_PORT": str(free_port(SOCK_DGRAM)),
            "DOZVON_ASTERISK_HTTP_PORT": str(ports.http_port),
            "DOZVON_RTP_PORT_FROM": str(ports.rtp_port_from),
            "DOZVON_RTP_PORT_TO": str(ports.rtp_port_to),
            "DOZVON_HTTP_PORT": str(free_port()),
            "DOZVON_LOG_LEVEL": "warning",
        },
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        limit=1 << 20,
    )
    assert process.stderr is not None
    heard = b""
    try:
        async with asyncio.timeout(patience(60)):
            while b"pages and API" not in heard:
                line = await process.stderr.readline()
                assert line, heard.decode()
                heard += line
        reading = asyncio.create_task(process.stderr.read())
        yield process
        process.send_signal(signal.SIGTERM)
        await reading
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.timeout(400)
async def test_backup_under_load_stands_up_elsewhere() -> None:
    """While calls are made a backup is taken: no attempt waits for it, no number is dialled twice. It has
    every disposition that was acknowledged before it began. Restored, the server starts over it: all rows are
    there, what was on the line then is closed, and nothing is dialled by itself."""
    async with Site.open(agents=8, seed=11, talk_s=1.0) as site:
        campaign_id = await site.keep_dialling(record=True, wrap_up_limit_s=5)
        owner = await connect(site.urls.owner)
        await owner.execute(BALLAST, campaign_id)
        await owner.close()
        await site.until_dialling(patience(20))

        async def enough() -> bool:
            return len(site.robots.saved()) >= 10

        await until("agents have saved dispositions", enough, patience(60))
        mark = site.mark()
        acknowledged = {UUID(attempt): one.code for attempt, one in site.robots.saved().items()}
        with folder_of_its_own("dozvon-test-") as place:
            kept = place / "kept"
            said = await dozvon(site.folder, "backup", f"{kept}/")
            assert "made in" in said
            waited_s = await held_up_s(site.database, mark.at)
            assert waited_s < MOST_S
            await site.until_dialling(patience(20))
            await site.stop_feeding()
            to = site.mark()
            await site.until_ended(mark, patience(60), to)
            tally = await site.tally(mark, to)
            assert (tally.double_dials, tally.unfinished_attempts, tally.lost_dispositions) == (0, 0, 0)
            await dozvon(place / "there", "restore", str(kept))
            manifest = source(kept).manifest
            await compare(place / "there", manifest.head.counts, acknowledged, site.settings.packages_dir)
            recordings = [part.path for part in manifest.of(Kind.RECORDINGS)]
            assert recordings
            assert all((place / "there/recordings" / path).is_file() for path in recordings)


async def compare(
    folder: Path, counts: Mapping[str, int], acknowledged: Mapping[UUID, str], cache: Path
) -> None:
    """Start the server over a restored folder, and look at what it makes of it."""
    before = utc_now()
    async with serving(folder, cache):
        postgres = EmbeddedPostgres(folder)
        database = Database.open((await postgres.start()).app, pool=2)

        async def settled() -> bool:
            async with database.tenant(TENANT) as conn:
                calls = select(func.count()).where(t.attempt.c.ended_at.is_(None))
                numbers = select(func.count()).select_from(t.active_number)
                return await conn.scalar(calls) == 0 and await conn.scalar(numbers) == 0

        await until("what was on the line is closed", settled, patience(60))
        assert await attempts(database, before) == []
        async with database.tenant(TENANT) as conn:
            codes = await conn.execute(
                select(t.attempt.c.id, t.disposition.c.code).join(
                    t.disposition, t.disposition.c.id == t.attempt.c.disposition_id
                )
            )
            stored = {row.id: row.code for row in codes}
            assert await conn.scalar(select(func.count()).select_from(t.attempt)) == counts["attempt"]
            assert await conn.scalar(select(func.count()).select_from(t.contact)) == counts["contact"]
            assert set(await conn.scalars(select(t.campaign.c.status))) == {"paused"}
        assert acknowledged.items() <= stored.items()
        await database.close()


REVISION = '''"""A campaign has a colour."""

from alembic import op

revision, down_revision = "n1", "{before}"


def upgrade() -> None:
    op.execute("ALTER TABLE campaign ADD colour text")
    op.execute("ALTER TABLE attempt ADD colour text")
    op.execute("CREATE TABLE survey (id bigint PRIMARY KEY)")
'''


@pytest.mark.timeout(300)
async def test_migration_under_load(tmp_path: Path) -> None:
    """The next version's tables are made while calls are: no attempt waits for a second, none is lost, and
    the server of the version before goes on."""
    (tmp_path / "n1.py").write_text(REVISION.format(before=migrate.head()))
    async with Site.open(agents=8, seed=12, talk_s=1.0) as site:
        await site.keep_dialling()
        await site.until_dialling(patience(20))
        mark = site.mark()
        await migrate.upgrade(site.urls.owner, more=[tmp_path])
        assert await migrate.current(site.urls.app) == "n1"
        for _ in range(3):
            await site.until_dialling(patience(20))
        assert await held_up_s(site.database, mark.at) < MOST_S
        await site.stop_feeding()
        to = site.mark()
        await site.until_ended(mark, patience(60), to)
        tally = await site.tally(mark, to)
        assert (tally.double_dials, tally.unfinished_attempts, tally.lost_dispositions) == (0, 0, 0)
        assert tally.unknown == 0
