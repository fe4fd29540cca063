"""The SQL of imports: the queue, its claim, its progress and its rejects."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts.model import Counts, ImportJob, ImportStatus, Wins
from dialer.contacts.reading import AS_FOUND, Reading
from dialer.contacts.rejects import Reject, RejectCode
from dialer.db import tables as t
from dialer.db.listen import JOBS
from dialer.db.session import driver_of

_JOB = t.import_job.c
_REJECT = t.import_reject.c
_OPEN = (ImportStatus.QUEUED, ImportStatus.RUNNING)


def _job(row: Row[Any]) -> ImportJob:
    return ImportJob(
        id=row.id,
        list_id=row.list_id,
        campaign_id=row.campaign_id,
        filename=row.filename,
        fingerprint=row.fingerprint,
        status=ImportStatus(row.status),
        reading=Reading.from_json(row.reading),
        about_rows=row.about_rows,
        counts=Counts(
            row.rows, row.loaded, row.joined, row.duplicates, row.rejected, row.filled, row.consents
        ),
        wins=Wins(row.wins),
        created_by=row.created_by,
        error=row.error,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


async def add_import(
    conn: AsyncConnection,
    tenant_id: int,
    *,
    list_id: int,
    campaign_id: int | None,
    filename: str,
    fingerprint: str,
    created_by: int | None,
    wins: Wins = Wins.BASE,
    about_rows: int | None = None,
    status: ImportStatus = ImportStatus.QUEUED,
    reading: Reading = AS_FOUND,
) -> ImportJob:
    """Queue a file; `dozvon_jobs` is told when the transaction commits. One to be looked at first waits."""
    values = {
        "tenant_id": tenant_id,
        "list_id": list_id,
        "campaign_id": campaign_id,
        "filename": filename,
        "fingerprint": fingerprint,
        "created_by": created_by,
        "wins": wins,
        "about_rows": about_rows,
        "status": status,
        "reading": reading.to_json(),
    }
    row = (await conn.execute(insert(t.import_job).values(values).returning(t.import_job))).one()
    await conn.execute(select(func.pg_notify(JOBS, "")))
    return _job(row)


async def get_import(
    conn: AsyncConnection, tenant_id: int, import_id: int, *, lock: bool = False
) -> ImportJob | None:
    """One import; with `lock` nobody else changes it until the transaction ends."""
    query = select(t.import_job).where(_JOB.tenant_id == tenant_id, _JOB.id == import_id)
    if lock:
        query = query.with_for_update()
    row = (await conn.execute(query)).one_or_none()
    return _job(row) if row else None


async def page_of_imports(
    conn: AsyncConnection, tenant_id: int, list_id: int, *, before: int | None, limit: int
) -> list[ImportJob]:
    """Imports into a list, the newest first, from before the id `before`."""
    query = select(t.import_job).where(_JOB.tenant_id == tenant_id, _JOB.list_id == list_id)
    if before is not None:
        query = query.where(_JOB.id < before)
    return [_job(row) for row in await conn.execute(query.order_by(_JOB.id.desc()).limit(limit))]


async def open_import(
    conn: AsyncConnection, tenant_id: int, list_id: int, campaign_id: int | None, fingerprint: str
) -> ImportJob | None:
    """An import of the same file to the same place that has not ended."""
    query = select(t.import_job).where(
        _JOB.tenant_id == tenant_id,
        _JOB.list_id == list_id,
        _JOB.campaign_id.is_not_distinct_from(campaign_id),
        _JOB.fingerprint == fingerprint,
        _JOB.status.in_(_OPEN),
    )
    row = (await conn.execute(query.limit(1))).one_or_none()
    return _job(row) if row else None


async def claim_import(
    conn: AsyncConnection, tenant_id: int, import_id: int | None = None
) -> ImportJob | None:
    """The oldest import that waits, or that a killed process left; None: nothing to do.

    It is this transaction's until it ends, so keep it open while other transactions load the file. A row lock
    could not say so: progress is written to the row meanwhile. An advisory lock can, and like SKIP LOCKED it
    passes over what somebody holds and ends with the process.
    """
    query = select(_JOB.id).where(_JOB.tenant_id == tenant_id, _JOB.status.in_(_OPEN)).order_by(_JOB.id)
    if import_id is not None:
        query = query.where(_JOB.id == import_id)
    for candidate in list(await conn.scalars(query)):
        key = func.hashtextextended(f"dozvon.import:{tenant_id}:{candidate}", 0)
        if await conn.scalar(select(func.pg_try_advisory_xact_lock(key))):
            # Read after the lock: who held it before may have finished.
            job = await get_import(conn, tenant_id, candidate)
            if job is not None and job.status in _OPEN:
                return job
    return None


async def start_import(conn: AsyncConnection, tenant_id: int, import_id: int) -> None:
    """Say that the import is under way."""
    await conn.execute(
        update(t.import_job)
        .where(_JOB.tenant_id == tenant_id, _JOB.id == import_id)
        .values(status=ImportStatus.RUNNING)
    )


async def need_not_last(conn: AsyncConnection) -> None:
    """Let this transaction be lost where the machine crashes within the second: nobody waits for the disk.
    What an import writes and how far it is are lost together, with all that was committed after it by such
    transactions; any other commit makes it last."""
    await driver_of(conn).execute("SET LOCAL synchronous_commit = off")


async def advance_import(
    conn: AsyncConnection, tenant_id: int, import_id: int, before: Counts, after: Counts
) -> bool:
    """Write progress, if the import still stands at `before`; False: somebody else has gone on with it."""
    done = await conn.execute(
        update(t.import_job)
        .where(
            _JOB.tenant_id == tenant_id,
            _JOB.id == import_id,
            _JOB.status == ImportStatus.RUNNING,
            _JOB.rows == before.rows,
        )
        .values(dataclasses.asdict(after))
    )
    return done.rowcount == 1


async def finish_import(conn: AsyncConnection, tenant_id: int, import_id: int, error: str | None) -> None:
    """The import has ended: done, or failed with an error."""
    await conn.execute(
        update(t.import_job)
        .where(_JOB.tenant_id == tenant_id, _JOB.id == import_id)
        .values(
            status=ImportStatus.FAILED if error else ImportStatus.DONE, error=error, finished_at=func.now()
        )
    )


# -- what waits to be started ------------------------------------------------------------------------------


async def campaign_name(conn: AsyncConnection, tenant_id: int, campaign_id: int | None) -> str | None:
    """A campaign's name."""
    c = t.campaign.c
    found: str | None = await conn.scalar(select(c.name).where(c.tenant_id == tenant_id, c.id == campaign_id))
    return found


async def change_preview(
    conn: AsyncConnection,
    tenant_id: int,
    import_id: int,
    reading: Reading,
    campaign_id: int | None,
    wins: Wins,
) -> None:
    """Have it read in another way, or for another campaign."""
    await conn.execute(
        update(t.import_job)
        .where(_JOB.tenant_id == tenant_id, _JOB.id == import_id, _JOB.status == ImportStatus.PREVIEW)
        .values(reading=reading.to_json(), campaign_id=campaign_id, wins=wins)
    )


async def start_preview(conn: AsyncConnection, tenant_id: int, import_id: int) -> None:
    """Queue it; `dozvon_jobs` is told when the transaction commits."""
    await conn.execute(
        update(t.import_job)
        .where(_JOB.tenant_id == tenant_id, _JOB.id == import_id, _JOB.status == ImportStatus.PREVIEW)
        .values(status=ImportStatus.QUEUED)
    )
    await conn.execute(select(func.pg_notify(JOBS, "")))


async def remove_preview(conn: AsyncConnection, tenant_id: int, import_id: int) -> None:
    """It never was."""
    await conn.execute(
        delete(t.import_job).where(
            _JOB.tenant_id == tenant_id, _JOB.id == import_id, _JOB.status == ImportStatus.PREVIEW
        )
    )


async def drop_previews(conn: AsyncConnection, tenant_id: int, before: datetime) -> int:
    """Remove what nobody has started since `before`; how many."""
    gone = delete(t.import_job).where(
        _JOB.tenant_id == tenant_id, _JOB.status == ImportStatus.PREVIEW, _JOB.created_at < before
    )
    return (await conn.execute(gone)).rowcount


async def needed(conn: AsyncConnection, tenant_id: int, import_ids: Sequence[int]) -> set[int]:
    """Of these imports those whose file is still needed."""
    query = select(_JOB.id).where(
        _JOB.tenant_id == tenant_id,
        _JOB.id.in_(import_ids),
        _JOB.status.in_([*_OPEN, ImportStatus.PREVIEW]),
    )
    return set(await conn.scalars(query))


# -- rejects -----------------------------------------------------------------------------------------------

_ADD_REJECTS = text("""
    INSERT INTO import_reject (tenant_id, import_id, row, "column", code, value)
    SELECT :tenant_id, :import_id, row, name, code, value
    FROM unnest(
        CAST(:row AS int[]), CAST(:name AS text[]), CAST(:code AS text[]), CAST(:value AS text[])
    ) WITH ORDINALITY AS r (row, name, code, value, place)
    ORDER BY place
""")


async def add_rejects(
    conn: AsyncConnection, tenant_id: int, import_id: int, rejects: Sequence[Reject]
) -> None:
    """Keep what was not taken."""
    if rejects:
        values = {
            "tenant_id": tenant_id,
            "import_id": import_id,
            "row": [reject.row for reject in rejects],
            "name": [reject.column for reject in rejects],
            "code": [reject.code.value for reject in rejects],
            "value": [reject.value for reject in rejects],
        }
        await conn.execute(_ADD_REJECTS, values)


async def page_of_rejects(
    conn: AsyncConnection, tenant_id: int, import_id: int, *, after: int, limit: int
) -> list[tuple[int, Reject]]:
    """Rejects with their ids, in the order of the file, from after the id `after`."""
    query = (
        select(_REJECT.id, _REJECT.row, _REJECT.column, _REJECT.code, _REJECT.value)
        .where(_REJECT.tenant_id == tenant_id, _REJECT.import_id == import_id, _REJECT.id > after)
        .order_by(_REJECT.id)
        .limit(limit)
    )
    rows = await conn.execute(query)
    return [(row.id, Reject(row.row, row.column, RejectCode(row.code), row.value)) for row in rows]


async def count_rejects(conn: AsyncConnection, tenant_id: int, import_id: int) -> dict[RejectCode, int]:
    """How many rejects there are of each kind, the most frequent first."""
    many = func.count()
    query = (
        select(_REJECT.code, many)
        .where(_REJECT.tenant_id == tenant_id, _REJECT.import_id == import_id)
        .group_by(_REJECT.code)
        .order_by(many.desc(), _REJECT.code)
    )
    return {RejectCode(code): count for code, count in await conn.execute(query)}
