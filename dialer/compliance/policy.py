"""A policy: the rules of one place for one purpose, as a value.

A policy is a named, dated set of parameters with its source, chosen by a campaign, shown in the interface and
written on each attempt as `code/version`. **They are parameters, not legal advice**: check them with counsel
before you rely on them, and choose another policy where another one binds you.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import Final

#: The mode of dialling in which a flow speaks with who answers.
AUTOMATIC = "flow"
#: Those in which the server chooses when somebody is dialled for an agent.
BY_MACHINE = frozenset({"progressive", "power", "predictive"})
#: The minute at which a day ends.
MIDNIGHT = 24 * 60


class ClockStart(StrEnum):
    """From when the time that an answered person may wait for an agent is counted."""

    ANSWER = "answer"
    GREETING_END = "greeting_end"


class DayType(StrEnum):
    """What a date is for the hours of calling."""

    WORKING = "working"
    DAY_OFF = "day_off"
    HOLIDAY = "holiday"


class Purpose(StrEnum):
    """What the calls of a policy are for."""

    SERVICE = "service"
    ADVERTISING = "advertising"
    COLLECTION = "collection"
    SURVEY = "survey"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of a day, in minutes of the local clock from midnight; `closes` is not in it."""

    #: First minute, 0 to 1439.
    opens: int
    #: First minute after it, up to 1440 (midnight at the day's end).
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < self.closes <= MIDNIGHT:
            raise ValueError(f"hours must open before they close, within one day: {self}")

    @classmethod
    def parse(cls, opens: str, closes: str) -> Hours:
        """`("09:00", "21:00")`; `closes` may be `24:00`. Raises ValueError that says what is wrong."""
        return cls(_minute(opens), _minute(closes))

    @classmethod
    def read(cls, text: str) -> Hours:
        """`"09:00-21:00"`. Raises ValueError that says what is wrong."""
        opens, dash, closes = text.partition("-")
        if not dash:
            raise ValueError(f"hours are written HH:MM-HH:MM, not {text!r}")
        return cls.parse(opens.strip(), closes.strip())

    def common(self, other: Hours) -> Hours | None:
        """The minutes in both, or None."""
        opens, closes = max(self.opens, other.opens), min(self.closes, other.closes)
        return Hours(opens, closes) if opens < closes else None

    def __str__(self) -> str:
        return f"{_clock(self.opens)}-{_clock(self.closes)}"


def _minute(text: str) -> int:
    hour, colon, minute = text.partition(":")
    if not (
        colon and len(hour) == len(minute) == 2 and (hour + minute).isascii() and (hour + minute).isdigit()
    ):
        raise ValueError(f"a time is written HH:MM, not {text!r}")
    total = int(hour) * 60 + int(minute)
    if int(minute) > 59 or total > MIDNIGHT:
        raise ValueError(f"there is no time {text!r} in a day")
    return total


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@dataclass(frozen=True, slots=True)
class Day:
    """The hours of calling of one day: any number of spans; none: no calls."""

    #: In their order, with a break between any two.
    spans: tuple[Hours, ...] = ()

    def __post_init__(self) -> None:
        if any(one.closes >= other.opens for one, other in pairwise(self.spans)):
            raise ValueError(f"the hours of a day come in their order, with breaks between them: {self}")

    @classmethod
    def of(cls, *spans: Hours) -> Day:
        """A day with these hours, in any order; what touches is one."""
        merged: list[Hours] = []
        for span in sorted(spans, key=lambda one: one.opens):
            if merged and span.opens <= merged[-1].closes:
                merged[-1] = Hours(merged[-1].opens, max(merged[-1].closes, span.closes))
            else:
                merged.append(span)
        return cls(tuple(merged))

    @classmethod
    def read(cls, spans: Iterable[str]) -> Day:
        """`["10:00-13:00", "14:00-20:00"]`. Raises ValueError that says what is wrong."""
        return cls(tuple(Hours.read(span) for span in spans))

    def common(self, other: Day) -> Day:
        """The minutes in both."""
        both = (one.common(two) for one in self.spans for two in other.spans)
        return Day.of(*(span for span in both if span is not None))

    @property
    def written(self) -> list[str]:
        """As `read` takes it."""
        return [str(span) for span in self.spans]

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __str__(self) -> str:
        return ", ".join(self.written)


#: No calls.
CLOSED: Final = Day()
#: Round the clock.
ALL_DAY: Final = Day.of(Hours(0, MIDNIGHT))


def good_day(good_from: str | None, good_until: str | None) -> Day:
    """The hours of a phone; those that end before they begin go over midnight."""
    if good_from is None or good_until is None:
        return ALL_DAY
    if good_from < good_until:
        return Day.of(Hours.parse(good_from, good_until))
    evening = Hours(Hours.parse(good_from, "24:00").opens, MIDNIGHT)
    morning = [Hours.parse("00:00", good_until)] if good_until > "00:00" else []
    return Day.of(evening, *morning)


@dataclass(frozen=True, slots=True)
class Week:
    """The hours of calling by type of day."""

    #: Monday to Friday, or what the calendar calls a working day.
    working: Day
    #: Saturday and Sunday, or what the calendar calls a day off.
    day_off: Day
    #: Public holidays.
    holiday: Day

    @classmethod
    def alike(cls, hours: Hours) -> Week:
        """The same hours every day."""
        return cls(*(Day.of(hours),) * 3)

    @property
    def days(self) -> tuple[Day, Day, Day]:
        """Working days, days off, holidays."""
        return self.working, self.day_off, self.holiday

    def of(self, kind: DayType) -> Day:
        """The hours on a day of that type."""
        match kind:
            case DayType.WORKING:
                return self.working
            case DayType.DAY_OFF:
                return self.day_off
            case DayType.HOLIDAY:
                return self.holiday


@dataclass(frozen=True, slots=True)
class Limits:
    """How often one person may be tried, over all their numbers; None: the policy says nothing.

    They are counted over the last 24 hours, 7 and 31 days. That is never laxer than calendar days, weeks and
    months, and needs no zone.
    """

    #: Attempts in 24 hours.
    per_day: int | None = None
    #: Attempts in 7 days.
    per_week: int | None = None
    #: Attempts in 31 days.
    per_month: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One set of rules. See POLICIES for those that come with the server."""

    #: Stable name, kept by campaigns.
    code: str
    #: Grows by one with each change of any number below.
    version: int
    #: ISO country code, or `*`.
    jurisdiction: str
    #: What the calls are for.
    purpose: Purpose
    #: Name for people, in Russian.
    title_ru: str
    #: Name for people, in English.
    title_en: str
    #: Where the numbers come from.
    source: str
    #: When they were read there.
    read_on: date
    #: From when the wait for an agent is counted.
    clock: ClockStart
    #: How long a person may wait for an agent before the call is abandoned, seconds.
    abandon_after_s: float
    #: Highest share of abandoned calls among calls answered live, 0 to 1.
    abandon_cap: float
    #: The time over which that share is taken, seconds.
    abandon_window_s: int
    #: Shortest ringing before a call may be given up, seconds.
    min_ring_s: int
    #: Local hours of calling at the called person's place.
    week: Week
    #: Holidays of each year besides those of the regions, (month, day).
    holidays: frozenset[tuple[int, int]] = frozenset()
    #: Whose public holidays and moved days count (see `free_days`): `RU`, `DE-BY`, `DE-*` for those of any
    #: of its regions. None: those of the country that the called person's time zone is of.
    regions: tuple[str, ...] = ()
    #: Days that a government moved and the tables of holidays do not know yet: they win over everything.
    moved: tuple[tuple[date, DayType], ...] = ()
    #: How often one number may be tried.
    limits: Limits = field(default_factory=Limits)
    #: Ways of dialling that the policy forbids.
    forbidden_modes: frozenset[str] = frozenset()
    #: Where that stands, as lawyers quote it.
    forbidden_by: str = ""
    #: Whether a call needs a consent of the person that is on record.
    asks_consent: bool = False
    #: After an abandoned call, no call that no person starts, seconds.
    redial_after_abandoned_s: int = 0
    #: After an answering machine, no call that no person starts, seconds.
    redial_after_machine_s: int = 0
    #: After a refusal, no call at all, seconds.
    redial_after_refusal_s: int = 0
    #: Longest label that the carrier shows with the call, characters; None: no label is asked for.
    label_max_length: int | None = None
    #: How long records of calls and consents must be kept, days; None: the policy says nothing.
    keep_days: int | None = None
    #: Only for trunks whose carrier is on this machine: demonstrations and tests.
    this_machine_only: bool = False

    @property
    def stamp(self) -> str:
        """What is written on an attempt: `us-tsr/1`."""
        return f"{self.code}/{self.version}"

    def forbids(self, mode: str) -> bool:
        """Whether the policy forbids the way of dialling. One that forbids every way in which the server
        chooses when somebody is dialled forbids calls without any person too, named or not."""
        return mode in self.forbidden_modes or (mode == AUTOMATIC and self.forbidden_modes >= BY_MACHINE)

    def asks_consent_in(self, mode: str, purpose: Purpose) -> bool:
        """Whether a call dialled so, for that purpose, needs a consent on record. Advertising that no person
        speaks always does: 38-FZ, article 18, part 1; 47 CFR 64.1200(a)(2)-(3); 16 CFR 310.4(b)(1)(v)."""
        by_robot = mode == AUTOMATIC and Purpose.ADVERTISING in (purpose, self.purpose)
        return self.asks_consent or by_robot

    def serves(self, purpose: Purpose) -> bool:
        """Whether calls for the purpose may follow it."""
        return self.purpose in (purpose, Purpose.ANY)
