"""What may still be abandoned, and what that makes of the price of a risk."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from math import exp, log
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.pacing.budget import (
    ALLOWANCE_ANSWERS,
    GAIN,
    HIGHEST_PRICE,
    LOWEST_PRICE,
    Budget,
    BudgetState,
    Window,
    windows_of,
)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY_S = 86_400.0
MONTH_S = 30 * DAY_S


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def settle(budget: Budget, answers: str, *, begin_s: float = 0.0, every_s: float = 10.0) -> BudgetState:
    """Settle answers in time, `x` abandoned; gives the state after the last."""
    for number, answer in enumerate(answers):
        budget.settle(at(begin_s + number * every_s), abandoned=answer == "x")
    return budget.state(at(begin_s + len(answers) * every_s))


def window(state: BudgetState, name: str) -> tuple[int, int]:
    """Answered and abandoned of a window."""
    return next((one.answered, one.abandoned) for one in state.windows if one.name == name)


def test_each_answer_moves_the_price() -> None:
    """The logarithm of the price rises by gain x target at a served answer, and falls at a lost one."""
    budget = Budget(target=0.03)
    first = budget.state(START).price
    assert settle(budget, "." * 10).price == pytest.approx(first * exp(GAIN * 0.3))
    assert settle(budget, "x").price == pytest.approx(first * exp(GAIN * (0.3 + 0.03 - 1)))


def test_what_is_lost_together_is_one_misfortune() -> None:
    """A large team, ten answers a second: the fifty of five seconds are lost, which costs as
    much pace as one lost answer of a small team."""
    budget = Budget(target=0.03)
    usual = settle(budget, "." * 1200, every_s=0.1).price
    lost = settle(budget, "x" * 50, begin_s=120, every_s=0.1).price
    assert lost / usual == pytest.approx(exp(GAIN * (0.03 - 1)), rel=0.01)


def test_what_is_lost_in_busy_minutes_counts_in_full() -> None:
    """Some minutes have four times as many answers as others: what a lost answer costs depends little on how
    many came in its own minute."""
    budget = Budget(target=0.03)
    prices: list[float] = []
    begin_s = 0.0
    for minute in range(24):
        busy = minute % 4 == 3
        answers = 160 if busy else 40
        prices.append(settle(budget, "." * answers, begin_s=begin_s, every_s=60 / answers).price)
        begin_s += 60
    calm = settle(budget, "x", begin_s=begin_s - 0.01).price / prices[-1]
    begin_s += 60
    for answers in (40, 40):
        before = settle(budget, "." * answers, begin_s=begin_s, every_s=60 / answers).price
        begin_s += 60
    later = settle(budget, "x", begin_s=begin_s - 0.01).price / before
    assert log(later) == pytest.approx(log(calm), rel=0.3)


def test_a_misfortune_costs_no_more_than_a_while() -> None:
    """Twelve answers in a row are lost, as when agents leave: 100 answers later the price is half of the
    usual at least; the feedback alone would need 270."""
    budget, rng = Budget(target=0.03), random.Random(1)
    prices = []
    for number in range(2000):
        price = budget.state(at(number)).price
        budget.settle(at(number), abandoned=rng.random() < price)
        prices.append(log(price))
    usual = exp(sum(prices[1000:]) / 1000)
    assert settle(budget, "x" * 12, begin_s=3000).price > 0.2 * usual
    assert settle(budget, "." * 100, begin_s=4000).price > 0.5 * usual


def test_what_something_else_holds_back_raises_no_price() -> None:
    """While lines or leads are what limits the dialling served answers prove nothing about the price."""
    budget = Budget(target=0.03)
    first = budget.state(START).price
    for number in range(500):
        budget.settle(at(number), abandoned=False, by_price=False)
    assert budget.state(at(500)).price == first


def test_a_spent_budget_does_not_wind_the_price_up() -> None:
    """While a window is spent, served answers do not raise what the price will be afterwards."""
    later = []
    for served in (0, 200):
        budget = Budget((Window("24h", 0.03, DAY_S),), answers_a_day=300)
        settle(budget, "x" * 9)
        assert settle(budget, "." * served, begin_s=1000).spent
        later.append(budget.state(at(DAY_S * 2)).price)
    assert later[0] == later[1]


def test_the_price_stays_where_it_can_come_back_from() -> None:
    """However much goes wrong, or right: the price is bounded, and leaves its bound with the next answer."""
    low, high = Budget(target=0.03), Budget(target=0.03)
    assert settle(low, "x" * 500).price == pytest.approx(LOWEST_PRICE)
    assert settle(low, ".").price > LOWEST_PRICE
    assert settle(high, "." * 5000).price == pytest.approx(HIGHEST_PRICE)
    assert settle(high, "x").price < HIGHEST_PRICE


@pytest.mark.parametrize("target", [0.01, 0.03, 0.05])
@pytest.mark.parametrize("risk", [0.3, 3.0])
def test_the_share_is_held_whatever_the_price_stands_for(target: float, risk: float) -> None:
    """Where a price means a third or three times as many abandoned calls as it says, it is held."""
    budget, rng, lost = Budget(target=target), random.Random(1), 0
    for number in range(20_000):
        abandoned = rng.random() < risk * budget.state(at(10 * number)).price
        budget.settle(at(10 * number), abandoned=abandoned)
        lost += abandoned
    # What it can be off: the whole way of the price's logarithm.
    assert lost == pytest.approx(target * 20_000, abs=log(HIGHEST_PRICE / LOWEST_PRICE) / GAIN)


def test_a_policy_is_held_in_its_window_and_in_each_day() -> None:
    """A limit over 30 days is also one over a calendar day and 24 hours; over a day it is no third."""
    assert [(one.name, one.span_s) for one in windows_of(0.03, MONTH_S)] == [
        ("day", None), ("24h", DAY_S), ("policy", MONTH_S)
    ]  # fmt: skip
    assert [one.name for one in windows_of(0.03, DAY_S)] == ["day", "24h"]


#: A day as short as the allowance: the limit holds as it is.
SHORT_DAY = 300.0


def test_a_spent_window_is_named_and_the_price_is_nothing() -> None:
    """400 answers may have 12 abandoned: with 11 and one that may be in the air nothing more may be risked,
    one served answer later it may."""
    budget = Budget((Window("24h", 0.03, DAY_S),), answers_a_day=SHORT_DAY)
    spent = settle(budget, "." * 389 + "x" * 11)
    assert (spent.spent, spent.price) == ("24h", 0.0)
    assert window(spent, "24h") == (400, 11)
    later = settle(budget, ".", begin_s=5000)
    assert later.spent == ""
    assert later.price > 0


def test_a_large_team_keeps_more_for_what_is_in_the_air() -> None:
    """Where two answers share their fate two may be lost in the air: it is spent one abandoned call
    sooner."""
    for every_s, lost, spent in ((10.0, 10, ""), (10.0, 11, "24h"), (2.5, 9, ""), (2.5, 10, "24h")):
        budget = Budget((Window("24h", 0.03, DAY_S),), answers_a_day=SHORT_DAY)
        found = settle(budget, "." * (400 - lost) + "x" * lost, every_s=every_s)
        assert found.spent == spent, (every_s, lost)


def test_a_small_window_has_an_allowance() -> None:
    """Few answers may have as many abandoned as 300, less what the rest of the 300 will come to: aiming at
    half of the limit, 9 - 4.5 = 4.5, of which one is in the air."""
    assert ALLOWANCE_ANSWERS == 300
    for lost, spent in ((3, ""), (4, "24h")):
        budget = Budget((Window("24h", 0.03, DAY_S),), answers_a_day=10)
        assert settle(budget, "x" * lost).spent == spent


def test_the_margin_of_a_day_can_be_spent_in_its_morning() -> None:
    """A day of 1,800 answers may have 54 abandoned and aims at 50: after 600 answers it may have used its
    share of the 50 and most of the other 4, but be over its limit by no more than one and a half."""
    for lost, spent in ((16, ""), (17, ""), (18, "day")):
        budget = Budget((Window("day", 0.03, None),), answers_a_day=1800)
        # 3 % of 600 are 18, and 1.5 x 2 / 3 = 1 more, of which one is in the air.
        assert settle(budget, "." * (600 - lost) + "x" * lost, every_s=10).spent == spent


def test_the_price_falls_before_the_budget_is_spent() -> None:
    """The nearer a window is to its limit the lower the price, without a leap."""
    budget = Budget((Window("24h", 0.03, DAY_S),), gain=0.0, answers_a_day=SHORT_DAY)
    full = settle(budget, "." * 400).price
    prices = [settle(budget, "x", begin_s=5000 + 10 * n).price for n in range(12)]
    assert prices[:9] == [full] * 9
    falling = prices[9:]
    assert falling == sorted(falling, reverse=True)
    assert full > prices[10] > prices[11] == 0


def test_24_hours_are_over_after_24_hours() -> None:
    """What was abandoned counts for a day and a minute at most, and never less than a day."""
    budget = Budget((Window("24h", 0.03, DAY_S),))
    settle(budget, "x" * 9, every_s=1)
    assert budget.state(at(DAY_S - 1)).spent == "24h"
    assert window(budget.state(at(DAY_S - 1)), "24h") == (9, 9)
    # The first of them are older than a day by now, the last are not.
    assert window(budget.state(at(DAY_S + 5)), "24h") == (9, 9)
    over = budget.state(at(DAY_S + 70))
    assert (over.spent, window(over, "24h")) == ("", (0, 0))


def test_a_calendar_day_ends_at_midnight_where_the_campaign_is() -> None:
    """In Moscow the day of 2 March ends at 21:00 UTC."""
    budget = Budget((Window("day", 0.03, None),), zone=ZoneInfo("Europe/Moscow"))
    settle(budget, "x" * 9)
    before, after = datetime(2026, 3, 2, 20, 59, tzinfo=UTC), datetime(2026, 3, 2, 21, 0, tzinfo=UTC)
    assert budget.state(before).spent == "day"
    assert window(budget.state(after), "day") == (0, 0)


@pytest.mark.parametrize("back_s", [1.0, 3600.0, 3 * DAY_S])
def test_a_clock_that_is_set_back_gives_nothing_back(back_s: float) -> None:
    """What was abandoned before the clock was set back still counts."""
    budget = Budget(windows_of(0.03, MONTH_S))
    settle(budget, "." * 50 + "x" * 9)
    state = settle(budget, ".", begin_s=1000 - back_s)
    assert {(one.answered, one.abandoned) for one in state.windows} == {(60, 9)}
    assert state.spent


def test_it_aims_below_the_limit_the_more_the_smaller_the_team() -> None:
    """The fewer answers a window has the more chance weighs; never above the limit or below half."""
    aims = [
        settle(Budget(windows_of(0.03, MONTH_S), answers_a_day=day), "." * 300).target
        for day in (50, 900, 36_000)
    ]
    assert aims == sorted(aims)
    assert 0.015 <= aims[0] < aims[1] < aims[2] < 0.03
    # Measured in days of eight hours: 900 answers a day need 2.5 %, 1,800 need 2.7 %.
    assert aims[1] == pytest.approx(0.025, abs=0.001)


def test_it_aims_lower_for_the_first_answers_of_all() -> None:
    """The first 300 of 24 hours may lose 10.5, and are to end 4.25 below: 6.25, or 2.1 %; in a large team
    half of the limit, the least there is. A calendar day begins each morning and has no such beginning."""
    small, large, morning = (
        Budget(windows, answers_a_day=36_000)
        for windows in (windows_of(0.03, MONTH_S), windows_of(0.03, MONTH_S), (Window("day", 0.03, None),))
    )
    assert small.state(START).target == pytest.approx(6.25 / 300, abs=1e-4)
    assert settle(small, "." * 299).target == pytest.approx(6.25 / 300, abs=1e-4)
    assert settle(small, ".", begin_s=2990).target > 0.0295
    assert settle(large, "." * 299, every_s=1).target == 0.015
    assert settle(large, ".", begin_s=299).target > 0.029
    assert morning.state(START).target > 0.0295


def test_it_learns_how_many_answers_a_day_has() -> None:
    """A team that was thought to be large, and is small, aims lower after a few days."""
    budget = Budget(windows_of(0.03, MONTH_S), answers_a_day=10_000)
    first = settle(budget, "." * 300, begin_s=-DAY_S).target
    for day in range(8):
        settle(budget, "." * 400, begin_s=day * DAY_S)
    # Nearly what a day of 400 has.
    small = settle(Budget(windows_of(0.03, MONTH_S), answers_a_day=400), "." * 300).target
    assert budget.state(at(8 * DAY_S)).target == pytest.approx(small, rel=0.2)
    assert small < first


def test_a_month_is_held_as_its_days_are() -> None:
    """The windows of a month keep count of every answer over many days."""
    budget = Budget(windows_of(0.03, MONTH_S))
    for day in range(40):
        settle(budget, "." * 97 + "x" * 3, begin_s=day * DAY_S)
    state = budget.state(at(39 * DAY_S + 2000))
    assert window(state, "day") == (100, 3)
    assert window(state, "24h") == (100, 3)
    assert window(state, "policy") == (3000, 90)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.floats(0.02, 1.0), st.sampled_from([0.01, 0.03]))
def test_no_window_is_overspent_by_any_risk(seed: int, risk: float, limit: float) -> None:
    """Where answers are abandoned as often as the price allows and more, whatever it is, and none when it is
    spent: no day is over its limit, and none of 300 answers ever over it by more than half a point."""
    rng = random.Random(seed)
    budget = Budget(windows_of(limit, MONTH_S), answers_a_day=900)
    for day in range(3):
        answered = lost = 0
        for number in range(900):
            now = at(day * DAY_S + number * 30)
            abandoned = budget.state(now).price > 0 and rng.random() < risk
            budget.settle(now, abandoned=abandoned)
            answered, lost = answered + 1, lost + abandoned
            assert lost <= (limit + 0.005) * max(answered, ALLOWANCE_ANSWERS)
        assert lost <= limit * answered
