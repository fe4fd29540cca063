"""Every rule that may keep a number from being dialled, asked in one order: each with its answer.

The placer asks before each attempt and stops at the first that says no; what it puts off rests under that
filter's name (`lead.hold`), so that a campaign can count why its leads wait. Whoever asks "why not?" gets all
the answers. The rules themselves stand in `model` and its neighbours; here is their order, which exists once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from dialer.compliance.calendar import Calendar, Denied, Reason, places_of
from dialer.compliance.consent import Consent, NotGiven, consent_for
from dialer.compliance.model import STARTED_BY_PERSON, attempts_allowed, redial_allowed, silence_kept
from dialer.compliance.policy import ALL_DAY, Day, Limits, Policy, Purpose
from dialer.compliance.timetable import Timetable


class Filter(StrEnum):
    """What is asked of a number, in this order. What may keep a lead waiting is a word of `lead.hold` too:
    all but `number`, which closes the lead, and `mode`, which stops the whole campaign."""

    #: does the number lead to anybody
    NUMBER = "number"
    #: has somebody said that the number is not to be called
    DO_NOT_CALL = "do_not_call"
    #: has the person agreed to be called for this, where the policy asks for it
    CONSENT = "consent"
    #: does the policy admit the way in which the campaign dials
    MODE = "mode"
    #: is it known where the number is, so that its local time is known
    ZONE = "zone"
    #: do the hours of the campaign and of the policy admit a call there now
    HOURS = "hours"
    #: was it tried as often as the policy allows
    LIMITS = "limits"
    #: may it be called again after what the last calls came to
    REDIAL = "redial"
    #: are more talks wanted with people of its kind
    QUOTA = "quota"


@dataclass(frozen=True, slots=True)
class Tried:
    """An earlier attempt at the number, in any campaign."""

    made_at: datetime
    #: None: it is not over
    result: str | None
    ended_at: datetime | None
    #: when the person refused in it; None: they did not
    refused_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unwanted:
    """What says that a number is not to be called."""

    #: the entry of the list; 0: of an erased person
    entry_id: int
    #: where it came from: disposition, registry, ...
    source: str
    #: None: for good
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of a number that is to be dialled, and of whose it is."""

    #: all zones that the number or its record may be in
    zones: tuple[str, ...]
    #: attempts of the last 31 days at least, at the number and at any other of its person
    tried: Sequence[Tried] = ()
    #: None: nobody has said so
    do_not_call: Unwanted | None = None
    #: the campaign's quota that is full and that the person falls under, `city = Moscow`
    full: str = ""
    #: what the person has agreed to; looked up where the policy asks for it
    consents: Sequence[Consent] = ()
    #: the contact that it is of
    contact: int | None = None
    #: local hours in which the phone may be called
    good: Day = ALL_DAY
    #: calls have shown, or somebody has said, that it leads to nobody
    dead: bool = False
    #: the last entry of do-not-call when this was looked up
    version: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What a campaign and its policy lay down."""

    policy: Policy
    #: local hours of the campaign
    window: Timetable
    #: the mode of dialling
    mode: str
    #: the campaign's own, beside the policy's
    limits: Limits = Limits()  # noqa: RUF009 - frozen
    #: what the calls are for
    purpose: Purpose = Purpose.SERVICE
    #: the hours of both together
    calendar: Calendar = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "calendar", Calendar(self.policy, self.window))

    @property
    def asks_consent(self) -> bool:
        """Whether a call needs a consent that is on record."""
        return self.policy.asks_consent_in(self.mode, self.purpose)

    @property
    def counts(self) -> bool:
        """Whether attempts at a person are limited."""
        return self.policy.limits != Limits() or self.limits != Limits()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one filter says."""

    filter: Filter
    #: None: it lets the number pass
    denied: Denied | None


def mode_allowed(rules: Rules) -> Denied | None:
    """None when the policy admits the way of dialling; it may have come to forbid it since the campaign was
    started."""
    forbidden = rules.policy.forbids(rules.mode)
    return Denied(Reason.MODE_FORBIDDEN, None, rules.mode) if forbidden else None


_Rule: TypeAlias = Callable[[Subject, Rules, datetime], Denied | None]


def _number(subject: Subject, rules: Rules, _now: datetime) -> Denied | None:
    # A person may try: a call that rings brings the number back.
    if not subject.dead or rules.mode in STARTED_BY_PERSON:
        return None
    return Denied(Reason.DEAD_NUMBER, None)


def _do_not_call(subject: Subject, _rules: Rules, _now: datetime) -> Denied | None:
    said = subject.do_not_call
    return None if said is None else Denied(Reason.DO_NOT_CALL, said.until, said.source)


def _consent(subject: Subject, rules: Rules, now: datetime) -> Denied | None:
    if not rules.asks_consent:
        return None
    said = consent_for(subject.consents, rules.purpose, now)
    return Denied(Reason.NO_CONSENT, said.until, said.reason) if isinstance(said, NotGiven) else None


def _mode(_subject: Subject, rules: Rules, _now: datetime) -> Denied | None:
    return mode_allowed(rules)


def _zone(subject: Subject, _rules: Rules, _now: datetime) -> Denied | None:
    places = places_of(subject.zones)
    return places if isinstance(places, Denied) else None


def _hours(subject: Subject, rules: Rules, now: datetime) -> Denied | None:
    answer = rules.calendar.allowed(subject.zones, now, subject.good)
    return answer if isinstance(answer, Denied) else None


def _limits(subject: Subject, rules: Rules, now: datetime) -> Denied | None:
    tried_at = [each.made_at for each in subject.tried]
    return attempts_allowed(rules.policy, tried_at, now, rules.limits)


def _redial(subject: Subject, rules: Rules, now: datetime) -> Denied | None:
    # Of every earlier attempt, not of the last alone: a call by hand since makes an abandoned number no
    # freer.
    asked = (
        redial_allowed(rules.policy, rules.mode, each.result, each.ended_at, now) for each in subject.tried
    )
    refusals = [each.refused_at for each in subject.tried if each.refused_at is not None]
    return silence_kept(rules.policy, refusals, now) or next(filter(None, asked), None)


def _quota(subject: Subject, _rules: Rules, _now: datetime) -> Denied | None:
    return Denied(Reason.QUOTA_FULL, None, subject.full) if subject.full else None


#: The rule of each filter.
_RULES: Final[Mapping[Filter, _Rule]] = MappingProxyType(
    {
        Filter.NUMBER: _number,
        Filter.DO_NOT_CALL: _do_not_call,
        Filter.CONSENT: _consent,
        Filter.MODE: _mode,
        Filter.ZONE: _zone,
        Filter.HOURS: _hours,
        Filter.LIMITS: _limits,
        Filter.REDIAL: _redial,
        Filter.QUOTA: _quota,
    }
)


def answers(subject: Subject, rules: Rules, now: datetime) -> Iterator[Answer]:
    """What each filter says, one after the other; later ones are not asked before they are looked at."""
    for each in Filter:
        yield Answer(each, _RULES[each](subject, rules, now))


def stopped(subject: Subject, rules: Rules, now: datetime) -> Answer | None:
    """The first filter that says no; None: the number may be dialled."""
    return next((answer for answer in answers(subject, rules, now) if answer.denied is not None), None)
