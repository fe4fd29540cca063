"""Choosing a trunk, keeping its calls a second, and building a dial string that can call only one number."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.errors import BadNumber, UnsafeValue
from dialer.trunks.model import IDLE, Load, Refusal, Refused, Trunk, choose, dial_string, lines_left

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
FIRST = Trunk(1, "first", "carrier-a", "+74950000001", 2, 4.0, ("+7",))
SECOND = Trunk(2, "second", "carrier-b", "+74950000002", 10, 4.0, ("+7", "+375"))
RUSSIA, BELARUS, US = "+79161234567", "+375291234567", "+12025550123"


@pytest.mark.parametrize(
    ("number", "loads", "chosen"),
    [
        (RUSSIA, {}, 1),
        (RUSSIA, {1: Load(channels=1)}, 1),
        (RUSSIA, {1: Load(channels=2)}, 2),
        (RUSSIA, {1: Load(reachable=False)}, 2),
        (BELARUS, {}, 2),
        (RUSSIA, {1: Load(tokens=0.5, filled_at=NOW)}, 2),
    ],
)
def test_the_first_trunk_that_can_takes_the_call(number: str, loads: dict[int, Load], chosen: int) -> None:
    """The order is kept; a full, unreachable, forbidden or hurried trunk gives the call to the next."""
    trunk = choose([FIRST, SECOND], loads, number, NOW)
    assert isinstance(trunk, Trunk)
    assert trunk.id == chosen


@pytest.mark.parametrize(
    ("trunks", "number", "loads", "reason"),
    [
        ([], RUSSIA, {}, Refusal.NO_TRUNK),
        ([replace(FIRST, enabled=False)], RUSSIA, {}, Refusal.NO_TRUNK),
        ([FIRST, SECOND], US, {}, Refusal.PREFIX),
        ([replace(FIRST, allowed_prefixes=())], RUSSIA, {}, Refusal.PREFIX),
        ([FIRST], "79161234567", {}, Refusal.PREFIX),
        ([FIRST], RUSSIA, {1: Load(reachable=False)}, Refusal.UNREACHABLE),
        ([FIRST], RUSSIA, {1: Load(channels=2)}, Refusal.CHANNELS),
        # The second could take it as soon as a channel is free: that is the reason worth telling.
        ([FIRST, SECOND], BELARUS, {2: Load(channels=10)}, Refusal.CHANNELS),
    ],
)
def test_a_refusal_says_what_stands_in_the_way(
    trunks: list[Trunk], number: str, loads: dict[int, Load], reason: Refusal
) -> None:
    """The reason is that of the trunk that came nearest to taking the call."""
    assert choose(trunks, loads, number, NOW) == Refused(reason)


def test_a_hurried_trunk_says_when_to_come_back() -> None:
    """4 calls a second: with half a token the next call may go in an eighth of a second."""
    loads = {1: Load(tokens=0.5, filled_at=NOW), 2: Load(tokens=0.0, filled_at=NOW)}
    assert choose([SECOND, FIRST], loads, RUSSIA, NOW) == Refused(
        Refusal.RATE, NOW + timedelta(milliseconds=125)
    )
    assert choose([FIRST], loads, RUSSIA, NOW + timedelta(milliseconds=125)) == FIRST


def test_a_clock_that_is_set_back_gives_no_calls() -> None:
    """Going back an hour neither fills the bucket nor empties it."""
    load = Load(tokens=0.5, filled_at=NOW)
    assert load.tokens_at(FIRST, NOW - timedelta(hours=1)) == 0.5


@given(
    cps=st.floats(0.2, 50),
    gaps_ms=st.lists(st.integers(0, 400), min_size=1, max_size=200),
)
def test_calls_a_second_are_kept_over_every_span(cps: float, gaps_ms: list[int]) -> None:
    """However the questions come, no span of time holds more calls than the burst and the rate allow."""
    trunk = replace(FIRST, max_channels=10_000, max_cps=cps)
    load, now, placed = IDLE, NOW, []
    for gap in gaps_ms:
        now += timedelta(milliseconds=gap)
        while choose([trunk], {1: load}, RUSSIA, now) == trunk:
            load = load.placed(trunk, now)
            placed.append(now)
    for first in range(len(placed)):
        for last in range(first, len(placed)):
            span_s = (placed[last] - placed[first]).total_seconds()
            assert last - first + 1 <= trunk.burst + cps * span_s + 1e-6


def test_channels_are_counted_up_and_down() -> None:
    """A call placed holds a channel until it is released, and never less than none are held."""
    assert IDLE.placed(FIRST, NOW).channels == 1
    assert IDLE.placed(FIRST, NOW).released().channels == 0
    assert IDLE.released().channels == 0
    off, away = replace(SECOND, id=3, enabled=False), replace(SECOND, id=4)
    loads = {1: Load(channels=5), 2: Load(channels=4), 4: Load(reachable=False)}
    assert lines_left([FIRST, SECOND, off, away], loads) == 6


@pytest.mark.parametrize(
    ("form", "string"),
    [
        ("{e164}", "PJSIP/+79161234567@carrier-a"),
        ("{digits}", "PJSIP/79161234567@carrier-a"),
        ("810{digits}", "PJSIP/81079161234567@carrier-a"),
    ],
)
def test_a_number_is_dialled_in_the_carriers_form(form: str, string: str) -> None:
    """With its plus, without it, or behind the carrier's own digits."""
    assert dial_string(replace(FIRST, dial_format=form), RUSSIA) == string


@pytest.mark.parametrize(
    "number",
    [
        "79161234567",
        "+7",
        "+0916",
        "+7916123456789012",
        "+7916&SIP/8",
        "+7916\n",
        "+٧٩١٦",
        "+7 916",
        "+79,1",
        "",
    ],
)
def test_what_is_not_a_number_is_never_dialled(number: str) -> None:
    """No second number, no argument, no foreign digits, no line end."""
    with pytest.raises(BadNumber):
        dial_string(FIRST, number)


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "a&PJSIP/evil"},
        {"endpoint": "a,b"},
        {"endpoint": "a|b"},
        {"endpoint": "a@b"},
        {"endpoint": "a/b"},
        {"endpoint": "a\n"},
        {"endpoint": ""},
        {"dial_format": "{e164}&PJSIP/112@a"},
        {"dial_format": "{e164.__class__}"},
        {"dial_format": "112"},
        {"dial_format": "{e164}{digits}"},
    ],
)
def test_a_trunk_cannot_smuggle_a_command_into_the_dial_string(change: dict[str, str]) -> None:
    """Checked again where the string is built, whoever wrote the row."""
    with pytest.raises(UnsafeValue):
        dial_string(replace(FIRST, **change), RUSSIA)  # type: ignore[arg-type]


@given(endpoint=st.text(max_size=12), form=st.text(max_size=16), number=st.text(max_size=18))
def test_every_dial_string_has_one_plain_form(endpoint: str, form: str, number: str) -> None:
    """Whatever comes in, what goes out is one number at one endpoint, or nothing."""
    try:
        string = dial_string(replace(FIRST, endpoint=endpoint, dial_format=form), number)
    except (BadNumber, UnsafeValue):
        return
    assert re.fullmatch(r"PJSIP/\+?[0-9]{3,23}@[A-Za-z0-9_-]+", string)
