"""The short form of `dozvon bench pacing-live`, as CI runs it: a real campaign for less than a minute."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.commands import dozvon

from dialer.bench.lines import Lines
from dialer.bench.live.model import PLAIN, Known, Real, from_line


@pytest.mark.timeout(300)
async def test_a_real_run_is_counted_and_compared(tmp_path: Path) -> None:
    """Calls are made, people are joined to agents, times add up, and the simulator stands beside it."""
    results = tmp_path / "runs.jsonl"
    status, said = await dozvon("bench", "pacing-live", "--short", "--json", "--results", str(results))
    assert status == 0
    found = json.loads(said.splitlines()[-1])
    assert (found["runs"], found["seeds"], found["failed"], found["broken"]) == (1, [1], {}, [])
    assert found["answers"] == found["contacts"] + found["abandoned"]
    assert found["dials"] > found["answers"] > 0
    assert 0 < found["occupancy"] <= 1
    assert 0 <= found["abandon_rate"] < 1
    for band in (found["sim"], found["single"], found["delayed"]):
        for figure in ("occupancy", "abandon_rate"):
            assert band[figure]["p5"] <= band[figure]["p50"] <= band[figure]["p95"]
    assert found["inside"] in (True, False)

    lines = Lines(results).read(from_line)
    (run,) = (line for line in lines if isinstance(line, Real))
    known, counted = Known.of(lines, run.setting), run.counted
    assert len(known.simulated[PLAIN].runs) == found["sim"]["runs"]
    # Everybody was on duty for all of it, and in states that the simulator knows.
    assert counted.duty_s == pytest.approx(run.setting.agents * counted.worked_s, rel=0.01)
    assert counted.worked_s == pytest.approx(60 * run.setting.minutes)
    assert run.figures["away_s"] == 0
    assert 0 < counted.talk_s + counted.wrap_s <= counted.duty_s
    # Talks are in the mean what customers plan: 6 s. Those that go on at the end are cut.
    assert 2 < counted.talk_s / counted.contacts < 10
    assert run.figures["wait_p50_s"] <= run.figures["wait_p95_s"] <= run.figures["wait_max_s"]
    assert run.figures["decisions"] > 0


async def test_an_option_that_makes_no_sense_is_refused() -> None:
    """A run of no agents is exit status 2, and nothing on stdout."""
    assert await dozvon("bench", "pacing-live", "--agents", "0") == (2, "")
