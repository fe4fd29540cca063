"""What callers hear who wait: in words, or by the tenant's own prompts where there are such. Pure.

A prompt of a name of `NAMES` is heard in place of the words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from dialer.queues.announcing import Announcement, Minutes
from ivr_flows.model import Prompt
from ivr_flows.prompts import Digits, Number, Sound, Text

#: By language, the keys as they are named where one is to be pressed.
KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "ru": {
        "1": "один", "2": "два", "3": "три", "4": "четыре", "5": "пять", "6": "шесть", "7": "семь",
        "8": "восемь", "9": "девять", "0": "ноль", "*": "звёздочку", "#": "решётку",
    },
    "en": {
        "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven",
        "8": "eight", "9": "nine", "0": "zero", "*": "the star key", "#": "the hash key",
    },
}  # fmt: skip
#: By language, the words of each phrase.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "ru": {
        "queue/hold": "Пожалуйста, оставайтесь на линии. Вам ответят в порядке очереди.",
        "queue/position": "Ваш номер в очереди",
        "queue/wait-from": "Вам ответят через время от",
        "queue/wait-to": "до",
        "queue/wait-within": "Вам ответят в течение",
        "queue/minute": "минуты",
        "queue/minutes": "минут",
        "queue/callback": "Чтобы положить трубку и дождаться нашего звонка в свою очередь, нажмите {key}.",
        "queue/callback-number": "Мы перезвоним на номер, который оканчивается на",
        "queue/callback-confirm": "Если это верно, нажмите один. Чтобы назвать другой номер, нажмите два.",
        "queue/callback-enter": "Наберите номер вместе с кодом и нажмите решётку.",
        "queue/callback-wrong": "Такого номера нет.",
        "queue/callback-kept": "Ваше место в очереди сохранено. Мы позвоним, когда она дойдёт до вас.",
        "queue/callback-refused": "К сожалению, позвонить на этот номер мы не можем. Вы остаётесь в очереди.",
    },
    "en": {
        "queue/hold": "Please hold the line. Your call will be answered in turn.",
        "queue/position": "Your place in the queue is",
        "queue/wait-from": "You will be answered in",
        "queue/wait-to": "to",
        "queue/wait-within": "You will be answered within",
        "queue/minute": "minute",
        "queue/minutes": "minutes",
        "queue/callback": "To hang up and be called back in your turn, press {key}.",
        "queue/callback-number": "We will call the number that ends with",
        "queue/callback-confirm": "If that is right, press one. To give us another number, press two.",
        "queue/callback-enter": "Please enter the number with its code, and press the hash key.",
        "queue/callback-wrong": "There is no such number.",
        "queue/callback-kept": "Your place in the queue is kept. We will call when it is your turn.",
        "queue/callback-refused": "Sorry, we cannot call this number. You are still in the queue.",
    },
}
NAMES: Final = tuple(WORDS["en"])


def of(
    said: Announcement, language: str, own: Collection[str] = (), *, callback_key: str = "1"
) -> tuple[Prompt, ...]:
    """What is heard of an announcement. `own`: names of the tenant's prompts in this language;
    `callback_key`: with which a call back is asked for. A recording of the tenant's says the key itself."""
    language = _spoken(language)

    def phrase(name: str) -> Prompt:
        return _phrase(name, language, own)

    heard: list[Prompt] = []
    if said.position is not None:
        heard += [phrase("queue/position"), Number(said.position, language)]
    if said.minutes is not None:
        least, most = said.minutes.least, said.minutes.most
        if least in (0, most):
            heard += [phrase("queue/wait-within"), _minutes(most, language)]
        else:
            heard += [phrase("queue/wait-from"), _minutes(least, language)]
            heard += [phrase("queue/wait-to"), _minutes(most, language)]
        heard.append(phrase("queue/minute" if _is_one(said.minutes, language) else "queue/minutes"))
    if not heard:
        heard.append(phrase("queue/hold"))
    if said.offer_callback:
        heard.append(_phrase("queue/callback", language, own, key=KEYS[language][callback_key]))
    return tuple(heard)


def confirming(e164: str, language: str, own: Collection[str] = ()) -> tuple[Prompt, ...]:
    """Asks whether the caller is to be called at this number."""
    language = _spoken(language)
    ending = Digits(e164[-4:], language)
    return (
        _phrase("queue/callback-number", language, own),
        ending,
        _phrase("queue/callback-confirm", language, own),
    )


def one(name: str, language: str, own: Collection[str] = ()) -> tuple[Prompt, ...]:
    """One phrase of `NAMES`."""
    return (_phrase(name, _spoken(language), own),)


def _spoken(language: str) -> str:
    return language if language in WORDS else "en"


def _phrase(name: str, language: str, own: Collection[str], **filled: str) -> Prompt:
    return Sound(name, language) if name in own else Text(WORDS[language][name].format(**filled), language)


def _minutes(many: int, language: str) -> Prompt:
    """Russian: "от двух до пяти минут"."""
    return Number(many, language, "f", "genitive" if language == "ru" else "nominative")


def _is_one(minutes: Minutes, language: str) -> bool:
    """Whether the word after the number is in the singular: in Russian after 21 too, not after 11."""
    most = minutes.most
    return most % 10 == 1 and most % 100 != 11 if language == "ru" else most == 1
