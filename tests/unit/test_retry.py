"""When a number may be tried again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.compliance.policy import Hours
from dialer.db.tables import DISPOSITION_KINDS, RESULTS
from scheduler.holds import Hold
from scheduler.retry import (
    PARTS,
    Again,
    Close,
    Phone,
    Retries,
    Tries,
    Wait,
    after,
    after_talk,
    part_of,
    retries_of,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TOMORROW = NOW + timedelta(days=1)


def in_s(seconds: int) -> Again:
    """Again after so many seconds."""
    return Again(NOW + timedelta(seconds=seconds))


def rules(own: Mapping[str, int] | None = None, **more: Any) -> Retries:
    """Three attempts at most, with delays of the campaign's own."""
    return Retries(3, {name: Wait(after_s) for name, after_s in (own or {}).items()}, **more)


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
    assert after(result, Tries(attempts), rules(own), NOW) == fate


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
    assert fate == after(result, Tries(attempts), rules(), NOW, trunk_faults=faults, unrung=unrung)


@pytest.mark.parametrize(
    ("own", "fate"), [(-1, Close("congestion")), (90, Again(NOW + timedelta(seconds=90), spared=True))]
)
def test_what_a_campaign_says_of_a_result_is_obeyed(own: int, fate: Again | Close) -> None:
    """Also where the carrier was at fault."""
    assert after("congestion", Tries(1), rules({"congestion": own}), NOW, trunk_faults=1) == fate


def test_what_nobody_saw_is_not_dialled_again_by_default() -> None:
    """Of all results only those with a delay of their own are tried again."""
    closed = {result for result in RESULTS if isinstance(after(result, Tries(1), rules(), NOW), Close)}
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
    assert after_talk("code", kind, Tries(attempts), rules(), NOW, callback_at) == fate


def test_every_kind_of_disposition_has_a_fate() -> None:
    """No kind of disposition leaves a lead without a rule."""
    for kind in DISPOSITION_KINDS:
        assert after_talk("code", kind, Tries(1), rules(), NOW)


@pytest.mark.parametrize(
    ("own", "delay_s"),
    [({}, 7200), ({"no_answer": 600}, 600), ({"no_answer": -1}, 7200), ({"canceled": 30}, 30)],
)
def test_a_call_that_pacing_took_back_costs_no_attempt(own: dict[str, int], delay_s: int) -> None:
    """Its phone has rung, so it waits as after no answer; it never closes a lead for want of attempts."""
    fate = after("canceled", Tries(3), rules(own), NOW, taken_back=True)
    assert fate == Again(NOW + timedelta(seconds=delay_s), spared=True)


# -- growing waits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 900), (2, 1800), (3, 3600), (4, 7200), (5, 7200), (100, 7200), (0, 900)]
)
def test_a_wait_grows_to_its_limit(attempt: int, seconds: int) -> None:
    """The first wait is the rule's own, each further one so many times as long, up to the limit."""
    wait = Wait(900, factor=2.0, most_s=7200)
    assert wait.delay(attempt) == timedelta(seconds=seconds)
    fate = after("busy", Tries(attempt), Retries(1000, {"busy": wait}), NOW)
    assert fate == Again(NOW + timedelta(seconds=seconds))


# -- another part of the day -------------------------------------------------------------------------------

MOSCOW = ZoneInfo("Europe/Moscow")


def local(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of March 2026 in Moscow."""
    return datetime(2026, 3, day, hour, minute, tzinfo=MOSCOW)


@pytest.mark.parametrize(
    ("tried", "now", "window", "at"),
    [
        # The morning was tried: two hours later it is noon, and that is another part.
        ([local(2, 10)], local(2, 10, 30), (9, 21), local(2, 12, 30)),
        # Two hours later it is still morning: the day begins at noon.
        ([local(2, 9)], local(2, 9, 30), (9, 21), local(2, 12)),
        # Morning and day were tried: the evening is left.
        ([local(2, 9), local(2, 13)], local(2, 13, 30), (9, 21), local(2, 17)),
        # In the evening it goes on in the morning, when calling begins.
        ([local(2, 18)], local(2, 18, 30), (9, 21), local(3, 9)),
        # Nobody calls in the evening: what is left is the morning.
        ([local(2, 13)], local(2, 13, 30), (9, 17), local(3, 9)),
        # All was tried: it waits as it would anyway.
        ([local(1, 10), local(1, 14), local(1, 19)], local(2, 9), (9, 21), local(2, 11)),
        # Two hours later it is night, which is no part of the day.
        ([local(2, 13), local(2, 18), local(2, 22)], local(2, 22, 30), (0, 24), local(3, 6)),
    ],
)
def test_another_part_of_the_day(
    tried: list[datetime], now: datetime, window: tuple[int, int], at: datetime
) -> None:
    """After the wait, at the earliest in a part of the person's day in which they were not tried yet."""
    wait = Wait(2 * 3600, other_part=True)
    own = Retries(10, {"no_answer": wait}, window=Hours(window[0] * 60, window[1] * 60))
    found = after("no_answer", Tries(len(tried), tried, MOSCOW), own, now)
    assert found == Again(at)


@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - made aware below
    ago_h=st.lists(st.integers(1, 200), max_size=5),
    zone=st.sampled_from(["Europe/Moscow", "Asia/Kamchatka", "America/New_York", "Europe/Berlin"]),
    opens=st.integers(0, 22),
    hours=st.integers(1, 24),
)
def test_another_part_is_one_where_there_is_one(
    now: datetime, ago_h: list[int], zone: str, opens: int, hours: int
) -> None:
    """Never before the wait is over; in a part that was not tried, within the campaign's hours, where the
    hours reach into such a part."""
    at, place = now.replace(tzinfo=UTC), ZoneInfo(zone)
    tried = [at - timedelta(hours=each) for each in ago_h]
    window = Hours(opens * 60, min(24, opens + hours) * 60)
    own = Retries(10, {"busy": Wait(3600, other_part=True)}, window=window)
    found = after("busy", Tries(1, tried, place), own, at)
    assert isinstance(found, Again)
    assert timedelta(hours=1) <= found.at - at <= timedelta(hours=50)
    were = {part_of(each, place) for each in tried}
    left = [name for name, part in PARTS.items() if name not in were and part.common(window)]
    if left:
        assert part_of(found.at, place) in left
        # A clock that is turned in the night moves it by an hour at most.
        here = found.at.astimezone(place)
        assert window.opens - 60 <= here.hour * 60 + here.minute < window.closes + 60
    else:
        assert found.at == at + timedelta(hours=1)


# -- the next number ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after_s", "before", "behind", "fate"),
    [
        (3600, 0, 2, Again(NOW + timedelta(seconds=60), phone=Phone.NEXT)),
        (3600, 2, 0, Again(NOW + timedelta(hours=1), phone=Phone.FIRST)),
        (3600, 0, 0, Again(NOW + timedelta(hours=1))),
        (-1, 0, 1, Again(NOW + timedelta(seconds=60), phone=Phone.NEXT)),
        (-1, 1, 0, Close("no_answer")),
    ],
)
def test_the_next_number_of_a_person(after_s: int, before: int, behind: int, fate: Again | Close) -> None:
    """Soon the next number; after the last one the usual wait and the first again, or the end."""
    own = Retries(9, {"no_answer": Wait(after_s, next_phone_s=60)})
    tries = Tries(1, phones_before=before, phones_after=behind)
    assert after("no_answer", tries, own, NOW) == fate


def test_all_numbers_of_a_person_share_the_attempts() -> None:
    """The next number is not tried when as many attempts were made as may be."""
    own = Retries(2, {"no_answer": Wait(3600, next_phone_s=60)})
    assert after("no_answer", Tries(2, phones_after=3), own, NOW) == Close("max_attempts")


# -- dispositions ------------------------------------------------------------------------------------------


def test_a_disposition_goes_by_its_own_rule() -> None:
    """The campaign's rule for a code counts before the default of its kind; who asked not to be called is
    not, whatever the rule says."""
    own = Retries(3, dispositions={"wrong": Wait(-1, next_phone_s=5), "stop": Wait(60), "later": Wait(60)})
    assert after_talk("wrong", "wrong_person", Tries(1, phones_after=1), own, NOW) == Again(
        NOW + timedelta(seconds=5), phone=Phone.NEXT
    )
    assert after_talk("wrong", "wrong_person", Tries(1), own, NOW) == Close("wrong_person")
    assert after_talk("later", "other", Tries(1), own, NOW) == in_s(60)
    assert after_talk("stop", "do_not_call", Tries(1), own, NOW) == Close("do_not_call")


def test_rules_are_read_as_they_are_kept() -> None:
    """What a campaign's row has; nothing of it goes by the defaults."""
    kept = {"results": {"busy": {"after_s": 5, "factor": 2.0}}, "dispositions": {"x": {"after_s": -1}}}
    read = retries_of(kept, 4, "09:00", "18:00")
    assert read == Retries(4, {"busy": Wait(5, 2.0)}, {"x": Wait(-1)}, Hours.parse("09:00", "18:00"))
    assert retries_of({}, 3) == Retries(3)
