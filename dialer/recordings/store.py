"""The SQL of recordings that are whole, of what people note of them, and of who has listened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CursorResult,
    FromClause,
    Row,
    Select,
    Table,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.tables import (
    agent,
    app_user,
    attempt,
    audit,
    campaign,
    contact,
    disposition,
    inbound_call,
    recording,
    recording_mark,
)
from dialer.recordings.model import Direction, Listening, Mark, Recording, Which
from dialer.vault.files import Kept

_R = recording.c
_M = recording_mark.c
_MARKED = exists().where(_M.tenant_id == _R.tenant_id, _M.recording_id == _R.id)
#: What listening and taking away are called in the log of changes.
LISTEN, DOWNLOAD = "recording.listen", "recording.download"

_SIDES: tuple[tuple[Table, Any, Direction], ...] = (
    (attempt, _R.attempt_id, "outbound"),
    (inbound_call, _R.inbound_call_id, "inbound"),
)


def _of(table: Table, whose: Any, direction: Direction, tenant_id: int) -> Select[*tuple[Any, ...]]:
    """Whole recordings of calls of one table."""
    c = table.c
    columns = (c.campaign_id, c.agent_id, c.contact_id, c.e164, c.disposition_id)
    return (
        select(
            *(_R[name] for name in ("tenant_id", "id", "started_at", "duration_s", "size_bytes", "pauses")),
            *(_R[name] for name in ("sha256", "held_at", "held_by", "hold_reason")),
            c.id.label("call_id"),
            literal(direction).label("direction"),
            *columns,
        )
        .join_from(recording, table, and_(c.tenant_id == _R.tenant_id, c.id == whose))
        .where(_R.tenant_id == tenant_id, _R.status == "whole")
    )


def _named(found: FromClause) -> Select[*tuple[Any, ...]]:
    """The columns of Recording, of what `_of` gives."""
    f, tables = found.c, found
    for table, key in (
        (campaign, f.campaign_id),
        (agent, f.agent_id),
        (contact, f.contact_id),
        (disposition, f.disposition_id),
        (app_user, f.held_by),
    ):
        tables = tables.outerjoin(table, and_(table.c.tenant_id == f.tenant_id, table.c.id == key))
    p = contact.c
    parts = (func.nullif(part, "") for part in (p.last_name, p.first_name, p.middle_name))
    known: Mapping[str, Any] = {
        **f,
        "campaign": campaign.c.name,
        "agent": agent.c.name,
        "agent_user_id": agent.c.user_id,
        "name": func.concat_ws(" ", *parts),
        "disposition_code": disposition.c.code,
        "disposition_ru": disposition.c.label_ru,
        "disposition_en": disposition.c.label_en,
        "held_by": app_user.c.name,
        "marks": select(func.count())
        .where(_M.tenant_id == f.tenant_id, _M.recording_id == f.id)
        .scalar_subquery(),
    }
    return select(*(known[name].label(name) for name in Recording.__slots__)).select_from(tables)


async def page(
    conn: AsyncConnection,
    tenant_id: int,
    which: Which,
    *,
    after: tuple[datetime, int] | None = None,
    limit: int,
) -> list[Recording]:
    """Recordings, newest first, following the one with the key `after`."""
    newest = (_R.started_at.desc(), _R.id.desc())
    parts = []
    for table, whose, direction in _SIDES:
        if which.direction not in (None, direction):
            continue
        found = _filtered(_of(table, whose, direction, tenant_id), table, which)
        if after is not None:
            found = found.where(tuple_(_R.started_at, _R.id) < tuple_(*after))
        # The names are looked up of these rows only.
        parts.append(select(found.order_by(*newest).limit(limit).subquery()))
    both = union_all(*parts).subquery("found")
    order = (both.c.started_at.desc(), both.c.id.desc())
    rows = await conn.execute(_named(both).order_by(*order).limit(limit))
    return [Recording(**row) for row in rows.mappings()]


def _filtered(found: Select[*tuple[Any, ...]], table: Table, which: Which) -> Select[*tuple[Any, ...]]:
    c = table.c
    for column, value in (
        (c.agent_id, which.agent_id),
        (c.campaign_id, which.campaign_id),
        (c.e164, which.e164),
    ):
        if value is not None:
            found = found.where(column == value)
    if which.since is not None:
        found = found.where(_R.started_at >= which.since)
    if which.until is not None:
        found = found.where(_R.started_at < which.until)
    if which.least_s is not None:
        found = found.where(_R.duration_s >= which.least_s)
    if which.most_s is not None:
        found = found.where(_R.duration_s <= which.most_s)
    if which.disposition is not None:
        d = disposition.c
        kinds = select(d.id).where(d.tenant_id == _R.tenant_id, d.code == which.disposition)
        found = found.where(c.disposition_id.in_(kinds))
    if which.marked is not None:
        found = found.where(_MARKED if which.marked else ~_MARKED)
    if which.held is not None:
        found = found.where(_R.held_at.is_not(None) if which.held else _R.held_at.is_(None))
    return found


async def find(conn: AsyncConnection, tenant_id: int, recording_id: int) -> Recording | None:
    """One that is whole."""
    return await _one(conn, tenant_id, _R.id == recording_id)


async def of_call(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> Recording | None:
    """The one of a talk, where it is whole."""
    return await _one(conn, tenant_id, (_R.attempt_id == call_id) | (_R.inbound_call_id == call_id))


async def _one(conn: AsyncConnection, tenant_id: int, condition: Any) -> Recording | None:
    parts = [select(_of(*side, tenant_id).where(condition).subquery()) for side in _SIDES]
    both = union_all(*parts).subquery("found")
    row = (await conn.execute(_named(both).order_by(both.c.id).limit(1))).mappings().one_or_none()
    return Recording(**row) if row else None


async def row_of(conn: AsyncConnection, tenant_id: int, call_id: UUID) -> Row[*tuple[Any, ...]] | None:
    """Path, place, status, and the user of the agent, of the recording of a call, whatever its status."""
    for table, whose, _ in _SIDES:
        c = table.c
        found = await conn.execute(
            select(_R.path, _R.place, _R.status, agent.c.user_id)
            .select_from(table)
            .join(recording, and_(_R.tenant_id == c.tenant_id, whose == c.id))
            .outerjoin(agent, and_(agent.c.tenant_id == c.tenant_id, agent.c.id == c.agent_id))
            .where(c.tenant_id == tenant_id, c.id == call_id)
            .order_by(_R.id)
            .limit(1)
        )
        if (row := found.one_or_none()) is not None:
            return row
    return None


async def agent_of(conn: AsyncConnection, tenant_id: int, user_id: int | None) -> int | None:
    """The agent that the user is."""
    found = await conn.scalar(
        select(agent.c.id).where(agent.c.tenant_id == tenant_id, agent.c.user_id == user_id)
    )
    return int(found) if found is not None else None


_FILE = Prepared("SELECT path, place, peaks FROM recording WHERE tenant_id = :tenant_id AND id = :id")
_KEEP_PEAKS = Prepared("UPDATE recording SET peaks = :peaks WHERE tenant_id = :tenant_id AND id = :id")


_DISPOSITIONS = Prepared(
    """
    SELECT DISTINCT ON (code) code, label_ru, label_en FROM disposition
     WHERE tenant_id = :tenant_id
     ORDER BY code, id DESC
    """
)


async def file_of(conn: AsyncConnection, tenant_id: int, recording_id: int) -> tuple[Kept, bytes | None]:
    """Where its file is, and its peaks where they are known."""
    row = await _FILE.row(conn, tenant_id=tenant_id, id=recording_id)
    return Kept(row.path, row.place), row.peaks


async def keep_peaks(conn: AsyncConnection, tenant_id: int, recording_id: int, peaks: bytes) -> None:
    """Somebody has looked: the next one need not wait."""
    await _KEEP_PEAKS.run(conn, tenant_id=tenant_id, id=recording_id, peaks=peaks)


async def dispositions(conn: AsyncConnection, tenant_id: int) -> list[tuple[str, str, str]]:
    """What talks come to, by code, with the labels of the newest campaign that has it: code, ru, en."""
    rows = await _DISPOSITIONS.rows(conn, tenant_id=tenant_id)
    return [(row.code, row.label_ru, row.label_en) for row in rows]


# -- marks and hold ------------------------------------------------------------------------------------------


async def marks(conn: AsyncConnection, tenant_id: int, recording_id: int) -> list[Mark]:
    """In their order in the talk."""
    u = app_user.c
    found = await conn.execute(
        select(_M.id, _M.at_s, _M.text, _M.made_at, u.name.label("made_by"))
        .outerjoin_from(recording_mark, app_user, and_(u.tenant_id == _M.tenant_id, u.id == _M.made_by))
        .where(_M.tenant_id == tenant_id, _M.recording_id == recording_id)
        .order_by(_M.at_s, _M.id)
    )
    return [Mark(**row) for row in found.mappings()]


async def mark(
    conn: AsyncConnection, tenant_id: int, recording_id: int, at_s: float, text: str, user_id: int | None
) -> int:
    """Mark a moment; the mark's id."""
    values = {"recording_id": recording_id, "at_s": at_s, "text": text, "made_by": user_id}
    made = await conn.scalar(insert(recording_mark).values(tenant_id=tenant_id, **values).returning(_M.id))
    assert isinstance(made, int)
    return made


async def unmark(conn: AsyncConnection, tenant_id: int, recording_id: int, mark_id: int) -> bool:
    """Take a mark away; False: there is none."""
    done: CursorResult[Any] = await conn.execute(
        delete(recording_mark).where(
            _M.tenant_id == tenant_id, _M.recording_id == recording_id, _M.id == mark_id
        )
    )
    return done.rowcount > 0


async def hold(
    conn: AsyncConnection,
    tenant_id: int,
    recording_id: int,
    at: datetime | None,
    user_id: int | None,
    reason: str,
) -> bool:
    """Keep it past its term; `at` None: not any more. False: it goes already."""
    done: CursorResult[Any] = await conn.execute(
        update(recording)
        .where(_R.tenant_id == tenant_id, _R.id == recording_id, _R.status == "whole")
        .values(held_at=at, held_by=user_id if at else None, hold_reason=reason)
    )
    return done.rowcount > 0


# -- who has listened ----------------------------------------------------------------------------------------


async def heard_since(
    conn: AsyncConnection, tenant_id: int, user_id: int | None, subject: str, since: datetime
) -> bool:
    """Whether this is written down already: a browser asks for many parts of one file."""
    a = audit.c
    found = select(a.id).where(
        a.tenant_id == tenant_id,
        a.action == LISTEN,
        a.at >= since,
        a.user_id.is_not_distinct_from(user_id),
        a.subject == subject,
    )
    return await conn.scalar(select(found.exists())) is True


async def listeners(
    conn: AsyncConnection, tenant_id: int, subject: str, since: datetime, limit: int
) -> list[Listening]:
    """Who has listened or taken the file since the talk, newest first."""
    a, u = audit.c, app_user.c
    found = await conn.execute(
        select(a.at, a.user_id, u.name, (a.action == DOWNLOAD).label("downloaded"))
        .outerjoin_from(audit, app_user, and_(u.tenant_id == a.tenant_id, u.id == a.user_id))
        .where(
            a.tenant_id == tenant_id,
            a.action.in_((LISTEN, DOWNLOAD)),
            a.at >= since,
            a.subject == subject,
        )
        .order_by(a.id.desc())
        .limit(limit)
    )
    return [Listening(**row) for row in found.mappings()]
