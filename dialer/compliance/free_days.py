"""What a date is in a country: a working day, a day off, a public holiday. Moved days are known too.

From the package `holidays` (its tables follow the decrees of each year, with Saturdays that were made working
days) and the table of zones of the IANA database, which says in which country a zone is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

import holidays

from dialer.compliance.policy import DayType, Policy

#: Says "of any region of the country": `DE-*`.
ANY_REGION = "*"


@dataclass(frozen=True, slots=True)
class Year:
    """The free days of one year in one region."""

    #: public holidays, and days off in place of others
    free: frozenset[date]
    #: days of a weekend that were made working days
    worked: frozenset[date]
    #: weekdays without work, Monday is 0
    weekend: frozenset[int]


@cache
def year_of(region: str, year: int) -> Year | None:
    """The free days of `RU`, `DE-BY` or `DE-*` in a year; None: such a region is not known."""
    country, _, part = region.partition("-")
    try:
        found = holidays.country_holidays(country, years=year)
        parts = found.subdivisions if part == ANY_REGION else (part,) if part else ()
        of_parts = [holidays.country_holidays(country, subdiv=one, years=year) for one in parts]
    except NotImplementedError:
        return None
    return Year(
        free=frozenset(found).union(*of_parts),
        worked=frozenset(getattr(found, "weekend_workdays", ())),
        weekend=frozenset(found.weekend),
    )


@cache
def _countries() -> dict[str, str]:
    table = files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    return {row[2]: row[0] for row in rows}


def country_of(zone: str) -> str | None:
    """The ISO code of the country that a zone is of; None where it is of none (`UTC`) or an old name."""
    return _countries().get(zone)


def day_type(policy: Policy, day: date, zone: str) -> DayType | None:
    """What `day` is at a place of that zone; None where its holidays are not known, so it may be one."""
    for moved, kind in policy.moved:
        if moved == day:
            return kind
    if (day.month, day.day) in policy.holidays:
        return DayType.HOLIDAY
    country = country_of(zone)
    regions = policy.regions or ((country,) if country else ())
    years = [year_of(region, day.year) for region in regions]
    known = [year for year in years if year is not None]
    if not known or len(known) < len(years):
        return None
    # Of several regions the strictest: nobody knows in which of them the person is.
    if any(day in year.free for year in known):
        return DayType.HOLIDAY
    if all(day in year.worked or day.weekday() not in year.weekend for year in known):
        return DayType.WORKING
    return DayType.DAY_OFF


def weekend_by_name(day: date) -> DayType:
    """What a day is where nothing is known but its name."""
    return DayType.WORKING if day.weekday() < 5 else DayType.DAY_OFF
