"""Three Asterisk servers, three servers and three machines of PostgreSQL, and what of them may be lost."""

from __future__ import annotations

import pytest

from dialer.bench.faults import nodes, together
from dialer.bench.model import Run

SEEDS = {nodes.SERVER_TOO: 3, together.PRIMARY: 5}


@pytest.mark.timeout(600)
async def test_a_node_with_its_server_and_then_the_primary_are_lost() -> None:
    """Each time the others dial on, the agents work elsewhere, nobody is dialled twice, nothing is lost."""
    runs: list[Run] = [run async for run in together.ROW.runs(list(SEEDS.values()), print)]
    assert [(run.case, run.broken) for run in runs] == [(case, "") for case in SEEDS]
    assert [run.losses for run in runs] == [0, 0]
    assert all(run.calls > 0 for run in runs), "nothing was dialled: nothing was proved"
