"""Choosing a trunk, keeping its calls a second, and building a dial string that can call only one number."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.errors import BadNumber, UnsafeValue
from dialer.trunks.caps import IDLE, Caps, Load, Rate, Refusal
from dialer.trunks.model import (
    Ask,
    Book,
    Choice,
    Refused,
    Trunk,
    choose,
    dial_string,
    lines_left,
    nearest,
    placed,
)

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
FIRST = Trunk(1, "first", "carrier-a", "+74950000001", 2, 4.0, ("+7",))
SECOND = Trunk(2, "second", "carrier-b", "+74950000002", 10, 4.0, ("+7", "+375"))
RUSSIA, BELARUS, US = "+79161234567", "+375291234567", "+12025550123"


def book(loads: dict[int, Load] | None = None, *, now: datetime = NOW, **more: Any) -> Book:
    """What is carried now."""
    return Book(now, now.date(), loads or {}, **more)


@pytest.mark.parametrize(
    ("number", "loads", "chosen"),
    [
        (RUSSIA, {}, 1),
        (RUSSIA, {1: Load(channels=1)}, 1),
        (RUSSIA, {1: Load(channels=2)}, 2),
        (RUSSIA, {1: Load(reachable=False)}, 2),
        (BELARUS, {}, 2),
        (RUSSIA, {1: Load(tokens=0.5, filled_at=NOW)}, 2),
        (RUSSIA, {1: Load(bad=True, probe_at=NOW + timedelta(seconds=1))}, 2),
        (RUSSIA, {1: Load(bad=True, probe_at=NOW)}, 1),
    ],
)
def test_the_first_trunk_that_can_takes_the_call(number: str, loads: dict[int, Load], chosen: int) -> None:
    """The order is kept; a full, unreachable, forbidden, hurried or bad trunk gives the call to the next, but
    for the call that tries a bad one."""
    choice = choose([FIRST, SECOND], book(loads), Ask(number))
    assert isinstance(choice, Choice)
    assert choice.trunk.id == chosen
    assert choice.probe is loads.get(chosen, IDLE).bad


@pytest.mark.parametrize(
    ("trunks", "number", "loads", "reason", "trunk_id"),
    [
        ([], RUSSIA, {}, Refusal.NO_TRUNK, None),
        ([replace(FIRST, enabled=False)], RUSSIA, {}, Refusal.NO_TRUNK, None),
        ([FIRST, SECOND], US, {}, Refusal.PREFIX, 1),
        ([replace(FIRST, allowed_prefixes=())], RUSSIA, {}, Refusal.PREFIX, 1),
        ([FIRST], "79161234567", {}, Refusal.PREFIX, 1),
        ([FIRST], RUSSIA, {1: Load(reachable=False)}, Refusal.UNREACHABLE, 1),
        ([FIRST], RUSSIA, {1: Load(channels=2)}, Refusal.CHANNELS, 1),
        ([FIRST], RUSSIA, {1: Load(bad=True, probe_at=NOW + timedelta(seconds=1))}, Refusal.BAD, 1),
        # The second could take it as soon as a channel is free: that is the reason worth telling.
        ([FIRST, SECOND], BELARUS, {2: Load(channels=10)}, Refusal.CHANNELS, 2),
    ],
)
def test_a_refusal_says_what_stands_in_the_way(
    trunks: list[Trunk], number: str, loads: dict[int, Load], reason: Refusal, trunk_id: int | None
) -> None:
    """The reason is that of the trunk that came nearest to taking the call."""
    assert choose(trunks, book(loads), Ask(number)) == Refused(reason, trunk_id=trunk_id)


def test_a_hurried_trunk_says_when_to_come_back() -> None:
    """4 calls a second: with half a token the next call may go in an eighth of a second."""
    loads = {1: Load(tokens=0.5, filled_at=NOW), 2: Load(tokens=0.0, filled_at=NOW)}
    soon = NOW + timedelta(milliseconds=125)
    assert choose([SECOND, FIRST], book(loads), Ask(RUSSIA)) == Refused(Refusal.RATE, soon, 1)
    assert isinstance(choose([FIRST], book(loads, now=soon), Ask(RUSSIA)), Choice)


def test_a_trunk_that_has_failed_the_lead_comes_last() -> None:
    """The next one gets the call; where there is no other it gets another chance."""
    for trunks, chosen in (([FIRST, SECOND], 2), ([FIRST], 1)):
        choice = choose(trunks, book(), Ask(RUSSIA, avoid=1))
        assert isinstance(choice, Choice)
        assert choice.trunk.id == chosen


@pytest.mark.parametrize(
    ("caps", "load", "rate", "reason"),
    [
        (Caps(max_spend=Decimal(100)), Load(spent=Decimal(95)), None, Refusal.NO_RATE),
        (Caps(max_spend=Decimal(100)), Load(spent=Decimal(95)), Rate(Decimal("2.6")), Refusal.TENANT_SPEND),
        (Caps(max_spend=Decimal(100)), Load(spent=Decimal(95)), Rate(Decimal("2.5")), None),
        (Caps(max_channels=3), Load(channels=3), None, Refusal.TENANT_CHANNELS),
        (Caps(max_channels=3), Load(channels=2), None, None),
        (Caps(max_cps=2), Load(tokens=0.2, filled_at=NOW), None, Refusal.TENANT_RATE),
        (Caps(), Load(channels=9999, spent=Decimal(9999)), None, None),
    ],
)
def test_a_tenants_caps_hold_over_all_its_trunks(
    caps: Caps, load: Load, rate: Rate | None, reason: Refusal | None
) -> None:
    """Money, calls at once and calls a second; where money is capped a tariff is needed, and two minutes
    of it are reserved."""
    answer = choose([FIRST, SECOND], book(caps=caps, load=load), Ask(RUSSIA), {1: rate, 2: rate})
    assert (answer.reason if isinstance(answer, Refused) else None) is reason


@pytest.mark.parametrize(
    ("loads", "more", "reason"),
    [
        ({}, {}, None),
        ({1: Load(channels=2)}, {}, None),
        ({1: Load(channels=2), 2: Load(channels=10)}, {}, Refusal.CHANNELS),
        ({1: Load(reachable=False), 2: Load(reachable=False)}, {}, Refusal.UNREACHABLE),
        ({}, {"caps": Caps(max_channels=1), "load": Load(channels=1)}, Refusal.TENANT_CHANNELS),
    ],
)
def test_what_takes_no_call_at_all_is_known_before_leads_are_looked_for(
    loads: dict[int, Load], more: dict[str, Any], reason: Refusal | None
) -> None:
    """Whatever the number were."""
    refused = nearest([FIRST, SECOND], book(loads, **more))
    assert (refused.reason if refused else None) is reason


@given(
    cps=st.floats(0.2, 50),
    gaps_ms=st.lists(st.integers(0, 400), min_size=1, max_size=200),
)
def test_calls_a_second_are_kept_over_every_span(cps: float, gaps_ms: list[int]) -> None:
    """However the questions come, no span of time holds more calls than the burst and the rate allow."""
    trunk = replace(FIRST, max_channels=10_000, max_cps=cps)
    now, carried, calls = NOW, book(), []
    for gap in gaps_ms:
        now += timedelta(milliseconds=gap)
        carried = replace(carried, now=now)
        while isinstance(choice := choose([trunk], carried, Ask(RUSSIA)), Choice):
            carried = placed(carried, choice)
            calls.append(now)
    for first in range(len(calls)):
        for last in range(first, len(calls)):
            span_s = (calls[last] - calls[first]).total_seconds()
            assert last - first + 1 <= trunk.caps.burst + cps * span_s + 1e-6


def test_lines_left_are_those_that_can_be_taken_now() -> None:
    """By channels and calls a second, of the trunks that are on and can be reached."""
    off, away = replace(SECOND, id=3, enabled=False), replace(SECOND, id=4)
    slow, fast = replace(SECOND, id=5, max_cps=4.0), replace(SECOND, id=6, max_cps=400.0)
    loads = {
        1: Load(channels=5),
        4: Load(reachable=False),
        5: Load(channels=4, tokens=3.0, filled_at=NOW),
        6: Load(channels=4, tokens=100.0, filled_at=NOW),
    }
    assert lines_left([FIRST, off, away, slow, fast], loads, NOW) == 0 + 0 + 0 + 2 + 6


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
