"""Why a campaign was paced as it was: stretches of reasons, and curves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dialer.reports.pacing import Tick, points, reasons, stretches
from dialer.reports.present import Pace
from dialer.web.plots import HEIGHT, WIDTH, plot

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def tick(minutes: float, dial: int, why: str, node: str = "main", **inputs: float) -> Tick:
    return Tick(node, Pace(at(minutes), dial, why, inputs))


TICKS = [
    tick(-9, 4, "within_budget"),
    tick(1, 2, "within_budget"),
    tick(1.5, 1, "within_budget"),
    tick(2, 0, "price_over"),
    tick(5, 0, "no_leads"),
    tick(6, 0, "price_over"),
]


def test_nothing_is_dialled_and_the_reason_is_known() -> None:
    """From 10:02 to 10:05 one reason held; what was decided before goes on, and is not counted again."""
    (only,) = stretches(TICKS[:5], at(2), at(5))
    assert (only.pace.why, only.dialled, only.seconds) == ("price_over", 0, 180.0)
    found = stretches(TICKS, at(0), at(8))
    assert [(one.pace.why, one.dialled, one.seconds) for one in found] == [
        ("within_budget", 3, 120.0), ("price_over", 0, 180.0), ("no_leads", 0, 60.0),
        ("price_over", 0, 120.0),
    ]  # fmt: skip
    assert found[0].since == at(0)


def test_reasons_are_added_up() -> None:
    """Each once, the longest first; all together they last as long as was asked."""
    found = reasons(stretches(TICKS, at(0), at(8)))
    assert [(one.pace.why, one.dialled, one.seconds) for one in found] == [
        ("price_over", 0, 300.0), ("within_budget", 3, 120.0), ("no_leads", 0, 60.0),
    ]  # fmt: skip


def test_each_node_has_its_own_reason() -> None:
    """What one Asterisk server decides ends no reason of another."""
    found = stretches([tick(0, 0, "price_over"), tick(1, 0, "no_agents", "b")], at(0), at(3))
    assert [(one.node, one.seconds) for one in found] == [("main", 180.0), ("b", 120.0)]


def test_no_decision_is_no_stretch() -> None:
    """Nothing is made up for a time of which nothing was kept."""
    assert stretches([], at(0), at(8)) == []
    assert all(not point.values and not point.dialled for point in points([], at(0), at(8)))


def test_curves_keep_their_last_value() -> None:
    """Agents of all nodes together, the share from its counts, calls where they were placed."""
    ticks = [
        tick(-1, 7, "a", agents=3, live=200, abandoned=4, limit=0.03),
        tick(1, 2, "b", "other", agents=2, answer_probability=0.3),
        tick(2.5, 1, "c", agents=4, live=0),
    ]
    curve = points(ticks, at(0), at(4), count=4)
    assert [point.values.get("agents") for point in curve] == [5.0, 5.0, 6.0, 6.0]
    assert [point.dialled for point in curve] == [2, 0, 1, 0]
    assert [point.values.get("abandon_share") for point in curve] == [pytest.approx(0.02)] * 4
    assert [point.at for point in curve] == [at(1), at(2), at(3), at(4)]


def test_a_plot_is_broken_where_nothing_is_known() -> None:
    """Lines stand on 0 and reach the top; a gap begins a new piece; bars have their own scale."""
    drawn = plot({"a": [1.0, None, 2.0, 4.0]}, {"b": [0, 3, 0, 6]})
    assert drawn is not None
    bars, line = drawn.curves
    assert drawn.top == 4.0
    assert line.pieces == [
        f"{WIDTH / 4:.1f},{HEIGHT * 0.75:.1f}",
        f"{WIDTH * 3 / 4:.1f},60.0 {WIDTH:.1f},0.0",
    ]
    assert bars.bars == [(180.0, 60.0, 180.0, 60.0), (540.0, 0.0, 180.0, 120.0)]
    assert plot({"a": [None, None]}) is None
