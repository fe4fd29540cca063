"""Offers by place, and the rule that chooses one for a person. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Answer(StrEnum):
    """What a person said to an offer; the words are part of the API."""

    SHOWN = "shown"  # it was spoken, and no more is known
    ACCEPTED = "accepted"
    DECLINED = "declined"


class Skipped(StrEnum):
    """Why an offer was not made; the words stand in the reason of the one that was."""

    OFF = "off"
    NOT_YET = "not_yet"
    OVER = "over"
    DECLINED = "declined"  # the person has declined it
    ACCEPTED = "accepted"  # the person has it


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that is offered at a place."""

    id: int
    #: where, in words of flows: `ivr_after_information`
    place: str
    name: str
    #: what is said, by language
    text_ru: str
    text_en: str
    #: from when until when; None: no bound
    active_from: datetime | None
    active_until: datetime | None
    active: bool
    #: the lowest comes first
    position: int

    def text(self, language: str) -> str:
        """What is said in the language, else in the other one."""
        first, second = (self.text_en, self.text_ru) if language == "en" else (self.text_ru, self.text_en)
        return first or second


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of an offer: how often it was spoken, and of these taken or turned down."""

    made: int = 0
    accepted: int = 0
    declined: int = 0

    @property
    def share(self) -> float | None:
        """Accepted of all that was spoken; None: it never was."""
        return self.accepted / self.made if self.made else None


@dataclass(frozen=True, slots=True)
class Choice:
    """What is offered, and why."""

    #: None: nothing
    offer: Offer | None
    #: those that came before it in their order, by id, each with why it was not made
    skipped: dict[int, Skipped]


def usual_span(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """From when until when figures are told: where it is not said, of the last 30 days, until now."""
    end = until or now + timedelta(seconds=1)
    return since or end - timedelta(days=30), end


def choose(
    offers: Sequence[Offer], accepted: Collection[int], declined: Collection[int], now: datetime
) -> Choice:
    """The first active offer of the order that the person has neither declined nor accepted before."""
    skipped: dict[int, Skipped] = {}
    for offer in sorted(offers, key=lambda one: (one.position, one.id)):
        why = _why_not(offer, accepted, declined, now)
        if why is None:
            return Choice(offer, skipped)
        skipped[offer.id] = why
    return Choice(None, skipped)


def _why_not(
    offer: Offer, accepted: Collection[int], declined: Collection[int], now: datetime
) -> Skipped | None:
    if not offer.active:
        return Skipped.OFF
    if offer.active_from is not None and now < offer.active_from:
        return Skipped.NOT_YET
    if offer.active_until is not None and now >= offer.active_until:
        return Skipped.OVER
    if offer.id in declined:
        return Skipped.DECLINED
    if offer.id in accepted:
        return Skipped.ACCEPTED
    return None
