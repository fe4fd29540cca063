"""Whether two contacts are one person."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts.duplicates import SUGGEST_FROM, Kind, compare
from dialer.contacts.persons import Person, blocks, custom_cleaner, keys, kind_of, person_of, sound

IVANOV = Person(
    1,
    "Иванов",
    "Дмитрий",
    "Петрович",
    "d.ivanov@mail.example",
    ("+79161234567",),
    ("XTA210990Y2766389",),
    ("А123ВС77",),
    ("москва левина 5 2 17",),
    date(1980, 3, 14),
)


def like(**changes: object) -> Person:
    """Ivanov, but for these fields, as another contact."""
    fields = {name: getattr(IVANOV, name) for name in Person.__slots__}
    return Person(**{**fields, "id": 2, **changes})


def known(**fields: object) -> Person:
    """Ivanov of whom only the name and these fields are known."""
    names = {"last_name": "Иванов", "first_name": "Дмитрий", "middle_name": "Петрович"}
    return Person(**{"id": 2, **names, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other",
    [
        like(),
        Person(2, phones=IVANOV.phones),
        Person(2, email=IVANOV.email, last_name="Ivanov"),
        like(last_name="Ivanov", first_name="Dmitriy", middle_name="", vins=(), plates=(), born=None),
        like(last_name="Дмитрий", first_name="Иванов"),
        like(first_name="Дима", phones=("+79990000000",), born=None),
        like(first_name="Д.", middle_name="П.", phones=("+79990000000",)),
        known(phones=("+79161234576",)),  # two digits exchanged
        known(vins=("XTA210990Y2766380",)),
        known(addresses=("2 17 5 левина москва",)),
        known(last_name="Петров", phones=IVANOV.phones),  # another last name, the same person
        like(born=date(1980, 3, 15), email=""),
    ],
    ids=lambda other: " ".join(filter(None, (other.last_name, other.first_name, *other.phones)))[:40],
)
def test_one_person(other: Person) -> None:
    """Contacts that are one person in spite of slips, gaps, Latin letters and exchanged fields."""
    assert compare(IVANOV, other).value >= SUGGEST_FROM


@pytest.mark.parametrize(
    "other",
    [
        like(first_name="Анна", last_name="Иванова", middle_name="Сергеевна", born=None),  # his wife
        like(first_name="Сергей", born=None),  # his brother
        like(
            first_name="Дмитрия"[:-1] + "й", middle_name="Дмитриевич", born=None
        ),  # his son of the same name
        like(born=date(2004, 9, 1), middle_name=""),
        known(),  # of the same name, nothing more
        Person(2, "Иванов", "Дмитрий", addresses=("казань мира 1 1 1",)),
        Person(2, "Сидоров", "Пётр", addresses=IVANOV.addresses),  # a neighbour in the flat
        Person(2, plates=IVANOV.plates),  # the next owner of the car
    ],
    ids=["wife", "brother", "son", "birth", "namesake", "far namesake", "flatmate", "plate alone"],
)
def test_two_people(other: Person) -> None:
    """Families share telephones, addresses and cars, and namesakes are many: none of them is one person."""
    assert compare(IVANOV, other).value < SUGGEST_FROM


def test_similar_first_names_are_two() -> None:
    """Мария and Марина, Александр and Александра are one slip apart, and two people each."""
    for one, other in (("Мария", "Марина"), ("Александр", "Александра"), ("Евгений", "Евгения")):
        score = compare(
            known(id=1, first_name=one, phones=IVANOV.phones), known(first_name=other, phones=IVANOV.phones)
        )
        assert score.value <= 0.25
    slip = compare(known(id=1, first_name="Дмитрий"), known(first_name="Дмитиий"))
    assert {reason.field: reason.kind for reason in slip.reasons}["first_name"] is Kind.NEAR


def test_a_score_has_its_reasons() -> None:
    """What agrees and what does not is told, the heaviest first."""
    score = compare(IVANOV, like(first_name="Дима", email="", vins=(), plates=(), addresses=(), born=None))
    assert [(reason.field, reason.kind) for reason in score.reasons] == [
        ("phone", Kind.SAME),
        ("last_name", Kind.SAME),
        ("middle_name", Kind.SAME),
        ("first_name", Kind.SHORT),
    ]


NAMES = st.sampled_from(["", "Иванов", "Ivanov", "Анна", "Аня", "Петр", "А.", "Ильич", "Ильинична"])
PEOPLE = st.builds(
    Person,
    st.integers(1, 9),
    NAMES,
    NAMES,
    NAMES,
    st.sampled_from(["", "a@b.example", "ivanov77@b.example", "ivanov7@b.example"]),
    st.lists(st.sampled_from(["+79161234567", "+79161234568", "+74951234567"]), max_size=2).map(tuple),
    st.lists(st.sampled_from(["XTA210990Y2766389", "XTA210990Y2766380"]), max_size=1).map(tuple),
    st.lists(st.sampled_from(["А123ВС77", "А123ВС78"]), max_size=1).map(tuple),
    st.lists(st.sampled_from(["москва мира 5 2", "москва миро 5 2", "мира"]), max_size=1).map(tuple),
    st.none() | st.dates(date(1980, 1, 1), date(1980, 3, 1)),
)


@given(PEOPLE, PEOPLE)
def test_the_order_does_not_matter(one: Person, other: Person) -> None:
    """A score is the same whoever is named first, and lies between 0 and 1."""
    score = compare(one, other)
    assert score.value == compare(other, one).value
    assert 0 <= score.value <= 1


@given(st.lists(PEOPLE, max_size=9, unique_by=lambda one: one.id))
def test_blocks_give_each_pair_with_a_common_key_once(people: list[Person]) -> None:
    """All that meet in a block are compared, nobody with himself and none twice."""
    found = [frozenset((one.id, other.id)) for one, other in blocks(people)]
    wanted = {
        frozenset((one.id, other.id))
        for one in people
        for other in people
        if one.id != other.id and keys(one) & keys(other)
    }
    assert len(found) == len(set(found))
    assert set(found) == wanted


def test_a_key_of_many_says_nothing() -> None:
    """A block that is too large is passed over: a switchboard's number is nobody's."""
    crowd = [Person(number, phones=("+74951234567",)) for number in range(1, 6)]
    assert list(blocks(crowd, most=4)) == []
    assert len(list(blocks(crowd, most=5))) == 10


@pytest.mark.parametrize(
    ("one", "other"),
    [("Щукин", "Shchukin"), ("Щукин", "SCHUKIN"), ("Юрьев", "Yuriev"), ("Хохлов", "Khokhlov"),
     ("Цой", "Tsoy"), ("Яковлева", "Iakovleva"), ("Алексеев", "Alekseev"), ("Виктор", "Victor")],
)  # fmt: skip
def test_one_name_in_two_alphabets(one: str, other: str) -> None:
    """A name in Cyrillic and its usual spellings in Latin letters sound alike."""
    assert sound(one) == sound(other)


def test_a_contact_as_it_is_compared() -> None:
    """Custom columns are known by their headers; a name in one field is split, values are cleaned."""
    person = person_of(
        7,
        ("ИВАНОВА АННА ПЕТРОВНА", "", ""),
        " Anna@B.Example",
        ["+79161234567"],
        {
            "ВИН-код": "хта210990y2766389",
            "Гос. номер": "a123bc77",
            "Адрес": "ул. Мира, 5",
            "Дата рождения": "01.02.1990",
        },
    )
    assert (person.last_name, person.first_name, person.middle_name) == ("Иванова", "Анна", "Петровна")
    assert (person.email, person.born) == ("anna@b.example", date(1990, 2, 1))
    assert (person.vins, person.plates, person.addresses) == (
        ("XTA210990Y2766389",),
        ("А123ВС77",),
        ("мира 5",),
    )


def test_a_wrong_value_is_none() -> None:
    """A VIN of the wrong length, a plate that is none and a day that never was say nothing."""
    person = person_of(7, ("", "", ""), "", [], {"vin": "123", "госномер": "нет", "др": "31.02.1990"})
    assert person == Person(7)


def test_custom_values_of_cars_are_cleaned() -> None:
    """A VIN or plate that is one beyond doubt gets its form; anything else stays."""
    vin = custom_cleaner("VIN")
    assert vin is not None
    assert vin("xta 210990y2766389") == "XTA210990Y2766389"
    assert vin("нет") == "нет"
    assert custom_cleaner("Комментарий") is None
    assert kind_of("Комментарий") is None
