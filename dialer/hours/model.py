"""Hours under a name: a week, dates with other hours, holidays, zone. The rule is that of flows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from dialer.said import why
from ivr_flows import hours


@dataclass(frozen=True, slots=True)
class Opening:
    """When it is open."""

    id: int
    #: by which flows name it
    name: str
    #: `mon-fri` -> `09:00-18:00`; a day that is not named is closed
    week: Mapping[str, str]
    #: `2026-12-31` -> `09:00-15:00`
    exceptions: Mapping[str, str]
    #: whose public holidays: `RU`, `DE-BY`; empty: they are like other days
    holidays: str
    #: IANA name; empty: the tenant's
    zone: str

    def state(self, now: datetime, tenants: ZoneInfo) -> str:
        """open, closed or holiday at this moment; `tenants`: the tenant's zone."""
        local = now.astimezone(hours.zone_of(self.zone) or tenants)
        return hours.opening(self.week, self.exceptions, self.holidays, local)


def by_day(week: Mapping[str, str]) -> dict[str, str]:
    """`mon-fri: 09:00-18:00` -> the hours of each day; a day that is closed is not in it."""
    days = ((day, spans) for key, spans in week.items() for day in hours.weekdays(key))
    return {hours.DAYS[day]: spans for day, spans in days if hours.spans(spans)}


def grouped(days: Mapping[str, str]) -> dict[str, str]:
    """Back from `by_day`: neighbours that are alike under one key; a day that is closed is left out."""
    found: list[tuple[str, str, str]] = []
    before = ""
    for day in hours.DAYS:
        spans = days.get(day, "")
        if not spans:
            before = ""
            continue
        if found and before and found[-1][2] == spans:
            found[-1] = (found[-1][0], day, spans)
        else:
            found.append((day, day, spans))
        before = day
    return {first if first == last else f"{first}-{last}": spans for first, last, spans in found}


def fault(
    week: Mapping[str, str], exceptions: Mapping[str, str], holidays: str, zone: str
) -> tuple[str, str] | None:
    """The first thing that is wrong, as (field, why); None: nothing."""
    try:
        field = "week"
        hours.week_of(week)
        field = "exceptions"
        for day, spans in exceptions.items():
            hours.day_of(day)
            hours.spans(spans)
        field = "holidays"
        if holidays:
            hours.free_days(holidays, 2026)
    except ValueError as error:
        return field, why(error)
    if zone and hours.zone_of(zone) is None:
        return "zone", "is no time zone: write one like Europe/Moscow"
    return None
