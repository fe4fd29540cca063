"""What callers hear who wait: in words, or by the tenant's own prompts where there are such. Pure.

A prompt of a name of `NAMES` is heard in place of the words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from dialer.queues.announcing import Announcement, Minutes
from ivr_flows.model import Prompt
from ivr_flows.prompts import Number, Sound, Text

#: The key with which a call back in turn is asked for, where it is offered.
CALLBACK_KEY: Final = "1"
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
        "queue/callback": "Чтобы положить трубку и дождаться нашего звонка в свою очередь, нажмите один.",
    },
    "en": {
        "queue/hold": "Please hold the line. Your call will be answered in turn.",
        "queue/position": "Your place in the queue is",
        "queue/wait-from": "You will be answered in",
        "queue/wait-to": "to",
        "queue/wait-within": "You will be answered within",
        "queue/minute": "minute",
        "queue/minutes": "minutes",
        "queue/callback": "To hang up and be called back in your turn, press one.",
    },
}
NAMES: Final = tuple(WORDS["en"])


def of(said: Announcement, language: str, own: Collection[str] = ()) -> tuple[Prompt, ...]:
    """What is heard of an announcement. `own`: names of the tenant's prompts in this language."""
    language = language if language in WORDS else "en"

    def phrase(name: str) -> Prompt:
        return Sound(name, language) if name in own else Text(WORDS[language][name], language)

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
        heard.append(phrase("queue/callback"))
    return tuple(heard)


def _minutes(many: int, language: str) -> Prompt:
    """Russian: "от двух до пяти минут"."""
    return Number(many, language, "f", "genitive" if language == "ru" else "nominative")


def _is_one(minutes: Minutes, language: str) -> bool:
    """Whether the word after the number is in the singular: in Russian after 21 too, not after 11."""
    most = minutes.most
    return most % 10 == 1 and most % 100 != 11 if language == "ru" else most == 1
