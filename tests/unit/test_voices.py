"""Who counts as silent: by what came of a phone at each look."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from dialer.calls.tracking import Leg
from dialer.calls.voices import (
    CALM,
    ENDED_S,
    FEW,
    LOOK_S,
    MOST,
    SILENT_MOST_S,
    SILENT_S,
    STEADY,
    TALKING_EVERY,
    Heard,
    is_due,
    listen,
)
from dialer.ids import new_id


def after(heard: Heard, looks: Iterable[bool], now_s: float = 0.0) -> tuple[Heard, float]:
    """What is known after these looks, each with or without new packets, and the time of the last."""
    for new in looks:
        now_s += LOOK_S
        heard = listen(heard, heard.packets + 7 * new, now_s)
    return heard, now_s


def silent_after_s(heard: Heard, now_s: float) -> float:
    """How long no packet comes until the phone is silent; it must become so."""
    began_s = now_s
    while not heard.silent:
        heard, now_s = after(heard, [False], now_s)
        assert now_s - began_s < 60
    return now_s - began_s


STEADY_LOOKS = [True] * STEADY


def test_a_phone_that_sent_without_a_gap_is_silent_in_less_than_a_second() -> None:
    """From its last packet: the patience, and a look to see each of them."""
    heard, now_s = after(Heard(0, 0.0), STEADY_LOOKS)
    assert SILENT_S <= silent_after_s(heard, now_s) <= SILENT_S + LOOK_S + 0.01


def test_a_phone_that_was_never_steady_is_not_judged() -> None:
    """One that keeps its silence to itself comes and goes; nothing is held against it."""
    bursts = ([True] * (STEADY - 1) + [False] * 20) * 5
    heard = Heard(0, 0.0)
    now_s = 0.0
    for new in bursts:
        heard, now_s = after(heard, [new], now_s)
        assert not heard.silent


def test_a_new_phone_that_stops_at_once_is_silent_in_less_than_a_second() -> None:
    """It has sent before we began to look, or but once: it may have died in that moment."""
    heard, now_s = after(Heard(0, 0.0, since_s=0.0), [True])
    assert SILENT_S <= silent_after_s(heard, now_s) <= SILENT_S + LOOK_S + 0.01
    heard, now_s = Heard(50, 0.0, since_s=0.0), 0.0
    assert SILENT_S <= silent_after_s(heard, now_s) <= SILENT_S + LOOK_S + 0.01


def test_a_new_phone_that_keeps_its_silence_to_itself_is_free_again_when_asterisk_keeps_it() -> None:
    """A dead one would have been ended by then; of one that has sent nothing yet nothing is said."""
    heard, now_s = after(Heard(0, 0.0, since_s=0.0), [True] + [False] * 10)
    assert heard.silent
    heard, _ = after(heard, [False] * math.ceil(ENDED_S / LOOK_S), now_s)
    assert not heard.silent
    heard, _ = after(Heard(0, 0.0, since_s=0.0), [False] * 10)
    assert not heard.silent


def test_a_packet_makes_it_heard_and_the_next_gap_may_be_longer() -> None:
    """A false alarm doubles the patience, up to a limit, and the phone is judged all the same."""
    heard, now_s = after(Heard(0, 0.0), STEADY_LOOKS)
    patience_s = []
    for _ in range(5):
        silent_after_s(heard, now_s)
        heard, now_s = after(heard, [False] * 40, now_s)
        assert heard.silent
        heard, now_s = after(heard, [True], now_s)
        assert not heard.silent
        patience_s.append(heard.patience_s)
    assert patience_s == pytest.approx([0.9, 1.8, 3.6, SILENT_MOST_S, SILENT_MOST_S])


def test_patience_that_was_lent_is_taken_back_in_quiet_times() -> None:
    """Half of it each time that voice has come without a gap for long, down to what all have."""
    heard, now_s = after(Heard(0, 0.0, STEADY, SILENT_MOST_S), [True] * (4 * CALM))
    assert heard.patience_s == SILENT_S
    assert silent_after_s(heard, now_s) < 1


def test_a_short_gap_is_none() -> None:
    """Two looks without a packet, again and again: a network that stutters."""
    heard, _ = after(Heard(0, 0.0), STEADY_LOOKS + [False, False, True] * 20)
    assert not heard.silent
    assert heard.patience_s == SILENT_S


def test_a_phone_in_a_talk_is_asked_after_in_turns_and_a_free_one_each_time() -> None:
    """Of many, each in a talk comes up once in a round, and not all of them in the same turn."""
    legs = [Leg(new_id(), 1, new_id(), number, "phone", "node") for number in range(100)]
    rounds = range(5, 5 + TALKING_EVERY)
    asked = [sum(is_due(leg, turn, talks=True, phones=len(legs)) for leg in legs) for turn in rounds]
    assert sum(asked) == len(legs)
    assert max(asked) < len(legs)
    assert all(is_due(leg, turn, talks=False, phones=len(legs)) for leg in legs for turn in rounds)


def test_of_few_phones_all_are_asked_after_each_time() -> None:
    """A small team's dead phone is known as soon in a talk as out of it: within a second, with those of the
    largest team that counts as small."""
    legs = [Leg(new_id(), 1, new_id(), number, "phone", "node") for number in range(FEW)]
    assert all(is_due(leg, turn, talks=True, phones=FEW) for leg in legs for turn in range(TALKING_EVERY))
    assert not all(is_due(leg, 0, talks=True, phones=FEW + 1) for leg in legs)
    assert FEW / MOST <= LOOK_S
    heard, now_s = after(Heard(0, 0.0), STEADY_LOOKS)
    assert silent_after_s(heard, now_s) < 1
