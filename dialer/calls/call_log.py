"""The call log: attempts as people look at them, by pages and as CSV; of a single inbound call the same.

Pages go by the key (made, id), which an index has; a page never depends on how many came before it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    literal_column,
    null,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts.csvfile import safe_cell
from dialer.db.prepared import Prepared
from dialer.db.tables import (
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


@dataclass(frozen=True, slots=True)
class Filter:
    """Which attempts; None: any."""

    campaign_id: int | None = None
    agent_id: int | None = None
    result: str | None = None
    #: made at this moment or later
    since: datetime | None = None
    #: made before this moment
    until: datetime | None = None
    #: exactly this number
    e164: str | None = None


@dataclass(frozen=True, slots=True)
class CallRow:
    """An attempt with the names of what it belongs to."""

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
    e164: str
    #: 0 and none: the call came in
    trunk_id: int
    trunk: str | None
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

    @property
    def talk_s(self) -> float | None:
        """How long the talk lasted, seconds; None where there was none, or it goes on."""
        if self.connected_at is None or self.hung_up_at is None:
            return None
        return (self.hung_up_at - self.connected_at).total_seconds()


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
    columns = [(_NAMED[name] if name in _NAMED else a[name]).label(name) for name in CallRow.__slots__]
    return select(*columns).select_from(tables)


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
        *(known.get(column.name, cast(null(), column.type)).label(column.name) for column in attempt.c)
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
    """Attempts, newest first (or oldest first), following the one with the key `after`."""
    found = query().where(_A.tenant_id == tenant_id).limit(limit)
    for column, value in (
        (_A.campaign_id, which.campaign_id),
        (_A.agent_id, which.agent_id),
        (_A.result, which.result),
        (_A.e164, which.e164),
    ):
        if value is not None:
            found = found.where(column == value)
    if which.since is not None:
        found = found.where(_A.created_at >= which.since)
    if which.until is not None:
        found = found.where(_A.created_at < which.until)
    key = tuple_(_A.created_at, _A.id)
    if after is not None:
        found = found.where(key > tuple_(*after) if oldest_first else key < tuple_(*after))
    found = (
        found.order_by(_A.created_at, _A.id)
        if oldest_first
        else found.order_by(_A.created_at.desc(), _A.id.desc())
    )
    return [CallRow(**row) for row in (await conn.execute(found)).mappings()]


# -- CSV ---------------------------------------------------------------------------------------------------

#: column -> its header in Russian; in English the column's name is the header.
COLUMNS = MappingProxyType(
    {
        "id": "Звонок",
        "created_at": "Создан",
        "campaign": "Кампания",
        "list_name": "Список",
        "e164": "Номер",
        "last_name": "Фамилия",
        "first_name": "Имя",
        "middle_name": "Отчество",
        "mode": "Режим",
        "trunk": "Транк",
        "caller_id": "Определяемый номер",
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


def csv_rows(rows: Iterable[CallRow], locale: str) -> bytes:
    """Attempts as CSV (RFC 4180, UTF-8); what people typed is never a formula."""
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
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if column in _NUMBERS and str(value).removeprefix("+").isdecimal():
        return str(value)
    return safe_cell(str(value))
