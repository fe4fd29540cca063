"""Consents that rows of a file tell of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from dialer.compliance.consent import Consent
from dialer.compliance.policy import Purpose
from dialer.contacts.agreed import Agreed, Place, is_known, read_agreed
from dialer.contacts.columns import CONSENT, Field, columns_of, mapped
from dialer.contacts.files import Record
from dialer.contacts.rows import RowReader
from dialer.errors import Invalid

ADS, SERVICE, ANY = Purpose.ADVERTISING, Purpose.SERVICE, Purpose.ANY
HEADERS = dict(zip(CONSENT, ("Цель", "Где", "С", "По", "Чем"), strict=True))


def read(purpose: str, **cells: str) -> tuple[tuple[Agreed, ...], list[tuple[str, str, str]]]:
    """The consents of a row, and its rejects as (column, code, value)."""
    given = {Field(f"consent_{name}"): cell for name, cell in {"purpose": purpose, **cells}.items()}
    agreed, rejects = read_agreed(3, given, HEADERS)
    assert all(one.row == 3 for one in rejects)
    return agreed, [(one.column, one.code.value, one.value) for one in rejects]


@pytest.mark.parametrize(
    ("purpose", "agreed"),
    [
        ("advertising", [ADS]),
        ("Реклама", [ADS]),
        ("реклама, сервис", [ADS, SERVICE]),
        ("service/ service", [SERVICE]),
        ("Любая цель", [ANY]),
        ("взыскание", [Purpose.COLLECTION]),
        ("опрос", [Purpose.SURVEY]),
        ("нет", []),
        ("-", []),
        ("", []),
    ],
)
def test_what_a_person_agreed_to(purpose: str, agreed: list[Purpose]) -> None:
    """Purposes in either language, several in a cell, each once; a no is none and no mistake."""
    assert read(purpose, source="form") == (tuple(Agreed(one, "form") for one in agreed), [])


@pytest.mark.parametrize(
    ("purpose", "cells", "kept", "wrong"),
    [
        ("да", {"source": "form"}, [], ("Цель", "consent_purpose", "да")),
        ("реклама, цветы", {"source": "form"}, [ADS], ("Цель", "consent_purpose", "цветы")),
        ("any", {}, [], ("Где", "consent_source", "")),
        ("any", {"source": "form", "from": "вчера"}, [], ("С", "date", "вчера")),
        ("any", {"source": "form", "until": "31.02.2026"}, [], ("По", "date", "31.02.2026")),
        (
            "any",
            {"source": "form", "from": "02.03.2026", "until": "01.03.2026"},
            [],
            ("По", "consent_over", "01.03.2026"),
        ),
    ],
)
def test_what_is_wrong_costs_the_consent(
    purpose: str, cells: dict[str, str], kept: list[Purpose], wrong: tuple[str, str, str]
) -> None:
    """A word that is no purpose, no source, a day that is none, an end before the beginning: each is told
    with its column."""
    agreed, rejects = read(purpose, **cells)
    assert [one.purpose for one in agreed] == kept
    assert rejects == [wrong]


def test_days_are_whole_days_of_the_company() -> None:
    """From the first minute of the first day to the last of the last one; without a first day from now."""
    place = Place(datetime(2026, 3, 1, 12, tzinfo=UTC), ZoneInfo("Europe/Moscow"))
    agreed = Agreed(ADS, "form", "№ 1", date(2026, 3, 2), date(2026, 3, 31))
    found = place.consent(7, agreed)
    assert found is not None
    assert found.valid_from == datetime(2026, 3, 1, 21, tzinfo=UTC)
    assert found.valid_until == datetime(2026, 3, 31, 21, tzinfo=UTC)
    assert (found.contact_id, found.purpose, found.source, found.proof) == (7, ADS, "form", "№ 1")
    undated = place.consent(7, replace(agreed, since=None))
    assert undated is not None
    assert (undated.valid_from, undated.undated, found.undated) == (place.at, True, False)
    assert place.consent(7, replace(agreed, since=None, until=date(2026, 2, 28))) is None


@pytest.mark.parametrize("first", [True, False])
def test_of_an_agreement_told_with_and_without_its_day_one_is_made(first: bool) -> None:
    """The one with the day, be it first or last; another person's, purpose or proof is another one."""
    place = Place(datetime(2026, 3, 1, 12, tzinfo=UTC), ZoneInfo("Europe/Moscow"))
    twice = [(7, 1, [Agreed(ADS, "form", "№ 1", date(2026, 3, 2))]), (7, 2, [Agreed(ADS, "form", "№ 1")])]
    others = [
        (7, 3, [Agreed(ANY, "form", "№ 1"), Agreed(ADS, "form", "№ 2")]),
        (8, 4, [Agreed(ADS, "form", "№ 1")]),
    ]
    found, over = place.consents([*(twice if first else reversed(twice)), *others], "until")
    assert [row for row, _ in found.values()] == [1, 3, 3, 4]
    assert over == []


def test_a_consent_on_record_is_none_more() -> None:
    """The same purpose, source, proof and end make it the same; so does the beginning, where one is known."""
    place = Place(datetime(2026, 3, 1, 12, tzinfo=UTC), ZoneInfo("Europe/Moscow"))
    dated, undated = (place.consent(7, Agreed(ADS, "form", "", day)) for day in (date(2026, 3, 2), None))
    assert dated is not None
    assert undated is not None
    then = datetime(2025, 1, 1, tzinfo=UTC)
    on_record = Consent(1, ADS, "form", "", then, None)
    assert is_known(undated, [on_record])
    assert not is_known(dated, [on_record])
    assert is_known(dated, [replace(on_record, valid_from=dated.valid_from)])
    for other in (replace(on_record, source="talk"), replace(on_record, purpose=ANY)):
        assert not is_known(undated, [other])
    assert not is_known(undated, [replace(on_record, proof="№ 1")])
    assert not is_known(undated, [replace(on_record, valid_until=then)])


def test_columns_of_consents_are_known_together() -> None:
    """Purpose and source make the others columns of consents; without one of the two they stay what the file
    has, unless a person has named them: that is refused."""
    whole = columns_of(["Телефон", "Согласие на", "Источник согласия", "Дата согласия", "Согласие до"])
    assert [one.field for one in whole[1:]] == list(CONSENT[:4])
    lacking = columns_of(["Телефон", "Дата согласия", "Согласие на"])
    assert [one.field for one in lacking[1:]] == [Field.CUSTOM, Field.CUSTOM]
    chosen = mapped(lacking, {"Дата согласия": "consent_source", "Согласие на": "consent_purpose"})
    assert [one.field for one in chosen[1:]] == [Field.CONSENT_SOURCE, Field.CONSENT_PURPOSE]
    with pytest.raises(Invalid, match="Согласие на"):
        mapped(lacking, {"Согласие на": "consent_purpose"})
    left = mapped(whole, {"Источник согласия": "skip"})
    assert [one.field for one in left[1:]] == [Field.CUSTOM, Field.SKIP, Field.CUSTOM, Field.CUSTOM]


def test_a_row_has_its_consents_beside_the_person() -> None:
    """The person is read as ever, and a consent that is wrong costs them nothing."""
    columns = columns_of(["phone", "consent purpose", "consent source", "consent proof"])
    reader = RowReader(columns, "RU")
    contact, rejects = reader.read(Record(1, ("89161234567", "service", " form  1 ", "№ 5")))
    assert contact is not None
    assert (contact.agreed, rejects, contact.custom) == ((Agreed(SERVICE, "form 1", "№ 5"),), [], {})
    contact, rejects = reader.read(Record(2, ("89161234567", "yes", "form", "")))
    assert contact is not None
    assert contact.agreed == ()
    assert [(one.row, one.column, one.code.value) for one in rejects] == [
        (2, "consent purpose", "consent_purpose")
    ]
