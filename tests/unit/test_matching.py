"""Who the people of a file are, and what a row gives to a person who is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts.columns import columns_of
from dialer.contacts.matching import Card, Headers, gain, gain_all, person_at, same, sort_people
from dialer.contacts.model import MAX_PHONES, NewContact, Owner, Wins
from dialer.contacts.numbers import PhoneNumber

ZONE = ("Europe/Moscow",)


def phone(last: int) -> PhoneNumber:
    """A number of a plan of ten."""
    return PhoneNumber(f"+7495000000{last}", "fixed_line", ZONE)


def person(*numbers: int, row: int = 1, **values: object) -> NewContact:
    """A row with these numbers."""
    return replace(NewContact(row, tuple(phone(one) for one in numbers)), **values)  # type: ignore[arg-type]


def card(**values: object) -> Card:
    """A person of whom nothing but one number is known."""
    return replace(Card.of(person(0)), **values)  # type: ignore[arg-type]


# -- who ----------------------------------------------------------------------------------------------------

ROWS = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True), max_size=12)
KNOWN = st.dictionaries(st.integers(0, 9), st.tuples(st.integers(1, 3), st.booleans()), max_size=5)


@given(ROWS, KNOWN)
def test_every_row_is_one_person(rows: list[list[int]], base: dict[int, tuple[int, bool]]) -> None:
    """A row is new, joins or is a duplicate; with a number of the base it is never new, and no two new people
    share a number."""
    numbers = [tuple(phone(one).e164 for one in row) for row in rows]
    in_list = dict(base.values())  # a contact is in the list or is not
    known = {phone(one).e164: Owner(contact, in_list[contact]) for one, (contact, _) in base.items()}
    found = sort_people(numbers, known)
    assert len(found.new) + len(found.joining) + found.duplicates == len(rows)
    assert sorted([*found.new, *(place for place, _ in found.known)]) == list(range(len(rows)))
    used: set[str] = set()
    for place in found.new:
        assert used.isdisjoint(numbers[place])
        assert not known.keys() & set(numbers[place])
        used |= set(numbers[place])
    for place, who in found.known:
        shared = {known[one].contact_id for one in numbers[place] if one in known}
        if who > 0:
            # Whom it is has one of its numbers: in the base, or from a row above.
            assert who in shared or any(found.owners.get(one) == who for one in numbers[place])
        else:
            assert person_at(who) in found.new
            assert not shared
    assert not found.joining & found.listed
    assert all(in_list[one] for one in found.listed)
    assert not any(in_list[one] for one in found.joining)


@given(ROWS)
def test_a_batch_is_sorted_as_its_rows_one_by_one(rows: list[list[int]]) -> None:
    """Where batches are cut does not change who anybody is."""
    numbers = [tuple(phone(one).e164 for one in row) for row in rows]
    people = [person(*row, row=place) for place, row in enumerate(rows, start=1)]
    found = sort_people(numbers, {})
    whole = gain_all(found, people.__getitem__, {}, {}, Wins.BASE)
    base: dict[str, Owner] = {}
    cards: dict[int, Card] = {}
    new = 0
    for place, row in enumerate(numbers):
        one = sort_people([row], base)
        one_row = [people[place]]
        gained = gain_all(one, one_row.__getitem__, cards, base, Wins.BASE)
        cards |= gained.changed
        if one.new:
            new += 1
            cards[place + 1] = Card.of(people[place])
            base |= {number: Owner(place + 1, True) for number in row}
        for contact, changed in gained.changed.items():
            base |= {number: Owner(contact, True) for number in changed.phones if number not in base}
    assert new == len(found.new)
    ended = {place + 1: whole.changed.get(person_at(place), Card.of(people[place])) for place in found.new}
    assert {contact: set(one.phones) for contact, one in cards.items()} == {
        contact: set(one.phones) for contact, one in ended.items()
    }


# -- what ---------------------------------------------------------------------------------------------------


def test_what_is_empty_is_filled() -> None:
    """Name, e-mail, zone, key, a custom field and a further number, each told as a change from nothing."""
    row = person(
        0,
        1,
        last_name="Петрова",
        email="a@x.ru",
        timezone="Asia/Omsk",
        external_id="7",
        custom={"Авто": "Лада"},
    )
    found = gain(card(), row, ())
    now = found.card
    assert (now.last_name, now.email, now.timezone, now.external_id) == (
        "Петрова",
        "a@x.ru",
        "Asia/Omsk",
        "7",
    )
    assert now.custom == {"Авто": "Лада"}
    assert now.phones == (phone(0).e164, phone(1).e164)
    assert now.added == (phone(1),)
    assert {one.before for one in found.changes} == {""}
    assert len(found.changes) == 6
    assert not found.differing


def test_what_differs_stays() -> None:
    """The base's value is kept and the file's is named; the rest of the row is taken."""
    known = card(email="a@x.ru", custom={"Авто": "Лада", "Год": 2015})
    found = gain(known, person(0, email="b@x.ru", custom={"Авто": "Киа", "Год": "2015", "Цвет": "белый"}), ())
    assert found.card.email == "a@x.ru"
    assert found.card.custom == {"Авто": "Лада", "Год": 2015, "Цвет": "белый"}
    assert [(one.before, one.after) for one in found.differing] == [("a@x.ru", "b@x.ru"), ("Лада", "Киа")]


def test_the_file_wins_where_it_is_said_so() -> None:
    """Then its values stand, and nothing is left as differing."""
    known = card(first_name="Анна", email="a@x.ru", custom={"Авто": "Лада"})
    row = person(0, first_name="Мария", last_name="Иванова", email="b@x.ru", custom={"Авто": "Киа"})
    found = gain(known, row, (), Wins.FILE)
    now = found.card
    assert (now.first_name, now.last_name, now.email, now.custom) == (
        "Мария",
        "Иванова",
        "b@x.ru",
        {"Авто": "Киа"},
    )
    assert not found.differing


def test_a_name_is_not_put_together_of_two_people() -> None:
    """Where the first name differs the last name is not taken either: it is somebody else on that phone."""
    found = gain(card(first_name="Анна"), person(0, first_name="Пётр", last_name="Иванов"), ())
    assert (found.card.first_name, found.card.last_name) == ("Анна", "")
    assert [one.after for one in found.differing] == ["Пётр"]


@pytest.mark.parametrize(
    ("one", "other"), [("Пётр", "ПЕТР"), ("a@X.ru", "A@x.ru"), ("Лада  Веста", "лада веста")]
)
def test_values_that_say_the_same(one: str, other: str) -> None:
    """Letters' size, ё and spaces make no difference."""
    assert same(one, other)
    assert not same(one, other + "1")


def test_a_number_of_somebody_else_stays_theirs() -> None:
    """It is not added to the person whom the row is."""
    found = gain(card(), person(0, 1, 2), {phone(1).e164})
    assert found.card.phones == (phone(0).e164, phone(2).e164)


def test_a_person_has_so_many_numbers() -> None:
    """The number that finds no room is named."""
    full = card(phones=tuple(f"+7916000000{one}" for one in range(MAX_PHONES)))
    found = gain(full, person(1), ())
    assert (found.changes, found.left_out) == ([], [phone(1).e164])


def test_nothing_new_is_no_change() -> None:
    """The same row again gives nothing."""
    row = person(0, 1, last_name="Петрова", custom={"Авто": "Лада"})
    first = gain(card(), row, ())
    again = gain(first.card, row, ())
    assert (again.changes, again.differing, again.card) == ([], [], first.card)


def test_rows_of_one_person_follow_each_other() -> None:
    """Of two rows the first fills, the second differs from it; also where the person is of the same file."""
    rows = [person(0, row=1), person(0, row=2, email="a@x.ru"), person(0, row=3, email="b@x.ru")]
    numbers = [tuple(one.e164 for one in row.phones) for row in rows]
    for known, cards in (({}, {}), ({phone(0).e164: Owner(5, True)}, {5: card()})):
        people = sort_people(numbers, known)
        found = gain_all(people, rows.__getitem__, cards, known, Wins.BASE)
        (now,) = found.changed.values()
        assert now.email == "a@x.ru"
        assert found.rows == 1
        assert [one.after for _, _, gained in found.gains for one in gained.differing] == ["b@x.ru"]


def test_rejects_name_the_column_of_the_file() -> None:
    """Its header: of a part of the name that of the full name, of a custom value its own."""
    columns = columns_of(["Телефон", "ФИО", "Почта", "Авто"])
    known = card(first_name="Анна", email="a@x.ru", custom={"Авто": "Лада"})
    row = person(0, first_name="Яна", email="b@x.ru", custom={"Авто": "Киа"})
    rejects = Headers(columns).rejects(4, gain(known, row, ()))
    assert [(one.row, one.column, one.code.value, one.value) for one in rejects] == [
        (4, "ФИО", "differs", "Яна"),
        (4, "Почта", "differs", "b@x.ru"),
        (4, "Авто", "differs", "Киа"),
    ]
