"""The rules of calling: hours at the called person's place, waits, limits, and what keeps a campaign back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dialer.compliance.model import (
    POLICIES,
    Allowed,
    Calendar,
    ClockStart,
    Day,
    DayType,
    Denied,
    Hours,
    Limits,
    Policy,
    Purpose,
    Reason,
    Timetable,
    Week,
    attempts_allowed,
    greeting_end_at,
    redial_allowed,
)
from dialer.compliance.readiness import StartSettings, names, start_problems

DAY_LONG = Hours(0, 24 * 60)
NINE_TO_SIX = Hours.parse("09:00", "18:00")
#: A policy with easy numbers, so that no test leans on those of a country.
PLAIN = Policy(
    code="plain",
    version=3,
    jurisdiction="*",
    purpose=Purpose.ANY,
    title_ru="Простая",
    title_en="Plain",
    source="this test",
    read_on=date(2026, 1, 1),
    clock=ClockStart.GREETING_END,
    abandon_after_s=2.0,
    abandon_cap=0.03,
    abandon_window_s=86400,
    min_ring_s=15,
    week=Week(Day.of(Hours(8 * 60, 20 * 60)), Day.of(Hours(10 * 60, 14 * 60)), Day()),
    holidays=frozenset({(5, 1)}),
    limits=Limits(per_day=2, per_week=3),
    forbidden_modes=frozenset({"power"}),
    redial_after_abandoned_s=7200,
    redial_after_machine_s=3600,
)
READY = StartSettings(
    mode="progressive",
    ratio=1.0,
    detect_machines=True,
    ring_timeout_s=20,
    window=Timetable.alike(NINE_TO_SIX),
    caller_name="Автосалон «Заря»",
    abandon_message="Вам звонил автосалон «Заря», мы перезвоним.",
    trunks=1,
    dispositions=5,
)


def allowed_now(policy: Policy, window: Hours, zones: list[str], now: datetime) -> Allowed | Denied:
    """Of a campaign with the same hours every day."""
    return Calendar(policy, Timetable.alike(window)).allowed(zones, now)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# -- hours -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opens", "closes", "said"),
    [
        ("9:00", "18:00", "HH:MM"),
        ("09.00", "18:00", "HH:MM"),
        ("09:60", "18:00", "no time"),
        ("09:00", "24:01", "no time"),
        ("18:00", "09:00", "before they close"),
        ("09:00", "09:00", "before they close"),
        ("٠٩:00", "18:00", "HH:MM"),
        ("+9:00", "18:00", "HH:MM"),
    ],
)
def test_hours_that_are_not_hours_are_refused(opens: str, closes: str, said: str) -> None:
    """A wrong time is refused with a text that says what is wrong with it."""
    with pytest.raises(ValueError, match=said):
        Hours.parse(opens, closes)


def test_midnight_may_close_a_day() -> None:
    """`24:00` is the end of a day, and is shown so."""
    assert Hours.parse("00:00", "24:00") == DAY_LONG
    assert str(DAY_LONG) == "00:00-24:00"


MSK, VVO, NYC = "Europe/Moscow", "Asia/Vladivostok", "America/New_York"


# The week of 4 May 2026: Friday 1 May is a holiday of PLAIN, Saturday and Sunday open 10 to 14, Monday 8 to
# 20; the campaign calls 9 to 18. Moscow is UTC+3, Vladivostok UTC+10, New York UTC-4 in May.
@pytest.mark.parametrize(
    ("zones", "now", "answer"),
    [
        ([MSK], "2026-05-04 05:59:59", Denied(Reason.OUT_OF_HOURS, utc("2026-05-04 06:00"))),
        ([MSK], "2026-05-04 06:00", Allowed(utc("2026-05-04 15:00"))),
        ([MSK], "2026-05-04 14:59:59", Allowed(utc("2026-05-04 15:00"))),
        ([MSK], "2026-05-04 15:00", Denied(Reason.OUT_OF_HOURS, utc("2026-05-05 06:00"))),
        # On a day off the policy's hours are the narrower ones.
        ([MSK], "2026-05-02 06:30", Denied(Reason.OUT_OF_HOURS, utc("2026-05-02 07:00"))),
        ([MSK], "2026-05-02 10:59", Allowed(utc("2026-05-02 11:00"))),
        # A holiday is closed all day, although it is a Friday.
        ([MSK], "2026-05-01 09:00", Denied(Reason.OUT_OF_HOURS, utc("2026-05-02 07:00"))),
        # Two candidate zones: 9:00 in Moscow is 16:00 in Vladivostok, and 18:00 there is 11:00 in Moscow.
        ([MSK, VVO], "2026-05-04 05:00", Denied(Reason.OUT_OF_HOURS, utc("2026-05-04 06:00"))),
        ([MSK, VVO], "2026-05-04 07:59", Allowed(utc("2026-05-04 08:00"))),
        ([VVO, MSK], "2026-05-04 08:00", Denied(Reason.OUT_OF_HOURS, utc("2026-05-05 06:00"))),
        # It is Sunday in New York while it is Monday in Vladivostok: each place has its own date.
        ([VVO], "2026-05-03 23:00", Allowed(utc("2026-05-04 08:00"))),
        ([NYC], "2026-05-03 23:00", Denied(Reason.OUT_OF_HOURS, utc("2026-05-04 13:00"))),
        # 9 to 18 in both Moscow and New York: 16:00-18:00 in Moscow is 9:00-11:00 in New York.
        ([MSK, NYC], "2026-05-04 12:00", Denied(Reason.OUT_OF_HOURS, utc("2026-05-04 13:00"))),
        # Vladivostok closes at 8:00 UTC, New York opens at 13:00 UTC: no common hour ever.
        ([VVO, NYC], "2026-05-04 12:00", Denied(Reason.NO_COMMON_HOURS, None)),
        ([], "2026-05-04 09:00", Denied(Reason.NO_ZONE, None)),
        ([MSK, "Mars/Base"], "2026-05-04 09:00", Denied(Reason.UNKNOWN_ZONE, None, "Mars/Base")),
        (["../etc/passwd"], "2026-05-04 09:00", Denied(Reason.UNKNOWN_ZONE, None, "../etc/passwd")),
        (["Europe"], "2026-05-04 09:00", Denied(Reason.UNKNOWN_ZONE, None, "Europe")),
        ([""], "2026-05-04 09:00", Denied(Reason.UNKNOWN_ZONE, None, "")),
    ],
)  # fmt: skip
def test_a_number_is_dialled_only_when_all_its_zones_are_open(
    zones: list[str], now: str, answer: Allowed | Denied
) -> None:
    """The window must be open in every candidate zone; what is not known means no."""
    assert allowed_now(PLAIN, NINE_TO_SIX, zones, utc(now)) == answer


def test_a_moved_day_wins_over_the_weekday() -> None:
    """A Saturday that a government made a working day has a working day's hours."""
    saturday = utc("2026-05-02 12:00")
    assert isinstance(allowed_now(PLAIN, NINE_TO_SIX, ["Europe/Moscow"], saturday), Denied)
    moved = replace(PLAIN, moved=((date(2026, 5, 2), DayType.WORKING),))
    assert allowed_now(moved, NINE_TO_SIX, ["Europe/Moscow"], saturday) == Allowed(utc("2026-05-02 15:00"))


def test_round_the_clock_is_open_beyond_midnight() -> None:
    """Days that touch are one span: at 23:59 there is more than a minute left."""
    answer = allowed_now(POLICIES["demo"], DAY_LONG, ["Europe/Moscow"], utc("2026-05-04 20:59"))
    assert isinstance(answer, Allowed)
    assert answer.until > utc("2026-05-05 20:00")


def test_turned_clocks_open_late_and_close_early() -> None:
    """Where a local time comes twice or never, the stricter reading holds.

    Berlin, 25 October 2026: 2:00 to 3:00 comes twice, at 0:00 and 1:00 UTC. 29 March: it never comes.
    """
    policy = replace(PLAIN, week=Week.alike(DAY_LONG))
    opening = Hours.parse("02:30", "12:00")
    assert allowed_now(policy, opening, ["Europe/Berlin"], utc("2026-10-25 00:45")) == Denied(
        Reason.OUT_OF_HOURS, utc("2026-10-25 01:30")
    )
    closing = Hours.parse("00:00", "02:30")
    assert allowed_now(policy, closing, ["Europe/Berlin"], utc("2026-10-25 00:15")) == Allowed(
        utc("2026-10-25 00:30")
    )
    # 2:30 does not exist on 29 March: 3:30 summer time, 1:30 UTC, is the later reading.
    assert allowed_now(policy, opening, ["Europe/Berlin"], utc("2026-03-29 00:45")) == Denied(
        Reason.OUT_OF_HOURS, utc("2026-03-29 01:30")
    )


#: The public holidays of each place, as its country has them.
HOLIDAYS = {
    zone: holidays.country_holidays(country, years=(2025, 2026, 2027, 2028))
    for zone, country in {
        "Europe/Moscow": "RU", "Asia/Vladivostok": "RU", "Europe/Kaliningrad": "RU",
        "America/New_York": "US", "Asia/Kolkata": "IN",
    }.items()
}  # fmt: skip
ZONES = list(HOLIDAYS)


@given(
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3),
    minute=st.integers(0, 2 * 365 * 24 * 60),
    opens=st.integers(0, 1380),
    length=st.integers(1, 1439),
)
def test_no_open_answer_contradicts_a_clock_on_the_wall(
    zones: list[str], minute: int, opens: int, length: int
) -> None:
    """Whatever the zones and hours: allowed exactly when each place's own wall clock is within the hours."""
    window = Hours(opens, min(1440, opens + length))
    at = utc("2026-01-01") + timedelta(minutes=minute)
    # Not in the months in which clocks are turned: their stricter reading has its own test.
    assume(at.month not in (3, 10, 11))
    answer = allowed_now(PLAIN, window, zones, at)
    open_everywhere = True
    for zone in zones:
        wall = at.astimezone(ZoneInfo(zone))
        free = HOLIDAYS[zone]
        if (wall.month, wall.day) == (5, 1) or wall.date() in free:
            first, last = 0, 0
        elif wall.weekday() < 5 or wall.date() in free.weekend_workdays:
            first, last = max(opens, 480), min(window.closes, 1200)
        else:
            first, last = max(opens, 600), min(window.closes, 840)
        open_everywhere = open_everywhere and first <= wall.hour * 60 + wall.minute < last
    assert isinstance(answer, Allowed) == open_everywhere
    if isinstance(answer, Denied) and answer.until:
        assert isinstance(allowed_now(PLAIN, window, zones, answer.until), Allowed)
    if isinstance(answer, Allowed):
        assert answer.until > at
        assert isinstance(allowed_now(PLAIN, window, zones, answer.until), Denied)


# -- how long an answered person waits ---------------------------------------------------------------------


def test_the_greeting_ended_before_the_silence_that_proved_it() -> None:
    """AMD recognises a person by 700 ms of silence: the greeting ended 700 ms before the decision."""
    decided = utc("2026-05-04 09:00:01.830")
    assert greeting_end_at(decided, "HUMAN-700-700", 700) == utc("2026-05-04 09:00:01.130")
    assert greeting_end_at(decided, "TOOLONG-4000", 700) == decided


# -- how often ---------------------------------------------------------------------------------------------

NOW = utc("2026-05-04 12:00")


@pytest.mark.parametrize(
    ("hours_ago", "answer"),
    [
        ([], None),
        ([1], None),
        ([1, 24], None),
        ([1, 23], Denied(Reason.ATTEMPTS_PER_DAY, NOW + timedelta(hours=1))),
        ([23, 1], Denied(Reason.ATTEMPTS_PER_DAY, NOW + timedelta(hours=1))),
        ([1, 2, 23], Denied(Reason.ATTEMPTS_PER_WEEK, NOW + timedelta(hours=7 * 24 - 23))),
        ([30, 60, 100], Denied(Reason.ATTEMPTS_PER_WEEK, NOW + timedelta(hours=7 * 24 - 100))),
        ([30, 60, 168], None),
    ],
)
def test_a_number_is_tried_no_oftener_than_the_policy_says(
    hours_ago: list[float], answer: Denied | None
) -> None:
    """Two in 24 hours and three in 7 days; the later of two denials counts."""
    tried = [NOW - timedelta(hours=ago) for ago in hours_ago]
    assert attempts_allowed(PLAIN, tried, NOW) == answer


@pytest.mark.parametrize(
    ("mode", "result", "ended_s_ago", "free_in_s"),
    [
        ("progressive", "abandoned", 7199, 1),
        ("progressive", "abandoned", 7200, None),
        ("progressive", "machine", 60, 3540),
        ("progressive", "busy", 0, None),
        ("progressive", None, None, None),
        ("preview", "abandoned", 60, None),
        ("manual", "machine", 60, None),
        # When it ended is not known: wait the whole time from now.
        ("power", "abandoned", None, 7200),
    ],
)
def test_an_abandoned_number_is_left_in_peace(
    mode: str, result: str | None, ended_s_ago: float | None, free_in_s: float | None
) -> None:
    """After an abandoned call or a machine no machine dials for the policy's time; a person may."""
    ended = None if ended_s_ago is None else NOW - timedelta(seconds=ended_s_ago)
    answer = redial_allowed(PLAIN, mode, result, ended, NOW)
    assert (answer.until if answer else None) == (
        None if free_in_s is None else NOW + timedelta(seconds=free_in_s)
    )


# -- what keeps a campaign from starting -------------------------------------------------------------------


def test_a_complete_campaign_has_no_problem() -> None:
    """Nothing is asked that is not needed."""
    assert start_problems(READY, PLAIN) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"abandon_target": PLAIN.abandon_cap + 0.001}, "target-over-cap"),
        ({"mode": "magic"}, "mode-unknown"),
        ({"mode": "power"}, "mode-forbidden"),
        ({"trunks": 0}, "no-trunk"),
        ({"dispositions": 0}, "no-disposition"),
        ({"caller_name": ""}, "no-caller-name"),
        ({"abandon_message": ""}, "no-abandon-message"),
        ({"abandon_message": "Простите за звонок."}, "message-names-nobody"),
        ({"ring_timeout_s": 14}, "ring-too-short"),
        ({"window": Timetable.alike(Hours.parse("20:00", "23:00"))}, "never-open"),
    ],
)
def test_each_missing_thing_has_its_reason(change: dict[str, object], code: str) -> None:
    """One wrong setting, one reason that names it."""
    found = start_problems(replace(READY, **change), PLAIN)  # type: ignore[arg-type]
    assert [problem.code for problem in found] == [code]
    assert "{" not in found[0].text


def test_screening_needs_a_clock_that_starts_at_the_greetings_end() -> None:
    """AMD takes 1.8 s of the 2: counted from the answer, no agent could be there in time."""
    from_answer = replace(PLAIN, clock=ClockStart.ANSWER)
    assert [problem.code for problem in start_problems(READY, from_answer)] == ["screening-clock"]
    assert start_problems(replace(READY, detect_machines=False), from_answer) == []


def test_power_dials_at_least_one_call_an_agent() -> None:
    """A ratio under one would leave agents idle for ever."""
    power = replace(READY, mode="power", ratio=0.5)
    assert [p.code for p in start_problems(power, replace(PLAIN, forbidden_modes=frozenset()))] == ["ratio"]


def test_an_unknown_policy_keeps_the_campaign_back_with_all_other_reasons() -> None:
    """Fail closed, and still name everything else that is missing."""
    codes = [problem.code for problem in start_problems(replace(READY, trunks=0), None)]
    assert codes == ["no-trunk", "no-policy"]


def test_the_policy_of_demonstrations_dials_only_a_carrier_of_this_machine() -> None:
    """Round-the-clock hours must never meet a real carrier."""
    demo = POLICIES["demo"]
    assert [problem.code for problem in start_problems(READY, demo)] == ["policy-of-demo"]
    assert start_problems(replace(READY, this_machine=True), demo) == []


@pytest.mark.parametrize(
    ("message", "caller", "named"),
    [
        ("Вас приветствует АВТОСАЛОН  «Заря».", "автосалон «Заря»", True),
        ("Звонили из автосалона.", "автосалон «Заря»", False),
    ],
)
def test_a_message_names_the_caller_whatever_the_capitals(message: str, caller: str, named: bool) -> None:
    """Capitals and spaces do not matter, the words do."""
    assert names(message, caller) is named


# -- the policies that come with the server ----------------------------------------------------------------


def test_advertising_in_russia_is_dialled_by_people_only() -> None:
    """38-FZ, article 18(2): each call is started by a person."""
    policy = POLICIES["ru-38fz"]
    auto = {"progressive", "power", "predictive"}
    assert {mode for mode in ("manual", "preview", *auto) if mode in policy.forbidden_modes} == auto


@pytest.mark.parametrize(
    ("moscow_time", "open_"),
    [
        ("2026-05-04 08:00", True),  # a Monday
        ("2026-05-04 21:59", True),
        ("2026-05-04 22:00", False),
        ("2026-05-02 08:30", False),  # a Saturday
        ("2026-05-02 19:59", True),
        ("2026-05-02 20:00", False),
        ("2026-06-12 08:30", False),  # a holiday on a Friday
    ],
)
def test_debtors_are_called_in_the_hours_of_230_fz(moscow_time: str, open_: bool) -> None:
    """8 to 22 on working days, 9 to 20 on days off and holidays."""
    at = utc(moscow_time) - timedelta(hours=3)
    answer = allowed_now(POLICIES["ru-230fz"], DAY_LONG, ["Europe/Moscow"], at)
    assert isinstance(answer, Allowed) is open_


def test_debtors_are_called_once_a_day_twice_a_week_eight_times_a_month() -> None:
    """230-FZ, article 7(3)."""
    policy = POLICIES["ru-230fz"]

    def denied(*days_ago: float) -> Reason | None:
        answer = attempts_allowed(policy, [NOW - timedelta(days=ago) for ago in days_ago], NOW)
        return answer.reason if answer else None

    assert denied(0.5) is Reason.ATTEMPTS_PER_DAY
    assert denied(1.5) is None
    assert denied(1.5, 3) is Reason.ATTEMPTS_PER_WEEK
    assert denied(1.5, 8, 10, 15, 17, 22, 24) is None
    assert denied(1.5, 8, 10, 15, 17, 22, 24, 29) is Reason.ATTEMPTS_PER_MONTH


@pytest.mark.parametrize("policy", POLICIES.values(), ids=lambda policy: policy.code)
def test_a_policy_can_be_shown_and_logged(policy: Policy) -> None:
    """Each has its names in both languages, its source and date, and a stamp for attempts."""
    assert policy.title_ru
    assert policy.title_en
    assert policy.source
    assert policy.stamp == f"{policy.code}/{policy.version}"
    assert 0 < policy.abandon_cap <= 0.03
    assert POLICIES[policy.code] is policy


def test_a_flow_without_agents_is_chosen_published_and_can_be_ended_by_a_key() -> None:
    """Who hears advertising from a machine can have it stopped; nothing is asked of a wait for an agent."""
    at_answer = replace(PLAIN, clock=ClockStart.ANSWER)

    def codes(**fields: Any) -> list[str]:
        return [one.code for one in start_problems(replace(READY, mode="flow", **fields), at_answer)]

    assert codes() == ["no-flow"]
    assert codes(flow="robot") == ["flow-not-live"]
    assert codes(flow="robot", flow_live=True) == []
    advertising = {"flow": "robot", "flow_live": True, "purpose": Purpose.ADVERTISING}
    assert "flow-without-opt-out" in codes(**advertising)
    assert "flow-without-opt-out" not in codes(**advertising, flow_opts_out=True)


def test_a_machine_may_advertise_only_to_who_has_agreed() -> None:
    """Whatever the policy says of consents; and where a person has to start each call, not at all."""
    for policy in POLICIES.values():
        assert policy.asks_consent_in("flow", Purpose.ADVERTISING)
        assert policy.forbids("flow") == (policy.code == "ru-38fz")
    assert not POLICIES["ru-service"].asks_consent_in("flow", Purpose.SERVICE)
    assert not POLICIES["us-tsr"].asks_consent_in("predictive", Purpose.SERVICE)
