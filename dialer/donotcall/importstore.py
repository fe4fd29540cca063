"""The SQL of files of numbers: registries, the queue of imports, its claim and its progress."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.listen import JOBS
from dialer.db.prepared import Prepared
from dialer.db.session import encode_json
from dialer.donotcall.model import (
    ImportCounts,
    ImportStatus,
    NumbersImport,
    Refusal,
    Registry,
    Rejected,
    lock_of,
)

#: Cells of a file that are kept as examples of what is no number.
EXAMPLES = 100

_REGISTRY = Prepared(
    """
    INSERT INTO registry AS r (tenant_id, name, renew_by) VALUES (:tenant_id, :name, :renew_by)
        ON CONFLICT (tenant_id, name) DO UPDATE SET renew_by = coalesce(excluded.renew_by, r.renew_by)
    RETURNING id
    """
)
_REGISTRIES = Prepared(
    """
    SELECT r.id, r.name, r.renew_by, r.imported_at,
           (SELECT count(*) FROM do_not_call d
             WHERE d.tenant_id = r.tenant_id AND d.registry_id = r.id AND d.removed_at IS NULL) AS numbers
      FROM registry r WHERE r.tenant_id = :tenant_id ORDER BY r.name
    """
)
_COLUMNS = """
    i.id, i.registry_id, r.name AS registry, i.campaign_id, i.filename, i.fingerprint, i.reason,
    i.valid_until, i.fewer, i.status, i.rows, i.added, i.known, i.removed, i.rejected, i.rejects, i.error,
    u.name AS added_by, i.created_at, i.finished_at
"""
_FROM = """
    FROM do_not_call_import i
    LEFT JOIN registry r ON r.tenant_id = i.tenant_id AND r.id = i.registry_id
    LEFT JOIN app_user u ON u.tenant_id = i.tenant_id AND u.id = i.added_by
"""
_ADD = Prepared(
    """
    WITH made AS (
        INSERT INTO do_not_call_import (tenant_id, registry_id, campaign_id, filename, fingerprint, reason,
                                        valid_until, fewer, added_by)
        VALUES (:tenant_id, :registry_id, :campaign_id, :filename, :fingerprint, :reason, :valid_until,
                :fewer, :added_by)
        RETURNING id
    )
    SELECT id, pg_notify(:jobs, '') FROM made
    """
)
_GET = Prepared(f"SELECT {_COLUMNS} {_FROM} WHERE i.tenant_id = :tenant_id AND i.id = :import_id")
_PAGE = Prepared(
    f"""
    SELECT {_COLUMNS} {_FROM} WHERE i.tenant_id = :tenant_id AND i.id < :before
     ORDER BY i.id DESC LIMIT :limit
    """
)
_WAITING = Prepared(
    """
    SELECT id FROM do_not_call_import
     WHERE tenant_id = :tenant_id AND status IN ('queued', 'running')
       AND (CAST(:import_id AS bigint) IS NULL OR id = :import_id)
     ORDER BY id
    """
)
#: One file of a registry at a time, whichever process has it.
_MINE = Prepared("SELECT pg_try_advisory_xact_lock(:key)")
_ADVANCE = Prepared(
    """
    UPDATE do_not_call_import
       SET status = 'running', rows = :rows, added = :added, known = :known, removed = :removed,
           rejected = :rejected,
           rejects = CASE WHEN jsonb_array_length(rejects) < :examples
                          THEN rejects || CAST(:rejects AS jsonb) ELSE rejects END
     WHERE tenant_id = :tenant_id AND id = :import_id AND rows = :was AND removed = :was_removed
       AND finished_at IS NULL
    """
)
_FINISH = Prepared(
    """
    UPDATE do_not_call_import SET status = :status, error = :error, finished_at = now()
     WHERE tenant_id = :tenant_id AND id = :import_id
    """
)
_IMPORTED = Prepared("UPDATE registry SET imported_at = now() WHERE tenant_id = :tenant_id AND id = :id")
#: What the registry had is marked as still in its file. `xmax = 0`: the row is new.
_RENEW = Prepared(
    """
    INSERT INTO do_not_call AS d (tenant_id, kind, mark, source, reason, valid_until, registry_id, import_id)
    SELECT CAST(:tenant_id AS integer), 'number', n.mark, 'registry', CAST(:reason AS text),
           CAST(:valid_until AS timestamptz), CAST(:registry_id AS bigint), CAST(:import_id AS bigint)
      FROM unnest(CAST(:marks AS text[])) AS n (mark)
        ON CONFLICT (tenant_id, registry_id, mark) WHERE removed_at IS NULL AND registry_id IS NOT NULL
        DO UPDATE SET import_id = excluded.import_id, valid_until = excluded.valid_until
    RETURNING d.mark, d.xmax = 0 AS added
    """
)
_HELD = Prepared(
    """
    SELECT count(*) AS held, count(*) FILTER (WHERE import_id = :import_id) AS found
      FROM do_not_call
     WHERE tenant_id = :tenant_id AND registry_id = :registry_id AND removed_at IS NULL
    """
)
_DROP = Prepared(
    """
    UPDATE do_not_call d
       SET removed_at = now(), removed_reason = :reason
      FROM (SELECT id FROM do_not_call
             WHERE tenant_id = :tenant_id AND registry_id = :registry_id AND removed_at IS NULL
               AND import_id <> :import_id
             LIMIT :limit) AS old
     WHERE d.tenant_id = :tenant_id AND d.id = old.id
    RETURNING d.mark
    """
)


def _rejected(row: int, code: str, value: str | None = None) -> Rejected:
    """As it was kept; older rows have no value."""
    return row, code, value


def _import(row: Any) -> NumbersImport:
    values = dict(row)
    counts = ImportCounts(*(values.pop(name) for name in ImportCounts.__slots__))
    given = {"status": ImportStatus(row.status), "rejects": tuple(_rejected(*one) for one in row.rejects)}
    return NumbersImport(**(values | given), counts=counts)


async def registry_of(conn: AsyncConnection, tenant_id: int, name: str, renew_by: datetime | None) -> int:
    """The registry of this name, which is made if it is new."""
    return int(await _REGISTRY.value(conn, tenant_id=tenant_id, name=name, renew_by=renew_by))


async def registries(conn: AsyncConnection, tenant_id: int) -> list[Registry]:
    """All registries with how many numbers of each count, by name."""
    return [Registry(**row) for row in await _REGISTRIES.rows(conn, tenant_id=tenant_id)]


async def add_import(
    conn: AsyncConnection,
    tenant_id: int,
    said: Refusal,
    *,
    registry_id: int | None,
    filename: str,
    fingerprint: str,
    fewer: bool,
    added_by: int | None,
) -> int:
    """Queue a file; the process for long work is told when the transaction commits. Its id."""
    made = await _ADD.value(
        conn,
        tenant_id=tenant_id,
        registry_id=registry_id,
        campaign_id=said.campaign_id,
        filename=filename,
        fingerprint=fingerprint,
        reason=said.reason,
        valid_until=said.valid_until,
        fewer=fewer,
        added_by=added_by,
        jobs=JOBS,
    )
    return int(made)


async def get_import(conn: AsyncConnection, tenant_id: int, import_id: int) -> NumbersImport | None:
    """One import."""
    row = await _GET.row(conn, tenant_id=tenant_id, import_id=import_id)
    return _import(row) if row else None


async def page_of_imports(
    conn: AsyncConnection, tenant_id: int, *, before: int, limit: int
) -> list[NumbersImport]:
    """Imports, the newest first, from before the id `before`."""
    rows = await _PAGE.rows(conn, tenant_id=tenant_id, before=before, limit=limit)
    return [_import(row) for row in rows]


async def claim_import(
    conn: AsyncConnection, tenant_id: int, import_id: int | None = None
) -> NumbersImport | None:
    """The oldest import that waits, or that a killed process left; None: there is none, or somebody is at
    work. It is this transaction's until it ends: an advisory lock, as progress is written to the row."""
    for candidate in await _WAITING.column(conn, tenant_id=tenant_id, import_id=import_id):
        if not await _MINE.value(conn, key=lock_of(tenant_id, "import")):
            return None
        job = await get_import(conn, tenant_id, candidate)  # who had the lock before may have finished it
        if job is not None and job.finished_at is None:
            return job
    return None


async def advance(
    conn: AsyncConnection,
    tenant_id: int,
    job: NumbersImport,
    counts: ImportCounts,
    rejects: Sequence[Rejected],
) -> bool:
    """Write how far an import is; False: it is somebody else's by now."""
    return bool(
        await _ADVANCE.run(
            conn,
            tenant_id=tenant_id,
            import_id=job.id,
            was=job.counts.rows,
            was_removed=job.counts.removed,
            rejects=encode_json(list(rejects)[:EXAMPLES]),
            examples=EXAMPLES,
            **{name: getattr(counts, name) for name in ImportCounts.__slots__},
        )
    )


async def finish(
    conn: AsyncConnection, tenant_id: int, job: NumbersImport, status: ImportStatus, error: str | None
) -> None:
    """Write the end of an import."""
    await _FINISH.run(conn, tenant_id=tenant_id, import_id=job.id, status=status, error=error)
    if status is ImportStatus.DONE and job.registry_id is not None:
        await _IMPORTED.run(conn, tenant_id=tenant_id, id=job.registry_id)


async def renew(conn: AsyncConnection, tenant_id: int, job: NumbersImport, marks: Sequence[str]) -> list[str]:
    """Have entries of the import's registry for these numbers; those that had none."""
    rows = await _RENEW.rows(
        conn,
        tenant_id=tenant_id,
        marks=sorted(set(marks)),
        registry_id=job.registry_id,
        import_id=job.id,
        reason=job.reason,
        valid_until=job.valid_until,
    )
    return [row.mark for row in rows if row.added]


async def held(conn: AsyncConnection, tenant_id: int, job: NumbersImport) -> tuple[int, int]:
    """How many numbers the import's registry holds, and how many of them the file had."""
    row = await _HELD.row(conn, tenant_id=tenant_id, registry_id=job.registry_id, import_id=job.id)
    return row.held, row.found


async def drop_missing(
    conn: AsyncConnection, tenant_id: int, job: NumbersImport, *, reason: str, limit: int
) -> list[str]:
    """Remove some entries of the registry that the file had no longer; their numbers."""
    return await _DROP.column(
        conn, tenant_id=tenant_id, registry_id=job.registry_id, import_id=job.id, reason=reason, limit=limit
    )
