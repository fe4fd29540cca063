"""The board's arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.boards import COUNTED, NOW, paused, talks

from dialer.agents.model import AgentState
from dialer.boards.model import CampaignNow, Counted, Now, Talks, ends_in_s, worked_s


@pytest.mark.parametrize(
    ("for_s", "limit_s", "over"), [(901, 900, True), (900, 900, False), (9000, None, False)]
)
def test_a_pause_over_its_limit(for_s: float, limit_s: int | None, over: bool) -> None:
    """Longer than its code allows; a code without a limit allows everything."""
    assert paused(for_s, limit_s).over_limit(NOW) is over


@pytest.mark.parametrize(("left", "closed", "lasts"), [(900, 300, 5400.0), (0, 10, 0.0), (900, 0, None)])
def test_how_long_a_list_lasts(left: int, closed: int, lasts: float | None) -> None:
    """At the pace of the time in which so many were closed; nothing closed tells nothing."""
    assert ends_in_s(left, closed, 1800.0) == lasts


@pytest.mark.parametrize(
    ("stretches", "since_first_s", "worked"),
    [(6, 1790.0, 1790.0), (1, 90.0, 90.0), (2, 1790.0, 600.0), (1, 2.0, 60.0)],
)
def test_how_long_a_campaign_has_worked(stretches: int, since_first_s: float, worked: float) -> None:
    """From its first call on, without the parts in which it was paused; a minute at least."""
    assert worked_s(stretches, since_first_s) == worked


@pytest.mark.parametrize(
    ("lasts", "said"), [(5400.0, 5400), (5310.0, 5400), (20.0, 300), (50_000.0, 50_400), (None, 300)]
)
def test_it_is_said_as_people_say_it(lasts: float | None, said: float) -> None:
    """To five minutes, and to the hour from ten hours on; never nothing."""
    assert replace(COUNTED, ends_in_s=lasts).rounded_end_s == said


def test_a_customer_on_hold_is_shown_apart_from_talks() -> None:
    """With the time of the hold; to the server the agent talks."""
    now = Now(NOW, [talks(90), talks(60, held_s=20), paused(5, None)], [], [], [])
    assert [name for name, many in now.by_shown.items() for _ in range(many)] == ["talking", "hold", "paused"]
    assert now.by_state[AgentState.TALKING] == 2
    assert [(NOW - one.shown_since).total_seconds() for one in now.agents] == [90, 20, 5]


def test_stages_of_calls() -> None:
    """Ringing calls are in the air too; who was answered and has no agent waits."""
    calls = {"dialling": 2, "ringing": 3, "screening": 1, "waiting": 4, "connected": 5, "wrap_up": 6}
    now = CampaignNow(1, "x", "running", "power", calls, {AgentState.READY: 2, AgentState.PAUSED: 9}, None)
    stages = {name: now.stage(name) for name in ("in_air", "ringing", "waiting", "talking")}
    assert stages == {"in_air": 5, "ringing": 3, "waiting": 5, "talking": 5}
    assert (now.ready, now.at_work) == (2, 2)


def test_the_worst_campaign_is_the_one_nearest_to_its_own_limit() -> None:
    """Not the one with the largest share."""
    loose = replace(COUNTED, abandon_share=0.04, abandon_limit=0.05)
    strict = replace(COUNTED, abandon_share=0.035, abandon_limit=0.03)
    assert Counted(NOW, {1: loose, 2: strict}).worst_abandon is strict
    assert (strict.over_limit, loose.over_limit) == (True, False)
    assert Counted(NOW).worst_abandon is None


def test_conversion_is_the_share_of_sales() -> None:
    """Of nothing there is none; two campaigns add up."""
    assert Talks().conversion is None
    assert (Talks(10, 2) + Talks(30, 6)).conversion == 0.2
