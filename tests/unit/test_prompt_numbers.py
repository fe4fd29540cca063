"""Numbers in words, Russian and English."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.prompts import numbers_en, numbers_ru
from dialer.prompts.numbers_ru import CASES, Case, Gender, cardinal, ordinal

FORMS_OF_ONE = ("один", "одна", "одно")
FORMS_OF_TWO = ("два", "две")


@pytest.mark.parametrize(
    ("value", "gender", "said"),
    [
        (0, "m", "ноль"),
        (1, "f", "одна"),
        (1, "n", "одно"),
        (2, "f", "две"),
        (2, "n", "два"),
        (11, "f", "одиннадцать"),
        (21, "f", "двадцать одна"),
        (40, "m", "сорок"),
        (90, "m", "девяносто"),
        (111, "f", "сто одиннадцать"),
        (222, "n", "двести двадцать два"),
        (319, "m", "триста девятнадцать"),
        (500, "m", "пятьсот"),
        (999, "m", "девятьсот девяносто девять"),
        (1000, "m", "одна тысяча"),
        (2000, "m", "две тысячи"),
        (5000, "m", "пять тысяч"),
        (11_000, "m", "одиннадцать тысяч"),
        (21_001, "m", "двадцать одна тысяча один"),
        (112_004, "m", "сто двенадцать тысяч четыре"),
        (1_000_000, "f", "один миллион"),
        (2_000_002, "f", "два миллиона две"),
        (5_000_000_000, "m", "пять миллиардов"),
        (1_000_000_000_000, "m", "один триллион"),
        (-7, "m", "минус семь"),
    ],
)
def test_russian_numbers_have_their_gender(value: int, gender: Gender, said: str) -> None:
    """Thousands are feminine, millions masculine, whatever is counted; only the last word goes by that."""
    assert " ".join(cardinal(value, gender)) == said


@pytest.mark.parametrize(
    ("value", "gender", "forms"),
    [
        (1, "f", "одна, одной, одной, одну, одной, одной"),
        (3, "m", "три, трёх, трём, три, тремя, трёх"),
        (8, "m", "восемь, восьми, восьми, восемь, восемью, восьми"),
        (40, "m", "сорок, сорока, сорока, сорок, сорока, сорока"),
        (58, "m", "пятьдесят восемь, пятидесяти восьми, пятидесяти восьми, пятьдесят восемь, "
                  "пятьюдесятью восемью, пятидесяти восьми"),
        (200, "m", "двести, двухсот, двумстам, двести, двумястами, двухстах"),
        (345, "m", "триста сорок пять, трёхсот сорока пяти, трёмстам сорока пяти, триста сорок пять, "
                   "тремястами сорока пятью, трёхстах сорока пяти"),
        (1000, "m", "одна тысяча, одной тысячи, одной тысяче, одну тысячу, одной тысячей, одной тысяче"),
        (2000, "m", "две тысячи, двух тысяч, двум тысячам, две тысячи, двумя тысячами, двух тысячах"),
        (5_000_000, "m", "пять миллионов, пяти миллионов, пяти миллионам, пять миллионов, пятью миллионами, "
                         "пяти миллионах"),
    ],
)  # fmt: skip
def test_russian_numbers_are_declined(value: int, gender: Gender, forms: str) -> None:
    """In all six cases, the scale with its number."""
    assert [" ".join(cardinal(value, gender, case)) for case in CASES] == forms.split(", ")


@pytest.mark.parametrize(
    ("value", "gender", "case", "said"),
    [
        (1, "n", "nominative", "первое"),
        (2, "m", "nominative", "второй"),
        (2, "m", "accusative", "второй"),
        (2, "f", "accusative", "вторую"),
        (3, "n", "nominative", "третье"),
        (3, "f", "accusative", "третью"),
        (8, "n", "genitive", "восьмого"),
        (21, "n", "nominative", "двадцать первое"),
        (23, "n", "genitive", "двадцать третьего"),
        (30, "n", "nominative", "тридцатое"),
        (40, "m", "nominative", "сороковой"),
        (100, "m", "nominative", "сотый"),
        (115, "m", "prepositional", "сто пятнадцатом"),
        (300, "m", "genitive", "трёхсотого"),
        (1000, "m", "genitive", "тысячного"),
        (1900, "m", "genitive", "тысяча девятисотого"),
        (1999, "m", "genitive", "тысяча девятьсот девяносто девятого"),
        (2000, "m", "genitive", "двухтысячного"),
        (2001, "m", "genitive", "две тысячи первого"),
        (2026, "m", "genitive", "две тысячи двадцать шестого"),
        (2100, "m", "genitive", "две тысячи сотого"),
        (5000, "n", "nominative", "пятитысячное"),
    ],
)
def test_of_russian_ordinals_the_last_word_is_declined(
    value: int, gender: Gender, case: Case, said: str
) -> None:
    """Days are neuter, years are masculine and in the genitive."""
    assert " ".join(ordinal(value, gender, case)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (21, "twenty one"),
        (105, "one hundred five"),
        (1_000, "one thousand"),
        (40_012, "forty thousand twelve"),
        (999_999, "nine hundred ninety nine thousand nine hundred ninety nine"),
        (2_000_000_000, "two billion"),
        (-8, "minus eight"),
    ],
)
def test_english_numbers(value: int, said: str) -> None:
    """As in America: without "and"."""
    assert " ".join(numbers_en.cardinal(value)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(1, "first"), (2, "second"), (3, "third"), (5, "fifth"), (8, "eighth"), (9, "ninth"), (12, "twelfth"),
     (20, "twentieth"), (21, "twenty first"), (30, "thirtieth"), (100, "one hundredth")],
)  # fmt: skip
def test_english_ordinals(value: int, said: str) -> None:
    """With those that have a form of their own."""
    assert " ".join(numbers_en.ordinal(value)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(1066, "ten sixty six"), (1900, "nineteen hundred"), (1905, "nineteen oh five"),
     (2000, "two thousand"), (2005, "two thousand five"), (2026, "twenty twenty six"),
     (800, "eight hundred")],
)  # fmt: skip
def test_english_years(value: int, said: str) -> None:
    """Two by two, but for the first years of a thousand."""
    assert " ".join(numbers_en.year(value)) == said


def heard(words: tuple[str, ...], values: dict[str, int], scales: dict[str, int]) -> int:
    """The number that somebody writes down who hears the words one by one."""
    total = group = 0
    for word in words:
        if word in scales:
            total, group = total + group * scales[word], 0
        elif word == "hundred":
            group *= 100
        else:
            group += values[word]
    return total + group


VALUES_RU = {cardinal(n)[0]: n for n in (*range(21), *range(30, 100, 10), *range(100, 1000, 100))} | {
    word: n for n, words in ((1, FORMS_OF_ONE), (2, FORMS_OF_TWO)) for word in words
}
SCALES_RU = {
    word: 1000**power
    for power, stem in enumerate(("тысяч", "миллион", "миллиард", "триллион"), start=1)
    for word in (stem, *(stem + end for end in (("а", "и") if power == 1 else ("а", "ов"))))
}
VALUES_EN = {numbers_en.cardinal(n)[0]: n for n in (*range(21), *range(30, 100, 10))}
SCALES_EN = {word: 1000**n for n, word in enumerate(("thousand", "million", "billion", "trillion"), start=1)}


@given(st.integers(0, numbers_ru.MOST), st.sampled_from(("m", "f", "n")))
def test_every_number_is_heard_as_what_it_is(value: int, gender: Gender) -> None:
    """Whoever hears the words and adds them up has the number, in both languages."""
    assert heard(cardinal(value, gender), VALUES_RU, SCALES_RU) == value
    assert heard(numbers_en.cardinal(value), VALUES_EN, SCALES_EN) == value


@given(st.integers(1, 10**12), st.sampled_from(CASES), st.sampled_from(("m", "f", "n")))
def test_a_case_changes_endings_only(value: int, case: Case, gender: Gender) -> None:
    """Each case has as many words as the nominative, and each word begins as there."""
    plain, declined = cardinal(value, gender), cardinal(value, gender, case)
    assert len(plain) == len(declined)
    for one, other in zip(plain, declined, strict=True):
        assert one[:2].replace("ё", "е") == other[:2].replace("ё", "е") or {one, other} & {"две", "два"}


@pytest.mark.parametrize("value", [numbers_ru.MOST + 1, -numbers_ru.MOST - 1])
def test_what_is_too_great_is_refused(value: int) -> None:
    """Rather than said wrongly."""
    for say in (cardinal, numbers_en.cardinal):
        with pytest.raises(ValueError, match="too great"):
            say(value)
    for wrong in (0, 10_000):
        with pytest.raises(ValueError, match="ordinal"):
            ordinal(wrong)
