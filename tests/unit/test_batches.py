"""Rows of a file as they go to the database and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts.batches import line_of, person_of, read_batch
from dialer.contacts.columns import columns_of
from dialer.contacts.files import Record
from dialer.contacts.model import NewContact
from dialer.contacts.numbers import PhoneNumber

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
PHONE = st.builds(
    PhoneNumber,
    st.integers(10**6, 10**14).map(lambda number: f"+{number}"),
    st.sampled_from(("mobile", "fixed_line", "fixed_line_or_mobile")),
    st.lists(st.sampled_from(("Europe/Moscow", "Asia/Omsk", "Etc/GMT-5")), unique=True).map(tuple),
)
PERSON = st.builds(
    NewContact,
    st.integers(1, 10**6),
    st.lists(PHONE, min_size=1, max_size=3).map(tuple),
    TEXT,
    TEXT,
    TEXT,
    TEXT,
    st.none() | TEXT | st.just("\\N"),
    st.none() | TEXT | st.just("\\N"),
    st.dictionaries(TEXT, TEXT, max_size=3),
)


@given(st.lists(PERSON, max_size=5))
def test_a_line_is_the_person(people: list[NewContact]) -> None:
    """Whatever stands in the values, each person is one line, and is read back from it."""
    zones: dict[tuple[str, ...], int] = {}
    lines = [line_of(person, zones) for person in people]
    sets = [",".join(one) for one in zones]
    assert all(line.count(b"\n") == 1 and line.count(b"\t") == 10 for line in lines)
    assert [person_of(line, sets) for line in lines] == people


def test_a_batch_is_what_its_rows_are() -> None:
    """People with rows and numbers, rejects, rejected rows, and the last row though it is blank."""
    columns = columns_of(["Телефон", "Почта"])
    cells = [("89161234567, 84951234567", "x"), ("нет", ""), ("84231234567", "a@b.ru"), ("", "")]
    records = (Record(number, row) for number, row in enumerate(cells, start=1))
    batch = read_batch(records, columns, "RU", 10)
    assert batch is not None
    assert (batch.last, batch.rows, batch.rejected) == (4, (1, 3), 1)
    assert batch.numbers == (("+79161234567", "+74951234567"), ("+74231234567",))
    assert [(one.row, one.code.value) for one in batch.rejects] == [(1, "email"), (2, "letters")]
    assert batch.person(1).email == "a@b.ru"
    assert batch.person(1).phones[0].timezones == ("Asia/Vladivostok",)
    assert read_batch(records, columns, "RU", 10) is None
