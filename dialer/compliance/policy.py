"""A policy: the rules of one place for one purpose, as a value.

A policy is a named, dated set of parameters with its source, chosen by a campaign, shown in the interface and
written on each attempt as `code/version`. **They are parameters, not legal advice**: check them with counsel
before you rely on them, and choose another policy where another one binds you.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

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
class Week:
    """The hours of calling by type of day; None: no calls on such a day."""

    #: Monday to Friday, or what the calendar calls a working day.
    working: Hours | None
    #: Saturday and Sunday, or what the calendar calls a day off.
    day_off: Hours | None
    #: Public holidays.
    holiday: Hours | None

    def of(self, kind: DayType) -> Hours | None:
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
    """How often one number may be tried; None: the policy says nothing.

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
    #: Holidays of each year, (month, day).
    holidays: frozenset[tuple[int, int]] = frozenset()
    #: How often one number may be tried.
    limits: Limits = field(default_factory=Limits)
    #: Ways of dialling that the policy forbids.
    forbidden_modes: frozenset[str] = frozenset()
    #: After an abandoned call, no call that no person starts, seconds.
    redial_after_abandoned_s: int = 0
    #: After an answering machine, no call that no person starts, seconds.
    redial_after_machine_s: int = 0
    #: Only for trunks whose carrier is on this machine: demonstrations and tests.
    this_machine_only: bool = False

    @property
    def stamp(self) -> str:
        """What is written on an attempt: `us-tsr/1`."""
        return f"{self.code}/{self.version}"

    def day_type(self, day: date, calendar: Mapping[date, DayType]) -> DayType:
        """What `day` is; `calendar` (a year's moved days) wins over the policy's own holidays."""
        if day in calendar:
            return calendar[day]
        if (day.month, day.day) in self.holidays:
            return DayType.HOLIDAY
        return DayType.WORKING if day.weekday() < 5 else DayType.DAY_OFF
