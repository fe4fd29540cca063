"""The SQL of messages. A message's file is a row of `recording`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import events
from dialer.db.prepared import Prepared
from dialer.db.tables import recording, voicemail
from dialer.vault.files import Kept
from dialer.voicemail.model import Message

#: Only whole ones are shown: one that is being spoken is none yet.
_ROW = """
    SELECT v.id, v.call_id, a.id IS NULL AS inbound, coalesce(c.dialled, a.caller_id) AS dialled,
           coalesce(c.e164, a.e164) AS e164, coalesce(c.contact_id, a.contact_id) AS contact_id,
           coalesce(c.campaign_id, a.campaign_id) AS campaign_id, v.box, v.began_at,
           r.duration_s AS length_s, v.heard_at, u.name AS heard_by,
           concat_ws(' ', nullif(p.last_name, ''), nullif(p.first_name, ''), nullif(p.middle_name, ''))
               AS name
      FROM voicemail v
      LEFT JOIN inbound_call c ON c.tenant_id = v.tenant_id AND c.id = v.inbound_call_id
      LEFT JOIN attempt a ON a.tenant_id = v.tenant_id AND a.id = v.attempt_id
      JOIN recording r ON r.tenant_id = v.tenant_id AND r.voicemail_id = v.id AND r.status = 'whole'
      LEFT JOIN contact p ON p.tenant_id = v.tenant_id AND p.id = coalesce(c.contact_id, a.contact_id)
      LEFT JOIN app_user u ON u.tenant_id = v.tenant_id AND u.id = v.heard_by
     WHERE v.tenant_id = :tenant_id AND v.deleted_at IS NULL
"""
_FIND = Prepared(f"{_ROW} AND v.id = :id")
_PAGE = Prepared(
    f"""
    {_ROW}
       AND (CAST(:boxes AS text[]) IS NULL OR v.box = ANY (CAST(:boxes AS text[])))
       AND (CAST(:box AS text) IS NULL OR v.box = CAST(:box AS text))
       AND (CAST(:heard AS boolean) IS NULL OR (v.heard_at IS NOT NULL) = :heard)
       AND (CAST(:before AS bigint) IS NULL OR v.id < :before)
     ORDER BY v.id DESC
     LIMIT :limit
    """
)
_FILE = Prepared(
    """
    SELECT path, place FROM recording
     WHERE tenant_id = :tenant_id AND voicemail_id = :id AND status = 'whole'
    """
)
_OWN_BOXES = Prepared(
    """
    SELECT q.name FROM queue q
      JOIN agent a ON a.tenant_id = q.tenant_id AND (q.skill IS NULL OR q.skill = ANY (a.skills))
     WHERE q.tenant_id = :tenant_id AND a.user_id = :user_id AND a.enabled
    """
)
_BOXES = Prepared(
    """
    SELECT v.box, count(*) AS messages, count(*) FILTER (WHERE v.heard_at IS NULL) AS new
      FROM voicemail v
      JOIN recording r ON r.tenant_id = v.tenant_id AND r.voicemail_id = v.id AND r.status = 'whole'
     WHERE v.tenant_id = :tenant_id AND v.deleted_at IS NULL
       AND (CAST(:boxes AS text[]) IS NULL OR v.box = ANY (CAST(:boxes AS text[])))
     GROUP BY v.box ORDER BY v.box
    """
)
_SETTLE = Prepared(
    """
    UPDATE recording SET status = :status, duration_s = :duration_s, size_bytes = :size_bytes, ended_at = :at
     WHERE tenant_id = :tenant_id AND voicemail_id = :id AND status = 'writing'
    """
)


# -- while it is spoken --------------------------------------------------------------------------------------


async def begin(
    conn: AsyncConnection, tenant_id: int, call_id: UUID, box: str, path: str, at: datetime, *, inbound: bool
) -> int:
    """Write down that a message is being recorded, in a call that has come in or in an attempt of ours; its
    id. The path stands before the first word does."""
    of = {"call_id": call_id, "attempt_id": None if inbound else call_id}
    made = await conn.scalar(
        insert(voicemail).values(tenant_id=tenant_id, box=box, began_at=at, **of).returning(voicemail.c.id)
    )
    assert isinstance(made, int)
    await conn.execute(
        insert(recording).values(tenant_id=tenant_id, voicemail_id=made, path=path, started_at=at)
    )
    return made


async def keep(
    conn: AsyncConnection,
    tenant_id: int,
    message_id: int,
    length_s: float,
    size_bytes: int,
    at: datetime,
    *,
    empty: bool = False,
) -> None:
    """It is whole: people may listen, unless it is `empty`. Then its file goes, and nobody sees it."""
    await _settle(conn, tenant_id, message_id, "whole", at, length_s, size_bytes)
    if empty:
        await delete(conn, tenant_id, message_id, at, None)
        return
    row = await find(conn, tenant_id, message_id)
    if row is not None:
        told = {"voicemail_id": message_id, "call_id": str(row.call_id), "box": row.box}
        await events.emit(conn, "voicemail.left", told, tenant_id=tenant_id, campaign_id=row.campaign_id)


async def lose(conn: AsyncConnection, tenant_id: int, message_id: int, at: datetime) -> None:
    """Asterisk has written no whole file."""
    await _settle(conn, tenant_id, message_id, "lost", at)


async def _settle(
    conn: AsyncConnection,
    tenant_id: int,
    message_id: int,
    status: str,
    at: datetime,
    length_s: float | None = None,
    size_bytes: int | None = None,
) -> None:
    await _SETTLE.run(
        conn,
        tenant_id=tenant_id,
        id=message_id,
        status=status,
        duration_s=length_s,
        size_bytes=size_bytes,
        at=at,
    )


# -- afterwards ----------------------------------------------------------------------------------------------


async def own_boxes(conn: AsyncConnection, tenant_id: int, user_id: int) -> set[str]:
    """The boxes that are named as a queue which the user's agent serves."""
    return set(await _OWN_BOXES.column(conn, tenant_id=tenant_id, user_id=user_id))


async def boxes(
    conn: AsyncConnection, tenant_id: int, among: Collection[str] | None
) -> list[tuple[str, int, int]]:
    """Boxes that have messages: name, how many, how many that nobody has heard. `among`: None for all."""
    rows = await _BOXES.rows(conn, tenant_id=tenant_id, boxes=None if among is None else sorted(among))
    return [(row.box, row.messages, row.new) for row in rows]


async def page(
    conn: AsyncConnection,
    tenant_id: int,
    among: Collection[str] | None,
    *,
    box: str | None = None,
    heard: bool | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Message]:
    """Messages, newest first, older than the one with the id `before`; `among` these boxes, None for all."""
    rows = await _PAGE.rows(
        conn,
        tenant_id=tenant_id,
        boxes=None if among is None else sorted(among),
        box=box,
        heard=heard,
        before=before,
        limit=limit,
    )
    return [Message(**row) for row in rows]


async def find(conn: AsyncConnection, tenant_id: int, message_id: int) -> Message | None:
    """One message."""
    row = await _FIND.row(conn, tenant_id=tenant_id, id=message_id)
    return Message(**row) if row else None


async def file_of(conn: AsyncConnection, tenant_id: int, message_id: int) -> Kept | None:
    """Where its file is."""
    row = await _FILE.row(conn, tenant_id=tenant_id, id=message_id)
    return Kept(**row) if row else None


async def mark(
    conn: AsyncConnection, tenant_id: int, message_id: int, at: datetime | None, by: int | None
) -> None:
    """Somebody has heard it; None: it counts as new again."""
    await _change(conn, tenant_id, message_id, {"heard_at": at, "heard_by": by if at else None})


async def delete(
    conn: AsyncConnection, tenant_id: int, message_id: int, at: datetime, by: int | None
) -> None:
    """Nobody sees it any more; its file goes with the next sweep of the jobs process."""
    await _change(conn, tenant_id, message_id, {"deleted_at": at, "deleted_by": by})
    r = recording.c
    await conn.execute(
        update(recording)
        .where(r.tenant_id == tenant_id, r.voicemail_id == message_id)
        .values(status="erasing")
    )


async def _change(conn: AsyncConnection, tenant_id: int, message_id: int, values: dict[str, Any]) -> None:
    v = voicemail.c
    await conn.execute(update(voicemail).where(v.tenant_id == tenant_id, v.id == message_id).values(**values))
    await events.emit(conn, "voicemail.changed", {"voicemail_id": message_id}, tenant_id=tenant_id)


async def lock(conn: AsyncConnection, tenant_id: int, message_id: int) -> None:
    """Keep a message from everybody else until the transaction ends."""
    await conn.execute(
        text("SELECT FROM voicemail WHERE tenant_id = :tenant_id AND id = :id FOR UPDATE"),
        {"tenant_id": tenant_id, "id": message_id},
    )
