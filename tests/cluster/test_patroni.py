"""The server on PostgreSQL of three machines under Patroni: two cases of the row `cluster` of the bench.

All four, many times: `dozvon bench faults --only cluster`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dialer.bench.cluster.machine import let_in, stranger
from dialer.bench.faults.cluster import PRIMARY_FROZEN, PRIMARY_KILLED, ROW
from dialer.bench.model import case_of
from dialer.errors import SettingsError


@pytest.mark.timeout(600)
async def test_a_lost_primary_costs_seconds_and_nothing_else() -> None:
    """The primary is frozen and thawed, later another one's power is cut: each time dialling is back in forty
    seconds, talks go on, and no acknowledged write, no disposition and no attempt is lost."""
    seeds = [1, 4]
    assert [case_of(ROW.cases, seed) for seed in seeds] == [PRIMARY_FROZEN, PRIMARY_KILLED]
    runs = [run async for run in ROW.runs(seeds, print)]
    assert sorted(run.seed for run in runs) == seeds
    for run in runs:
        assert run.held, run
        assert run.calls > 0
        assert run.figures["acknowledged"] > 0
    assert sum(run.figures["talks"] for run in runs) > 0


def test_a_folder_that_its_user_cannot_enter_is_named(tmp_path: Path) -> None:
    """Root's cluster runs as a stranger: programs in a closed folder are refused by its name; anybody
    else runs it as he is, and needs no such thing."""
    tmp_path.chmod(0o700)
    if stranger() is None:
        let_in(tmp_path)
        return
    with pytest.raises(SettingsError, match=re.escape(str(tmp_path))):
        let_in(tmp_path)
