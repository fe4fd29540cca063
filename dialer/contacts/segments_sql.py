"""Segments as SQL: sets of contacts' ids, put together as the expression is.

Each test is a set that an index gives (`SELECT contact_id FROM contact_value WHERE ...`); `all` is a semi-
join of its parts, `any` their union, `not` marks a set as the one of those who are *not* in it. Only at the
end, if the whole is such a complement, all contacts are gone through. So the planner may begin with the
smallest set, and nothing is asked once a contact. Values are bound, names are columns of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, literal, or_, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY as PG_ARRAY
from sqlalchemy.types import Text

from dialer.contacts.segments import (
    COUNTED,
    All,
    AnyOf,
    Catalog,
    Expression,
    Kind,
    Known,
    Not,
    Test,
)
from dialer.contacts.segments_meaning import OneOf, Part, Present, Span, Want, wanted
from dialer.db import tables as t

Ids = Select[Any]
_CONTACT = t.contact.c
_VALUE = t.contact_value.c
_PHONE = t.contact_phone.c
_ACTIVITY = t.contact_activity.c


@dataclass(frozen=True, slots=True)
class _Set:
    """Contacts' ids: those that `ids` gives, as `contact_id`, or all others."""

    ids: Ids
    others: bool
    #: whether `ids` gives none twice
    unique: bool

    def opposite(self) -> _Set:
        return _Set(self.ids, not self.others, self.unique)


@dataclass(frozen=True, slots=True)
class Compiler:
    """Makes the SQL of expressions for a tenant, of one moment."""

    tenant_id: int
    known: Catalog
    #: by the tenant's calendar
    today: date
    zone: ZoneInfo
    now: datetime
    #: whether anybody was erased: else nobody need be looked for among them
    erased: bool = True
    #: names of archived fields
    gone: frozenset[str] = frozenset()

    def ids(self, expression: Expression) -> Ids:
        """Everybody in the segment, once each, as `contact_id`; nobody who was erased."""
        ids, others = self.named(expression)
        if not others:
            return ids
        people = t.contact.alias("people")
        rest = select(people.c.id.label("contact_id")).where(
            people.c.tenant_id == self.tenant_id, ~_inside(ids, people.c.id)
        )
        return rest.where(self._is_there(people.c.id)) if self.erased else rest

    def named(self, expression: Expression) -> tuple[Ids, bool]:
        """Those who are in the segment, or all who are not (True): whoever the tests name. Once each, as
        `contact_id`; nobody who was erased."""
        found = self._set(expression)
        base = found.ids.subquery()
        ids = select(base.c.contact_id)
        if not found.unique:
            ids = ids.distinct()
        return (ids.where(self._is_there(base.c.contact_id)) if self.erased else ids), found.others

    def _is_there(self, contact_id: ColumnElement[Any]) -> ColumnElement[bool]:
        erased = exists().where(
            _CONTACT.tenant_id == self.tenant_id, _CONTACT.erased_at.is_not(None), _CONTACT.id == contact_id
        )
        return ~erased.correlate_except(t.contact)

    def of(
        self, expression: Expression, contact_id: ColumnElement[Any], *, alone: bool = False
    ) -> ColumnElement[bool]:
        """Whether the contact of a row is in the segment. `alone`: each is looked up by itself."""
        found = self._set(expression)
        inside = _inside(found.ids, contact_id, alone=alone)
        return ~inside if found.others else inside

    def _set(self, expression: Expression) -> _Set:
        match expression:
            case Not(part):
                return self._set(part).opposite()
            case All(parts):
                return self._all([self._set(one) for one in parts])
            case AnyOf(parts):
                # Whoever is in one of them is whoever is not outside of all.
                return self._all([self._set(one).opposite() for one in parts]).opposite()
            case Test():
                return self._test(expression)

    def _all(self, parts: list[_Set]) -> _Set:
        inside = [one for one in parts if not one.others]
        outside = [one for one in parts if one.others]
        if len(parts) == 1:
            return parts[0]
        if not inside:
            # In none of them: outside of their union.
            return _Set(_union([one.ids for one in outside]), others=True, unique=False)
        first = next((one for one in inside if one.unique), None)
        if first is None:
            people = select(_CONTACT.id.label("contact_id")).where(_CONTACT.tenant_id == self.tenant_id)
            first = _Set(people, others=False, unique=True)
        base = first.ids.subquery()
        ids = select(base.c.contact_id).where(
            *(_inside(one.ids, base.c.contact_id) for one in inside if one is not first),
            *(~_inside(one.ids, base.c.contact_id) for one in outside),
        )
        return _Set(ids, others=False, unique=True)

    # -- one test -------------------------------------------------------------------------------------------

    def _test(self, test: Test) -> _Set:
        field = self.known[test.field]
        want, opposite = wanted(test, field, self.today, self.zone)
        found = self._wanted(field, want)
        return found.opposite() if opposite else found

    def _wanted(self, field: Known, want: Want) -> _Set:
        if field.custom is not None:
            return self._value(field, want, field.custom.id)
        match field.name:
            case "list":
                return self._place(t.list_contact.c.list_id, want)
            case "campaign":
                return self._place(t.lead.c.campaign_id, want)
            case "phone":
                return self._rows(_PHONE.contact_id, _begins(_PHONE.e164, want), unique=False)
            case "phone_kind":
                return self._rows(_PHONE.contact_id, _fits(_PHONE.kind, want), unique=False)
            case "zone":
                return self._zone(want)
            case "consent":
                return self._consent(want)
            case "added_at":
                return self._rows(_CONTACT.id, _fits(_CONTACT.created_at, want), unique=True)
        if field.name in _ACTIVITY:
            return self._activity(field, want)
        column = t.contact.c[field.name]
        text = column if isinstance(want, Present) else func.lower(column)
        return self._rows(_CONTACT.id, and_(column != "", _fits(text, want)), unique=True)

    def _rows(self, owner: ColumnElement[Any], where: ColumnElement[bool], *, unique: bool) -> _Set:
        table: Any = owner.table
        ids = select(owner.label("contact_id")).where(table.c.tenant_id == self.tenant_id, where)
        return _Set(ids, others=False, unique=unique)

    def _value(self, field: Known, want: Want, field_id: int) -> _Set:
        column = {Kind.DAY: _VALUE.day, Kind.TEXT: _VALUE.text, Kind.WORD: _VALUE.text}.get(
            field.kind, _VALUE.number
        )
        # `IS NOT NULL` names the index that has only the values of this kind.
        where = and_(_VALUE.field_id == field_id, column.is_not(None), _fits(column, want))
        return self._rows(_VALUE.contact_id, where, unique=True)

    def _place(self, column: ColumnElement[Any], want: Want) -> _Set:
        assert isinstance(want, OneOf)
        owner = column.table.c.contact_id
        one_list = len(want.values) == 1 and column is t.list_contact.c.list_id
        return self._rows(owner, _fits(column, want), unique=one_list)

    def _zone(self, want: Want) -> _Set:
        assert isinstance(want, OneOf)
        names = literal(sorted(map(str, want.values)), PG_ARRAY(Text))
        own = select(_CONTACT.id.label("contact_id")).where(
            _CONTACT.tenant_id == self.tenant_id, _fits(_CONTACT.timezone, want)
        )
        by_number = (
            select(_PHONE.contact_id.label("contact_id"))
            .join(t.contact, and_(_CONTACT.tenant_id == _PHONE.tenant_id, _CONTACT.id == _PHONE.contact_id))
            .where(
                _PHONE.tenant_id == self.tenant_id,
                _CONTACT.timezone.is_(None),
                _PHONE.timezones.bool_op("&&")(names),
            )
        )
        return _Set(_union([own, by_number]), others=False, unique=False)

    def _consent(self, want: Want) -> _Set:
        c = t.consent.c
        valid = and_(
            c.valid_from <= self.now,
            or_(c.valid_until.is_(None), c.valid_until > self.now),
            c.withdrawn_at.is_(None),
            _fits(c.purpose, want),
        )
        return self._rows(c.contact_id, valid, unique=False)

    def _activity(self, field: Known, want: Want) -> _Set:
        column = _ACTIVITY[field.name]
        if field.name in COUNTED:
            assert isinstance(want, Span)
            if want.has(0):
                # Who was never called has no row: everybody but those whose count lies outside.
                others = self._rows(_ACTIVITY.contact_id, ~_fits(column, _whole(want)), unique=True)
                return others.opposite()
        where = and_(column.is_not(None), _fits(column, _whole(want)))
        return self._rows(_ACTIVITY.contact_id, where, unique=True)


def _inside(ids: Ids, contact_id: ColumnElement[Any], *, alone: bool = False) -> ColumnElement[bool]:
    inner = ids.subquery()
    found = select(literal(1)).select_from(inner).where(inner.c.contact_id == contact_id)
    # OFFSET keeps the planner from making one join of all that are asked about.
    return exists(found.offset(0) if alone else found)


def _union(parts: list[Ids]) -> Ids:
    if not parts:
        return select(_CONTACT.id.label("contact_id")).where(false())
    if len(parts) == 1:
        return parts[0]
    return select(union_all(*parts).subquery().c.contact_id)


def _whole(want: Want) -> Want:
    """With whole numbers where they are: the column has them, and is not cast."""
    if not isinstance(want, Span):
        return want
    low, high = [
        int(one) if isinstance(one, float) and one.is_integer() else one for one in (want.low, want.high)
    ]
    return replace(want, low=low, high=high)


def _begins(column: ColumnElement[Any], want: Want) -> ColumnElement[bool]:
    # Not by LIKE, which no index serves under row security. A letter comes after all digits in any order.
    assert isinstance(want, Part)
    return and_(column >= want.text, column < f"{want.text}z")


def _fits(column: ColumnElement[Any], want: Want) -> ColumnElement[bool]:
    match want:
        case Present():
            return column.is_not(None)
        case OneOf(values):
            return column.in_(sorted(values))
        case Part(text, first):
            return (
                column.startswith(text, autoescape=True) if first else column.contains(text, autoescape=True)
            )
        case Span(low, high, above, below):
            ends = []
            if low is not None:
                ends.append(column > low if above else column >= low)
            if high is not None:
                ends.append(column < high if below else column <= high)
            return and_(*ends)
