"""The fields of a card as a form shows them: what comes first, under which name, and what may be chosen."""

from __future__ import annotations

from dialer.contacts.fields import Field, FieldSpec, FieldType, Misfits
from dialer.web.card_fields import CardField, card_fields, labels

FIELDS = [
    Field(place, spec, place, archived=False, typed_upto=0, type_until=0)
    for place, spec in enumerate(
        (
            FieldSpec("city", "Город", "City", FieldType.CHOICE, choices=("Омск", "Тверь")),
            FieldSpec("year_made", "Год", "Year made", FieldType.NUMBER, ("год выпуска",), minimum=1950),
            FieldSpec("vip", "Важный", "VIP", FieldType.YES_NO),
        )
    )
]


def shown(custom: dict[str, str], locale: str = "ru") -> list[CardField]:
    """As the form of a card has them."""
    return card_fields(FIELDS, custom, locale, "да", "нет")


def test_the_tenants_fields_come_first_in_their_order() -> None:
    """Each under the name that its value has, or its key; what no field is for comes last, as it is."""
    found = shown({"Кличка": "Рекс", "ГОД выпуска": "2015"})
    assert [(one.name, one.label, one.value, one.type is None) for one in found] == [
        ("city", "Город", "", False),
        ("ГОД выпуска", "Год", "2015", False),
        ("vip", "Важный", "", False),
        ("Кличка", "Кличка", "Рекс", True),
    ]
    assert [one.label for one in shown({}, "en")] == ["City", "Year made", "VIP"]


def test_two_columns_of_one_field_are_both_shown() -> None:
    """Nothing that is kept of a person is hidden."""
    found = shown({"Год": "2015", "Год выпуска": "2016"})
    assert [(one.name, one.value) for one in found if one.label == "Год"] == [
        ("Год", "2015"),
        ("Год выпуска", "2016"),
    ]


def test_what_is_chosen_stays_as_it_was_written() -> None:
    """To save the form without a change changes nothing; the other choices are the field's own."""
    city, _, vip = shown({"Город": "тверь", "VIP": "+"})
    assert city.choices == (("Омск", "Омск"), ("тверь", "Тверь"))
    assert vip.choices == (("+", "да"), ("нет", "нет"))


def test_what_does_not_fit_says_why() -> None:
    """At its field alone."""
    found = {one.label: one.misfit for one in shown({"Город": "Пермь", "Год": "1900"})}
    assert found == {"Город": Misfits.CHOICE, "Год": Misfits.RANGE, "Важный": None}


def test_a_name_is_called_as_its_field() -> None:
    """In the history, too."""
    assert labels(FIELDS, ["год выпуска", "Кличка"], "en") == {"год выпуска": "Year made", "Кличка": "Кличка"}
