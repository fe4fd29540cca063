"""How a file is to be read where a person has decided."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts.columns import Field
from dialer.contacts.files import inspect, look
from dialer.contacts.reading import AS_FOUND, DELIMITERS, ENCODINGS, Reading, check, fits
from dialer.errors import Invalid, NoPhoneColumn

WORDS = st.sampled_from([*Field, "custom:car", "custom:Год выпуска"])
MAPPINGS = st.dictionaries(st.text(min_size=1, max_size=20), WORDS, max_size=8)
READINGS = st.builds(
    Reading,
    encoding=st.none() | st.sampled_from(ENCODINGS),
    delimiter=st.none() | st.sampled_from(DELIMITERS),
    sheet=st.none() | st.text(max_size=31),
    mapping=MAPPINGS,
)


@given(READINGS)
def test_what_is_kept_is_what_was_decided(reading: Reading) -> None:
    """Through JSON and back nothing is lost, and what is left open is not written."""
    kept = reading.to_json()
    assert Reading.from_json(kept) == reading
    assert None not in kept.values()
    assert AS_FOUND.to_json() == {}


@pytest.mark.parametrize(
    ("reading", "field"),
    [
        (Reading(encoding="utf-7"), "encoding"),
        (Reading(delimiter="|"), "delimiter"),
        (Reading(mapping={"Тел": "telephone"}), "mapping"),
        (Reading(mapping={"Авто": "custom:"}), "mapping"),
        (Reading(mapping={"": "phone"}), "mapping"),
        (Reading(mapping={"a": "email", "b": "email"}), "mapping"),
        (Reading(mapping={"a": "custom:car", "b": "custom:car"}), "mapping"),
        (Reading(mapping={str(n): "skip" for n in range(201)}), "mapping"),
    ],
)
def test_what_no_file_can_be_read_by_is_refused(reading: Reading, field: str) -> None:
    """A word that is none, two columns that are one field; the refusal names the field."""
    with pytest.raises(Invalid) as refused:
        check(reading)
    assert refused.value.details["field"] == field


def test_several_columns_may_be_phones_skipped_or_custom() -> None:
    """What may stand more than once is not refused."""
    check(Reading(mapping={str(n): word for n, word in enumerate(["phone", "skip", "custom"] * 2)}))


def test_a_mapping_fits_a_file_that_has_all_of_its_columns() -> None:
    """More columns do no harm; an empty mapping is for no file."""
    assert fits({"Тел": "phone"}, ["Имя", "Тел"])
    assert not fits({"Тел": "phone", "Авто": "custom:car"}, ["Имя", "Тел"])
    assert not fits({}, ["Тел"])


def test_a_file_is_read_as_decided(tmp_path: Path) -> None:
    """Encoding, delimiter and columns that a person has chosen win over what would be found."""
    file = tmp_path / "a.csv"
    file.write_bytes("куда,звонить,a;b\n89160000001,x,z;y\n".encode("cp1251"))
    assert look(file).delimiter == ","
    with pytest.raises(NoPhoneColumn):
        inspect(file)
    mapping = {"куда,звонить,a": "phone", "b": "custom:letter"}
    layout = inspect(file, Reading(encoding="cp1251", delimiter=";", mapping=mapping))
    assert (layout.encoding, layout.delimiter) == ("cp1251", ";")
    assert [(one.field, one.name, one.kept_as) for one in layout.columns] == [
        (Field.PHONE, "куда,звонить,a", "куда,звонить,a"),
        (Field.CUSTOM, "b", "letter"),
    ]
