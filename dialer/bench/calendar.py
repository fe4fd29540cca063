"""Random numbers, moments and rules: none may be dialled outside of any window that applies.

The calendar reckons with spans of time. What it says is held against something that does not: it looks at the
clock on each wall, a minute at a time, and reads the rules as a person would. Half of the moments lie near
a change of clocks.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays

from dialer.compliance.calendar import Allowed, Calendar, Denied
from dialer.compliance.free_days import country_of
from dialer.compliance.policies import POLICIES
from dialer.compliance.policy import ALL_DAY, Day, DayType, Hours, Policy, Purpose, Week
from dialer.compliance.timetable import Timetable
from dialer.contacts.numbers import BadNumber, read_number

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
FIRST, DAYS = datetime(2025, 1, 1, tzinfo=UTC), 3 * 365
#: One of each of Russia's eleven times, from west to east.
RUSSIA = (
    "Europe/Kaliningrad", "Europe/Moscow", "Europe/Samara", "Asia/Yekaterinburg", "Asia/Omsk",
    "Asia/Krasnoyarsk", "Asia/Irkutsk", "Asia/Yakutsk", "Asia/Vladivostok", "Asia/Magadan", "Asia/Kamchatka",
)  # fmt: skip
#: Zones of records whose clocks are turned in odd ways: at midnight, by half an hour, on other days.
ODD = (
    "America/Havana", "Africa/Cairo", "Australia/Lord_Howe", "America/St_Johns", "Asia/Beirut",
    "America/Santiago", "Europe/London", "Europe/Berlin", "Europe/Paris", "America/New_York",
    "Pacific/Auckland", "Asia/Kathmandu", "UTC", "Etc/GMT+3",
)  # fmt: skip
#: Countries whose numbers are made up, with how many digits follow.
CODES = {"7": 10, "1": 10, "44": 10, "49": 10, "33": 9, "61": 9, "55": 11, "52": 10, "380": 9, "998": 9}
#: Clocks are turned around these days.
TURNS = tuple(
    datetime(year, month, day, tzinfo=UTC)
    for year in (2025, 2026, 2027)
    for month, day in ((3, 9), (3, 30), (4, 5), (4, 25), (9, 7), (10, 5), (10, 26), (10, 30), (11, 2))
)


@dataclass(slots=True)
class Tally:
    """What a run has come to."""

    cases: int = 0
    allowed: int = 0
    #: moments that the wall's clocks were asked about
    moments: int = 0
    #: allowed while some wall's clock said no: must stay 0
    wrong: list[str] = field(default_factory=list)
    #: denied while all walls' clocks said yes; `turned`: within a day of a change of clocks, where it may be
    too_strict: list[str] = field(default_factory=list)
    turned: int = 0
    zones: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0


# -- the plain reading -------------------------------------------------------------------------------------


@cache
def _free(country: str, region: str | None, year: int) -> holidays.HolidayBase:
    return holidays.country_holidays(country, subdiv=region, years=year)


@cache
def _kind(policy: Policy, day: date, zone: str) -> str:
    """working, day_off, holiday; `?` where nobody knows the place's holidays."""
    for moved, kind in policy.moved:
        if moved == day:
            return kind.value
    if (day.month, day.day) in policy.holidays:
        return "holiday"
    country = country_of(zone)
    wanted = list(policy.regions) or ([country] if country else [])
    if not wanted:
        return "?"
    kinds = set[str]()
    for region in wanted:
        country, _, part = region.partition("-")
        try:
            whole = _free(country, None, day.year)
            parts = whole.subdivisions if part == "*" else [part] if part else []
            sets = [whole, *(_free(country, each, day.year) for each in parts)]
        except NotImplementedError:
            return "?"
        if any(day in each for each in sets):
            kinds.add("holiday")
        elif day.weekday() in whole.weekend and day not in getattr(whole, "weekend_workdays", ()):
            kinds.add("day_off")
        else:
            kinds.add("working")
    return next(kind for kind in ("holiday", "day_off", "working") if kind in kinds)


def open_on_walls(
    policy: Policy, table: Timetable, zones: Sequence[str], good: Day, moment: datetime
) -> bool:
    """Whether each wall's clock is within all hours at that moment."""
    for zone in zones:
        wall = moment.astimezone(ZoneInfo(zone))
        minute, day = wall.hour * 60 + wall.minute, wall.date()
        kind = _kind(policy, day, zone)
        days = [good]
        if kind == "?":
            days += [policy.week.holiday, policy.week.working if day.weekday() < 5 else policy.week.day_off]
        else:
            days.append(getattr(policy.week, kind))
        if day in table.exceptions:
            days.append(table.exceptions[day])
        elif kind in ("holiday", "?") and not table.on_holidays:
            return False
        else:
            days.append(table.days[day.weekday()])
        for each in days:
            if not any(span.opens <= minute < span.closes for span in each.spans):
                return False
    return True


def clocks_turned(zones: Sequence[str], moment: datetime) -> bool:
    """Whether a clock of these places is turned within a day and a half of the moment."""
    for zone in zones:
        place = ZoneInfo(zone)
        told = {(moment + timedelta(hours=6 * n)).astimezone(place).utcoffset() for n in range(-6, 7)}
        if len(told) > 1:
            return True
    return False


# -- cases ------------------------------------------------------------------------------------------------


def _day(chance: random.Random) -> Day:
    """The hours of a day: usual ones, odd ones, several spans, round the clock, none."""
    match chance.randrange(8):
        case 0:
            return ALL_DAY
        case 1:
            return Day()
        case 2:
            return Day.of(Hours(10 * 60, 13 * 60), Hours(14 * 60, 20 * 60))
        case 3 | 4:
            spans = []
            for _ in range(chance.randint(1, 4)):
                # Clocks are turned at night.
                opens = chance.randrange(chance.choice((240, 1439)))
                spans.append(Hours(opens, min(1440, opens + chance.choice((20, 90, 600, 1440)))))
            return Day.of(*spans)
        case _:
            return Day.of(Hours(chance.choice((8, 9, 10)) * 60, chance.choice((18, 20, 21, 22)) * 60))


def _night(chance: random.Random) -> Day:
    """Hours that begin and end where clocks are turned."""
    opens = [chance.randrange(210) for _ in range(chance.randint(1, 3))]
    return Day.of(*(Hours(each, each + chance.choice((10, 30, 75, 600))) for each in opens))


def _rules(chance: random.Random) -> tuple[Policy, Timetable]:
    policy = chance.choice(list(POLICIES.values()))
    if chance.random() < 0.3:
        nights = tuple(_night(chance) for _ in range(7))
        return replace(policy, week=Week(ALL_DAY, ALL_DAY, ALL_DAY)), Timetable(nights)
    if chance.random() < 0.6:
        policy = replace(
            policy,
            purpose=Purpose.ANY,
            week=Week(_day(chance), _day(chance), _day(chance)),
            regions=chance.choice(((), ("RU",), ("DE-*",), ("US", "GB"), ("FR",))),
            moved=tuple(
                (date(2025, 1, 1) + timedelta(days=chance.randrange(DAYS)), chance.choice(list(DayType)))
                for _ in range(20)
            ),
        )
    usual = _day(chance) or ALL_DAY
    days = tuple(_day(chance) if chance.random() < 0.3 else usual for _ in range(7))
    exceptions = {
        date(2025, 1, 1) + timedelta(days=chance.randrange(DAYS)): _day(chance)
        for _ in range(chance.choice((0, 0, 60)))
    }
    return policy, Timetable(days, exceptions, on_holidays=chance.random() < 0.7)


def _zones_of_numbers(chance: random.Random, many: int) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    while len(found) < many:
        code = chance.choice(list(CODES))
        digits = chance.randint(2 * 10 ** (CODES[code] - 1), 10 ** CODES[code] - 1)
        number = read_number(f"+{code}{digits}", "RU")
        if not isinstance(number, BadNumber) and number.timezones:
            found.append(number.timezones)
    return found


@cache
def _changes(zone: str) -> tuple[datetime, ...]:
    """When the clocks of a zone are turned, to the minute."""
    place, found = ZoneInfo(zone), []
    for day in (FIRST + timedelta(days=n) for n in range(DAYS)):
        before, after = day, day + timedelta(days=1)
        if before.astimezone(place).utcoffset() == after.astimezone(place).utcoffset():
            continue
        while after - before > MINUTE:
            middle = before + (after - before) / 2
            if middle.astimezone(place).utcoffset() == day.astimezone(place).utcoffset():
                before = middle
            else:
                after = middle
        found.append(after.replace(second=0, microsecond=0))
    return tuple(found)


def _moment(chance: random.Random, zones: Sequence[str]) -> datetime:
    changes = _changes(chance.choice(zones)) if chance.random() < 0.3 else ()
    if changes:
        return chance.choice(changes) + timedelta(minutes=chance.randrange(-150, 150))
    if chance.random() < 0.4:
        return chance.choice(TURNS) + timedelta(minutes=chance.randrange(-2 * 1440, 2 * 1440))
    return FIRST + timedelta(minutes=chance.randrange(DAYS * 1440))


def _places(chance: random.Random, numbers: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    match chance.randrange(4):
        case 0:
            return (chance.choice(RUSSIA),)
        case 1:
            return (chance.choice(ODD),)
        case _:
            return chance.choice(numbers)


def run(cases: int, seed: int = 1, say: Callable[[str], None] = lambda _line: None) -> Tally:
    """Ask about so many random cases, and hold each answer against the clocks on the walls."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    tally, began_s = Tally(), time.monotonic()
    numbers = _zones_of_numbers(chance, min(20_000, max(200, cases // 20)))
    many = min(1_000, max(30, cases // 200))
    while tally.cases < cases:
        policy, table = _rules(chance)
        calendar = Calendar(policy, table)
        # A list has leads in some places, and is asked about again and again as time goes on.
        pool = [_places(chance, numbers) for _ in range(12)]
        anchors = [_moment(chance, chance.choice(pool)) for _ in range(6)]
        moments = sorted(
            chance.choice(anchors) + timedelta(minutes=chance.randrange(-600, 600))
            for _ in range(min(many, cases - tally.cases))
        )
        for now in moments:
            good = _day(chance) if chance.random() < 0.1 else ALL_DAY
            _ask(calendar, chance.choice(pool), good or ALL_DAY, now, chance, tally)
        if tally.cases % 50_000 == 0:
            say(f"{tally.cases:,} cases, {len(tally.wrong)} wrong")
    tally.took_s = time.monotonic() - began_s
    return tally


def _ask(
    calendar: Calendar,
    zones: tuple[str, ...],
    good: Day,
    now: datetime,
    chance: random.Random,
    tally: Tally,
) -> None:
    tally.cases += 1
    tally.zones.update(zones)
    answer = calendar.allowed(zones, now, good)

    def is_open(moment: datetime) -> bool:
        tally.moments += 1
        return open_on_walls(calendar.policy, calendar.timetable, zones, good, moment)

    told = f"{calendar.policy.stamp} {zones} {now.isoformat()} {answer}"
    if isinstance(answer, Allowed):
        tally.allowed += 1
        if not is_open(now):
            tally.wrong.append(told)
    elif is_open(now):
        _strict(tally, zones, now, f"denied: {told}")
    window = calendar.window(zones, now, good)
    if isinstance(window, Denied):
        if any(is_open(now + chance.randrange(30 * 1440) * MINUTE) for _ in range(20)):
            _strict(tally, zones, now, f"never open: {told}")
        return
    opens, closes = window.opens, min(window.closes, window.opens + timedelta(days=3))
    if (opens <= now) != isinstance(answer, Allowed):
        tally.wrong.append(f"one says open, the other closed: {told}")
    minutes = int((closes - opens) / MINUTE)
    asked = {opens, closes - MINUTE, *(opens + chance.randrange(minutes) * MINUTE for _ in range(3))}
    if tally.cases % 500 == 0:  # every minute of some
        asked |= {opens + n * MINUTE for n in range(minutes)}
    # Around each change of clocks in between: what is open there may be so twice, or not at all.
    turns = [turn for zone in zones for turn in _changes(zone) if opens - HOUR <= turn <= closes + HOUR]
    asked |= {turn + n * 13 * MINUTE for turn in turns for n in range(-8, 9)}
    if not all(is_open(moment) for moment in asked if opens <= moment < closes):
        tally.wrong.append(f"{window}: {told}")
    if opens > now and is_open(opens - MINUTE):
        _strict(tally, zones, opens, f"opens too late: {told}")
    if window.closes == closes and is_open(closes):
        _strict(tally, zones, closes, f"closes too early: {told}")


def _strict(tally: Tally, zones: Sequence[str], moment: datetime, told: str) -> None:
    if clocks_turned(zones, moment):
        tally.turned += 1
    else:
        tally.too_strict.append(told)
