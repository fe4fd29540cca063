"""Segments: what is an expression, and what it means on the calendar."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts.fields import Field, FieldSpec, FieldType
from dialer.contacts.rfm import Grid, bounds, cell, shares
from dialer.contacts.segments import (
    MAX_DEPTH,
    MAX_TESTS,
    ExpressionFault,
    Period,
    archived,
    catalog,
    document,
    parse,
    places_of,
)
from dialer.contacts.segments_meaning import matches

MOSCOW = ZoneInfo("Europe/Moscow")
TODAY = date(2026, 3, 31)
FIELDS = [
    Field(number, FieldSpec(key, key, key, kind, choices=choices), number, False, 0, 0)
    for number, (key, kind, choices) in enumerate(
        (
            ("credit_end", FieldType.DATE, ()),
            ("revenue", FieldType.MONEY, ()),
            ("tier", FieldType.CHOICE, ("Золотой", "Серебряный")),
            ("vip", FieldType.YES_NO, ()),
            ("car", FieldType.TEXT, ()),
        ),
        start=1,
    )
]
KNOWN = catalog(FIELDS)


def true_of(said: Any, **person: object) -> bool:
    """Whether it is true of a person with these values; `custom_x` is `custom.x`."""
    values = {name.replace("custom_", "custom."): value for name, value in person.items()}
    return matches(parse(said, KNOWN), values, KNOWN, TODAY, MOSCOW)


def test(field: str, op: str, *value: object) -> dict[str, object]:
    """A test of one field."""
    return {"field": field, "op": op} | ({"value": value[0]} if value else {})


test.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("op", "value", "first", "last"),
    [
        ("on", "2026-03-31", "2026-03-31", "2026-03-31"),
        ("next", "P90D", "2026-03-31", "2026-06-29"),
        ("next", "P1M", "2026-03-31", "2026-04-30"),
        ("last", "P1M", "2026-02-28", "2026-03-31"),
        ("last", "P2W", "2026-03-17", "2026-03-31"),
        ("ago", "P2Y", "1900-01-01", "2024-03-30"),
        ("ahead", "P1Y", "2027-04-01", "2199-12-31"),
        ("before", "2026-01-01", "1900-01-01", "2025-12-31"),
        ("after", "2026-01-01", "2026-01-02", "2199-12-31"),
        ("between", ["2026-01-01", "2026-01-05"], "2026-01-01", "2026-01-05"),
    ],
)
def test_days(op: str, value: object, first: str, last: str) -> None:
    """The first and the last day that a test is true of; the days beside them are not."""
    said = test("custom.credit_end", op, value)
    low, high = date.fromisoformat(first), date.fromisoformat(last)
    for day in (low, high):
        assert true_of(said, custom_credit_end=day)
    if low.year > 1900:
        assert not true_of(said, custom_credit_end=date.fromordinal(low.toordinal() - 1))
    if high.year < 2199:
        assert not true_of(said, custom_credit_end=date.fromordinal(high.toordinal() + 1))


def test_moments_are_of_the_tenants_day() -> None:
    """The 31st of March begins in Moscow at nine in the evening of the 30th by UTC."""
    said = test("last_attempt_at", "on", "2026-03-31")
    assert true_of(said, last_attempt_at=datetime(2026, 3, 30, 21, 0, tzinfo=UTC))
    assert true_of(said, last_attempt_at=datetime(2026, 3, 31, 20, 59, tzinfo=UTC))
    assert not true_of(said, last_attempt_at=datetime(2026, 3, 30, 20, 59, tzinfo=UTC))
    assert not true_of(said, last_attempt_at=datetime(2026, 3, 31, 21, 0, tzinfo=UTC))


def test_without_a_value_only_opposites_are_true() -> None:
    """`ne`, `not_in` and `not_set` are the opposites of tests that are false of nothing."""
    for said in (test("custom.car", "ne", "Volvo"), test("custom.tier", "not_in", ["Золотой"]),
                 test("custom.car", "not_set"), test("list", "not_in", [1])):  # fmt: skip
        assert true_of(said)
    nothing = [
        test("custom.car", "eq", "Volvo"),
        test("custom.revenue", "lt", 5),
        test("custom.vip", "eq", False),
        test("custom.credit_end", "ago", "P1D"),
        test("list", "in", [1]),
    ]
    for said in nothing:
        assert not true_of(said)


def test_texts_are_compared_in_letters_of_any_size() -> None:
    """ё is е in a tenant's own fields, and what looks like a pattern is only text."""
    assert true_of(test("custom.car", "eq", "ЁЛКА"), custom_car="елка")
    assert true_of(test("custom.car", "contains", "0%"), custom_car="50%")
    assert not true_of(test("custom.car", "contains", "_"), custom_car="50%")
    assert true_of(test("custom.tier", "in", ["золотой"]), custom_tier="Золотой")
    assert true_of(test("last_name", "starts", "ИВ"), last_name="Иванов")


def test_several_values() -> None:
    """One that fits is enough, and none may for the opposite."""
    lists = frozenset({1, 2})
    assert true_of(test("list", "in", [2, 3]), list=lists)
    assert not true_of(test("list", "not_in", [2, 3]), list=lists)
    assert places_of(parse({"not": test("list", "in", [2, 3])}, KNOWN), "list") == {2, 3}


@given(st.dates(date(1990, 1, 1), date(2150, 1, 1)), st.integers(0, 400), st.sampled_from("DWMY"))
def test_a_period_back_and_forth(day: date, many: int, unit: str) -> None:
    """Forward and back again is the same day, or, from the end of a longer month, at most three before."""
    period = Period(many, unit)
    assert 0 <= (day - period.before(period.after(day))).days <= 3
    assert period.before(day) <= day <= period.after(day)


@pytest.mark.parametrize(
    ("said", "path"),
    [
        (None, ""),
        ({}, ""),
        ({"all": [], "any": []}, ""),
        ({"all": {}}, ".all"),
        ({"all": [{"any": [{"not": 5}]}]}, ".all.0.any.0.not"),
        (test("salary", "eq", 1), ".field"),
        (test("custom.credit_end", "lt", 1), ".op"),
        (test("custom.credit_end", "next", "90"), ".value"),
        (test("custom.credit_end", "on", "2026-02-30"), ".value"),
        (test("custom.revenue", "ge", "5"), ".value"),
        (test("custom.revenue", "ge", float("nan")), ".value"),
        (test("custom.revenue", "between", [2, 1]), ".value"),
        (test("custom.revenue", "between", [1]), ".value"),
        (test("custom.tier", "in", ["Медный"]), ".value.0"),
        (test("custom.tier", "in", []), ".value"),
        (test("custom.vip", "eq", 1), ".value"),
        (test("custom.car", "is_set", 1), ".value"),
        (test("list", "in", [True]), ".value.0"),
        (test("phone", "starts", "8495"), ".value"),
        ({"field": "attempts", "op": "eq", "value": 0, "sql": "1=1"}, ""),
    ],
)
def test_what_is_no_expression_is_told_by_its_place(said: object, path: str) -> None:
    """The path names the part that is wrong."""
    with pytest.raises(ExpressionFault) as refused:
        parse(said, KNOWN)
    assert refused.value.path == "expression" + path


def test_an_expression_has_its_limits() -> None:
    """So many levels and conditions, no more."""
    deep: dict[str, object] = test("attempts", "eq", 0)
    for _ in range(MAX_DEPTH):
        deep = {"not": deep}
    parse(deep, KNOWN)
    with pytest.raises(ExpressionFault):
        parse({"not": deep}, KNOWN)
    parse({"any": [test("attempts", "eq", 0)] * MAX_TESTS}, KNOWN)
    with pytest.raises(ExpressionFault):
        parse({"any": [test("attempts", "eq", 0)] * (MAX_TESTS + 1)}, KNOWN)


@given(st.integers(2, 10), st.integers(1, 500))
def test_bands_have_equally_many_people(bands: int, people: int) -> None:
    """Give or take one, where all values differ; a rank is what PostgreSQL's percentile_disc makes of it."""
    firsts = [0, *(math.ceil(share * people) - 1 for share in shares(bands, people)), people]
    sizes = [after - first for first, after in itertools.pairwise(firsts)]
    assert sum(sizes) == people
    assert max(sizes) - min(sizes) <= 1


def test_a_grid_parts_people() -> None:
    """Everybody with both values is in exactly one cell; bands in which nobody would be are left out."""
    assert bounds([5.0, 5.0, 9.0], 1.0) == (5.0, 9.0)
    assert bounds([1.0, 5.0, None], 1.0) == (5.0,)
    days = (date(2024, 1, 1), date(2025, 1, 1))
    grid = Grid(1, "g", 2, 1, 3, 3, (10.0, 100.0), days, (), 0, None)
    assert len(grid.cells) == 9
    for revenue in (0.0, 9.99, 10.0, 99.0, 100.0, 1e6):
        for day in (date(2020, 1, 1), date(2023, 12, 31), *days, date(2026, 1, 1)):
            inside = [
                place
                for place in grid.cells
                if true_of(
                    document(cell(grid, "revenue", "credit_end", *place)),
                    custom_revenue=revenue,
                    custom_credit_end=day,
                )
            ]
            row = 1 + (revenue >= 10) + (revenue >= 100)
            assert inside == [(row, 1 + (day >= days[0]) + (day >= days[1]))]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (99999999999999999999, "must be 10000000000000 or less"),
        (-99999999999999999999, "must be -10000000000000 or more"),
        (math.nan, "must be a number"),
        ("5", "must be a number"),
    ],
)
def test_a_number_out_of_bounds_is_told_the_bound(value: object, reason: str) -> None:
    """It is a number all the same."""
    with pytest.raises(ExpressionFault) as refused:
        parse(test("attempts", "eq", value), KNOWN)
    assert (refused.value.path, refused.value.reason) == ("expression.value", reason)


def test_a_field_that_was_archived_is_told_so() -> None:
    """Of a field that there never was another thing is said."""
    fields = [replace(one, archived=one.key == "car") for one in FIELDS]
    for name, reason in (("car", "the field custom.car is archived"), ("bike", "is no field of contacts")):
        with pytest.raises(ExpressionFault) as refused:
            parse(test(f"custom.{name}", "eq", "x"), catalog(fields), archived(fields))
        assert (refused.value.path, refused.value.reason) == ("expression.field", reason)
