"""Values as people write them, brought to one form."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.contacts import cleaning
from dialer.contacts.cleaning import (
    Cleaned,
    FullName,
    Mark,
    address_key,
    clean_email,
    clean_name,
    clean_plate,
    clean_vin,
    one_slip,
    split_full_name,
)

#: What names are made of, and what gets among them.
NAME_TEXT = st.text(alphabet="абвИОЁоеaceOPXx'’-. \u200bфон1", max_size=25)


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("ИВАНОВ", "Иванов"),
        ("иванов", "Иванов"),
        ("иВАНОВ", "Иванов"),
        ("  Иванов\u00a0 ", "Иванов"),
        ("ИВАНОВА - ПЕТРОВА", "Иванова-Петрова"),
        ("мамин–сибиряк", "Мамин-Сибиряк"),
        ("анна мария", "Анна Мария"),
        ("О’НИЛ", "О'Нил"),
        ("д'артаньян", "д'Артаньян"),
        ("ЛУК'ЯНЕНКО", "Лук'яненко"),
        ("ФОН БЕРГ", "фон Берг"),
        ("ВАН", "Ван"),
        ("ГАСАН ОГЛЫ", "Гасан оглы"),
        ("МакДональд", "МакДональд"),
        ("mcdonald", "McDonald"),
        ("SMITH", "Smith"),
        ("и.и.", "И.И."),
        ("Карл II", "Карл II"),
        ("Ивaнoв", "Иванов"),  # Latin a and o
        ("Smitн", "Smitн"),  # Cyrillic н, Latin it has no likeness to: nothing is certain
        ("Cобoлевa", "Соболева"),  # Latin C, o, a
        ("Аlbert", "Albert"),  # Cyrillic А
        ('ООО "РОМАШКА"', 'ООО "РОМАШКА"'),
        ("иванов 2", "иванов 2"),
        ("", ""),
    ],
)
def test_a_name_is_written_as_in_a_passport(written: str, cleaned: str) -> None:
    """Case, spaces, hyphens, apostrophes and letters of another alphabet are mended; a choice is left."""
    assert clean_name(written) == cleaned


@given(NAME_TEXT)
def test_a_clean_name_stays_as_it_is(text: str) -> None:
    """Cleaning a name twice is cleaning it once."""
    once = clean_name(text)
    assert clean_name(once) == once


@given(NAME_TEXT)
def test_a_name_loses_no_letter(text: str) -> None:
    """Cleaning changes case and alphabet of letters, never their number."""
    assert sum(map(str.isalpha, clean_name(text))) == sum(map(str.isalpha, text))


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("Иванов Иван Петрович", FullName("Иванов", "Иван", "Петрович", True)),
        ("Иван Петрович Иванов", FullName("Иванов", "Иван", "Петрович", True)),
        ("Роман Аркадьевич Абрамович", FullName("Абрамович", "Роман", "Аркадьевич", True)),
        ("Абрамович Роман Аркадьевич", FullName("Абрамович", "Роман", "Аркадьевич", True)),
        ("Ковальчук Анна Ильинична", FullName("Ковальчук", "Анна", "Ильинична", True)),
        ("Кузнецов Пётр Ильич", FullName("Кузнецов", "Пётр", "Ильич", True)),
        ("Мария Ивановна", FullName("", "Мария", "Ивановна", True)),
        ("Алиев Вагиф Гасан оглы", FullName("Алиев", "Вагиф", "Гасан оглы", True)),
        ("Роман Абрамович", FullName("", "Роман", "Абрамович", False)),
        ("Иванов Иван", FullName("Иванов", "Иван", "", False)),
        ("Ким Чен Ын", FullName("Ким", "Чен", "Ын", False)),
        ("John Ronald Smith", FullName("Smith", "John", "Ronald", False)),
        ("Иванов", FullName("Иванов")),
        ("", FullName()),
    ],
)
def test_a_full_name_is_split_by_its_patronymic(written: str, parts: FullName) -> None:
    """Which part is which, and whether that is certain."""
    assert split_full_name(written) == parts


@given(st.lists(st.sampled_from(["Иванов", "Анна", "Петровна", "Ильич", "оглы", "Smith"]), max_size=6))
def test_splitting_loses_no_word(words: list[str]) -> None:
    """The parts hold the words that were there, each once."""
    parts = split_full_name(" ".join(words))
    assert sorted(f"{parts.last} {parts.first} {parts.middle}".split()) == sorted(words)


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        (" Ivan.Petrov@Mail.RU ", Cleaned("Ivan.Petrov@mail.ru")),
        ("<MAILTO:a@b.example>", Cleaned("a@b.example")),
        ("a@b.example.,", Cleaned("a@b.example")),
        ("ivan@почта.рф", Cleaned("ivan@xn--80a1acny.xn--p1ai")),
        ("ivan@gmial.com", Cleaned("ivan@gmial.com", Mark.EMAIL_DOMAIN, "ivan@gmail.com")),
        ("ivan@gmail.con", Cleaned("ivan@gmail.con", Mark.EMAIL_DOMAIN, "ivan@gmail.com")),
        ("ivan@yandx.ru", Cleaned("ivan@yandx.ru", Mark.EMAIL_DOMAIN, "ivan@yandex.ru")),
        ("ivan@mail.com", Cleaned("ivan@mail.com")),
        ("ivan@mаil.ru", Cleaned("ivan@mаil.ru", Mark.EMAIL_LETTERS, "ivan@mail.ru")),
        ("ivan mail.ru", Cleaned("ivan mail.ru", Mark.EMAIL_FORM)),
        ("", Cleaned("")),
    ],
)
def test_an_address_is_trimmed_and_its_slips_are_marked(written: str, cleaned: Cleaned) -> None:
    """The form of an e-mail is mended; a likely slip stays, with what was probably meant."""
    assert clean_email(written) == cleaned


@given(st.text(alphabet="aZ9.@-аЯ<> ,;:\"'mailto", max_size=30))
def test_a_clean_address_stays_as_it_is(text: str) -> None:
    """Cleaning an e-mail twice is cleaning it once."""
    once = clean_email(text)
    assert clean_email(once.value) == once


@given(
    st.one_of(
        st.emails(),
        st.from_regex(
            r"[A-Za-z0-9._%+:,;<>' -]{1,8}@[A-Za-z0-9.-]{1,8}[.,][A-Za-z]{1,4}[.>]?", fullmatch=True
        ),
        st.text(st.sampled_from("aZ0.,-_%+@<> \"'mailto:ёЯ\u00ad"), max_size=20),
    )
)
def test_a_usual_address_is_what_the_long_way_makes_of_it(text: str) -> None:
    """Addresses that are taken as they are written come to what trimming and mending would make of them."""
    found = clean_email(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cleaning, "_USUAL_EMAIL", re.compile(r"(?!)"))
        assert clean_email(text) == found


def test_a_slip_is_one_letter() -> None:
    """More, less, another or two exchanged are a slip; two slips are not, nor is none."""
    slips = ("mail.ruu", "mal.ru", "nail.ru", "mial.ru", "mail.r")
    assert [one for one in slips if not one_slip(one, "mail.ru")] == []
    assert not any(one_slip(one, "mail.ru") for one in ("mail.ru", "nail.rus", "miaol.ru", "liam.ru"))


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("xta210990y2766389", Cleaned("XTA210990Y2766389")),
        ("VIN: XTA 21099-0Y2766389", Cleaned("XTA210990Y2766389")),
        ("ХТА210990У2766389", Cleaned("XTA210990Y2766389")),  # Cyrillic letters
        ("XTA21O99OY27663B9", Cleaned("XTA210990Y27663B9")),  # the letter O
        ("XTAI10990Y2766389", Cleaned("XTA110990Y2766389")),
        (" xta210990y276638", Cleaned("xta210990y276638", Mark.VIN_LENGTH)),
        ("не знаю", Cleaned("не знаю", Mark.VIN_LETTERS)),
        ("", Cleaned("")),
    ],
)
def test_a_vin_has_seventeen_latin_characters(written: str, cleaned: Cleaned) -> None:
    """Letters that no VIN has, and Cyrillic ones, are mended; a wrong length is marked."""
    assert clean_vin(written) == cleaned


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("a123bc 77rus", Cleaned("А123ВС77")),
        ("А 123 ВС / 777", Cleaned("А123ВС777")),
        ("OOO1OO99", Cleaned("О001ОО99")),
        ("0001ОО99", Cleaned("О001ОО99")),
        ("кредит", Cleaned("кредит", Mark.PLATE_FORM)),
        ("", Cleaned("")),
    ],
)
def test_a_plate_is_written_as_on_the_car(written: str, cleaned: Cleaned) -> None:
    """Latin letters become Cyrillic ones, and the letter О and the digit 0 stand where they belong."""
    assert clean_plate(written) == cleaned


@given(st.text(alphabet="АВСавсABC0129OIQ -/rus", max_size=20))
def test_codes_of_cars_stay_clean(text: str) -> None:
    """Cleaning a VIN or a plate twice is cleaning it once."""
    for clean in (clean_vin, clean_plate):
        once = clean(text)
        assert clean(once.value) == once


@pytest.mark.parametrize(
    "other",
    [
        "Москва Левина 5 корп. 2",
        "101000, город Москва, улица Левина, дом 5, корпус 2",
        "г.Москва, Левина ул., д.5к2",
        "МОСКВА, УЛ ЛЕВИНА 5 К 2",
    ],
)
def test_one_address_has_one_key(other: str) -> None:
    """Abbreviations, the post code, case and ё make no other address."""
    words = sorted(address_key("г. Москва, ул. Лёвина, д. 5, к. 2").split())
    assert sorted(address_key(other).split()) == words


def test_other_houses_have_other_keys() -> None:
    """House and flat make another address, and so does an avenue of the same name as a street."""
    one = "Москва, ул. Мира, д. 5, кв. 2"
    others = (
        "Москва, ул. Мира, д. 5, кв. 3",
        "Москва, ул. Мира, д. 6, кв. 2",
        "Москва, пр-т Мира, д. 5, кв. 2",
    )
    assert not {address_key(one)} & {address_key(other) for other in others}
