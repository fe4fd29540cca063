"""What waiting callers hear."""

from __future__ import annotations

import pytest

from dialer.inbound import phrases
from dialer.prompts.model import text_of
from dialer.queues.announcing import Announcement, Minutes
from ivr_flows.prompts import Sound, Text


def heard(said: Announcement, language: str) -> str:
    """All of it in words."""
    prompts = phrases.of(said, language)
    return " ".join(one.text if isinstance(one, Text) else text_of(one) for one in prompts)


@pytest.mark.parametrize(
    ("position", "minutes", "ru", "en"),
    [
        (3, None, "Ваш номер в очереди три", "Your place in the queue is three"),
        (None, (0, 1), "Вам ответят в течение одной минуты", "You will be answered within one minute"),
        (None, (0, 5), "Вам ответят в течение пяти минут", "You will be answered within five minutes"),
        (None, (2, 21), "Вам ответят через время от двух до двадцати одной минуты",
         "You will be answered in two to twenty one minutes"),
        (None, (3, 11), "Вам ответят через время от трёх до одиннадцати минут",
         "You will be answered in three to eleven minutes"),
        (None, (4, 4), "Вам ответят в течение четырёх минут", "You will be answered within four minutes"),
    ],
)  # fmt: skip
def test_place_and_wait_in_both_languages(
    position: int | None, minutes: tuple[int, int] | None, ru: str, en: str
) -> None:
    """With the number in its right form."""
    said = Announcement(position, Minutes(*minutes) if minutes else None, offer_callback=False)
    assert heard(said, "ru") == ru
    assert heard(said, "en") == en


def test_who_is_told_nothing_else_is_asked_to_hold() -> None:
    """An offer alone comes with it; a language without words is English."""
    said = Announcement(None, None, offer_callback=True)
    words = phrases.WORDS["en"]
    offer = words["queue/callback"].format(key="one")
    assert heard(said, "kk") == f"{words['queue/hold']} {offer}"


@pytest.mark.parametrize(("key", "ru", "en"), [("2", "два", "two"), ("#", "решётку", "the hash key")])
def test_the_offer_names_the_key_of_the_queue(key: str, ru: str, en: str) -> None:
    """In words, in both languages."""
    said = Announcement(None, None, offer_callback=True)
    for language, word in (("ru", ru), ("en", en)):
        *_, offer = phrases.of(said, language, callback_key=key)
        assert isinstance(offer, Text)
        assert offer.text.endswith(f" {word}.")


def test_the_tenants_own_prompts_are_heard_in_place_of_words() -> None:
    """Where there is one of the name in the caller's language."""
    said = Announcement(2, None, offer_callback=False)
    first, _ = phrases.of(said, "ru", {"queue/position"})
    assert first == Sound("queue/position", "ru")


def test_each_language_has_all_phrases() -> None:
    """None is missing in one."""
    assert {tuple(words) for words in phrases.WORDS.values()} == {phrases.NAMES}
