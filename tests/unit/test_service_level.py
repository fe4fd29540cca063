"""Counts and figures of queues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.queues.service_level import (
    FORMULAE,
    Counts,
    Ended,
    Interval,
    Stay,
    Target,
    Variant,
    by_interval,
    containment,
    count,
    interval_start,
    service_level,
)

CAME = datetime(2026, 3, 2, 12, 7, 30, tzinfo=UTC)
TARGET = Target(target_s=20, short_abandon_s=5)


def stay(ended: Ended, wait_s: float, queue_id: int = 1, at: datetime = CAME) -> Stay:
    """A stay of that length that came to that."""
    until = at + timedelta(seconds=wait_s)
    answered = until if ended is Ended.ANSWERED else None
    return Stay(queue_id, at, answered, None if answered or ended is Ended.WAITING else until, ended)


def counted(*stays: Stay, now: datetime = CAME + timedelta(hours=1)) -> Counts:
    """All of them together."""
    found = Counts()
    for one in stays:
        found += count(one, TARGET, now)
    return found


#: The example of ICMI's text: 1,000 answered, 860 of them within 20 s; 60 abandoned, 20 within 20 s, 10 in 5.
ICMI = Counts(
    offered=1060, answered=1000, answered_within=860, abandoned=60, abandoned_within=20, short_abandoned=10
)


@pytest.mark.parametrize(
    ("variant", "percent"),
    [
        (Variant.ICMI_1, 83),
        (Variant.ICMI_2, 86),
        (Variant.ICMI_3, 81),
        (Variant.ICMI_4, 83),
        (Variant.ICMI_5, 82),
        (Variant.A_E, 81),
        (Variant.GENESYS, 82),
    ],
)
def test_the_published_example_comes_out(variant: Variant, percent: int) -> None:
    """Each of ICMI's formulae gives what their text gives for their numbers."""
    found = service_level(ICMI, variant)
    assert found is not None
    assert round(100 * found) == percent


def test_every_variant_has_its_formula_and_source() -> None:
    """None is without both; the default is the first."""
    assert list(FORMULAE) == list(Variant)
    assert next(iter(FORMULAE)) is Variant.A_E
    assert all(one.text and one.source for one in FORMULAE.values())


@pytest.mark.parametrize("variant", list(Variant))
def test_nothing_is_no_share(variant: Variant) -> None:
    """Where nobody came there is no service level: neither 0 nor 100 %."""
    assert service_level(Counts(), variant) is None
    assert Counts().asa_s is None
    assert Counts().abandon_share is None


def test_each_end_is_counted_as_what_it_is() -> None:
    """Answered and abandoned, early and late; who went on, left a message, asked for a call, waits."""
    found = counted(
        stay(Ended.ANSWERED, 4),
        stay(Ended.ANSWERED, 20),
        stay(Ended.ANSWERED, 21),
        stay(Ended.ABANDONED, 4.9),
        stay(Ended.ABANDONED, 5),
        stay(Ended.ABANDONED, 60),
        stay(Ended.OVERFLOWED, 120),
        stay(Ended.VOICEMAIL, 90),
        stay(Ended.CALLBACK, 30),
    )
    assert (found.offered, found.answered, found.answered_within) == (9, 3, 2)
    assert (found.abandoned, found.abandoned_within, found.short_abandoned) == (3, 2, 1)
    assert (found.overflowed, found.voicemails, found.callbacks, found.waiting) == (1, 1, 1, 0)
    assert found.asa_s == pytest.approx(15)
    assert found.longest_wait_s == 120
    assert found.abandon_share == pytest.approx(3 / 9)
    assert service_level(found) == pytest.approx(2 / 9)


def test_who_still_waits_is_undecided_until_the_target_has_passed() -> None:
    """Within T a caller may still be answered in time; after it they were not, and count."""
    waits = stay(Ended.WAITING, 0)
    early = counted(waits, stay(Ended.ANSWERED, 3), now=CAME + timedelta(seconds=20))
    assert (early.waiting, early.undecided, service_level(early)) == (1, 1, 1.0)
    late = counted(waits, stay(Ended.ANSWERED, 3), now=CAME + timedelta(seconds=21))
    assert (late.waiting, late.undecided, service_level(late), late.longest_wait_s) == (1, 0, 0.5, 21)


def test_counts_add_up_and_the_longest_wait_is_the_longer() -> None:
    """Two intervals together give what both give counted at once."""
    one = [stay(Ended.ANSWERED, 3), stay(Ended.ABANDONED, 50)]
    two = [stay(Ended.ANSWERED, 31), stay(Ended.WAITING, 0)]
    assert counted(*one) + counted(*two) == counted(*one, *two)
    assert (counted(*one) + Counts()).longest_wait_s == 50


ends = st.sampled_from(list(Ended))
stays = st.lists(st.builds(stay, ends, st.floats(0, 600), st.integers(1, 3)), max_size=30)


@given(stays)
def test_shares_lie_between_nothing_and_all(some: list[Stay]) -> None:
    """Every variant gives a share, every stay counts once, and a stricter one is never above a milder one."""
    found = counted(*some)
    levels = {variant: service_level(found, variant) for variant in Variant}
    assert all(level is None or 0 <= level <= 1 for level in levels.values())
    decided = found.answered + found.abandoned + found.overflowed + found.voicemails + found.callbacks
    assert decided + found.waiting == found.offered == len(some)
    strict, mild, milder = levels[Variant.ICMI_3], levels[Variant.ICMI_5], levels[Variant.ICMI_1]
    if strict is not None and mild is not None and milder is not None:
        assert strict <= mild <= milder


def test_figures_go_by_queue_and_interval() -> None:
    """A caller counts where and when they came, with that queue's target."""
    now = CAME + timedelta(hours=2)
    later = CAME + timedelta(minutes=10)
    found = by_interval(
        [stay(Ended.ANSWERED, 30), stay(Ended.ANSWERED, 30, 2), stay(Ended.ABANDONED, 1, 1, later)],
        {2: Target(target_s=40)},
        now,
        interval=Interval.QUARTER,
    )
    quarter, next_one = CAME.replace(minute=0, second=0), CAME.replace(minute=15, second=0)
    assert {key: (one.offered, one.answered_within) for key, one in found.items()} == {
        (1, quarter): (1, 0),
        (2, quarter): (1, 1),
        (1, next_one): (1, 0),
    }


@pytest.mark.parametrize(
    ("at", "zone", "interval", "begins"),
    [
        ("2026-03-02T12:59:59Z", "Europe/Moscow", Interval.HALF_HOUR, "2026-03-02T12:30:00Z"),
        ("2026-03-01T22:30:00Z", "Europe/Moscow", Interval.DAY, "2026-03-01T21:00:00Z"),
        # A clock that is half an hour off: its hours begin at half past.
        ("2026-03-02T12:15:00Z", "Asia/Kolkata", Interval.HOUR, "2026-03-02T11:30:00Z"),
        # The hour that comes twice in Berlin: each time is an hour of its own, the day is one of 25.
        ("2026-10-25T00:40:00Z", "Europe/Berlin", Interval.HOUR, "2026-10-25T00:00:00Z"),
        ("2026-10-25T01:40:00Z", "Europe/Berlin", Interval.HOUR, "2026-10-25T01:00:00Z"),
        ("2026-10-25T22:59:00Z", "Europe/Berlin", Interval.DAY, "2026-10-24T22:00:00Z"),
    ],
)
def test_intervals_begin_by_the_clock_on_the_wall(
    at: str, zone: str, interval: Interval, begins: str
) -> None:
    """Quarters, hours and days are those of the centre's own clock."""
    found = interval_start(datetime.fromisoformat(at), interval, ZoneInfo(zone))
    assert found == datetime.fromisoformat(begins)


def test_containment_is_of_all_who_entered_the_flow() -> None:
    """Served by the flow among all who came in; what failed on our side is left out."""
    results = {"contained": 30, "answered": 50, "abandoned": 10, "left": 10, "failed": 7, "unknown": 3}
    assert containment(results) == pytest.approx(0.3)
    assert containment({"failed": 1}) is None
