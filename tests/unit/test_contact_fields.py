"""Fields of contacts: how what people write becomes a value, and what is no value."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts.fields import (
    CARS,
    Field,
    FieldSpec,
    FieldType,
    Misfit,
    Misfits,
    Reader,
    Typed,
    changes_typing,
    pattern_fault,
    read_day,
    read_number,
    read_value,
    read_yes_no,
    spec_faults,
)
from dialer.contacts.fields_schema import SchemaFault, from_schema, to_schema


def field(kind: FieldType, id_: int = 1, **more: Any) -> Field:
    """A field of this type."""
    spec = FieldSpec(more.pop("key", f"f{id_}"), f"Поле {id_}", f"Field {id_}", kind, **more)
    return Field(id_, spec, id_, archived=False, typed_upto=0, type_until=0)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1 234,50", 1234.5), ("1\u00a0234,50", 1234.5), ("1234.5", 1234.5), ("-7", -7), ("−7", -7),
        ("1.234.567", 1234567), ("1,234,567.89", 1234567.89), ("1.234.567,89", 1234567.89),
        ("250 000 руб.", 250000), ("250000р.", 250000), ("₽ 10", 10), ("0,5", 0.5), ("1,234", 1.234),
        ("1 234 567", 1234567), ("+5", 5),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(written: str, number: float) -> None:
    """Spaces between thousands, a comma or a point before the fraction, a currency."""
    assert read_number(written) == number


@pytest.mark.parametrize(
    "written",
    ["", "много", "1 23", "12 3456", "1,23,456", "7,91E+10", "1.2.3", "10 %", "--1", "1e3",
     "10 000 000 000 000 000", "٣", "nan", "inf", "1_000"],
)  # fmt: skip
def test_what_is_no_number(written: str) -> None:
    """What may be meant otherwise is not guessed."""
    assert read_number(written) is None


@pytest.mark.parametrize(
    "written",
    ["31.12.2026", "31.12.26", "31/12/2026", "2026-12-31", "2026-12-31 00:00:00", "31.12.2026 10:30",
     "31.12.2026 г.", "2026-12-31T10:00:00+03:00", "31 декабря 2026 г.", "31 December 2026", "31-12-2026"],
)  # fmt: skip
def test_days_as_people_write_them(written: str) -> None:
    """The same day in every form."""
    assert read_day(written) == date(2026, 12, 31)


@pytest.mark.parametrize(
    "written",
    ["31.02.2026", "12/31/2026", "46387", "2026", "12.2026", "1.1.1", "01.01.0026", "завтра", "1.2-2026"],
)
def test_what_is_no_day(written: str) -> None:
    """A day that the calendar lacks, the American order, the number of a spreadsheet."""
    assert read_day(written) is None


@given(st.dates(date(1970, 1, 1), date(2069, 12, 31)))
def test_a_short_year_is_within_a_century(day: date) -> None:
    """Two digits mean 1970 to 2069."""
    assert read_day(day.strftime("%d.%m.%y")) == day


@given(st.decimals(min_value=-999_999_999, max_value=999_999_999, places=2))
def test_a_number_is_read_back(number: Any) -> None:
    """However its thousands and its fraction are parted."""
    plain = f"{number:,.2f}"
    assert read_number(plain) == float(number)
    assert read_number(plain.replace(",", " ").replace(".", ",")) == float(number)


@given(st.text(max_size=40))
def test_reading_never_raises(text: str) -> None:
    """Whatever stands in a cell."""
    custom = {"f1": text, "f2": text, "f3": text, "f4": text}
    kinds = (FieldType.NUMBER, FieldType.DATE, FieldType.YES_NO, FieldType.TEXT)
    found, misfits = Reader([field(kind, n) for n, kind in enumerate(kinds, 1)]).read(custom)
    assert len(found) + len(misfits) == (4 if text.strip() else 0)


def test_yes_and_no() -> None:
    """In Russian, English and signs; anything else is neither."""
    assert [read_yes_no(one) for one in ("Да", "нет", "+", "0", "TRUE", "может быть")] == [
        True, False, True, False, True, None,
    ]  # fmt: skip


def test_values_are_found_by_every_name_of_a_field() -> None:
    """By key, labels and other names, in letters of any size, with any sign between the words."""
    one = field(FieldType.DATE, key="credit_end", names=("Окончание кредита",))
    for header in ("credit_end", "Credit-End", "ОКОНЧАНИЕ   КРЕДИТА", "поле 1"):
        assert Reader([one]).read({header: "31.12.2026"}) == ([Typed(1, day=date(2026, 12, 31))], [])
    assert Reader([one]).read({"Конец": "31.12.2026"}) == ([], [])


def test_what_does_not_fit_is_told() -> None:
    """Each with its reason, under the header that it has."""
    fields = [
        field(FieldType.NUMBER, 1, minimum=0, maximum=10),
        field(FieldType.CHOICE, 2, choices=("Новый", "Старый")),
        field(FieldType.TEXT, 3, pattern="[A-Z]{3}"),
        field(FieldType.YES_NO, 4, required=True),
        field(FieldType.NUMBER, 5),
    ]
    found, misfits = Reader(fields).read(
        {"f1": "11", "f2": "средний", "Поле 3": "ABCD", "f4": " ", "Field 5": "х"}
    )
    assert found == []
    assert misfits == [
        Misfit(1, "f1", Misfits.RANGE, "11"),
        Misfit(2, "f2", Misfits.CHOICE, "средний"),
        Misfit(3, "Поле 3", Misfits.PATTERN, "ABCD"),
        Misfit(5, "Field 5", Misfits.NUMBER, "х"),
        Misfit(4, "f4", Misfits.REQUIRED, ""),
    ]
    assert Reader(fields[1:3]).read({"f2": "новый", "f3": "abc"})[0] == [
        Typed(2, text="новый"), Typed(3, text="abc"),
    ]  # fmt: skip


def test_of_two_headers_the_one_that_fits_counts() -> None:
    """A field that stands twice in a file takes the first value that is one."""
    one = field(FieldType.NUMBER, 1)
    assert Reader([one]).read({"f1": "нет данных", "Поле 1": "5", "Field 1": "6"}) == (
        [Typed(1, number=5)], [],
    )  # fmt: skip


@pytest.mark.parametrize(
    "pattern", ["[A-HJ-NPR-Z0-9]{17}", "[АВЕКМНОРСТУХ]\\d{3}[АВЕ]{2}\\d{2,3}", "a+b?c*", "№ \\d+"]
)
def test_patterns_that_are_taken(pattern: str) -> None:
    """Letters, classes and counts."""
    assert pattern_fault(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+", "a|b", "a+b+c+d+", "^a", "a{2}{3}", "[", "a**", "(?=x)", "\\1", "[[a]]", ".{1,", "a$"],
)
def test_patterns_that_are_not(pattern: str) -> None:
    """What could take a value for ever, or does not mean what it says."""
    assert pattern_fault(pattern) is not None


def test_what_is_wrong_with_a_field() -> None:
    """Its key, its names, what its type does not have."""
    good = FieldSpec("a", "А", "A", FieldType.TEXT)
    assert spec_faults(good, []) == []

    def places(spec: FieldSpec) -> list[str]:
        return [place for place, _ in spec_faults(spec, [good])]

    assert places(FieldSpec("1a", "Б", "B", FieldType.TEXT)) == ["key"]
    assert places(FieldSpec("a", "Б", "B", FieldType.TEXT)) == ["key"]
    assert places(FieldSpec("b", "Б", "a", FieldType.TEXT)) == ["names"]
    assert places(FieldSpec("b", "Б", "B", FieldType.CHOICE)) == ["choices"]
    assert places(FieldSpec("b", "Б", "B", FieldType.CHOICE, choices=("x", "X"))) == ["choices"]
    assert places(FieldSpec("b", "Б", "B", FieldType.NUMBER, pattern="a")) == ["pattern"]
    assert places(FieldSpec("b", "Б", "B", FieldType.DATE, minimum=1)) == ["minimum"]
    assert places(FieldSpec("b", "Б", "B", FieldType.MONEY, minimum=2, maximum=1)) == ["maximum"]


def test_only_a_change_of_meaning_reads_values_anew() -> None:
    """A label that is written otherwise does not; another type, bound or name does."""
    old = FieldSpec("a", "Цена", "Price", FieldType.NUMBER)
    assert not changes_typing(old, FieldSpec("a", "ЦЕНА", "price", FieldType.NUMBER))
    assert changes_typing(old, FieldSpec("a", "Цена", "Price", FieldType.MONEY))
    assert changes_typing(old, FieldSpec("a", "Цена", "Price", FieldType.NUMBER, minimum=1))
    assert changes_typing(old, FieldSpec("a", "Стоимость", "Price", FieldType.NUMBER))


def test_the_fields_of_the_car_trade_are_sound() -> None:
    """No two of them go by one name, and each reads what dealers' files have."""
    for number, spec in enumerate(CARS):
        assert spec_faults(spec, CARS[:number]) == []
    fields = [Field(n, spec, n, False, 0, 0) for n, spec in enumerate(CARS, 1)]
    found, misfits = Reader(fields).read({
            "Марка": "Volvo", "Модель автомобиля": "XC60", "Год выпуска": "2019",
            "VIN-код": "YV1DZ8256C2271234",
            "Дата окончания кредита": "31.12.26", "Ежемесячный платеж": "35 000,00 руб.",
            "Дата последнего визита": "2024-02-29", "Выручка": "1 250 000",
        })  # fmt: skip
    assert misfits == []
    assert {fields[one.field_id - 1].key: one.number or one.day or one.text for one in found} == {
        "car_make": "volvo", "car_model": "xc60", "car_year": 2019, "vin": "yv1dz8256c2271234",
        "credit_end": date(2026, 12, 31), "monthly_payment": 35000, "last_visit": date(2024, 2, 29),
        "revenue": 1250000,
    }  # fmt: skip


def test_a_schema_says_the_same_fields() -> None:
    """Fields to JSON Schema and back are the same fields, in their order."""
    more = (
        FieldSpec("tier", "Уровень", "Tier", FieldType.CHOICE, choices=("A", "B"), required=True),
        FieldSpec("vip", "VIP", "VIP", FieldType.YES_NO),
        FieldSpec("points", "Баллы", "Points", FieldType.NUMBER, minimum=0, maximum=5),
    )
    schema = json.loads(json.dumps(to_schema(CARS + more)))
    assert schema["properties"]["vin"]["pattern"] == "^[A-HJ-NPR-Z0-9]{17}$"
    assert schema["required"] == ["tier"]
    assert tuple(from_schema(schema)) == CARS + more


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ([], "body"),
        ({}, "properties"),
        ({"properties": {"a": {"type": "array"}}}, "properties.a.type"),
        ({"properties": {"a": {"type": "string", "format": "email"}}}, "properties.a.format"),
        ({"properties": {"a": {"type": "string", "minLength": 1}}}, "properties.a.minLength"),
        ({"properties": {"a": {"type": "string", "pattern": "x"}}}, "properties.a.pattern"),
        ({"properties": {"a": {"type": "number", "minimum": "1"}}}, "properties.a.minimum"),
        ({"properties": {}, "required": ["a"]}, "required"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "$schema"),
        ({"oneOf": []}, "oneOf"),
    ],
)
def test_a_schema_that_says_no_fields(schema: Any, path: str) -> None:
    """What is not understood is refused, by its place: it is never left out in silence."""
    with pytest.raises(SchemaFault) as refused:
        from_schema(schema)
    assert refused.value.path == path


def test_a_text_is_compared_in_small_letters() -> None:
    """ё is е, spaces are single."""
    assert read_value(field(FieldType.TEXT), "  ЁЛКА   Зелёная ") == Typed(1, text="елка зеленая")
