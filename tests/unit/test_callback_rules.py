"""When a promised call is due, whose it is, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.callbacks import (
    LATE,
    Away,
    Promise,
    Stage,
    State,
    Terms,
    after_try,
    cautious,
    local,
    open_at,
    skipped,
    stage,
)
from scheduler.holds import Hold
from scheduler.retry import Again, Close

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
USUAL = Again(NOW + timedelta(hours=2))


def promise(**changes: object) -> Promise:
    """One that was due ten minutes ago, with an agent of its own."""
    made = Promise(1, 7, NOW - 10 * MINUTE, None, NOW - 10 * MINUTE, Away.ANYONE, 0, Terms())
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("agent_id", "away", "after"),
    [(None, Away.WAIT, 0), (7, Away.ANYONE, 600), (7, Away.WAIT, None), (7, Away.SUPERVISOR, None)],
)
def test_who_may_have_it(agent_id: int | None, away: Away, after: int | None) -> None:
    """What nobody in particular has promised is anyone's at once; else after the wait, or never."""
    expected = None if after is None else NOW + timedelta(seconds=after)
    assert open_at(agent_id, NOW, away, 600) == expected


@pytest.mark.parametrize(
    ("until", "minutes", "shown"),
    [
        (None, -1, Stage.WAITING),
        (None, 0, Stage.DUE),
        (None, 4, Stage.DUE),
        (None, 5, Stage.LATE),
        (30 * MINUTE, 29, Stage.DUE),
        (30 * MINUTE, 30, Stage.LATE),
    ],
)
def test_a_waiting_one_is_due_and_then_late(until: timedelta | None, minutes: int, shown: Stage) -> None:
    """A moment is kept to five minutes, a window to its end."""
    ends = None if until is None else NOW + until
    assert stage(State.WAITING, ends, NOW, NOW + minutes * MINUTE) is shown
    assert stage(State.DONE, ends, NOW, NOW + minutes * MINUTE) is Stage.DONE
    assert LATE == 5 * MINUTE


def test_a_talk_keeps_the_promise() -> None:
    """The lead goes by what the talk came to."""
    outcome, fate = after_try(promise(), "answered", Close("answered"), NOW, NOW)
    assert (outcome.state, outcome.tries, fate) == (State.DONE, 1, Close("answered"))


def test_what_nobody_answers_is_tried_again_and_then_missed() -> None:
    """As often as the campaign says, so long after the last; then the lead is one of its list again."""
    one = promise()
    for tries in (1, 2):
        outcome, fate = after_try(one, "no_answer", USUAL, NOW - MINUTE, NOW)
        assert (outcome.state, outcome.tries, outcome.due_at) == (State.WAITING, tries, NOW + 10 * MINUTE)
        assert outcome.open_at == NOW + 20 * MINUTE
        assert fate == Again(NOW + 10 * MINUTE, hold=Hold.CALLBACK)
        one = replace(one, tries=tries)
    outcome, fate = after_try(one, "busy", USUAL, NOW - MINUTE, NOW)
    assert (outcome.state, outcome.tries, outcome.reason, fate) == (State.MISSED, 3, "busy", USUAL)


def test_after_the_window_nobody_is_called_again() -> None:
    """Who said "until half past" is not rung at a quarter to."""
    ends = promise(until_at=NOW + 9 * MINUTE)
    assert after_try(ends, "no_answer", USUAL, NOW - MINUTE, NOW)[0].state is State.MISSED
    ends = promise(until_at=NOW + 10 * MINUTE)
    assert after_try(ends, "no_answer", USUAL, NOW - MINUTE, NOW)[0].state is State.WAITING


@pytest.mark.parametrize("result", ["invalid", "unknown"])
def test_some_results_are_the_end(result: str) -> None:
    """Nobody is there, or nobody knows whether somebody was called."""
    outcome, fate = after_try(promise(), result, Close(result), NOW, NOW)
    assert (outcome.state, outcome.reason, fate) == (State.MISSED, result, Close(result))


def test_who_asks_not_to_be_called_is_promised_nothing() -> None:
    """Said while the phone rang."""
    outcome, fate = after_try(promise(), "canceled", Close("do_not_call"), NOW, NOW)
    assert (outcome.state, outcome.reason, fate) == (State.CANCELED, "do_not_call", Close("do_not_call"))


def test_a_spared_attempt_is_none() -> None:
    """What the carrier failed is made up for as the retry rule says, after the end of the window too."""
    soon = Again(NOW + timedelta(seconds=5), spared=True)
    late = promise(tries=2, until_at=NOW - MINUTE)
    outcome, fate = after_try(late, "congestion", soon, NOW, NOW)
    assert (outcome.state, outcome.tries, outcome.due_at) == (State.WAITING, 2, soon.at)
    assert fate == replace(soon, hold=Hold.CALLBACK)


def test_a_call_before_the_time_does_not_use_a_try_up() -> None:
    """An agent who dials the lead by hand in the morning leaves the call of the afternoon as it was."""
    later = promise(due_at=NOW + timedelta(hours=3), tries=2)
    outcome, _ = after_try(later, "no_answer", USUAL, NOW - MINUTE, NOW)
    assert (outcome.state, outcome.tries, outcome.due_at) == (State.WAITING, 2, later.due_at)


results = st.sampled_from(["busy", "no_answer", "machine", "abandoned", "canceled", "failed", "answered"])


@given(
    results=st.lists(results, min_size=1, max_size=40),
    tries=st.integers(1, 5),
    retry_s=st.integers(30, 3600),
    window=st.none() | st.integers(1, 600),
    away=st.sampled_from(list(Away)),
)
def test_a_promise_is_never_forgotten(
    results: list[str], tries: int, retry_s: int, window: int | None, away: Away
) -> None:
    """Whatever its attempts come to, one that is open waits for a time to come at which its lead rests for
    it, and one that is over says why; it is tried no more often than the campaign says."""
    terms = Terms(away, 600, tries, retry_s)
    until = None if window is None else NOW + window * MINUTE
    one, at = Promise(1, 7, NOW, until, NOW, away, 0, terms), NOW
    for result in results:
        outcome, fate = after_try(one, result, USUAL, at, at + MINUTE)
        assert outcome.tries <= tries
        if not outcome.state.open:
            assert outcome.reason == result
            assert fate == USUAL
            break
        assert outcome.state is State.WAITING
        assert at + MINUTE < outcome.due_at <= at + MINUTE + timedelta(seconds=retry_s)
        assert isinstance(fate, Again)
        assert (fate.at, fate.hold) == (outcome.due_at, Hold.CALLBACK)
        one, at = replace(one, tries=outcome.tries, due_at=outcome.due_at), outcome.due_at
    else:
        assert len(results) < tries


RUSSIA = ("Europe/Kaliningrad", "Europe/Moscow", "Asia/Yekaterinburg", "Asia/Kamchatka")


@given(
    zones=st.lists(st.sampled_from(RUSSIA), min_size=1, max_size=4, unique=True),
    minutes=st.integers(0, 10**6),
)
def test_the_cautious_zone_is_never_before_the_promise(zones: list[str], minutes: int) -> None:
    """Read by that zone, a clock has shown the promised time in every place where the person may be."""
    reading = datetime(2026, 1, 1) + timedelta(minutes=minutes)  # noqa: DTZ001 - a clock's reading
    at = local(reading, cautious(zones, reading.replace(tzinfo=UTC)))
    assert all(at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) >= reading for zone in zones)


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ("2026-10-25T02:30", "2026-10-25T01:30"),  # comes twice: the second one
        ("2026-03-29T02:30", "2026-03-29T01:30"),  # comes never: after the gap
        ("2026-07-01T12:00", "2026-07-01T10:00"),
    ],
)
def test_a_reading_where_clocks_are_turned_is_the_later_one(reading: str, expected: str) -> None:
    """The call is not before what was promised."""
    assert local(datetime.fromisoformat(reading), "Europe/Berlin").isoformat()[:16] == expected


@pytest.mark.parametrize(
    ("reading", "never"), [("01:59", False), ("02:00", True), ("02:59", True), ("03:00", False)]
)
def test_a_reading_that_no_clock_shows(reading: str, never: bool) -> None:
    """The night in which clocks are put forward; one that comes twice is shown."""
    assert skipped(datetime.fromisoformat(f"2027-03-28T{reading}"), "Europe/Berlin") is never
    assert not skipped(datetime.fromisoformat(f"2027-10-31T{reading}"), "Europe/Berlin")


def test_nothing_known_is_read_by_utc() -> None:
    """A person of whom no zone is known is refused later, by the calendar."""
    assert cautious([], NOW) == "UTC"
