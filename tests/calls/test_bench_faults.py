"""The short form of the bench of faults, as CI runs it: real faults in real centres, and nothing is lost.

Each row is a test of its own, so that they can be shared out; all of them together stay under five minutes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.commands import dozvon

from dialer.bench import faults

ROWS = [row.name for row in faults.rows() if row.short_runs]
#: Rows in which attempts are made by a campaign: a run without one would have proved nothing.
DIALLING = {"kill", "ami", "asterisk", "database", "carrier", "agents", "soak", "standby"}


@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", ROWS)
async def test_a_row_makes_its_faults_and_nothing_is_lost(name: str, tmp_path: Path) -> None:
    """`dozvon bench faults --short` of this row: every run was made, with calls, and all figures are 0."""
    results = tmp_path / "runs.jsonl"
    words = ("--only", name, "--short", "--json", "--results", str(results))
    status, said = await dozvon("bench", "faults", *words)
    line = json.loads(said.splitlines()[-1])
    told = f"{line['what_broke']} {line['failed']}"
    row = faults.row(name)
    assert row is not None
    assert (line["faults"], line["runs"]) == (1, row.short_runs), told
    for figure in ("double_dials", "unfinished_attempts", "lost_dispositions", "broken"):
        assert line[figure] == 0, told
    assert status == 0, told
    assert {"calls", "unknown", "recover_s"} <= line.keys()
    runs = [json.loads(one) for one in results.read_text(encoding="utf-8").splitlines()]
    # Every case had its turn, unless there are more of them than short runs.
    cases = {run.get("case", "") for run in runs}
    assert len(cases) == max(1, min(len(row.cases), row.short_runs))
    if name in DIALLING:
        assert line["calls"] >= len(runs), "a campaign dialled through all faults"


@pytest.mark.timeout(420)
async def test_two_rows_have_their_centres_beside_each_other(tmp_path: Path) -> None:
    """As the short form has them: one process sets both up at once, and neither is in the way."""
    words = ("--only", "asterisk", "--only", "agents", "--runs", "1", "--at-once", "2", "--json")
    status, said = await dozvon("bench", "faults", *words, "--results", str(tmp_path / "runs.jsonl"))
    line = json.loads(said.splitlines()[-1])
    told = f"{line['what_broke']} {line['failed']}"
    assert (status, line["faults"], line["runs"]) == (0, 2, 2), told
    assert min(row["calls"] for row in line["rows"].values()) > 0


async def test_a_seed_that_is_known_is_not_run_again(tmp_path: Path) -> None:
    """`--resume` leaves out what the results file has and sums it: here there is nothing left to do, and no
    centre."""
    results = tmp_path / "runs.jsonl"
    known = "".join(f'{{"fault": "kill", "seed": {seed}, "calls": 3}}\n' for seed in (1, 2))
    results.write_text(known)
    words = ("--only", "kill", "--runs", "2", "--resume", "--json", "--results", str(results))
    status, said = await dozvon("bench", "faults", *words)
    assert status == 0
    summary = json.loads(said.splitlines()[-1])
    assert (summary["runs"], summary["calls"]) == (2, 6)
    assert results.read_text() == known


async def test_a_row_that_is_none_is_told_in_one_line() -> None:
    """A wrong `--only` is exit status 1, and nothing on stdout."""
    assert await dozvon("bench", "faults", "--only", "lightning", "--json") == (1, "")
