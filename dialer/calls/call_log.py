"""The call log: attempts and inbound calls as people look at them, by pages and as CSV.

Pages go by the key (made, id), which an index of either table has: of each so many rows are read as a page
has, and a page never depends on how many came before it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    literal_column,
    null,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.model import Direction
from dialer.contacts.csvfile import safe_cell
from dialer.db.prepared import Prepared
from dialer.db.tables import (
    INBOUND_RESULTS,
    RESULTS,
    agent,
    attempt,
    campaign,
    contact,
    contact_list,
    disposition,
    inbound_call,
    recording,
    trunk,
)
from dialer.telemetry import mask_number

#: Every result that a call may have, those of calls that we make first.
ALL_RESULTS: Final = (*RESULTS, *(result for result in INBOUND_RESULTS if result not in RESULTS))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls; None: any."""

    campaign_id: int | None = None
    agent_id: int | None = None
    result: str | None = None
    direction: Direction | None = None
    #: inbound: where the caller waited, the last time
    queue: str | None = None
    #: made at this moment or later
    since: datetime | None = None
    #: made before this moment
    until: datetime | None = None
    #: exactly this number
    e164: str | None = None


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call with the names of what it belongs to."""

    id: UUID
    campaign_id: int
    campaign: str
    list_id: int | None
    list_name: str | None
    lead_id: int | None
    contact_id: int | None
    last_name: str | None
    first_name: str | None
    middle_name: str | None
    #: whom we called, or who called; empty: it was withheld
    e164: str
    #: 0 and none: the call came in
    trunk_id: int
    trunk: str | None
    #: the number of ours that was shown, or was called
    caller_id: str
    mode: str
    policy: str
    clicked_by: int | None
    state: str
    result: str | None
    #: Q.850
    cause: int | None
    sip_code: int | None
    detail: str | None
    machine_status: str | None
    machine_cause: str | None
    session_id: UUID | None
    agent_id: int | None
    agent: str | None
    hung_up_by: str | None
    created_at: datetime
    sent_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    screened_at: datetime | None
    assigned_at: datetime | None
    connected_at: datetime | None
    #: on hold since
    held_at: datetime | None
    #: seconds of the holds that are over
    hold_s: float
    muted: bool
    #: when the agent let go of a customer who stayed on the line
    let_go_at: datetime | None
    hung_up_at: datetime | None
    ended_at: datetime | None
    join_ms: float | None
    answer_to_agent_ms: float | None
    disposition_code: str | None
    disposition_kind: str | None
    disposition_ru: str | None
    disposition_en: str | None
    disposition_note: str | None
    disposed_at: datetime | None
    disposed_by: int | None
    recording_status: str | None
    #: [{"from_s": ..., "until_s": ...}], the last one with null while it lasts
    recording_pauses: Sequence[Mapping[str, float | None]] | None
    #: led by a flow, or called back in turn: where the person waited and since when, the last time; why; what
    #: they have pressed, by name
    queue: str | None
    queued_at: datetime | None
    reason: str | None
    collected: Mapping[str, Any] | None

    @property
    def direction(self) -> Direction:
        """Who called whom."""
        return Direction.INBOUND if self.mode == Direction.INBOUND else Direction.OUTBOUND

    @property
    def wait_s(self) -> float | None:
        """How long the person waited in the queue, seconds; None where they did not, or still do."""
        until = self.connected_at or self.hung_up_at
        if self.queued_at is None or until is None:
            return None
        return max(0.0, (until - self.queued_at).total_seconds())

    @property
    def recording_paused(self) -> bool:
        """Whether nothing is written of what is said now."""
        return self.recording_pauses is not None and any(
            one["until_s"] is None for one in self.recording_pauses
        )

    @property
    def talk_s(self) -> float | None:
        """How long the talk lasted, seconds; None where there was none, or it goes on."""
        until = self.let_go_at or self.hung_up_at
        if self.connected_at is None or until is None:
            return None
        return (until - self.connected_at).total_seconds()


_A = attempt.c
_NAMED: dict[str, Any] = {
    "campaign": campaign.c.name,
    "list_name": contact_list.c.name,
    "last_name": contact.c.last_name,
    "first_name": contact.c.first_name,
    "middle_name": contact.c.middle_name,
    "trunk": trunk.c.name,
    "agent": agent.c.name,
    "disposition_code": disposition.c.code,
    "disposition_kind": disposition.c.kind,
    "disposition_ru": disposition.c.label_ru,
    "disposition_en": disposition.c.label_en,
    "recording_status": recording.c.status,
    "recording_pauses": recording.c.pauses,
}


def query(attempts: FromClause = attempt, *, inbound: bool = False) -> Select[*tuple[Any, ...]]:
    """The columns of CallRow, of `attempts`: the table, or what has its columns. `inbound`: what has them is
    of inbound calls."""
    a, tables = attempts.c, attempts
    for table, key in (
        (campaign, a.campaign_id),
        (trunk, a.trunk_id),
        (contact_list, a.list_id),
        (contact, a.contact_id),
        (agent, a.agent_id),
        (disposition, a.disposition_id),
    ):
        tables = tables.outerjoin(table, and_(table.c.tenant_id == a.tenant_id, table.c.id == key))
    whose = recording.c.inbound_call_id if inbound else recording.c.attempt_id
    tables = tables.outerjoin(recording, and_(recording.c.tenant_id == a.tenant_id, whose == a.id))
    known = {**a, **_NAMED}
    return select(*(known[name].label(name) for name in CallRow.__slots__)).select_from(tables)


#: What stands in an inbound call's row for what only an attempt has; null for the rest.
_INSTEAD: dict[str, ColumnElement[Any]] = {
    "trunk_id": literal_column("0", BigInteger),
    "mode": literal_column("'inbound'", Text),
    "policy": literal_column("''", Text),
}


def as_attempts(calls: FromClause = inbound_call) -> Select[*tuple[Any, ...]]:
    """Inbound calls with the columns of attempts; their number is that of who has called."""
    known = {**_INSTEAD, "caller_id": calls.c.dialled, **calls.c}
    return select(
        *(known.get(column.name, cast(null(), column.type)).label(column.name) for column in attempt.c),
    )


_CAME = as_attempts().subquery("came")
_ONE_INBOUND = Prepared(
    query(_CAME, inbound=True).where(
        _CAME.c.tenant_id == bindparam("tenant_id"), _CAME.c.id == bindparam("attempt_id")
    )
)
_OF_TENANT = query().where(_A.tenant_id == bindparam("tenant_id"))
_ONE = Prepared(_OF_TENANT.where(_A.id == bindparam("attempt_id")))


async def find(conn: AsyncConnection, tenant_id: int, attempt_id: UUID) -> CallRow | None:
    """The attempt with this id, or the inbound call."""
    row = await _ONE.row(conn, tenant_id=tenant_id, attempt_id=attempt_id)
    if row is None:
        row = await _ONE_INBOUND.row(conn, tenant_id=tenant_id, attempt_id=attempt_id)
    return CallRow(**row) if row else None


async def page(
    conn: AsyncConnection,
    tenant_id: int,
    which: Filter,
    *,
    after: tuple[datetime, UUID] | None = None,
    limit: int,
    oldest_first: bool = False,
) -> list[CallRow]:
    """Calls of both directions, newest first (or oldest first), following the one with the key `after`."""
    parts = []
    for table, rows in ((attempt, select(attempt)), (inbound_call, as_attempts())):
        inbound = table is inbound_call
        if not _may_have(which, inbound=inbound):
            continue
        # The names are looked up of these rows only.
        found = _found(rows, table, tenant_id, which, after=after, limit=limit, oldest_first=oldest_first)
        parts.append(query(found.subquery("inbound" if inbound else "outbound"), inbound=inbound))
    if not parts:
        return []
    both = union_all(*parts).subquery("calls")
    order = _order(both, oldest_first=oldest_first)
    found_rows = await conn.execute(select(both).order_by(*order).limit(limit))
    return [CallRow(**row) for row in found_rows.mappings()]


def _may_have(which: Filter, *, inbound: bool) -> bool:
    """Whether calls of this direction may be among those that are asked for."""
    direction = Direction.INBOUND if inbound else Direction.OUTBOUND
    results = INBOUND_RESULTS if inbound else RESULTS
    return which.direction in (None, direction) and (which.result is None or which.result in results)


def _found(
    rows: Select[*tuple[Any, ...]],
    table: Table,
    tenant_id: int,
    which: Filter,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
    oldest_first: bool,
) -> Select[*tuple[Any, ...]]:
    """A page of the rows of one table."""
    c = table.c
    found = rows.where(c.tenant_id == tenant_id).limit(limit)
    for name, value in (
        ("campaign_id", which.campaign_id),
        ("agent_id", which.agent_id),
        ("result", which.result),
        ("e164", which.e164),
        ("queue", which.queue),
    ):
        if value is not None:
            found = found.where(c[name] == value)
    if which.since is not None:
        found = found.where(c.created_at >= which.since)
    if which.until is not None:
        found = found.where(c.created_at < which.until)
    key = tuple_(c.created_at, c.id)
    if after is not None:
        found = found.where(key > tuple_(*after) if oldest_first else key < tuple_(*after))
    return found.order_by(*_order(table, oldest_first=oldest_first))


def _order(calls: FromClause, *, oldest_first: bool) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """By when they were made."""
    made, id_ = calls.c.created_at, calls.c.id
    return (made.asc(), id_.asc()) if oldest_first else (made.desc(), id_.desc())


# -- CSV ---------------------------------------------------------------------------------------------------

#: column -> its header in Russian; in English the column's name is the header.
COLUMNS = MappingProxyType(
    {
        "id": "Звонок",
        "created_at": "Создан",
        "campaign": "Кампания",
        "list_name": "Список",
        "direction": "Направление",
        "e164": "Номер",
        "last_name": "Фамилия",
        "first_name": "Имя",
        "middle_name": "Отчество",
        "mode": "Режим",
        "trunk": "Транк",
        "caller_id": "Определяемый номер",
        "queue": "Очередь",
        "wait_s": "Ожидание, с",
        "reason": "Причина обращения",
        "collected": "Ответы клавишами",
        "agent": "Оператор",
        "result": "Результат",
        "cause": "Причина Q.850",
        "sip_code": "Код SIP",
        "detail": "Подробности",
        "machine_status": "Автоответчик",
        "answered_at": "Ответ",
        "connected_at": "Соединён",
        "hung_up_at": "Завершён",
        "hung_up_by": "Кто завершил",
        "talk_s": "Разговор, с",
        "answer_to_agent_ms": "От ответа до оператора, мс",
        "disposition": "Итог",
        "disposition_note": "Заметка",
        "recording_status": "Запись",
    }
)
#: Columns that hold E.164 numbers: a plus and digits, in which no formula can be.
_NUMBERS = frozenset({"e164", "caller_id"})


def csv_header(locale: str) -> bytes:
    """The first line, with the mark by which spreadsheets know UTF-8."""
    names = COLUMNS.values() if locale == "ru" else COLUMNS.keys()
    return b"\xef\xbb\xbf" + _written([list(names)])


def of_nobody(row: CallRow) -> CallRow:
    """The call without what tells of the person."""
    nobody: dict[str, Any] = {"last_name": None, "first_name": None, "middle_name": None, "contact_id": None}
    return replace(row, e164=mask_number(row.e164), collected=None, disposition_note=None, **nobody)


def csv_rows(rows: Iterable[CallRow], locale: str) -> bytes:
    """Calls as CSV (RFC 4180, UTF-8); what people typed is never a formula."""
    return _written([_cell(row, column, locale) for column in COLUMNS] for row in rows)


def _written(rows: Iterable[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode("utf-8", "replace")


def _cell(row: CallRow, column: str, locale: str) -> str:
    value: Any = None
    if column == "disposition":
        value = row.disposition_ru if locale == "ru" else row.disposition_en
    else:
        value = getattr(row, column)
    if value is None:
        return ""
    if isinstance(value, Mapping):
        value = "; ".join(f"{name}={said}" for name, said in sorted(value.items()))
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if column in _NUMBERS and str(value).removeprefix("+").isdecimal():
        return str(value)
    return safe_cell(str(value))
