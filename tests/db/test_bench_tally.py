"""What the bench counts as lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

from dialer.bench.site_robots import Saved
from dialer.bench.site_tally import Witness
from dialer.clock import utc_now
from dialer.db.session import Database


class Quiet:
    """A carrier that nobody called, and agents who were told more than one statement has arguments for."""

    def __init__(self, saved: int) -> None:
        self._saved = {str(uuid4()): Saved("sale", utc_now()) for _ in range(saved)}

    def invites(self) -> dict[str, set[str]]:
        return {}

    def saved(self) -> dict[str, Saved]:
        return self._saved


async def test_a_long_run_is_counted_to_its_end(database: Database) -> None:
    """Two hours have more dispositions than a statement has arguments: each of them is looked for."""
    quiet = cast(Any, Quiet(40_000))
    tally = await Witness(database, quiet, quiet).tally(utc_now() - timedelta(hours=1), utc_now())
    assert (tally.dispositions, tally.lost_dispositions) == (40_000, 40_000)
