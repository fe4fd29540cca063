"""A campaign's figures as a world of the simulator, and what two settings give in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialer.boards.what_if import Around, Known, RunFigures, Setting, changed, job, outcome, read_run
from dialer.boards.what_if_service import simulate
from dialer.boards.what_if_worker import asked, told
from dialer.pacing.simulator.figures import Minute
from dialer.pacing.simulator.runs import run

KNOWN = Known(1000, 300, 100, 120, 280, 13.5, 6.0, 120.0, 90.0, 15.0, 8.0)
AROUND = Around(2.0, 25.0, detects_machines=True, take_back_s=None, lines=60)
NOW = Setting(10, "progressive", 1.5, 0.03)


def test_the_world_is_the_campaigns_own() -> None:
    """Shares of its attempts, means of its talks; the policy's clock and the lines as they are."""
    world = job(KNOWN, AROUND, NOW, 1).world
    assert (world.agents, world.answer_rate, world.machine_rate, world.busy_share) == (10, 0.3, 0.1, 0.2)
    assert (world.talk.mean_s, world.wrap.mean_s, world.ring.mean_s) == (120.0, 15.0, 12.0)
    assert (world.slack_s, world.lines, world.detection) == (2.0, 60, True)


@pytest.mark.parametrize(
    "odd",
    [
        replace(KNOWN, live=1000, machines=0, busy=0),
        replace(KNOWN, live=1, machines=999),
        replace(KNOWN, ring_s=0.0, ring_sd_s=0.0, talk_s=0.2, talk_sd_s=500.0, wrap_s=0.0, wrap_sd_s=0.0),
    ],
)
def test_odd_figures_make_a_world_all_the_same(odd: Known) -> None:
    """Everybody answers, almost nobody does, talks of no length: a run ends."""
    figures = read_run(run(job(odd, AROUND, replace(NOW, agents=3), 1)))
    assert figures.total.worked_s > 0


def test_too_few_calls_tell_nothing() -> None:
    """A hundred attempts, twenty talks."""
    assert KNOWN.enough
    assert not replace(KNOWN, attempts=99).enough
    assert not replace(KNOWN, talks=19).enough


def test_what_is_not_named_stays() -> None:
    """Agents are counted on; the rest is replaced."""
    assert changed(NOW, agents_more=2) == replace(NOW, agents=12)
    assert changed(NOW, mode="power", ratio=2.0) == replace(NOW, mode="power", ratio=2.0)


def test_more_agents_talk_more() -> None:
    """In the same world, and a run goes from process to process as it is."""
    found = {}
    for agents in (10, 14):
        setting = replace(NOW, agents=agents)
        runs = [read_run(run(job(KNOWN, AROUND, setting, seed))) for seed in (1, 2)]
        one = outcome(setting, runs)
        assert one is not None and one.runs == 2
        found[agents] = one
    assert found[14].contacts_per_hour > 1.2 * found[10].contacts_per_hour
    assert found[10].abandon_share == 0.0


def test_two_runs_add_up_and_of_none_there_is_no_outcome() -> None:
    """Rates are of the time of both, waits of all customers."""
    one = RunFigures(
        Minute(3600.0, 36_000.0, 18_000.0, 9_000.0, 40_000.0, 400, 120, 6, 110), [0.1], [5.0, 7.0]
    )
    both = outcome(NOW, [one, one])
    assert both is not None
    assert (both.contacts_per_hour, both.dials_per_hour, both.answers) == (110, 400, 240)
    assert (both.occupancy, both.abandon_share, both.idle_s) == (0.75, 0.05, 6.0)
    assert outcome(NOW, []) is None


async def test_the_process_is_ended_when_its_time_is_over() -> None:
    """It gives what it has done until then; of no time nothing, and nobody is left behind."""
    assert await simulate(KNOWN, AROUND, replace(NOW, agents=2), 0.0) == []
    assert told(b'{"total": [1,2,3,4,5,6,7,8,9], "waits_s": [], "idle_s": [1.0]}').total.contacts == 9
    assert '"agents": 10' in asked(KNOWN, AROUND, NOW)
