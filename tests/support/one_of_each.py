"""A row of each kind in a tenant, without a service: what a route is asked for by its path.

Rows are made from what the tables say of themselves: a text is the tenant's own word, a reference leads to
the tenant's row of that table (made first), a word of a CHECK is its first one. What a table does not say of
itself stands in `WRITTEN`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ARRAY, CheckConstraint, Column, DateTime, ForeignKeyConstraint, Table, insert
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.types import Boolean, Date, Float, Integer, LargeBinary, Numeric

from dialer.clock import utc_now
from dialer.compliance.policies import POLICIES
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.ids import new_id
from dialer.policies.fields import PolicyBody
from dialer.reviews.model import shipped
from dialer.scripts.loader import load
from support.flow_pages import document
from support.talk_scripts import INVITATION

#: In every text that names a customer, or tells of one.
WHOEVER: Final = "whoeverzeta"


class OneOfEach:
    """The rows of one tenant, made as they are asked for."""

    def __init__(self, database: Database, tenant_id: int, word: str) -> None:
        """`word` stands in every text: a reply that has it tells of this tenant."""
        self._database, self.tenant_id, self.word = database, tenant_id, word
        self._rows: dict[str, Mapping[str, Any]] = {}

    async def row(self, name: str) -> Mapping[str, Any]:
        """The tenant's row of this table."""
        if name not in self._rows:
            self._rows[name] = await self.make(name)
        return self._rows[name]

    async def id(self, name: str) -> Any:
        """Its id."""
        return (await self.row(name))["id"]

    async def make(self, name: str, **given: Any) -> Mapping[str, Any]:
        """A further row of the table."""
        table = t.metadata.tables[name]
        values: dict[str, Any] = {"tenant_id": self.tenant_id, **given}
        for said, value in WRITTEN.get(name, {}).items():
            if said not in values:
                values[said] = await self._value(value)
        leads = _references(table)
        for column in table.columns:
            if column.name not in values and _must_be_given(column):
                if column.name in leads:
                    values[column.name] = (await self.row(leads[column.name][0]))[leads[column.name][1]]
                else:
                    values[column.name] = self._plain(table, column)
        async with self._database.tenant(self.tenant_id) as conn:
            made = await conn.execute(insert(table).values(values).returning(*table.columns))
            return dict(made.mappings().one())

    async def _value(self, value: Any) -> Any:
        """What `WRITTEN` means: `Of` is another row's column, a function is asked with the tenant's word."""
        if isinstance(value, Of):
            if value.further:
                return (await self.make(value.table, **value.further))[value.column]
            return (await self.row(value.table))[value.column]
        return value(self) if callable(value) else value

    def _plain(self, table: Table, column: Column[Any]) -> Any:
        kind = column.type
        if words := _words(table, column.name):
            return words[0]
        if isinstance(kind, ARRAY):
            return []
        for type_, value in _PLAIN:
            if isinstance(kind, type_):
                return value() if callable(value) else value
        if column.name in ("e164", "number"):
            return number_of(self.tenant_id)
        return f"{self.word}-{table.name}"


def number_of(tenant_id: int) -> str:
    """The number of the tenant's customers, E.164."""
    return f"+7916{tenant_id:07}"


class Of:
    """A column of the tenant's row of a table; with `further`: of a row that is made for it."""

    def __init__(self, table: str, column: str = "id", **further: Any) -> None:
        self.table, self.column, self.further = table, column, further


_PLAIN: Final[tuple[tuple[Any, Any], ...]] = (
    (JSONB, dict),
    (UUID, new_id),
    (DateTime, utc_now),
    (Date, lambda: date(2026, 1, 5)),
    (Boolean, False),
    (LargeBinary, b"-"),
    ((Integer, Float, Numeric), 1),
)


def _must_be_given(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None and column.identity is None


def _references(table: Table) -> dict[str, tuple[str, str]]:
    """column -> (table, column) that it leads to."""
    found: dict[str, tuple[str, str]] = {}
    for one in table.constraints:
        if isinstance(one, ForeignKeyConstraint):
            for element in one.elements:
                if element.parent.name != "tenant_id":
                    found.setdefault(element.parent.name, (element.column.table.name, element.column.name))
    return found


def _words(table: Table, column: str) -> list[str]:
    for one in table.constraints:
        if isinstance(one, CheckConstraint):
            told = re.fullmatch(rf"{column} IN \((.*)\)", str(one.sqltext))
            if told:
                return re.findall(r"'(\w+)'", told[1])
    return []


def _own(text: str) -> Callable[[OneOfEach], str]:
    """The text with the tenant's word in it, and where it says so WHOEVER."""
    return lambda each: text.format(word=each.word, tenant=each.tenant_id, whoever=WHOEVER)


def _ago(seconds: float) -> Callable[[OneOfEach], datetime]:
    return lambda _each: utc_now() - timedelta(seconds=seconds)


_OF_A_TALK: Final = {"call_id": Of("attempt"), "attempt_id": Of("attempt")}
#: table -> column -> what it holds, where the table does not say so itself. {whoever} stands where a customer
#: is named, or told of.
WRITTEN: Final[Mapping[str, Mapping[str, Any]]] = {
    "app_user": {"role": "operator"},
    "agent_session": {"state": "paused", "leg": lambda _each: new_id(), "node": "main"},
    "allowed_host": {"host": _own("{word}.example.org")},
    "attempt": {
        "contact_id": Of("contact"), "lead_id": Of("lead"), "list_id": Of("contact_list"),
        "agent_id": Of("agent"), "session_id": Of("agent_session"), "disposition_id": Of("disposition"),
        "state": "ended", "result": "answered", "mode": "progressive", "policy": "default/1",
        "created_at": _ago(300), "answered_at": _ago(290), "connected_at": _ago(289), "hung_up_at": _ago(60),
        "ended_at": _ago(50), "disposed_at": _ago(55), "disposition_note": _own("{word}-{whoever} said so"),
    },
    "calibration": {**_OF_A_TALK, "reason": _own("{word}-{whoever}")},
    "callback": {"zone": "Europe/Moscow", "agent_id": Of("agent")},
    "campaign": {
        "policy": "default", "mode": "progressive",
        "retries": lambda _each: {"results": {}, "dispositions": {}},
    },
    "contact": {"last_name": _own("{word}-{whoever}")},
    "contact_phone": {"kind": "mobile", "timezones": ["Europe/Moscow"]},
    "contact_merge": {"survivor_id": Of("contact"), "merged_id": Of("contact", last_name="gone")},
    "custom_field": {"key": _own("field_{tenant}")},
    "disposition": {"kind": "sale", "code": "sold", "label_ru": "Продано", "label_en": "Sold"},
    "do_not_call": {"kind": "number", "mark": _own("+7917{tenant:07}")},
    "duplicate_pair": {
        "first_id": Of("contact"), "second_id": Of("contact", last_name="twin"), "reasons": lambda _each: [],
    },
    "flow": {"name": _own("{word}")},
    "flow_version": {"document": lambda each: document(each.word), "state": "live"},
    "inbound_call": {
        "state": "ended", "result": "answered", "answered_at": _ago(290), "hung_up_at": _ago(60),
        "ended_at": _ago(50), "created_at": _ago(300), "contact_id": Of("contact"), "agent_id": Of("agent"),
    },
    "inbound_number": {"number": _own("7495{tenant:07}")},
    "kept_place": {"call_id": Of("attempt"), "flow_attempt_id": Of("attempt"), "queue_id": Of("queue"),
                   "contact_id": Of("contact")},
    "lead": {"open_until": lambda _each: utc_now() + timedelta(days=99), "status": "closed"},
    "policy": {
        "code": _own("own-{word}"),
        "body": lambda _each: PolicyBody.of(POLICIES["default"]).model_dump(mode="json"),
    },
    "recording": {
        "attempt_id": Of("attempt"), "status": "whole", "duration_s": 10.0, "size_bytes": 100,
        "ended_at": _ago(60), "path": _own("{word}/none.wav"),
    },
    "review": {**_OF_A_TALK, "scores": lambda _each: {"speech": 4}, "comment": _own("{word}-{whoever} spoke"),
               "agent_id": Of("agent")},
    "review_form_version": {
        "criteria": lambda _each: [
            {"key": one.key, "title": one.title, "hint": one.hint, "weight": one.weight, "most": one.most}
            for one in shipped("en")
        ]
    },
    "review_task": {**_OF_A_TALK, "agent_id": Of("agent")},
    "rfm_grid": {
        "money_field_id": Of("custom_field", key="paid", type="money"),
        "day_field_id": Of("custom_field", key="bought", type="date"),
        "money_bands": 2, "day_bands": 2,
    },
    "script": {"name": _own("{word}")},
    "script_version": {
        "document": lambda each: load(INVITATION.replace("name: visit", f"name: {each.word}")).document,
        "state": "live",
    },
    "script_run": {**_OF_A_TALK, "step": "hello"},
    "segment": {"expression": lambda _each: {"field": "attempts", "op": "ge", "value": 0}},
    "trunk": {"allowed_prefixes": lambda _each: ["+7"], "endpoint": _own("trunk-{tenant}")},
    "visit": {"call_id": Of("attempt")},
    "voicemail": {"call_id": Of("inbound_call"), "box": _own("{word}")},
}  # fmt: skip
