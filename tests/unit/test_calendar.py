"""The calendar: weeks, dates, holidays by country, moved days, and the clocks on the walls."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from dialer.bench.calendar import RUSSIA, run
from dialer.compliance.calendar import FOREVER, Allowed, Calendar, Denied, Reason, Window
from dialer.compliance.evidence import evidence
from dialer.compliance.filters import Rules, Subject, Tried
from dialer.compliance.free_days import country_of, day_type, year_of
from dialer.compliance.policies import POLICIES
from dialer.compliance.policy import ALL_DAY, Day, DayType, Hours, Purpose, Week
from dialer.compliance.timetable import Timetable

ALWAYS = Timetable.alike(Hours(0, 24 * 60))
MSK = "Europe/Moscow"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("regions", "day", "zone", "kind"),
    [
        # The government of Russia made 1 November 2025 a working Saturday, and 9 January 2026 free.
        (("RU",), date(2025, 11, 1), MSK, DayType.WORKING),
        (("RU",), date(2025, 11, 8), MSK, DayType.DAY_OFF),
        (("RU",), date(2026, 1, 9), MSK, DayType.HOLIDAY),
        # Corpus Christi is a holiday in Bavaria, not in all of Germany.
        (("DE",), date(2026, 6, 4), "Europe/Berlin", DayType.WORKING),
        (("DE-BY",), date(2026, 6, 4), "Europe/Berlin", DayType.HOLIDAY),
        (("DE-*",), date(2026, 6, 4), "Europe/Berlin", DayType.HOLIDAY),
        # No region: that of the place.
        ((), date(2026, 7, 14), "Europe/Paris", DayType.HOLIDAY),
        ((), date(2026, 7, 14), "Europe/Berlin", DayType.WORKING),
        ((), date(2026, 7, 14), "UTC", None),
        (("XX",), date(2026, 7, 14), "Europe/Berlin", None),
        # In Israel people work on Sundays.
        ((), date(2026, 7, 12), "Asia/Jerusalem", DayType.WORKING),
    ],
)
def test_a_date_is_what_its_country_says(
    regions: tuple[str, ...], day: date, zone: str, kind: DayType | None
) -> None:
    """Holidays, moved days and weekends by region, else by the country of the time zone."""
    assert day_type(replace(POLICIES["default"], regions=regions), day, zone) is kind


def test_each_of_the_eleven_russian_zones_is_in_russia() -> None:
    """So its holidays are known without a region; an old name or a path is of no country."""
    assert {country_of(zone) for zone in RUSSIA} == {"RU"}
    assert country_of("../etc/passwd") is None
    assert year_of("DE-Atlantis", 2026) is None


def test_a_day_may_have_several_spans() -> None:
    """France calls 10 to 13 and 14 to 20: at noon until one, at half past one not."""
    calendar = Calendar(POLICIES["fr-advertising"], ALWAYS)
    paris = ["Europe/Paris"]  # UTC+2 in June
    assert calendar.allowed(paris, utc("2026-06-03 10:00")) == Allowed(utc("2026-06-03 11:00"))
    assert calendar.allowed(paris, utc("2026-06-03 11:30")) == Denied(
        Reason.OUT_OF_HOURS, utc("2026-06-03 12:00")
    )
    # Friday evening to Monday; 6 April is Easter Monday.
    assert calendar.allowed(paris, utc("2026-04-03 18:00")) == Denied(
        Reason.OUT_OF_HOURS, utc("2026-04-07 08:00")
    )


def test_weekdays_and_dates_of_a_campaign_have_their_own_hours() -> None:
    """Saturdays shorter, Sundays closed, a date with its own hours although it is a Sunday and a holiday."""
    policy = replace(POLICIES["default"], week=Week(ALL_DAY, ALL_DAY, ALL_DAY))
    table = Timetable.read(
        "09:00",
        "18:00",
        {"sat": ["10:00-12:00", "13:00-14:00"], "sun": []},
        {"2026-03-08": ["11:00-12:00"], "2026-03-09": []},
    )
    calendar = Calendar(policy, table)
    opens = [utc("2026-03-06 15:00")]
    for _ in range(6):
        found = calendar.window([MSK], opens[-1])
        assert isinstance(found, Window)
        opens.append(found.closes)
    # Moscow is UTC+3: Saturday twice, Sunday by the exception, Monday closed by one, Tuesday, Wednesday.
    assert opens[1:] == [
        utc("2026-03-07 09:00"),
        utc("2026-03-07 11:00"),
        utc("2026-03-08 09:00"),
        utc("2026-03-10 15:00"),
        utc("2026-03-11 15:00"),
        utc("2026-03-12 15:00"),
    ]


def test_a_campaign_can_leave_holidays_out() -> None:
    """12 June is Russia's day, a Friday: the policy has hours for it, the campaign goes on on Saturday."""
    table = replace(Timetable.alike(Hours(9 * 60, 20 * 60)), on_holidays=False)
    calendar = Calendar(POLICIES["ru-service"], table)
    assert calendar.allowed([MSK], utc("2026-06-12 09:00")) == Denied(
        Reason.OUT_OF_HOURS, utc("2026-06-13 06:00")
    )


def test_where_holidays_are_not_known_every_day_may_be_one() -> None:
    """Of a place whose country nobody knows the hours of working days and of holidays must both be open."""
    week = Week(Day.of(Hours(8 * 60, 20 * 60)), Day(), Day.of(Hours(10 * 60, 12 * 60)))
    calendar = Calendar(replace(POLICIES["default"], week=week), ALWAYS)
    assert calendar.allowed(["UTC"], utc("2026-06-03 09:00")) == Denied(
        Reason.OUT_OF_HOURS, utc("2026-06-03 10:00")
    )
    assert calendar.allowed(["UTC"], utc("2026-06-03 11:00")) == Allowed(utc("2026-06-03 12:00"))


def test_a_phone_has_hours_of_its_own() -> None:
    """Within those of the policy; hours that nothing has in common are never."""
    calendar = Calendar(POLICIES["default"], ALWAYS)
    assert calendar.allowed([MSK], utc("2026-06-03 08:00"), Day.of(Hours(18 * 60, 24 * 60))) == Denied(
        Reason.OUT_OF_HOURS, utc("2026-06-03 15:00")
    )
    night = Day.of(Hours(0, 6 * 60))
    assert calendar.allowed([MSK], utc("2026-06-03 08:00"), night) == Denied(Reason.NO_COMMON_HOURS, None)


def test_what_never_closes_is_open_for_ever() -> None:
    """So that a list for it has no windows to be written again."""
    assert Calendar(POLICIES["demo"], ALWAYS).window([MSK], utc("2026-06-03 08:00")) == Window(
        utc("2026-06-03 08:00"), FOREVER
    )
    with_a_day = Timetable(ALWAYS.days, {date(2026, 6, 5): Day()})
    assert Calendar(POLICIES["demo"], with_a_day).window([MSK], utc("2026-06-03 08:00")) == Window(
        utc("2026-06-01 21:00"), utc("2026-06-04 21:00")
    )


def test_no_number_is_dialled_outside_of_any_window() -> None:
    """Some thousands of random numbers, moments and rules against the clocks on the walls; the long form is
    `dozvon bench calendar`."""
    tally = run(3_000, seed=5)
    assert (tally.wrong, tally.too_strict) == ([], [])
    assert tally.cases == 3_000
    assert tally.allowed > 300
    assert set(RUSSIA) <= tally.zones.keys()
    assert tally.turned > 0


def test_the_proof_of_a_call_has_what_the_rules_went_by() -> None:
    """Local times, the open window, the attempts that count."""
    now = utc("2026-06-03 08:00")
    tried = [Tried(now - timedelta(hours=30), "busy", None), Tried(now - timedelta(days=20), "busy", None)]
    rules = Rules(POLICIES["ru-230fz"], ALWAYS, "progressive", purpose=Purpose.COLLECTION)
    assert evidence(Subject((MSK, "Asia/Omsk"), tried, version=7), rules, now) == {
        "dnc": 7,
        "at": "2026-06-03T08:00:00.000+00:00",
        "purpose": "collection",
        "places": {MSK: "2026-06-03T11:00+03:00", "Asia/Omsk": "2026-06-03T14:00+06:00"},
        "open": ["2026-06-03T05:00+00:00", "2026-06-03T16:00+00:00"],
        "tried": {"per_day": 0, "per_week": 1, "per_month": 2},
    }
