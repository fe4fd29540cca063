"""What is heard of numbers, money, dates and times, and when it is recorded word by word."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from dialer.prompts.amounts import units
from dialer.prompts.model import (
    SET_SOUNDS,
    Prompt,
    sounds_of,
    text_of,
    vocabulary,
    words_of,
    wrong_name,
)
from ivr_flows.prompts import Date, DateTime, Digits, Money, Number, Sound, Text, Time

DAY = dt.date(2026, 11, 21)
AFTERNOON = dt.datetime(2026, 11, 21, 14, 5)  # noqa: DTZ001  (local, as a flow tells it)


@pytest.mark.parametrize(
    ("prompt", "ru", "en"),
    [
        (lambda lang: Digits("+7 916", lang), "плюс, семь, девять, один, шесть",
         "plus, seven, nine, one, six"),
        (lambda lang: Digits("0*#", lang), "ноль, звёздочка, решётка", "zero, star, pound"),
        (lambda lang: Number(21, lang, "f"), "двадцать одна", "twenty one"),
        (lambda lang: Number(2, lang, "f", "dative"), "двум", "two"),
        (lambda lang: Money(Decimal(1), "RUB", lang), "один рубль", "one rouble"),
        (lambda lang: Money(Decimal(2), "RUB", lang), "два рубля", "two roubles"),
        (lambda lang: Money(Decimal(5), "RUB", lang), "пять рублей", "five roubles"),
        (lambda lang: Money(Decimal(11), "RUB", lang), "одиннадцать рублей", "eleven roubles"),
        (lambda lang: Money(Decimal(21000), "RUB", lang), "двадцать одна тысяча рублей",
         "twenty one thousand roubles"),
        (lambda lang: Money(Decimal("1234.50"), "RUB", lang),
         "одна тысяча двести тридцать четыре рубля пятьдесят копеек",
         "one thousand two hundred thirty four roubles and fifty kopecks"),
        (lambda lang: Money(Decimal("0.01"), "RUB", lang), "одна копейка", "one kopeck"),
        (lambda lang: Money(Decimal("0.22"), "RUB", lang), "двадцать две копейки", "twenty two kopecks"),
        (lambda lang: Money(Decimal(0), "RUB", lang), "ноль рублей", "zero roubles"),
        (lambda lang: Money(Decimal("-1.995"), "RUB", lang), "минус два рубля", "minus two roubles"),
        (lambda lang: Money(Decimal("-0.004"), "RUB", lang), "ноль рублей", "zero roubles"),
        (lambda lang: Money(Decimal("21.02"), "USD", lang), "двадцать один доллар два цента",
         "twenty one dollars and two cents"),
        (lambda lang: Money(Decimal("2.01"), "EUR", lang), "два евро один цент", "two euros and one cent"),
        (lambda lang: Date(DAY, lang), "двадцать первое ноября две тысячи двадцать шестого года",
         "November twenty first twenty twenty six"),
        (lambda lang: Date(dt.date(2000, 3, 3), lang), "третье марта двухтысячного года",
         "March third two thousand"),
        (lambda lang: Time(dt.time(0, 0), lang), "ноль часов", "twelve a.m."),
        (lambda lang: Time(dt.time(1, 1), lang), "один час одна минута", "one oh one a.m."),
        (lambda lang: Time(dt.time(22, 32), lang), "двадцать два часа тридцать две минуты",
         "ten thirty two p.m."),
        (lambda lang: Time(dt.time(12, 15), lang), "двенадцать часов пятнадцать минут",
         "twelve fifteen p.m."),
        (lambda lang: DateTime(AFTERNOON, lang), "двадцать первое ноября в четырнадцать часов пять минут",
         "November twenty first at two oh five p.m."),
    ],
)  # fmt: skip
def test_what_is_heard(prompt: object, ru: str, en: str) -> None:
    """Endings go by number and gender in Russian; English says times by twelve hours."""
    assert callable(prompt)
    assert [text_of(prompt("ru")), text_of(prompt("en"))] == [ru, en]


def none(_name: str) -> str | None:
    """Nothing is recorded."""
    return None


def whole_set(name: str) -> str | None:
    """All of Asterisk's sounds are there."""
    return f"ru/{name}"


def recorded(prompt: Prompt) -> tuple[str, ...] | None:
    """By Asterisk's sounds alone."""
    return sounds_of(words_of(prompt), prompt.language, none, whole_set)


def test_what_asterisk_has_in_full_is_played_word_by_word() -> None:
    """Digits, numbers to 199 and what else its set has."""
    assert recorded(Number(121, "ru")) == ("ru/digits/hundred", "ru/digits/20", "ru/digits/1")
    assert recorded(Digits("90", "ru")) == ("ru/digits/9", "ru/digits/0")
    assert recorded(Date(DAY, "en")) == (
        "ru/digits/mon-10", "ru/digits/20", "ru/digits/h-1", "ru/digits/20", "ru/digits/20", "ru/digits/6"
    )  # fmt: skip


@pytest.mark.parametrize(
    "prompt",
    [Number(200, "ru"), Number(1, "ru", "f"), Number(5000, "ru"), Date(DAY, "ru"),
     Money(Decimal(1), "RUB", "ru"),
     Money(Decimal("1.20"), "USD", "en")],
)  # fmt: skip
def test_one_word_that_is_missing_leaves_all_to_the_voice(prompt: Prompt) -> None:
    """Russian sounds have no двести, одна, тысяч, первое or рубль; English ones no cents."""
    assert recorded(prompt) is None


def test_a_word_of_the_tenants_own_comes_first() -> None:
    """And completes what Asterisk lacks."""
    own = {"words/двести": "/own/a", "words/пять": "/own/b"}.get
    assert sounds_of(words_of(Number(205, "ru")), "ru", own, whole_set) == ("/own/a", "/own/b")
    assert sounds_of(words_of(Number(206, "ru")), "ru", own, whole_set) == ("/own/a", "ru/digits/6")


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_vocabulary_has_all_words(language: str) -> None:
    """Whoever records it has all: a number, an amount and a date with unusual words need nothing else."""
    words = set(vocabulary(language))
    prompts: list[Prompt] = [
        Number(987_654_321_012_345, language, "f"),
        Money(Decimal("13792.19"), "RUB", language),
        Money(Decimal("41.81"), "EUR", language),
        Date(dt.date(1938, 2, 28), language),
        Date(dt.date(2000, 8, 13), language),
        DateTime(dt.datetime(2042, 5, 31, 23, 59), language),  # noqa: DTZ001
    ]
    assert {word for one in prompts for word in words_of(one)} - words == set()
    # Nothing in the set's list is misspelt; the rest of it is for what no prompt says yet.
    assert len(set(SET_SOUNDS[language]) & words) > 40


def test_recordings_and_texts_have_no_words_of_ours() -> None:
    """Their text is what they say, or their name."""
    assert (words_of(Sound("menu/main", "ru")), text_of(Sound("menu/main", "ru"))) == ((), "[menu/main]")
    assert (words_of(Text("Да.", "ru")), text_of(Text("Да.", "ru"))) == ((), "Да.")
    with pytest.raises(ValueError, match="nothing to say"):
        words_of(Digits("", "ru"))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("greeting", False), ("menu/Главное-2", False), ("words/р.", False), ("", True), ("../etc/passwd", True),
     ("a//b", True), ("/a", True), ("a b", True), ("a&b", True), ("a\n", True), ("a" * 101, True)],
)  # fmt: skip
def test_names_are_plain(name: str, wrong: bool) -> None:
    """No name leads out of a folder or is two names to Asterisk."""
    assert wrong_name(name) is wrong


@pytest.mark.parametrize(
    ("amount", "parts"),
    [("0.005", (False, 0, 1)), ("0.004", (False, 0, 0)), ("-0.004", (False, 0, 0)), ("-12.3", (True, 12, 30)),
     ("99.995", (False, 100, 0)), ("1e3", (False, 1000, 0))],
)  # fmt: skip
def test_amounts_are_rounded_to_hundredths(amount: str, parts: tuple[bool, int, int]) -> None:
    """Half of one counts as one, as people round money; nothing is not below nothing."""
    assert units(Decimal(amount)) == parts
