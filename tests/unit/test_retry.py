"""When a number may be tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dialer.db.tables import DISPOSITION_KINDS, RESULTS
from scheduler.holds import Hold
from scheduler.retry import Again, Close, after, after_talk

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TOMORROW = NOW + timedelta(days=1)


def in_s(seconds: int) -> Again:
    """Again after so many seconds."""
    return Again(NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("result", "attempts", "own", "fate"),
    [
        ("busy", 1, {}, in_s(900)),
        ("busy", 3, {}, Close("max_attempts")),
        ("busy", 1, {"busy": 60}, in_s(60)),
        ("busy", 1, {"busy": 0}, in_s(0)),
        ("busy", 1, {"busy": -1}, Close("busy")),
        ("busy", 1, {"no_answer": 60}, in_s(900)),
        ("no_answer", 2, {}, in_s(7200)),
        ("abandoned", 1, {}, in_s(72 * 3600)),
        ("answered", 1, {}, Close("answered")),
        ("answered", 1, {"answered": 3600}, in_s(3600)),
        ("invalid", 1, {}, Close("invalid")),
        ("unknown", 1, {}, Close("unknown")),
        ("canceled", 9, {}, in_s(60)),
    ],
)
def test_after_an_attempt(result: str, attempts: int, own: dict[str, int], fate: Again | Close) -> None:
    """The campaign's delay counts before the default; a result without one closes the lead; what was taken
    back by us costs no attempt."""
    assert after(result, attempts, max_attempts=3, retry_after_s=own, now=NOW) == fate


@pytest.mark.parametrize(
    ("result", "attempts", "faults", "unrung", "fate"),
    [
        ("congestion", 1, 1, False, Again(NOW + timedelta(seconds=5), spared=True)),
        ("congestion", 3, 1, False, Again(NOW + timedelta(seconds=5), spared=True)),
        ("failed", 3, 3, False, Again(NOW + timedelta(seconds=60), spared=True)),
        ("no_answer", 3, 5, False, Again(NOW + timedelta(seconds=900), spared=True)),
        ("congestion", 1, 6, False, in_s(600)),
        ("congestion", 3, 6, False, Close("max_attempts")),
        ("canceled", 3, 0, True, Again(NOW + timedelta(seconds=60), spared=True)),
        ("canceled", 3, 0, False, in_s(60)),
    ],
)
def test_the_carriers_fault_is_not_the_numbers(
    result: str, attempts: int, faults: int, unrung: bool, fate: Again | Close
) -> None:
    """An attempt that the carrier failed, or that nobody has heard of, uses none up and is made up for soon;
    a number that no trunk reaches five times in an hour is counted all the same."""
    assert fate == after(
        result, attempts, max_attempts=3, retry_after_s={}, now=NOW, trunk_faults=faults, unrung=unrung
    )


@pytest.mark.parametrize(
    ("own", "fate"), [(-1, Close("congestion")), (90, Again(NOW + timedelta(seconds=90), spared=True))]
)
def test_what_a_campaign_says_of_a_result_is_obeyed(own: int, fate: Again | Close) -> None:
    """Also where the carrier was at fault."""
    found = after("congestion", 1, max_attempts=3, retry_after_s={"congestion": own}, now=NOW, trunk_faults=1)
    assert found == fate


def test_what_nobody_saw_is_not_dialled_again_by_default() -> None:
    """Of all results only those with a delay of their own are tried again."""
    closed = {
        result
        for result in RESULTS
        if isinstance(after(result, 1, max_attempts=3, retry_after_s={}, now=NOW), Close)
    }
    assert closed == {"answered", "invalid", "unknown"}


@pytest.mark.parametrize(
    ("kind", "attempts", "callback_at", "fate"),
    [
        ("callback", 1, TOMORROW, Again(TOMORROW, hold=Hold.CALLBACK)),
        ("callback", 9, TOMORROW, Again(TOMORROW, hold=Hold.CALLBACK)),
        ("callback", 9, None, in_s(24 * 3600)),
        ("no_contact", 1, None, in_s(4 * 3600)),
        ("no_contact", 3, None, Close("max_attempts")),
        *((kind, 1, None, Close(kind))
          for kind in ("sale", "refusal", "interest", "wrong_person", "do_not_call", "other")),
    ],
)  # fmt: skip
def test_after_a_talk(kind: str, attempts: int, callback_at: datetime | None, fate: Again | Close) -> None:
    """Who asked for a call gets it when they asked for it; who was not reached is tried again; else it is
    done."""
    assert after_talk(kind, attempts, max_attempts=3, callback_at=callback_at, now=NOW) == fate


def test_every_kind_of_disposition_has_a_fate() -> None:
    """No kind of disposition leaves a lead without a rule."""
    for kind in DISPOSITION_KINDS:
        assert after_talk(kind, 1, max_attempts=3, callback_at=None, now=NOW)


@pytest.mark.parametrize(
    ("own", "delay_s"),
    [({}, 7200), ({"no_answer": 600}, 600), ({"no_answer": -1}, 7200), ({"canceled": 30}, 30)],
)
def test_a_call_that_pacing_took_back_costs_no_attempt(own: dict[str, int], delay_s: int) -> None:
    """Its phone has rung, so it waits as after no answer; it never closes a lead for want of attempts."""
    fate = after("canceled", 3, max_attempts=3, retry_after_s=own, now=NOW, taken_back=True)
    assert fate == Again(NOW + timedelta(seconds=delay_s), spared=True)
