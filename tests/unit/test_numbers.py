"""Phone numbers as people write them.

What is expected comes from numbering plans, not from this program: the Russian plan (10 digits after +7; 9xx
mobile, 495/499 Moscow, 812 Saint Petersburg, 343 Yekaterinburg, 423 Vladivostok, 800 free, 809 paid; trunk
prefix 8, international prefix 8~10), ITU-T E.164 (15 digits at most, country codes) and Ofcom's and
Kazakhstan's plans for the foreign ones.
"""

from __future__ import annotations

import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts.numbers import BadNumber, PhoneNumber, read_cell, read_number, split_cell
from dialer.contacts.rejects import RejectCode

MOBILE, MOBILE_2, MOSCOW = "+79161234567", "+79161234568", "+74951234567"

GOOD = [
    # one number, however it is written
    ("+79161234567", [MOBILE]),
    ("89161234567", [MOBILE]),
    ("79161234567", [MOBILE]),
    ("9161234567", [MOBILE]),
    ("8 (916) 123-45-67", [MOBILE]),
    ("8-916-123-45-67", [MOBILE]),
    ("+7 (916) 123 45 67", [MOBILE]),
    ("+7\u00a0916\u00a0123\u201145\u201167", [MOBILE]),  # no-break spaces and hyphens, as Word puts them
    ("８９１６１２３４５６７", [MOBILE]),  # full-width digits
    ("+8 916 123-45-67", [MOBILE]),  # a plus before the trunk prefix: no country has the code 89
    ("79161234567.0", [MOBILE]),  # a spreadsheet's float
    ("79161234567,0", [MOBILE]),
    ("моб. 9161234567", [MOBILE]),
    ("тел.: 8 (495) 123-45-67", [MOSCOW]),
    ("т.89161234567", [MOBILE]),
    # other countries
    ("+44 20 7946 0958", ["+442079460958"]),
    ("8 10 44 20 7946 0958", ["+442079460958"]),
    ("+375 29 123-45-67", ["+375291234567"]),
    ("8 701 123 45 67", ["+77011234567"]),
    # several
    ("89161234567, 84951234567", [MOBILE, MOSCOW]),
    ("89161234567;84951234567", [MOBILE, MOSCOW]),
    ("89161234567 / 89161234568", [MOBILE, MOBILE_2]),
    ("89161234567\n89161234568", [MOBILE, MOBILE_2]),
    ("89161234567 или 89161234568", [MOBILE, MOBILE_2]),
    ("89161234567 89161234568", [MOBILE, MOBILE_2]),
    ("8 916 123 45 67 8 916 123 45 68", [MOBILE, MOBILE_2]),
    ("89161234567, +7 916 123-45-67", [MOBILE]),  # one number twice
    # nothing
    ("", []),
    ("  ", []),
    (" ; , ", []),
]


@pytest.mark.parametrize(("cell", "expected"), GOOD)
def test_cell_gives_its_numbers(cell: str, expected: list[str]) -> None:
    """A cell gives every number that it holds, in order, each once, in E.164, and nothing bad."""
    good, bad = read_cell(cell, "RU")
    assert [number.e164 for number in good] == expected
    assert bad == []


BAD = [
    ("112", RejectCode.TOO_SHORT),
    ("12", RejectCode.TOO_SHORT),
    ("---", RejectCode.TOO_SHORT),
    ("123-45-67", RejectCode.TOO_SHORT),  # the area code is missing
    ("8 916 123 45", RejectCode.TOO_SHORT),
    ("8 916 123 45 67 8", RejectCode.TOO_LONG),
    ("+7 916 123 45 67 89 01 23 45 67 89", RejectCode.TOO_LONG),
    ("9" * 40, RejectCode.TOO_LONG),
    ("8916123456O", RejectCode.LETTERS),  # the letter O for the last digit
    ("8-800-FLOWERS", RejectCode.LETTERS),
    ("нет", RejectCode.LETTERS),
    ("89161234567 жена", RejectCode.LETTERS),
    ("ivan@example.com", RejectCode.LETTERS),
    ("+999 123 456 789", RejectCode.NO_COUNTRY),  # 999 is reserved by ITU-T
    ("+7 000 123 45 67", RejectCode.NOT_ASSIGNED),  # no area of the Russian plan begins with 0
    ("8 809 555 12 34", RejectCode.PREMIUM),
    ("7,91612E+10", RejectCode.ROUNDED),
    ("7.91612345E+10", RejectCode.ROUNDED),
]


@pytest.mark.parametrize(("cell", "code"), BAD)
def test_cell_without_number_says_why(cell: str, code: RejectCode) -> None:
    """What is no number is refused whole, with the reason and as it was written."""
    assert read_cell(cell, "RU") == ([], [BadNumber(code, cell)])


def test_bad_piece_does_not_cost_the_good_one() -> None:
    """Of two numbers in a cell the good one is taken and the other is named."""
    good, bad = read_cell("8 (495) 123-45-67 / 68", "RU")
    assert [number.e164 for number in good] == [MOSCOW]
    assert bad == [BadNumber(RejectCode.TOO_SHORT, "68")]


@pytest.mark.parametrize(
    ("cell", "extension"),
    [
        ("8 (495) 123-45-67 доб. 12", "12"),
        ("8 (495) 123-45-67, доб.5", "5"),
        ("8 (495) 123-45-67 (доб. 120)", "120"),
        ("+7 495 123 45 67 ext 9", "9"),
        ("+7 495 123 45 67 x104", "104"),
        ("+7 495 123 45 67 #104", "104"),
        ("8 495 123-45-67 добавочный 33", "33"),
    ],
)
def test_extension_is_kept_apart(cell: str, extension: str) -> None:
    """An extension is no part of the number that is dialled, and is not lost."""
    good, bad = read_cell(cell, "RU")
    assert bad == []
    assert [(number.e164, number.extension) for number in good] == [(MOSCOW, extension)]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("89161234567", "mobile"),
        ("84951234567", "fixed_line"),
        ("88121234567", "fixed_line"),
        ("88005553535", "toll_free"),
    ],
)
def test_kind_of_number(number: str, kind: str) -> None:
    """The kind is that of the numbering plan."""
    found = read_number(number, "RU")
    assert isinstance(found, PhoneNumber)
    assert found.kind == kind


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("84951234567", "Europe/Moscow"),
        ("83431234567", "Asia/Yekaterinburg"),
        ("84231234567", "Asia/Vladivostok"),
    ],
)
def test_fixed_line_has_the_zone_of_its_town(number: str, zone: str) -> None:
    """A fixed line stands in one place, so it has one zone."""
    found = read_number(number, "RU")
    assert isinstance(found, PhoneNumber)
    assert found.timezones == (zone,)


def test_mobile_has_every_zone_of_the_country() -> None:
    """A Russian mobile may be anywhere: from Moscow to Kamchatka nothing is left out, and all zones exist."""
    found = read_number("89161234567", "RU")
    assert isinstance(found, PhoneNumber)
    towns = {"Europe/Moscow", "Europe/Samara", "Asia/Yekaterinburg", "Asia/Omsk", "Asia/Krasnoyarsk"}
    towns |= {"Asia/Irkutsk", "Asia/Yakutsk", "Asia/Vladivostok", "Asia/Magadan", "Asia/Kamchatka"}
    assert towns <= set(found.timezones) <= zoneinfo.available_timezones()


def test_region_reads_numbers_without_country() -> None:
    """The same digits belong to another country where another region is the default."""
    found = read_number("020 7946 0958", "GB")
    assert isinstance(found, PhoneNumber)
    assert found.e164 == "+442079460958"


def test_decimal_comma_is_no_separator() -> None:
    """A number that a spreadsheet wrote as a float is one piece."""
    assert split_cell("79161234567,0") == ["79161234567,0"]


@given(st.text(max_size=60) | st.text(alphabet="+0123456789 ()-,;/доб.xE#\n", max_size=60))
def test_any_text_is_read(cell: str) -> None:
    """No text raises, and whatever is taken can be dialled: a plus and 7 to 15 digits."""
    good, bad = read_cell(cell, "RU")
    for number in good:
        assert number.e164[0] == "+"
        assert number.e164[1:].isascii()
        assert number.e164[1:].isdigit()
        assert 7 <= len(number.e164) - 1 <= 15
    assert all(piece.value for piece in bad)


@given(st.integers(min_value=9_000_000_000, max_value=9_999_999_999))
def test_ways_of_writing_agree(national: int) -> None:
    """A mobile number is the same number however it is written."""
    digits = str(national)
    a, b, c, d = digits[:3], digits[3:6], digits[6:8], digits[8:]
    ways = [f"8{digits}", f"+7{digits}", f"7{digits}", f"8 ({a}) {b}-{c}-{d}", f"+7-{a}-{b}-{c}-{d}", digits]
    found = {tuple(number.e164 for number in read_cell(way, "RU")[0]) for way in ways}
    assert found == {(f"+7{digits}",)}


@pytest.mark.parametrize("written", ["+74012123456", "+79161234567"])
def test_kaliningrad_has_its_own_clock(written: str) -> None:
    """Not that of a neighbour's capital, which is an hour ahead in summer: nobody is called too early."""
    (found,), _ = read_cell(written, "RU")
    assert "Europe/Kaliningrad" in found.timezones
    assert "Europe/Bucharest" not in found.timezones
    assert "Europe/Bucharest" in read_cell("+40211234567", "RU")[0][0].timezones
