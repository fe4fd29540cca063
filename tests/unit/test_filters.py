"""The filters that a number passes before it is dialled: their order, and under which words leads wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from dialer.compliance.consent import Consent
from dialer.compliance.evidence import evidence
from dialer.compliance.filters import Answer, Filter, Rules, Subject, Tried, Unwanted, answers, stopped
from dialer.compliance.model import (
    ClockStart,
    Denied,
    Hours,
    Limits,
    Policy,
    Purpose,
    Reason,
    Timetable,
    Week,
)
from dialer.db.tables import LEAD_HOLDS
from scheduler.holds import Hold

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAY = Hours.parse("08:00", "20:00")
RULES = Rules(
    Policy(
        code="plain",
        version=1,
        jurisdiction="*",
        purpose=Purpose.ANY,
        title_ru="Простая",
        title_en="Plain",
        source="this test",
        read_on=date(2026, 1, 1),
        clock=ClockStart.ANSWER,
        abandon_after_s=2.0,
        abandon_cap=0.03,
        abandon_window_s=86400,
        min_ring_s=15,
        week=Week.alike(DAY),
        limits=Limits(per_day=2),
        redial_after_abandoned_s=72 * 3600,
    ),
    window=Timetable.alike(DAY),
    mode="predictive",
)
#: Two attempts in a day, both abandoned: too many, and too soon.
OFTEN = tuple(
    Tried(NOON - timedelta(hours=ago), "abandoned", NOON - timedelta(hours=ago, minutes=-1)) for ago in (1, 2)
)


@pytest.mark.parametrize(
    ("zones", "tried", "no"),
    [
        (("UTC",), (), []),
        (("UTC",), OFTEN[:1], [Filter.REDIAL]),
        (("UTC",), OFTEN, [Filter.LIMITS, Filter.REDIAL]),
        (("Pacific/Auckland",), OFTEN, [Filter.HOURS, Filter.LIMITS, Filter.REDIAL]),
        ((), OFTEN, [Filter.ZONE, Filter.HOURS, Filter.LIMITS, Filter.REDIAL]),
        (("Mars/Base",), (), [Filter.ZONE, Filter.HOURS]),
    ],
)
def test_every_filter_answers_and_the_first_no_counts(
    zones: tuple[str, ...], tried: tuple[Tried, ...], no: list[Filter]
) -> None:
    """All are asked in their order; who dials hears of the first that says no, or of none."""
    subject = Subject(zones, tried)
    said = list(answers(subject, RULES, NOON))
    assert [answer.filter for answer in said] == list(Filter)
    assert [answer.filter for answer in said if answer.denied is not None] == no
    first = stopped(subject, RULES, NOON)
    assert (first.filter if first else None) == (no[0] if no else None)


def test_a_no_says_until_when() -> None:
    """The number is free again a day after the older of two attempts, by the limit of two a day."""
    answer = stopped(Subject(("UTC",), OFTEN), RULES, NOON)
    assert answer is not None
    assert answer.denied == Denied(Reason.ATTEMPTS_PER_DAY, NOON + timedelta(hours=22))


@pytest.mark.parametrize(
    ("mode", "stops"), [("progressive", True), ("predictive", True), ("preview", False), ("manual", False)]
)
def test_a_dead_number_is_for_people_alone(mode: str, stops: bool) -> None:
    """It is asked before anything else; a person may try it, as a call that rings brings it back."""
    subject = Subject(("UTC",), OFTEN, Unwanted(7, "key_press", None), dead=True)
    first = next(answers(subject, replace(RULES, mode=mode), NOON))
    assert first == Answer(Filter.NUMBER, Denied(Reason.DEAD_NUMBER, None) if stops else None)


def test_a_mode_that_the_policy_has_come_to_forbid_stops_all() -> None:
    """Whatever the number; the answer names the mode."""
    strict = replace(RULES, policy=replace(RULES.policy, forbidden_modes=frozenset({"predictive"})))
    assert stopped(Subject(("UTC",)), strict, NOON) == Answer(
        Filter.MODE, Denied(Reason.MODE_FORBIDDEN, None, "predictive")
    )
    assert stopped(Subject(("UTC",)), replace(strict, mode="progressive"), NOON) is None


@pytest.mark.parametrize("until", [None, NOON + timedelta(days=30)])
def test_do_not_call_is_asked_before_the_rest(until: datetime | None) -> None:
    """Whatever else stands against a number that lives, that is told of first; and until when, if ever."""
    answer = stopped(Subject((), OFTEN, Unwanted(7, "key_press", until)), RULES, NOON)
    assert answer is not None
    assert answer.filter is Filter.DO_NOT_CALL
    assert answer.denied == Denied(Reason.DO_NOT_CALL, until, "key_press")


@pytest.mark.parametrize(
    ("limits", "until"),
    [
        (Limits(per_day=3), None),
        (Limits(per_day=1), NOON + timedelta(hours=22)),
        (Limits(per_week=1), NOON + timedelta(days=7) - timedelta(hours=2)),
    ],
)
def test_a_campaign_may_be_stricter_than_its_policy(limits: Limits, until: datetime | None) -> None:
    """Both limits hold, and the later of the times counts; a laxer one of the campaign changes nothing."""
    answer = stopped(Subject(("UTC",), OFTEN[-1:]), replace(RULES, limits=limits, mode="manual"), NOON)
    assert (answer.denied.until if answer and answer.denied else None) == until


def test_a_full_quota_is_asked_last() -> None:
    """It says which, and until it is raised there is no time to name."""
    answer = stopped(Subject(("UTC",), full="city = Moscow"), RULES, NOON)
    assert answer is not None
    assert answer.filter is list(Filter)[-1] is Filter.QUOTA
    assert answer.denied == Denied(Reason.QUOTA_FULL, None, "city = Moscow")


def test_a_lead_can_wait_for_every_filter() -> None:
    """What a filter puts off rests under its name, and the database knows all the names. A dead number closes
    its lead, a mode stops its campaign: nothing rests under these."""
    assert {str(each) for each in Filter} - {str(each) for each in Hold} == {"number", "mode"}
    assert [str(each) for each in Hold] == list(LEAD_HOLDS)


def test_a_call_needs_a_consent_where_the_policy_asks_for_one() -> None:
    """For the campaign's purpose; a consent that begins later says when, and who has none waits for one."""
    rules = replace(RULES, policy=replace(RULES.policy, asks_consent=True), purpose=Purpose.ADVERTISING)
    agreed = Consent(1, Purpose.ADVERTISING, "form", "", NOON - timedelta(days=1), None)
    later = replace(agreed, valid_from=NOON + timedelta(days=1))
    for consents, until in (
        ((), None),
        ((later,), later.valid_from),
        ((replace(agreed, purpose=Purpose.SURVEY),), None),
    ):
        said = stopped(Subject(("UTC",), consents=consents), rules, NOON)
        assert said is not None
        assert said.filter is Filter.CONSENT
        assert said.denied is not None
        assert (said.denied.reason, said.denied.until) == (Reason.NO_CONSENT, until)
    assert stopped(Subject(("UTC",), consents=(agreed,)), rules, NOON) is None
    assert stopped(Subject(("UTC",)), RULES, NOON) is None
    assert evidence(Subject(("UTC",), consents=(agreed,)), rules, NOON)["consent"] == {"id": 1, "until": None}


def test_after_a_refusal_there_is_silence() -> None:
    """As long as the policy asks for, whoever would start the call."""
    silent = replace(RULES, policy=replace(RULES.policy, redial_after_refusal_s=60 * 86400), mode="manual")
    refused = Tried(NOON - timedelta(days=9), "answered", NOON, refused_at=NOON - timedelta(days=9))
    answer = stopped(Subject(("UTC",), [refused]), silent, NOON)
    assert answer == Answer(Filter.REDIAL, Denied(Reason.AFTER_REFUSAL, NOON + timedelta(days=51)))
    assert stopped(Subject(("UTC",), [refused]), RULES, NOON) is None
