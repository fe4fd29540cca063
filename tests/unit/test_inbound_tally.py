"""Callers' log and rows of calls that came in: what counts as lost, and who may tell different things."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialer.bench.load.callers import KINDS, Orders, Told, people
from dialer.bench.load.inbound_tally import Came, at_once, lost, strange, tally

ORDERS = Orders(5060, "74957770101", 10.0, 20.0, 5.0, 1, "log")
HEARD = Told(
    0, "+79160000000", "agent", 0.0, 200, 10.0, 40.0, 900.0, 1_000.0, mixed_up=False, ended_ms=5_010.0,
    ended_by="caller",
)  # fmt: skip
ANSWERED = Came("+79160000000", "answered", True, True, True, 4_000.0, ("menu", "sales"))
GONE = replace(HEARD, heard_ms=None)


def judged(told: Told, *rows: Came) -> str:
    """What did not hold of one caller."""
    return lost(tally([told], rows, asked_per_s=1.0, seconds=1.0), sums_only=True)


@pytest.mark.parametrize(
    ("told", "row"),
    [
        (HEARD, ANSWERED),
        (replace(GONE, kind="waits"), replace(ANSWERED, result="abandoned", way=("menu", "nobody"))),
        (GONE, replace(ANSWERED, result="abandoned", talk_ms=None)),
        (replace(GONE, pressed_ms=None), replace(ANSWERED, result="left", talk_ms=None, way=("menu",))),
        (replace(GONE, pressed_ms=None), replace(ANSWERED, result="left", talk_ms=None, way=())),
        (
            replace(GONE, kind="served", ended_by="server"),
            replace(ANSWERED, result="contained", talk_ms=None, way=("menu", "goodbye", "end")),
        ),
        (
            replace(GONE, kind="served"),  # as the last word was said
            replace(ANSWERED, result="contained", talk_ms=None, way=("menu", "goodbye", "end")),
        ),
        (GONE, replace(ANSWERED, talk_ms=120.0)),  # joined as they left: nothing was heard yet
    ],
)
def test_both_sides_tell_of_the_same_call(told: Told, row: Came) -> None:
    """Nothing is lost."""
    assert judged(told, replace(row, disposed=True)) == ""
    assert strange([told], [row]) == []


@pytest.mark.parametrize(
    ("told", "rows", "said"),
    [
        (HEARD, [], "1 calls have no row"),
        (HEARD, [ANSWERED, ANSWERED], "1 calls have two rows"),
        (HEARD, [replace(ANSWERED, ended=False)], "1 calls have no end"),
        (HEARD, [replace(ANSWERED, disposed=False)], "1 talks have no disposition"),
        (HEARD, [replace(ANSWERED, result="abandoned")], "came to something else"),
        (GONE, [ANSWERED], "came to something else"),
        (GONE, [replace(ANSWERED, result="contained", talk_ms=None)], "came to something else"),
        (HEARD, [replace(ANSWERED, way=("menu",))], "another way"),
        (HEARD, [replace(ANSWERED, way=("menu", "nobody"))], "another way"),
        (GONE, [replace(ANSWERED, result="left", talk_ms=None, way=())], "another way"),
        (replace(HEARD, mixed_up=True), [ANSWERED], "1 callers heard another caller"),
        (replace(HEARD, answered_ms=None), [ANSWERED], "1 calls were not taken"),
        (replace(HEARD, ended_by=""), [ANSWERED], "1 callers saw no end"),
    ],
)
def test_what_is_lost_is_told(told: Told, rows: list[Came], said: str) -> None:
    """In words, with how many."""
    assert said in judged(told, *rows)


def test_the_long_form_judges_how_fast_it_was() -> None:
    """Calls a second, the first sound, and who got no agent in time."""
    figures = tally([HEARD], [ANSWERED], asked_per_s=1.0, seconds=1.0)
    assert lost(figures) == ""
    assert "first sound" in lost({**figures, "first_sound_ms_p95": 200.0})
    assert "came in" in lost({**figures, "placed_per_s": 0.9})
    assert "no agent" in lost({**figures, "without_agent": 2})


def test_calls_at_once_are_counted_between_answer_and_end() -> None:
    """Of two that touch only one is up at a time."""
    second = replace(HEARD, n=1, began_ms=1_000.0)
    third = replace(HEARD, n=2, began_ms=5_000.0)
    assert at_once([HEARD, second]) == 2
    assert at_once([HEARD, third]) == 1


def test_callers_are_made_again_by_their_seed() -> None:
    """Each number once, and every kind about as often as it should be."""
    first, again, other = (list(people(replace(ORDERS, seed=seed))) for seed in (1, 1, 2))
    assert first == again != other
    assert len({told.number for told, _, _ in first}) == len(first) == 200
    for kind, of_hundred in KINDS.items():
        assert abs(sum(told.kind == kind for told, _, _ in first) / 2 - of_hundred) < 10
