"""When a number may be dialled: the hours of campaign, policy and phone at every place where it may be.

A number may be in several time zones; an address or a zone on the record settles it before this is asked.
Here the hours must be open in *all* of them at once. Where clocks are turned a local time may come twice or
never: it opens at the later reading and closes at the earlier one. What is not known keeps a number closed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dialer.compliance.free_days import day_type, weekend_by_name
from dialer.compliance.policy import ALL_DAY, MIDNIGHT, Day, DayType, Policy
from dialer.compliance.timetable import Timetable

DAY: Final = timedelta(days=1)
#: How far ahead an open window is looked for, days. What is closed for longer is asked again later.
HORIZON_DAYS: Final = 35
#: Until when a number is open that never closes.
FOREVER: Final = datetime(9999, 1, 1, tzinfo=UTC)

#: Moments of opening and closing, UTC.
_Span: TypeAlias = tuple[datetime, datetime]


class Reason(StrEnum):
    """Why a number may not be dialled now."""

    DEAD_NUMBER = "dead_number"
    DO_NOT_CALL = "do_not_call"
    NO_CONSENT = "no_consent"
    MODE_FORBIDDEN = "mode_forbidden"
    NO_ZONE = "no_zone"
    UNKNOWN_ZONE = "unknown_zone"
    OUT_OF_HOURS = "out_of_hours"
    NO_COMMON_HOURS = "no_common_hours"
    ATTEMPTS_PER_DAY = "attempts_per_day"
    ATTEMPTS_PER_WEEK = "attempts_per_week"
    ATTEMPTS_PER_MONTH = "attempts_per_month"
    AFTER_ABANDONED = "after_abandoned"
    AFTER_MACHINE = "after_machine"
    AFTER_REFUSAL = "after_refusal"
    QUOTA_FULL = "quota_full"


@dataclass(frozen=True, slots=True)
class Allowed:
    """The number may be dialled."""

    #: Until when, if nothing else happens.
    until: datetime


@dataclass(frozen=True, slots=True)
class Denied:
    """The number may not be dialled."""

    #: Why.
    reason: Reason
    #: Ask again then; None: not before something is mended (a zone, the campaign's hours).
    until: datetime | None
    #: What exactly: the zone that is not known.
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which a number may be dialled."""

    opens: datetime
    closes: datetime


@cache
def zone_of(name: str) -> ZoneInfo | None:
    """The zone of an IANA name; None where there is none (also for names that are paths or empty)."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: a name that is a folder of the zone data ("Europe") or too long for a file.
        return None


def places_of(zones: Collection[str]) -> list[ZoneInfo] | Denied:
    """The zones of these names; Denied where there is none, or one that nobody knows."""
    if not zones:
        return Denied(Reason.NO_ZONE, None)
    places: list[ZoneInfo] = []
    for name in zones:
        place = zone_of(name)
        if place is None:
            return Denied(Reason.UNKNOWN_ZONE, None, name)
        places.append(place)
    return places


def place_of(zones: Iterable[str], at: datetime) -> str:
    """The zone that decides when a number opens that may be in all of these: where it is earliest by the
    clock, since there the hours begin last. Empty: none is known."""
    places = [place for place in map(zone_of, zones) if place is not None]
    return min(places, key=lambda place: (_offset(at, place), place.key)).key if places else ""


def _offset(at: datetime, place: ZoneInfo) -> timedelta:
    return at.astimezone(place).utcoffset() or timedelta()


@dataclass(slots=True)
class Calendar:
    """The hours of one campaign under its policy. It remembers what it has found, so it is asked about many
    leads at little cost; make a new one where hours or policy have changed."""

    policy: Policy
    timetable: Timetable
    #: (place, date, good hours) -> what is open there on that date
    _days: dict[tuple[str, date, Day], tuple[_Span, ...]] = field(default_factory=dict)
    #: (places, good hours) -> from when to when was looked, and what was found
    _looks: dict[tuple[tuple[str, ...], Day], tuple[datetime, datetime, list[_Span]]] = field(
        default_factory=dict
    )

    @property
    def never_closes(self) -> bool:
        """Whether all days are open round the clock."""
        days = (*self.policy.week.days, *self.timetable.days, *self.timetable.exceptions.values())
        return self.timetable.on_holidays and all(day == ALL_DAY for day in days)

    def allowed(self, zones: Collection[str], now: datetime, good: Day = ALL_DAY) -> Allowed | Denied:
        """May a number with these candidate zones be dialled at `now`? `good`: the phone's own hours."""
        found = self.window(zones, now, good)
        if isinstance(found, Denied):
            return found
        return Allowed(found.closes) if found.opens <= now else Denied(Reason.OUT_OF_HOURS, found.opens)

    def window(self, zones: Collection[str], since: datetime, good: Day = ALL_DAY) -> Window | Denied:
        """The time around `since` in which the number may be dialled, else the next one."""
        places = places_of(zones)
        if isinstance(places, Denied):
            return places
        if good == ALL_DAY and self.never_closes:
            return Window(since, FOREVER)
        # A few days ahead answer nearly every question; the long look is for the rest.
        for days in (4, HORIZON_DAYS):
            spans = self._spans(tuple(sorted(place.key for place in places)), since, days, good)
            at = bisect_right(spans, since, key=lambda span: span[1])
            if at < len(spans) and (days == HORIZON_DAYS or spans[at][1] < since + days * DAY):
                return Window(*spans[at])
        return Denied(Reason.NO_COMMON_HOURS, None)

    def _spans(self, places: tuple[str, ...], since: datetime, days: int, good: Day) -> list[_Span]:
        """What is open in all places from `since` for so many days at least, in order."""
        until = since + days * DAY
        looked = self._looks.get((places, good))
        if looked is not None and looked[0] <= since and until <= looked[1]:
            return looked[2]
        common: list[_Span] | None = None
        for place in places:
            open_here = self._at(place, since - DAY, until + 2 * DAY, good)
            common = open_here if common is None else _intersect(common, open_here)
            if not common:
                break
        # Further than asked: many leads are asked about, each a little later than the one before.
        self._looks[places, good] = since, until + DAY, common or []
        return common or []

    def _at(self, place: str, since: datetime, until: datetime, good: Day) -> list[_Span]:
        zone = ZoneInfo(place)
        day, last = since.astimezone(zone).date(), until.astimezone(zone).date()
        spans: list[_Span] = []
        while day <= last:
            for opens, closes in self._day(place, zone, day, good):
                if spans and spans[-1][1] >= opens:
                    spans[-1] = (spans[-1][0], closes)
                else:
                    spans.append((opens, closes))
            day += DAY
        return spans

    def _day(self, place: str, zone: ZoneInfo, day: date, good: Day) -> tuple[_Span, ...]:
        known = self._days.get((place, day, good))
        if known is None:
            known = self._days[place, day, good] = tuple(
                (opens, closes)
                for span in self.hours(day, place).common(good).spans
                if (opens := max(_instants(day, span.opens, zone)))
                < (closes := min(_instants(day, span.closes, zone)))
            )
        return known

    def hours(self, day: date, place: str) -> Day:
        """The hours of a date at a place of that zone."""
        week, kind = self.policy.week, day_type(self.policy, day, place)
        if kind is None:  # it may be a holiday
            of_policy = week.of(weekend_by_name(day)).common(week.holiday)
            return of_policy.common(self.timetable.of(day, holiday=True))
        return week.of(kind).common(self.timetable.of(day, holiday=kind is DayType.HOLIDAY))


def _instants(day: date, minute: int, place: ZoneInfo) -> _Span:
    if minute == MIDNIGHT:
        day, minute = day + DAY, 0
    local = datetime.combine(day, time(minute // 60, minute % 60), place)
    return local.replace(fold=0).astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def _intersect(one: Sequence[_Span], other: Sequence[_Span]) -> list[_Span]:
    found: list[_Span] = []
    i = j = 0
    while i < len(one) and j < len(other):
        opens, closes = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if opens < closes:
            found.append((opens, closes))
        if one[i][1] <= other[j][1]:
            i += 1
        else:
            j += 1
    return found
